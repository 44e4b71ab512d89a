import errno
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import tone
from moodcurve import InputError, rows
from moodcurve.audio import SAMPLE_RATE, read
from moodcurve.corpora import rows as corpus_rows
from moodcurve.corpora.folder import Song, read_corpus
from moodcurve.corpora.rows import labelled_rows
from moodcurve.errors import Unfinished
from moodcurve.export.csv import write_features
from moodcurve.rows import all_rows_of

DYNAMIC = "song,time_s,valence,arousal\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOODCURVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def here(monkeypatch):
    """Work in this process, where it can be watched."""
    monkeypatch.setattr(corpus_rows, "in_processes", map)


def corpus(folder, songs, static="", dynamic=""):
    """Make a corpus of songs, {file name: seconds}."""
    (folder / "audio").mkdir(parents=True)
    for number, (name, seconds) in enumerate(songs.items()):
        soundfile.write(folder / "audio" / name, tone(seconds, 100 + 50 * number), SAMPLE_RATE)
    if static:
        (folder / "static.csv").write_text("song,valence,arousal\n" + static)
    if dynamic:
        (folder / "dynamic.csv").write_text(DYNAMIC + dynamic)
    return read_corpus(folder).songs


def test_a_full_disk_is_said_once(tmp_path, here, monkeypatch):
    songs = corpus(tmp_path / "mine", {"a.wav": 1, "b.wav": 1}, static="a,0,0\nb,0,0\n")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Unfinished, match=r"^\S+ cannot be written \(No space left .*; make room$"):
        labelled_rows(songs)


def test_labels_are_joined_by_time(tmp_path, here):
    """a: labels of the half-seconds from 1 to 2.5 s; b: two of one second; c: one for all."""
    songs = corpus(
        tmp_path / "mine",
        {"a.wav": 3, "b.wav": 2.2, "c.wav": 1},
        static="c,0.5,-0.5\n",
        dynamic="a,1,0.1,-0.1\na,1.5,0.2,-0.2\na,2,0.3,-0.3\nb,0,0,1\nb,1,0.5,0\n",
    )
    a, b, c = labelled_rows(songs)
    nan = np.nan
    assert [song.song.name for song in (a, b, c)] == ["a", "b", "c"]
    np.testing.assert_allclose(a.labels[:, 0], [nan, nan, 0.1, 0.2, 0.3, nan], rtol=1e-6)
    np.testing.assert_allclose(a.labels[:, 1], [nan, nan, -0.1, -0.2, -0.3, nan], rtol=1e-6)
    # centres at 0.5 and 1.5 s, midpoints at 0.25, 0.75, ..., the last one outside
    np.testing.assert_allclose(b.labels[:, 0], [0, 0.125, 0.375, 0.5, nan], rtol=1e-6)
    np.testing.assert_allclose(b.labels[:, 1], [1, 0.75, 0.25, 0, nan], rtol=1e-6)
    np.testing.assert_array_equal(c.labels, [[0.5, -0.5]] * 2)
    for song in (a, b, c):
        assert song.rows.shape == (len(song.labels), 483)
        assert (song.rows.dtype, song.labels.dtype) == (np.float32, np.float32)
        np.testing.assert_array_equal(
            song.rows, all_rows_of(lambda song=song: [read(song.song.audio)])
        )


def test_in_several_processes(tmp_path, cache):
    songs = corpus(
        tmp_path / "mine", {"a.wav": 1, "b.wav": 0.6, "c.wav": 1.5}, "a,0,0\nb,1,1\nc,0,1\n"
    )
    found = labelled_rows(songs)
    assert [song.song.name for song in found] == ["a", "b", "c"]
    assert [len(song.rows) for song in found] == [2, 2, 3]
    assert len(list(cache.iterdir())) == 3


def test_the_cache_is_used(tmp_path, here, monkeypatch):
    songs = corpus(tmp_path / "mine", {"a.wav": 1}, "a,0,0\n")
    (first,) = labelled_rows(songs)

    def fail(*arguments, **options):
        raise AssertionError("extracted again")

    monkeypatch.setattr(rows, "RowStream", fail)
    (second,) = labelled_rows(songs)
    np.testing.assert_array_equal(first.rows, second.rows)
    with pytest.raises(AssertionError, match="extracted again"):
        labelled_rows(songs, window=0.5)


