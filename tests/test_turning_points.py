"""Optimal partitions, against all partitions there are."""

import time
from itertools import combinations, pairwise

import numpy as np
import pytest

from moodcurve.turning_points import PENALTY, SHORTEST, best_pieces, turning_points


def cost(values, starts, penalty):
    edges = [*starts, values.shape[1]]
    pieces = [values[:, low:high] for low, high in pairwise(edges)]
    return sum(
        penalty + ((piece - piece.mean(axis=1, keepdims=True)) ** 2).sum() for piece in pieces
    )


def partitions(n, shortest):
    """All ways to cut n values into pieces of at least `shortest`, as starts."""
    for count in range(n // shortest):
        for cuts in combinations(range(1, n), count):
            if all(b - a >= shortest for a, b in pairwise([0, *cuts, n])):
                yield [0, *cuts]


@pytest.mark.parametrize("shortest", [1, 2, 3, 5])
@pytest.mark.parametrize("penalty", [0.01, 0.1, 0.5, 2])
def test_the_best_of_all_partitions(shortest, penalty):
    rng = np.random.default_rng(round(100 * penalty) + shortest)
    for n in (shortest, 5, 9, 12):
        for _ in range(8):
            values = rng.uniform(-1, 1, (2, n))
            found = best_pieces(values, penalty, shortest)
            expected = min(
                partitions(n, shortest) if n >= shortest else [[0]],
                key=lambda starts: cost(values, starts, penalty),
            )
            assert found == expected


def brute_best(values, penalty, shortest):
    """Optimal partitioning without dropping anything: the cost of the best, piece by piece."""
    n = values.shape[1]
    best = [-np.inf] * (n + 1)
    best[0] = 0
    for end in range(1, n + 1):
        best[end] = min(
            (
                best[start] + cost(values[:, start:end], [0], penalty)
                for start in range(end - shortest + 1)
                if start == 0 or start >= shortest
            ),
            default=np.inf,
        )
    return best[n]


@pytest.mark.parametrize("seed", range(12))
def test_longer_curves_against_optimal_partitioning(seed):
    """Steps, drifts and noise: what pruning with a shortest piece could get wrong."""
    rng = np.random.default_rng(seed)
    n = 70
    steps = rng.uniform(-1, 1, (2, n // 7)).repeat(7, axis=1)
    values = (steps, rng.normal(0, 0.1, (2, n)).cumsum(axis=1))[seed % 2]
    values = values + rng.normal(0, 0.05, (2, n))
    for penalty, shortest in ((0.05, 3), (0.2, 8), (PENALTY, SHORTEST), (0.02, 10)):
        starts = best_pieces(values, penalty, shortest)
        assert min(np.diff([*starts, n])) >= shortest
        assert cost(values, starts, penalty) == pytest.approx(brute_best(values, penalty, shortest))


@pytest.mark.parametrize("n", [1, 7, 8, 15, 16, 148, 14400])
@pytest.mark.parametrize("deviation", [0, 0.05])
def test_a_flat_curve_has_none(n, deviation):
    values = 0.157 + np.random.default_rng(n).normal(0, deviation, (2, n))
    assert turning_points(*values) == []


@pytest.mark.parametrize("dimension", [0, 1])
@pytest.mark.parametrize("height", [0.3, -0.3])
@pytest.mark.parametrize("sides", [(16, 16), (16, 400), (400, 24), (300, 300), (7200, 7200)])
def test_a_change_of_0_3_is_one(dimension, height, sides):
    values = np.full((2, sum(sides)), 0.2)
    values[dimension, sides[0] :] += height
    assert turning_points(*values) == [sides[0]]
    if min(sides) > 16:  # else noise decides
        noise = np.random.default_rng(1).normal(0, 0.03, values.shape)
        (found,) = turning_points(*(values + noise))
        assert abs(found - sides[0]) <= 2


def test_the_penalty_by_hand():
    """A step saves d² ab / (a + b): 4 s on both sides need 0.7 = 4 d², so d = 0.418."""
    for height, expected in ((0.41, []), (0.43, [8])):
        assert turning_points(np.repeat([0, height], 8), np.zeros(16)) == expected
    for length, expected in ((60, []), (64, [64])):  # 0.15² * 62.2 = 0.7
        assert turning_points(np.repeat([0, 0.15], length), np.zeros(2 * length)) == expected


def test_what_passes_quickly_is_none():
    values = np.zeros((2, 200))
    values[0, 100:103] = 0.45
    assert turning_points(*values) == []
    values[0, 100:120] = 0.45
    assert turning_points(*values) == [100, 120]


def test_both_dimensions_count_together():
    """0.22 in each is 0.31 in the plane."""
    step = np.repeat([0, 0.22], 16)
    assert turning_points(step, np.zeros(32)) == []
    assert turning_points(step, -step) == [16]


@pytest.mark.parametrize("kind", ["flat", "walk", "ramp"])
def test_two_hours_take_seconds(kind):
    rng = np.random.default_rng(0)
    values = {
        "flat": rng.normal(0, 0.05, (2, 14400)),
        "walk": np.clip(rng.normal(0, 0.03, (2, 14400)).cumsum(axis=1), -1, 1),
        "ramp": np.linspace([-0.5, -0.5], [0.5, 0.5], 14400).T,
    }[kind]
    started = time.process_time()
    found = turning_points(*values)
    assert time.process_time() - started < 2
    assert min(np.diff([0, *found, 14400])) >= SHORTEST
