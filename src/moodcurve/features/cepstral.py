"""The cepstral family: mel-frequency cepstral coefficients 1 to 14 (Davis & Mermelstein 1980)."""

import numpy as np

from moodcurve.features.auditory import BANDS
from moodcurve.features.frames import Float64

COEFFICIENTS = 14
_LIFTER = 22
_LEAST = 1e-8


def _transform() -> Float64:
    """Orthonormal cosine transform (type II) with liftering 1 + 11 sin(pi k / 22), (26, 14)."""
    k = np.arange(1, COEFFICIENTS + 1)
    band = np.arange(BANDS)[:, np.newaxis]
    cosines: Float64 = np.sqrt(2 / BANDS) * np.cos(np.pi * k * (band + 0.5) / BANDS)
    return cosines * (1 + _LIFTER / 2 * np.sin(np.pi * k / _LIFTER))


_TRANSFORM = _transform()


def mfcc(bands: Float64) -> Float64:
    """mfcc[1..14]: cepstral coefficients of the mel bands, (n, 26) power -> (n, 14).

    c_k = (1 + 11 sin(pi k / 22)) sqrt(2 / 26) sum_b ln max(B_b, 1e-8) cos(pi k (b + 0.5) / 26),
    b = 0 .. 25. Natural logarithm, no unit; the same at every level of the audio, as c_0 is left
    out. Source: Davis & Mermelstein 1980; liftering Juang, Rabiner & Wilpon 1987.
    """
    # over _LEAST, which no c_k but c_0 notices: silence then has exactly 0
    coefficients: Float64 = np.log(np.maximum(bands / _LEAST, 1)) @ _TRANSFORM
    return coefficients
