"""The formats that a curve is written in, by the names that the command line has for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from moodcurve.errors import InputError
from moodcurve.export.csv import write_csv
from moodcurve.export.jams import write_jams
from moodcurve.export.json import write_json
from moodcurve.export.parquet import check_pyarrow, write_parquet
from moodcurve.export.passages import write_captions, write_labels
from moodcurve.export.picture import check_matplotlib, write_picture
from moodcurve.export.sonic_visualiser import write_layers

if TYPE_CHECKING:
    from moodcurve.curve import Curve
    from moodcurve.export.table import Table


class Format(NamedTuple):
    """A format: how its files end, what writes one, and what is to be known of it.

    Attributes:
        write: (curve, table, path); raises InputError where the file cannot be written.
        rows: whether it is written from the rows of the table (on its scale and spans), or from the
            curve as it is.
        words: whether a row can have mood words.
        check: raises InputError where a package that it needs is missing.
    """

    ending: str
    write: Callable[[Curve, Table, Path], object]
    rows: bool = False
    words: bool = False
    check: Callable[[], None] = lambda: None


def _with_json(curve: Curve, table: Table, path: Path) -> None:
    """Write a CSV and, since it cannot say what made it, the JSON beside it first."""
    write_json(curve, table, path.with_suffix(".json"))
    write_csv(table, path)


def _of_curve(write: Callable[[Curve, Path], object]) -> Callable[[Curve, Table, Path], object]:
    return lambda curve, table, path: write(curve, path)


FORMATS = {
    "csv": Format(".csv", _with_json, rows=True, words=True),
    "json": Format(".json", write_json, rows=True, words=True),
    "jams": Format(".jams", write_jams, rows=True),
    "parquet": Format(".parquet", write_parquet, rows=True, words=True, check=check_pyarrow),
    "svl": Format(".svl", write_layers, rows=True),
    "labels": Format(".labels.txt", _of_curve(write_labels)),
    "srt": Format(".srt", _of_curve(write_captions)),
    "png": Format(".png", _of_curve(write_picture), check=check_matplotlib),
    "svg": Format(".svg", _of_curve(write_picture), check=check_matplotlib),
}


def find_format(name: str) -> Format:
    """The format of this name. Raises InputError for another one, or where it lacks a package."""
    if name not in FORMATS:
        raise InputError(f"format {name}: no such format; use one of: {', '.join(FORMATS)}")
    FORMATS[name].check()
    return FORMATS[name]
