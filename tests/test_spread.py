import numpy as np
import pytest

pytest.importorskip("scipy")

from moodcurve.familiarity import Familiarity
from moodcurve.spread import LEVEL, Spread, terms
from moodcurve.training.calibration import fit_familiarity, fit_spread


def songs_of_errors(rng, count, scale=lambda song, n: np.ones(n)):
    """Songs of 5 to 100 half-seconds whose errors are normal, of deviation scale(song)."""
    lengths = rng.integers(5, 100, count)
    return [rng.normal(0, scale(k, n)) for k, n in enumerate(lengths)]


def constant_terms(errors):
    return [np.column_stack([np.ones(len(e)), np.zeros((len(e), 2))]) for e in errors]


def share_inside(spread, errors, parts):
    """Of half-seconds within the band, songs counting alike."""
    half = [spread.factor * np.sqrt(t @ spread.weights) for t in parts]
    return np.mean([np.mean(np.abs(e) <= h) for e, h in zip(errors, half, strict=True)])


def test_terms_by_hand():
    """Two groups, three scales: variances 2/3 and 0, mean 1/3; the distance squared."""
    outputs = np.array([[[1.0], [2.0], [3.0]], [[5.0], [5.0], [5.0]]])
    np.testing.assert_allclose(terms(outputs, 1.5), [[1, 1 / 3, 2.25]])


def test_the_band_of_normal_errors():
    """90 % of a normal distribution lies within 1.645 deviations."""
    errors = songs_of_errors(np.random.default_rng(0), 2000, lambda k, n: np.full(n, 0.3))
    spread = fit_spread(errors, constant_terms(errors))
    half = spread.factor * np.sqrt(spread.weights[0])
    assert half == pytest.approx(1.645 * 0.3, rel=0.02)
    assert spread.weights[0] == pytest.approx(0.09, rel=0.05)


def test_it_holds_what_it_should_on_songs_not_seen():
    """Averaged over many draws of 20 songs: from 90 % to 90 % (S + 1) / S, the price of few."""
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        scales = rng.gamma(2, 0.2, 40)
        errors = songs_of_errors(rng, 40, lambda k, n, s=scales: s[k] * np.ones(n))
        spread = fit_spread(errors[:20], constant_terms(errors[:20]))
        shares.append(share_inside(spread, errors[20:], constant_terms(errors[20:])))
    assert LEVEL - 0.005 < np.mean(shares) < LEVEL * 21 / 20 + 0.005


def test_it_is_wide_where_errors_are_wide():
    """Variance 0.01 + 4 x disagreement + 0.1 x distance squared is found again."""
    rng = np.random.default_rng(2)
    errors, parts = [], []
    for _ in range(600):
        n = rng.integers(20, 100)
        disagreement, distance = rng.exponential(0.02, n), rng.exponential(0.5)
        part = np.column_stack([np.ones(n), disagreement, np.full(n, distance**2)])
        errors.append(rng.normal(0, np.sqrt(part @ [0.01, 4, 0.1])))
        parts.append(part)
    spread = fit_spread(errors, parts)
    np.testing.assert_allclose(spread.weights, [0.01, 4, 0.1], rtol=0.2)
    assert share_inside(spread, errors, parts) == pytest.approx(LEVEL, abs=0.005)


def test_no_weight_is_negative():
    """Errors that shrink with disagreement: it is left out, not counted against."""
    rng = np.random.default_rng(3)
    disagreement = [rng.uniform(0, 1, 50) for _ in range(50)]
    errors = [rng.normal(0, 1.1 - d) for d in disagreement]
    parts = [np.column_stack([np.ones(50), d, np.zeros(50)]) for d in disagreement]
    assert (fit_spread(errors, parts).weights >= 0).all()


def test_perfect_predictions_have_a_narrow_band():
    errors = [np.zeros(10)] * 5
    spread = fit_spread(errors, constant_terms(errors))
    assert np.isfinite(spread.factor)


def test_half_width():
    spread = Spread(np.array([0.04, 1, 0.5]), 2.0)
    outputs = np.zeros((1, 4, 3))
    np.testing.assert_allclose(spread.half_width(outputs, 0.0), [0.4, 0.4, 0.4])
    np.testing.assert_allclose(spread.half_width(outputs, 2.0), 2 * np.sqrt(2.04) * np.ones(3))


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
        assert distances[i] == pytest.approx(np.mean(away[:3]), rel=1e-4)


def test_percentile():
    known = Familiarity(np.eye(1), np.zeros((3, 1)), np.array([1.0, 2, 3, 4]))
    assert known.distance(np.full((7, 1), 2.5)) == 2.5
    assert [known.percentile(d) for d in (0.5, 2.5, 9.0)] == [0, 50, 100]


def test_what_is_far_off_is_said_to_be():
    rng = np.random.default_rng(5)
    songs = cloud(rng, 60)
    known, _ = fit_familiarity(songs, [np.arange(0, 60, 2), np.arange(1, 60, 2)])
    (near,), (far,) = cloud(rng, 1), cloud(rng, 1, centre=8.0)
    assert known.percentile(known.distance(near)) < 99
    assert known.percentile(known.distance(far)) == 100
