import io
from functools import partial

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training needs moodcurve[train]")

from sklearn.linear_model import LinearRegression, Ridge
from sklearn.svm import SVR

from moodcurve.errors import InputError
from moodcurve.training.baselines import (
    MLR_GRID,
    SVR_GRID,
    Linear,
    SupportVectors,
    fit_mlr,
    fit_svr,
    labelled,
    tune,
)


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def problem(rng, n, features=6):
    """Rows far from zero mean, and labels that are bent, noisy and far from zero mean too."""
    rows = (rng.normal(0, 1, (n, features)) + 3).astype(np.float32)
    labels = np.sin(rows[:, 0]) + 0.3 * rows[:, 1] + rng.normal(0, 0.1, n) - 2
    return rows, labels.astype(np.float32)


def test_mlr_by_hand():
    """The line through (0, 1), (1, 2), (2, 6), and with a ridge equal to its sum of squares."""
    rows, labels = np.float32([[0], [1], [2]]), np.float32([1, 2, 6])
    line = fit_mlr(rows, labels, 0)
    np.testing.assert_allclose([*line.weights, line.bias], [2.5, 0.5], rtol=1e-12)
    line = fit_mlr(rows, labels, 2)
    np.testing.assert_allclose([*line.weights, line.bias], [1.25, 1.75], rtol=1e-12)


@pytest.mark.parametrize("ridge", [0.0, 0.5, 30.0])
def test_mlr_is_scikit_learns(rng, ridge):
    rows, labels = problem(rng, 50)
    theirs = Ridge(ridge, solver="svd") if ridge else LinearRegression()
    theirs.fit(rows.astype(np.float64), labels.astype(np.float64))
    ours = fit_mlr(rows, labels, ridge)
    others = problem(rng, 20)[0]
    np.testing.assert_allclose(ours.predict(others), theirs.predict(others), rtol=1e-9)


def test_mlr_of_a_constant_and_a_double_feature(rng):
    """Without a unique solution it takes the smallest weights, and predicts as without the two."""
    rows, labels = problem(rng, 50)
    more = np.column_stack([rows, rows[:, 0], np.full(50, 7)]).astype(np.float32)
    plain, doubled = fit_mlr(rows, labels, 0), fit_mlr(more, labels, 0)
    np.testing.assert_allclose(doubled.predict(more), plain.predict(rows), atol=1e-9)
    np.testing.assert_allclose(doubled.weights[[0, 6]], plain.weights[0] / 2, atol=1e-9)
    assert abs(doubled.weights[7]) < 1e-9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mlr_leaves_its_data_alone_and_sums_in_float64(dtype):
    rows = np.array([[1e4], [1e4 + 1], [1e4 + 2]], dtype)
    before = rows.copy()
    line = fit_mlr(rows, np.float32([0, 1, 2]), 0)
    np.testing.assert_allclose([*line.weights, line.bias], [1, -1e4], rtol=1e-9)
    assert line.weights.dtype == np.float64
    assert np.array_equal(rows, before)


@pytest.mark.parametrize("gamma", [0.02, 0.5])
def test_svr_is_scikit_learns(rng, gamma):
    rows, labels = problem(rng, 200)
    theirs = SVR(C=2.0, gamma=gamma, epsilon=0.05).fit(rows, labels)
    ours = fit_svr(rows, labels, cost=2.0, gamma=gamma, epsilon=0.05)
    others = problem(rng, 2500)[0]  # more than two blocks
    np.testing.assert_allclose(ours.predict(others), theirs.predict(others), atol=1e-9)
    assert np.ptp(ours.predict(others)) > 0.5


def test_svr_on_evenly_spread_rows(rng):
    rows, labels = problem(rng, 10)
    few = [0, 3, 6, 9]  # of 10, first and last included
    theirs = SVR(C=5.0, gamma=0.1, epsilon=0.01).fit(rows[few], labels[few])
    ours = fit_svr(rows, labels, 5.0, 0.1, 0.01, most_rows=4)
    np.testing.assert_allclose(ours.predict(rows), theirs.predict(rows), atol=1e-9)
    assert len(ours.vectors) <= 4


def test_svr_without_support_vectors(rng):
    """Labels that epsilon covers need none: the middle of their range everywhere."""
    rows = problem(rng, 20)[0]
    labels = np.linspace(0.2, 0.3, 20).astype(np.float32)
    ours = fit_svr(rows, labels, 1.0, 0.1, epsilon=0.1)
    assert len(ours.vectors) == 0
    np.testing.assert_allclose(ours.predict(rows), 0.25, atol=1e-6)


