from itertools import pairwise, product

import numpy as np
import pytest

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import descriptors, kernels
from moodcurve.features import voicing as voicing_module
from moodcurve.features.frames import long_spectra
from moodcurve.features.voicing import Periods, PitchTrack, candidates, subharmonic_sum
from moodcurve.features.voicing import _describe as describe_periods

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
    assert values[:, VOICING].min() > 0.68


def test_pitch_is_finer_than_the_points_of_the_axis():
    """They lie 0.66 % apart; the tones lie anywhere between them."""
    tones = 200 * 1.0066 ** (np.arange(8) / 8)
    found = [voicing_of(harmonic_tone(frequency))[:, F0].mean() for frequency in tones]
    assert np.ptp(found / tones) < 1e-3


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
    # An exact peak lies up to half a sample beside the grid.
    assert values[:, SHIMMER].max() < 0.02
    assert values[:, HNR].min() > 25


def test_jitter_of_alternating_periods():
    """T +- d: neighbours differ by 2 d, their differences by 4 d, in units of T."""
    period, d = 300, 4
    lengths = [period + d, period - d] * 50
    values = voicing_of(pulses(lengths, np.ones(100)))
    assert values[:, F0] == pytest.approx(SAMPLE_RATE / period, rel=0.01)
    assert values[:, JITTER] == pytest.approx(2 * d / period, rel=0.05)
    assert values[:, JITTER_DDP] == pytest.approx(4 * d / period, rel=0.05)
    assert values[:, SHIMMER].max() < 0.01


def test_shimmer_of_alternating_amplitudes():
    """Amplitudes 1 +- e: neighbours differ by 2 e of their mean."""
    e = 0.05
    values = voicing_of(pulses([300] * 100, [1 + e, 1 - e] * 50))
    assert values[:, SHIMMER] == pytest.approx(2 * e, rel=0.05)
    assert values[:, JITTER].max() < 1e-3


@pytest.mark.parametrize("stretch", [0, 1])
def test_jitter_and_shimmer_do_not_reach_over_a_pause(stretch):
    """Four periods of 300 samples, three of 400, half as loud, in one stretch or in two."""
    length, amplitude = np.array([300.0] * 4 + [400] * 3), np.array([1.0] * 4 + [0.5] * 3)
    begin = np.array([0.0, 300, 600, 900, 1300, 1700, 2100])
    likeness, number = np.full(7, 0.99), np.array([0] * 4 + [stretch] * 3)
    periods = np.column_stack([begin, length, amplitude, likeness, number])
    values = describe_periods(periods, np.array([0]), np.array([140.0]))[0]
    jump = 0 if stretch else 1
    assert values[0] == pytest.approx(jump * (100 / 6) / (2400 / 7))
    assert values[1] == pytest.approx(jump * (200 / 5) / (2400 / 7))
    assert values[2] == pytest.approx(jump * (0.5 / 6) / (5.5 / 7))
    assert values[3] == pytest.approx(10 * np.log10(99))


def test_a_pause_begins_another_stretch():
    """Seen in the periods that are kept for the frames not yet described, 24 to 29."""
    samples = pulses([300] * 60, np.ones(60)).astype(np.float32)
    f0 = np.full(30, SAMPLE_RATE / 300)
    f0[27] = 0.0
    periods = Periods()
    periods.push(samples, f0, last=False)
    assert len(np.unique(periods._periods[:, 4])) == 2


@pytest.mark.parametrize("ratio", [5, 10, 20])
def test_harmonics_to_noise_ratio_in_db(ratio):
    tone = harmonic_tone(200)
    values = voicing_of(tone + noise(tone.std() * 10 ** (-ratio / 20)))
    voiced = values[values[:, F0] > 0]
    assert len(voiced) > 0.9 * len(values)
    assert voiced[:, HNR].mean() == pytest.approx(ratio, abs=2)


def next_period(samples, expected):
    """Length, amplitude and likeness of the first period that is followed, from 30 ms on."""
    f0 = np.full(9, SAMPLE_RATE / expected)
    grid = float(SAMPLE_RATE), 441.0, 2646.0
    return kernels.follow_periods(samples, 0, f0, 0, grid, np.zeros(2))[0, 1:4]


@pytest.mark.parametrize("period", [71.3, 100.25, 167.7, 333.5, 847.9])
@pytest.mark.parametrize("guess", [0.95, 1.0, 1.06])
def test_next_period_of_a_sine(period, guess):
    samples = np.sin(2 * np.pi * np.arange(4000) / period + 0.4).astype(np.float32)
    length, amplitude, likeness = next_period(samples, period * guess)
    assert length == pytest.approx(period, abs=0.05)
    assert amplitude == pytest.approx(2, rel=0.01)
    assert likeness == pytest.approx(1, abs=1e-3)


