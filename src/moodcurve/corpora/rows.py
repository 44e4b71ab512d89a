"""A corpus as training and evaluation need it: feature rows beside labels, joined by time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from tqdm import tqdm

from moodcurve.corpora.feature_files import Rows, read_features
from moodcurve.corpora.folder import Song
from moodcurve.errors import InputError, Unfinished
from moodcurve.features import FEATURE_NAMES, HOP, WINDOW
from moodcurve.network import Array
from moodcurve.rows import cached_rows
from moodcurve.workers import in_processes


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """A song's feature rows and labels (n, 2), NaN where a half-second has none.

    Rows are (n, 483), columns as `features.COLUMNS`, NaN for families that are not known of the
    song; of the official features only (n, 260).
    """

    song: Song
    rows: Array
    labels: Array

    def official(self) -> LabelledRows:
        """The song with the 260 official features only."""
        return replace(self, rows=self.rows[:, : len(FEATURE_NAMES)])


def labelled_rows(
    songs: Sequence[Song], window: float = WINDOW, official_only: bool = False
) -> list[LabelledRows]:
    """Read, extract, or take from the cache the rows of songs; join the labels to them by time.

    A song with an official feature file has that file's rows, one with rows of other families
    these, any other its audio's (one process a core, with a progress bar): of all families at one
    level, or of the official features of the sound as it is. A half-second takes the label at its
    midpoint.

    Raises:
        InputError: one line for each song whose features or audio cannot be used or that has no
            label within its length.
    """
    heard = [n for n, song in enumerate(songs) if song.features is None and song.rows is None]
    extracted = in_processes(
        partial(_extracted, window=window, official_only=official_only),
        [songs[number] for number in heard],
    )
    outcomes = dict(zip(heard, _progress(extracted, len(heard)), strict=True))
    found: list[LabelledRows] = []
    problems: list[str] = []
    for number, song in enumerate(songs):
        outcome = outcomes[number] if number in outcomes else _read(song, window, official_only)
        if isinstance(outcome, str):
            problems.append(outcome)
            continue
        starts, rows = outcome
        labels = song.labels_at(starts + HOP / 2).astype(np.float32)
        if np.isnan(labels).all():
            source = song.features or song.audio
            problems.append(f"{source}: ends before its first label; check its times")
        found.append(LabelledRows(song, rows, labels))
    if problems:
        raise InputError("\n".join(problems))
    return found


def _extracted(song: Song, window: float, official_only: bool) -> Rows | str:
    """Return the rows of a song's audio and their starts, or the problem with it."""
    if song.audio is None:
        return f"song {song.name}: neither features nor audio; unpack them beside its labels"
    try:
        rows: Array = cached_rows(song.audio, window, official_only)
    except Unfinished:  # a full disk: no song's fault
        raise
    except InputError as error:
        return str(error)
    return np.arange(len(rows), dtype=np.float64) * HOP, rows


def _read(song: Song, window: float, official_only: bool) -> Rows | str:
    """Return the rows that a song comes with and their starts, or the problem with them."""
    if song.rows is not None:
        if official_only:
            needs = "this training needs the official features, which come of audio"
            return f"song {song.name}: only rows of other families; {needs}"
        return np.arange(len(song.rows), dtype=np.float64) * HOP, song.rows
    assert song.features is not None
    if window != WINDOW:
        problem = f"windows of {WINDOW:g} s, and {window:g} s are needed"
        return f"{song.features}: {problem}; use the song's audio"
    try:
        return read_features(song.features, song.name)
    except InputError as error:
        return str(error)


def _progress(outcomes: Iterable[Rows | str], total: int) -> Iterable[Rows | str]:
    bar: Iterable[Rows | str] = tqdm(
        outcomes, "features", total, unit=" songs", delay=2, disable=None, leave=False
    )
    return bar
