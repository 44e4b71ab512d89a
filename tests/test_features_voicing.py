from itertools import pairwise, product

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import descriptors, kernels
from moodcurve.features.frames import long_spectra
from moodcurve.features.voicing import Periods, PitchTrack, candidates, subharmonic_sum

F0, VOICING, JITTER, JITTER_DDP, SHIMMER, HNR = range(6)

PITCHES = [65.4, 110.0, 220.0, 261.6, 329.6, 440.0, 523.3]


def voicing_of(samples):
    """The six descriptors, without the 100 ms at both ends."""
    return descriptors([samples.astype(np.float32)])[10:-10, :6].astype(float)


def times(seconds=0.8):
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def sine(frequency):
    return 0.3 * np.sin(2 * np.pi * frequency * times())


def harmonic_tone(frequency, partials=10):
    tone = sum(np.sin(2 * np.pi * h * frequency * times() + h) / h for h in range(1, partials + 1))
    return 0.15 * tone


def noise(deviation=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, deviation, len(times()))


def pulses(periods, amplitudes):
    """Smooth identical pulses, one at the beginning of each period (in samples)."""
    places = 50 + np.concatenate([[0], np.cumsum(periods)[:-1]])
    n = np.arange(int(np.sum(periods)) + 100)
    out = np.zeros(len(n))
    for place, amplitude in zip(places, amplitudes, strict=True):
        near = slice(int(place) - 40, int(place) + 41)
        out[near] += amplitude * np.exp(-0.5 * ((n[near] - place) / 8) ** 2)
    return 0.5 * out


@pytest.mark.parametrize("frequency", PITCHES)
@pytest.mark.parametrize("make", [sine, harmonic_tone])
def test_pitch_of_tones(make, frequency):
    values = voicing_of(make(frequency))
    assert values[:, F0] == pytest.approx(frequency, rel=0.01)
    assert values[:, VOICING].min() > 0.7


def test_pitch_is_finer_than_the_points_of_the_axis():
    """They lie 0.33 % apart; the tones lie anywhere between them."""
    tones = 200 * 1.0033 ** (np.arange(8) / 8)
    found = [voicing_of(harmonic_tone(frequency))[:, F0].mean() for frequency in tones]
    assert np.ptp(found / tones) < 3e-4


def test_pitch_of_a_missing_fundamental():
    tone = harmonic_tone(150) - 0.15 * np.sin(2 * np.pi * 150 * times() + 1)
    assert voicing_of(tone)[:, F0] == pytest.approx(150, rel=0.01)


def test_pitch_follows_a_glide():
    t = times(2.0)
    frequency = 150 * 2 ** (t / 2)
    phase = 2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE
    f0 = voicing_of(0.2 * (np.sin(phase) + np.sin(2 * phase) + np.sin(3 * phase)))[:, F0]
    middle = frequency[(np.arange(10, 10 + len(f0)) * 441 + 1323)]
    assert f0 == pytest.approx(middle, rel=0.015)


def test_noise_is_mostly_unvoiced():
    values = voicing_of(noise())
    assert np.mean(values[:, F0] == 0) > 0.8
    unvoiced = values[values[:, F0] == 0]
    assert (unvoiced[:, [JITTER, JITTER_DDP, SHIMMER]] == 0).all()
    assert (unvoiced[:, HNR] == -100).all()


def test_silence_is_unvoiced():
    values = voicing_of(np.zeros(len(times())))
    assert (values[:, :HNR] == 0).all()
    assert (values[:, HNR] == -100).all()


def test_a_tone_between_silences_is_voiced_alone():
    samples = np.concatenate([np.zeros(22_050), harmonic_tone(200), np.zeros(22_050)])
    f0 = voicing_of(samples)[:, F0]
    at = (np.arange(10, 10 + len(f0)) * 441 + 1323) / SAMPLE_RATE  # middles of the frames
    assert (f0[(at < 0.46) | (at > 1.34)] == 0).all()
    assert f0[(at > 0.54) & (at < 1.26)] == pytest.approx(200, rel=0.01)


