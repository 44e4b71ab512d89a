"""The time grid of the descriptors: a frame every 10 ms, at 44.1 kHz.

Short frames of 20 ms with a Hamming window serve the spectral, auditory and cepstral families;
long frames of 60 ms with a Gaussian window serve the voicing family and zero crossings (Schuller
et al. 2013). Frame t of either length begins at sample 441 t.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.audio import SAMPLE_RATE

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

STEP = 441  # samples, 10 ms
SHORT = 882  # samples, 20 ms
LONG = 2646  # samples, 60 ms
SHORT_FFT = 1024
LONG_FFT = 4096

FRAMES_PER_SECOND = SAMPLE_RATE // STEP

_HAMMING: Float32 = np.hamming(SHORT).astype(np.float32)
# A Gaussian whose standard deviation is 0.4 of half the window.
_GAUSSIAN: Float32 = np.exp(
    -0.5 * ((np.arange(LONG) - (LONG - 1) / 2) / (0.4 * (LONG - 1) / 2)) ** 2
).astype(np.float32)


def frame_count(samples: int) -> int:
    """Count the whole long frames in a signal of that many samples, at least one."""
    return max(1, 1 + (samples - LONG) // STEP)


def transform(frames: NDArray[Any]) -> NDArray[Any]:
    """The Fourier transform of real frames (m, n), unscaled: (m, n / 2 + 1), of their precision."""
    import scipy.fft  # its import takes longer than some commands that transform nothing

    spectra: NDArray[Any] = scipy.fft.rfft(frames, axis=1)
    return spectra


class Spectra:
    """Transforms the frames of one kind; keeps the padded buffer that they are windowed into."""

    def __init__(self, window: Float32, size: int) -> None:
        self._window = window
        self._padded: Float32 = np.zeros((0, size), np.float32)

    def __call__(self, samples: Float32, count: int) -> NDArray[np.complex64]:
        """Spectra of the first `count` frames, complex64, shape (count, size / 2 + 1), unscaled."""
        length, size = len(self._window), self._padded.shape[1]
        if len(self._padded) < count:
            self._padded = np.zeros((count, size), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::STEP][:count]
        np.multiply(frames, self._window, out=self._padded[:count, :length])
        spectra: NDArray[np.complex64] = transform(self._padded[:count])
        return spectra


def short_spectra() -> Spectra:
    """A transform of 20 ms frames under the Hamming window: 513 bins of 43.07 Hz.

    X_k = sum_n (0.54 - 0.46 cos(2 pi n / 881)) x_n exp(-2 pi i k n / 1024), n = 0 .. 881.
    """
    return Spectra(_HAMMING, SHORT_FFT)


def long_spectra() -> Spectra:
    """A transform of 60 ms frames under the Gaussian window: 2049 bins of 10.77 Hz.

    X_k = sum_n exp(-(n - 1322.5)^2 / (2 (0.4 x 1322.5)^2)) x_n exp(-2 pi i k n / 4096).
    """
    return Spectra(_GAUSSIAN, LONG_FFT)


def power_of(spectra: NDArray[np.complex64]) -> Float32:
    """Power spectra P_k = |X_k|^2 of unscaled transforms; full scale = 1 squared."""
    return np.square(spectra.real) + np.square(spectra.imag)


_LOUDEST = np.float32(1e3)  # beyond it, powers of powers would overflow


def sixteen_bits(samples: Float32) -> Float32:
    """Cut samples to 16 bits, toward zero, as the reference reads audio.

    It makes a file decoded to floats and its 16-bit copy the same, and "silence" definite: what
    lies under 1 / 32767 of full scale. NaN, which is no sound, becomes silence; infinity full
    scale; what a damaged file holds beyond 1000 times full scale is cut there.
    """
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    levels: Float32 = np.clip(samples, -_LOUDEST, _LOUDEST) * np.float32(32767)
    np.trunc(levels, out=levels)
    return np.divide(levels, np.float32(32767), out=levels)
