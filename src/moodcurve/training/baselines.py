"""What the paper's Table 3 compares with, half-second by half-second: linear regression and SVR.

Neither sees time: a curve is predicted row by row. The caller standardises the features, and
smooths the curves where a baseline asks for it (`moodcurve.fusion.smooth`). Letters: n rows,
F features, S support vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.errors import InputError

Array = NDArray[np.floating[Any]]
Params = Mapping[str, float]

MLR_GRID: tuple[Params, ...] = tuple({"ridge": ridge} for ridge in (0.0, 1e2, 1e3, 1e4, 1e5))
SVR_GRID: tuple[Params, ...] = tuple(
    {"cost": cost, "gamma": gamma, "epsilon": 0.1}
    for cost in (0.03, 0.3, 3.0)
    for gamma in (0.1 / 260, 1 / 260)
)


@dataclass(frozen=True, eq=False)
class Linear:
    """Multiple linear regression: rows @ weights + bias."""

    weights: Array  # (F,)
    bias: Array  # ()

    def predict(self, rows: Array) -> Array:
        """Predict the values (n,), float64, of rows (n, F)."""
        return np.asarray(rows @ self.weights + self.bias)

    def to_arrays(self) -> dict[str, Array]:
        """Return the fields as named arrays for an .npz; `Linear(**arrays)` undoes it."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class SupportVectors:
    """Support vector regression: bias + sum_s coefficients_s exp(-gamma |row - vectors_s|^2)."""

    vectors: Array  # (S, F)
    coefficients: Array  # (S,)
    bias: Array  # ()
    gamma: Array  # ()

    def predict(self, rows: Array) -> Array:
        """Predict the values (n,), float64, of rows (n, F)."""
        # in blocks: a kernel value for each row and vector would be gigabytes for many songs
        blocks = np.array_split(rows.astype(np.float64), range(1000, len(rows), 1000))
        return np.concatenate([self._kernel(x) @ self.coefficients for x in blocks]) + self.bias

    def _kernel(self, x: Array) -> Array:
        squares = np.square(x).sum(axis=1)[:, None] + np.square(self.vectors).sum(axis=1)
        return np.asarray(np.exp(-self.gamma * (squares - 2 * x @ self.vectors.T)))

    def to_arrays(self) -> dict[str, Array]:
        """Return the fields as named arrays for an .npz; `SupportVectors(**arrays)` undoes it."""
        return dict(vars(self))


Regressor = Linear | SupportVectors


def fit_mlr(rows: Array, labels: Array, ridge: float) -> Linear:
    """Fit weights and bias by least squares, in float64.

    Minimises squared error + ridge * |weights|^2; the bias is free. Ridge 0 is plain regression,
    the challenge's baseline (paper, Table 3, MLR): of equally good weights the smallest.

    Args:
        rows: (n, F), standardised.
        labels: (n,), none missing.
        ridge: at least 0; grows with n for the same effect.
    """
    x, y = rows.astype(np.float64), labels.astype(np.float64)
    middle = x.mean(axis=0)
    x -= middle  # for centred rows the bias is the labels' mean, whatever the weights
    if ridge:
        weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
    else:
        weights = np.linalg.lstsq(x, y)[0]
    return Linear(weights, np.asarray(y.mean() - middle @ weights))


def fit_svr(
    rows: Array, labels: Array, cost: float, gamma: float, epsilon: float, most_rows: int = 4000
) -> SupportVectors:
    """Fit scikit-learn's SVR with an RBF kernel (paper, Table 3, SVR).

    Its time grows with more than the square of n, so of more than `most_rows` rows only that many,
    evenly spread over those given, are used. Little is lost: a song's neighbouring half-seconds
    are nearly equal, in features and in labels. Nothing is random.

    Args:
        rows: (n, F), standardised, song after song.
        labels: (n,), none missing.
        cost: of an error beyond epsilon, C.
        gamma: of the kernel exp(-gamma |x - y|^2).
        epsilon: errors up to here cost nothing.
        most_rows: at least 1.
    """
    from sklearn.svm import SVR

    chosen = np.linspace(0, len(rows) - 1, min(len(rows), most_rows), dtype=int)
    svr = SVR(C=cost, gamma=gamma, epsilon=epsilon).fit(rows[chosen], labels[chosen])
    return SupportVectors(
        svr.support_vectors_, svr.dual_coef_[0], np.asarray(svr.intercept_[0]), np.asarray(gamma)
    )


def labelled(songs_rows: Sequence[Array], songs_labels: Sequence[Array]) -> tuple[Array, Array]:
    """Join the labelled half-seconds of songs, as the fits take them.

    Args:
        songs_rows: a song's rows (n_i, F) each.
        songs_labels: its labels (n_i,) each, NaN where there is none.

    Returns:
        Rows (n, F) and labels (n,), song after song.

    Raises:
        InputError: if there is no label at all.
    """
    known = [~np.isnan(labels) for labels in songs_labels]
    if not any(one.any() for one in known):
        raise InputError(
            f"none of {len(known)} songs has a label; check the corpus and its partitions"
        )
    rows = [song[one] for song, one in zip(songs_rows, known, strict=True)]
    labels = [song[one] for song, one in zip(songs_labels, known, strict=True)]
    return np.concatenate(rows), np.concatenate(labels)


def tune(
    fit: Callable[..., Regressor],
    grid: Sequence[Params],
    songs_rows: Sequence[Array],
    songs_labels: Sequence[Array],
    sets: Sequence[NDArray[np.int64]],
) -> tuple[Params, list[float]]:
    """Choose the parameters that predict best the songs that were not fitted on.

    Args:
        fit: called with rows, labels and, by name, one entry of the grid.
        grid: the parameters to try.
        songs_rows: a song's rows (n_i, F) each.
        songs_labels: its labels (n_i,) each, NaN where there is none.
        sets: validation sets of song numbers; each is predicted by a fit on all other songs.

    Returns:
        The entry of the lowest error, the first of equals, and each entry's error: the mean
        square over all labelled half-seconds of all sets.

    Raises:
        InputError: if the songs of a set, or all others, have no label.
    """

    def of(songs: NDArray[np.int64]) -> tuple[Array, Array]:
        return labelled([songs_rows[i] for i in songs], [songs_labels[i] for i in songs])

    squares: list[list[Array]] = [[] for _ in grid]
    for members in sets:
        training = of(np.setdiff1d(np.arange(len(songs_rows)), members))
        rows, labels = of(members)
        for params, found in zip(grid, squares, strict=True):
            found.append(np.square(fit(*training, **params).predict(rows) - labels))
    errors = [float(np.concatenate(found).mean()) for found in squares]
    return grid[int(np.argmin(errors))], errors
