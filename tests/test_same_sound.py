"""A copy of a song has the song's curve, however it is stored."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from moodcurve import Audio2Curve
from moodcurve.audio import SAMPLE_RATE
from moodcurve.model import DIMENSIONS

EXAMPLE = Path(__file__).parents[1] / "examples" / "four_moods.ogg"
MOST = 0.05  # mean distance from the song's own curve


@pytest.fixture(scope="module")
def song():
    return soundfile.read(EXAMPLE, dtype="float32")[0]


@pytest.fixture(scope="module")
def audio2curve():
    return Audio2Curve()


@pytest.fixture(scope="module")
def curve(song, audio2curve):
    return audio2curve(song, SAMPLE_RATE)


def softer(song):
    return 10 ** (-12 / 20) * song


def softer_in_16_bits(song):
    return np.round(32767 * softer(song)) / 32767


def at_half_the_rate(song):
    return soxr.resample(soxr.resample(song, 2, 1), 1, 2)[: len(song)]


def of_one_channel(song):
    return song.mean(axis=1)


def turned_over(song):
    return -song


def through_mp3(song):
    """At 128 kbit/s: half-way between the least and the most that libsndfile gives a layer III."""
    file = io.BytesIO()
    mp3 = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.67}
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, 2, **mp3) as sound:
        for begin in range(0, len(song), SAMPLE_RATE):
            sound.write(song[begin : begin + SAMPLE_RATE])
    assert file.tell() * 8 / (len(song) / SAMPLE_RATE) == pytest.approx(128_000, rel=0.1)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


@pytest.mark.parametrize(
    "copied",
    [softer, softer_in_16_bits, at_half_the_rate, of_one_channel, turned_over, through_mp3],
)
def test_a_copy(copied, song, curve, audio2curve):
    copy = audio2curve(copied(song), SAMPLE_RATE)
    for dimension in DIMENSIONS:
        n = min(len(copy.times), len(curve.times))
        apart = getattr(copy, dimension)[:n] - getattr(curve, dimension)[:n]
        assert np.abs(apart).mean() <= MOST


def test_one_that_begins_later(song, curve, audio2curve):
    copy = audio2curve(song[round(0.3 * SAMPLE_RATE) :], SAMPLE_RATE)
    for dimension in DIMENSIONS:
        values = np.interp(copy.times + 0.3, curve.times, getattr(curve, dimension))
        assert np.abs(getattr(copy, dimension) - values).mean() <= MOST


@pytest.mark.parametrize("dither", [0, 1])
def test_one_beside_a_minute_of_silence(dither, song, curve, audio2curve):
    steps = np.random.default_rng(0).integers(-dither, dither + 1, (60 * SAMPLE_RATE, 2))
    silence = (steps / 32768).astype(np.float32)
    copy = audio2curve(np.concatenate([silence, song, silence]), SAMPLE_RATE)
    for dimension in DIMENSIONS:
        values = getattr(copy, dimension)
        np.testing.assert_allclose(values[120:280], getattr(curve, dimension), atol=0.02)
        assert not values[:119].any()
        assert not values[281:].any()
