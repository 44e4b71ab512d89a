import numpy as np
import pytest

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features.harmony import (
    HARMONY_NAMES,
    LENGTH,
    STEP,
    TRIADS,
    Harmony,
    describe,
    frames_within,
)
from moodcurve.rows import all_rows_of, gain_of

PITCH = np.arange(12)
INTERVALS = [HARMONY_NAMES.index(f"interval[{i}]") for i in range(1, 7)]
TRIAD = {name: HARMONY_NAMES.index(f"triad_{name}") for name in TRIADS}


def notes(*numbers, seconds=1.0, amplitude=0.1):
    """Sines at MIDI note numbers."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = [np.sin(2 * np.pi * 440 * 2 ** ((n - 69) / 12) * t) for n in numbers]
    return (amplitude * np.sum(tones, axis=0)).astype(np.float32)


def of(samples):
    return describe(samples[np.newaxis, :LENGTH])[0]


@pytest.mark.parametrize("note", [48, 52, 57, 69, 83, 95])
def test_a_tone_is_its_pitch_class(note):
    chroma = of(notes(note))[PITCH]
    assert np.argmax(chroma) == note % 12
    others = np.delete(chroma, [(note - 1) % 12, note % 12, (note + 1) % 12])
    assert others.max() < 0.1 * chroma[note % 12]


def test_chroma_of_a_tone_by_hand():
    """Root of the Gaussian mean of the Hann window's transform of a sine."""
    frequency, bins = 440.0, np.arange(1, LENGTH // 2 + 1)
    f = bins * SAMPLE_RATE / LENGTH
    t = np.arange(LENGTH) / SAMPLE_RATE
    frame = 0.5 * np.sin(2 * np.pi * frequency * t) * np.hanning(LENGTH)
    magnitude = np.array([abs(np.exp(-2j * np.pi * x * t) @ frame) for x in f[140:190]])
    semitones = 69 + 12 * np.log2(f[140:190] / 440)
    weight = np.exp(-0.5 * ((semitones - 69) / 0.25) ** 2) * (np.abs(semitones - 69) < 1)
    expected = np.sqrt((weight @ magnitude) / weight.sum())
    # 16 bits and the tails of the window in the other octaves: 3 %
    assert of(notes(69, amplitude=0.5))[9] == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("chord", "kind"),
    [
        ((60, 64, 67), "major"),
        ((60, 63, 67), "minor"),
        ((60, 63, 66), "diminished"),
        ((60, 64, 68), "augmented"),
        ((60, 65, 67), "suspended"),
    ],
)
def test_a_chord_is_heard_as_what_it_is(chord, kind):
    values = of(notes(*chord))
    assert max(TRIAD, key=lambda name: values[TRIAD[name]]) == kind


def test_products_by_brute_force():
    """Triads and intervals from the chroma of noise, root by root."""
    noise = np.random.default_rng(3).normal(0, 0.1, LENGTH).astype(np.float32)
    values = of(noise)
    c = np.maximum(values[PITCH] / values[PITCH].sum() - 1 / 12, 0)
    for name, (a, b) in TRIADS.items():
        total = sum(c[k] * c[(k + a) % 12] * c[(k + b) % 12] for k in range(12))
        assert values[TRIAD[name]] == pytest.approx(total ** (1 / 3), rel=1e-9)
    for i, column in enumerate(INTERVALS, start=1):
        total = sum(c[k] * c[(k + i) % 12] for k in range(12))
        assert values[column] == pytest.approx(total**0.5, rel=1e-9)


def test_another_key_turns_the_chroma_and_nothing_else():
    low, high = of(notes(67, 71, 74)), of(notes(72, 76, 79))
    turned = np.roll(low[PITCH], 5) / low[PITCH].max()  # higher notes count for a little less
    assert turned == pytest.approx(high[PITCH] / high[PITCH].max(), abs=0.03)
    # neighbouring semitones overlap a little more further down: 5 % of an interval
    assert low[12:] == pytest.approx(high[12:], rel=0.06, abs=0.005)


def test_level_scales_the_chroma_and_nothing_else():
    loud, soft = of(notes(60, 64, 67)), of(notes(60, 64, 67, amplitude=0.025))
    assert soft[PITCH] == pytest.approx(loud[PITCH] / 2, rel=1e-5)
    assert soft[12:] == pytest.approx(loud[12:], rel=1e-4, abs=1e-6)


def test_silence_has_no_harmony():
    assert (of(np.zeros(LENGTH, np.float32)) == 0).all()


@pytest.mark.parametrize("sizes", [1000, 11_025, 50_000])
def test_blocks_do_not_matter(sizes):
    audio = np.random.default_rng(1).normal(0, 0.1, 3 * SAMPLE_RATE).astype(np.float32)
    blocks = Harmony()
    found = [blocks.push(audio[i : i + sizes]) for i in range(0, len(audio), sizes)]
    whole = Harmony().push(audio)
    assert np.concatenate([*found, blocks.finish()]).tobytes() == whole.tobytes()
    assert len(whole) == 1 + (len(audio) - LENGTH) // STEP


def test_short_audio_has_one_frame():
    harmony = Harmony()
    assert harmony.push(notes(60, seconds=0.1)).shape == (0, 23)
    assert harmony.finish().shape == (1, 23)


def test_frames_within_a_window():
    """Of 0.37 s, every 0.25 s: three in one second, one in half a second, fifteen in four."""
    assert [frames_within(window) for window in (1.0, 0.5, 4.0, 0.1)] == [3, 1, 15, 1]


def test_a_row_has_the_mean_of_the_frames_in_its_window():
    audio = np.concatenate([notes(60), notes(66), notes(69, 73)])
    audio *= gain_of([audio])
    frames = Harmony().push(audio)
    rows = all_rows_of(lambda: [audio])[:, 260:283]
    assert rows.shape == (6, 23)
    for k in range(5):
        assert rows[k] == pytest.approx(frames[2 * k : 2 * k + 3].mean(axis=0), rel=5e-3)
    assert rows[5] == pytest.approx(frames[-3:].mean(axis=0), rel=5e-3)


def test_what_is_no_sound_is_cleaned():
    audio = notes(60)
    audio[::1000] = np.nan
    audio[1::1000] = np.inf
    assert np.isfinite(Harmony().push(audio)).all()
