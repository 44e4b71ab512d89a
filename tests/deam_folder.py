"""Small folders in the official layouts of DEAM and PMEmo, with made-up songs."""

import csv

import numpy as np
import soundfile

from moodcurve.features import FEATURE_NAMES

CURVES = "annotations/annotations averaged per song/dynamic (per second annotations)"
GENRES = ("Rock", "Electronic", "Folk", "Pop", "Classical")


def curve(rng, count):
    """Two smooth label curves, (count, 2) in [-0.55, 0.55], so that 1.7 times them fit too."""
    steps = rng.normal(0, 0.05, (count, 2)).cumsum(axis=0) + rng.uniform(-0.3, 0.3, 2)
    return np.clip(steps, -0.55, 0.55).round(4)


def features(rng, mixing, labels, first_row):
    """Rows (first_row + n, 260) that depend on the labels (n, 2), with noise."""
    known = np.vstack([np.repeat(labels[:1], first_row, axis=0), labels])
    return known @ mixing + rng.normal(0, 0.3, (len(known), 260)) + np.arange(260)


def write_curves(folder, songs):
    """Write arousal.csv and valence.csv of {id: (n, 2) labels}, rows padded to the longest song.

    As in the release, a test song's valence may be one step shorter: the first one's is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    width = max(map(len, songs.values()))
    short = min((song for song in songs if song > 2000), default=None)
    for dimension, column in (("valence", 0), ("arousal", 1)):
        with (folder / f"{dimension}.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["song_id", *(f"sample_{15000 + 500 * k}ms" for k in range(width))])
            for song, labels in songs.items():
                values = [f"{value:g}" for value in labels[:, column]]
                if song == short and dimension == "valence":
                    values.pop()
                writer.writerow([song, *values, *[""] * (width - len(values))])


def make_deam(
    folder,
    clips=(2, 3, 1001, 1002),
    tests=(2001, 2002),
    features_of=None,
    audio=False,
    development=True,
    labels=12,
    seed=0,
):
    """Write a DEAM folder; return the released labels, {id: (n, 2)}.

    A clip has `labels` labels from 15.0 s on, a test song three more. Features (of all songs, or of
    those in `features_of`) follow the labels, so that there is something to learn; audio is noise.
    `development` names the clips of development_set_2015.csv (True: all, False: no file), whose
    labels are 1.7 times the released ones, plus 0.05.
    """
    rng = np.random.default_rng(seed)
    mixing = rng.normal(0, 1, (2, 260))
    songs = {song: curve(rng, labels + 3 * (song > 2000)) for song in (*clips, *tests)}
    write_curves(folder / CURVES, songs)
    (folder / "metadata").mkdir()
    for year, header in (
        (2013, "album,artist,title"),
        (2014, "artist,album,title"),
        (2015, "t,a,l"),
    ):
        low = {2013: 0, 2014: 1001, 2015: 2001}[year]
        high = {2013: 1000, 2014: 2000, 2015: 9999}[year]
        rows = [
            f"{song},x,y,z,{GENRES[number % len(GENRES)]},\n"
            for number, song in enumerate(songs)
            if low <= song <= high
        ]
        (folder / "metadata" / f"metadata_{year}.csv").write_text(
            f"song_id,{header},Genre,\n" + "".join(rows)
        )
    if development:
        chosen = clips if development is True else development
        lines = [
            f"{song},{15 + k / 2},{1.7 * arousal + 0.05:.5f},{1.7 * valence + 0.05:.5f}\n"
            for song in chosen
            for k, (valence, arousal) in enumerate(songs[song])
        ]
        (folder / "development_set_2015.csv").write_text(
            "song_id,time_s,arousal_me15,valence_me15\n" + "".join(lines)
        )
    with_features = tuple(songs) if features_of is None else tuple(features_of)
    if with_features:
        (folder / "features").mkdir()
    for song in with_features:
        rows = features(rng, mixing, songs[song], 30)
        # As in the release, the last window of a second ends where the music ends.
        table = np.column_stack([np.arange(len(rows)) / 2, rows])[:-1]
        header = ";".join(("frameTime", *FEATURE_NAMES))
        path = folder / "features" / f"{song}.csv"
        np.savetxt(path, table, "%.6e", ";", header=header, comments="")
    if audio:
        (folder / "MEMD_audio").mkdir()
        for song in songs:
            noise = rng.normal(0, 0.1, 44100 * (15 + len(songs[song]) // 2))
            soundfile.write(folder / "MEMD_audio" / f"{song}.mp3", noise, 44100)
    return songs


def make_pmemo(folder, songs=(1, 4, 10), labels=6, features_file=True, chorus=False, seed=0):
    """Write a PMEmo folder; return its labels in [0, 1], {id: (n, 2)}, valence first."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(0, 1, (2, 260))
    found = {song: (curve(rng, labels) + 1) / 2 for song in songs}
    (folder / "annotations").mkdir(parents=True)
    lines = [
        f"{song},{15 + k / 2},{arousal:.5f},{valence:.5f}\n"
        for song in songs
        for k, (valence, arousal) in enumerate(found[song])
    ]
    (folder / "annotations" / "dynamic_annotations.csv").write_text(
        "musicId,frameTime,Arousal(mean),Valence(mean)\n" + "".join(lines)
    )
    if features_file:
        (folder / "features").mkdir()
        # The release's own names and order: all means, then all deviations, then a class.
        means, deviations = range(1, 260, 2), range(0, 260, 2)
        order = [*means, *deviations]
        names = [FEATURE_NAMES[k].replace("_amean", "_mean") for k in order]
        names = [name.replace("_stddev", "_std") for name in names]
        with (folder / "features" / "dynamic_features.csv").open("w") as file:
            file.write(",".join(["musicId", "frameTime", *names, "class"]) + "\n")
            for song in songs:
                rows = features(rng, mixing, 2 * found[song] - 1, 30)[:, order]
                for k, row in enumerate(rows):
                    file.write(f"{song},{k / 2},{','.join(f'{x:.7g}' for x in row)},?\n")
    if chorus:
        (folder / "chorus").mkdir()
        for song in songs:
            noise = rng.normal(0, 0.1, 44100 * (15 + labels // 2))
            soundfile.write(folder / "chorus" / f"{song}.mp3", noise, 44100)
    return found
