import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodcurve.corpora.folder import Song, read_corpus
from moodcurve.errors import InputError

REAL = Path(__file__).resolve().parents[2] / "shared" / "corpora"

DYNAMIC = "song,time_s,valence,arousal\nb,0,0.1,-0.2\nb,0.5,0.3,0.4\n"
STATIC = "song,valence,arousal\na,-1,1\n"


def make(folder, audio=("a.wav", "b.mp3"), **tables):
    """Write a corpus; by default `a` is static and `b` is dynamic."""
    texts = {"dynamic": DYNAMIC, "static": STATIC} | tables
    (folder / "audio").mkdir(parents=True)
    for name in audio:
        (folder / "audio" / name).touch()
    for name, text in texts.items():
        if text is not None:
            data = text if isinstance(text, bytes) else text.encode()
            (folder / f"{name}.csv").write_bytes(data)
    return folder


def problems(folder):
    with pytest.raises(InputError) as caught:
        read_corpus(folder)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{folder}: {len(lines)} problem{'s' if len(lines) > 1 else ''}"
    return lines


def song(starts, labels):
    return Song("x", Path("x.wav"), np.array(starts, float), np.array(labels, float))


def test_both_tables_and_details(tmp_path):
    songs = "song,mood,genre,group\nb,x,jazz,\na,y,,one\n"
    corpus = read_corpus(make(tmp_path / "mine", songs=songs))
    assert corpus.name == "mine"
    assert corpus.folder == tmp_path / "mine"
    a, b = corpus.songs
    assert (a.name, a.group, a.genre) == ("a", "one", None)
    assert (b.name, b.group, b.genre) == ("b", None, "jazz")
    assert b.audio == tmp_path / "mine" / "audio" / "b.mp3"
    assert a.starts.shape == (0,)
    np.testing.assert_array_equal(a.labels, [[-1, 1]])
    np.testing.assert_array_equal(b.starts, [0, 0.5])
    np.testing.assert_array_equal(b.labels, [[0.1, -0.2], [0.3, 0.4]])


def test_a_spreadsheets_oddities_are_read(tmp_path):
    """A byte order mark, Windows line ends, quotes, other columns in another order, blank rows."""
    static = '\ufeffarousal,song, valence ,note\r\n1," a, b ",-1,"two\r\nlines"\r\n,,,\r\n\r\n'
    (found,) = read_corpus(make(tmp_path, ["a, b.FLAC"], dynamic=None, static=static)).songs
    assert found.name == "a, b"
    np.testing.assert_array_equal(found.labels, [[-1, 1]])


def test_rows_of_songs_may_alternate(tmp_path):
    rows = "song,time_s,valence,arousal\nb,0,0,0\na,1,1,1\nb,1,0.5,0\na,3,1,0\n"
    a, b = read_corpus(make(tmp_path, dynamic=rows, static=None)).songs
    np.testing.assert_array_equal(a.starts, [1, 3])
    np.testing.assert_array_equal(b.starts, [0, 1])


def test_accented_names_match_in_either_unicode_form(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    static = f"song,valence,arousal\n{composed},0,0\n"
    (found,) = read_corpus(make(tmp_path, [f"{decomposed}.wav"], dynamic=None, static=static)).songs
    assert found.name == composed
    assert found.audio.is_file()


def test_other_files_are_no_songs(tmp_path):
    audio = ["a.wav", "b.mp3", ".DS_Store", "._a.mp3", "._b.wav", "cover.jpg"]
    assert len(read_corpus(make(tmp_path, audio)).songs) == 2


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"none: no such folder; .+"):
        read_corpus(tmp_path / "none")


