"""How far a song lies from the music that a model learned from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moodcurve.network import Array

Float64 = NDArray[np.float64]

NEIGHBOURS = 3  # that the distance is the mean of
AROUND = 15  # training songs that show how hard songs like one are
STRANGE = 95.0  # percentile from which on a song is flagged: there lie tones, noise and clicks


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

    def place(self, inputs: Array) -> Float64:
        """A song's distances from all training songs, (S,), from its standardised inputs (n, F)."""
        return apart(point(inputs, self.axes), self.songs)

    def percentile(self, distance: float) -> float:
        """Share of training songs, 0 .. 100, that lie nearer to the others than that."""
        return float(100 * np.mean(self.distances < distance))


def point(inputs: Array, axes: Array) -> Float64:
    """A song's point (K,) from its standardised inputs (n, F)."""
    place: Float64 = inputs.mean(axis=0, dtype=np.float64) @ axes
    return place


def apart(place: Float64, songs: NDArray[np.floating]) -> Float64:
    """Distances (S,) of a point (K,) from others (S, K)."""
    distances: Float64 = np.linalg.norm(songs - place, axis=1)
    return distances


def nearest(distances: Float64) -> float:
    """A song's distance: the mean of those (S,) from the nearest training songs."""
    near = np.sort(distances)[:NEIGHBOURS]
    return float(near[np.isfinite(near)].mean())


def around(distances: Float64, values: NDArray[np.floating]) -> float:
    """Mean of the values (S,) of the training songs nearest by; none at infinity counts."""
    near = np.argsort(distances)[:AROUND]
    return float(values[near[np.isfinite(distances[near])]].mean())
