"""The shapes of a library's songs in one file, which `find --like` maps into memory.

    LIB/index.arrow     an Arrow file of one batch: a row a traced song, in the order of the parts

It is derived: it names the parts that it was made of, is extended by those that are new, and may be
deleted. It is written under a temporary name and renamed; where that cannot be, the answers are the
same and slower.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from moodcurve.errors import InputError
from moodcurve.library.like import COLUMNS, SEGMENT, Shapes, shapes
from moodcurve.library.store import POINTS, SONGS, check_library, finishing, part_stamps, read_rows

FILE = "index.arrow"

_SCHEMA = pa.schema(
    [
        ("path", pa.large_string()),
        ("mood", pa.large_string()),
        *((name, pa.float32()) for name in COLUMNS[:4]),
        ("shape", pa.list_(pa.float32(), 2 * POINTS)),
        ("segments", pa.list_(pa.float32(), 2 * POINTS // SEGMENT)),
    ]
)


class Part(NamedTuple):
    """A part of the library: size and time tell it from another of the same name."""

    name: str
    size: int
    modified: int
    traced: int


class Index(NamedTuple):
    """What is known of the songs that could be traced: a row each, part after part."""

    parts: list[Part]
    rows: pa.RecordBatch

    @property
    def shapes(self) -> Shapes:
        """Their shapes."""
        paths, segments = (self.rows[name].flatten().to_numpy() for name in ("shape", "segments"))
        return Shapes(
            [self.rows[name].to_numpy() for name in COLUMNS[:4]],
            paths.reshape(-1, 2, POINTS),
            segments.reshape(-1, 2, POINTS // SEGMENT),
        )

    def at(self, place: str) -> NDArray[np.bool_]:
        """Which of the songs are at a place: one, or none."""
        found: NDArray[np.bool_] = pc.equal(self.rows["path"], place).to_numpy(False)
        return found


def open_index(folder: Path) -> Index:
    """The index of a library; it is brought up to date before, and kept if that can be.

    Raises InputError where `folder` is no library or a part of it is damaged.
    """
    check_library(folder)
    stamps = part_stamps(folder)
    index = _read(folder / FILE)
    if index is None or [part[:3] for part in index.parts] != stamps:
        index = _extended(folder, index, stamps)
        with suppress(InputError):
            _write(folder, index)
    return index


def songs_at(folder: Path, index: Index, rows: Sequence[int], columns: list[str]) -> pa.Table:
    """Columns of the songs in some rows of the index; what that lacks is read from their parts."""
    if set(columns) <= set(_SCHEMA.names):
        there = pa.Table.from_batches([index.rows.select(columns).take(pa.array(rows, pa.int64()))])
        return there.cast(SONGS.empty_table().select(columns).schema)
    ends = np.cumsum([part.traced for part in index.parts])

    @cache
    def traced(number: int) -> pa.Table:
        songs = read_rows(folder, index.parts[number].name, [*columns, "valence"])
        return songs.filter(pc.is_valid(songs["valence"])).select(columns)

    found = [SONGS.empty_table().select(columns)]
    for row in rows:
        number = int(np.searchsorted(ends, row, side="right"))
        found.append(traced(number).slice(row - ends[number] + index.parts[number].traced, 1))
    return pa.concat_tables(found)


def _extended(folder: Path, old: Index | None, stamps: list[tuple[str, int, int]]) -> Index:
    """The index of the parts there are: rows of the old one, and of the parts that are new."""
    known, first = {}, 0
    for part in old.parts if old else []:
        known[part[:3]] = (first, part.traced)
        first += part.traced
    parts, batches = [], [_rows(SONGS.empty_table())]
    for stamp in stamps:
        if old and stamp in known:
            batches.append(old.rows.slice(*known[stamp]))
        else:
            songs = read_rows(folder, stamp[0], ["path", "mood", *COLUMNS])
            batches.append(_rows(songs.filter(pc.is_valid(songs["valence"]))))
        parts.append(Part(*stamp, batches[-1].num_rows))
    return Index(parts, pa.concat_batches(batches))


def _rows(songs: pa.Table) -> pa.RecordBatch:
    made = shapes(songs)
    lists = [
        pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=_SCHEMA.field(name).type)
        for name, values in (("shape", made.paths), ("segments", made.segments))
    ]
    texts = [songs[name].combine_chunks().cast(pa.large_string()) for name in ("path", "mood")]
    return pa.RecordBatch.from_arrays([*texts, *map(pa.array, made.points), *lists], schema=_SCHEMA)


def _read(path: Path) -> Index | None:
    """What a file has; None where it is missing, damaged, or of another moodcurve."""
    try:
        rows = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        if not rows.schema.equals(_SCHEMA):
            return None
        parts = json.loads((rows.schema.metadata or {})[b"parts"])
        index = Index([Part(*part) for part in parts], rows.replace_schema_metadata())
        return index if sum(part.traced for part in index.parts) == rows.num_rows else None
    except (OSError, pa.ArrowException, LookupError, ValueError, TypeError):
        return None


def _write(folder: Path, index: Index) -> None:
    rows = index.rows.replace_schema_metadata({"parts": json.dumps(index.parts)})
    with finishing(folder, folder / FILE) as file, pa.ipc.new_file(file, rows.schema) as writer:
        writer.write_batch(rows)
