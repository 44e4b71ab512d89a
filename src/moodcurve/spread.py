"""How sure a prediction is: its variance from what the networks say, and a band from that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moodcurve.familiarity import around, nearest
from moodcurve.network import Array

Float64 = NDArray[np.float64]

LEVEL = 0.9  # share of half-seconds, averaged over songs, that a band is to hold


@dataclass(frozen=True, eq=False)
class Spread:
    """What training found out about one dimension's errors on songs that it was not trained on.

    Attributes:
        weights: (4,), at least 0, of the `terms` whose sum is the variance of the error.
        squares: (S,), mean squared error of each training song while it was held out.
        factor: half the width of the band over the root of that variance; by conformal prediction
            (Papadopoulos et al. 2002, normalised scores; Lei et al. 2018) with songs as the units.
    """

    weights: Array
    squares: Array
    factor: float

    def half_width(self, outputs: Float64, distances: Float64) -> Float64:
        """Half the width of the band at each half-second (n,).

        Arguments as of `terms`, the distances from all training songs in their order.
        """
        variance = terms(outputs, distances, self.squares) @ self.weights
        width: Float64 = self.factor * np.sqrt(variance)
        return width


def terms(outputs: Float64, distances: Float64, squares: NDArray[np.floating]) -> Float64:
    """What the variance of the error is made of, (n, 4).

    Args:
        outputs: (G, S, n), what the networks of G groups and S scales say of one dimension.
        distances: (S,) of the song from training songs, see `familiarity.Familiarity`.
        squares: (S,) mean squared errors of those songs while they were held out.

    Returns:
        A constant; the variance over the scales, averaged over the groups; the song's distance,
        squared; the mean squared error of the songs around it.
    """
    disagreement = outputs.var(axis=1).mean(axis=0)
    ones = np.ones_like(disagreement)
    far, hard = nearest(distances) ** 2, around(distances, squares)
    return np.column_stack([ones, disagreement, far * ones, hard * ones])
