"""The scales in which files give valence and arousal; in memory it is always -1 .. 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodcurve.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCALES = {"-1..1": (-1, 1), "0..1": (0, 1), "1..9": (1, 9)}
"""Lowest and highest value of each: our own, Spotify's (valence, energy), and that of SAM."""


def to_scale(values: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Values in [-1, 1], of any shape, on one of `SCALES`. Raises InputError for another."""
    low, high = _ends(scale)
    return low + (values + 1) * ((high - low) / 2)


def from_scale(values: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Values on one of `SCALES`, of any shape, back in [-1, 1]. Raises InputError for another."""
    low, high = _ends(scale)
    return (values - (low + high) / 2) * (2 / (high - low))


def in_words(scale: str) -> dict[str, str]:
    """What the ends and the middle of one of `SCALES` mean. Raises InputError for another."""
    low, high = _ends(scale)
    middle = f"{(low + high) / 2:g} neutral"
    return {
        "valence": f"{low} unpleasant .. {high} pleasant, {middle}",
        "arousal": f"{low} calm .. {high} excited, {middle}",
    }


def _ends(scale: str) -> tuple[int, int]:
    if scale not in SCALES:
        raise InputError(f"scale {scale}: no such scale; use one of: {', '.join(SCALES)}")
    return SCALES[scale]
