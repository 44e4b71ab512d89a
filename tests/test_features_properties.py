"""What must hold for rows of any audio, whatever the extractor's insides."""

from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.signal import fftconvolve, firwin

from moodcurve.audio import SAMPLE_RATE, read, resample
from moodcurve.features import FEATURE_NAMES, descriptors
from moodcurve.features.auditory import CENTRES
from moodcurve.rows import rows_of

EXAMPLE = Path(__file__).parents[1] / "examples" / "four_moods.ogg"
SECOND = np.arange(SAMPLE_RATE) / SAMPLE_RATE
SILENCE = np.zeros(SAMPLE_RATE, np.float32)
MEANS = {name.removesuffix("_sma_amean"): k for k, name in enumerate(FEATURE_NAMES[1:130:2])}
VOICING = np.arange(260) % 130 < 12
VOICING_DERIVATIVES = VOICING & (np.arange(260) >= 130)
DENORMAL = np.float32(1e-45)


@pytest.fixture(scope="module")
def song():
    return read(EXAMPLE)


@pytest.fixture(scope="module")
def spread(song):
    """Standard deviation of every column over the example song."""
    return rows_of([song]).std(axis=0)


def cut(song, begin, end):
    return song[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


def tone(frequency, amplitude=0.5):
    return amplitude * np.cos(2 * np.pi * frequency * SECOND)


def column(name):
    """Index of a descriptor, of those that have no number of their own after `_sma`."""
    return MEANS[name] if name in MEANS else MEANS[f"pcm_fftMag_{name}"]


# Any audio: finite, in range, and silent about it (pytest turns warnings into errors).


def check_in_range(values):
    """Each descriptor within the range that docs/features.md gives, over frames (n, 65)."""
    assert np.isfinite(values).all()
    f0, voicing, *quality, ratio = values[:, :6].T
    assert ((f0 == 0) | (f0 >= 52) & (f0 <= 620)).all()
    assert ((voicing >= 0) & (voicing <= 1)).all()
    assert (np.array(quality) >= 0).all()
    assert (ratio >= -100).all()
    assert (values[f0 == 0, 2:5] == 0).all()
    assert (values[f0 == 0, 5] == -100).all()
    assert (values[:, 6:9] >= 0).all()  # loudness, RASTA loudness, RMS
    assert (values[:, 9] <= 1).all()
    assert (values[:, 9:38] >= 0).all()  # zero crossings, bands, powers
    roll_off = values[:, 38:42]
    assert ((roll_off > 43) & (roll_off <= SAMPLE_RATE / 2)).all()
    assert (np.diff(roll_off, axis=1) >= 0).all()
    assert (values[:, 42:44] >= 0).all()  # flux, centroid
    assert (values[:, 43] <= SAMPLE_RATE / 2).all()
    assert (values[:, 45] >= 0).all()  # variance
    assert (values[:, [49, 50]] >= 0).all()  # sharpness, harmonicity


def check(audio):
    """Rows of any audio are finite, no deviation is negative."""
    check_in_range(descriptors([audio]))
    rows = rows_of([audio])
    assert rows.shape == (max(1, np.ceil((len(audio) / SAMPLE_RATE - 0.05) / 0.5)), 260)
    assert np.isfinite(rows).all()
    assert (rows[:, 0::2] >= 0).all()


def impulse():
    samples = SILENCE.copy()
    samples[20_000] = 1.0
    return samples


@pytest.mark.parametrize(
    "audio",
    {
        "silence": SILENCE,
        "nothing": np.zeros(0),
        "one sample": np.ones(1),
        "one NaN": np.full(1, np.nan),
        "DC": np.full(SAMPLE_RATE, 0.3),
        "full DC": np.full(SAMPLE_RATE, -1.0),
        "clipping": np.clip(tone(150, 40), -1, 1),
        "over full scale": tone(150, 1e6),
        "absurdly over full scale": 3e38 * np.sign(tone(99)),
        "denormals": np.where(SECOND > 0.5, DENORMAL, -DENORMAL),
        "one level": np.where(SECOND > 0.5, 1.01 / 32767, 0),
        "20 Hz": tone(20),
        "8 kHz": tone(8000),
        "Nyquist": tone(22_050),
        "noise": np.random.default_rng(0).normal(0, 0.2, SAMPLE_RATE),
        "impulse": impulse(),
        "all NaN": np.full(SAMPLE_RATE, np.nan),
        "all infinite": np.full(SAMPLE_RATE, -np.inf),
        "infinities in turn": np.where(np.arange(SAMPLE_RATE) % 2, np.inf, -np.inf),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_hard_gives_finite_rows(audio):
    check(audio[1].astype(np.float32))


AMPLITUDES = (0.0, 1e-45, 1.01 / 32767, 1e-3, 0.2, 1.0, 60.0, 3e38, np.nan, np.inf)
KINDS = {
    "constant": lambda t: np.ones(len(t)),
    "saw": lambda t: 2 * (133 * t % 1) - 1,
    "high tone": lambda t: np.sin(2 * np.pi * 15_000 * t),
    "noise": lambda t: np.random.default_rng(7).uniform(-1, 1, len(t)),
    "clicks": lambda t: (np.arange(len(t)) % 997 == 5).astype(float),
    "turns": lambda t: np.where(np.arange(len(t)) % 2, 1.0, -1.0),
}
PIECES = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(AMPLITUDES), st.integers(1, 9000)),
    min_size=1,
    max_size=5,
)


def joined(pieces):
    with np.errstate(all="ignore"):  # 0 x infinity is meant
        return np.concatenate(
            [amplitude * KINDS[kind](np.arange(n) / SAMPLE_RATE) for kind, amplitude, n in pieces]
        ).astype(np.float32)


@settings(max_examples=40)
@given(PIECES)
def test_any_audio_gives_finite_rows(pieces):
    check(joined(pieces))


@settings(max_examples=20)
@given(PIECES, st.lists(st.integers(0, 30_000), max_size=6))
@example([("saw", 0.2, 140_000), ("noise", 0.2, 9000)], [1, 441, 100_000, 112_455, 112_896])
def test_blocks_do_not_matter(pieces, cuts):
    """Bit for bit."""
    audio = joined(pieces)
    blocks = np.split(audio, sorted(c for c in cuts if c < len(audio)))
    assert rows_of(blocks).tobytes() == rows_of([audio]).tobytes()


# Values where a descriptor is undefined.


def test_silence_has_the_documented_values():
    rows = rows_of([np.tile(SILENCE, 2)])
    means = rows[:, 1:130:2]
    assert (rows[:, 0::2] <= 1e-6).all()  # nothing deviates
    assert (rows[:, 130:] == 0).all()  # nothing rises or falls
    for name in (
        *("F0final", "voicingFinalUnclipped", "jitterLocal", "jitterDDP", "shimmerLocal"),
        *("pcm_RMSenergy", "fband250-650", "fband1000-4000", "spectralFlux", "spectralCentroid"),
        *("spectralEntropy", "spectralVariance", "spectralSkewness", "spectralKurtosis"),
        *("spectralSlope", "psySharpness", "spectralHarmonicity"),
    ):
        assert (means[:, column(name)] == 0).all(), name
    assert (means[:, 5] == -100).all()
    assert means[:, 9] == pytest.approx(2644 / 2646)
    assert means[:, 38:42] == pytest.approx(SAMPLE_RATE / 1024)
    assert means[:, 51:] == pytest.approx(0, abs=1e-5)
    w2 = (2 * np.pi * CENTRES) ** 2  # Hermansky's curve, as in docs/features.md
    curve = 5.88235 * w2**2 * (w2 + 56.8e6) / ((w2 + 6.3e6) ** 2 * (w2 + 0.38e9))
    neutral = (curve / (1 + (np.sqrt(w2) / 28950) ** 7)) ** 0.33
    assert means[:, 10:36] == pytest.approx(np.tile(neutral, (len(means), 1)), rel=1e-4)
    assert 0.1 < neutral.min() < neutral.max() < 1.5


@pytest.mark.parametrize("nothing", [np.nan, DENORMAL, 0.99 / 32767])
def test_what_is_no_sound_is_silence(nothing):
    audio = np.full(SAMPLE_RATE, nothing, np.float32)
    np.testing.assert_array_equal(rows_of([audio]), rows_of([SILENCE]))


def test_noise_has_no_pitch():
    noise = np.random.default_rng(3).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    values = descriptors([noise])
    assert np.mean(values[:, 0] == 0) > 0.95


@pytest.mark.parametrize("frequency", [20, 8000, 22_050])
def test_tones_at_the_edges(frequency):
    """Too low or too high for a pitch of their own; all their power is where they are."""
    values = descriptors([tone(frequency).astype(np.float32)])
    assert np.median(values[:, column("spectralCentroid")]) == pytest.approx(frequency, abs=60)
    assert values[:, 38:42].max() - frequency < 100
    crossings = 2 * min(frequency, SAMPLE_RATE - frequency) / SAMPLE_RATE
    assert values[:, 9] == pytest.approx(crossings, abs=3 / 2646)


# Louder or softer.


def powers_of_scale():
    """How each descriptor grows with the amplitude: by which power of it."""
    powers = np.zeros(65)
    powers[[column("pcm_RMSenergy"), column("spectralFlux")]] = 1
    for name in ("fband250-650", "fband1000-4000", "spectralSlope", "spectralHarmonicity"):
        powers[column(name)] = 2
    powers[column("audspec_lengthL1norm")] = 2 * 0.33
    return powers


def levels(song, multiple):
    """16-bit levels that are a whole `multiple` of levels, so that a fraction cuts nothing."""
    return multiple * np.trunc(song.astype(np.float64) * (32767 / multiple))


def audio_of(levels):
    """Audio in the middle between levels, out of rounding's reach."""
    return ((levels + 0.5 * np.sign(levels)) / 32767).astype(np.float32)


def test_half_the_amplitude(song):
    """On even levels, halving is exact: what grows by a power does so, all else stays."""
    even = levels(cut(song, 15, 21), 2)
    values, half = descriptors([audio_of(even)]), descriptors([audio_of(even / 2)])
    assert half == pytest.approx(values * 0.5 ** powers_of_scale(), rel=3e-5, abs=1e-6)


@pytest.mark.parametrize("factor", [3, 7])
def test_a_fraction_of_the_amplitude(song, factor):
    """No power of two: rounding decides, in a few frames, between two pitches as good."""
    whole = levels(cut(song, 50, 56), factor)
    values, less = descriptors([audio_of(whole)]), descriptors([audio_of(whole / factor)])
    expected = values * (1 / factor) ** powers_of_scale()
    error = np.abs(less - expected) / expected.std(axis=0)
    assert error[:, 6:].max() < 0.01
    assert np.quantile(error, 0.99, axis=0).max() < 0.01


def test_half_the_amplitude_as_16_bits_allow(song):
    """The cut to 16 bits moves quiet highs a little; medians hold to 0.02 of a spread."""
    audio = cut(song, 19, 35)
    rows, half = rows_of([audio]), rows_of([audio * np.float32(0.5)])
    expected = rows * 0.5 ** np.tile(np.repeat(powers_of_scale(), 2), 2)
    error = np.median(np.abs(half - expected), axis=0) / expected.std(axis=0)
    assert error.max() < 0.02


# Earlier or later.


def test_a_delay_by_half_seconds_delays_the_rows(song, spread):
    """Silence first, so that the RASTA filter is at rest when the music begins."""
    music = np.concatenate([SILENCE, cut(song, 15, 21)])
    rows = rows_of([music])
    for halves in (1, 4):
        silence = np.zeros(halves * SAMPLE_RATE // 2, np.float32)
        delayed = rows_of([np.concatenate([silence, music])])
        assert len(delayed) == len(rows) + halves
        error = np.abs(delayed[halves:] - rows) / spread
        assert error[:, ~VOICING_DERIVATIVES].max() < 1e-4


def test_what_follows_changes_only_the_rows_near_the_join(song, spread):
    """The search for the pitch looks ahead 0.3 s, smoothing and slopes 30 ms."""
    first, second = cut(song, 15, 21), cut(song, 58, 64)
    alone = rows_of([first], whole=False)
    together = rows_of([np.concatenate([first, second])], whole=False)
    error = np.abs(together[: len(alone)] - alone) / spread
    assert error[:-1].max() < 1e-6
    assert np.abs(together[len(alone)] - alone[-1]).max() > 0.1  # the join itself is heard


def test_what_came_before_is_forgotten(song, spread):
    """Within 2 s, the time of the RASTA filter: 0.2 % a second is left of what it holds.

    Periods are followed from one to the next: after a rest, they know no more either.
    """
    before, rest, music = cut(song, 38, 44), SILENCE[: SAMPLE_RATE // 2], cut(song, 58, 64)
    for later, columns in (
        (music, ~VOICING),
        (np.concatenate([rest, music]), ~VOICING_DERIVATIVES),
    ):
        alone = rows_of([later])
        together = rows_of([np.concatenate([before, later])])[12:]
        assert len(together) == len(alone)
        error = np.abs(together - alone) / spread
        assert error[4:, columns].max() < 1e-3
        assert error[0, columns].max() > 0.1


# Other rates and channels.


@pytest.mark.parametrize("rate", [48_000, 22_050])
def test_a_copy_at_another_rate_has_the_same_rows(song, spread, rate):
    """Of music under 9 kHz, which every copy can hold.

    Measured over the whole example song, in spreads of each column: outside the voicing group the
    worst column's median difference is 2e-5, the largest difference of all 0.004; within it 1e-6
    and 0.3, where one period is as good as another.
    """
    taps = firwin(801, 9000, fs=SAMPLE_RATE, window=("kaiser", 12))
    audio = fftconvolve(cut(song, 6, 30), taps, "same").astype(np.float32)
    copy = soxr.resample(audio, SAMPLE_RATE, rate, "VHQ")
    rows, again = rows_of([audio]), rows_of([resample(copy, rate)])
    assert again.shape == rows.shape
    error = np.abs(again - rows) / spread
    assert np.median(error, axis=0).max() < 1e-4
    assert error[:, ~VOICING].max() < 0.01
    assert np.quantile(error[:, VOICING], 0.95) < 0.01


def test_equal_channels_are_mono(song):
    mono = cut(song, 15, 18)
    stereo = np.column_stack([mono, mono])
    np.testing.assert_array_equal(
        rows_of([resample(stereo, SAMPLE_RATE)]), rows_of([resample(mono, SAMPLE_RATE)])
    )
