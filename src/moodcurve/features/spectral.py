"""The spectral family: 15 descriptors of the shape of each frame's power spectrum.

P_k is the power of bin k = 1 .. 512 at f_k = 43.07 k Hz; the constant (bin 0) takes no part.
Definitions from Eyben 2016, chapter 2, and Zwicker & Fastl 1999 for sharpness; where the
literature leaves a choice open the one that agrees with the reference was taken.
"""

import numpy as np

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import kernels
from moodcurve.features.frames import SHORT_FFT, Float32, Float64

_BINS = SHORT_FFT // 2
_WIDTH = SAMPLE_RATE / SHORT_FFT  # Hz a bin
_FREQUENCIES = np.arange(1, _BINS + 1) * np.float64(_WIDTH)
_TINY = 1e-20
_LEAST = 1e-7


def spectral(power: Float32, previous: Float32) -> Float64:
    """Compute the 15 spectral descriptors of each frame, in the official order.

    With S = sum_k P_k and p_k = P_k / S (all 0 in silence):

    - fband250-650, fband1000-4000 (power, full scale = 1): sum of P over the band / 512, a bin cut
      by its edge counting by the share inside
    - spectralRollOff25.0 .. 90.0 (Hz): see `roll_off`
    - spectralFlux (amplitude): see `flux`
    - spectralCentroid (Hz): c = sum_k f_k p_k
    - spectralEntropy (bit): see `entropy`
    - spectralVariance (Hz^2): v = sum_k (f_k - c)^2 p_k
    - spectralSkewness: sum_k (f_k - c)^3 p_k / v^(3/2)
    - spectralKurtosis: sum_k (f_k - c)^4 p_k / v^2, 1.8 for a flat spectrum
    - spectralSlope (power a Hz, times 510.985): see `_slope`
    - psySharpness (acum): 0.11 sum_k z_k g(z_k) p_k, see `_sharpness`
    - spectralHarmonicity (power): see `harmonicity`

    Sources: Eyben 2016, chapter 2; sharpness Zwicker & Fastl 1999.

    Args:
        power: (n, 513) power spectra of short frames.
        previous: (513,) power spectrum of the frame before the first (for the flux; a song's
            first frame is its own predecessor).

    Returns:
        float64, shape (n, 15): energies in 250-650 Hz and 1-4 kHz, four roll-off points in Hz,
        flux, centroid in Hz, entropy in bits, variance in Hz^2, skewness, kurtosis, slope,
        sharpness in acum, harmonicity.
    """
    sums = kernels.weighted_sums(power, _WEIGHTINGS)
    low, middle, total, first, second, third, fourth, sharp = sums.T
    safe = total + _TINY
    mean = first / safe
    variance = np.maximum(second / safe - mean**2, 0.0)
    m3 = third / safe - 3 * mean * second / safe + 2 * mean**3
    m4 = fourth / safe - 4 * mean * third / safe + 6 * mean**2 * second / safe - 3 * mean**4
    spread = np.where(variance > 0, variance, 1.0)
    return np.column_stack(
        [
            low / _BINS,
            middle / _BINS,
            *roll_off(power, (0.25, 0.50, 0.75, 0.90)),
            flux(power, previous),
            mean,
            entropy(power),
            variance,
            np.where(variance > 0, m3 / spread**1.5, 0.0),
            np.where(variance > 0, m4 / spread**2, 0.0),
            _slope(total, first),
            0.11 * sharp / safe,
            harmonicity(power),
        ]
    )


def roll_off(power: Float32, shares: tuple[float, ...]) -> list[Float64]:
    """spectralRollOff: the frequency in Hz below which a share of the power lies, (n,) each.

    The least f_k with sum_(i <= k) P_i >= share x sum P. Source: Eyben 2016, chapter 2.
    """
    bins = kernels.roll_off_bins(power, np.array(shares))
    return list(_FREQUENCIES[bins.T - 1])


def flux(power: Float32, previous: Float32) -> Float64:
    """spectralFlux: RMS change of the magnitudes sqrt(P) since the frame before, (n,).

    sqrt(1/512 sum_k (sqrt(P_k(t)) - sqrt(P_k(t - 1)))^2). Source: Eyben 2016, chapter 2.
    """
    return np.sqrt(kernels.mean_square_change(power, previous))


def entropy(power: Float32) -> Float64:
    """spectralEntropy: -sum p log2 p in bits with p = P / sum P; 9 for a flat spectrum.

    The P above are at least 1e-7, as in the reference: it shows only at the brink of silence.
    """
    return kernels.entropies(power, _LEAST)


def harmonicity(power: Float32) -> Float64:
    """spectralHarmonicity: half the up-and-down way between successive peaks and valleys.

    sum |P(e_i) - P(e_(i-1))| / (2 * 512) over the extrema e_i, bins that exceed, or lie below,
    two neighbours on either side (from bin 3 on). High where strong partials stand over gaps.
    """
    return kernels.up_and_down(power) / (2 * _BINS)


def _slope(total: Float64, first: Float64) -> Float64:
    """spectralSlope: slope of the regression line of P over frequency.

    (512 sum f P - sum f sum P) / (512 sum f^2 - (sum f)^2). Source: Eyben 2016, chapter 2.
    The reference scales it by just under the number of bins; so do we.
    """
    s1, s2 = _FREQUENCIES.sum(), np.square(_FREQUENCIES).sum()
    slope: Float64 = (_BINS * first - s1 * total) / (_BINS * s2 - s1**2)
    return slope * _SLOPE_SCALE


_SLOPE_SCALE = 510.985


def _band(low: float, high: float) -> Float64:
    """Weights that sum P between two frequencies; bin k stands for f_k .. f_(k+1)."""
    inside: Float64 = np.minimum(_FREQUENCIES + _WIDTH, high) - np.maximum(_FREQUENCIES, low)
    return np.maximum(inside, 0.0) / _WIDTH


def _sharpness() -> Float64:
    """psySharpness: z g(z) with z in Bark (Traunmueller 1990, corrected at both ends).

    g weights what lies over 16 Bark, as in Zwicker & Fastl; its form there, 1 + 0.111 (z -
    16)^1.585, was fitted to the reference's answers to pure tones.
    """
    z = 26.81 * _FREQUENCIES / (1960 + _FREQUENCIES) - 0.53
    z = np.where(z < 2, z + 0.15 * (2 - z), np.where(z > 20.1, z + 0.22 * (z - 20.1), z))
    return z * (1 + 0.11102 * np.maximum(z - 16, 0) ** 1.58524)


# Everything that is linear in P: (8, 513), the constant left out.
_WEIGHTINGS = np.pad(
    [
        _band(250, 650),
        _band(1000, 4000),
        *(_FREQUENCIES**power for power in range(5)),
        _sharpness(),
    ],
    ((0, 0), (1, 0)),
)
