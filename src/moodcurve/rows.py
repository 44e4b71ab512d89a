"""From audio to feature rows that cover the whole song, one every half-second."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from moodcurve.audio import SAMPLE_RATE, read_blocks
from moodcurve.errors import InputError
from moodcurve.features import (
    FEATURE_NAMES,
    HOP,
    VERSION,
    WINDOW,
    Summary,
    descriptor_blocks,
    row_count,
)
from moodcurve.files import replacing

_LEAST_REST = 0.05  # seconds of audio at a song's end that still get a row of their own


def rows_of(blocks: Iterable[np.ndarray], window: float = WINDOW, whole: bool = True) -> np.ndarray:
    """Feature rows of a song given in blocks.

    Args:
        blocks: mono float32 audio at 44.1 kHz, (n,) each.
        window: seconds of audio that a row summarises.
        whole: a row for every half-second of the song; else, as in official feature files, only
            rows whose whole window lies in the song.

    Returns:
        float32, shape (n, 260); row k begins at k / 2 s. A rest of a song under 50 ms has no row
        of its own.
    """
    samples, frames = 0, 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            yield block

    summary, found = Summary(window), []
    for values in descriptor_blocks(counted()):
        frames += len(values)
        found.append(summary.push(values))
    count = row_count(frames, window)
    if whole:
        count = max(1, int(np.ceil((samples / SAMPLE_RATE - _LEAST_REST) / HOP)))
    return np.concatenate([*found, summary.finish(count)])[:count]


def cached_rows(path: Path, window: float = WINDOW) -> np.ndarray:
    """`rows_of` a sound file, kept on disk under the file's content.

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
        if rows.ndim == 2 and rows.shape[1] == len(FEATURE_NAMES):
            return rows
    except (OSError, ValueError, EOFError):
        pass  # not there yet, or damaged: made again
    rows = rows_of(read_blocks(path), window)
    with replacing(entry) as part, part.open("wb") as file:
        np.save(file, rows, allow_pickle=False)
    return rows


def _cache_folder() -> Path:
    if own := os.environ.get("MOODCURVE_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "moodcurve"
