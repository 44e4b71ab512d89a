"""How far off predictions are, learned from songs that they were not trained on.

Split by songs throughout: half-seconds of one song resemble each other, songs of one series too.
The networks were stopped on these songs, which flatters the errors, but one group speaks of each
song where a model has the mean of all, which does the reverse; what comes of both is measured on
songs never seen (docs/results.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from moodcurve.familiarity import Familiarity, apart, nearest, point
from moodcurve.network import Array
from moodcurve.spread import LEVEL, Spread, below_zero, edges, terms

Float64 = NDArray[np.float64]

AXES = 20  # at most, of the space in which songs are near or far
_ENOUGH = 10  # songs that a quadrant needs for factors of its own
_STEPS = 40  # by then a quadrant's share no longer moves


def fit_familiarity(
    songs: Sequence[Array], sets: Sequence[NDArray[np.int64]]
) -> tuple[Familiarity, Float64]:
    """Learn how far songs of other sets lie from one another.

    Args:
        songs: standardised inputs (n_i, F) of each song.
        sets: disjoint validation sets of song numbers.

    Returns:
        The familiarity, and each song's distances (S, S) from the songs of the other sets, or, of
        a song in no set, from all others; infinite from the rest, itself included.
    """
    means = np.array([song.mean(axis=0, dtype=np.float64) for song in songs])
    around = means - means.mean(axis=0)
    _, sizes, axes = np.linalg.svd(around, full_matrices=False)
    count = min(AXES, int((sizes > 1e-9 * max(sizes[0], 1e-300)).sum()))
    axes = (axes[:count].T / sizes[:count]) * np.sqrt(len(songs))
    points = np.array([point(song, axes) for song in songs])
    home = np.full(len(songs), -1)
    for number, members in enumerate(sets):
        home[members] = number
    distances = np.array([apart(place, points) for place in points])
    distances[(home[:, np.newaxis] == home) & (home >= 0)] = np.inf
    np.fill_diagonal(distances, np.inf)
    own = np.sort([nearest(row) for row in distances])
    known = Familiarity(*(a.astype(np.float32) for a in (axes, points, own)))
    return known, distances


def fit_spread(
    errors: Mapping[int, Float64], outputs: Mapping[int, Float64], distances: Float64
) -> Spread:
    """Fit the variance of the errors, and the factor that makes a band of it.

    The weights are those, at least 0, that come closest to the squared errors (least squares, songs
    counting alike). All factors are the same; see `fit_factors`. They are conformal (Papadopoulos
    et al. 2002, normalised scores; Lei et al. 2018) with songs as the units: the least at which the
    share of half-seconds within the band, averaged over the S songs, reaches `LEVEL` (S + 1) / S;
    then a song like these has at least `LEVEL` of its half-seconds inside on average (Angelopoulos
    et al. 2022, conformal risk control).

    Args:
        errors: a song's errors (n_i,) each, of predictions that were not trained on it, by number.
        outputs: what the networks said of the same half-seconds, (G, S, n_i) each.
        distances: (S, S) of all songs from those that they were not trained with.
    """
    mean = float(np.mean([np.mean(e**2) for e in errors.values()]))
    of_song = np.full(len(distances), mean)  # also of songs that were never held out
    for i, e in errors.items():
        of_song[i] = np.mean(e**2)
    x = np.concatenate([terms(outputs[i], distances[i], of_song) for i in errors])
    count = np.concatenate([np.full(len(e), 1 / len(e)) for e in errors.values()])
    squares = np.square(np.concatenate(list(errors.values())))
    # divided by a first guess of the variance, so that large errors do not rule
    least = 0.01 * squares.mean() + 1e-9  # no band is ever without width
    guess = np.full(len(x), squares.mean() + least)
    for _ in range(5):
        root = np.sqrt(count) / guess
        weights, _ = nnls(x * root[:, np.newaxis], squares * root)
        guess = np.maximum(x @ weights, least)
    weights[0] = max(weights[0], least)
    scores = np.sqrt(squares / (x @ weights))
    order = np.argsort(scores)
    share = np.cumsum(count[order]) / len(errors)
    place = min(int(np.searchsorted(share, _wanted(len(errors)) - 1e-12)), len(order) - 1)
    factors = np.full((2, 2), scores[order][place], np.float32)
    return Spread(weights.astype(np.float32), of_song.astype(np.float32), factors)


def fit_factors(
    spreads: Sequence[Spread],
    values: Sequence[Float64],
    labels: Sequence[Float64],
    deviations: Sequence[Float64],
) -> list[Spread]:
    """Give each quadrant factors of its own, at which its labels are as often inside as others.

    From the common factor, each quadrant's grows or shrinks with what its share lacks of `LEVEL`
    (n + 1) / n, n the songs it has, until there is no more to gain. A quadrant of fewer than
    `_ENOUGH` songs keeps the common one.

    Args:
        spreads: of both dimensions.
        values: (n_i, 2), of songs that the predictions were not trained on.
        labels: (n_i, 2), theirs.
        deviations: (n_i, 2), of the errors.
    """
    count = np.concatenate([np.full(len(y), 1 / len(y)) for y in labels])
    y, v, s = (np.concatenate(x).T for x in (labels, values, deviations))  # (2, N) each
    below = below_zero(v, s)
    return [
        replace(spread, factors=_factors(spread.factors, y[d], y[e], v[d], s[d], below[e], count))
        for spread, d, e in zip(spreads, (0, 1), (1, 0), strict=True)
    ]


def _factors(
    common: Array,
    own: Float64,
    other: Float64,
    values: Float64,
    deviation: Float64,
    other_below: Float64,
    count: Float64,
) -> Array:
    """One dimension's factors (2, 2); all arguments but the first (N,) half-seconds.

    `own` and `other` are labels, `count` what a half-second counts.
    """
    quadrant = 2 * (own >= 0) + (other >= 0)
    songs = np.bincount(quadrant, count, 4)
    factors = common.astype(np.float64)
    for _ in range(_STEPS):
        low, high = edges(values, deviation, other_below, factors)
        inside = np.bincount(quadrant, count * ((low <= own) & (own <= high)), 4)
        lacks = _wanted(songs) - inside / np.maximum(songs, 1e-9)
        factors *= np.exp(np.where(songs < _ENOUGH, 0, lacks)).reshape(2, 2)
    return factors.astype(np.float32)


def _wanted(songs: Any) -> Any:
    """Share of the labels of so many songs that is to be inside, a number or an array of them."""
    return np.minimum(1.0, LEVEL * (songs + 1) / np.maximum(songs, 1))
