import numpy as np
import pytest

pytest.importorskip("scipy")

from moodcurve.familiarity import Familiarity, nearest
from moodcurve.spread import LEVEL, Spread, below_zero, edges, terms
from moodcurve.training.calibration import fit_factors, fit_familiarity, fit_spread


def songs_of_errors(rng, count, scale=lambda song, n: np.ones(n)):
    """Songs of 5 to 100 half-seconds whose errors are normal, of deviation scale(song)."""
    lengths = rng.integers(5, 100, count)
    return [rng.normal(0, scale(k, n)) for k, n in enumerate(lengths)]


def fit(errors, disagreement=None, distances=None):
    """The spread of songs of whose networks two scales disagree as given, else not at all."""
    if distances is None:
        distances = 1.0 - np.eye(len(errors))
        np.fill_diagonal(distances, np.inf)
    outputs = {
        i: agreeing(e if disagreement is None else disagreement[i], disagreement is None)
        for i, e in enumerate(errors)
    }
    return fit_spread(dict(enumerate(errors)), outputs, distances), outputs, distances


def agreeing(values, wholly):
    """Outputs (1, 2, n) whose variance over the two scales is `values`, or 0."""
    apart = np.zeros(len(values)) if wholly else np.sqrt(values)
    return np.stack([apart, -apart])[np.newaxis]


def half_width(spread, outputs, distances):
    """Of the band that all quadrants share."""
    assert len(np.unique(spread.factors)) == 1
    return spread.factors[0, 0] * spread.deviation(outputs, distances)


def share_inside(spread, errors, outputs, distances):
    """Of half-seconds within the band, songs counting alike."""
    half = [half_width(spread, outputs[i], distances[i]) for i in range(len(errors))]
    return np.mean([np.mean(np.abs(e) <= h) for e, h in zip(errors, half, strict=True)])


def test_terms_by_hand():
    """Two groups, three scales: variances 2/3 and 0, mean 1/3. Distances 1, 2, 3: 2, squared 4."""
    outputs = np.array([[[1.0], [2.0], [3.0]], [[5.0], [5.0], [5.0]]])
    distances = np.array([9.0, 1, 2, 3, np.inf])
    squares = np.array([0.4, 0.1, 0.2, 0.3, 100])
    np.testing.assert_allclose(terms(outputs, distances, squares), [[1, 1 / 3, 4, 0.25]])


def test_the_band_of_normal_errors():
    """90 % of a normal distribution lies within 1.645 deviations."""
    errors = songs_of_errors(np.random.default_rng(0), 500, lambda k, n: np.full(n, 0.3))
    spread, outputs, distances = fit(errors)
    assert half_width(spread, outputs[0], distances[0]) == pytest.approx(1.645 * 0.3, rel=0.03)


def test_it_holds_what_it_should_on_songs_not_seen():
    """Averaged over many draws of 20 songs: from 90 % to 90 % (S + 1) / S, the price of few."""
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        scales = rng.gamma(2, 0.2, 40)
        errors = songs_of_errors(rng, 40, lambda k, n, s=scales: s[k] * np.ones(n))
        spread, *_ = fit(errors[:20])
        unseen = {i: agreeing(e, True) for i, e in enumerate(errors[20:])}
        shares.append(share_inside(spread, errors[20:], unseen, np.ones((20, 20))))
    assert LEVEL - 0.005 < np.mean(shares) < LEVEL * 21 / 20 + 0.005


def test_it_is_wide_where_errors_are_wide():
    """Variance 0.01 + 4 x disagreement is found again."""
    rng = np.random.default_rng(2)
    disagreement = [rng.exponential(0.02, rng.integers(20, 100)) for _ in range(400)]
    errors = [rng.normal(0, np.sqrt(0.01 + 4 * d)) for d in disagreement]
    spread, outputs, distances = fit(errors, disagreement)
    assert spread.weights[1] == pytest.approx(4, rel=0.15)
    assert share_inside(spread, errors, outputs, distances) == pytest.approx(LEVEL, abs=0.01)


