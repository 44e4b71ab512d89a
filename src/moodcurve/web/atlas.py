"""A library in memory, and what the page asks of it; every answer is bounded.

It is read once. A song's key is its row there, so that nobody who asks names a file.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property, lru_cache
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import dataset

from moodcurve.audio import EXTENSIONS
from moodcurve.curve import Curve
from moodcurve.errors import InputError
from moodcurve.library import find, journey
from moodcurve.library.curves import read_curve
from moodcurve.library.map import credit
from moodcurve.library.places import local
from moodcurve.library.playlist import m3u8
from moodcurve.library.store import FILE, part_names, read_songs, scanning
from moodcurve.library.trace import model_id
from moodcurve.library.where import COLUMNS, column, parse
from moodcurve.library.words import place
from moodcurve.web.library import LISTED, Box, NoSong

DOTS = 3000  # songs in view up to which each is told
CELLS = 64  # across and up the view, in which more than those are counted
LIKE = 20  # songs like one
CONDITION = 500  # characters
JOURNEY = 40  # songs of one; planning one of a hundred takes ten seconds

_TOLD = ("title", "artist", "album", "seconds", "valence", "arousal", "mood")
_KEY = "key"  # a column of the songs in memory: their rows

Rows = NDArray[np.intp]


class Atlas:
    """The songs of a library that have values. Raises InputError where they cannot be read."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder, self._parts_read = folder, part_names(folder)
        traced = pc.field("error").is_null() & pc.field("valence").is_valid()
        songs = read_songs(folder, [*COLUMNS, FILE], traced)
        if not songs.num_rows:
            raise InputError(f"{folder}: no songs in it yet; `moodcurve library scan` adds some")
        songs = _each_once(songs).combine_chunks()
        self._parts = songs[FILE].combine_chunks().dictionary_encode()
        keys = pa.array(np.arange(songs.num_rows))
        self._songs = songs.drop_columns([FILE]).append_column(_KEY, keys)
        self._points = np.array([songs[name].to_numpy() for name in ("valence", "arousal")])
        self.rows = lru_cache(8)(self._rows)
        self._notes = [f"as it was at {time.strftime('%H:%M')}", *self._doubts(model)]

    def about(self) -> dict[str, Any]:
        """How many songs there are, and what to know of them."""
        return {"songs": self._songs.num_rows, "notes": self._notes}

    def _doubts(self, model: str) -> list[str]:
        """What to be told before comparing these songs with others."""
        doubts = []
        if scanning(self._folder):
            doubts.append("a scan is at work: start the server again to see what it adds")
        models = sorted(filter(None, pc.unique(self._songs["model"]).to_pylist()))
        if models != [model_id(model)]:
            by = f"{', '.join(models)}; songs added here with {model_id(model)}"
            doubts.append(f"traced with {by}")
        return doubts

    def _condition(self, where: str) -> str:
        if len(where) > CONDITION:
            raise InputError(f"longer than {CONDITION} characters; make it simpler")
        return where.strip()

    def _rows(self, where: str) -> Rows:
        """The songs for which a condition holds (`library.where`), of all if it is empty."""
        condition = self._condition(where)
        if not condition:
            return np.arange(self._songs.num_rows)
        try:
            held = dataset.dataset(self._songs).to_table([_KEY], filter=parse(condition))
        except pa.ArrowException as error:
            raise InputError(f"{where}: {str(error).splitlines()[0]}") from None
        found: Rows = np.sort(held[_KEY].to_numpy())
        return found

    def _within(self, where: str, box: Box) -> Rows:
        rows = self.rows(where)
        valence, arousal = self._points[:, rows]
        inside = (valence >= box.left) & (valence <= box.right)
        inside &= (arousal >= box.low) & (arousal <= box.high)
        found: Rows = rows[inside]
        return found

    def view(self, where: str, box: Box) -> dict[str, Any]:
        """The songs in a rectangle, each or, of more than `DOTS`, how many in each of its cells.

        Cells are counted from the lower left, row by row.
        """
        rows = self._within(where, box)
        valence, arousal = self._points[:, rows]
        found: dict[str, Any] = {"held": len(self.rows(where)), "within": len(rows)}
        if len(rows) <= DOTS:
            points = {"valence": valence, "arousal": arousal}
            dots = {name: _rounded(values) for name, values in points.items()}
            return {**found, "dots": {"keys": rows.tolist(), **dots}}
        across = _cells(valence, box.left, box.right)
        up = _cells(arousal, box.low, box.high)
        counts = np.bincount(up * CELLS + across, minlength=CELLS * CELLS)
        return {**found, "cells": CELLS, "counts": counts.tolist()}

    def listing(self, where: str, box: Box, sort: str) -> dict[str, Any]:
        """The first `LISTED` of the songs in a rectangle; `sort` as of `library find`."""
        by, _, order = sort.partition(" ")
        column(by)
        rows = self._within(where, box)
        keys = list(dict.fromkeys([by, "artist", "album", "path"]))
        orders = [(key, "ascending") for key in keys]
        orders[0] = (by, "descending" if order == "desc" else "ascending")
        ordered = self._songs.select([*keys, _KEY]).take(rows).sort_by(orders)
        return self._told(ordered[_KEY][:LISTED].to_numpy(), len(rows))

    def song(self, key: int) -> dict[str, Any]:
        """What the page shows of a song."""
        (song,) = self._told([self._checked(key)])["songs"]
        return dict(song)

    def alike(self, key: int, where: str) -> dict[str, Any]:
        """The songs most like one, the most like it first; see `library.like`."""
        paths = self._songs["path"]
        one, condition = paths[self._checked(key)].as_py(), self._condition(where)
        if part_names(self._folder) != self._parts_read:  # or a song that is gone would be traced
            raise InputError("the library has changed since; start the server again")
        found = find.like(self._folder, one, condition or None, LIKE, ["path"])
        return self._told(pc.index_in(found["path"], value_set=paths).to_numpy())

    def travel(self, where: str, start: str, end: str, minutes: float) -> dict[str, Any]:
        """A journey (`library.journey`) with its songs, their ends, and the way it was to take."""
        rows = self.rows(where)
        if not len(rows):
            raise InputError("no songs to travel through; allow more")
        songs = journey.Songs._make(values[rows] for values in self._travelling)
        reach = journey.reach(songs)
        found = journey.plan(songs, place(start, reach), place(end, reach), minutes, most=JOURNEY)
        ends = (songs.starts[found.songs], songs.ends[found.songs])
        return {
            **self._told(rows[found.songs]),
            "places": _rounded(found.places),
            "ends": _rounded(np.stack(ends, axis=1)),
            "line": journey.describe(found, songs),
        }

    @cached_property
    def _travelling(self) -> journey.Songs:
        return journey.songs_of(self._songs)

    def playlist(self, keys: Sequence[int], title: str) -> str:
        """An M3U8 of songs, in their order."""
        songs = self._songs.take([self._checked(key) for key in keys])
        return m3u8(songs.to_pylist(), title, [credit(songs)])

    def curve(self, key: int) -> tuple[Curve, Path | None]:
        """A song's curve, and its file where it can be played: a sound file of this machine."""
        (row,) = self._songs.slice(self._checked(key), 1).to_pylist()
        part = Path(self._parts[key].as_py()).name
        found = read_curve(self._folder, part, row)
        about = {"song": _name(row), "file": Path(row["path"]).name, **found.about}
        curve = Curve(found.valence, found.arousal, about, found.band)
        path = local(row["path"])
        plays = path and path.suffix.lower() in EXTENSIONS and isfile(path)  # noqa: PTH113 (never raises)
        return curve, path if plays else None

    def _checked(self, key: int) -> int:
        if not 0 <= key < self._songs.num_rows:
            raise NoSong(key)
        return key

    def _told(self, rows: Sequence[int] | Rows, total: int | None = None) -> dict[str, Any]:
        found = self._songs.select(["path", *_TOLD, _KEY]).take(rows)
        songs = []
        for row in found.to_pylist():
            path = row.pop("path")
            numbers = {name: round(row[name], 5) for name in ("seconds", "valence", "arousal")}
            songs.append({**row, **numbers, "title": row["title"] or Path(path).stem})
        return {"songs": songs, "total": len(songs) if total is None else total}


def _each_once(songs: pa.Table) -> pa.Table:
    """The last row of each path: for a moment of a scan there may be two."""
    codes = songs["path"].combine_chunks().dictionary_encode().indices.to_numpy()
    last = np.full(codes.max(initial=-1) + 1, -1)
    last[codes] = np.arange(len(codes))
    return songs if len(last) == len(codes) else songs.take(np.sort(last))


def _cells(values: NDArray[np.float32], low: float, high: float) -> Rows:
    cells = np.minimum((values - low) / (high - low) * CELLS, CELLS - 1)
    found: Rows = cells.astype(np.intp)
    return found


def _rounded(values: NDArray[Any]) -> list[Any]:
    found: list[Any] = (np.round(values.astype(np.float64), 5) + 0.0).tolist()  # no minus zero
    return found


def _name(row: dict[str, Any]) -> str:
    if row["title"] and row["artist"]:
        return f"{row['artist']} – {row['title']}"
    return row["title"] or Path(row["path"]).stem