@pytest.mark.parametrize("samples", [sine(300), noise(), harmonic_tone(80) + noise()])
def test_voicing_lies_between_0_and_1(samples):
    voicing = voicing_of(samples)[:, VOICING]
    assert voicing.min() >= 0
    assert voicing.max() <= 1


def test_voicing_falls_with_noise():
    tone = harmonic_tone(200)
    means = [voicing_of(tone + noise(d))[:, VOICING].mean() for d in (0.0, 0.05, 0.2, 1.0)]
    assert (np.diff(means) < 0).all()


@pytest.mark.parametrize("frequency", [110.0, 261.6, 440.0])
def test_an_exactly_periodic_tone_has_no_jitter_nor_shimmer(frequency):
    values = voicing_of(harmonic_tone(frequency))
    assert values[:, [JITTER, JITTER_DDP]].max() < 2e-3
    # An exact peak lies up to half a sample beside the grid, and so do the periods' begins.
    assert values[:, SHIMMER].max() < 0.02
    assert values[:, HNR].min() > 24


def test_jitter_of_alternating_periods():
    """T +- d: neighbours differ by 2 d, in units of T, and always by the same."""
    period, d = 300, 4
    lengths = [period + d, period - d] * 50
    values = voicing_of(pulses(lengths, np.ones(100)))
    assert values[:, F0] == pytest.approx(SAMPLE_RATE / period, rel=0.01)
    assert values[:, JITTER] == pytest.approx(2 * d / period, rel=0.05)
    assert values[:, JITTER_DDP].max() < 2e-3
    assert values[:, SHIMMER].max() < 0.01


def test_jitter_of_periods_that_change_every_other_time():
    """T, T, T + d, T + d: differences are 0 and d in turn; one of 0 is no measure for the next."""
    period, d = 440, 8
    lengths = [period, period, period + d, period + d] * 15
    values = described(pulses(lengths, np.ones(60)), np.full(50, SAMPLE_RATE / (period + d / 2)))
    changes = values[:, 0] > 0.5 * d / period
    assert values[changes, 0] == pytest.approx(d / period, rel=0.05)
    assert 0.4 < changes[5:].mean() < 0.6
    heard = values[:, 1][values[:, 1] > 0.5 * d / period]
    assert heard == pytest.approx(d / period, rel=0.05)


def test_shimmer_of_alternating_amplitudes():
    """Amplitudes 1 +- e: neighbours differ by 2 e of their mean."""
    e = 0.05
    values = voicing_of(pulses([300] * 100, [1 + e, 1 - e] * 50))
    assert values[:, SHIMMER] == pytest.approx(2 * e, rel=0.05)
    assert values[:, JITTER].max() < 1e-3


def described(samples, f0):
    """Jitter (two kinds), shimmer, ratio of the frames of that F0."""
    return Periods().push(samples.astype(np.float32), np.asarray(f0, float))


def test_the_first_period_after_a_pause_is_compared_with_none():
    """Periods of 441 samples, one a frame; each a little longer than the last."""
    lengths = 441 * 1.002 ** np.arange(40)
    f0 = np.full(30, SAMPLE_RATE / 441)
    f0[12] = 0.0
    jitter = described(pulses(lengths, np.ones(40)), f0)[:, 0]
    heard = jitter[jitter > 0]
    assert heard == pytest.approx(0.002, abs=1e-4)
    assert jitter[12] == 0
    assert jitter[13] == 0
    assert (jitter[14:20] > 0).any()


def test_shimmer_compares_each_period_with_what_follows_it():
    """Amplitudes 1, 0.5, 1, 0.5: their difference is 2/3 of their mean."""
    values = described(pulses([441] * 40, [1, 0.5] * 20), np.full(30, 100.0))
    assert values[3:, 2] == pytest.approx(2 / 3, rel=0.02)


def test_harmonics_to_noise_ratio_by_hand():
    """Periods p + e and p - e in turn: the mean is p, the deviations are e and - e."""
    rng = np.random.default_rng(3)
    p, e = rng.normal(0, 0.1, (2, 441))
    e *= 0.2
    samples = np.tile(np.concatenate([p + e, p - e]), 20)
    values = described(samples, np.full(30, 100.0))
    expected = 10 * np.log10(np.sum(p**2) / np.sum(e**2))
    assert values[3:, 3] == pytest.approx(expected, abs=0.3)


