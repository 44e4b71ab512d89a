"""A corpus as training and evaluation need it: feature rows beside labels, joined by time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from tqdm import tqdm

from moodcurve.corpora.folder import Song
from moodcurve.errors import InputError
from moodcurve.features import HOP, WINDOW
from moodcurve.network import Array
from moodcurve.rows import cached_rows
from moodcurve.workers import in_processes


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """A song's feature rows (n, 260) and labels (n, 2), NaN where a half-second has none."""

    song: Song
    rows: Array
    labels: Array


def labelled_rows(songs: Sequence[Song], window: float = WINDOW) -> list[LabelledRows]:
    """Extract (or take from the cache) the rows of songs and join the labels to them by time.

    A half-second takes the label at its midpoint. One process a core, with a progress bar.

    Raises:
        InputError: one line for each song whose audio cannot be used or that has no label within
            its length.
    """
    found: list[LabelledRows] = []
    problems: list[str] = []
    outcomes = in_processes(partial(_rows_or_problem, window=window), songs)
    for song, outcome in zip(songs, _progress(outcomes, len(songs)), strict=True):
        if isinstance(outcome, str):
            problems.append(outcome)
            continue
        labels = song.labels_at(HOP * (np.arange(len(outcome)) + 0.5)).astype(np.float32)
        if np.isnan(labels).all():
            problems.append(f"{song.audio}: ends before its first label; check its times")
        found.append(LabelledRows(song, outcome, labels))
    if problems:
        raise InputError("\n".join(problems))
    return found


def _rows_or_problem(song: Song, window: float) -> Array | str:
    try:
        return cached_rows(song.audio, window)
    except InputError as error:
        return str(error)


def _progress(outcomes: Iterable[Array | str], total: int) -> Iterable[Array | str]:
    bar: Iterable[Array | str] = tqdm(
        outcomes, "features", total, unit=" songs", delay=2, disable=None, leave=False
    )
    return bar
