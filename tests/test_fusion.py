import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from moodcurve.errors import InputError
from moodcurve.fusion import delta, elm_output, logistic, settled, smooth, supervectors

CURVES = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1, 1, allow_subnormal=False))


def test_delta_by_hand():
    # At the end, with 16 repeated: (1 (16 - 9) + 2 (16 - 4)) / 10.
    o = np.array([0.0, 1, 4, 9, 16])
    np.testing.assert_allclose(delta(o), [0.9, 2.2, 4, 4.2, 3.1])


@given(CURVES, st.integers(1, 4))
def test_delta_is_the_slope_of_the_fitted_line(o, width):
    padded = [o[0]] * width + list(o) + [o[-1]] * width
    steps = np.arange(-width, width + 1)
    slopes = [np.polyfit(steps, padded[t : t + 2 * width + 1], 1)[0] for t in range(len(o))]
    np.testing.assert_allclose(delta(o, width), slopes, atol=1e-12)


def test_delta_of_a_line_is_its_slope_away_from_the_edges():
    np.testing.assert_allclose(delta(0.3 * np.arange(20) - 1)[2:-2], 0.3)


def test_smooth_by_hand():
    o = np.array([1.0, 2, 6, 3, 3, 9])
    np.testing.assert_allclose(smooth(o), [3, 3, 3, 4.6, 5.25, 5])


@given(CURVES, st.sampled_from([1, 3, 5, 9, 101]))
def test_smooth_like_brute_force(o, width):
    half = width // 2
    expected = [o[max(0, t - half) : t + half + 1].mean() for t in range(len(o))]
    np.testing.assert_allclose(smooth(o, width), expected, atol=1e-12)


@pytest.mark.parametrize("width", [0, 4, -1])
def test_smooth_needs_a_middle(width):
    with pytest.raises(InputError, match=f"width: {width} "):
        smooth(np.zeros(9), width)


def test_supervectors_are_in_the_papers_order():
    first, second = np.arange(9.0) ** 2, np.cos(np.arange(9.0))
    expected = [first, delta(first), smooth(first), second, delta(second), smooth(second)]
    found = supervectors(np.stack([first, second]))
    assert found.shape == (9, 6)
    np.testing.assert_array_equal(found.T, expected)


@given(st.floats(-1e6, 1e6))
def test_logistic(a):
    assert logistic(np.array([a]))[0] == pytest.approx(expit(a), abs=1e-15)


def test_elm_output_by_hand():
    """Two hidden nodes with pre-activations 0 and ln 3, that is 1/2 and 3/4."""
    x = np.array([[1.0, 2.0]])
    weights = np.array([[2.0, 0.0], [-1.0, 0.5 * math.log(3)]])
    bias = np.zeros(2)
    beta = np.array([[1.0, 0.0, 4.0], [0.0, 1.0, -4.0]])
    np.testing.assert_allclose(elm_output(x, weights, bias, beta), [[0.5, 0.75, -1]])
    np.testing.assert_allclose(elm_output(x, weights, bias, beta[:, 2]), [-1])


def test_elm_output_far_from_zero():
    """Neither overflow nor warning where the exponential of one would."""
    found = elm_output(np.array([[-1e4], [1e4]]), np.ones((1, 1)), np.zeros(1), np.ones((1, 1)))
    np.testing.assert_array_equal(found, [[0], [1]])


def test_elm_output_adds_the_bias():
    found = elm_output(np.zeros((1, 1)), np.zeros((1, 1)), np.full(1, math.log(4)), np.ones(1))
    np.testing.assert_allclose(found, [0.8])


def test_settled_by_hand():
    """A quarter of the ELM's, three of the average's; then the mean of the last three, or fewer."""
    elm, average = np.array([4.0, 0, 0, 8]), np.array([0.0, 4, 0, 0])
    np.testing.assert_allclose(settled(elm, average, 0.25, 1), [1, 3, 0, 2])
    np.testing.assert_allclose(settled(elm, average, 0.25, 3), [1, 2, 4 / 3, 5 / 3])
    np.testing.assert_array_equal(settled(elm, average, 1.0, 1), elm)
