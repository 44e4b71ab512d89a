"""Songs like a song: by the mean, the spread and the shape of their curves.

The squared distance of two songs is that of their means, plus that of their spreads (standard
deviations), plus that of their paths less their means, each path `POINTS` points of the plane,
warped in time (DTW: Sakoe & Chiba 1978, "Dynamic programming algorithm optimization for spoken word
recognition", with a band of `BAND` points to either side; the sum along the best warping is divided
by `POINTS`).

The search is exact. Means and spreads alone are a lower bound of the distance, and so is that bound
with the paths' means over `SEGMENT` points against the envelope of the path sought (Keogh &
Ratanamahatana 2005, "Exact indexing of dynamic time warping"): what cannot be among the nearest is
left out, only the rest is warped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from moodcurve.library.store import POINTS

BAND = 4  # points
SEGMENT = 4  # points
COLUMNS = ("valence", "arousal", "valence_sd", "arousal_sd", "valence_path", "arousal_path")
"""What shapes are made of."""

_SEEDS = 256  # songs that are warped first, to know what is near
_BATCH = 2048  # songs warped at once
_BLOCK = 16384  # songs compared at once

Array = NDArray[np.float32]


class Shapes(NamedTuple):
    """The curves of N songs, in short.

    Attributes:
        points: (N,) each: mean valence and arousal, their standard deviations.
        paths: (N, 2, POINTS), less their means.
        segments: (N, 2, POINTS / 4), means of the paths over `SEGMENT` points.
    """

    points: Sequence[Array]
    paths: Array
    segments: Array

    def at(self, songs: NDArray[np.intp]) -> Shapes:
        """The shapes of some of the songs."""
        points = [column[songs] for column in self.points]
        return Shapes(points, self.paths[songs], self.segments[songs])


def shapes(songs: pa.Table) -> Shapes:
    """The shapes of songs, of a table with `COLUMNS` and no missing values."""
    points = np.array([songs[name].to_numpy() for name in COLUMNS[:4]], np.float32)
    paths = np.empty((songs.num_rows, 2, POINTS), np.float32)
    for dimension, name in enumerate(COLUMNS[4:]):
        flat = songs[name].combine_chunks().flatten().to_numpy()
        paths[:, dimension] = flat.reshape(-1, POINTS)
    paths -= points[:2].T[..., None]
    return Shapes(
        list(points), paths, paths.reshape(-1, 2, POINTS // SEGMENT, SEGMENT).mean(axis=3)
    )


def nearest(
    shapes: Shapes, one: Shapes, count: int, left_out: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.intp], Array]:
    """The songs of `shapes` nearest to the single song `one`, and their distances, in order.

    There are `count` of them, or as many as there are songs without those `left_out` (N,).
    """
    coarse = _apart(shapes.points, one.points)
    total = len(coarse)
    if left_out is not None:
        coarse[left_out] = np.inf
        count = min(count, int(total - left_out.sum()))
    count = min(count, total)
    seeds = lowest(coarse, max(_SEEDS, count))
    found, squares = _best(seeds, coarse[seeds] + warped(shapes.paths[seeds], one.paths[0]), count)
    if total == len(seeds):
        return found, np.sqrt(squares)
    left = np.flatnonzero(coarse < squares[-1])
    left = left[~np.isin(left, seeds)]
    bounds = coarse[left] + _lower_bound(shapes.segments[left], one.paths[0])
    order = np.argsort(bounds)
    left, bounds = left[order], bounds[order]
    for first in range(0, len(left), _BATCH):
        batch = left[first : first + _BATCH]
        if bounds[first] >= squares[-1]:
            break
        exact = coarse[batch] + warped(shapes.paths[batch], one.paths[0])
        found, squares = _best(np.append(found, batch), np.append(squares, exact), count)
    return found, np.sqrt(squares)


def _apart(points: Sequence[Array], one: Sequence[Array]) -> Array:
    """Squared distances (N,) of the points from one: block by block, in the processor's cache."""
    apart = np.empty(len(points[0]), np.float32)
    for first in range(0, len(apart), _BLOCK):
        block = slice(first, first + _BLOCK)
        apart[block] = sum((column[block] - x) ** 2 for column, x in zip(points, one, strict=True))
    return apart


def lowest(values: NDArray[np.floating[Any]], count: int) -> NDArray[np.intp]:
    """Where at least `count` of the lowest values are, by what a sample says where that does."""
    if len(values) <= 2 * count:
        return np.arange(len(values))
    sample = values[:: max(1, len(values) // _BLOCK)]
    limit = np.partition(sample, rank := 2 * count * len(sample) // len(values))[rank]
    found = np.flatnonzero(values <= limit)
    return found if count <= len(found) <= 4 * count else np.argpartition(values, count)[:count]


def warped(paths: Array, one: Array) -> Array:
    """Squared distance (N,) of paths (N, 2, POINTS) from one path (2, POINTS), warped in time."""
    columns = np.ascontiguousarray(paths.transpose(1, 2, 0))  # (2, POINTS, N)
    shape = (POINTS + 1, paths.shape[0])
    before = np.full(shape, np.inf, np.float32)  # costs of the row above, from column -1 on
    before[0] = 0
    for row in range(POINTS):
        low, high = max(0, row - BAND), min(POINTS, row + BAND + 1)
        apart = columns[0, low:high] - one[0, row]
        apart *= apart
        other = columns[1, low:high] - one[1, row]
        apart += other * other
        above = np.minimum(before[low:high], before[low + 1 : high + 1])
        costs = np.full(shape, np.inf, np.float32)
        for k in range(high - low):
            np.minimum(above[k], costs[low + k], out=above[k])
            np.add(above[k], apart[k], out=costs[low + k + 1])
        before = costs
    found: Array = before[POINTS] / np.float32(POINTS)
    return found


def _lower_bound(segments: Array, one: Array) -> Array:
    """What `warped` is at least, (N,), from the paths' segments (N, 2, S)."""
    padded = np.pad(one, ((0, 0), (BAND, BAND)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * BAND + 1, axis=1)
    upper = around.max(axis=2).reshape(2, -1, SEGMENT).max(axis=2)
    lower = around.min(axis=2).reshape(2, -1, SEGMENT).min(axis=2)
    outside = np.maximum(np.maximum(segments - upper, lower - segments), 0)
    bound: Array = (outside**2).sum(axis=(1, 2)) * np.float32(SEGMENT / POINTS)
    return bound


def _best(songs: NDArray[np.intp], squares: Array, count: int) -> tuple[NDArray[np.intp], Array]:
    order = np.lexsort((songs, squares))[:count]
    return songs[order], squares[order]
