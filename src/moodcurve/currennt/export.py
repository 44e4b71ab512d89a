"""Labelled songs as CURRENNT data: a sequence for each stretch of half-seconds with labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from moodcurve.corpora.rows import LabelledRows
from moodcurve.currennt.data import Data


def as_data(songs: Sequence[LabelledRows]) -> Data:
    """Return the songs' official feature rows and labels, valence before arousal, unstandardised.

    Half-seconds without both labels are left out. A song's only stretch bears the song's name, of
    several each has a number: `song#1`, `song#2`. Tags may not hold a `;`, which ends them in
    CURRENNT's CSV: it becomes `,`.
    """
    data = Data([], [], targets := [])
    for song in (song.official() for song in songs):
        stretches = list(_stretches(song))
        name = song.song.name.replace(";", ",")
        for number, stretch in enumerate(stretches, start=1):
            data.tags.append(f"{name}#{number}" if len(stretches) > 1 else name)
            data.inputs.append(song.rows[stretch])
            targets.append(song.labels[stretch])
    return data


def _stretches(song: LabelledRows) -> Iterator[slice]:
    """Yield where labels run without a gap."""
    labelled = ~np.isnan(song.labels).any(axis=1)
    edges = np.flatnonzero(np.diff(labelled, prepend=False, append=False)).tolist()
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        yield slice(start, end)
