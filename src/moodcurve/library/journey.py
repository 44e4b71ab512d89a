"""A playlist along a path in the plane, from where the listener is to where they want to be.

That music should first meet the mood and then lead it elsewhere is the iso principle of music
therapy (I. M. Altshuler, "A psychiatrist's experience with music as a therapeutic agent", in
Schullian & Schoen, eds., Music and Medicine, 1948; in an experiment: Starcke et al. 2021, "Emotion
modulation through music after sadness induction", IJERPH 18).

The path is straight and has as many places, evenly apart, as songs of typical length fit. A journey
of n songs costs, summed over its songs: the squared distance of the song's mean from its place;
that from the end of the song before to its beginning; and `_LENGTH` times the square of the octaves
between its length and the typical one. No song is heard twice.

Without that last condition, and that of artists, the cheapest journey is a shortest path through
one layer of songs a place. Songs (and artists) that it has twice are given a price until it has few
of them: a Lagrangian relaxation (M. L. Fisher 1981, "The Lagrangian relaxation method for solving
integer programming problems", Management Science 27). What such a path costs, less all prices, no
journey can undercut. What it costs from each song on guides a search (A*) that keeps the
conditions. The search gives up after `_STEPS`; the least cost that it had not yet ruled out then
bounds how much better any journey can be.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from moodcurve.errors import InputError
from moodcurve.library.like import lowest

COLUMNS = (
    *("path", "content", "artist", "title", "album", "seconds", "valence", "arousal"),
    *("valence_start", "arousal_start", "valence_end", "arousal_end"),
)
"""What journeys are made of."""

_LENGTH = 0.1  # a song half or twice as long as usual costs as much as one 0.3 beside its place
_CHOICE = 10  # songs a place, of about the same length, are enough to choose from
_CORRECTIONS = 3  # of the number of songs at most; one nearly always does
_NEAR = (100, 400, 800)  # songs a place that are thought of, more where fewer do not do
_JUMPS = 40 * 800**2  # between them, about so many, that are kept: 8 bytes each
_MOST = 400  # songs of a journey
_BEAM = 200  # unfinished journeys kept at each place for a first answer
_STEPS = 30_000  # of the search
_ROUNDS, _WORK = 200, 3e8  # of setting prices: at most so many, and so many steps looked at

Array = NDArray[np.float64]


class Songs(NamedTuple):
    """What a journey needs to know of N songs.

    Attributes:
        means, starts, ends: (N, 2) valence and arousal: mean, first and last ten seconds.
        seconds: (N,)
        contents, artists: (N,) equal numbers for the same content, the same artist; those without
            an artist have one of their own each.
    """

    means: Array
    starts: Array
    ends: Array
    seconds: Array
    contents: NDArray[np.int64]
    artists: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Journey:
    """Songs along a path.

    Attributes:
        songs: (n,) which ones, in order.
        places: (n, 2) where on the path each was looked for.
        cost: of the journey.
        bound: no journey of as many songs through these places costs less; equal to `cost` where
            this is the best there is.
    """

    songs: NDArray[np.intp]
    places: Array
    cost: float
    bound: float


def songs_of(table: pa.Table) -> Songs:
    """Songs from a table with `COLUMNS` and values in each row."""

    def pairs(ending: str) -> Array:
        names = (f"valence{ending}", f"arousal{ending}")
        return np.array([table[name].to_numpy() for name in names], np.float64).T

    artists = _codes(pc.utf8_lower(table["artist"]))
    unknown = artists < 0
    artists[unknown] = -1 - np.flatnonzero(unknown)
    seconds = table["seconds"].to_numpy().astype(np.float64)
    contents = _codes(table["content"])
    return Songs(pairs(""), pairs("_start"), pairs("_end"), seconds, contents, artists)


def reach(songs: Songs) -> float:
    """How far from the middle mood words are looked for: nine songs in ten lie nearer."""
    return float(np.quantile(np.hypot(*songs.means.T), 0.9))


def plan(
    songs: Songs,
    start: tuple[float, float],
    end: tuple[float, float],
    minutes: float,
    *,
    max_jump: float = np.inf,
    no_artist_twice: bool = False,
    most: int = _MOST,
) -> Journey:
    """The best journey from `start` to `end` (valence, arousal) of about so many minutes.

    `max_jump`: how far the beginning of a song may lie from the end of the one before. `most`: so
    many songs at most. Raises InputError where there is no such journey.
    """
    asked = 60 * minutes
    _, first, contents = np.unique(songs.contents, return_index=True, return_inverse=True)
    _check(asked, float(songs.seconds[first].sum()), max_jump)
    keys = [contents]
    if no_artist_twice:
        keys.append(np.unique(songs.artists, return_inverse=True)[1])
    room = [int(key.max()) + 1 for key in keys]  # different songs, and artists
    typical = _typical(songs.seconds, asked, min(most, *room))
    count = max(1, min(room[0], round(asked / typical)))
    if count > room[-1]:
        raise InputError(
            f"{minutes:g} minutes are about {count} songs; there are {room[-1]} artists to choose "
            "from: give fewer minutes or more songs"
        )
    if count > most:
        raise InputError(
            f"{minutes:g} minutes are about {count} songs; at most {most} are planned here: "
            "give fewer minutes"
        )

    def through(count: int) -> Journey:
        return _journey(songs, np.linspace(start, end, count), typical, keys, max_jump)

    return _corrected(through(count), through, songs.seconds, asked, min(most, *room))


def _corrected(
    found: Journey, through: Callable[[int], Journey], seconds: Array, asked: float, room: int
) -> Journey:
    """The journey, or one of fewer or more songs where those on its way are longer or shorter."""
    for _ in range(_CORRECTIONS):
        length = float(seconds[found.songs].sum())
        count = int(min(max(1, round(len(found.songs) * asked / length)), room))
        if count == len(found.songs):
            break
        try:
            other = through(count)
        except InputError:  # with as many songs it cannot be
            break
        if abs(seconds[other.songs].sum() - asked) >= abs(length - asked):
            break
        found = other
    return found


def _check(asked: float, there: float, max_jump: float) -> None:
    """Raise InputError where no journey of `asked` seconds can be, of songs of `there` in all."""
    if not there:
        raise InputError("no songs to travel through; scan some, or allow more folders")
    if not asked > 0:
        raise InputError(f"{asked / 60:g} minutes: give more than 0")
    if not max_jump >= 0:
        raise InputError(f"--max-jump {max_jump:g}: a distance; give 0 or more")
    if round(asked / 60, 1) > round(there / 60, 1):
        raise InputError(
            f"{asked / 60:g} minutes: all songs together last {there / 60:.1f}; "
            "give fewer, or more songs"
        )


def _journey(
    songs: Songs, places: Array, typical: float, keys: list[NDArray[np.int64]], max_jump: float
) -> Journey:
    """The best journey through these places; no two songs of it have a key in common."""
    count = len(places)
    near, near_costs = _near(songs, places, typical)
    prices = [np.zeros(int(key.max()) + 1) for key in keys]
    best, cost, bound = None, np.inf, 0.0
    room = max(count, round((_JUMPS / count) ** 0.5))  # with `count` there is always a journey
    for kept in sorted({min(kept, room) for kept in _NEAR}):
        layers = _layers(songs, near[:, :kept], near_costs[:, :kept], max_jump)
        found = _search(layers, [key[layers.songs] for key in keys], prices, cost)
        if found.ranks is not None:
            cost, best = found.cost, layers.songs[np.arange(count), found.ranks]
        bound = max(bound, found.bound)
        if len(songs.seconds) <= kept or bound >= cost:
            break
    if best is None:
        raise InputError(_no_way(layers, max_jump))
    return Journey(best, places, cost, min(bound, cost))


def describe(journey: Journey, songs: Songs) -> str:
    """A journey in a line: how long, how smooth, and how near it is to the best there is."""
    minutes = songs.seconds[journey.songs].sum() / 60
    if len(journey.songs) == 1:
        valence, arousal = songs.means[journey.songs[0]]
        return (
            f"1 song, {minutes:.1f} min, at ({valence:+z.2f}, {arousal:+z.2f}): too short to lead "
            "anywhere; give more minutes"
        )
    apart = np.hypot(*(songs.ends[journey.songs[:-1]] - songs.starts[journey.songs[1:]]).T)
    largest = f", largest jump {apart.max():.2f}" if len(apart) else ""
    (valence, arousal), (to_valence, to_arousal) = journey.places[0], journey.places[-1]
    best = "no better one exists"
    if journey.bound < journey.cost:
        share = 100 * (journey.cost / max(journey.bound, 1e-12) - 1)
        best = f"at most {share:{'.0f' if share > 10 else '.2g'}} % dearer than the best"
    return (
        f"{len(journey.songs)} songs, {minutes:.1f} min, from "
        f"({valence:+z.2f}, {arousal:+z.2f}) to ({to_valence:+z.2f}, {to_arousal:+z.2f})"
        f"{largest}; {best}"
    )


class _Layers(NamedTuple):
    """The songs that are thought of at each of n places, K each, and what steps cost.

    Attributes:
        songs: (n, K) which.
        costs: (n, K) of a song at its place.
        jumps: (n - 1, K, K) from each song to each of the next place; infinite where too far.
        priced: (n, K) costs with the songs' prices.
        paid: all prices; a journey costs at least what it costs with prices, less these.
        ahead: (n, K) least cost with prices from the song on, itself included, if songs could come
            twice.
        all: whether all songs are thought of.
        smoothest: the least that the largest jump of a way through can be.
    """

    songs: NDArray[np.intp]
    costs: Array
    jumps: Array
    priced: Array
    paid: float
    ahead: Array
    all: bool
    smoothest: float

    def cost(self, ranks: NDArray[np.intp]) -> Array:
        """Of journeys (..., n), by the rank of each song in its layer."""
        places = np.arange(len(self.costs))
        jumps = self.jumps[places[:-1], ranks[..., :-1], ranks[..., 1:]]
        total: Array = self.costs[places, ranks].sum(axis=-1) + jumps.sum(axis=-1)
        return total


def _typical(seconds: Array, asked: float, room: int) -> float:
    """The most common length, within an octave, among those that leave a choice for each place.

    The median would be of no use where short excerpts outnumber whole songs: few make few minutes.
    Before it is common, a length should make no more than `room` songs of what is asked, leave a
    choice, and make two songs at least: with one one goes nowhere.
    """
    ordered = np.sort(seconds)
    lengths = ordered[:: 1 + len(ordered) // 1000]
    first, last = ordered.searchsorted(lengths / 2), ordered.searchsorted(2 * lengths, "right")
    common, count = last - first, np.maximum(1, asked / lengths)
    choice = np.minimum(common / count, _CHOICE)
    best = np.lexsort([common, count >= 2, choice, count <= room])[-1]
    return float(np.median(ordered[first[best] : last[best]]))


def _near(songs: Songs, places: Array, typical: float) -> tuple[NDArray[np.intp], Array]:
    """The songs that cost least at each place, the cheapest first, and what they cost: (n, K)."""
    length = _LENGTH * np.log2(songs.seconds / typical) ** 2
    valence, arousal = songs.means.T.copy()
    chosen, costs = [], []
    for v, a in places:
        cost = (valence - v) ** 2 + (arousal - a) ** 2 + length
        which = lowest(cost, _NEAR[-1])
        chosen.append(which[np.argsort(cost[which], kind="stable")[: _NEAR[-1]]])
        costs.append(cost[chosen[-1]])
    return np.array(chosen), np.array(costs)


def _layers(songs: Songs, chosen: NDArray[np.intp], costs: Array, max_jump: float) -> _Layers:
    places, kept = chosen.shape
    jumps = np.empty((places - 1, kept, kept))
    smoothest = np.zeros(kept)
    for jump, before, after in zip(jumps, chosen, chosen[1:], strict=False):
        jump[:] = ((songs.ends[before][:, None] - songs.starts[after]) ** 2).sum(axis=2)
        smoothest = np.maximum(smoothest[:, None], jump).min(axis=0)
        jump[jump > max_jump**2] = np.inf
    everything, ahead = kept == len(songs.seconds), _ahead(costs, jumps)
    smooth = float(np.sqrt(smoothest.min()))
    return _Layers(chosen, costs, jumps, costs, 0.0, ahead, everything, smooth)


def _ahead(costs: Array, jumps: Array) -> Array:
    ahead = costs.copy()
    for place in range(len(costs) - 2, -1, -1):
        ahead[place] += (jumps[place] + ahead[place + 1]).min(axis=1)
    return ahead


def _price(
    layers: _Layers, marks: list[NDArray[np.int64]], prices: list[Array], cost: float
) -> _Layers:
    """The layers with the prices that bound journeys best of those tried; `prices` keeps them.

    Subgradient ascent with steps of Polyak's length. `cost`: of a journey that is known.
    """
    places, best = np.arange(len(layers.costs)), -np.inf
    known = [np.unique(mark, return_inverse=True) for mark in marks]
    codes = [which.reshape(layers.costs.shape) for _, which in known]
    tried = [price[names] for price, (names, _) in zip(prices, known, strict=True)]
    length, failures = 1.0, 0
    for _ in range(int(np.clip(_WORK / (layers.jumps.size + 1), 20, _ROUNDS))):
        priced = layers.costs + sum(price[code] for price, code in zip(tried, codes, strict=True))
        paid = float(sum(price.sum() for price in tried))
        ahead = _ahead(priced, layers.jumps)
        least = float(ahead[0].min()) - paid
        failures = 0 if least > best else failures + 1
        if least > best:
            best = least
            layers = layers._replace(priced=priced, paid=paid, ahead=ahead)
            for price, new, (names, _) in zip(prices, tried, known, strict=True):
                price[names] = new
        if failures == 5:
            length, failures = length / 2, 0
        ranks = _cheapest(ahead, layers.jumps)
        slopes = []
        for price, code in zip(tried, codes, strict=True):
            slope = np.bincount(code[places, ranks], minlength=len(price)) - 1.0
            slopes.append(np.where((price > 0) | (slope > 0), slope, 0))
        square = sum(float(slope @ slope) for slope in slopes)
        if not square or best >= cost - 1e-12:  # none can be better
            break
        step = length * (cost - least if np.isfinite(cost) else 0.1 + abs(least) / 2) / square
        tried = [np.maximum(0, price + step * s) for price, s in zip(tried, slopes, strict=True)]
    return layers


def _cheapest(ahead: Array, jumps: Array) -> list[int]:
    """The ranks of the cheapest path."""
    ranks = [int(ahead[0].argmin())]
    for place, jump in enumerate(jumps, start=1):
        ranks.append(int((jump[ranks[-1]] + ahead[place]).argmin()))
    return ranks


def _outside(layers: _Layers) -> float:
    """What a journey costs at least that has songs which are not thought of.

    Such a song is at least as dear at its place as the dearest that is thought of; of the jumps to
    and from it nothing is known.
    """
    if layers.all:
        return np.inf
    dearest, ahead = layers.costs.max(axis=1), layers.ahead
    other = dearest[-1]  # from a song not thought of on
    later = np.full(ahead.shape[1], np.inf)  # from those thought of on, where one such comes later
    for place in range(len(ahead) - 2, -1, -1):
        onward = np.minimum((layers.jumps[place] + later).min(axis=1), other)
        other = dearest[place] + min(ahead[place + 1].min(), later.min(), other)
        later = layers.priced[place] + onward
    return float(min(later.min(), other)) - layers.paid


class _Found(NamedTuple):
    """What a search came to: ranks in each layer, None where it found nothing cheaper."""

    cost: float
    bound: float
    ranks: Sequence[int] | None


def _search(
    layers: _Layers, marks: list[NDArray[np.int64]], prices: list[Array], cost: float
) -> _Found:
    """The best journey of these layers, if it costs less than `cost`.

    `marks` (n, K) of each song of the layers: no journey has two with the same. `prices` of marks
    are set anew.
    """
    found = _beam(layers, marks, cost)
    layers = _price(layers, marks, prices, found.cost)
    for better in (_beam, _astar):
        found = better(layers, marks, found.cost, found.ranks)
    return found._replace(bound=min(found.bound, _outside(layers)))


def _beam(
    layers: _Layers,
    marks: list[NDArray[np.int64]],
    cost: float,
    known: Sequence[int] | None = None,
) -> _Found:
    """A good journey: `_BEAM` of the most promising at each place are gone on with."""
    ranks = np.argsort(layers.ahead[0], kind="stable")[:_BEAM, None]
    spent = layers.priced[0][ranks[:, 0]]
    for place in range(1, len(layers.costs)):
        jumps = layers.jumps[place - 1][ranks[:, -1]]
        total = spent[:, None] + jumps + layers.ahead[place]
        for mark in marks:
            used = mark[np.arange(place), ranks]
            total[(used[:, :, None] == mark[place]).any(axis=1)] = np.inf
        order = np.argsort(total, axis=None, kind="stable")[:_BEAM]
        order = order[np.isfinite(total.flat[order])]
        rows, picks = np.unravel_index(order, total.shape)
        spent = spent[rows] + jumps[rows, picks] + layers.priced[place][picks]
        ranks = np.concatenate([ranks[rows], picks[:, None]], axis=1)
    costs = layers.cost(ranks)
    if not len(costs) or costs.min() >= cost:
        return _Found(cost, 0.0, known)
    return _Found(float(costs.min()), 0.0, ranks[costs.argmin()].tolist())


def _astar(
    layers: _Layers,
    marks: list[NDArray[np.int64]],
    cost: float,
    known: Sequence[int] | None = None,
) -> _Found:
    """The best journey, if it costs less than `cost`; or, after `_STEPS`, what bounds it.

    Journeys are followed in the order of what they cost at least: what is spent, and `ahead`. Of
    the ways on from one only the cheapest is kept in mind, and the next when that has been taken.
    """
    kinds = [mark.tolist() for mark in marks]
    last = len(layers.costs) - 1

    @cache
    def ways(place: int, rank: int) -> tuple[list[int], list[float]]:
        """The ranks at the next place, cheapest first, and what they cost to the end."""
        onward = (
            layers.ahead[0] if place < 0 else layers.jumps[place, rank] + layers.ahead[place + 1]
        )
        order = np.argsort(onward, kind="stable")
        return order.tolist(), onward[order].tolist()

    # What it costs at least, what is spent before this song, the songs before, which way on it is.
    queue: list[tuple[float, float, tuple[int, ...], int]] = []

    def follow(spent: float, before: tuple[int, ...], way: int) -> None:
        ranks, onward = ways(len(before) - 1, before[-1] if before else 0)
        if way < len(ranks) and spent + onward[way] < cost - 1e-12:
            heapq.heappush(queue, (spent + onward[way], spent, before, way))

    follow(-layers.paid, (), 0)
    for _ in range(_STEPS):
        if not queue or queue[0][0] >= cost - 1e-12:
            return _Found(cost, cost, known)
        _, spent, before, way = heapq.heappop(queue)
        follow(spent, before, way + 1)
        place = len(before)
        rank = ways(place - 1, before[-1] if before else 0)[0][way]
        if any(k[place][rank] == k[at][r] for k in kinds for at, r in enumerate(before)):
            continue
        if place == last:
            journey = (*before, rank)
            total = float(layers.cost(np.array(journey)))
            cost, known = (total, journey) if total < cost else (cost, known)
            continue
        jump = layers.jumps[place - 1, before[-1], rank] if before else 0.0
        follow(spent + float(jump + layers.priced[place, rank]), (*before, rank), 0)
    return _Found(cost, min([cost, *(least for least, *_ in queue[:1])]), known)


def _no_way(layers: _Layers, max_jump: float) -> str:
    if layers.smoothest > max_jump:
        return (
            f"--max-jump {max_jump:g}: no journey is so smooth; the smoothest near this path has "
            f"a jump of {layers.smoothest:.3f}: give more, or more songs"
        )
    return (
        "no journey keeps all conditions at once; give fewer minutes, a larger --max-jump or more "
        "songs"
    )


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Equal numbers for equal texts, -1 for none."""
    encoded = column.combine_chunks().dictionary_encode()
    codes: NDArray[np.int64] = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
    return codes
