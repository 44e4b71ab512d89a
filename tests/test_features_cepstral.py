import numpy as np
import pytest
from scipy.fft import dct

from moodcurve.features.cepstral import mfcc


def test_mfcc_is_the_liftered_cosine_transform_of_the_log_bands():
    bands = np.exp(np.random.default_rng(0).normal(0, 3, (50, 26)))
    k = np.arange(1, 15)
    cepstrum = dct(np.log(bands), type=2, norm="ortho", axis=1)[:, k]
    assert mfcc(bands) == pytest.approx(cepstrum * (1 + 11 * np.sin(np.pi * k / 22)))


def test_a_flat_spectrum_has_no_shape():
    assert mfcc(np.full((2, 26), 3.7)) == pytest.approx(0, abs=1e-9)


def test_level_takes_no_part():
    bands = np.exp(np.random.default_rng(1).normal(0, 1, (5, 26)))
    assert mfcc(1000 * bands) == pytest.approx(mfcc(bands))


def test_one_ripple_fills_one_coefficient():
    """log bands = cos(pi 3 (b + 1/2) / 26): only coefficient 3, sqrt(26 / 2) times its lifter."""
    ripple = np.cos(np.pi * 3 * (np.arange(26) + 0.5) / 26)
    expected = np.zeros(14)
    expected[2] = np.sqrt(13) * (1 + 11 * np.sin(np.pi * 3 / 22))
    assert mfcc(np.exp(ripple)[np.newaxis])[0] == pytest.approx(expected, abs=1e-9)


def test_silence():
    assert mfcc(np.zeros((2, 26))) == pytest.approx(0, abs=1e-9)
    # Powers under 1e-8 count as 1e-8.
    faint = np.ones((1, 26))
    faint[0, 5] = 1e-8
    gone = faint.copy()
    gone[0, 5] = 0.0
    assert mfcc(faint) == pytest.approx(mfcc(gone))
