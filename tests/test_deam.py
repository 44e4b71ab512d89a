import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from deam_folder import CURVES, make_deam
from moodcurve.corpora.deam import read_deam
from moodcurve.corpora.genres import genre_weights
from moodcurve.errors import InputError

REAL = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "deam"


@pytest.fixture
def deam(tmp_path):
    """A folder of four clips and two test songs, one of them with a shorter valence."""
    make_deam(tmp_path / "DEAM")
    return tmp_path / "DEAM"


def problems(folder, **options):
    with pytest.raises(InputError) as caught:
        read_deam(folder, **options)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{folder}: {len(lines)} problem{'s' if len(lines) > 1 else ''}"
    assert all("; " in line for line in lines)
    return lines


def curves(folder, valence, arousal):
    """Write the two files by hand, and the metadata of no song."""
    (folder / CURVES).mkdir(parents=True)
    (folder / CURVES / "valence.csv").write_text(valence)
    (folder / CURVES / "arousal.csv").write_text(arousal)
    (folder / "metadata").mkdir()
    for year in (2013, 2014, 2015):
        (folder / "metadata" / f"metadata_{year}.csv").write_text("song_id,a,b,c,Genre\n")
    return folder


def no_sound(folder, name="MEMD_audio"):
    """Make empty audio files: they are found, not opened."""
    (folder / name).mkdir()
    for song in (*range(1, 9), 1001, 1002, 2001, 2002):
        (folder / name / f"{song}.mp3").touch()


HEADER = "song_id,sample_15000ms,sample_15500ms,sample_16000ms\n"


def test_labels_by_hand(tmp_path):
    """Valence before arousal, songs by number, times as named, those that both files have."""
    folder = curves(
        tmp_path,
        HEADER + "10,0.1,0.2,\n9,-0.5,-0.6,1e-17\n",
        HEADER.replace("\n", ",sample_16500ms\n") + "9,0.3,0.4,-1,\n10,0.7,0.8,0.9,\n",
    )
    nine, ten = read_deam(folder, rows=False).songs
    assert (nine.name, ten.name) == ("9", "10")
    np.testing.assert_array_equal(nine.starts, [15, 15.5, 16])
    np.testing.assert_array_equal(nine.labels, [[-0.5, 0.3], [-0.6, 0.4], [1e-17, -1]])
    np.testing.assert_array_equal(ten.starts, [15, 15.5])
    np.testing.assert_array_equal(ten.labels, [[0.1, 0.7], [0.2, 0.8]])
    assert (nine.audio, nine.features, nine.group, nine.genres) == (None, None, None, ())


def test_the_release(tmp_path):
    labels = make_deam(tmp_path / "mine")
    no_sound(tmp_path / "mine")
    corpus = read_deam(tmp_path / "mine")
    assert (corpus.name, corpus.layout) == ("mine", "deam")
    assert [song.name for song in corpus.songs] == ["2", "3", "1001", "1002", "2001", "2002"]
    assert corpus.test == {"2001", "2002"}
    for song in corpus.songs:
        count = len(labels[int(song.name)]) - (song.name == "2001")
        np.testing.assert_array_equal(song.labels, labels[int(song.name)][:count])
        np.testing.assert_array_equal(song.starts, 15 + 0.5 * np.arange(count))
        assert song.features == tmp_path / "mine" / "features" / f"{song.name}.csv"
        assert song.audio == tmp_path / "mine" / "MEMD_audio" / f"{song.name}.mp3"
    assert [song.genre for song in corpus.songs[:3]] == ["rock", "electronic", "folk & world"]


def test_the_development_set_chooses_the_clips(tmp_path):
    make_deam(tmp_path, development=(3, 1001))
    corpus = read_deam(tmp_path)
    assert [song.name for song in corpus.songs] == ["3", "1001", "2001", "2002"]
    assert corpus.notes == (
        "2 of the 431 clips of 2015 (a deviation)",
        "2 of the 58 official test songs (a deviation)",
    )


def test_all_clips_stand_in_for_the_development_set(tmp_path):
    make_deam(tmp_path, development=False)
    corpus = read_deam(tmp_path)
    assert len(corpus.songs) == 6
    assert corpus.notes[0] == (
        "development_set_2015.csv is missing: all 4 clips stand in for the 431 of 2015 "
        "(a deviation)"
    )