def test_it_is_wide_among_songs_that_are_hard():
    """Two kinds of songs, far from each other; errors of one are three times as large."""
    rng = np.random.default_rng(7)
    kind = np.arange(80) % 2
    errors = [rng.normal(0, 0.1 + 0.2 * k, 60) for k in kind]
    distances = np.where(kind[:, np.newaxis] == kind, 1.0, 10.0)
    np.fill_diagonal(distances, np.inf)
    spread, outputs, _ = fit(errors, distances=distances)
    easy, hard = (half_width(spread, outputs[i], distances[i])[0] for i in (0, 1))
    assert hard / easy == pytest.approx(3, rel=0.25)
    for k in (0, 1):
        own = [i for i in range(80) if kind[i] == k]
        half = {i: half_width(spread, outputs[i], distances[i]) for i in own}
        inside = np.mean([np.mean(np.abs(errors[i]) <= half[i]) for i in own])
        assert inside == pytest.approx(LEVEL, abs=0.04)


def test_no_weight_is_negative():
    """Errors that shrink with disagreement: it is left out, not counted against."""
    rng = np.random.default_rng(3)
    disagreement = [rng.uniform(0, 1, 50) for _ in range(50)]
    errors = [rng.normal(0, 1.1 - d) for d in disagreement]
    assert (fit(errors, disagreement)[0].weights >= 0).all()


def test_perfect_predictions_have_a_narrow_band():
    spread, outputs, distances = fit([np.zeros(10)] * 5)
    assert half_width(spread, outputs[0], distances[0]).max() < 1e-3


def test_deviation_by_hand():
    spread = Spread(np.array([0.04, 1, 0.5, 2]), np.array([0.1, 0.3]), np.ones((2, 2)))
    outputs = np.zeros((1, 4, 3))
    far = 0.04 + 0.5 * 2.0**2 + 2 * 0.2
    distances = np.array([1.0, 3.0])
    np.testing.assert_allclose(spread.deviation(outputs, distances), np.sqrt(far) * np.ones(3))


def test_below_zero():
    """Of a normal distribution a half lies below its mean, 2.5 % below 1.96 deviations from it."""
    found = below_zero(np.array([0.0, 0.392, -0.392]), np.array([0.5, 0.2, 0.2]))
    np.testing.assert_allclose(found, [0.5, 0.025, 0.975], atol=1e-4)


def test_edges_by_brute_force():
    """From the lowest to the highest label that is as near as its sign allows."""
    rng = np.random.default_rng(8)
    grid = np.linspace(-4, 4, 80_001)
    for _ in range(50):
        value, deviation, below = rng.uniform(-1, 1), rng.uniform(0.1, 0.6), rng.uniform()
        factors = rng.uniform(0.3, 3, (2, 2))
        mixed = factors @ [below, 1 - below]  # of labels below zero, and above
        near = np.abs(grid - value) <= deviation * mixed[(grid >= 0).astype(int)]
        arrays = (np.array([x]) for x in (value, deviation, below))
        found = np.ravel(edges(*arrays, factors))
        np.testing.assert_allclose(found, grid[near][[0, -1]], atol=2e-4)


def drawn_to_the_middle(rng, count):
    """Songs of 20 half-seconds: labels in all quadrants, of which predictions say a half."""
    means = rng.normal(0, 0.4, (count, 2))
    labels = [mean + rng.normal(0, 0.1, (20, 2)) for mean in means]
    values = [0.5 * y + rng.normal(0, 0.1, y.shape) for y in labels]
    return labels, values


def shares_by_quadrant(spreads, values, labels):
    """(dimension, quadrant)"""
    y, v = np.concatenate(labels).T, np.concatenate(values).T
    quadrant = 2 * (y[0] >= 0) + (y[1] >= 0)
    found = []
    for d in (0, 1):
        low, high = edges(v[d], np.ones(v[d].shape), below_zero(v[1 - d], 1.0), spreads[d].factors)
        inside = (low <= y[d]) & (y[d] <= high)
        found.append([inside[quadrant == q].mean() for q in range(4)])
    return np.array(found)


