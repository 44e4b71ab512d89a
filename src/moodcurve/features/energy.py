"""The energy family: root mean square and zero-crossing rate."""

import numpy as np

from moodcurve.features.frames import LONG, STEP, Float32, Float64


def rms(samples: Float32, count: int) -> Float64:
    """pcm_RMSenergy: root mean square of each 20 ms frame, no window (full scale = 1).

    sqrt(1/882 sum x^2), 0 .. 1 up to full scale. Source: Eyben 2016, chapter 2. Returns shape
    (count,).
    """
    squares = np.square(samples[: (count + 1) * STEP], dtype=np.float64)
    steps: Float64 = squares.reshape(count + 1, STEP).sum(axis=1)
    power: Float64 = (steps[:-1] + steps[1:]) / (2 * STEP)
    return np.sqrt(power)


def zero_crossing_rate(samples: Float32, count: int) -> Float64:
    """pcm_zcr: sign changes per sample in each 60 ms frame, 0 .. 1.

    A sample counts when its sign differs from its left neighbour's, or when it is exactly zero
    and its neighbours do not have one sign (so digital silence has a rate near 1: the reference's
    convention). Count / 2646; a tone of f Hz has 2 f / 44100. Source: Eyben 2016, chapter 2.
    Returns shape (count,).
    """
    left, middle, right = samples[:-2], samples[1:-1], samples[2:]
    crossing = (left * middle < 0) | ((middle == 0) & (left * right <= 0))
    total = np.concatenate([[0], np.cumsum(crossing)])
    first = np.arange(count) * STEP
    rate: Float64 = (total[first + LONG - 2] - total[first]) / LONG
    return rate
