"""How sure a prediction is: its variance from what the networks say, and a band from that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moodcurve.network import Array

Float64 = NDArray[np.float64]

LEVEL = 0.9  # share of half-seconds, averaged over songs, that a band is to hold


@dataclass(frozen=True, eq=False)
class Spread:
    """What training found out about one dimension's errors on songs that it was not trained on.

    Attributes:
        weights: (3,), at least 0, of the `terms` whose sum is the variance of the error.
        factor: half the width of the band over the root of that variance; by conformal prediction
            (Papadopoulos et al. 2002, normalised scores; Lei et al. 2018) with songs as the units.
    """

    weights: Array
    factor: float

    def half_width(self, outputs: Float64, distance: float) -> Float64:
        """Half the width of the band at each half-second (n,); arguments as of `terms`."""
        width: Float64 = self.factor * np.sqrt(terms(outputs, distance) @ self.weights)
        return width


def terms(outputs: Float64, distance: float) -> Float64:
    """What the variance of the error is made of, (n, 3).

    Args:
        outputs: (G, S, n), what the networks of G groups and S scales say of one dimension.
        distance: of the song from the training songs, see `familiarity.Familiarity`.

    Returns:
        A constant; the variance over the scales, averaged over the groups; the distance squared.
    """
    disagreement = outputs.var(axis=1).mean(axis=0)
    ones = np.ones_like(disagreement)
    return np.column_stack([ones, disagreement, distance**2 * ones])
