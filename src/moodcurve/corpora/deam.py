"""DEAM, the corpus of MediaEval's Emotion in Music task 2013 .. 2015, as it is released.

The layout, all of it unpacked into one folder::

    annotations/annotations averaged per song/dynamic (per second annotations)/{arousal,valence}.csv
    metadata/metadata_{2013,2014,2015}.csv
    features/<id>.csv                        and / or audio/<id>.mp3 (or MEMD_audio/<id>.mp3)
    development_set_2015.csv                 not of the release: the 431 clips of 2015

Ids up to 2000 are clips of 45 s, with labels from 15.0 s on; those from 2001 on are the whole
songs of the official test set of 2015. `development_set_2015.csv` (song_id, time_s, arousal_me15,
valence_me15) says which clips were the development set of 2015, and has their labels on the scale
of that year's task: each of the release's curves shifted, by another amount for each song, and some
1.7 times as wide. The two scales are never mixed.
"""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from moodcurve.corpora.check import (
    AGAIN,
    check_header,
    read_table,
    read_text,
    report,
    row_problems,
    song_id,
    split_rows,
)
from moodcurve.corpora.curves import Curve, pair_problems, read_curves
from moodcurve.corpora.folder import Array, Corpus, Song, labels_of
from moodcurve.corpora.genres import parse_genres
from moodcurve.corpora.pieces import (
    audio_by_number,
    by_number,
    missing,
    no_source,
    some,
    source_problems,
    system_files,
    windows_line_ends,
)
from moodcurve.errors import InputError

SCALES = ("release", "me2015")

CURVES = "annotations/annotations averaged per song/dynamic (per second annotations)"
METADATA = tuple(f"metadata/metadata_{year}.csv" for year in (2013, 2014, 2015))
DEVELOPMENT = "development_set_2015.csv"

_LAST_CLIP = 2000  # ids above are the test set's whole songs
_TEST_SONGS = 58
_CLIPS_2015 = 431
_AUDIO = ("audio", "MEMD_audio")


def is_deam(folder: Path) -> bool:
    """Whether there are pieces of DEAM in the folder, or one level below."""
    pieces = (CURVES, *METADATA, DEVELOPMENT)
    return any(next(folder.glob(where + piece), None) for piece in pieces for where in ("", "*/"))


def read_deam(folder: str | PathLike[str], scale: str = "release", rows: bool = True) -> Corpus:
    """Read DEAM from the layout above; features and audio are found, not opened.

    On scale "release" the songs are the 431 clips of 2015 and the 58 test songs (all clips where
    `development_set_2015.csv` is missing, which `Corpus.notes` says). On scale "me2015" they are
    the 431 clips, without a test set: nobody has its labels on that scale. Where a song's two
    curves differ in length, the times that both have are kept. Songs are named by their numbers;
    a song's features are preferred to its audio.

    Args:
        folder: with the pieces above.
        scale: one of `SCALES`.
        rows: whether every song must have features or audio; without, labels are enough.

    Raises:
        InputError: if the scale is unknown, or anything is wrong with the corpus: all problems at
            once, as of `moodcurve.corpora.folder.read_corpus`.
    """
    folder = Path(folder)
    if scale not in SCALES:
        raise InputError(f"scale {scale}: unknown; use one of {', '.join(SCALES)}")
    _check_depth(folder, scale, rows)
    problems: list[str] = []
    development = _development(folder, problems)
    if scale == "release":
        labels = _release(folder, development, problems)
    else:
        labels = development or {}
        if development is None:
            problems.append(f"{DEVELOPMENT}: not there; scale {scale} is only in that file")
    songs = sorted(labels, key=int)
    genres = _genres(folder, problems)
    features = by_number(sorted((folder / "features").glob("*.csv")))
    audio = audio_by_number(folder, *_AUDIO)
    if rows:
        # Where the labels cannot be read, the other files tell which songs there must be.
        tested = [song for song in genres if song and int(song) > _LAST_CLIP]
        known = songs or sorted({*(development or filter(None, genres)), *tested}, key=int)
        problems += _rows_problems(folder, known, features, audio)
    texts = [f"{CURVES}/{dimension}.csv" for dimension in ("valence", "arousal")]
    oddities = (
        *system_files(folder),
        *windows_line_ends(folder, (*texts, *METADATA, DEVELOPMENT)),
    )
    report(folder, problems, oddities)
    test = frozenset(song for song in songs if int(song) > _LAST_CLIP)
    return Corpus(
        folder.resolve().name,
        folder,
        tuple(
            Song(
                song,
                audio.get(song),
                *labels[song],
                genres=genres.get(song, ()),
                features=features.get(song),
            )
            for song in songs
        ),
        test,
        (*_notes(scale, songs, test, development, genres), *oddities),
        "deam",
    )