def test_each_quadrant_has_its_share():
    """On songs not seen, where most labels are in one quadrant and the rest are underestimated."""
    rng = np.random.default_rng(9)
    labels, values = drawn_to_the_middle(rng, 8000)
    few = [bool((y.mean(axis=0) > 0).all()) or k % 4 == 0 for k, y in enumerate(labels)]
    labels, values = (
        [x for x, kept in zip(xs, few, strict=True) if kept] for xs in (labels, values)
    )
    common = Spread(np.ones(4), np.ones(3), np.full((2, 2), 0.3))
    ones = [np.ones_like(y) for y in labels]
    half = len(labels) // 2
    fitted = fit_factors([common] * 2, values[:half], labels[:half], ones[:half])
    shares = shares_by_quadrant(fitted, values[half:], labels[half:])
    np.testing.assert_allclose(shares, LEVEL, atol=0.025)
    assert np.abs(shares_by_quadrant([common] * 2, values, labels) - LEVEL).max() > 0.1


def test_a_quadrant_of_few_songs_keeps_the_common_factor():
    rng = np.random.default_rng(10)
    labels = [np.abs(rng.normal(0.5, 0.1, (20, 2))) for _ in range(30)]
    labels += [-y for y in labels[:9]]
    values = [0.5 * y for y in labels]
    common = Spread(np.ones(4), np.ones(3), np.full((2, 2), 0.4, np.float32))
    fitted = fit_factors([common] * 2, values, labels, [np.ones_like(y) for y in labels])
    for spread in fitted:
        assert spread.factors[1, 1] != pytest.approx(0.4, abs=0.01)
        np.testing.assert_array_equal(spread.factors[0], common.factors[0])


def cloud(rng, count, centre=0.0):
    return [rng.normal(centre, 1, 30) + rng.normal(0, 0.1, (40, 30)) for _ in range(count)]


def test_distances_by_brute_force():
    """Of each song from the songs of the other sets, on the axes that were found."""
    rng = np.random.default_rng(4)
    songs = cloud(rng, 30)
    sets = [np.arange(0, 10), np.arange(10, 20), np.arange(20, 25)]
    known, distances = fit_familiarity(songs, sets)
    points = np.array([song.mean(axis=0) @ known.axes for song in songs])
    np.testing.assert_allclose(points.std(axis=0), 1, rtol=1e-3)  # unit variance on each axis
    np.testing.assert_allclose(np.corrcoef(points.T), np.eye(points.shape[1]), atol=1e-3)
    for i in range(30):
        home = next((s for s in sets if i in s), [i])
        away = sorted(np.linalg.norm(points[i] - points[j]) for j in range(30) if j not in home)
        assert nearest(distances[i]) == pytest.approx(np.mean(away[:3]), rel=1e-4)
        assert np.isinf(distances[i][home]).all()


def test_percentile():
    known = Familiarity(np.eye(1), np.zeros((3, 1)), np.array([1.0, 2, 3, 4]))
    np.testing.assert_allclose(known.place(np.full((7, 1), 2.5)), [2.5, 2.5, 2.5])
    assert [known.percentile(d) for d in (0.5, 2.5, 9.0)] == [0, 50, 100]


def test_what_is_far_off_is_said_to_be():
    rng = np.random.default_rng(5)
    songs = cloud(rng, 60)
    known, _ = fit_familiarity(songs, [np.arange(0, 60, 2), np.arange(1, 60, 2)])
    (near,), (far,) = cloud(rng, 1), cloud(rng, 1, centre=8.0)
    assert known.percentile(nearest(known.place(near))) < 99
    assert known.percentile(nearest(known.place(far))) == 100
