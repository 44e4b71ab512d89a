import errno
import os
import shutil

import numpy as np
import pytest
import soundfile

from moodcurve import InputError, rows
from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import COLUMNS, descriptors, summarise
from moodcurve.features.frames import frame_count
from moodcurve.rows import all_rows_of, cached_rows, levelled_rows_of, rows_of


def music(seconds, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 220 * t) * np.sin(2 * np.pi * 0.7 * t)
    return (0.2 * tone + 0.02 * rng.normal(size=len(t))).astype(np.float32)


@pytest.fixture
def quick(monkeypatch):
    """Random descriptors on the true time grid, for songs of 45 s in no time."""

    class Fake:
        def __init__(self, step):
            self.samples = 0

        def push(self, block):
            self.samples += len(block)
            return np.zeros((0, 65), np.float32)

        def finish(self):
            frames = frame_count(self.samples)
            return np.random.default_rng(0).normal(size=(frames, 65)).astype(np.float32)

    monkeypatch.setattr(rows, "Descriptors", Fake)


@pytest.mark.parametrize(
    ("seconds", "whole", "official"),
    [
        (0.5, 1, 1),
        (0.54, 1, 1),
        (0.56, 2, 1),
        (10.0, 20, 18),
        (45.0, 90, 88),
        (45.03, 90, 88),  # a rest of 30 ms has no row
        (45.2, 91, 89),
    ],
)
def test_row_counts(quick, seconds, whole, official):
    """A row for each half-second begun by more than 50 ms; official: whole windows of 1 s."""
    song = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    blocks = np.array_split(song, 3)
    assert rows_of(blocks).shape == (whole, 260)
    assert rows_of(iter(blocks), whole=False).shape == (official, 260)


def test_both_windows_cover_the_song_alike(quick):
    song = [np.zeros(10 * SAMPLE_RATE, np.float32)]
    assert len(rows_of(song, window=0.5)) == len(rows_of(song, window=4.0)) == 20
    assert len(rows_of(song, window=0.5, whole=False)) == 19
    assert len(rows_of(song, window=4.0, whole=False)) == 12


def test_rows_are_the_summaries_of_the_descriptors():
    song = music(2.3)
    expected = summarise(descriptors([song]), 5)
    assert (rows_of(np.array_split(song, 4)) == expected).all()
    assert (rows_of([song], whole=False) == expected[:3]).all()
    assert (rows_of([song], window=0.5) == summarise(descriptors([song]), 5, 0.5)).all()


@pytest.fixture
def song(tmp_path, monkeypatch):
    monkeypatch.setenv("MOODCURVE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "song.wav"
    soundfile.write(path, music(1.2), SAMPLE_RATE, subtype="FLOAT")
    return path


def fail(*arguments, **options):
    raise AssertionError("extracted again")


def entries(tmp_path):
    return sorted((tmp_path / "cache").iterdir())


def test_the_second_call_reads_the_cache(song, tmp_path, monkeypatch):
    first = cached_rows(song)
    assert first.shape == (3, len(COLUMNS))
    assert (first == all_rows_of(lambda: [music(1.2)])).all()
    (entry,) = entries(tmp_path)
    assert rows.VERSION in entry.name
    monkeypatch.setattr(rows, "RowStream", fail)
    assert (cached_rows(song) == first).all()


def test_why_the_cache_cannot_be_written_is_said(song):
    resource = pytest.importorskip("resource", reason="not on Windows")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(InputError, match=rf"written \({os.strerror(errno.EFBIG)}\)"):
            cached_rows(song)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_the_cache_goes_by_content_not_by_name(song, tmp_path, monkeypatch):
    first = cached_rows(song)
    renamed = shutil.copy(song, tmp_path / "another name.wav")
    with monkeypatch.context() as patched:
        patched.setattr(rows, "RowStream", fail)
        assert (cached_rows(renamed) == first).all()
    soundfile.write(song, music(1.2, seed=1), SAMPLE_RATE, subtype="FLOAT")
    assert (cached_rows(song) != first).any()
    assert len(entries(tmp_path)) == 2


def test_each_window_and_each_version_has_its_own_entry(song, tmp_path, monkeypatch):
    one, half = cached_rows(song), cached_rows(song, window=0.5)
    assert (one != half).any()
    monkeypatch.setattr(rows, "VERSION", "another")
    cached_rows(song)
    assert len(entries(tmp_path)) == 3


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "shape", "pickle"])
def test_a_damaged_entry_is_made_again(song, tmp_path, damage):
    first = cached_rows(song)
    (entry,) = entries(tmp_path)
    if damage == "cut":
        entry.write_bytes(entry.read_bytes()[:-100])
    elif damage == "text":
        entry.write_text("no array at all")
    elif damage == "empty":
        entry.write_bytes(b"")
    elif damage == "shape":
        np.save(entry, np.zeros((3, 7)))
    else:
        np.save(entry, np.array([{"an": "object"}]), allow_pickle=True)
    assert (cached_rows(song) == first).all()
    assert (np.load(entry) == first).all()
    assert entries(tmp_path) == [entry]


def test_where_the_cache_is(song, tmp_path, monkeypatch):
    monkeypatch.delenv("MOODCURVE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    cached_rows(song)
    assert len(list((tmp_path / "xdg" / "moodcurve").iterdir())) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cached_rows(song)
    assert len(list((tmp_path / "home" / ".cache" / "moodcurve").iterdir())) == 1


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_dithered_silence_is_silence(steps):
    """Noise of a step or two of 16 bits, as programs write it, beside music."""
    noise = np.random.default_rng(0).integers(-steps, steps + 1, 15 * SAMPLE_RATE) / 32768
    silence, song = noise.astype(np.float32), music(8)
    beside = levelled_rows_of([silence, song, silence], 3.0)
    assert not beside[:30].any()
    assert not beside[46:].any()
    np.testing.assert_array_equal(beside[30:46], levelled_rows_of([song], 3.0))


def test_music_just_above_dither_is_heard():
    quiet = music(3) * np.float32(3 / 32768 / 0.2)
    assert all_rows_of(lambda: [quiet]).any(axis=1).all()
