"""The listener's input: log-mel frames of 16 kHz audio, every 16 ms.

What Pons & Serra 2019 gave their network: audio at 16 kHz, power spectra of 512 samples under a
Hann window every 256, 96 mel bands, and their logarithm. Frame t is centred at sample 256 t of the
16 kHz audio; the audio is continued by zeros before its beginning and after its end.
"""

import numpy as np
from numpy.typing import NDArray

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import kernels
from moodcurve.features.frames import Float32, Float64, power_of, sixteen_bits, transform

RATE = 16_000  # Hz
FFT, STEP = 512, 256  # samples at 16 kHz
BANDS = 96
FRAMES_PER_SECOND = RATE / STEP  # 62.5

# 160 samples at 16 kHz for every 441 at 44.1 kHz.
_OUT, _IN = 160, 441
_REACH = 176  # samples at 44.1 kHz on either side that a resampled one depends on
_CUTOFF = 7_600.0  # Hz
_ATTENUATION = 10.0  # Kaiser's beta: the aliases lie 100 dB below


def _resampling() -> Float32:
    """Weights (441 + 2 x 176, 160) of the samples around a block for each of its 160 outputs."""
    at = np.arange(_OUT) * _IN / _OUT + _REACH
    distance = np.arange(_IN + 2 * _REACH)[:, np.newaxis] - at
    width = 2 * _CUTOFF / SAMPLE_RATE
    taper = np.i0(_ATTENUATION * np.sqrt(np.maximum(0, 1 - (distance / _REACH) ** 2)))
    weights = width * np.sinc(width * distance) * taper / np.i0(_ATTENUATION)
    weights[np.abs(distance) > _REACH] = 0.0
    resampling: Float32 = (weights / weights.sum(axis=0)).astype(np.float32)
    return resampling


def _mel(frequency: Float64) -> Float64:
    """Slaney's mel scale (1998): straight up to 1 kHz, 200/3 Hz each, then 27 to a factor 6.4."""
    high = 15 + 27 * np.log(np.maximum(frequency, 1e-9) / 1000) / np.log(6.4)
    mel: Float64 = np.where(frequency < 1000, frequency * 3 / 200, high)
    return mel


def _mel_weights() -> Float64:
    """Triangles of equal area (96, 257), equally spaced in mel from 0 to 8 kHz."""
    mels = np.linspace(0.0, _mel(np.array([RATE / 2]))[0], BANDS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    bins = np.arange(FFT // 2 + 1) * RATE / FFT
    rising = (bins - edges[:-2, np.newaxis]) / np.diff(edges)[:-1, np.newaxis]
    falling = (edges[2:, np.newaxis] - bins) / np.diff(edges)[1:, np.newaxis]
    area = 2 / (edges[2:] - edges[:-2])
    weights: Float64 = area[:, np.newaxis] * np.maximum(np.minimum(rising, falling), 0.0)
    return np.ascontiguousarray(weights)


_RESAMPLING, _MEL = _resampling(), _mel_weights()
_HANN: Float32 = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)).astype(np.float32)
_BLOCK = 50 * _IN  # samples at 44.1 kHz that are worked through in turn: half a second


class LogMel:
    """Log-mel frames of mono audio at 44.1 kHz that comes in blocks of any size."""

    def __init__(self) -> None:
        self._samples: Float32 = np.zeros(_REACH, np.float32)  # at 44.1 kHz, from the block's reach
        self._resampled: Float32 = np.zeros(FFT // 2, np.float32)  # from the next frame's begin on
        self._taken, self._made = 0, 0  # samples so far, at 44.1 and at 16 kHz

    def push(self, samples: Float32) -> Float32:
        """Take the next samples (n,); give the frames (m, 96) that are now complete.

        A frame is log10(1 + 10000 E), E the power in each band (unscaled transform, full scale 1).
        """
        self._taken += len(samples)
        self._samples = np.concatenate([self._samples, sixteen_bits(samples)])
        return np.concatenate([self._frames(part) for part in self._resample()])

    def finish(self) -> Float32:
        """Give the frames that are left: in all 1 + N // 256 of the N samples at 16 kHz."""
        rest = -(-self._taken * _OUT // _IN) - self._made
        self._samples = np.concatenate([self._samples, np.zeros(2 * _BLOCK, np.float32)])
        end = np.concatenate([*self._resample(), np.zeros(0, np.float32)])[:rest]
        return self._frames(np.concatenate([end, np.zeros(FFT // 2, np.float32)]))

    def _resample(self) -> list[Float32]:
        """Parts of half a second at 16 kHz, as many as are complete, and one that is empty."""
        parts = [np.zeros(0, np.float32)]
        while len(self._samples) >= _BLOCK + 2 * _REACH:
            parts.append(resampled(self._samples[: _BLOCK + 2 * _REACH]))
            self._samples = self._samples[_BLOCK:]
            self._made += len(parts[-1])
        return parts

    def _frames(self, samples: Float32) -> Float32:
        """The frames that are complete with the next samples at 16 kHz."""
        self._resampled = np.concatenate([self._resampled, samples])
        if len(self._resampled) < FFT:
            return np.zeros((0, BANDS), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(self._resampled, FFT)[::STEP]
        self._resampled = self._resampled[len(frames) * STEP :]
        return log_mel(power_of(transform(frames * _HANN)))


def resampled(samples: Float32) -> Float32:
    """Samples at 16 kHz, 160 for each 441 of samples (441 k + 2 x 176,) at 44.1 kHz."""
    return kernels.sliding_products(samples, _RESAMPLING, _IN).reshape(-1)


def log_mel(power: NDArray[np.float32]) -> Float32:
    """Log-mel bands (n, 96) of power spectra (n, 257)."""
    energy = kernels.weighted_sums(power, _MEL)
    return np.log10(1 + 10_000 * energy).astype(np.float32)
