import numpy as np
import pytest
from scipy.signal import lfilter

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features.auditory import CENTRES, Rasta, loudness, mel_bands
from moodcurve.features.frames import power_of, short_spectra


def hertz(mel):
    return 700 * (10 ** (mel / 2595) - 1)


def mel(frequency):
    return 2595 * np.log10(1 + frequency / 700)


EDGES = hertz(np.linspace(mel(20), mel(8000), 28))


def equal_loudness():
    """Hermansky 1990 with the fall at high frequencies, as documented, in Hz."""
    w2 = (2 * np.pi * EDGES[1:-1]) ** 2
    hermansky = w2**2 * (w2 + 56.8e6) / ((w2 + 6.3e6) ** 2 * (w2 + 0.38e9))
    return 5.88235 * hermansky / (1 + (w2 / 28950**2) ** 3.5)


def sine(frequency):
    t = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def spectrum(samples):
    return power_of(short_spectra()(samples, 10))


def random_bands(frames):
    """Band powers that wander by some decades."""
    walk = np.cumsum(np.random.default_rng(0).normal(0, 0.3, (frames, 26)), axis=0)
    return np.exp(walk)


def test_centres_are_equally_spaced_in_mel():
    assert pytest.approx(EDGES[1:-1], rel=1e-3) == CENTRES


@pytest.mark.parametrize("band", [3, 8, 13, 18, 25])
def test_a_tone_lands_in_its_band(band):
    """From band 3 on, bands are wider than the lobe of a tone."""
    values = mel_bands(spectrum(sine(EDGES[band + 1])))
    assert values.shape == (10, 26)
    assert values.dtype == np.float64
    assert (values.argmax(axis=1) == band).all()


def test_tones_outside_leave_the_bands_empty():
    inside = mel_bands(spectrum(sine(1000))).sum()
    outside = mel_bands(spectrum(sine(12_000))).sum()
    assert outside < 1e-3 * inside


def test_bands_are_triangles_in_mel():
    power = np.random.default_rng(1).exponential(size=513)
    edges = mel(EDGES)
    values = mel_bands(power[np.newaxis].astype(np.float32))[0]
    for band in range(26):
        low, middle, high = edges[band : band + 3]
        total = 0.0
        for k in range(1, 513):
            m = mel(k * SAMPLE_RATE / 1024)
            if low < m <= middle:
                total += power[k] * (m - low) / (middle - low)
            elif middle < m < high:
                total += power[k] * (high - m) / (high - middle)
        assert values[band] == pytest.approx(total, rel=1e-3)


def test_loudness_is_the_mean_of_the_weighted_bands_to_the_third():
    bands = random_bands(7)
    expected = [
        np.mean([(p * w) ** 0.33 for p, w in zip(row, equal_loudness(), strict=True)])
        for row in bands
    ]
    assert loudness(bands) == pytest.approx(np.array(expected), rel=1e-3)


def test_ten_times_the_amplitude_is_4_57_times_as_loud():
    bands = random_bands(3)
    assert loudness(100 * bands) == pytest.approx(100**0.33 * loudness(bands))


def test_rasta_is_a_linear_filter_on_the_logarithm():
    """Taps (2, 1, 0, -1, -2) / 10 and a pole at 1 - 2 pi 0.01 (1 Hz), from rest: 5 frames of 0."""
    bands = random_bands(300)
    drive = lfilter([0.2, 0.1, 0, -0.1, -0.2], [1], np.log(bands), axis=0)
    drive[:5] = 0
    filtered = lfilter([1], [1, -(1 - 0.02 * np.pi)], drive, axis=0)
    expected = (np.exp(filtered) * equal_loudness()) ** 0.33
    assert Rasta()(bands) == pytest.approx(expected, rel=1e-3)


def test_rasta_carries_its_state_over_blocks():
    bands = random_bands(300)
    whole = Rasta()(bands)
    for sizes in ([1] * 300, [3, 2, 95, 200], [250, 50]):
        rasta = Rasta()
        pieces = [rasta(part) for part in np.split(bands, np.cumsum(sizes)[:-1])]
        assert np.concatenate(pieces) == pytest.approx(whole, rel=1e-9)


def test_rasta_forgets_what_is_constant():
    """The filter's gain at 0 Hz is nil: any steady spectrum ends at equal-loudness ^ 0.33."""
    bands = random_bands(1)
    step = np.concatenate([np.repeat(bands, 20, axis=0), np.repeat(50 * bands, 600, axis=0)])
    values = Rasta()(step)
    neutral = equal_loudness() ** 0.33
    assert values[0] == pytest.approx(neutral, rel=1e-3)
    assert values[-1] == pytest.approx(neutral, rel=1e-3)
    assert (values[24] > 1.5 * neutral).all()


def test_silence():
    silent = np.zeros((30, 26))
    assert np.isfinite(loudness(silent)).all()
    assert Rasta()(silent) == pytest.approx(np.tile(equal_loudness() ** 0.33, (30, 1)), rel=1e-3)
