"""From 65 descriptors every 10 ms to rows of 260 features every half-second.

Each descriptor is smoothed by a moving average over 3 frames; its first-order derivative is the
regression slope over +-2 frames; both are summarised over a window by their population standard
deviation sqrt(1/n sum (x - mean)^2) and their mean, in the descriptor's unit (derivatives: a
frame). The default window is 1.0 s every 0.5 s, left-aligned, as in the official MediaEval / DEAM
feature files (docs/features.md). Source: Schuller et al. 2013; Weninger et al. 2013.
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

#: What a delay of 1 ms changes: jitter, shimmer, and the derivatives of the voicing group, which
#: moreover fade as a song goes on, see `Derivative`.
ILL_CONDITIONED = (
    *(name for name in FEATURE_NAMES[: 2 * VOICED_ONLY] if name.startswith(("jitter", "shimmer"))),
    *FEATURE_NAMES[2 * len(_DESCRIPTORS) :][: 2 * VOICED_ONLY],
)

_STEP = round(HOP * FRAMES_PER_SECOND)
_CHUNK = 1000  # frames a piece: bounds the memory of the temporaries


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
        self._smoothing, self._slopes = MovingAverage(), Derivative()
        self._smooth: Float64 = np.zeros((0, len(_DESCRIPTORS)))  # whose slopes are not yet known
        self._both: Float64 = np.zeros((0, 2 * len(_DESCRIPTORS)))  # smoothed values and slopes
        self._first = 0  # number of the first frame of `_both`
        self._rows = 0  # given so far

    def push(self, descriptors: Float32) -> Float32:
        """Take the next frames (n, 65); give the rows (m, 260) whose windows are complete."""
        found = [np.zeros((0, len(FEATURE_NAMES)), np.float32)]
        for start in range(0, len(descriptors), _CHUNK):
            self._add(descriptors[start : start + _CHUNK].astype(np.float64), last=False)
            found.append(self._complete())
        return np.concatenate(found)

    def finish(self, rows: int) -> Float32:
        """Give the rest of the song's `rows` rows."""
        self._add(np.zeros((0, len(_DESCRIPTORS))), last=True)
        complete = self._complete()
        end = self._first + len(self._both)
        width = min(self._width, end)
        starts = np.minimum(_STEP * np.arange(self._rows, rows), end - width)
        distinct, place = np.unique(starts, return_inverse=True)
        return np.concatenate([complete, self._over(distinct, width)[place]])[:rows]

    def _add(self, values: Float64, last: bool) -> None:
        smooth = self._smoothing.push(values, last)
        slopes = self._slopes.push(smooth, last)
        self._smooth = np.concatenate([self._smooth, smooth])
        new = np.hstack([self._smooth[: len(slopes)], slopes])
        self._smooth = self._smooth[len(slopes) :]
        self._both = np.concatenate([self._both, new])

    def _complete(self) -> Float32:
        """Rows of the windows that are complete; frames no more needed are let go."""
        known = self._first + len(self._both)
        complete = max(self._rows, 1 + (known - self._width) // _STEP)
        found = self._over(_STEP * np.arange(self._rows, complete), self._width)
        self._rows = complete
        # what the next row needs is kept, and the last whole window, which may still be asked for
        passed = max(0, min(_STEP * complete, known - self._width) - self._first)
        self._both, self._first = self._both[passed:], self._first + passed
        return found

    def _over(self, starts: NDArray[np.int64], width: int) -> Float32:
        """Rows of the windows that start at those frames."""
        out = np.empty((len(starts), len(FEATURE_NAMES)), np.float32)
        for row, start in enumerate(starts - self._first):
            inside = self._both[start : start + width]
            out[row, 0::2], out[row, 1::2] = inside.std(axis=0), inside.mean(axis=0)
        return out


class MovingAverage:
    """Mean over each frame and its two neighbours (`_sma`), the ends repeated, block by block.

    The voicing descriptors are averaged over those of the three that are not 0, and stay 0 where
    they are 0, so that no average mixes a pitch with "no pitch".
    """

    def __init__(self) -> None:
        self._held: Float64 | None = None  # the last two frames

    def push(self, values: Float64, last: bool) -> Float64:
        """Take the next frames (n, d); give the averages of those whose neighbours are known."""
        if self._held is not None:
            values = np.concatenate([self._held, values])
        elif len(values):
            values = np.concatenate([values[:1], values])
        if len(values) == 0:
            return values
        self._held = values[-2:]
        if last:
            values = np.concatenate([values, values[-1:]])
        out: Float64 = (values[:-2] + values[1:-1] + values[2:]) / 3
        group = values[:, :VOICED_ONLY]
        there = (group != 0).astype(float)
        count = there[:-2] + there[1:-1] + there[2:]
        out[:, :VOICED_ONLY] *= 3 * there[1:-1] / np.maximum(count, 1)
        return out


class Derivative:
    """Slope of the regression over +-2 frames (`_de`), per frame, the ends repeated.

    sum_i i (x[t+i] - x[t-i]) / (2 sum_i i^2), i = 1, 2. For the voicing descriptors the reference
    takes only pairs of frames neither of which is 0, and its sum of i^2 runs on: over all pairs of
    all six descriptors since the song began. So does ours, for the same columns: they fade as a
    song goes on, and say little (docs/features.md).
    """

    def __init__(self) -> None:
        self._held: Float64 | None = None  # the last four frames
        self._total = 10.0  # of i^2: that of one frame, 2 (1 + 4), to begin with

    def push(self, values: Float64, last: bool) -> Float64:
        """Take the next frames (n, d); give the slopes of those whose neighbours are known."""
        if self._held is not None:
            values = np.concatenate([self._held, values])
        elif len(values):
            values = np.concatenate([values[:1]] * 2 + [values])
        if len(values) == 0:
            return values
        if last:
            values = np.concatenate([values] + [values[-1:]] * 2)
        self._held = values[-4:]
        if len(values) < 5:
            return np.zeros((0, values.shape[1]))
        near, far = values[3:-1] - values[1:-3], values[4:] - values[:-4]
        slope: Float64 = (near + 2 * far) / 10
        there = values[:, :VOICED_ONLY] != 0
        near_pairs, far_pairs = there[3:-1] & there[1:-3], there[4:] & there[:-4]
        rise = near[:, :VOICED_ONLY] * near_pairs + 2 * far[:, :VOICED_ONLY] * far_pairs
        totals = self._total + np.cumsum(near_pairs + 4.0 * far_pairs).reshape(rise.shape)
        self._total = totals[-1, -1]
        slope[:, :VOICED_ONLY] = rise / totals
        return slope


def moving_average(values: Float64) -> Float64:
    """Smooth a whole song at once, (n, d) -> (n, d); see `MovingAverage`."""
    return MovingAverage().push(values, last=True)


def derivative(values: Float64) -> Float64:
    """Derive a whole song at once, (n, d) -> (n, d); see `Derivative`."""
    return Derivative().push(values, last=True)