HEADER = "song,time_s,valence,arousal\n"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"dynamic": None, "static": None}, r"dynamic\.csv: neither .* nor static\.csv"),
        (
            {"static": "song,Valence,energy\na,0,0\n"},
            r"static\.csv:1: no column valence, arousal, found song, Valence, energy; .*",
        ),
        (
            {"static": "song,valence,arousal,song\na,0,0,a\n"},
            r"static\.csv:1: 2 columns named song",
        ),
        ({"static": "song;valence;arousal\na;0,1;0\n"}, r"static\.csv:1: .*semicolons; .*commas"),
        ({"static": "song\tvalence\tarousal\na\t0\t0\n"}, r"static\.csv:1: .*tabs; .*commas"),
        ({"static": b"song,valence,arousal\na,0,0\n\xe9,0,0\n"}, r"static\.csv:3: not UTF-8"),
        ({"static": "song,valence,arousal\na,0,0".encode("utf-16")}, r"static\.csv:1: not UTF-8"),
        ({"static": ""}, r"static\.csv: empty; "),
        ({"static": "song,valence,arousal\n\n"}, r"static\.csv: no rows"),
        ({"songs": "song,group\n"}, r"songs\.csv: no rows"),
        ({"static": 'song,valence,arousal\na,0,0\n"b,1,1\nc,0,0\n'}, r"static\.csv:3: broken CSV"),
        ({"static": "song,valence,arousal\na,0,5,0,1\n"}, r"static\.csv:2: 5 cells .* of 3; "),
        ({"static": STATIC + ",0,0\n"}, r"static\.csv:3: no song; "),
        (
            {"static": 'song,valence,arousal\na,"0,5",0\n'},
            r'static\.csv:2: valence "0,5" is not a ',
        ),
        ({"static": "song,valence,arousal\na,0,\n"}, r'static\.csv:2: arousal "" is not a finite'),
        ({"static": "song,valence,arousal\na,nan,0\n"}, r'static\.csv:2: valence "nan" is not a f'),
        ({"static": "song,valence,arousal\na,0,-inf\n"}, r'static\.csv:2: arousal "-inf" is not a'),
        (
            {"static": "song,valence,arousal\na,0,1.01\n"},
            r"static\.csv:2: arousal 1\.01 .*; labels are -1 \.\. 1; .* 1 \.\. 9 .* \(x - 5\) / 4",
        ),
        ({"dynamic": HEADER + "b,-0.5,0,0\n"}, r"dynamic\.csv:2: time_s -0\.5 is negative; "),
        (
            {"dynamic": HEADER + "b,0,0,0\nb,1,0,0\nb,0.0,1,1\n"},
            r'dynamic\.csv:4: time 0 s of song "b" is on line 2 already; ',
        ),
        (
            {"dynamic": HEADER + "b,1,0,0\nb,3,0,0\nb,2,0,0\nb,2.5,0,0\n"},
            r'dynamic\.csv:4: time 2 s of song "b" comes after 3 s; sort',
        ),
        ({"static": STATIC + "a,0,0\n"}, r'static\.csv:3: song "a" is on line 2 already; '),
        ({"songs": "song\na\nb\na\n"}, r'songs\.csv:4: song "a" is on line 2 already; '),
        ({"static": STATIC + "b,0,0\n"}, r'static\.csv:3: song "b" is in dynamic\.csv too; '),
        ({"static": STATIC + "c,0,0\n"}, r'static\.csv:3: no audio for song "c"; add'),
        ({"audio": ["a.txt"]}, r"audio: no sound files in this folder; "),
        (
            {"audio": ["a.wav"], "songs": "song\nb\n"},
            r'dynamic\.csv:2: no audio for song "b"; add audio/b\.wav',
        ),
        ({"audio": ["a.wav", "b.wav", "c.ogg"]}, r"audio/c\.ogg: no label; "),
        ({"audio": ["a.mp3", "a.wav", "b.wav"]}, r"audio/a\.wav: the same song as audio/a\.mp3; "),
        ({"songs": "song\nd\na\n"}, r'songs\.csv:2: no song "d" in the corpus; '),
    ],
)
def test_each_problem_is_the_only_line(tmp_path, change, expected):
    (line,) = problems(make(tmp_path, **change))
    assert re.match(expected, line)
    assert "; " in line


def test_a_table_that_is_a_folder(tmp_path):
    make(tmp_path, static=None)
    (tmp_path / "static.csv").mkdir()
    assert problems(tmp_path) == ["static.csv: Is a directory; make it a readable file"]


def test_all_problems_at_once(tmp_path):
    make(
        tmp_path,
        audio=["a.wav", "a.flac", "c.wav"],
        dynamic=HEADER + "b,-1,0,0\nb,-2,x,2\n",
        static=STATIC + "a,0,0\n",
        songs="title\na\n",
    )
    starts = [
        "songs.csv:1: no column song",
        "audio/a.wav: the same song",
        'dynamic.csv:2: no audio for song "b"',
        "audio/c.wav: no label",
        'dynamic.csv:3: time -2 s of song "b" comes after -1 s',
        "dynamic.csv:2: time_s -1 is negative",
        "dynamic.csv:3: time_s -2 is negative",
        'dynamic.csv:3: valence "x" is not',
        "dynamic.csv:3: arousal 2 is out of range",
        'static.csv:3: song "a" is on line 2',
    ]
    found = problems(tmp_path)
    assert len(found) == len(starts)
    for line, start in zip(found, starts, strict=True):
        assert line.startswith(start)