def test_the_scale_of_2015(tmp_path):
    labels = make_deam(tmp_path, development=(3, 1001))
    shutil.rmtree(tmp_path / "annotations")
    corpus = read_deam(tmp_path, "me2015")
    assert [song.name for song in corpus.songs] == ["3", "1001"]
    assert corpus.test == frozenset()
    assert "no test set" in corpus.notes[0]
    for song in corpus.songs:
        np.testing.assert_allclose(song.labels, 1.7 * labels[int(song.name)] + 0.05, atol=1e-5)


def test_the_scale_of_2015_without_its_file(tmp_path):
    make_deam(tmp_path, development=False)
    (line,) = problems(tmp_path, scale="me2015")
    assert line.startswith("development_set_2015.csv: not there; ")


def test_an_unknown_scale(deam):
    with pytest.raises(InputError, match=r"scale me2014: unknown; use one of release, me2015"):
        read_deam(deam, "me2014")


def test_labels_alone(tmp_path):
    make_deam(tmp_path, features_of=())
    assert problems(tmp_path) == [
        "features and MEMD_audio: nothing there, and one is needed; "
        "unpack features.zip or DEAM_audio.zip in this folder"
    ]
    assert len(read_deam(tmp_path, rows=False).songs) == 6


def test_audio_alone(tmp_path):
    make_deam(tmp_path, features_of=())
    no_sound(tmp_path, "audio")
    songs = read_deam(tmp_path).songs
    assert all(song.features is None and song.audio.parent.name == "audio" for song in songs)
    (tmp_path / "audio" / "3.mp3").unlink()
    (line,) = problems(tmp_path)
    assert line == "audio: nothing for 1 of 6 songs (3); unpack DEAM_audio.zip again"


def test_features_of_some_songs(tmp_path):
    make_deam(tmp_path, clips=range(1, 9), tests=(2001,), features_of=(2, 2001))
    no_sound(tmp_path)
    (line,) = problems(tmp_path)
    assert line == (
        "features: nothing for 7 of 9 songs (1, 3, 4, 5, 6, ...); unpack features.zip again"
    )
    songs = read_deam(tmp_path, rows=False).songs
    assert sum(song.features is not None for song in songs) == 2


def move(folder, old, new):
    (folder / new).parent.mkdir(parents=True, exist_ok=True)
    (folder / old).rename(folder / new)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (CURVES, "x", f"{CURVES}: not there; it comes out of DEAM_Annotations.zip, "),
        (f"{CURVES}/valence.csv", "x", f"{CURVES}/valence.csv: not there; it comes out of DEAM_A"),
        (
            "metadata/metadata_2014.csv",
            "x",
            "metadata/metadata_2014.csv: not there; it comes out of metadata.zip, ",
        ),
        (
            "annotations",
            "DEAM_Annotations/annotations",
            f"{CURVES}: not there, but in DEAM_Annotations/{CURVES}; move it up",
        ),
        ("features", "x/features", "features: its files are in x/features; move them up to "),
        ("features", "features_2/features", "features: its files are in features_2/features; "),
    ],
)
def test_a_piece_in_the_wrong_place(deam, old, new, expected):
    move(deam, old, new)
    (line,) = problems(deam)
    assert line.startswith(expected)


def test_features_one_level_too_deep_are_not_passed_over_for_audio(tmp_path):
    make_deam(tmp_path)
    no_sound(tmp_path)
    move(tmp_path, "features", "x")
    move(tmp_path, "x", "features/features")
    (line,) = problems(tmp_path)
    assert line.startswith("features: its files are in features/features; move them up")


def test_all_metadata_too_deep(deam):
    (deam / "metadata").rename(deam / "x")
    move(deam, "x", "metadata/metadata")
    lines = problems(deam)
    assert len(lines) == 3
    assert lines[0].startswith(
        "metadata/metadata_2013.csv: not there, but in metadata/metadata/metadata_2013.csv; "
    )


def test_unpacked_too_deep(deam):
    with pytest.raises(InputError) as caught:
        read_deam(deam.parent)
    assert str(caught.value) == (f"{deam.parent}: unpacked one level too deep; give {deam} instead")


def test_unpacked_too_deep_and_something_missing(deam):
    (deam / "metadata" / "metadata_2014.csv").unlink()
    (deam / "features" / "3.csv").unlink()
    with pytest.raises(InputError) as caught:
        read_deam(deam.parent)
    depth, count, metadata, features = str(caught.value).splitlines()
    assert depth == f"{deam.parent}: unpacked one level too deep; give {deam} instead"
    assert count == f"{deam}: 2 problems"
    assert metadata.startswith("metadata/metadata_2014.csv: not there")
    assert features.startswith("features: nothing for 1 of ")


def edit(folder, file, change):
    path = folder / file
    path.write_bytes(change(path.read_bytes().decode()).encode())


