"""Which trained networks are fused: the paper's two groups (section 3.3).

Errors are the networks' RMSE on the validation sets of their own partitions, as an array of shape
(S scales, P partitions, K trials).
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Choice(NamedTuple):
    """One network of a scale: its partition and its trial."""

    partition: int
    trial: int


def best_trials(errors: NDArray[np.float64]) -> NDArray[np.int64]:
    """The best trial of each scale and partition, (S, P); the first of equals (section 3.4)."""
    best: NDArray[np.int64] = errors.argmin(axis=2)
    return best


def best_group(errors: NDArray[np.float64]) -> tuple[Choice, ...]:
    """First criterion: at each scale the network with the lowest error of all."""
    _, partitions, trials = errors.shape
    flat = errors.reshape(-1, partitions * trials).argmin(axis=1)
    return tuple(Choice(*divmod(int(index), trials)) for index in flat)


def distinct_group(errors: NDArray[np.float64]) -> tuple[Choice, ...]:
    """Second criterion: one network a scale, no two of the same partition.

    Of all such groups the one with the lowest sum of errors; the paper says only that both "the
    RMSE and the data partition" were considered. Needs at least as many partitions as scales.
    """
    scales, partitions, _ = errors.shape
    trials = best_trials(errors)
    lowest = errors.min(axis=2)
    rows = np.arange(scales)
    best = min(
        permutations(range(partitions), scales), key=lambda chosen: lowest[rows, chosen].sum()
    )
    return tuple(Choice(p, int(trials[s, p])) for s, p in enumerate(best))
