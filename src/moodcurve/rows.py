"""From audio to feature rows that cover the whole song, one every half-second."""

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from moodcurve.audio import SAMPLE_RATE, read_blocks
from moodcurve.errors import InputError
from moodcurve.features import (
    COLUMNS,
    FEATURE_NAMES,
    HARMONY_NAMES,
    HOP,
    LISTENER_NAMES,
    VERSION,
    WINDOW,
    Descriptors,
    Harmony,
    Listener,
    Summary,
    row_count,
)
from moodcurve.features.harmony import SECONDS as _NOTE_HOP
from moodcurve.features.harmony import frames_within
from moodcurve.files import replacing
from moodcurve.sound.loudness import Loudness, gain_to_level

Sound = Callable[[], Iterable[np.ndarray]]
"""Gives a song's blocks of mono float32 audio at 44.1 kHz, (n,) each, from its beginning."""

PAUSE = 20  # half-seconds of digital silence after which music begins anew
SILENT = 2.5 / 32768  # what no sample of digital silence reaches: two steps of 16 bits are dither

_HALF = round(HOP * SAMPLE_RATE)  # samples of a half-second
_LEAST_REST = 0.05  # seconds of audio at a song's end that still get a row of their own
_BLOCK = 1 << 18  # samples that the extractors take in turn


def rows_of(blocks: Iterable[np.ndarray], window: float = WINDOW, whole: bool = True) -> np.ndarray:
    """The official features of a song given in blocks, (n, 260), of the sound as it is.

    Args:
        blocks: mono float32 audio at 44.1 kHz, (n,) each.
        window: seconds of audio that a row summarises.
        whole: a row for every half-second of the song; else, as in official feature files, only
            rows whose whole window lies in the song. A rest of a song under 50 ms has no row of
            its own.
    """
    stream = RowStream(window, official_only=True)
    rows = [stream.push(block) for block in blocks]
    return np.concatenate([*rows, stream.finish(whole)])


def all_rows_of(sound: Sound, window: float = WINDOW) -> np.ndarray:
    """All families' rows of a song, one for every half-second of it, at one level.

    The sound is read twice: once for its loudness, once for its rows.

    Args:
        sound: gives the song's blocks.
        window: seconds of audio that a row of the official features and harmony summarises.

    Returns:
        float32, shape (n, 483), columns as `features.COLUMNS`; row k begins at k / 2 s. See
        `SongStream` for silence.
    """
    return levelled_rows_of(sound(), gain_of(sound()), window)


def gain_of(blocks: Iterable[np.ndarray]) -> float:
    """The factor that brings a song to the level that models hear songs at."""
    loudness = Loudness()
    for block in blocks:
        loudness.push(block)
    return gain_to_level(loudness.integrated())


def levelled_rows_of(
    blocks: Iterable[np.ndarray], gain: float, window: float = WINDOW
) -> np.ndarray:
    """Rows (n, 483) of a song in blocks, multiplied by a gain; see `all_rows_of`."""
    stream = SongStream(window)
    rows = [stream.push(block, gain) for block in blocks]
    return np.concatenate([*rows, stream.finish()])


class SongStream:
    """Rows of all families of a song that comes in blocks, silence left out of every one of them.

    A half-second is silent where no sample of the sound as it comes reaches `SILENT`; its row is 0
    throughout. Silence before and after the music is not heard at all: the rows of the music are
    those that it has alone. Nor is silence within it that is as long as `PAUSE`: what comes after
    is heard as a beginning. A shorter one is a pause of the music, and heard. What is held does not
    grow with the song, and no result depends on the size of the blocks.

    Args:
        window: seconds of audio that a row summarises.
        step: see `Descriptors`.
    """

    def __init__(self, window: float = WINDOW, step: int = 250) -> None:
        self._new = partial(RowStream, window, step=step)
        self._stream: RowStream | None = None  # of the music that is being heard
        self._silent = 0  # half-seconds of silence since its last sound
        self._half = np.zeros(0, np.float32)  # that is being filled, as it came
        self._gain = np.float32(1)

    def push(self, block: np.ndarray, gain: float = 1.0) -> np.ndarray:
        """Take the next samples, to be heard times `gain`; give the rows (m, 483) now complete."""
        samples = np.concatenate([self._half, np.asarray(block, np.float32)])
        self._gain = np.float32(gain)
        whole = len(samples) // _HALF * _HALF
        self._half = samples[whole:]
        return _joined([self._add(half) for half in samples[:whole].reshape(-1, _HALF)])

    def finish(self) -> np.ndarray:
        """Give the rest: with what was given before, a row for every half-second.

        A rest of a song under 50 ms has no row of its own.
        """
        rest = self._half
        if sounds(rest) or len(rest) < _LEAST_REST * SAMPLE_RATE:
            rows = [self._add(rest), self._end()]
        else:
            rows = [self._end(), _silence(1)]
        return _joined(rows)

    def _add(self, half: np.ndarray) -> np.ndarray:
        """Take a half-second, or the rest of one."""
        if not sounds(half):
            self._silent += len(half) == _HALF
            return self._end() if self._silent >= PAUSE or not self._stream else _silence(0)
        if not self._stream:
            self._stream = self._new()
        pause = np.zeros(self._silent * _HALF, np.float32)
        self._silent = 0
        return _joined([self._stream.push(pause), self._stream.push(half * self._gain)])

    def _end(self) -> np.ndarray:
        """The rows of the music that has ended, and of the silence since then."""
        rows = [self._stream.finish() if self._stream else _silence(0), _silence(self._silent)]
        self._stream, self._silent = None, 0
        return _joined(rows)