AROUSAL = f"{CURVES}/arousal.csv"
VALENCE = f"{CURVES}/valence.csv"


def line_of(text, number):
    return text.splitlines()[number - 1]


def with_cell(song, cell):
    """Replace the song's first label."""
    return lambda text: re.sub(rf"(?m)^{song},[^,]*", f"{song},{cell}", text)


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        (AROUSAL, lambda t: t.replace(",", ";"), r"arousal\.csv:1: .*semicolons; .*"),
        (AROUSAL, lambda t: t.replace(",", "\t"), r"arousal\.csv:1: .*tabs; "),
        (AROUSAL, lambda t: t.replace("song_id", "id"), r"arousal\.csv:1: no column song_id, f"),
        (
            VALENCE,
            lambda t: t.replace("sample_15500ms", "15.5"),
            r'valence\.csv:1: column "15\.5" where song_id,sample_15000ms,\.\.\. should be; take',
        ),
        (
            VALENCE,
            lambda t: t.replace("sample_15500ms", "sample_15000ms"),
            r"valence\.csv:1: the times of the columns do not rise; ",
        ),
        (
            VALENCE,
            lambda t: t.replace("sample_15500ms", "sample_14500ms"),
            r"valence\.csv:1: the times of the columns do not rise; ",
        ),
        (VALENCE, lambda t: "song_id\n2\n", r"valence\.csv:1: the times of the columns do not r"),
        (VALENCE, lambda t: line_of(t, 1), r"valence\.csv: no songs below the header; "),
        (VALENCE, lambda t: "", r"valence\.csv: empty; "),
        (VALENCE, lambda t: t.replace("\n3,", '\n"3,'), r"valence\.csv:3: broken CSV"),
        (
            AROUSAL,
            with_cell(3, '"-0,109"'),
            r'arousal\.csv:3: song 3, 15 s: "-0,109" is not a finite number; write decimal p',
        ),
        (AROUSAL, with_cell(3, '"1,00E-01"'), r'arousal\.csv:3: .*: "1,00E-01" is not a finite'),
        (AROUSAL, with_cell(3, "#REF!"), r'arousal\.csv:3: .* "#REF!" is not a finite number; t'),
        (AROUSAL, with_cell(3, "nan"), r'arousal\.csv:3: .* "nan" is not a finite number; take'),
        (AROUSAL, with_cell(3, "-inf"), r'arousal\.csv:3: .* "-inf" is not a finite number; '),
        (AROUSAL, with_cell(3, ""), r'arousal\.csv:3: song 3, 15 s: "" is not a finite number'),
        (VALENCE, with_cell(3, "1.01"), r"valence\.csv:3: song 3, 15 s: 1\.01 is out of range "),
        (VALENCE, with_cell(3, "-6"), r"valence\.csv:3: song 3, 15 s: -6 is out of range -1 \.\."),
        (
            VALENCE,
            lambda t: t.replace("\n3,", "\n2,"),
            r"valence\.csv:3: song 2 is there already; ",
        ),
        (
            VALENCE,
            lambda t: t.replace("\n3,", "\ndeam 3,"),
            r'valence\.csv:3: song_id "deam 3" is not a whole number; ',
        ),
        (
            VALENCE,
            lambda t: t + "2003" + 16 * ",0" + "\n",
            r"valence\.csv:8: song 2003: 16 labels under 15 columns; ",
        ),
        (
            VALENCE,
            lambda t: t + "2003,0\n",
            r"arousal\.csv: no song 2003, which valence\.csv has; take both",
        ),
        (
            AROUSAL,
            lambda t: t + "7,0\n",
            r"valence\.csv: no song 7, which arousal\.csv has; take both",
        ),
        (
            VALENCE,
            lambda t: re.sub(r"(?m)^(2002,.*),[^,]*,[^,\n]*$", r"\1,,", t),
            r"valence\.csv: song 2002 has 13 labels, and 15 in arousal\.csv; ",
        ),
        (
            "development_set_2015.csv",
            lambda t: t + "1500,15.0,0,0\n",
            r"development_set_2015\.csv: not in the annotations: 1500; ",
        ),
        (
            "development_set_2015.csv",
            lambda t: t + "2,21.0,0,1.5\n",
            r"development_set_2015\.csv:50: valence_me15 1\.5 is out of range; labels are -1",
        ),
        (
            "development_set_2015.csv",
            lambda t: t + "2,15.0,0,0\n",
            r'development_set_2015\.csv:50: time 15 s of song "2" is on line 2 already; ',
        ),
        (
            "development_set_2015.csv",
            lambda t: t + "two,15.0,0,0\n",
            r"development_set_2015\.csv:50: no song; write its number in column song_id",
        ),
        (
            "metadata/metadata_2013.csv",
            lambda t: t.replace("Genre", "genre"),
            r"metadata_2013\.csv:1: no column Genre, found song_id, ",
        ),
        (
            "metadata/metadata_2013.csv",
            lambda t: t.replace(",", ";"),
            r"metadata_2013\.csv:1: columns separated by semicolons; ",
        ),
        (
            "metadata/metadata_2013.csv",
            lambda t: t.replace("\n3,", "\n2,"),
            r"metadata_2013\.csv:3: song 2 is there already; ",
        ),
        (
            "metadata/metadata_2015.csv",
            lambda t: t.replace("\n2001,", "\n,"),
            r"metadata_2015\.csv:2: no song_id; ",
        ),
    ],
)
def test_each_problem_is_the_only_line(deam, file, change, expected):
    edit(deam, file, change)
    (line,) = problems(deam)
    assert re.match(expected, line)


