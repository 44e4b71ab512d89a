"""How sure a prediction is: its variance from what the networks say, and a band from that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

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
        factors: (2, 2), see `edges`.
    """

    weights: Array
    squares: Array
    factors: Array

    def deviation(self, outputs: Float64, distances: Float64) -> Float64:
        """Standard deviation of the error at each half-second (n,).

        Arguments as of `terms`, the distances from all training songs in their order.
        """
        found: Float64 = np.sqrt(terms(outputs, distances, self.squares) @ self.weights)
        return found


def below_zero(values: Float64, deviation: Float64) -> Float64:
    """Probability that the label is below 0, were errors normal."""
    found: Float64 = ndtr(-values / np.maximum(deviation, 1e-9))
    return found


def edges(
    values: Float64, deviation: Float64, other_below: Float64, factors: NDArray[np.floating]
) -> tuple[Float64, Float64]:
    """The lower and the upper edge of one dimension's band, (n,) each.

    Predictions are drawn to where most labels are, so a label elsewhere is farther off. How many
    deviations off a label may be and still be in the band therefore depends on what quadrant it is
    in: prediction sets that are conditional on the label (Vovk 2012). The band is from
    the lowest to the highest value that may be. Of the other dimension's label only the
    probability of its sign is known; it weighs the factors.

    Args:
        values: (n,), of this dimension.
        deviation: (n,), of its errors.
        other_below: (n,), see `below_zero`, of the other dimension.
        factors: (2, 2), deviations: [own label, other's label], 0 below zero and 1 above.
    """
    negative, positive = deviation * (
        other_below * factors[:, :1] + (1 - other_below) * factors[:, 1:]
    )
    low, high = values - negative, values + positive
    low = np.where(low < 0, low, np.maximum(values - positive, 0))
    high = np.where(high >= 0, high, np.minimum(values + negative, 0))
    return low, high


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
