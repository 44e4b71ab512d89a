import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from moodcurve import metrics
from moodcurve.errors import InputError
from moodcurve.intervals import Interval, differences, holm, measures, paired

KEYS = ["rmse", "rmse_songs", "r", "r_songs", "ccc", "ccc_songs", "rmse_mean", "rmse_within"]
NAN = math.nan


def corpus(songs, seed=0, noise=0.2):
    """References with a level and a course of their own, and estimates that follow them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 30, songs)
    references = [0.3 * rng.normal() + 0.2 * rng.normal(size=n) for n in lengths]
    return references, [0.5 * x + 0.1 + noise * rng.normal(size=len(x)) for x in references]


def by_loops(references, estimates):
    """All figures of the songs, each from its definition."""
    x, y = np.concatenate(references), np.concatenate(estimates)
    found = {"rmse": metrics.rmse(x, y), "r": metrics.pearson_r(x, y), "ccc": metrics.ccc(x, y)}
    for key, metric in metrics.METRICS.items():
        values = [metric(*song) for song in zip(references, estimates, strict=True)]
        values = [value for value in values if not math.isnan(value)]
        found[f"{key}_songs"] = sum(values) / len(values) if values else NAN
    of_mean = within = 0.0
    for song in zip(references, estimates, strict=True):
        errors = [a - b for a, b in zip(*song, strict=True)]
        mean = sum(errors) / len(errors)
        of_mean += sum(mean**2 for _ in errors)
        within += sum((error - mean) ** 2 for error in errors)
    found["rmse_mean"] = math.sqrt(of_mean / len(x))
    found["rmse_within"] = math.sqrt(within / len(x))
    return found


def resampled(songs, resamples, seed):
    """The songs of every resample, drawn as `measures` draws them."""
    shares = [1 / songs] * songs
    for counts in np.random.default_rng(seed).multinomial(songs, shares, resamples):
        yield [song for song, count in enumerate(counts) for _ in range(count)]


def test_by_hand():
    """Errors (x - y): 0.2, 0.4 with mean 0.3, and -0.1, -0.1, -0.1, -0.1."""
    found = measures([[0.4, 0.6], [0, 0.1, 0.2, 0.3]], [[0.2, 0.2], [0.1, 0.2, 0.3, 0.4]])
    assert list(found) == KEYS
    assert found["rmse"].value == pytest.approx(math.sqrt((0.04 + 0.16 + 4 * 0.01) / 6))
    assert found["rmse_songs"].value == pytest.approx((math.sqrt(0.1) + 0.1) / 2)
    assert found["rmse_mean"].value == pytest.approx(math.sqrt((2 * 0.09 + 4 * 0.01) / 6))
    assert found["rmse_within"].value == pytest.approx(math.sqrt(2 * 0.01 / 6))
    # The first song's estimate is constant: no r, a ccc of 0. The second is a shift by 0.1.
    assert found["r_songs"].value == pytest.approx(1)
    assert found["ccc_songs"].value == pytest.approx((0 + 0.025 / (0.025 + 0.01)) / 2)


@pytest.mark.parametrize(("songs", "seed"), [(2, 3), (4, 0), (9, 7)])
def test_against_loops_over_the_same_resamples(songs, seed):
    references, estimates = corpus(songs, seed)
    found = measures(references, estimates, seed=seed, resamples=200)
    drawn = [
        by_loops([references[i] for i in draw], [estimates[i] for i in draw])
        for draw in resampled(songs, 200, seed)
    ]
    for key, value in by_loops(references, estimates).items():
        low, high = np.percentile([figures[key] for figures in drawn], [2.5, 97.5])
        assert found[key] == pytest.approx((value, low, high), abs=1e-12), key


def test_against_scipys_bootstrap():
    references, estimates = corpus(40)
    found = measures(references, estimates, resamples=20000)["rmse_songs"]
    values = [metrics.rmse(x, y) for x, y in zip(references, estimates, strict=True)]
    expected = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20000, rng=np.random.default_rng(5)
    )
    margin = 0.05 * expected.standard_error  # both are drawn
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=margin)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=margin)


def test_more_half_seconds_of_the_same_songs_narrow_nothing():
    references, estimates = corpus(10)
    longer = [[np.tile(song, 100) for song in side] for side in (references, estimates)]
    expected = measures(references, estimates)
    for key, interval in measures(*longer).items():
        assert interval == pytest.approx(expected[key], abs=1e-12), key
        assert interval.high - interval.low > 0.02


@given(st.integers(0, 1000), st.floats(-10, 10), st.floats(1e-4, 1))
@settings(max_examples=50)
def test_the_values_are_those_of_metrics_on_any_scale(seed, offset, scale):
    references, estimates = corpus(5, seed)
    references = [offset + scale * x for x in references]
    estimates = [offset + scale * x for x in estimates]
    x, y = np.concatenate(references), np.concatenate(estimates)
    found = measures(references, estimates, resamples=2)
    for key, metric in metrics.METRICS.items():
        assert found[key].value == pytest.approx(metric(x, y), rel=1e-8)
    squares = found["rmse_mean"].value ** 2 + found["rmse_within"].value ** 2
    assert squares == pytest.approx(found["rmse"].value ** 2, rel=1e-12)


def test_rows_and_songs_without_label_are_dropped():
    references, estimates = corpus(6)
    gappy = [np.insert(x, [0, 2], NAN) for x in references]
    padded = [np.insert(x, [0, 2], [NAN, 5]) for x in estimates]
    expected = measures(references, estimates)
    assert measures([*gappy, [NAN, NAN]], [*padded, [1, 2]]) == expected
    assert paired(gappy, padded, [np.zeros(len(x)) for x in gappy]) == paired(
        references, estimates, [np.zeros(len(x)) for x in references]
    )


@pytest.mark.parametrize("constant", [0.0, 0.1, -1 / 3])
def test_a_constant_estimate_has_no_r_and_a_ccc_of_0(constant):
    references, _ = corpus(8)
    found = measures(references, [np.full(len(x), constant) for x in references])
    assert all(map(math.isnan, found["r"] + found["r_songs"]))
    assert found["ccc"] == found["ccc_songs"] == Interval(0, 0, 0)
    assert found["rmse"].low < found["rmse"].value < found["rmse"].high


def test_songs_for_which_a_metric_is_undefined_are_left_out():
    """A constant reference among two others; where it alone is drawn, nothing has an r."""
    references, estimates = corpus(3)
    references[0], estimates[0] = np.full(7, 0.1), np.linspace(0.1, 0.2, 7)
    found = measures(references, estimates, seed=1, resamples=300)
    draws = list(resampled(3, 300, 1))
    assert [0, 0, 0] in draws
    drawn = [
        by_loops([references[i] for i in draw], [estimates[i] for i in draw]) for draw in draws
    ]
    for key in ("r", "r_songs", "ccc_songs"):
        values = [figures[key] for figures in drawn if not math.isnan(figures[key])]
        assert found[key][1:] == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
    assert found["r_songs"].value == pytest.approx(
        np.mean([metrics.pearson_r(references[i], estimates[i]) for i in (1, 2)])
    )


def test_one_song_has_no_interval():
    (x,), (y,) = corpus(1)
    found = measures([x], [y])
    assert found["r"].value == pytest.approx(metrics.pearson_r(x, y))
    assert all(math.isnan(low) and math.isnan(high) for _, low, high in found.values())
    difference, low, high, p = paired([x], [y], [x])
    assert difference == pytest.approx(metrics.rmse(x, y))
    assert math.isnan(low) and math.isnan(high) and p == 1


def test_a_mean_over_one_song_has_no_interval():
    references, estimates = corpus(3)
    estimates[1:] = [np.full(len(x), 0.1) for x in references[1:]]
    found = measures(references, estimates)
    value, low, high = found["r_songs"]
    assert value == pytest.approx(metrics.pearson_r(references[0], estimates[0]))
    assert math.isnan(low) and math.isnan(high)
    assert found["ccc_songs"].low < found["ccc_songs"].high


def test_perfect_estimates():
    references, _ = corpus(5)
    found = measures(references, references)
    assert found["rmse"] == found["rmse_within"] == Interval(0, 0, 0)
    assert found["ccc"] == pytest.approx((1, 1, 1))
    assert max(found["r"]) <= 1
    flat = measures([[0.1, 0.1]] * 3, [[0.1, 0.1]] * 3)
    assert all(map(math.isnan, flat["ccc"]))


def test_the_same_seed_gives_the_same_intervals():
    references, estimates = corpus(20)
    first, again, other = (measures(references, estimates, seed) for seed in (3, 3, 4))
    assert first == again
    assert first["rmse"].value == other["rmse"].value
    assert first["rmse"].low != other["rmse"].low
    systems = estimates, [0 * x for x in estimates]
    assert paired(references, *systems, seed=3) == paired(references, *systems, seed=3)


@pytest.mark.parametrize(
    ("references", "estimates", "said"),
    [
        ([[0.1]], [], "1 songs for 0 estimates"),
        ([[0.1], [0.1, 0.2]], [[0.1], [0.1]], "song 1: shapes (2,), (1,)"),
        ([[[0.1, 0.2]]], [[[0.1, 0.2]]], "song 0: shapes (1, 2), (1, 2)"),
        ([[0.1, NAN]], [[NAN, 0.1]], "song 0: NaN or infinite"),
        ([[math.inf]], [[0.1]], "song 0: NaN or infinite"),
        ([[NAN]], [[0.1]], "no annotated row"),
        ([], [], "no annotated row"),
    ],
)
def test_what_cannot_be_measured_is_said(references, estimates, said):
    with pytest.raises(InputError) as error:
        measures(references, estimates)
    assert said in str(error.value)
    for systems in ((references, estimates), (estimates, references)):
        with pytest.raises(InputError):
            paired(references, *systems)


def with_differences(differences):
    """References and two systems whose songs' RMSE differ by these, at least -1."""
    references = [[0.0, 0.0]] * len(differences)
    return references, [[1 + d, -1 - d] for d in differences], [[1.0, 1.0]] * len(differences)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8))
