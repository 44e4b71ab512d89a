"""From audio to feature rows that cover the whole song, one every half-second."""

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from moodcurve.audio import SAMPLE_RATE, read_blocks
from moodcurve.errors import InputError
from moodcurve.features import (
    COLUMNS,
    HARMONY_NAMES,
    HOP,
    VERSION,
    WINDOW,
    Descriptors,
    Harmony,
    Summary,
    row_count,
)
from moodcurve.features.harmony import SECONDS as _NOTE_HOP
from moodcurve.features.harmony import frames_within
from moodcurve.files import replacing

_LEAST_REST = 0.05  # seconds of audio at a song's end that still get a row of their own
_BLOCK = 1 << 18  # samples that both extractors take in turn


def rows_of(blocks: Iterable[np.ndarray], window: float = WINDOW, whole: bool = True) -> np.ndarray:
    """The official features of a song given in blocks, (n, 260); else as `all_rows_of`.

    Args:
        blocks: mono float32 audio at 44.1 kHz, (n,) each.
        window: seconds of audio that a row summarises.
        whole: a row for every half-second of the song; else, as in official feature files, only
            rows whose whole window lies in the song.
    """
    stream = RowStream(window, harmony=False)
    found = [stream.push(block) for block in blocks]
    return np.concatenate([*found, stream.finish(whole)])


def all_rows_of(blocks: Iterable[np.ndarray], window: float = WINDOW) -> np.ndarray:
    """Feature rows of a song given in blocks, one for every half-second of it.

    Args:
        blocks: mono float32 audio at 44.1 kHz, (n,) each.
        window: seconds of audio that a row summarises.

    Returns:
        float32, shape (n, 283), columns as `features.COLUMNS`; row k begins at k / 2 s. A rest of
        a song under 50 ms has no row of its own.
    """
    stream = RowStream(window)
    found = [stream.push(block) for block in blocks]
    return np.concatenate([*found, stream.finish()])


class RowStream:
    """Feature rows of audio that comes in blocks; what it holds does not grow with the song.

    Args:
        window: seconds of audio that a row summarises.
        harmony: rows of 283 with harmony's columns; else of the 260 official ones.
        step: see `Descriptors`.
    """

    def __init__(self, window: float = WINDOW, harmony: bool = True, step: int = 250) -> None:
        self._window = window
        self._descriptors, self._summary = Descriptors(step), Summary(window)
        self._harmony = Harmony() if harmony else None
        self._notes = np.zeros((0, len(HARMONY_NAMES)))  # harmony's frames from `_first` on
        self._first = 0
        self._samples, self._frames, self._rows = 0, 0, 0  # so far

    def push(self, block: np.ndarray) -> np.ndarray:
        """Take the next samples; give the rows (m, 283) or (m, 260) that are now complete."""
        self._samples += len(block)
        found = [self._push(block[i : i + _BLOCK]) for i in range(0, max(1, len(block)), _BLOCK)]
        return np.concatenate(found)

    def finish(self, whole: bool = True) -> np.ndarray:
        """Give the rest: a row for every half-second, or only for those with a whole window."""
        values = self._descriptors.finish()
        self._frames += len(values)
        count = row_count(self._frames, self._window)
        if whole:
            count = max(1, int(np.ceil((self._samples / SAMPLE_RATE - _LEAST_REST) / HOP)))
        rest = count - self._rows
        rows = np.concatenate([self._summary.push(values), self._summary.finish(count)])[:rest]
        if self._harmony:
            self._notes = np.concatenate([self._notes, self._harmony.finish()])
        return self._with_harmony(rows)

    def _push(self, block: np.ndarray) -> np.ndarray:
        values = self._descriptors.push(block)
        self._frames += len(values)
        if self._harmony:
            self._notes = np.concatenate([self._notes, self._harmony.push(block)])
        return self._with_harmony(self._summary.push(values))

    def _with_harmony(self, rows: np.ndarray) -> np.ndarray:
        """Put harmony beside the next rows, the mean of its frames within each row's window.

        Like the summary's, windows that would run over the end are the last whole one.
        """
        numbers = np.arange(self._rows, self._rows + len(rows))
        self._rows += len(rows)
        if not self._harmony:
            return rows
        width = frames_within(self._window)
        last = max(0, self._first + len(self._notes) - width)
        begins = np.minimum(round(HOP / _NOTE_HOP) * numbers, last) - self._first
        harmony = [self._notes[begin : begin + width].mean(axis=0) for begin in begins]
        passed = max(0, min(round(HOP / _NOTE_HOP) * self._rows, last) - self._first)
        self._notes, self._first = self._notes[passed:], self._first + passed
        return np.hstack([rows, np.reshape(harmony, (-1, len(HARMONY_NAMES))).astype(np.float32)])


def cached_rows(path: Path, window: float = WINDOW) -> np.ndarray:
    """`all_rows_of` a sound file, kept on disk under the file's content.

    The cache is in `$MOODCURVE_CACHE`, else `$XDG_CACHE_HOME/moodcurve`, else
    `~/.cache/moodcurve`; it can be deleted at any time. Errors as of `audio.read_blocks`.
    """
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    entry = _cache_folder() / f"{content}-{VERSION}-{window:g}.npy"
    try:
        rows: np.ndarray = np.load(entry, allow_pickle=False)
        if rows.ndim == 2 and rows.shape[1] == len(COLUMNS):
            return rows
    except (OSError, ValueError, EOFError):
        pass  # not there yet, or damaged: made again
    rows = all_rows_of(read_blocks(path), window)
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
