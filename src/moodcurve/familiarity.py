"""How far a song lies from the music that a model learned from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moodcurve.network import Array

Float64 = NDArray[np.float64]

NEIGHBOURS = 3
STRANGE = 99.0  # percentile from which on a song is flagged


@dataclass(frozen=True, eq=False)
class Familiarity:
    """The songs a model learned from, as points, and how far they lie from one another.

    A song's point is the mean of its standardised inputs, on the training songs' principal axes,
    each with unit variance. Its distance is the mean distance to the three nearest training songs.

    Attributes:
        axes: (F, K), from inputs to points.
        songs: (S, K), the training songs' points.
        distances: (S,), sorted: of each training song from those of the other validation sets,
            which are of other series where the corpus has series.
    """

    axes: Array
    songs: Array
    distances: Array

    def distance(self, inputs: Array) -> float:
        """Distance of a song from its standardised inputs (n, F); at least 0."""
        return nearest(point(inputs, self.axes), self.songs)

    def percentile(self, distance: float) -> float:
        """Share of training songs, 0 .. 100, that lie nearer to the others than that."""
        return float(100 * np.mean(self.distances < distance))


def point(inputs: Array, axes: Array) -> Float64:
    """A song's point (K,) from its standardised inputs (n, F)."""
    place: Float64 = inputs.mean(axis=0, dtype=np.float64) @ axes
    return place


def nearest(place: Float64, songs: NDArray[np.floating]) -> float:
    """Mean distance of a point (K,) to the nearest of others (S, K)."""
    distances = np.sort(np.linalg.norm(songs - place, axis=1))
    return float(distances[:NEIGHBOURS].mean())