def test_a_long_list_is_cut(tmp_path):
    rows = "".join(f"b,{time},6,0\n" for time in range(25))
    with pytest.raises(InputError) as caught:
        read_corpus(make(tmp_path, dynamic=HEADER + rows))
    first, *lines, last = str(caught.value).splitlines()
    assert first == f"{tmp_path}: 25 problems"
    assert len(lines) == 20
    assert last == "and 5 more"


def test_labels_at_by_hand():
    """Intervals 1 .. 2, 2 .. 4, 4 .. 6 s with midpoints 1.5, 3, 5 s."""
    labels = song([1, 2, 4], [[0, 1], [0.6, 0], [-0.4, 0.5]])
    times = [0.99, 1, 1.5, 2.25, 3, 3.5, 5, 5.99, 6]
    valence = [np.nan, 0, 0, 0.3, 0.6, 0.35, -0.4, -0.4, np.nan]
    arousal = [np.nan, 1, 1, 0.5, 0, 0.125, 0.5, 0.5, np.nan]
    np.testing.assert_allclose(labels.labels_at(times), np.transpose([valence, arousal]))


def test_labels_on_the_half_second_grid_are_themselves():
    starts = 15 + 0.5 * np.arange(60)
    values = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    midpoints = 0.25 + 0.5 * np.arange(120)
    found = song(starts, values).labels_at(midpoints)
    np.testing.assert_allclose(found[30:90], values)
    assert np.isnan(found[:30]).all()
    assert np.isnan(found[90:]).all()


def test_the_first_genre_leads():
    named = Song("x", None, np.zeros(0), np.zeros((1, 2)), genres=("rock", "pop"))
    assert named.genre == "rock"
    assert song([], [[0, 0]]).genre is None


def test_a_single_label_lasts_to_the_end():
    found = song([2], [[0.1, 0.2]]).labels_at([1.9, 2, 1000])
    np.testing.assert_array_equal(found, [[np.nan, np.nan], [0.1, 0.2], [0.1, 0.2]])


def test_a_static_song_has_its_label_everywhere():
    found = song([], [[0.1, 0.2]]).labels_at([0, 2, 1000])
    np.testing.assert_array_equal(found, [[0.1, 0.2]] * 3)


def brute_labels(starts, labels, time):
    ends = [*starts[1:], starts[-1] + (starts[-1] - starts[-2])]
    centres = [(start + end) / 2 for start, end in zip(starts, ends, strict=True)]
    if not starts[0] <= time < ends[-1]:
        return [np.nan, np.nan]
    if time <= centres[0]:
        return labels[0]
    for k in range(1, len(centres)):
        if time <= centres[k]:
            share = (time - centres[k - 1]) / (centres[k] - centres[k - 1])
            return (1 - share) * labels[k - 1] + share * labels[k]
    return labels[-1]


@given(
    st.lists(st.integers(0, 60), min_size=2, max_size=8, unique=True),
    st.integers(0, 2**32 - 1),
)
def test_labels_at_like_brute_force(starts, seed):
    starts = sorted(starts)
    labels = np.random.default_rng(seed).uniform(-1, 1, (len(starts), 2))
    times = np.arange(0, 130, 0.375)
    expected = [brute_labels(starts, labels, time) for time in times]
    np.testing.assert_allclose(song(starts, labels).labels_at(times), expected, atol=1e-12)


@pytest.mark.parametrize(("name", "songs", "labels"), [("clips", 9, 534), ("excerpts", 261, 261)])
def test_the_real_corpora(name, songs, labels):
    if not (REAL / name).is_dir():
        pytest.skip(f"the research corpus {name} is not on this machine")
    corpus = read_corpus(REAL / name)
    assert len(corpus.songs) == songs
    assert sum(len(song.labels) for song in corpus.songs) == labels
    assert all(song.audio.is_file() for song in corpus.songs)
    assert all(np.abs(song.labels).max() <= 1 for song in corpus.songs)
    if name == "excerpts":
        assert len({song.genre for song in corpus.songs}) == 10