@pytest.mark.parametrize("width", [256, 1024])
def test_curves_cut_by_a_spreadsheet(tmp_path, width):
    names = [f"sample_{15000 + 500 * k}ms" for k in range(width)]
    text = ",".join(["song_id", *names[:-1]]) + "\n2001" + (width - 1) * ",0.1" + "\n"
    whole = ",".join(["song_id", *names]) + "\n2001" + width * ",0.1" + "\n"
    (line,) = problems(curves(tmp_path / "cut", whole, text), rows=False)
    assert line.startswith(f"arousal.csv:1: cut at {width} columns, as by a spreadsheet; ")
    assert len(read_deam(curves(tmp_path / "whole", whole, whole), rows=False).songs) == 1


def test_all_problems_at_once(deam):
    edit(deam, AROUSAL, with_cell(3, "x"))
    edit(deam, VALENCE, with_cell(2, "3"))
    (deam / "metadata" / "metadata_2015.csv").unlink()
    (deam / "features" / "1001.csv").unlink()
    starts = ["valence.csv:2: ", "arousal.csv:3: ", "metadata/metadata_2015.csv: ", "features: "]
    lines = problems(deam)
    assert len(lines) == len(starts)
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)


def assert_same(corpus, other):
    assert [song.name for song in corpus.songs] == [song.name for song in other.songs]
    for one, two in zip(corpus.songs, other.songs, strict=True):
        np.testing.assert_array_equal(one.starts, two.starts)
        np.testing.assert_array_equal(one.labels, two.labels)
        assert one.genres == two.genres


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "\ufeff" + t.replace("\n", "\r\n"),
        lambda t: re.sub(r"[^,\n]+", r'"\g<0>"', t),
        lambda t: t.replace("\n", ",,,\n") + ",,,,\n\n",
        lambda t: re.sub(r"(?m),+$", "", t),
        lambda t: re.sub(r"(?m)^(\d+),", r"\1.0,", t),
    ],
    ids=["windows", "quoted", "padded", "not padded", "ids with a point"],
)
def test_what_a_spreadsheet_leaves_readable(deam, change):
    sound = read_deam(deam)
    for file in (AROUSAL, VALENCE, "metadata/metadata_2013.csv"):
        edit(deam, file, change)
    assert_same(read_deam(deam), sound)


def test_files_of_the_operating_system(deam):
    sound = read_deam(deam)
    for name in (".DS_Store", "features/._2.csv", "features/Thumbs.db", f"{CURVES}/._arousal.csv"):
        (deam / name).write_bytes(b"\0\1")
    corpus = read_deam(deam)
    assert_same(corpus, sound)
    assert corpus.notes == (
        *sound.notes,
        "ignored files of an operating system (4): .DS_Store, "
        f"{CURVES}/._arousal.csv, features/._2.csv, features/Thumbs.db",
    )


def test_oddities_of_the_metadata(deam):
    """Tabs in values, columns without a name, a comma that shifts a row, letters not in UTF-8."""
    (deam / "metadata" / "metadata_2013.csv").write_text(
        'song_id,album,artist,title,Genre\n2,"\t2.mp3","X\t","\tY\t","\tBlues\t"\n3,a,b,c,\n'
    )
    (deam / "metadata" / "metadata_2015.csv").write_bytes(
        b"song_id,title,artist,album,Genre,,,\n2001,Go,No, Really,n/a,folk,,\n"
        b"2002,Caf\xe9,A,n/a,rock,pop,indie,\n"
    )
    corpus = read_deam(deam)
    genres = {song.name: song.genres for song in corpus.songs}
    assert genres["2"] == ("blues",)
    assert genres["3"] == ()
    assert genres["2001"] == ("folk & world",)
    assert genres["2002"] == ("rock",)
    assert corpus.notes[-1] == "no genre for 1 of 6 songs: 3"


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip("the research corpus DEAM is not on this machine")
    return read_deam(REAL, rows=False)


