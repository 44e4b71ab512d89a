import numpy as np
import pytest

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import Descriptors, descriptors, row_count, summarise
from moodcurve.features.frames import frame_count


def music(seconds, seed=0):
    """Tones with gaps and noise, so that every descriptor has something to do."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 110 * 2 ** (rng.integers(0, 24, len(t) // 8000 + 1) / 12)
    phase = 2 * np.pi * np.cumsum(np.repeat(pitch, 8000)[: len(t)]) / SAMPLE_RATE
    tones = sum(np.sin(h * phase) / h for h in range(1, 8))
    gate = np.sin(2 * np.pi * 0.9 * t) > -0.5
    return (0.1 * gate * tones + 0.01 * rng.normal(size=len(t))).astype(np.float32)


def in_blocks(samples, sizes):
    """Cut into blocks of those sizes, over and over."""
    start, blocks = 0, []
    while start < len(samples):
        size = sizes[len(blocks) % len(sizes)]
        blocks.append(samples[start : start + size])
        start += size
    return blocks


@pytest.mark.parametrize("sizes", [(997,), (44_101,), (13, 100_003), (441_000,), (0, 5000)])
def test_the_result_does_not_depend_on_the_blocks(sizes):
    """Bit for bit, over several of the fixed steps of 2.5 s."""
    samples = music(7.3)
    whole = descriptors([samples])
    assert (whole[:, 0] > 0).any()
    assert (whole[:, 0] == 0).any()
    assert descriptors(in_blocks(samples, sizes)).tobytes() == whole.tobytes()


def in_steps(blocks, step):
    found = Descriptors(step)
    return np.concatenate([*map(found.push, blocks), found.finish()])


@pytest.mark.parametrize("sizes", [(1,), (7,), (441,), (2646,), (2647, 3)])
def test_the_smallest_blocks(sizes):
    """The same with steps of 7 frames, so that a short sound has several."""
    samples = music(0.4)
    whole = in_steps([samples], 7).tobytes()
    assert in_steps(in_blocks(samples, sizes), 7).tobytes() == whole


@pytest.mark.parametrize("step", [3, 40, 101])
def test_every_family_carries_its_state_over_the_steps(step):
    """Steps of another size change no more than the rounding."""
    samples = music(3.1)
    usual = descriptors([samples])
    values = in_steps([samples], step)
    scale = np.abs(usual).max(axis=0)
    assert np.abs(values - usual).max(axis=0) / scale == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    "samples", [0, 1, 881, 2645, 2646, 2647, 22_050, 44_100, 112_455, 112_456, 112_896, 150_000]
)
def test_shape(samples):
    values = descriptors([music(4)[:samples]])
    assert values.shape == (frame_count(samples), 65)
    assert values.dtype == np.float32


def test_of_half_a_second_and_a_second():
    assert descriptors([music(0.5)]).shape == (45, 65)
    assert descriptors([music(1.0)]).shape == (95, 65)


def click():
    samples = np.zeros(SAMPLE_RATE)
    samples[20_000] = 1.0
    return samples


SECOND = np.arange(SAMPLE_RATE) / SAMPLE_RATE
EXTREMES = {
    "silence": np.zeros(SAMPLE_RATE),
    "nothing at all": np.zeros(0),
    "noise": np.random.default_rng(0).normal(0, 0.3, SAMPLE_RATE),
    "clipping square": np.sign(np.sin(2 * np.pi * 220 * SECOND)),
    "far over full scale": 50 * np.sin(2 * np.pi * 220 * SECOND),
    "constant": np.full(SAMPLE_RATE, 0.5),
    "fullest constant": np.full(SAMPLE_RATE, -1.0),
    "click": click(),
    "one level of 16 bits": np.where(np.arange(SAMPLE_RATE) % 200 < 100, 1.01, 0) / 32767,
    "Nyquist": np.where(np.arange(SAMPLE_RATE) % 2, 1.0, -1.0),
    "tone from silence": np.where(SECOND > 0.5, np.sin(2 * np.pi * 100 * SECOND), 0),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_every_value_is_finite(name):
    values = descriptors([EXTREMES[name].astype(np.float32)])
    assert np.isfinite(values).all()
    rows = summarise(values, row_count(len(values)))
    assert np.isfinite(rows).all()
    assert (rows[:, 0::2] >= 0).all()


def test_what_lies_under_16_bits_is_silence():
    faint = np.random.default_rng(0).uniform(-0.99, 0.99, SAMPLE_RATE) / 32767
    silence = descriptors([EXTREMES["silence"].astype(np.float32)])
    assert (descriptors([faint.astype(np.float32)]) == silence).all()


def test_a_16_bit_copy_is_described_alike():
    samples = music(1.0)
    copy = (np.trunc(samples * 32767) / 32767).astype(np.float32)
    rounding = np.float32(1e-9)  # the copy's own float rounding must not cross a level
    assert descriptors([samples]) == pytest.approx(
        descriptors([copy + rounding * np.sign(copy)]), rel=1e-5, abs=1e-5
    )


def test_columns_are_in_the_official_order():
    """Each family at its place: a loud 1 kHz tone after silence."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.5 * np.sin(2 * np.pi * 500 * t)
    values = descriptors([np.concatenate([np.zeros(SAMPLE_RATE), tone]).astype(np.float32)])
    silent, loud = values[50], values[150]
    assert loud[0] == pytest.approx(500, rel=0.01)  # F0final
    assert loud[1] > 0.68 > silent[1]  # voicing
    assert silent[5] == -100 < loud[5]  # logHNR
    assert loud[6] > 10 * silent[6]  # loudness
    assert loud[7] == pytest.approx(loud[10:36].mean(), rel=1e-5)  # RASTA loudness, bands
    assert loud[8] == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)  # RMS
    assert loud[9] == pytest.approx(1000 / SAMPLE_RATE, rel=0.05)  # zero crossings
    assert loud[36] > 100 * loud[37]  # 250-650 Hz over 1-4 kHz
    assert loud[38:42] == pytest.approx(500, abs=90)  # roll-off points
    assert loud[42] == pytest.approx(0, abs=0.1)  # flux
    assert loud[43] == pytest.approx(500, rel=0.02)  # centroid
    assert 0 < loud[44] < 4  # entropy
    assert 0 < np.sqrt(loud[45]) < 300  # variance
    assert loud[50] > 0  # harmonicity
    assert silent[51:] == pytest.approx(0, abs=1e-3)  # mfcc
    assert np.abs(loud[51:]).min() > 1e-3


def test_what_is_no_number_is_silence_or_full_scale():
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    samples = noise.copy()
    samples[[1000, 20_000, 30_000]] = np.nan, np.inf, -np.inf
    cleaned = noise.copy()
    cleaned[[1000, 20_000, 30_000]] = 0, 1, -1
    np.testing.assert_array_equal(descriptors([samples]), descriptors([cleaned]))
