"""The time grid of the descriptors: a frame every 10 ms, at 44.1 kHz.

Short frames of 20 ms with a Hamming window serve the spectral, auditory and cepstral families;
long frames of 60 ms with a Gaussian window serve the voicing family and zero crossings (Schuller
et al. 2013). Frame t of either length begins at sample 441 t.
"""

import numpy as np
import scipy.fft
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


def power_spectrum(samples: Float32, count: int) -> Float32:
    """Power spectra of the first `count` short frames.

    Args:
        samples: mono float32 audio, shape (>= (count - 1) STEP + SHORT,).
        count: number of frames.

    Returns:
        float32, shape (count, 513): squared magnitudes of a 1024-point transform, unscaled.
    """
    spectrum: NDArray[np.complex64] = scipy.fft.rfft(
        _windowed(samples, count, _HAMMING), SHORT_FFT, axis=1
    )
    return spectrum.real**2 + spectrum.imag**2


def long_magnitudes(samples: Float32, count: int) -> Float32:
    """Magnitude spectra of the first `count` long frames, float32, shape (count, 2049)."""
    spectrum: NDArray[np.complex64] = scipy.fft.rfft(
        _windowed(samples, count, _GAUSSIAN), LONG_FFT, axis=1
    )
    return np.abs(spectrum)


def _windowed(samples: Float32, count: int, window: Float32) -> Float32:
    views: Float32 = np.lib.stride_tricks.sliding_window_view(samples, len(window))[::STEP][:count]
    return views * window
