"""Splitting songs into training and validation sets (paper, section 3.2.1)."""

from collections import defaultdict
from collections.abc import Sequence

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
