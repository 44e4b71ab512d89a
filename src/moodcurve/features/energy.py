"""The energy family: root mean square and zero-crossing rate."""

import numpy as np

from moodcurve.features import kernels
from moodcurve.features.frames import LONG, STEP, Float32, Float64


def rms(samples: Float32, count: int) -> Float64:
    """pcm_RMSenergy: root mean square of each 20 ms frame, no window (full scale = 1).

    sqrt(1/882 sum x^2), 0 .. 1 up to full scale. Source: Eyben 2016, chapter 2. Returns shape
    (count,).
    """
    steps = kernels.energies(samples, count + 1, STEP)
    return np.sqrt((steps[:-1] + steps[1:]) / (2 * STEP))


def zero_crossing_rate(samples: Float32, count: int) -> Float64:
    """pcm_zcr: sign changes per sample in each 60 ms frame, 0 .. 1.

    A sample counts when its sign differs from its left neighbour's, or when it is exactly zero
    and its neighbours do not have one sign (so digital silence has a rate near 1: the reference's
    convention). Count / 2646; a tone of f Hz has 2 f / 44100. Source: Eyben 2016, chapter 2.
    Returns shape (count,).
    """
    rate: Float64 = kernels.zero_crossings(samples, count, STEP, LONG) / LONG
    return rate
