from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodcurve import InputError
from moodcurve.corpora.folder import Song
from moodcurve.training.partitions import sets_like, validation_sets


def songs(groups=None, genres=None, count=0, names=None):
    count = len(groups or genres or ()) or count
    none = [None] * count
    names = names or [f"song {number}" for number in range(count)]
    return [
        Song(
            name,
            Path(f"{name}.wav"),
            np.zeros(0),
            np.zeros((1, 2)),
            group,
            (genre,) if genre else (),
        )
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


def of_genres(*genres):
    """Songs of several genres each."""
    return [
        Song(f"song {number}", None, np.zeros(0), np.zeros((1, 2)), None, names)
        for number, names in enumerate(genres)
    ]


def like(found, shares, count, size, seed=0):
    return sets_like(found, shares, count, size, np.random.default_rng(seed))


GENRES = ("rock", "pop", "jazz", "folk")
SHARES = {"rock": 0.45, "pop": 0.33, "jazz": 0.22}


@given(
    st.lists(st.lists(st.sampled_from(GENRES), max_size=3, unique=True), min_size=2, max_size=50),
    st.dictionaries(st.sampled_from((*GENRES, "nobody's")), st.floats(0.01, 9)),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(0, 99),
)
def test_sets_like_others(genres, shares, count, size, seed):
    """Disjoint, of the size asked for, a song left at least; whatever the genres."""
    found = of_genres(*map(tuple, genres))
    if count * size >= len(found):
        with pytest.raises(InputError, match=f"{len(found)} songs are too few for {count} sets"):
            like(found, shares, count, size, seed)
        return
    sets = like(found, shares, count, size, seed)
    assert [len(one) for one in sets] == [size] * count
    assert len(set(members(sets))) == count * size
    assert set(members(sets)) <= set(range(len(found)))
    assert all(list(one) == sorted(one) for one in sets)


@pytest.mark.parametrize("size", [1, 4, 7, 20])
def test_a_genre_gets_its_quota_rounded_up_or_down(size):
    found = of_genres(*[(genre,) for genre in GENRES for _ in range(110)])
    for seed in range(15):
        for one in like(found, SHARES, 5, size, seed):
            drawn = Counter(found[number].genre for number in one)
            assert not drawn["folk"]
            for genre, share in SHARES.items():
                assert abs(drawn[genre] - size * share) < 1


def test_on_average_a_genre_gets_its_quota_exactly():
    """4 x 5 x 300 seats: the standard error of a mean is below 0.013 seats of 3."""
    found = of_genres(*[(genre,) for genre in GENRES for _ in range(30)])
    drawn = Counter(
        found[number].genre
        for seed in range(300)
        for number in members(like(found, SHARES, 5, 3, seed))
    )
    for genre, share in SHARES.items():
        assert abs(drawn[genre] / 1500 - 3 * share) < 0.05


def test_any_genres_can_meet_in_a_set():
    """Two seats for four genres of a quarter: all six pairs come up, none twice the same genre."""
    found = of_genres(*[(genre,) for genre in GENRES for _ in range(3)])
    shares = dict.fromkeys(GENRES, 0.25)
    pairs = {
        frozenset(found[number].genre for number in like(found, shares, 1, 2, seed)[0])
        for seed in range(60)
    }
    assert pairs == {frozenset(pair) for pair in combinations(GENRES, 2)}


def test_songs_of_a_genre_are_drawn_evenly_but_for_those_of_several():
    """One of two genres weighs a half: drawn first with probability 1 / 5 beside two whole ones."""
    found = of_genres(("rock",), ("rock", "pop"), ("rock",), ("pop",))
    drawn = Counter(int(like(found, {"rock": 1.0}, 1, 1, seed)[0][0]) for seed in range(600))
    assert not drawn[3]
    for number, expected in ((0, 240), (1, 120), (2, 240)):
        assert abs(drawn[number] - expected) < 48  # four standard deviations of 0.4 x 600


def test_scarce_genres_choose_first():
    """The only jazz song is one of two rock songs: it goes to jazz, whatever the draw."""
    found = of_genres(*[("pop",)] * 8, ("rock",), ("rock", "jazz"))
    for seed in range(20):
        (one,) = like(found, {"jazz": 0.5, "rock": 0.5}, 1, 2, seed)
        assert one.tolist() == [8, 9]


def test_sets_take_turns_where_songs_are_scarce():
    """Four jazz songs for two sets that want four each: two each."""
    found = of_genres(*[("jazz",)] * 4, *[("rock",)] * 20)
    for one in like(found, {"jazz": 1.0}, 2, 4):
        assert Counter(found[number].genre for number in one) == {"jazz": 2, "rock": 2}


def test_genres_that_nobody_has_leave_their_seats_to_the_others():
    found = of_genres(*[("rock",)] * 30, *[("pop",)] * 30, *[()] * 30)
    for one in like(found, {"polka": 0.6, "rock": 0.2, "pop": 0.2}, 5, 4):
        assert Counter(found[number].genre for number in one) == {"rock": 2, "pop": 2}


def test_without_genres_every_song_is_as_likely():
    found = of_genres(*[()] * 10)
    drawn = Counter()
    for seed in range(400):
        numbers = members(like(found, {}, 2, 2, seed))
        assert len(set(numbers)) == 4
        drawn.update(numbers)
    assert all(abs(drawn[number] - 160) < 40 for number in range(10))  # four standard deviations


def test_sets_like_others_follow_the_seed():
    found = of_genres(*[(genre,) for genre in GENRES for _ in range(20)])
    one, again, other = (members(like(found, SHARES, 5, 5, seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other
