"""Reading a curve back from what `predict` wrote: its JSON, or its CSV with the JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.corpora.check import check_header, number, read_text, split_rows
from moodcurve.curve import Band, Curve
from moodcurve.errors import InputError
from moodcurve.export.json import SCHEMA
from moodcurve.export.scales import SCALES, from_scale, in_words
from moodcurve.export.table import BAND
from moodcurve.features import HOP

_COLUMNS = ("start_s", "end_s", "valence", "arousal")
_DERIVED = ("schema", "caution", "summary", "passages", "columns", "rows")
_PARTS = (  # of what made the curve, if it is there
    ("model", "name", str),
    ("band", "level", float),
    ("familiarity", "percentile", float | int),
    ("familiarity", "familiar", bool),
)
_AGAIN = "trace the song again"


def read_curve(path: Path) -> Curve:
    """The curve in a file that `predict` wrote, back in [-1, 1].

    A CSV has the values only; the JSON beside it says what made them and on which scale they are.
    Raises InputError where either is missing or something else, where a row is not the next
    half-second, and where a value is none or out of the scale.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise InputError(f"{path}: not a curve; give its JSON or its CSV")
    is_json = path.suffix.lower() == ".json"
    document = _document(path if is_json else path.with_suffix(".json"))
    if is_json:
        columns = [str(name) for name in document["columns"]]
        check_header(f"{path}: columns", _COLUMNS, columns)
        return _curve(document, columns, document["rows"], lambda k: f"{path}: row {k + 1}")
    (first, header), *lines = split_rows(path.name, read_text(path))
    header = [cell.strip() for cell in header]
    check_header(f"{path.name}:{first}", _COLUMNS, header)
    if len(lines) != len(document["rows"]):
        raise InputError(
            f"{path}: {len(lines)} rows, but {path.with_suffix('.json').name} beside it has "
            f"{len(document['rows'])}: not of one curve; {_AGAIN}"
        )
    rows = [row for _, row in lines]
    return _curve(document, header, rows, lambda k: f"{path.name}:{lines[k][0]}")


def _document(path: Path) -> dict[str, Any]:
    try:
        document: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; a curve is its JSON, or its CSV with the JSON beside it"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its rights") from None
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8
        raise InputError(f"{path}: not JSON ({error}); {_AGAIN}") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f"{path}: not a curve (of schema {SCHEMA}); {_AGAIN}")
    for key in ("columns", "rows"):
        if not isinstance(document.get(key), list) or not document[key]:
            raise InputError(f"{path}: a curve without {key}; {_AGAIN}")
    _check_parts(path, document)
    document["scale"] = _scale(path, document)
    return document


def _check_parts(path: Path, document: dict[str, Any]) -> None:
    for key, part, kind in _PARTS:
        found = document.get(key)
        if found is not None and not (
            isinstance(found, dict) and isinstance(found.get(part), kind)
        ):
            raise InputError(f"{path}: {key} without {part}; {_AGAIN}")
    rate = document.get("sample_rate")
    if rate is not None and not (isinstance(rate, int) and rate > 0):
        raise InputError(f"{path}: sample_rate {rate} is no number of Hz; {_AGAIN}")


def _scale(path: Path, document: dict[str, Any]) -> str:
    for scale in SCALES:
        if document.get("scale") == in_words(scale):
            return scale
    raise InputError(f"{path}: says no scale that is known here; {_AGAIN}")


def _curve(
    document: dict[str, Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    where: Callable[[int], str],
) -> Curve:
    for k, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise InputError(f"{where(k)}: not {len(columns)} cells, one a column; {_AGAIN}")
    cells = dict(zip(columns, zip(*rows, strict=True), strict=True))
    starts, ends = (_numbers(cells[name], name, where) for name in _COLUMNS[:2])
    _check_half_seconds(starts, ends, where)

    def values(name: str) -> NDArray[np.float64]:
        return _on_scale(cells[name], name, document["scale"], where)

    about = {key: value for key, value in document.items() if key not in _DERIVED}
    band = None
    if _has_band(document, columns, where(0)):
        band = Band(*map(values, BAND))
    return Curve(values("valence"), values("arousal"), {**about, "scale": in_words("-1..1")}, band)


def _numbers(cells: Sequence[Any], name: str, where: Callable[[int], str]) -> NDArray[np.float64]:
    found = [number(str(cell)) for cell in cells]
    if None in found:
        k = found.index(None)
        raise InputError(f'{where(k)}: {name} "{cells[k]}" is not a finite number; {_AGAIN}')
    return np.array(found, np.float64)


def _check_half_seconds(
    starts: NDArray[np.float64], ends: NDArray[np.float64], where: Callable[[int], str]
) -> None:
    expected = HOP * np.arange(len(starts))
    wrong = np.flatnonzero(np.abs([starts - expected, ends - expected - HOP]).max(axis=0) > 1e-6)
    if len(wrong):
        k = int(wrong[0])
        raise InputError(
            f"{where(k)}: {starts[k]:g} to {ends[k]:g} s where {expected[k]:g} to "
            f"{expected[k] + HOP:g} s should be: a curve has every half-second, and no other rows; "
            "give the file that predict wrote"
        )


def _on_scale(
    cells: Sequence[Any], name: str, scale: str, where: Callable[[int], str]
) -> NDArray[np.float64]:
    values = _numbers(cells, name, where)
    low, high = SCALES[scale]
    wrong = np.flatnonzero((values < low) | (values > high))
    if len(wrong):
        k = int(wrong[0])
        raise InputError(
            f"{where(k)}: {name} {values[k]:g} is out of the scale {low} .. {high} that the JSON "
            f"says; {_AGAIN}"
        )
    return from_scale(values, scale)


def _has_band(document: dict[str, Any], columns: Sequence[str], where: str) -> bool:
    level = document["band"].get("level") if isinstance(document.get("band"), dict) else None
    found = [name for name in BAND if name in columns]
    if len(found) != (0 if level is None else len(BAND)):
        raise InputError(
            f"{where}: a band of level {level} with the columns {', '.join(found) or 'none'}: "
            f"a level and four columns belong together; {_AGAIN}"
        )
    return bool(found)
