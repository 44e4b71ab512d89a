"""The Extreme Learning Machine as a scikit-learn estimator (paper, section 2.2).

Huang, Zhu and Siew (2006), "Extreme learning machine: theory and applications", Neurocomputing 70.
"""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from moodcurve.fusion import elm_output, logistic

Array = NDArray[np.floating[Any]]


class ELMRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A network with one hidden layer of random logistic nodes, its output weights solved for.

    Input weights and biases are drawn uniformly from [-1, 1] (the paper only says "randomly") and
    stay as drawn. The inputs are used as they are: put a scaler before it where their scales
    differ much from 1.

    Parameters
    ----------
    n_hidden : int
        hidden nodes, at least 1
    ridge : float
        0: output weights by the Moore-Penrose inverse of the hidden layer, as in the paper; above
        0: those that minimise squared error + ridge * (squared output weights)
    random_state : int, numpy RandomState or None
        what weights and biases are drawn from

    Attributes
    ----------
    weights_ : (P, N)
        input weights of the P features
    bias_ : (N,)
        biases of the hidden nodes
    beta_ : (N, K), or (N,) if the target was 1-D
        output weights
    n_features_in_ : int
        P
    """

    def __init__(
        self,
        n_hidden: int = 100,
        ridge: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.ridge = ridge
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Draw the hidden layer and solve for the output weights.

        Parameters
        ----------
        X : (n, P)
            inputs
        y : (n,) or (n, K)
            targets
        sample_weight : (n,) or None
            what each squared error counts; None is 1

        Raises
        ------
        ValueError
            as scikit-learn's estimators do, for unusable arrays or parameters
        """
        if not isinstance(self.n_hidden, Integral) or self.n_hidden < 1:
            raise ValueError(f"n_hidden: {self.n_hidden!r}; give a whole number of at least 1")
        if not isinstance(self.ridge, Real) or not 0 <= self.ridge < np.inf:
            raise ValueError(f"ridge: {self.ridge!r}; give a number of at least 0")
        x, targets = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        random = check_random_state(self.random_state)
        self.weights_: Array = random.uniform(-1, 1, (x.shape[1], self.n_hidden))
        self.bias_: Array = random.uniform(-1, 1, self.n_hidden)
        hidden = logistic(x @ self.weights_ + self.bias_)
        targets = np.asarray(targets, dtype=np.float64)
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, x, dtype=np.float64)
            root = np.sqrt(weight)
            hidden = hidden * root[:, np.newaxis]
            targets = (targets.T * root).T
        self.beta_: Array = _solve(hidden, targets, float(self.ridge))
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Return the predictions for inputs (n, P): (n,) or (n, K), as the targets were."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        return elm_output(x, self.weights_, self.bias_, self.beta_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _solve(hidden: Array, targets: Array, ridge: float) -> Array:
    """Return the output weights (N,) or (N, K) for a hidden layer (n, N)."""
    solution: Array
    if ridge:
        # By its singular values: the normal equations would square the layer's bad condition.
        u, s, vt = np.linalg.svd(hidden, full_matrices=False)
        solution = vt.T @ ((u * (s / (s**2 + ridge))).T @ targets)
    else:
        # Singular values of rounding noise count as zero, or they would rule the solution.
        noise = max(hidden.shape) * np.finfo(hidden.dtype).eps
        solution = np.linalg.pinv(hidden, rcond=noise) @ targets
    return solution
