"""Integrated loudness: the recommendation's own signals and arithmetic by hand."""

import numpy as np
import pytest

from moodcurve.audio import SAMPLE_RATE
from moodcurve.sound.loudness import LEVEL, Loudness, gain_to_level


def sine(seconds, level, frequency=997.0):
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (10 ** (level / 20) * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def integrated(*blocks):
    loudness = Loudness()
    for block in blocks:
        loudness.push(block)
    return loudness.integrated()


def test_full_scale_at_997_hz():
    """BS.1770-4: a sine of 0 dBFS in one channel has -3.01 LUFS."""
    assert integrated(sine(5, 0)) == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("level", [-23.0, -33.0, -60.0])
def test_levels(level):
    assert integrated(sine(5, level)) == pytest.approx(level - 3.01, abs=0.02)


def test_quiet_parts_do_not_count():
    """EBU Tech 3341, case 3: 10 s at -36, 60 s at -23, 10 s at -36 dBFS have -23 (one channel)."""
    parts = sine(10, -36), sine(60, -23), sine(10, -36)
    assert integrated(*parts) == pytest.approx(-26.01, abs=0.1)


def test_silence_does_not_count():
    silence = np.zeros(30 * SAMPLE_RATE, np.float32)
    music = sine(20, -20)
    assert integrated(silence, music, silence) == pytest.approx(integrated(music), abs=0.1)


@pytest.mark.parametrize("samples", [0, 100, SAMPLE_RATE // 3])
def test_too_short_or_silent(samples):
    assert integrated(np.zeros(samples, np.float32)) == -np.inf
    assert gain_to_level(-np.inf) == 1.0


def test_low_and_high_frequencies():
    """The K curve: rumble counts less, 4 dB more over 2 kHz or so."""
    middle = integrated(sine(3, -20, 997))
    assert integrated(sine(3, -20, 20)) < middle - 9
    assert integrated(sine(3, -20, 8000)) == pytest.approx(middle + 3.4, abs=0.3)


def test_the_size_of_blocks_does_not_matter():
    audio = np.random.default_rng(0).normal(0, 0.1, 100_000).astype(np.float32)
    parts = np.split(audio, [1, 5000, 5001, 60_000])
    assert integrated(*parts) == pytest.approx(integrated(audio), abs=1e-9)


def test_the_gain_brings_it_there():
    audio = sine(5, -35)
    assert integrated(gain_to_level(integrated(audio)) * audio) == pytest.approx(LEVEL, abs=1e-3)
