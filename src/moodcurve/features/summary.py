"""From 65 descriptors every 10 ms to rows of 260 features every half-second.

Each descriptor is smoothed by a moving average over 3 frames; its first-order derivative is the
regression slope over +-2 frames; both are summarised over a window by their population standard
deviation and their mean. The default window is 1.0 s every 0.5 s, left-aligned, as in the
official MediaEval / DEAM feature files (docs/features.md).
"""

import numpy as np
from numpy.typing import NDArray

from moodcurve.features.frames import FRAMES_PER_SECOND, Float32, Float64

HOP = 0.5  # seconds
WINDOW = 1.0  # seconds

VOICED_ONLY = 6  # the first six descriptors speak of voiced frames

_DESCRIPTORS = (
    "F0final_sma",
    "voicingFinalUnclipped_sma",
    "jitterLocal_sma",
    "jitterDDP_sma",
    "shimmerLocal_sma",
    "logHNR_sma",
    "audspec_lengthL1norm_sma",
    "audspecRasta_lengthL1norm_sma",
    "pcm_RMSenergy_sma",
    "pcm_zcr_sma",
    *(f"audSpec_Rfilt_sma[{band}]" for band in range(26)),
    "pcm_fftMag_fband250-650_sma",
    "pcm_fftMag_fband1000-4000_sma",
    *(f"pcm_fftMag_spectralRollOff{share}.0_sma" for share in (25, 50, 75, 90)),
    "pcm_fftMag_spectralFlux_sma",
    "pcm_fftMag_spectralCentroid_sma",
    "pcm_fftMag_spectralEntropy_sma",
    "pcm_fftMag_spectralVariance_sma",
    "pcm_fftMag_spectralSkewness_sma",
    "pcm_fftMag_spectralKurtosis_sma",
    "pcm_fftMag_spectralSlope_sma",
    "pcm_fftMag_psySharpness_sma",
    "pcm_fftMag_spectralHarmonicity_sma",
    *(f"pcm_fftMag_mfcc_sma[{k}]" for k in range(1, 15)),
)

#: The official names of the 260 columns, in order.
FEATURE_NAMES = tuple(
    f"{name}_{statistic}"
    for names in (_DESCRIPTORS, tuple(n.replace("_sma", "_sma_de") for n in _DESCRIPTORS))
    for name in names
    for statistic in ("stddev", "amean")
)

_STEP = round(HOP * FRAMES_PER_SECOND)
_REACH = 4  # frames beyond a window that its smoothed values and derivatives look at, and one
_CHUNK = 100  # rows a piece: bounds the memory of the temporaries


def row_count(frames: int, window: float = WINDOW) -> int:
    """Count the rows whose whole window lies within that many frames, at least one."""
    return max(1, 1 + (frames - round(window * FRAMES_PER_SECOND)) // _STEP)


def summarise(descriptors: Float32, rows: int, window: float = WINDOW) -> Float32:
    """Rows of a whole song at once; see `Summary`.

    Args:
        descriptors: (frames, 65) every 10 ms.
        rows: number of rows wanted.
        window: seconds.

    Returns:
        float32, shape (rows, 260), columns as `FEATURE_NAMES`.
    """
    summary = Summary(window)
    return np.concatenate([summary.push(descriptors), summary.finish(rows)])[:rows]


class Summary:
    """Mean and standard deviation of each descriptor and its derivative over each window.

    Row k covers `window` seconds from 0.5 k. Rows whose window would run over the end take the
    last whole window instead (of a song shorter than a window: all of it), so that every row has
    the same statistics and a curve can cover the whole song. Takes the song in blocks of any size;
    what it holds is little more than a window.
    """

    def __init__(self, window: float = WINDOW) -> None:
        self._width = round(window * FRAMES_PER_SECOND)
        self._frames: Float32 = np.zeros((0, len(_DESCRIPTORS)), np.float32)
        self._first = 0  # number of the first of those frames
        self._rows = 0  # given so far

    def push(self, descriptors: Float32) -> Float32:
        """Take the next frames (n, 65); give the rows (m, 260) whose windows are complete."""
        self._frames = np.concatenate([self._frames, descriptors])
        known = self._first + len(self._frames)
        complete = max(self._rows, 1 + (known - self._width - _REACH) // _STEP)
        starts = _STEP * np.arange(self._rows, complete)
        found = self._over(starts, self._width)
        self._rows = complete
        # what the next row needs is kept, and the last whole window, which may still be asked for
        needed = min(_STEP * complete, known - self._width) - _REACH
        passed = max(0, needed - self._first)
        self._frames, self._first = self._frames[passed:], self._first + passed
        return found

    def finish(self, rows: int) -> Float32:
        """Give the rest of the song's `rows` rows."""
        end = self._first + len(self._frames)
        width = min(self._width, end)
        starts = np.minimum(_STEP * np.arange(self._rows, rows), end - width)
        distinct, place = np.unique(starts, return_inverse=True)
        return self._over(distinct, width)[place]

    def _over(self, starts: NDArray[np.int64], width: int) -> Float32:
        """Rows of the windows that start at those frames, some at a time to save memory."""
        out = np.empty((len(starts), len(FEATURE_NAMES)), np.float32)
        for first in range(0, len(starts), _CHUNK):
            chunk = starts[first : first + _CHUNK] - self._first
            low, high = max(0, chunk[0] - _REACH), chunk[-1] + width + _REACH
            smooth = moving_average(self._frames[low:high].astype(np.float64))
            both = np.hstack([smooth, derivative(smooth)])
            mean, deviation = _moments(both, chunk - low, width)
            out[first : first + _CHUNK, 0::2] = deviation
            out[first : first + _CHUNK, 1::2] = mean
        return out


def moving_average(values: Float64) -> Float64:
    """Mean over each frame and its two neighbours (`_sma`), the ends repeated: (n, d) -> (n, d).

    F0 (column 0) is averaged over voiced frames only, and stays 0 where unvoiced, so that no
    average mixes a pitch with "no pitch".
    """
    padded = np.concatenate([values[:1], values, values[-1:]])
    out: Float64 = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    voiced = padded[:, 0] > 0
    count = voiced[:-2].astype(int) + voiced[1:-1] + voiced[2:]
    out[:, 0] = np.where(voiced[1:-1], out[:, 0] * 3 / np.maximum(count, 1), 0.0)
    return out


def derivative(values: Float64) -> Float64:
    """Slope of the regression over +-2 frames (`_de`), per frame, the ends repeated.

    sum_i i (x[t+i] - x[t-i]) / (2 sum_i i^2), i = 1, 2. For the voicing descriptors the slope is
    taken within voiced stretches only: it is 0 where the five frames are not all voiced.
    """
    padded = np.concatenate([values[:1]] * 2 + [values] + [values[-1:]] * 2)
    one, two = padded[3:-1] - padded[1:-3], padded[4:] - padded[:-4]
    slope: Float64 = (one + 2 * two) / 10
    voiced = padded[:, 0] > 0
    inside = np.logical_and.reduce([voiced[i : i + len(values)] for i in range(5)])
    slope[:, :VOICED_ONLY] *= inside[:, np.newaxis]
    return slope


def _moments(values: Float64, starts: NDArray[np.int64], width: int) -> tuple[Float64, Float64]:
    """Mean and population standard deviation over values[start : start + width], per start."""
    windows = np.lib.stride_tricks.sliding_window_view(values, width, axis=0)[starts]
    return windows.mean(axis=2), windows.std(axis=2)