def sounds(samples: np.ndarray) -> bool:
    """Whether any sample is more than digital silence. NaN, which is no sound, is silence."""
    return bool((np.abs(samples) >= SILENT).any())


def _silence(count: int) -> np.ndarray:
    return np.zeros((count, len(COLUMNS)), np.float32)


def _joined(rows: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([_silence(0), *rows])


class RowStream:
    """Feature rows of audio that comes in blocks; what it holds does not grow with the song.

    Args:
        window: seconds of audio that a row of the official features and harmony summarises.
        official_only: rows of the 260 official features instead of all 483.
        step: see `Descriptors`.
    """

    def __init__(
        self, window: float = WINDOW, official_only: bool = False, step: int = 250
    ) -> None:
        self._window = window
        self._descriptors, self._summary = Descriptors(step), Summary(window)
        self._harmony = None if official_only else Harmony()
        self._listener = None if official_only else Listener()
        self._notes = np.zeros((0, len(HARMONY_NAMES)))  # harmony's frames from `_first` on
        self._first = 0
        self._summarised = np.zeros((0, len(FEATURE_NAMES)), np.float32)  # rows that wait for
        self._heard = np.zeros((0, len(LISTENER_NAMES)), np.float32)  # the other families'
        self._samples, self._frames, self._rows = 0, 0, 0  # so far

    def push(self, block: np.ndarray) -> np.ndarray:
        """Take the next samples; give the rows (m, 483) or (m, 260) that are now complete."""
        self._samples += len(block)
        rows = [self._push(block[i : i + _BLOCK]) for i in range(0, max(1, len(block)), _BLOCK)]
        return np.concatenate(rows)

    def finish(self, whole: bool = True) -> np.ndarray:
        """Give the rest: a row for every half-second, or only for those with a whole window."""
        values = self._descriptors.finish()
        self._frames += len(values)
        count = row_count(self._frames, self._window)
        if whole:
            count = max(1, int(np.ceil((self._samples / SAMPLE_RATE - _LEAST_REST) / HOP)))
        rest = count - self._rows - len(self._summarised)
        last = np.concatenate([self._summary.push(values), self._summary.finish(count)])[:rest]
        self._summarised = np.concatenate([self._summarised, last])
        if self._harmony and self._listener:
            self._notes = np.concatenate([self._notes, self._harmony.finish()])
            self._heard = np.concatenate([self._heard, self._listener.finish(count)])
        return self._complete(len(self._summarised))

    def _push(self, block: np.ndarray) -> np.ndarray:
        values = self._descriptors.push(block)
        self._frames += len(values)
        self._summarised = np.concatenate([self._summarised, self._summary.push(values)])
        if self._harmony and self._listener:
            self._notes = np.concatenate([self._notes, self._harmony.push(block)])
            self._heard = np.concatenate([self._heard, self._listener.push(block)])
            return self._complete(min(len(self._summarised), len(self._heard)))
        return self._complete(len(self._summarised))

    def _complete(self, count: int) -> np.ndarray:
        """The next rows, all families side by side."""
        official, self._summarised = np.split(self._summarised, [count])
        if self._listener:
            heard, self._heard = np.split(self._heard, [count])
            official = np.hstack([official, self._harmony_of(count), heard])
        self._rows += count
        return official

    def _harmony_of(self, count: int) -> np.ndarray:
        """Harmony of the next rows, the mean of its frames within each row's window.

        Like the summary's, windows that would run over the end are the last whole one.
        """
        numbers = np.arange(self._rows, self._rows + count)
        width = frames_within(self._window)
        last = max(0, self._first + len(self._notes) - width)
        begins = np.minimum(round(HOP / _NOTE_HOP) * numbers, last) - self._first
        harmony = [self._notes[begin : begin + width].mean(axis=0) for begin in begins]
        passed = min(round(HOP / _NOTE_HOP) * (self._rows + count), last) - self._first
        self._notes = self._notes[max(0, passed) :]
        self._first += max(0, passed)
        return np.reshape(harmony, (-1, len(HARMONY_NAMES))).astype(np.float32)


def cached_rows(path: Path, window: float = WINDOW, official_only: bool = False) -> np.ndarray:
    """`all_rows_of` a sound file, or its `rows_of`, kept on disk under the file's content.

    The cache is in `$MOODCURVE_CACHE`, else `$XDG_CACHE_HOME/moodcurve`, else
    `~/.cache/moodcurve`; it can be deleted at any time. Errors as of `audio.read_blocks`.
    """
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    kind = "official" if official_only else "all"
    entry = _cache_folder() / f"{content}-{VERSION}-{kind}-{window:g}.npy"
    width = len(FEATURE_NAMES) if official_only else len(COLUMNS)
    try:
        rows: np.ndarray = np.load(entry, allow_pickle=False)
        if rows.ndim == 2 and rows.shape[1] == width:
            return rows
    except (OSError, ValueError, EOFError):
        pass  # not there yet, or damaged: made again
    if official_only:
        rows = rows_of(read_blocks(path), window)
    else:
        rows = all_rows_of(partial(read_blocks, path), window)
    buffer = io.BytesIO()  # numpy's own writing does not tell a full disk from other errors
    np.save(buffer, rows, allow_pickle=False)
    with replacing(entry) as part:
        part.write_bytes(buffer.getbuffer())
    return rows


def _cache_folder() -> Path:
    if own := os.environ.get("MOODCURVE_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "moodcurve"