@settings(max_examples=50)
def test_p_against_every_swap(tenths):
    """On tenths ties are many; counted in whole numbers, nothing is rounded."""
    found = paired(*with_differences([tenth / 10 for tenth in tenths]), resamples=2)
    signs = list(itertools.product([1, -1], repeat=len(tenths)))
    totals = [abs(sum(s * t for s, t in zip(sign, tenths, strict=True))) for sign in signs]
    expected = sum(total >= abs(sum(tenths)) for total in totals) / len(signs)
    assert found.p == expected
    assert found.difference == pytest.approx(np.mean(tenths) / 10)


@pytest.mark.parametrize("songs", [5, 12])
def test_p_against_scipys_permutation_test(songs):
    references, a = corpus(songs)
    b = corpus(songs, noise=0.25)[1]
    errors = [
        [metrics.rmse(x, y) for x, y in zip(references, system, strict=True)] for system in (a, b)
    ]
    expected = scipy.stats.permutation_test(
        errors,
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    found = paired(references, a, b)
    assert found.difference == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)


def test_many_songs_are_flipped_at_random():
    """13 songs, the first number not enumerated: near the share of all 8192 patterns."""
    differences = np.random.default_rng(2).normal(0.1, 0.25, 13)
    found = paired(*with_differences(differences))
    signs = np.array(list(itertools.product([1, -1], repeat=13)))
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12)
    assert 0.05 < exact < 0.5
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 9999))
    assert found.p * 10000 == pytest.approx(round(found.p * 10000))
    # A difference that no pattern reaches is not of probability 0: the +1 correction.
    assert paired(*with_differences([0.1] * 30)).p == 1 / 10000