def test_next_period_of_silence_and_of_a_constant():
    for samples in (np.zeros(4000, np.float32), np.ones(4000, np.float32)):
        assert np.isfinite(next_period(samples, 200.0)).all()


def test_candidates_hold_the_pitch_and_its_octaves():
    spectra = long_spectra()(harmonic_tone(200).astype(np.float32), 3)
    frequency, voicing = candidates(spectra)
    assert frequency.shape == voicing.shape == (3, 6)
    best = voicing.argmax(axis=1)
    assert frequency[np.arange(3), best] == pytest.approx(200, rel=0.01)
    valid = frequency > 0
    assert ((frequency[valid] >= 52) & (frequency[valid] <= 620)).all()
    assert (voicing[~valid] == 0).all()


def test_a_candidate_under_the_mean_is_not_voiced_at_all(monkeypatch):
    total = np.where(np.arange(1024) < 700, 0.1, 1.0).astype(np.float32)[np.newaxis]
    total[0, 300] = 0.2  # 183 Hz, far under the mean
    monkeypatch.setattr(voicing_module, "subharmonic_sum", lambda spectra: total)
    frequency, voicing = candidates(np.zeros((1, 2049), np.complex64))
    assert frequency.max() == pytest.approx(183, rel=0.01)
    assert (voicing == 0).all()


def test_subharmonic_sum_of_one_line():
    """One line at f gives 0.85^(h-1) at f / h, for the harmonics that stay on the axis."""
    spectra = np.zeros((1, 2049), np.complex64)
    spectra[0, 400] = 1j  # 4306.6 Hz
    total = subharmonic_sum(spectra)[0]
    axis = np.geomspace(25, SAMPLE_RATE / 2, 1024)
    line = 400 * SAMPLE_RATE / 4096
    heights = [total[np.abs(np.log2(axis * h / line)) < 0.01].max() for h in range(1, 16)]
    assert heights == pytest.approx(heights[0] * 0.85 ** np.arange(15), rel=0.02)


def test_subharmonic_sum_smooths_the_spectrum():
    """By (1, 2, 1) / 4: half of a line stays at its place, a quarter a bin beside it."""
    spectra = np.zeros((1, 2049), np.complex64)
    spectra[0, 60] = 0.6 + 0.8j
    axis = np.geomspace(25, SAMPLE_RATE / 2, 1024) * 4096 / SAMPLE_RATE  # in bins
    total = subharmonic_sum(spectra)[0]
    assert np.interp([59, 60, 61], axis, total) == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def path_cost(states, frequency, voicing):
    """Cost of a path as documented; a song begins unvoiced; state 6 is "unvoiced"."""
    cost, last = 0.0, 6
    for t, state in enumerate(states):
        if state == 6:
            cost += (1 - 0.68) + (0.0 if last == 6 else 0.01)
        else:
            cost += 1 - voicing[t, state] if frequency[t, state] > 0 else 1e3
            if last == 6:
                cost += 0.01
            else:
                pair = np.maximum([frequency[t - 1, last], frequency[t, state]], 1.0)
                cost += 0.05 * abs(np.log2(pair[1] / pair[0]))
        last = state
    return cost


@pytest.mark.parametrize("seed", range(6))
def test_viterbi_finds_the_cheapest_of_all_paths(seed):
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(52, 620, (5, 6))
    voicing = rng.uniform(0.5, 0.8, (5, 6))
    frequency[1, 2], voicing[1, 2] = 0, 0
    paths = product(range(7), repeat=5)
    best = min(paths, key=lambda states: path_cost(states, frequency, voicing))
    f0, strength = PitchTrack().push(frequency, voicing, last=True)
    expected = [frequency[t, s] if s < 6 else 0.0 for t, s in enumerate(best)]
    assert f0.tolist() == expected
    heard = [voicing[t, s] if s < 6 else voicing[t].max() for t, s in enumerate(best)]
    assert strength.tolist() == heard


def test_viterbi_keeps_to_the_pitch_when_the_octave_is_a_little_stronger():
    frequency, voicing = np.zeros((9, 6)), np.zeros((9, 6))
    frequency[:, 0], voicing[:, 0] = 200.0, 0.80
    frequency[4, 1], voicing[4, 1] = 400.0, 0.85
    assert PitchTrack().push(frequency, voicing, last=True)[0].tolist() == [200.0] * 9
    voicing[4, 1] = 0.95  # worth two jumps of an octave at 0.05
    assert PitchTrack().push(frequency, voicing, last=True)[0][4] == 400.0


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
