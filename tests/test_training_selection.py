from itertools import permutations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from moodcurve.training.selection import Choice, best_group, best_trials, distinct_group

# Few different values, so that there are ties.
VALUES = st.sampled_from([0.125, 0.25, 0.375, 0.5, 1.0])


@st.composite
def errors(draw):
    scales, trials = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    shape = (scales, draw(st.integers(scales, 5)), trials)
    count = int(np.prod(shape))
    return np.array(draw(st.lists(VALUES, min_size=count, max_size=count))).reshape(shape)


def total(found, group):
    return sum(found[s, choice.partition, choice.trial] for s, choice in enumerate(group))


@given(errors())
def test_the_best_trial_is_the_first_of_the_lowest(found):
    for s, p in product(*map(range, found.shape[:2])):
        row = found[s, p].tolist()
        assert best_trials(found)[s, p] == row.index(min(row))


@given(errors())
def test_the_first_group_is_the_first_of_the_lowest_at_each_scale(found):
    places = [Choice(p, k) for p, k in product(*map(range, found.shape[1:]))]
    expected = tuple(min(places, key=lambda place, s=s: found[s][place]) for s in range(len(found)))
    assert best_group(found) == expected


@given(errors())
def test_the_second_group_is_the_best_of_all_without_a_partition_twice(found):
    """Among all networks of all partitions, and the first such group in their order."""
    scales, partitions, trials = found.shape
    groups = [
        tuple(map(Choice, chosen, tried))
        for chosen in permutations(range(partitions), scales)
        for tried in product(range(trials), repeat=scales)
    ]
    assert distinct_group(found) == min(groups, key=lambda group: total(found, group))


def test_the_papers_case():
    """Two networks are the best of their scale and of a partition of their own: six of eight."""
    found = np.full((4, 5, 3), 0.9)
    found[0, 2, 1] = 0.10  # in both groups
    found[1, 4, 0] = 0.20  # in both groups
    found[2, 2, 2] = 0.30  # its partition is taken: 0.33 instead
    found[2, 0, 1] = 0.33
    found[3, 4, 1] = 0.40  # its partition is taken: 0.41 instead
    found[3, 1, 0] = 0.41
    first, second = best_group(found), distinct_group(found)
    assert first == ((2, 1), (4, 0), (2, 2), (4, 1))
    assert second == ((2, 1), (4, 0), (0, 1), (1, 0))
    shared = {(s, one) for s, one in enumerate(first)} & {(s, one) for s, one in enumerate(second)}
    assert len(shared) == 2


def test_the_second_group_gives_up_the_best_network_where_the_sum_asks_for_it():
    found = np.array([[[0.10], [0.11]], [[0.10], [0.50]]])
    assert best_group(found) == ((0, 0), (0, 0))
    assert distinct_group(found) == ((1, 0), (0, 0))


def test_of_equals_the_first():
    found = np.ones((4, 5, 3))
    assert not best_trials(found).any()
    assert best_group(found) == ((0, 0),) * 4
    assert distinct_group(found) == ((0, 0), (1, 0), (2, 0), (3, 0))
