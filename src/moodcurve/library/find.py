"""The songs of a library that a condition holds for, in an order."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from moodcurve.errors import InputError
from moodcurve.library.store import read_songs
from moodcurve.library.where import column, parse


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
    condition = parse(where) if where else None
    if where is None or "error" not in where:
        traced = pc.field("error").is_null()
        condition = traced if condition is None else condition & traced
    by, _, order = (sort or "path").partition(" ")
    column(by)
    if order.strip() not in ("", "asc", "desc"):
        raise InputError(f'--sort "{sort}": give a column, or "{by} desc" for the largest first')
    wanted = None if columns is None else list(dict.fromkeys([*columns, by]))
    songs = read_songs(folder, wanted, condition)
    return songs.sort_by([(by, "descending" if order.strip() == "desc" else "ascending")])