@pytest.mark.parametrize("where", ["here", "processes"])
def test_all_bad_songs_at_once(tmp_path, monkeypatch, where):
    if where == "here":
        monkeypatch.setattr(corpus_rows, "in_processes", map)
    songs = corpus(
        tmp_path / "mine",
        {"bad.wav": 1, "early.wav": 1, "gone.wav": 1, "good.wav": 1, "short.wav": 0.2},
        static="bad,0,0\ngone,0,0\ngood,0,0\nshort,0,0\n",
        dynamic="early,30,0,0\n",
    )
    audio = tmp_path / "mine" / "audio"
    (audio / "bad.wav").write_text("no sound")
    (audio / "gone.wav").unlink()
    with pytest.raises(InputError) as caught:
        labelled_rows(songs)
    bad, early, gone, short = str(caught.value).splitlines()
    assert bad.startswith(f"{audio / 'bad.wav'}: not a sound file")
    assert early == f"{audio / 'early.wav'}: ends before its first label; check its times"
    assert gone.startswith(f"{audio / 'gone.wav'}: cannot be read (No such file")
    assert short.startswith(f"{audio / 'short.wav'}: shorter than half a second")


def official(path, count, first=0.0):
    """Write a feature file whose rows start `first` seconds into the song; return the rows."""
    rows = np.random.default_rng(count).normal(size=(count, 260)).astype(np.float32)
    with path.open("w") as file:
        write_features(rows, file)
    header, *lines = path.read_text().splitlines()
    moved = [f"{first + k / 2};{line.split(';', 1)[1]}" for k, line in enumerate(lines)]
    path.write_text("\n".join([header, *moved]))
    return rows


def featured(path, starts):
    starts = np.array(starts, float)
    labels = np.stack([starts / 100, -starts / 100], axis=1)
    return Song(path.stem, None, starts, labels, features=path)


def test_official_features_are_joined_by_time_not_by_row(tmp_path, here):
    """Rows from 14 s on, labels from 15 s on: labels begin at the third row."""
    rows = official(tmp_path / "5.csv", 5, first=14)
    (found,) = labelled_rows([featured(tmp_path / "5.csv", [15, 15.5, 16, 16.5])])
    np.testing.assert_allclose(found.rows, rows, rtol=1e-6)
    valence = [np.nan, np.nan, 0.15, 0.155, 0.16]
    np.testing.assert_allclose(found.labels, np.transpose([valence, np.negative(valence)]))
    assert (found.rows.dtype, found.labels.dtype) == (np.float32, np.float32)


def test_features_and_audio_in_one_corpus_keep_their_order(tmp_path, here):
    a, b = corpus(tmp_path / "mine", {"a.wav": 1, "b.wav": 1.5}, "a,0,0\nb,1,1\n")
    official(tmp_path / "5.csv", 4)
    found = labelled_rows([a, featured(tmp_path / "5.csv", [0, 0.5]), b])
    assert [song.song.name for song in found] == ["a", "5", "b"]
    assert [len(song.rows) for song in found] == [2, 4, 3]


def test_problems_of_features_are_all_named(tmp_path, here):
    official(tmp_path / "5.csv", 4)
    (tmp_path / "6.csv").write_text("frameTime\n")
    nothing = Song("7", None, np.zeros(1), np.zeros((1, 2)))
    late, bad = featured(tmp_path / "5.csv", [15, 15.5]), featured(tmp_path / "6.csv", [0, 0.5])
    with pytest.raises(InputError) as caught:
        labelled_rows([late, bad, nothing])
    first, second, third = str(caught.value).splitlines()
    assert first == f"{tmp_path / '5.csv'}: ends before its first label; check its times"
    assert second.startswith(f"{tmp_path / '6.csv'}:1: 260 of 261 columns missing")
    assert third.startswith("song 7: neither features nor audio; ")


def test_official_features_have_one_window(tmp_path, here):
    official(tmp_path / "5.csv", 4)
    song = featured(tmp_path / "5.csv", [0, 0.5])
    with pytest.raises(InputError, match=r"5\.csv: windows of 1 s, and 0\.5 s are needed; use"):
        labelled_rows([song], window=0.5)
