import numpy as np
import pytest

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features.frames import frame_count, long_spectra, power_of, short_spectra

NOISE = np.random.default_rng(0).normal(0, 0.1, 10_000).astype(np.float32)


@pytest.mark.parametrize("samples", [0, 1, 2645, 2646, 3086, 3087, 3088, 10_000, 44_100, 1_984_500])
def test_frames_are_whole_and_there_is_at_least_one(samples):
    count = 0
    while 441 * count + 2646 <= samples:
        count += 1
    assert frame_count(samples) == max(1, count)


def test_a_song_of_45_s():
    assert frame_count(45 * SAMPLE_RATE) == 4495


def power_spectrum(samples, count):
    return power_of(short_spectra()(samples, count))


def long_magnitudes(samples, count):
    return np.abs(long_spectra()(samples, count))


def test_a_transform_forgets_what_it_did_before():
    transform = short_spectra()
    transform(np.ones(10_000, np.float32), 20)
    found = transform(NOISE, 5)
    np.testing.assert_array_equal(found, short_spectra()(NOISE, 5))
    np.testing.assert_array_equal(transform(NOISE, 7)[:5], found)


def two_sided(power):
    """Sum of all 2 (n - 1) bins of a real signal's transform from its n first ones."""
    return power[:, 0] + 2 * power[:, 1:-1].sum(axis=1) + power[:, -1]


def test_power_spectrum_keeps_the_energy():
    """Parseval: the sum over 1024 bins is 1024 times the energy under the Hamming window."""
    power = power_spectrum(NOISE, 10)
    assert power.shape == (10, 513)
    assert power.dtype == np.float32
    n = np.arange(882)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * n / 881)
    energy = [np.sum((NOISE[441 * t : 441 * t + 882] * window) ** 2) for t in range(10)]
    assert two_sided(power.astype(float)) == pytest.approx(1024 * np.array(energy), rel=1e-5)


def test_long_magnitudes_keep_the_energy():
    """The same with 4096 bins; Gaussian window, deviation 0.4 of its half."""
    magnitude = long_magnitudes(NOISE, 10)
    assert magnitude.shape == (10, 2049)
    assert magnitude.dtype == np.float32
    from_middle = np.arange(2646) - 1322.5
    window = np.exp(-0.5 * (from_middle / (0.4 * 1322.5)) ** 2)
    energy = [np.sum((NOISE[441 * t : 441 * t + 2646] * window) ** 2) for t in range(10)]
    power = magnitude.astype(float) ** 2
    assert two_sided(power) == pytest.approx(4096 * np.array(energy), rel=1e-5)


def test_power_spectrum_is_the_transform_by_definition():
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(882) / 881)
    frame = NOISE[441 * 3 : 441 * 3 + 882] * window
    for k in (0, 1, 77, 512):
        value = np.sum(frame * np.exp(-2j * np.pi * k * np.arange(882) / 1024))
        assert power_spectrum(NOISE, 4)[3, k] == pytest.approx(abs(value) ** 2, rel=1e-4)


def test_frames_begin_every_10_ms():
    """A click is seen by the frames that it lies in, and by no other."""
    click = np.zeros(10_000, np.float32)
    click[441 * 8 + 100] = 1.0
    short = power_spectrum(click, 12).sum(axis=1) > 0
    long = long_magnitudes(click, 12).sum(axis=1) > 0
    assert np.flatnonzero(short).tolist() == [7, 8]
    assert np.flatnonzero(long).tolist() == [3, 4, 5, 6, 7, 8]
