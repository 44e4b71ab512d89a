from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodcurve import InputError
from moodcurve.corpora.folder import Song
from moodcurve.training.partitions import validation_sets


def songs(groups=None, genres=None, count=0, names=None):
    count = len(groups or genres or ()) or count
    none = [None] * count
    names = names or [f"song {number}" for number in range(count)]
    return [
        Song(name, Path(f"{name}.wav"), np.zeros(0), np.zeros((1, 2)), group, (genre,) if genre else ())
        for name, group, genre in zip(names, groups or none, genres or none, strict=True)
    ]


def draw(found, count, share, seed=0):
    return validation_sets(found, count, share, np.random.default_rng(seed))


def members(sets):
    return [int(number) for one in sets for number in one]


@given(
    st.lists(st.sampled_from(["", "a", "b", "c", "d", "e"]), min_size=8, max_size=60),
    st.lists(st.sampled_from(["rock", "jazz", ""]), min_size=60, max_size=60),
    st.integers(1, 5),
    st.integers(0, 99),
)
def test_sets_that_tile_the_corpus(groups, genres, count, seed):
    """Every song in one set, every group in one set, or too few of them."""
    found = songs(groups, genres[: len(groups)])
    units = groups.count("") + len(set(groups) - {""})
    if units < count:
        with pytest.raises(InputError, match=f"{units} songs or groups are too few for {count}"):
            draw(found, count, 1 / count, seed)
        return
    sets = draw(found, count, 1 / count, seed)
    assert len(sets) == count
    assert sorted(members(sets)) == list(range(len(groups)))
    assert all(len(one) and list(one) == sorted(one) for one in sets)
    for group in set(groups) - {""}:
        assert sum(any(groups[number] == group for number in one) for one in sets) == 1


@given(st.integers(6, 80), st.integers(1, 5), st.floats(0.01, 0.19), st.integers(0, 99))
def test_sets_that_do_not(count_of_songs, count, share, seed):
    """Disjoint, of equal size, some songs left for training in all of them."""
    found = songs(count=count_of_songs)
    size = max(1, round(share * count_of_songs))
    if count * size >= count_of_songs:
        with pytest.raises(InputError, match="too few"):
            draw(found, count, share, seed)
        return
    sets = draw(found, count, share, seed)
    assert [len(one) for one in sets] == [size] * count
    assert len(set(members(sets))) == count * size


def test_the_papers_sizes_and_genres():
    """5 times 20 of 431 songs, by genre."""
    rng = np.random.default_rng(3)
    genres = list(rng.choice(["rock", "pop", "jazz", "folk"], 431, p=[0.5, 0.25, 0.15, 0.1]))
    sets = draw(songs(genres=genres), 5, 20 / 431)
    assert [len(one) for one in sets] == [20] * 5
    assert len(set(members(sets))) == 100
    for genre, count in Counter(genres).items():
        for one in sets:
            drawn = sum(genres[number] == genre for number in one)
            assert abs(drawn - 20 * count / 431) <= 1.5


def test_genres_are_even_in_sets_that_tile():
    genres = ["rock"] * 50 + ["pop"] * 30 + ["jazz"] * 7
    sets = draw(songs(genres=genres), 5, 0.2)
    for genre, count in Counter(genres).items():
        drawn = [sum(genres[number] == genre for number in one) for one in sets]
        assert max(drawn) - min(drawn) <= 1
        assert sum(drawn) == count


def test_sets_that_tile_are_about_even_with_groups_of_uneven_size():
    groups = [
        g
        for g, size in zip("abcdefghij", (30, 20, 18, 12, 8, 5, 3, 2, 1, 1), strict=True)
        for _ in range(size)
    ]
    sizes = [len(one) for one in draw(songs(groups), 3, 1 / 3)]
    assert sum(sizes) == 100
    assert max(sizes) - min(sizes) <= 8


def test_groups_may_be_split_where_the_sets_do_not_tile():
    sets = draw(songs(["one"] * 50), 5, 0.1)
    assert [len(one) for one in sets] == [5] * 5


def test_songs_of_one_name_in_two_corpora_are_two_songs():
    names = [str(number) for number in range(10)] * 2
    for share in (0.15, 0.2):
        sets = draw(songs(count=20, names=names), 5, share)
        assert [len(one) for one in sets] == [round(20 * share)] * 5
        assert len(set(members(sets))) == len(members(sets))


def test_the_seed_decides():
    found = songs(count=100)
    one, again, other = (members(draw(found, 5, 0.1, seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_too_few():
    with pytest.raises(InputError, match="; add songs"):
        draw(songs(count=4), 5, 0.2)
    with pytest.raises(InputError, match="1 songs or groups are too few for 2"):
        draw(songs(["one"] * 9), 2, 0.5)
    with pytest.raises(InputError, match="5 songs or groups are too few for 5"):
        draw(songs(count=5), 5, 0.05)