def test_the_paired_interval_is_that_of_the_differences():
    differences = np.random.default_rng(0).normal(-0.1, 0.2, 20)
    found = paired(*with_differences(differences), seed=4, resamples=300)
    means = [np.mean(differences[draw]) for draw in resampled(20, 300, 4)]
    expected = np.mean(differences), *np.percentile(means, [2.5, 97.5])
    assert found[:3] == pytest.approx(expected)


def test_swapping_the_systems_turns_the_sign():
    references, a, b = with_differences([0.3, -0.1, 0.2, 0.25])
    there, back = paired(references, a, b), paired(references, b, a)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p == back.p
    assert paired(references, a, a) == (0, 0, 0, 1)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []
    found = holm([NAN, 0.02, NAN, 0.03])
    assert found[1::2] == pytest.approx([0.04, 0.04])
    assert math.isnan(found[0]) and math.isnan(found[2])


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(twentieths):
    """Adjusted p: the largest Bonferroni p of any set of the tests that this one is in."""
    p = [value / 20 for value in twentieths]
    tests = range(len(p))
    sets = [s for size in tests for s in itertools.combinations(tests, size + 1)]
    for test, adjusted in enumerate(holm(p)):
        of_sets = [min(1, len(s) * min(p[i] for i in s)) for s in sets if test in s]
        assert adjusted == pytest.approx(max(of_sets))


def test_differences_are_those_of_the_measures():
    """The figures themselves by `measures`; intervals hold them and shrink as systems agree."""
    rng = np.random.default_rng(8)
    references = [rng.normal(size=20) for _ in range(40)]
    a = [x + rng.normal(0, 0.3, 20) for x in references]
    b = [x + rng.normal(0, 0.9, 20) for x in references]
    found = differences(references, a, b)
    first, second = measures(references, a), measures(references, b)
    for key, (value, low, high) in found.items():
        assert value == pytest.approx(first[key].value - second[key].value)
        assert low < value < high
    assert found["rmse"].high < 0 < found["ccc"].low
    same = differences(references, a, a)
    assert all(interval == (0, 0, 0) for interval in same.values())


def test_differences_where_one_is_constant():
    """A constant has no r: songs enter neither side; its CCC is 0."""
    rng = np.random.default_rng(9)
    references = [rng.normal(size=20) for _ in range(10)]
    found = differences(references, references, [np.zeros(20)] * 10)
    assert np.isnan(found["r_songs"].value)
    assert found["ccc_songs"].value == pytest.approx(1)