def test_unlike_periods_are_rejected_and_leave_jitter_and_shimmer_as_they_were():
    rng = np.random.default_rng(4)
    tone = pulses([441] * 20, [1, 0.9] * 10)
    samples = np.concatenate([tone, rng.normal(0, 0.1, 6000)])
    values = described(samples, np.full(28, 100.0))
    assert values[24:, 2] == pytest.approx(values[24, 2])
    assert values[24, 2] > 0.05
    assert values[24:, 3].max() < 5  # but the ratio tells


def test_periods_do_not_depend_on_the_blocks():
    samples = harmonic_tone(130) + noise(0.01)
    samples = samples.astype(np.float32)
    f0 = np.full(60, 130.0)
    f0[20:23] = 0
    whole = Periods().push(samples, f0)
    periods = Periods()
    parts = [
        periods.push(samples[:9000], f0[:12]),
        periods.push(samples[9000:9100], f0[12:13]),
        periods.push(samples[9100:], f0[13:]),
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("ratio", [5, 10, 20])
def test_harmonics_to_noise_ratio_in_db(ratio):
    """A third of the noise of three periods is in their mean, two thirds are deviations."""
    tone = harmonic_tone(200)
    values = voicing_of(tone + noise(tone.std() * 10 ** (-ratio / 20)))
    voiced = values[values[:, F0] > 0]
    assert len(voiced) > 0.9 * len(values)
    expected = 10 * np.log10((10 ** (ratio / 10) + 1 / 3) / (2 / 3))
    assert voiced[:, HNR].mean() == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("samples", [np.zeros(9000), np.ones(9000)])
def test_periods_of_silence_and_of_a_constant(samples):
    values = described(samples, np.full(12, 220.0))
    assert (values == 0).all()


def test_candidates_hold_the_pitch_and_its_octaves():
    spectra = long_spectra()(harmonic_tone(200).astype(np.float32), 3)
    frequency, voicing = candidates(spectra)
    assert frequency.shape == voicing.shape == (3, 6)
    assert frequency[:, 0] == pytest.approx(200, rel=0.01)  # the strongest
    valid = frequency > 0
    assert (np.diff(valid.astype(int), axis=1) <= 0).all()  # those missing stand last
    assert (np.diff(voicing, axis=1) <= 0).all()
    assert ((frequency[valid] >= 52) & (frequency[valid] <= 620)).all()
    assert (voicing[~valid] == 0).all()


def test_a_candidate_under_the_mean_is_not_voiced_at_all():
    axis = np.geomspace(25, SAMPLE_RATE / 2, 2049)
    total = np.where(np.arange(2049) < 1400, 0.1, 1.0).astype(np.float32)[np.newaxis]
    total[0, 600] = 0.2  # 183 Hz, far under the mean
    frequency, voicing = kernels.pitch_candidates(total, axis, 52.0, 620.0)
    assert frequency.max() == pytest.approx(axis[600], rel=0.01)
    assert (voicing == 0).all()


def test_what_is_fainter_than_60_db_has_no_pitch():
    loud = 0.001 * np.sqrt(2 / 0.3545)  # of a sine: 0.3545 is the mean of the window, squared
    for factor, pitched in ((0.97, False), (1.03, True)):
        samples = factor * loud * np.sin(2 * np.pi * 200 * times())
        spectra = long_spectra()(samples.astype(np.float32), 3)
        assert (candidates(spectra)[0][:, 0] > 0).all() == pitched


def test_subharmonic_sum_of_one_line():
    """One line at f gives 0.85^(h-1) at f / h, for the harmonics that stay on the axis."""
    spectra = np.zeros((1, 2049), np.complex64)
    spectra[0, 400] = 10j  # 4306.6 Hz
    total = subharmonic_sum(spectra)[0]
    axis = np.geomspace(25, SAMPLE_RATE / 2, 2049)
    line = 400 * SAMPLE_RATE / 4096
    heights = [total[np.abs(np.log2(axis * h / line)) < 0.01].max() for h in range(1, 16)]
    assert heights[0] > 1
    assert heights == pytest.approx(heights[0] * 0.85 ** np.arange(15), rel=0.001)


def test_subharmonic_sum_smooths_the_spectrum():
    """By (1, 2, 1) / 4: half of a line stays at its place, a quarter a bin beside it."""
    spectra = np.zeros((1, 2049), np.complex64)
    spectra[0, 60] = 6 + 8j
    hertz = np.geomspace(25, SAMPLE_RATE / 2, 2049)
    heard = 0.5 + np.arctan(3 * np.log2(hertz / 32.2)) / np.pi
    bins = np.arange(2049)
    smoothed = np.where(bins == 60, 5.0, 0.0) + 2.5 * (np.abs(bins - 60) == 1)
    spline = CubicSpline(bins, smoothed, bc_type="natural")(hertz * 4096 / SAMPLE_RATE)
    near = (hertz > 600) & (hertz < 700)
    total = subharmonic_sum(spectra)[0]
    assert total[near] == pytest.approx((heard * np.maximum(spline, 0))[near], abs=1e-4)


def path_cost(states, frequency, voicing):
    """Cost of a path as documented; before the song every state costs nothing."""
    cost = 0.0
    for t, state in enumerate(states):
        f, v = frequency[t], voicing[t]
        if state == 6:
            cost += 3.16 + (7.45 if v.max() >= 0.7 else 0.0)
        else:
            cost += 6.2 * (1 - v[state]) + (9.3 if v[state] < 0.7 else 0.0)
            cost += 0.00965 * max(0, 102 - f[state]) + 0.0056 * max(0, f[state] - 360)
            cost += 0 if f[state] > 0 else 1e6
        if t == 0:
            continue
        last, before = states[t - 1], np.log2(np.maximum(frequency[t - 1], 1))
        if (state == 6) != (last == 6):
            cost += 10.2
        elif state < 6:
            jump = np.log2(max(f[state], 1)) - before[last]
            listed = np.log2(max(f[state], 1)) - before[last - 1] if last else 0.0
            cost += 7.48 * (abs(jump) + abs(jump - listed))
    return cost


@pytest.mark.parametrize("seed", range(6))
def test_viterbi_finds_the_cheapest_of_all_paths(seed):
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(52, 620, (5, 6))
    voicing = rng.uniform(0.6, 0.8, (5, 6))
    frequency[1, 3:], voicing[1, 3:] = 0, 0
    paths = product(range(7), repeat=5)
    best = min(paths, key=lambda states: path_cost(states, frequency, voicing))
    f0, strength = PitchTrack().push(frequency, voicing, last=True)
    expected = [frequency[t, s] if s < 6 else 0.0 for t, s in enumerate(best)]
    assert f0.tolist() == expected
    heard = [voicing[t, s] if s < 6 else voicing[t, 0] for t, s in enumerate(best)]
    assert strength.tolist() == heard


def test_viterbi_keeps_to_the_pitch_when_the_octave_is_a_little_stronger():
    frequency, voicing = np.zeros((9, 6)), np.zeros((9, 6))
    frequency[:, 0], voicing[:, 0] = 150.0, 0.80
    frequency[4, :2], voicing[4, :2] = (300.0, 150.0), (0.90, 0.80)
    assert PitchTrack().push(frequency, voicing, last=True)[0].tolist() == [150.0] * 9


def test_viterbi_decides_the_same_in_any_blocks():
    rng = np.random.default_rng(7)
    frequency, voicing = rng.uniform(52, 620, (200, 6)), rng.uniform(0.4, 0.9, (200, 6))
    whole = PitchTrack().push(frequency, voicing, last=True)
    track, pieces = PitchTrack(), []
    edges = [0, 1, 20, 30, 31, 90, 199, 200]
    for start, stop in pairwise(edges):
        piece = track.push(frequency[start:stop], voicing[start:stop], last=stop == 200)
        pieces.append(np.array(piece))
    assert (np.concatenate(pieces, axis=1) == np.array(whole)).all()
