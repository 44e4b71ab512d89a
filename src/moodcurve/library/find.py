"""The songs of a library: those that a condition holds for, those like one, those in folders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from moodcurve.errors import InputError
from moodcurve.library import like as likeness
from moodcurve.library.index import open_index, songs_at
from moodcurve.library.places import Folder, Job, folder_of, local, name_of
from moodcurve.library.store import SONGS, holding, read_songs, steadily
from moodcurve.library.where import column, named, parse

if TYPE_CHECKING:
    from moodcurve.curve import Curve


def find(
    folder: Path,
    where: str | None = None,
    sort: str | None = None,
    columns: list[str] | None = None,
) -> pa.Table:
    """The rows of the songs for which `where` holds (see `where.parse`), by default in their order.

    Songs that could not be traced have no values and are left out, unless `where` speaks of
    `error`. `sort` is a column, or "COLUMN desc" for the largest first; songs without a value come
    last. Raises InputError for what is not understood.
    """
    condition = None if where is None else parse(where)
    if where is None or "error" not in named(where):
        traced = pc.field("error").is_null()
        condition = traced if condition is None else condition & traced
    by, _, order = ("path" if sort is None else sort).partition(" ")
    column(by)
    if order.strip() not in ("", "asc", "desc"):
        raise InputError(f'--sort "{sort}": give a column, or "{by} desc" for the largest first')
    wanted = None if columns is None else list(dict.fromkeys([*columns, by]))
    songs = read_songs(folder, wanted, condition)
    return songs.sort_by([(by, "descending" if order.strip() == "desc" else "ascending")])


def like(
    folder: Path, song: str, where: str | None, count: int, columns: list[str] | None = None
) -> pa.Table:
    """The `count` songs most like one, the most like it first; see `moodcurve.library.like`.

    `song` is the place of one in the library, or a file that is traced for this. Raises InputError
    where it is neither.
    """
    condition = None if where is None else parse(where)
    return steadily(lambda: _like(folder, song, condition, count, columns or SONGS.names))


def _like(folder: Path, song: str, condition: Any, count: int, columns: list[str]) -> pa.Table:
    path = local(song)
    index = open_index(folder)
    left_out = itself = index.at(name_of(path) if path else song)
    if condition is not None:
        parts = [part.name for part in index.parts]
        left_out = itself | ~holding(folder, parts, condition)
    found = np.zeros(0, np.intp)
    if not left_out.all():
        shapes = index.shapes
        one = shapes.at(np.flatnonzero(itself)[:1]) if itself.any() else _shape(folder, song)
        found, _ = likeness.nearest(shapes, one, count, left_out)
    return songs_at(folder, index, found.tolist(), columns)


def in_folders(folder: Path, only: Sequence[str], columns: list[str]) -> pa.Table:
    """The songs that could be traced, of some folders or, if none is named, of all."""
    traced = pc.field("error").is_null()
    if only:
        traced = traced & reduce(or_, [_inside(folder_of(place)) for place in only])
    songs = read_songs(folder, list(dict.fromkeys(columns)), traced)
    if not songs.num_rows:
        raise InputError(f"{folder}: no songs {'in ' + ', '.join(only) if only else 'in it'}")
    return songs


def _inside(folder: Folder) -> pc.Expression:
    """Whether a song is in a folder, of the table of songs."""
    place = pc.field("path")
    begins = reduce(or_, [pc.starts_with(place, text) for text in folder.beginnings])
    return begins & pc.ends_with(place, folder.ending)


def _shape(folder: Path, song: str) -> likeness.Shapes:
    """The shape of a song that is not in the library: it is traced."""
    from moodcurve.library import trace

    path = local(song)
    if path is None or not path.is_file():
        raise InputError(
            f"--like {song or repr(song)}: not in the library, and no file; give the path of a song"
        )
    row = trace.entry_of(_curve(folder, path), Job(song, 0, ""), "", "", {}).row
    return likeness.shapes(pa.Table.from_pylist([row], SONGS))


def _curve(folder: Path, path: Path) -> Curve:
    """The curve of a song that is not in the library, by a model of the library's."""
    from moodcurve.library import trace
    from moodcurve.model import installed
    from moodcurve.predict import File2Curve

    ids = set(read_songs(folder, ["model"])["model"].to_pylist())
    for name in installed():
        if trace.model_id(name) in ids:
            return File2Curve(name)(path)
    raise InputError(
        f"{path}: not in the library, whose model ({', '.join(ids)}) is not installed here; "
        "scan the song into it"
    )