def test_support_vectors_by_hand():
    model = SupportVectors(
        np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([2.0, -1.0]), np.array(0.25), np.array(0.1)
    )
    expected = [2 - np.exp(-2.5) + 0.25, 2 * np.exp(-2.5) - 1 + 0.25]
    np.testing.assert_allclose(model.predict(np.float32([[0, 0], [3, 4]])), expected, rtol=1e-12)


def test_arrays_round_trip_without_pickle(rng):
    rows, labels = problem(rng, 40)
    for kind, model in (
        (Linear, fit_mlr(rows, labels, 1.0)),
        (SupportVectors, fit_svr(rows, labels, 1.0, 0.1, 0.1)),
    ):
        file = io.BytesIO()
        np.savez(file, **model.to_arrays())
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            again = kind(**arrays)
        assert np.array_equal(again.predict(rows), model.predict(rows))
        assert again.predict(rows).shape == (40,)


def songs_of(rng, lengths):
    """Songs with gaps in their labels."""
    rows, labels = zip(*(problem(rng, n) for n in lengths), strict=True)
    for song in labels:
        song[rng.random(len(song)) < 0.3] = np.nan
        song[0] = -2.0
    return list(rows), list(labels)


def test_labelled_joins_what_has_labels():
    rows = [np.float32([[1], [2], [3]]), np.float32([[4]]), np.float32([[5], [6]])]
    labels = [np.float32([np.nan, 0.2, 0.3]), np.float32([np.nan]), np.float32([0.5, np.nan])]
    found, known = labelled(rows, labels)
    assert found.tolist() == [[2], [3], [5]]
    np.testing.assert_array_equal(known, np.float32([0.2, 0.3, 0.5]))
    with pytest.raises(InputError, match="none of 1 songs has a label"):
        labelled(rows[1:2], labels[1:2])
    with pytest.raises(InputError, match="none of 0 songs"):
        labelled([], [])


def test_tune_against_a_loop_over_everything(rng):
    rows, labels = songs_of(rng, [12, 5, 20, 9, 14])
    sets = [np.array([0, 3]), np.array([2])]  # 1 and 4 are always fitted on
    grid = tuple({"ridge": ridge} for ridge in (1e4, 3.0, 300.0))
    expected = []
    for params in grid:
        squares = []
        for members in sets:
            x, y = [], []
            for number in range(5):
                if number not in members:
                    for row, label in zip(rows[number], labels[number], strict=True):
                        if label == label:
                            x.append(row.astype(float))
                            y.append(float(label))
            model = Ridge(params["ridge"], solver="svd").fit(x, y)
            for number in members:
                for row, label in zip(rows[number], labels[number], strict=True):
                    if label == label:
                        squares.append((model.predict([row.astype(float)])[0] - label) ** 2)
        expected.append(sum(squares) / len(squares))
    best, errors = tune(fit_mlr, grid, rows, labels, sets)
    np.testing.assert_allclose(errors, expected, rtol=1e-6)
    assert best == grid[expected.index(min(expected))] == {"ridge": 3.0}


def test_tune_finds_the_ridge_that_noise_calls_for(rng):
    """Labels of pure noise call for a large ridge, exact ones for none; the SVR runs too."""
    rows = [rng.normal(0, 1, (15, 8)).astype(np.float32) for _ in range(6)]
    sets = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5])]
    noise = [rng.normal(0, 1, 15) for _ in rows]
    exact = [song @ np.arange(1.0, 9.0) for song in rows]
    best, errors = tune(fit_mlr, MLR_GRID, rows, noise, sets)
    assert best["ridge"] >= 1e3
    assert errors[0] == max(errors)
    assert tune(fit_mlr, MLR_GRID, rows, exact, sets)[0] == MLR_GRID[0]
    best, errors = tune(partial(fit_svr, most_rows=30), SVR_GRID, rows, exact, sets)
    assert best["cost"] == 3.0
    assert len(errors) == len(SVR_GRID) == 6


def test_tune_takes_the_first_of_equals(rng):
    rows, labels = songs_of(rng, [12, 5, 20])
    grid = ({"ridge": 2.0, "mark": 1.0}, {"ridge": 2.0, "mark": 2.0})
    best, errors = tune(
        lambda x, y, ridge, mark: fit_mlr(x, y, ridge), grid, rows, labels, [np.array([1])]
    )
    assert best is grid[0]
    assert errors[0] == errors[1]


def test_tune_without_labels_to_fit_on(rng):
    rows, labels = songs_of(rng, [12, 5, 20])
    with pytest.raises(InputError, match="none of 0 songs"):
        tune(fit_mlr, MLR_GRID, rows, labels, [np.arange(3)])
    labels[1][:] = np.nan
    with pytest.raises(InputError, match="none of 1 songs"):
        tune(fit_mlr, MLR_GRID, rows, labels, [np.array([1])])
