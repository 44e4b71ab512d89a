import numpy as np
import pytest

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features.energy import rms, zero_crossing_rate


def sine(frequency, seconds=0.5, amplitude=1.0, phase=0.3):
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * frequency * t + phase)).astype(np.float32)


@pytest.mark.parametrize("amplitude", [1.0, 0.3, 1e-3])
def test_rms_of_a_sine(amplitude):
    """1 kHz: exactly 20 periods in a frame of 20 ms."""
    values = rms(sine(1000, amplitude=amplitude), 40)
    assert values == pytest.approx(np.full(40, amplitude / np.sqrt(2)), rel=1e-5)


def test_rms_of_a_step_frame_by_frame():
    """Frames of two steps of 441: silent, half full, full."""
    samples = np.concatenate([np.zeros(3 * 441), np.full(3 * 441, -0.5)]).astype(np.float32)
    half = 0.5 / np.sqrt(2)
    assert rms(samples, 5) == pytest.approx(np.array([0, 0, half, 0.5, 0.5]))


@pytest.mark.parametrize("frequency", [100, 440, 3000, 10_000])
def test_zero_crossings_of_a_sine(frequency):
    """2 f / fs; a frame may hold a crossing more or less."""
    values = zero_crossing_rate(sine(frequency), 40)
    assert values == pytest.approx(np.full(40, 2 * frequency / SAMPLE_RATE), abs=2.01 / 2646)
    assert values.mean() == pytest.approx(2 * frequency / SAMPLE_RATE, abs=1.01 / 2646)


def test_zero_crossings_of_clicks_counted_by_hand():
    """On a ground of 0.1, three clicks down cross twice each; to touch 0 is not to cross."""
    samples = np.full(2646, 0.1, np.float32)
    samples[[500, 1000, 2000]] = -1.0
    samples[1500] = 0.0
    assert zero_crossing_rate(samples, 1) == pytest.approx([6 / 2646])


def test_a_crossing_through_an_exact_zero_counts_once():
    samples = np.concatenate([np.full(1300, 0.1), [0.0], np.full(1345, -0.1)]).astype(np.float32)
    assert zero_crossing_rate(samples, 1) == pytest.approx([1 / 2646])


def test_each_frame_counts_its_own_crossings():
    """A sign change at sample 441 * 8 + 200 lies inside frames 3 to 8."""
    samples = np.full(441 * 20, 0.2, np.float32)
    samples[441 * 8 + 200 :] = -0.2
    counts = zero_crossing_rate(samples, 14) * 2646
    assert counts == pytest.approx(np.array([0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]))


def test_silence():
    silence = np.zeros(441 * 12, np.float32)
    assert (rms(silence, 6) == 0).all()
    assert zero_crossing_rate(silence, 6) == pytest.approx(np.full(6, 2644 / 2646))
