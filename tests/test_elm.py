import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from moodcurve.elm import ELMRegressor


def data(n=200, features=4, targets=2):
    generator = np.random.default_rng(5)
    return generator.normal(size=(n, features)), generator.normal(size=(n, targets))


def hidden_layer(elm, x):
    return expit(x @ elm.weights_ + elm.bias_)


@parametrize_with_checks([ELMRegressor(), ELMRegressor(n_hidden=30, ridge=1e-3)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("n_hidden", [15, 300])
def test_output_weights_are_the_pseudo_inverses(n_hidden):
    """With fewer and with more nodes than samples."""
    x, y = data(n=60)
    elm = ELMRegressor(n_hidden, random_state=0).fit(3 * x, y)
    expected = np.linalg.pinv(hidden_layer(elm, 3 * x)) @ y
    assert elm.beta_.shape == (n_hidden, 2)
    np.testing.assert_allclose(elm.beta_, expected, rtol=1e-6, atol=1e-8 * abs(expected).max())


@pytest.mark.parametrize("n_hidden", [15, 300])
@pytest.mark.parametrize("ridge", [1e-3, 1.0, 100.0])
def test_ridge_like_scikit_learns(n_hidden, ridge):
    x, y = data(n=60)
    elm = ELMRegressor(n_hidden, ridge, random_state=0).fit(x, y)
    oracle = Ridge(alpha=ridge, fit_intercept=False, solver="svd").fit(hidden_layer(elm, x), y)
    np.testing.assert_allclose(elm.beta_.T, oracle.coef_, rtol=1e-8, atol=1e-10)


def test_ridge_satisfies_its_normal_equations():
    x, y = data()
    elm = ELMRegressor(50, ridge=0.1, random_state=0).fit(x, y)
    h = hidden_layer(elm, x)
    np.testing.assert_allclose(h.T @ (y - h @ elm.beta_), 0.1 * elm.beta_, atol=1e-9)


def test_a_hidden_layer_of_rank_one_does_no_harm():
    """Rounding noise is not inverted: the solution stays small and predicts the mean."""
    x, y = np.ones((20, 3)), np.arange(20.0)
    elm = ELMRegressor(random_state=0).fit(x, y)
    np.testing.assert_allclose(elm.predict(x), np.full(20, 9.5))
    assert abs(elm.beta_).max() < 1


def test_as_many_nodes_as_samples_interpolate():
    x, y = data(n=20)
    elm = ELMRegressor(n_hidden=40, random_state=0).fit(3 * x, y)
    np.testing.assert_allclose(elm.predict(3 * x), y, atol=1e-6)


def test_a_smooth_function_is_learned_that_no_line_fits():
    grid = np.linspace(-3, 3, 200)[:, np.newaxis]
    y = np.sin(2 * grid[:, 0])
    between = np.linspace(-2.9, 2.9, 77)[:, np.newaxis]
    elm = make_pipeline(StandardScaler(), ELMRegressor(60, random_state=0)).fit(grid, y)
    np.testing.assert_allclose(elm.predict(between), np.sin(2 * between[:, 0]), atol=1e-2)
    assert LinearRegression().fit(grid, y).score(grid, y) < 0.5


def test_targets_of_one_and_of_two_dimensions():
    x, y = data()
    elm = ELMRegressor(random_state=0)
    both = elm.fit(x, y).predict(x)
    assert both.shape == (200, 2)
    one = elm.fit(x, y[:, 1]).predict(x)
    assert one.shape == (200,)
    np.testing.assert_allclose(one, both[:, 1], atol=1e-6)
    assert elm.fit(x, y[:, :1]).predict(x).shape == (200, 1)


def test_the_seed_decides():
    x, y = data()
    first, again, other = (ELMRegressor(random_state=s).fit(x, y).weights_ for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_hidden_layer_is_uniform():
    x, y = data(features=50)
    elm = ELMRegressor(2000, ridge=1.0, random_state=0).fit(x, y)
    assert elm.n_features_in_ == 50
    for drawn in (elm.weights_.ravel(), elm.bias_):
        deciles = np.histogram(drawn, bins=10, range=(-1, 1))[0] / len(drawn)
        assert deciles.sum() == 1
        np.testing.assert_allclose(deciles, 0.1, atol=0.03)


def test_clone_keeps_parameters_and_forgets_the_fit():
    x, y = data()
    copy = clone(ELMRegressor(7, 0.5, random_state=3).fit(x, y))
    assert copy.get_params() == {"n_hidden": 7, "ridge": 0.5, "random_state": 3}
    with pytest.raises(NotFittedError):
        copy.predict(x)


def test_grid_search_finds_the_sensible_ridge():
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, (80, 2))
    y = x[:, 0] + 0.1 * generator.normal(size=80)
    search = GridSearchCV(ELMRegressor(random_state=0), {"ridge": [0.0, 1e-2, 1e6]}, cv=4)
    assert search.fit(x, y).best_params_ == {"ridge": 1e-2}
    assert search.best_score_ > 0.9


@pytest.mark.parametrize(
    "parameters",
    [{"n_hidden": 0}, {"n_hidden": 2.5}, {"ridge": -1.0}, {"ridge": np.nan}, {"ridge": "some"}],
)
def test_unusable_parameters(parameters):
    with pytest.raises(ValueError, match=f"{next(iter(parameters))}: "):
        ELMRegressor(**parameters).fit(*data())
