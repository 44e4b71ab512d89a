"""How close predicted curves come to annotated ones.

Conventions
-----------
A reference is what listeners annotated, an estimate what was predicted; the reference comes first.
Both are on one scale, [-1, 1] throughout moodcurve, and aligned row by row, one row a half-second.
A metric takes one dimension of them, 1-D arrays of equal length; `evaluate` takes whole songs,
(n, 2), valence before arousal. A metric that is undefined for its input is NaN, without a warning.

Metrics
-------
* :func:`rmse`: root mean square error, the measure of the paper's tables; 0 is best
* :func:`pearson_r`: Pearson's correlation; blind to offset and scale; 1 is best
* :func:`ccc`: Lin's concordance correlation, which charges offset and scale as well; 1 is best
* :func:`evaluate`: all of them, pooled over half-seconds and over songs
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moodcurve.errors import InputError

Array = NDArray[np.float64]


def validate(reference: ArrayLike, estimate: ArrayLike) -> tuple[Array, Array]:
    """Return both as float64 arrays, if they can be compared.

    Raises
    ------
    InputError
        unless both are 1-D, of one length, not empty, and finite
    """
    pair = np.asarray(reference, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
    for name, values in zip(("reference", "estimate"), pair, strict=True):
        if values.ndim != 1 or not len(values):
            raise InputError(f"{name}: shape {values.shape}; give a 1-D array that is not empty")
        if not np.isfinite(values).all():
            raise InputError(f"{name}: NaN or infinite values; drop those rows from both arrays")
    if len(pair[0]) != len(pair[1]):
        lengths = f"{len(pair[0])} values for {len(pair[1])} of the estimate"
        raise InputError(f"reference: {lengths}; align them row by row")
    return pair


def rmse(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return the root mean square error of two (n,) arrays, at least 0, in their own unit."""
    reference, estimate = validate(reference, estimate)
    return math.sqrt(np.mean((reference - estimate) ** 2))


def pearson_r(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return Pearson's correlation of two (n,) arrays, in [-1, 1]; NaN if one is constant."""
    reference, estimate = map(_centred, validate(reference, estimate))
    scale = math.sqrt(reference @ reference) * math.sqrt(estimate @ estimate)
    return float(np.clip(reference @ estimate / scale, -1, 1)) if scale else math.nan


def ccc(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return Lin's concordance correlation coefficient of two (n,) arrays, in [-1, 1].

    With the population moments of Lin (1989), "A concordance correlation coefficient to evaluate
    reproducibility", Biometrics 45: 2 cov / (var + var + (difference of the means)^2). It is 1
    only for equal arrays, 0 if one is constant, and NaN if both are the same constant.
    """
    reference, estimate = validate(reference, estimate)
    x, y = _centred(reference), _centred(estimate)
    offset = reference.mean() - estimate.mean()
    scale = (x @ x + y @ y) / len(x) + offset**2
    return float(2 * (x @ y) / len(x) / scale) if scale else math.nan


#: The metrics that `evaluate` reports, by the key it reports them under.
METRICS: Mapping[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "rmse": rmse,
    "r": pearson_r,
    "ccc": ccc,
}


def evaluate(references: Sequence[ArrayLike], estimates: Sequence[ArrayLike]) -> dict[str, Any]:
    """Measure predictions of many songs, pooled over half-seconds and song by song.

    Rows whose reference is NaN, where there is no annotation, are dropped.

    Parameters
    ----------
    references, estimates
        one array a song of shape (n_i, 2), valence before arousal, in [-1, 1]

    Returns
    -------
    dict
        ready for JSON, None where undefined::

            {"valence": {"pooled": {"rows": .., "rmse": .., "r": .., "ccc": ..},
                         "songs": {"rmse": {"mean": .., "sd": .., "count": ..},
                                   "r": {..}, "ccc": {..}},
                         "song_means": {"rmse": .., "r": .., "ccc": ..}},
             "arousal": {..}}

        `sd` is the sample standard deviation over songs (n - 1); `count` is how many songs
        entered, which leaves out those for which the metric is undefined. `song_means` is of one
        value a song, its mean over the annotated half-seconds

    Raises
    ------
    InputError
        if songs or shapes do not match, no row is annotated, or an estimate is not finite there
    """
    if len(references) != len(estimates):
        counts = f"{len(references)} songs for {len(estimates)} estimates"
        raise InputError(f"references: {counts}; give one estimate a song")
    pairs = [
        _labelled_rows(song, reference, estimate)
        for song, (reference, estimate) in enumerate(zip(references, estimates, strict=True))
    ]
    pairs = [(reference, estimate) for reference, estimate in pairs if len(reference)]
    if not pairs:
        raise InputError("references: no annotated row in any song; give labelled songs")
    return {
        name: _evaluate_dimension([(x[:, column], y[:, column]) for x, y in pairs])
        for column, name in enumerate(("valence", "arousal"))
    }


def _evaluate_dimension(pairs: Sequence[tuple[Array, Array]]) -> dict[str, Any]:
    reference, estimate = (np.concatenate(side) for side in zip(*pairs, strict=True))
    songs = {key: _over_songs([metric(x, y) for x, y in pairs]) for key, metric in METRICS.items()}
    means = np.array([(x.mean(), y.mean()) for x, y in pairs]).T
    return {
        "pooled": {"rows": len(reference), **_of(reference, estimate)},
        "songs": songs,
        "song_means": _of(means[0], means[1]),
    }


def _of(reference: Array, estimate: Array) -> dict[str, float | None]:
    return {key: _or_none(metric(reference, estimate)) for key, metric in METRICS.items()}


def _over_songs(values: Sequence[float]) -> dict[str, Any]:
    defined = [value for value in values if not math.isnan(value)]
    return {
        "mean": float(np.mean(defined)) if defined else None,
        "sd": float(np.std(defined, ddof=1)) if len(defined) > 1 else None,
        "count": len(defined),
    }


def _labelled_rows(song: int, reference: ArrayLike, estimate: ArrayLike) -> tuple[Array, Array]:
    """Return the rows of both at which the reference is there."""
    x, y = np.asarray(reference, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 2 or x.shape[1] != 2:
        shapes = f"reference of shape {x.shape}, estimate of {y.shape}"
        raise InputError(f"song {song}: {shapes}; give both as (n, 2)")
    there = ~np.isnan(x).any(axis=1)
    if not np.isfinite(y[there]).all():
        raise InputError(f"song {song}: estimate is NaN or infinite; predict every annotated row")
    return x[there], y[there]


def _centred(values: Array) -> Array:
    # Rounding of the mean must not give a constant array a variance.
    return values - values.mean() if np.ptp(values) else np.zeros_like(values)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
