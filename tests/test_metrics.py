import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import root_mean_squared_error

from moodcurve.errors import InputError
from moodcurve.metrics import ccc, evaluate, pearson_r, rmse, validate

METRICS = [rmse, pearson_r, ccc]


@st.composite
def pairs(draw):
    """Two arrays of one length on a grid of hundredths, neither of them constant."""
    n = draw(st.integers(3, 30))
    hundredths = st.lists(st.integers(-100, 100), min_size=n, max_size=n)
    varied = hundredths.filter(lambda values: len(set(values)) > 1)
    return np.array(draw(varied)) / 100, np.array(draw(varied)) / 100


def test_by_hand():
    """Deviations (-1, 0, 1) and (-1/3, -1/3, 2/3); means 1 and 1/3."""
    reference, estimate = [0, 1, 2], [0, 0, 1]
    assert rmse(reference, estimate) == pytest.approx(math.sqrt(2 / 3))
    assert pearson_r(reference, estimate) == pytest.approx(math.sqrt(3) / 2)
    # 2 (1/3) / (2/3 + 2/9 + 4/9)
    assert ccc(reference, estimate) == pytest.approx(1 / 2)


def test_an_estimate_ten_times_too_flat():
    reference = np.array([-0.5, -0.1, 0.1, 0.5])
    assert pearson_r(reference, reference / 10) == pytest.approx(1)
    assert ccc(reference, reference / 10) == pytest.approx(0.2 / 1.01)
    assert rmse(reference, reference / 10) == pytest.approx(0.9 * math.sqrt(0.13))


def test_ccc_of_a_shift_is_its_closed_form():
    reference = np.random.default_rng(0).normal(size=1000)
    variance = np.var(reference)
    assert ccc(reference, reference + 0.3) == pytest.approx(2 * variance / (2 * variance + 0.09))