def _check_depth(folder: Path, scale: str, rows: bool) -> None:
    """Raise if the corpus is in a folder of the folder; say what else is wrong with it there."""
    pieces = ("annotations", "metadata")
    if any((folder / piece).exists() for piece in pieces):
        return
    for below in sorted(folder.glob("*")):
        if all((below / piece).is_dir() for piece in pieces):
            problem = f"{folder}: unpacked one level too deep; give {below} instead"
            try:
                read_deam(below, scale, rows)
            except InputError as error:
                problem += f"\n{error}"
            raise InputError(problem)


def _development(folder: Path, problems: list[str]) -> dict[str, tuple[Array, Array]] | None:
    """Return the labels of the development set of 2015; None if the file is not there."""
    if not (folder / DEVELOPMENT).exists():
        return None
    table = read_table(folder / DEVELOPMENT)
    found = [*table.problems, *row_problems(table)]
    problems += found
    return {} if found else labels_of(table)


def _release(
    folder: Path, development: Mapping[str, object] | None, problems: list[str]
) -> dict[str, tuple[Array, Array]]:
    """Return the released labels of the development set and the test set."""
    if not (folder / CURVES).is_dir():
        problems.append(missing(folder, CURVES, "DEAM_Annotations.zip"))
        return {}
    curves: dict[str, dict[str, Curve]] = {"valence": {}, "arousal": {}}
    wrong: list[str] = []
    for dimension in curves:
        path = folder / CURVES / f"{dimension}.csv"
        if path.exists():
            curves[dimension], found = read_curves(path)
            wrong += found
        else:
            wrong.append(missing(folder, f"{CURVES}/{path.name}", "DEAM_Annotations.zip"))
    valence, arousal = curves.values()
    labels = {
        song: _joined(valence[song], arousal[song])
        for song in valence.keys() & arousal.keys()
        if int(song) > _LAST_CLIP or development is None or song in development
    }
    if not wrong:  # labels that could not be read are not missing
        wrong += pair_problems(valence, arousal)
        if lost := sorted((development or {}).keys() - labels.keys(), key=int):
            problem = f"not in the annotations: {some(lost)}"
            wrong.append(f"{DEVELOPMENT}: {problem}; take both files again")
    problems += wrong
    return labels


def _joined(valence: Curve, arousal: Curve) -> tuple[Array, Array]:
    times = sorted(valence.keys() & arousal.keys())
    return np.array(times) / 1000, np.array([[valence[time], arousal[time]] for time in times])


def _genres(folder: Path, problems: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the genres of the songs that the metadata name."""
    genres: dict[str, tuple[str, ...]] = {}
    for piece in METADATA:
        path = folder / piece
        if not path.exists():
            problems.append(missing(folder, piece, "metadata.zip"))
            continue
        try:
            # Only ids and genres matter here, and they are ASCII.
            (first, header), *lines = split_rows(path.name, read_text(path, errors="replace"))
            names = [name.strip() for name in header]
            check_header(f"{path.name}:{first}", ("song_id", "Genre"), names)
        except InputError as error:
            problems.append(str(error))
            continue
        for line, cells in lines:
            song = song_id(dict(zip(names, cells, strict=False)).get("song_id", ""))
            if not song or song in genres:
                problem = f"song {song} is there already" if song else "no song_id"
                problems.append(f"{path.name}:{line}: {problem}; {AGAIN}")
            genres[song] = parse_genres(cells[names.index("Genre") :])
    return genres


def _rows_problems(
    folder: Path, songs: Sequence[str], features: Mapping[str, Path], audio: Mapping[str, Path]
) -> Iterator[str]:
    """Yield what keeps rows from being taken from features or, where there are none, from audio."""
    if features:
        yield from source_problems(songs, "features", features, "features.zip")
    elif audio and not any(folder.glob("*/features")):
        yield from source_problems(songs, "audio", audio, "DEAM_audio.zip")
    else:
        yield no_source(folder, {"features": "features.zip", "MEMD_audio": "DEAM_audio.zip"})


def _notes(
    scale: str,
    songs: Sequence[str],
    test: frozenset[str],
    development: Mapping[str, object] | None,
    genres: Mapping[str, tuple[str, ...]],
) -> Iterator[str]:
    """Yield what the user should know."""
    clips = len(songs) - len(test)
    if scale == "me2015":
        yield (
            f"labels of {DEVELOPMENT}, on the scale of 2015; no test set, as nobody has its labels "
            "on that scale"
        )
    elif development is None:
        yield (
            f"{DEVELOPMENT} is missing: all {clips} clips stand in for the {_CLIPS_2015} of 2015 "
            "(a deviation)"
        )
    if development is not None and clips != _CLIPS_2015:
        yield f"{clips} of the {_CLIPS_2015} clips of 2015 (a deviation)"
    if scale == "release" and len(test) != _TEST_SONGS:
        yield f"{len(test)} of the {_TEST_SONGS} official test songs (a deviation)"
    if bare := [song for song in songs if not genres.get(song)]:
        yield f"no genre for {len(bare)} of {len(songs)} songs: {some(bare)}"