def test_the_real_songs(real):
    assert len(real.songs) == 431 + 58
    assert len(real.test) == 58
    assert not real.notes
    assert all(len(song.labels) == 60 for song in real.songs if song.name not in real.test)
    lengths = [len(song.labels) for song in real.songs if song.name in real.test]
    assert (min(lengths), max(lengths)) == (68, 1223)
    assert all(song.starts[0] == 15 for song in real.songs)
    assert all((np.diff(song.starts) == 0.5).all() for song in real.songs)
    assert all(np.abs(song.labels).max() < 1 for song in real.songs)


def test_seven_real_songs_whose_curves_differ_in_length(real):
    lengths = []
    for dimension in ("valence", "arousal"):
        rows = (REAL / CURVES / f"{dimension}.csv").read_text().splitlines()[1:]
        assert len(rows) == 1802
        lengths.append({row.split(",")[0]: len(row.rstrip(",").split(",")) - 1 for row in rows})
    odd = {song for song in lengths[0] if lengths[0][song] != lengths[1][song]}
    assert odd == {"2002", "2011", "2020", "2027", "2036", "2042", "2045"}
    for song in real.songs:
        assert len(song.labels) == min(lengths[0][song.name], lengths[1][song.name])


def test_the_real_genres(real):
    assert all(song.genres for song in real.songs)
    test = genre_weights([song for song in real.songs if song.name in real.test])
    development = genre_weights([song for song in real.songs if song.name not in real.test])
    assert test.keys() <= development.keys()
    counts = {"blues": 1, "classical": 6, "electronic": 6, "folk & world": 13, "hip-hop": 4}
    counts |= {"jazz": 8, "pop": 9, "rock": 11}
    assert {genre: round(58 * share, 6) for genre, share in test.items()} == counts


def test_the_real_scale_of_2015(real):
    """The same curves, wider: within a song, 1.7 times."""
    corpus = read_deam(REAL, "me2015", rows=False)
    assert len(corpus.songs) == 431
    assert not corpus.test
    clips = [song for song in real.songs if song.name not in real.test]
    assert [song.name for song in corpus.songs] == [song.name for song in clips]
    ratios = [
        wide.labels.std(axis=0) / song.labels.std(axis=0)
        for wide, song in zip(corpus.songs, clips, strict=True)
    ]
    np.testing.assert_allclose(np.median(ratios, axis=0), 1.7, atol=0.1)


def test_all_the_real_clips_without_the_development_set(real, tmp_path):
    for piece in ("annotations", "metadata"):
        (tmp_path / piece).symlink_to(REAL / piece)
    corpus = read_deam(tmp_path, rows=False)
    assert len(corpus.songs) == 1744 + 58
    assert "all 1744 clips stand in" in corpus.notes[0]


def test_everything_wrong_is_named_together(tmp_path):
    """A re-saved label file, a missing piece and missing features, with harmless litter beside."""
    make_deam(tmp_path, clips=(2, 3, 1001), tests=(2001,))
    valence = tmp_path / CURVES / "valence.csv"
    valence.write_text(valence.read_text().replace(",", ";"))
    arousal = tmp_path / CURVES / "arousal.csv"
    arousal.write_bytes(arousal.read_bytes().replace(b"\n", b"\r\n"))
    (tmp_path / "metadata" / "metadata_2014.csv").unlink()
    (tmp_path / "features" / "3.csv").unlink()
    (tmp_path / "features" / "2001.csv").unlink()
    (tmp_path / ".DS_Store").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        read_deam(tmp_path)
    first, *lines = str(caught.value).splitlines()
    assert first.endswith("3 problems")
    for line, (where, problem) in zip(
        lines,
        [
            ("valence.csv:1", "semicolons"),
            ("metadata/metadata_2014.csv", "not there"),
            ("features", "nothing for 2 of 4 songs (3, 2001)"),
            ("note", "ignored files of an operating system (1): .DS_Store"),
            ("note", "Windows line ends in arousal.csv"),
        ],
        strict=True,
    ):
        assert line.startswith(f"{where}: ")
        assert problem in line
