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

    A set has `size` seats, dealt to the genres by largest remainder; genres that no song has give
    their seats to the others. A seat goes to a random free song of its genre, one of k genres
    weighing 1 / k; scarce genres choose first, the sets taking turns, and a seat left over goes to
    any free song.

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
    seats = _seats({g: share for g, share in shares.items() if supply[g]}, size)
    free, sets = set(range(len(songs))), [list[int]() for _ in range(count)]
    for genre in sorted(seats, key=lambda g: (supply[g] / max(1, seats[g]), g)):
        for members in sets * seats[genre]:
            pool = [i for i in sorted(free) if genre in songs[i].genres]
            if pool:
                weights = np.array([1 / len(songs[i].genres) for i in pool])
                members.append(int(rng.choice(pool, p=weights / weights.sum())))
                free.remove(members[-1])
    for members in sets:
        rest = rng.choice(sorted(free), size - len(members), replace=False)
        members += rest.tolist()
        free -= set(rest.tolist())
    return [np.sort(np.array(members)) for members in sets]


def _seats(shares: Mapping[str, float], size: int) -> dict[str, int]:
    """Deal `size` seats by largest remainder; none to anyone where there are no shares."""
    total = sum(shares.values())
    quotas = {genre: size * share / total for genre, share in shares.items()}
    seats = {genre: int(quota) for genre, quota in quotas.items()}
    rest = size - sum(seats.values()) if shares else 0
    for genre in sorted(quotas, key=lambda g: (seats[g] - quotas[g], g))[:rest]:
        seats[genre] += 1
    return seats
