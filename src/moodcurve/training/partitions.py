"""Splitting songs into training and validation sets (paper, section 3.2.1)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from moodcurve.corpora.folder import Song
from moodcurve.errors import InputError

Indices = NDArray[np.int64]


def validation_sets(
    songs: Sequence[Song], count: int, share: float, rng: np.random.Generator
) -> list[Indices]:
    """Draw disjoint validation sets.

    Where together they are the whole corpus (`count * share` = 1), groups stay whole, so that no
    network is validated on a series that it was trained on; where they are less, as in the paper
    (5 x 20 of 431), songs are drawn one by one. Songs without group are spread evenly by genre.

    Args:
        songs: all songs.
        count: number of sets.
        share: of the songs in each set.
        rng: decides among equals.

    Returns:
        `count` sorted arrays of song numbers.

    Raises:
        InputError: if there are too few songs (or groups) for that many sets.
    """
    whole = count * share > 1 - 1e-9
    size = max(1, round(share * len(songs)))
    units: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number in rng.permutation(len(songs)):
        song = songs[number]
        key = ("group", song.group) if whole and song.group else ("song", str(number))
        units[key].append(int(number))
    if len(units) < count or (not whole and len(songs) < count * size + 1):
        raise InputError(
            f"{len(units)} songs or groups are too few for {count} validation sets of {size}; "
            "add songs"
        )
    # Largest groups first; single songs by genre, so that each set gets its part of every genre.
    order = sorted(units.values(), key=lambda unit: (-len(unit), songs[unit[0]].genre or ""))
    sets: list[list[int]] = [[] for _ in range(count)]
    if not whole:
        order = [order[i] for i in np.linspace(0, len(order) - 1, count * size).round().astype(int)]
    for unit in order:
        min(sets, key=len).extend(unit)
    return [np.sort(np.array(members)) for members in sets]


def sets_like(
    songs: Sequence[Song],
    shares: Mapping[str, float],
    count: int,
    size: int,
    rng: np.random.Generator,
) -> list[Indices]:
    """Draw disjoint sets of songs whose genres follow a distribution (paper, section 3.2.1).

    A set's `size` seats are dealt to the genres by systematic sampling: each gets its quota rounded
    up or down at random. A seat goes to a random free song of its genre, one of k genres weighing
    1 / k; scarce genres choose first, the sets taking turns. A seat for which there is no song goes
    to any free song.

    Args:
        songs: all songs, with their genres.
        shares: of each genre, such as `corpora.genres.genre_weights` gives.
        count: number of sets.
        size: songs in each set.
        rng: makes the draw.

    Returns:
        `count` sorted arrays of song numbers.

    Raises:
        InputError: if there is not at least one song more than the sets need.
    """
    if count * size >= len(songs):
        raise InputError(
            f"{len(songs)} songs are too few for {count} sets of {size} beside songs to train on; "
            "add songs"
        )
    supply = {g: sum(g in song.genres for song in songs) for g in shares}
    there = {g: share for g, share in shares.items() if supply[g]}
    seats = [_seats(there, size, rng) for _ in range(count)]
    free, sets = set(range(len(songs))), [list[int]() for _ in range(count)]
    for genre in sorted(there, key=lambda g: (supply[g] / there[g], g)):
        for turn in range(size):
            for members, own in zip(sets, seats, strict=True):
                pool = [i for i in sorted(free) if genre in songs[i].genres]
                if pool and turn < own[genre]:
                    weights = np.array([1 / len(songs[i].genres) for i in pool])
                    members.append(int(rng.choice(pool, p=weights / weights.sum())))
                    free.remove(members[-1])
    for members in sets:
        rest = rng.choice(sorted(free), size - len(members), replace=False)
        members += rest.tolist()
        free -= set(rest.tolist())
    return [np.sort(np.array(members)) for members in sets]


def _seats(shares: Mapping[str, float], size: int, rng: np.random.Generator) -> dict[str, int]:
    """Deal `size` seats to genres by systematic sampling, in proportion to their shares."""
    if not shares:
        return {}
    order = [str(genre) for genre in rng.permutation(sorted(shares))]
    ends = np.cumsum([shares[genre] for genre in order])
    marks = np.floor(size * ends / ends[-1] + rng.uniform()).astype(int)
    return dict(zip(order, np.diff(marks, prepend=0).tolist(), strict=True))
