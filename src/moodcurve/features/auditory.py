"""The auditory family: 26 mel bands as loudness, plain and RASTA-filtered.

Perceptual linear prediction (Hermansky 1990): mel bands of the power spectrum, equal-loudness
weights, and the power law of loudness. RASTA (Hermansky & Morgan 1994): a band-pass filter over
time on the logarithm of each band, which passes what changes at the pace of speech and music.
"""

import numpy as np

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import kernels
from moodcurve.features.frames import SHORT_FFT, STEP, Float32, Float64

BANDS = 26
LOWEST, HIGHEST = 20.0, 8000.0  # Hz
LOUDNESS_POWER = 0.33
# The least band power that the logarithm and the power law see; 16-bit audio seldom has less.
_LEAST = 1e-9
# Taps (0.2, 0.1, 0, -0.1, -0.2), and a pole for a lower cut-off at 1 Hz.
_TAPS = np.array([0.2, 0.1, 0.0, -0.1, -0.2])
_POLE = 1 - 2 * np.pi * 1.0 * STEP / SAMPLE_RATE
_START = 5  # frames at a song's beginning over which the filter is at rest


def _mel(frequency: Float64 | float) -> Float64:
    """O'Shaughnessy's mel scale, 1127 ln(1 + f / 700)."""
    mel: Float64 = 1127 * np.log1p(np.asarray(frequency) / 700)
    return mel


def _mel_bands() -> tuple[Float64, Float64]:
    """Weights (513, 26) of triangular bands equally spaced in mel, and their centres in Hz."""
    edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    bins = _mel(np.arange(SHORT_FFT // 2 + 1) * SAMPLE_RATE / SHORT_FFT)[:, np.newaxis]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    weights = np.maximum(np.minimum(rising, falling), 0.0)
    weights[0] = 0.0  # the constant takes no part
    return weights, 700 * np.expm1(edges[1:-1] / 1127)


def _equal_loudness(centres: Float64) -> Float64:
    """Hermansky's curve E(w), w in rad/s, with the fall above 5 kHz that the reference shows.

    The scale and the last factor, 1 / (1 + (w / 28950)^7), were measured on the reference.
    """
    w = 2 * np.pi * centres
    curve: Float64 = (w**2 + 56.8e6) * w**4 / ((w**2 + 6.3e6) ** 2 * (w**2 + 0.38e9))
    return 5.88235 * curve / (1 + (w / 28950) ** 7)


_WEIGHTS, CENTRES = _mel_bands()
_BY_BAND = np.ascontiguousarray(_WEIGHTS.T)
_EQUAL_LOUDNESS = _equal_loudness(CENTRES)


def mel_bands(power: Float32) -> Float64:
    """Power in 26 mel bands of 20 .. 8000 Hz: (n, 513) -> float64 (n, 26).

    B_b = sum_k w_b(f_k) P_k, the triangle w_b rising from the centre of the band below to 1 at its
    own and falling to the centre above, straight and equally spaced in mel = 1127 ln(1 + f / 700);
    bin 0 takes no part. Unit: squared magnitude of the unscaled transform (full scale = 1).
    Source: Davis & Mermelstein 1980; the scale O'Shaughnessy 1987.
    """
    return kernels.weighted_sums(power, _BY_BAND)


def loudness(bands: Float64) -> Float64:
    """audspec_lengthL1norm: loudness, (n, 26) band powers -> (n,).

    1/26 sum_b (E_b max(B_b, 1e-9)) ^ 0.33, E_b the equal-loudness weight at the band's centre.
    Unit: band power ^ 0.33; from 0.001 (digital silence). Source: Hermansky 1990 (the weights,
    and the power law of loudness, there 1/3).
    """
    mean: Float64 = np.mean((np.maximum(bands, _LEAST) * _EQUAL_LOUDNESS) ** LOUDNESS_POWER, axis=1)
    return mean


class Rasta:
    """audSpec_Rfilt[0..25]: RASTA-filtered loudness; carries the filter's state over blocks.

    (E_b exp(y_b[t])) ^ 0.33 with x_b = ln max(B_b, 1e-9) and
    y_b[t] = 0.2 x_b[t] + 0.1 x_b[t-1] - 0.1 x_b[t-3] - 0.2 x_b[t-4] + 0.9372 y_b[t-1]:
    what is constant goes to y = 0, E_b ^ 0.33. Unit: power ^ 0.33, whatever the level of the
    audio. audspecRasta_lengthL1norm is the mean of the 26. Source: Hermansky & Morgan 1994; the
    pole, there 0.94 or 0.98, is for a lower cut-off at 1 Hz.
    """

    def __init__(self) -> None:
        self._past = np.zeros((0, BANDS))  # log bands of the last four frames
        self._last = np.zeros(BANDS)  # the filter's last output
        self._frames = 0

    def __call__(self, bands: Float64) -> Float64:
        """Filter the next n frames: (n, 26) band powers -> (n, 26) loudness."""
        log = np.concatenate([self._past, np.log(np.maximum(bands, _LEAST))])
        if not self._frames:  # at rest: as if the first frame had always been there
            log = np.concatenate([np.repeat(log[:1], len(_TAPS) - 1, axis=0), log])
        drive = sum(
            tap * log[len(_TAPS) - 1 - lag : len(log) - lag] for lag, tap in enumerate(_TAPS)
        )
        drive[: max(0, _START - self._frames)] = 0.0
        filtered = _recursion(drive, self._last)
        self._past, self._last = log[-(len(_TAPS) - 1) :], filtered[-1]
        self._frames += len(bands)
        return (np.exp(filtered) * _EQUAL_LOUDNESS) ** LOUDNESS_POWER


def _recursion(drive: Float64, last: Float64, block: int = 50) -> Float64:
    """y[t] = drive[t] + pole y[t-1] for (n, 26), a block at a time as a triangular product."""
    lag = np.subtract.outer(np.arange(block), np.arange(block))
    response = np.where(lag >= 0, _POLE ** np.maximum(lag, 0), 0.0)
    decay = _POLE ** np.arange(1, block + 1)[:, np.newaxis]
    out = np.empty_like(drive)
    for start in range(0, len(drive), block):
        piece = drive[start : start + block]
        m = len(piece)
        out[start : start + m] = response[:m, :m] @ piece + decay[:m] * last
        last = out[start + m - 1]
    return out
