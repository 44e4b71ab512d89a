"""Fusion of the networks of several scales: supervectors and the ELM's forward pass.

Paper, sections 2.2, 2.3 and 3.4. The paper gives neither the width of its "delta derivatives" nor
of its "smoothed values", so `DELTA_WIDTH` and `SMOOTH_WIDTH` are choices of this project. Curves
are whole songs, after the pieces of a scale have been stitched, one value a half-second.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.errors import InputError

Array = NDArray[np.floating[Any]]

DELTA_WIDTH = 2  # our choice: the slope over 2 rows on either side, as usual for delta coefficients
SMOOTH_WIDTH = 5  # our choice: the mean over 5 half-seconds = 2.5 s


def delta(o: Array, width: int = DELTA_WIDTH) -> Array:
    """Return the slope of the least-squares line over +-`width` half-seconds around each.

    The formula of delta coefficients, ``sum_k k (o[t+k] - o[t-k]) / (2 sum_k k^2)`` over
    k = 1 .. width; beyond its edges the curve is continued by its end values.

    Parameters
    ----------
    o : (n,)
        a curve, at least one value
    width
        half-seconds on either side, at least 1

    Returns
    -------
    (n,)
        change per half-second
    """
    n = len(o)
    padded = np.pad(o, width, mode="edge")
    total = np.zeros_like(padded[:n])
    for k in range(1, width + 1):
        total += k * (padded[width + k : width + k + n] - padded[width - k : width - k + n])
    return total / (2 * sum(k * k for k in range(1, width + 1)))


def smooth(o: Array, width: int = SMOOTH_WIDTH) -> Array:
    """Return the centred moving average over `width` half-seconds.

    Near the edges, the mean is over those rows of the window that there are.

    Parameters
    ----------
    o : (n,)
        a curve, at least one value
    width
        half-seconds, an odd number

    Returns
    -------
    (n,)

    Raises
    ------
    InputError
        if `width` is not odd
    """
    if width < 1 or width % 2 == 0:
        raise InputError(f"width: {width} half-seconds have no middle; give an odd number")
    half = width // 2
    window = np.ones(width, dtype=o.dtype)
    sums, counts = (np.convolve(x, window)[half : half + len(o)] for x in (o, np.ones_like(o)))
    return sums / counts


def supervectors(outputs: Array) -> Array:
    """Return each half-second's supervector, the ELM's input (paper, section 2.3).

    Parameters
    ----------
    outputs : (S, n)
        the curves that the networks of S scales predict for one song and one dimension

    Returns
    -------
    (n, 3 S)
        [o1, d1, s1, o2, d2, s2, ...]: output, delta and smoothed value of each scale
    """
    return np.stack([f for o in outputs for f in (o, delta(o), smooth(o))], axis=1)


def elm_output(x: Array, weights: Array, bias: Array, beta: Array) -> Array:
    """Return what an Extreme Learning Machine predicts: ``logistic(x W + b) beta``.

    Parameters
    ----------
    x : (n, P)
        inputs, such as supervectors
    weights : (P, N)
        input weights of the N hidden nodes
    bias : (N,)
        biases of the hidden nodes
    beta : (N, K) or (N,)
        output weights

    Returns
    -------
    (n, K) or (n,)
    """
    hidden = logistic(x @ weights + bias)
    output: Array = hidden @ beta
    return output


def settled(elm: Array, average: Array, elm_share: float, smoothing: int) -> Array:
    """Return the fused curve: between the ELM's and the plain average of the networks, smoothed.

    Least squares draws the ELM's uncertain values to the middle, the average errs the other way.

    Parameters
    ----------
    elm, average : (n,)
        what both say of a song
    elm_share
        of the ELM, 0 .. 1; 1 in the paper
    smoothing
        half-seconds, see `recent_mean`; 1 in the paper: none
    """
    return recent_mean(elm_share * elm + (1 - elm_share) * average, smoothing)


def recent_mean(o: Array, width: int) -> Array:
    """Return the mean over each half-second and the `width` - 1 before it, fewer at the beginning.

    Listeners take some seconds to say what they feel, so what they say now is of what they heard
    until now (docs/results.md).

    Parameters
    ----------
    o : (n,)
        a curve, at least one value
    width
        half-seconds, at least 1

    Returns
    -------
    (n,)
    """
    window = np.ones(width, dtype=o.dtype)
    sums, counts = (np.convolve(x, window)[: len(o)] for x in (o, np.ones_like(o)))
    return sums / counts


def logistic(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)), in [0, 1], without overflow for any a."""
    tanh: Array = np.tanh(0.5 * a)
    return 0.5 * (1 + tanh)