@given(pairs())
def test_against_other_libraries(pair):
    x, y = pair
    assert rmse(x, y) == pytest.approx(root_mean_squared_error(x, y))
    assert pearson_r(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
    covariance = np.cov(x, y, ddof=0)
    lin = 2 * covariance[0, 1] / (np.trace(covariance) + (np.mean(x) - np.mean(y)) ** 2)
    assert ccc(x, y) == pytest.approx(lin, abs=1e-9)


@given(pairs())
def test_symmetry_and_bounds(pair):
    x, y = pair
    for metric in METRICS:
        assert metric(x, y) == pytest.approx(metric(y, x), abs=1e-12)
    assert -1 <= pearson_r(x, y) <= 1
    assert abs(ccc(x, y)) <= abs(pearson_r(x, y)) + 1e-12
    assert rmse(x, y) >= abs(x.mean() - y.mean()) - 1e-12


@given(pairs(), st.floats(0.1, 10), st.floats(-2, 2))
def test_invariances(pair, scale, offset):
    x, y = pair
    moved = scale * y + offset
    assert pearson_r(x, moved) == pytest.approx(pearson_r(x, y), abs=1e-9)
    assert pearson_r(x, -y) == pytest.approx(-pearson_r(x, y), abs=1e-12)
    assert ccc(scale * x + offset, moved) == pytest.approx(ccc(x, y), abs=1e-9)
    assert rmse(scale * x + offset, moved) == pytest.approx(scale * rmse(x, y), abs=1e-9)


@given(pairs())
def test_equal_arrays_are_perfect(pair):
    x, _ = pair
    assert rmse(x, x) == 0
    assert pearson_r(x, x) == pytest.approx(1)
    assert ccc(x, x) == pytest.approx(1)


@pytest.mark.parametrize("constant", [0.0, 0.1, -0.3])
def test_constants(constant):
    """0.1 summed and divided again is not 0.1: rounding must not pass for variance."""
    flat, other = np.full(7, constant), np.linspace(-1, 0.4, 7)
    assert math.isnan(pearson_r(flat, other))
    assert math.isnan(pearson_r(other, flat))
    assert ccc(flat, other) == 0
    assert ccc(flat, flat + 0.5) == 0
    assert math.isnan(ccc(flat, flat))


@pytest.mark.parametrize("metric", [validate, *METRICS])
@pytest.mark.parametrize(
    ("reference", "estimate", "message"),
    [
        ([0, 1], [0, 1, 2], "reference: 2 values for 3 of the estimate; "),
        ([], [], "reference: shape"),
        ([[0, 1]], [0, 1], "reference: shape"),
        ([0, 1], [[0], [1]], "estimate: shape"),
        ([0, math.nan], [0, 1], "reference: NaN"),
        ([0, 1], [math.inf, 1], "estimate: NaN or infinite"),
    ],
)
def test_validate(metric, reference, estimate, message):
    with pytest.raises(InputError, match=message):
        metric(reference, estimate)


def test_evaluate_by_hand():
    """One song of 2 rows and one of 1; a third without any annotation; NaN rows are dropped."""
    nan = math.nan
    references = [
        np.array([[nan, nan], [0, 0.5], [1, 0.5]]),
        np.array([[0, -0.5], [0.5, nan]]),
        np.array([[nan, nan]]),
    ]
    estimates = [
        np.array([[nan, 9], [0, 0.5], [0.5, 0.5]]),
        np.array([[0.5, 0.5], [9, 9]]),
        np.array([[0, 0]]),
    ]
    found = evaluate(references, estimates)
    assert list(found) == ["valence", "arousal"]

    valence = found["valence"]
    # Pooled: (0, 1, 0) and (0, .5, .5): deviations (-1, 2, -1)/3 and (-2, 1, 1)/6, both means 1/3.
    assert valence["pooled"] == pytest.approx(
        {"rows": 3, "rmse": math.sqrt(1 / 6), "r": 0.5, "ccc": 2 / 18 * 1 / (2 / 9 + 1 / 18)}
    )
    rmses = [math.sqrt(0.125), 0.5]
    assert valence["songs"]["rmse"] == pytest.approx(
        {"mean": np.mean(rmses), "sd": (rmses[1] - rmses[0]) / math.sqrt(2), "count": 2}
    )
    assert valence["songs"]["r"] == {"mean": pytest.approx(1), "sd": None, "count": 1}
    # 2 (1/8) / (1/4 + 1/16 + 1/16) = 2/3 for the first song, 0 for the second.
    assert valence["songs"]["ccc"] == pytest.approx(
        {"mean": 1 / 3, "sd": math.sqrt(2) / 3, "count": 2}
    )

    arousal = found["arousal"]
    assert arousal["pooled"]["r"] is None
    assert arousal["pooled"]["ccc"] == 0
    assert arousal["songs"]["r"] == {"mean": None, "sd": None, "count": 0}
    assert arousal["songs"]["ccc"] == {"mean": 0, "sd": None, "count": 1}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_evaluate_pools_rows_not_songs():
    generator = np.random.default_rng(1)
    references = [generator.uniform(-1, 1, (n, 2)) for n in (5, 80)]
    estimates = [reference + generator.normal(size=reference.shape) for reference in references]
    found = evaluate(references, estimates)
    x, y = np.concatenate(references), np.concatenate(estimates)
    for column, name in enumerate(("valence", "arousal")):
        pooled = found[name]["pooled"]
        assert pooled["rmse"] == pytest.approx(root_mean_squared_error(x[:, column], y[:, column]))
        assert pooled["r"] == pytest.approx(np.corrcoef(x[:, column], y[:, column])[0, 1])


@pytest.mark.parametrize(
    ("references", "estimates", "message"),
    [
        ([np.zeros((3, 2))], [], "references: 1 songs for 0 estimates; "),
        ([], [], "references: no annotated row"),
        ([np.full((3, 2), math.nan)], [np.zeros((3, 2))], "references: no annotated row"),
        ([np.zeros((3, 2))], [np.zeros((4, 2))], r"song 0: reference of shape \(3, 2\), estim"),
        ([np.zeros((3, 1))], [np.zeros((3, 1))], r"song 0: reference of shape \(3, 1\)"),
        ([np.zeros((3, 2))] * 2, [np.zeros((3, 2)), np.full((3, 2), math.nan)], "song 1: estimate"),
    ],
)
def test_evaluate_rejects(references, estimates, message):
    with pytest.raises(InputError, match=message):
        evaluate(references, estimates)
