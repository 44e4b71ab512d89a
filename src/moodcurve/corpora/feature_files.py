"""Official feature files: 260 columns every half-second, with the time at which each row starts.

DEAM has a file a song, ``;``-separated; PMEmo one file of all songs, with a column ``musicId``.
Both summarise windows of 1.0 s (docs/features.md).
"""

import csv
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moodcurve.corpora.check import AGAIN, number
from moodcurve.errors import InputError
from moodcurve.features import FEATURE_NAMES, HOP

Rows = tuple[NDArray[np.float64], NDArray[np.float32]]

_TOLERANCE = 1e-3  # seconds, of a row's time: they are written with three decimals or more
_ENDINGS = {"_mean": "_amean", "_std": "_stddev"}  # how PMEmo's file calls them


def read_features(path: Path, song: str = "") -> Rows:
    """Read the rows of a song from an official feature file.

    ``;``, ``,`` or tabs between cells; columns in any order, found by name, further ones ignored.
    The file read last is kept in memory, so that many songs of one file cost one reading.

    Args:
        path: a feature file.
        song: the song's number, where the file has a column ``musicId``.

    Returns:
        starts: (n,) seconds at which the rows start, 0.5 s apart.
        rows: (n, 260) float32, columns as `FEATURE_NAMES`.

    Raises:
        InputError: if columns are missing, a cell is no finite number (named by its line), times
            do not rise by 0.5 s, or the song has no rows.
    """
    songs = songs_of(path)
    found = songs.get("") or songs.get(song)
    if found is None:
        raise InputError(f"{path}: no rows of song {song}; {AGAIN}")
    return found


def songs_of(path: Path) -> dict[str, Rows]:
    """Return the rows of all songs of a file by their number, or by "" of a file of one song."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None


@lru_cache(maxsize=1)
def _read(path: Path, changed: int) -> dict[str, Rows]:
    """Read a file; `changed`, its time of change, is there for the cache."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator, header = _header(file.readline())
            columns = _columns(f"{path}:1", header)
            table = _numbers(file, separator, columns)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; {AGAIN}") from None
    if table is None:
        raise InputError(_bad_line(path, separator, header, columns))
    if not len(table):
        raise InputError(f"{path}: no rows below the header; {AGAIN}")
    with_ids = len(columns) > 1 + len(FEATURE_NAMES)
    ids = table[:, -1] if with_ids else np.zeros(len(table))
    songs = {}
    for song in np.unique(ids):
        (lines,) = np.nonzero(ids == song)
        starts = table[lines, 0].astype(np.float64)
        _check_times(path, starts, lines)
        songs[f"{song:.0f}" if with_ids else ""] = starts, table[lines, 1 : 1 + len(FEATURE_NAMES)]
    return songs


def _header(line: str) -> tuple[str, list[str]]:
    """Return the separator and the columns' names."""
    separator = max((";", ",", "\t"), key=line.count)
    return separator, [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]


def _columns(where: str, header: Sequence[str]) -> list[int]:
    """Return the places of frameTime, of the features, and of musicId where it is there."""
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        for ending, official in _ENDINGS.items():
            if name.endswith(ending):
                name = name.removesuffix(ending) + official
        if name in places and name:
            raise InputError(f"{where}: two columns {name}; {AGAIN}")
        places[name] = place
    wanted = ["frameTime", *FEATURE_NAMES]
    if missing := [name for name in wanted if name not in places]:
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise InputError(
            f"{where}: {len(missing)} of {len(wanted)} columns missing ({some}); {AGAIN}"
        )
    return [places[name] for name in [*wanted, "musicId"] if name in places]


def _numbers(
    lines: Iterator[str], separator: str, columns: list[int]
) -> NDArray[np.float32] | None:
    """Return those columns of all lines, or None if a cell is not a finite number."""
    lines = (line for line in lines if line.strip())
    if (first := next(lines, None)) is None:
        return np.empty((0, len(columns)), np.float32)
    try:
        table = np.loadtxt(
            chain([first], lines),
            dtype=np.float32,  # times and song numbers are small enough to be exact
            comments=None,
            delimiter=separator,
            quotechar='"',
            usecols=columns,
            ndmin=2,
        )
    except ValueError:
        return None
    return table if np.isfinite(table).all() else None


def _bad_line(path: Path, separator: str, header: Sequence[str], columns: Sequence[int]) -> str:
    """Say which is the first cell that is no finite number."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=separator)
        next(lines)
        for cells in lines:
            where = f"{path}:{lines.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) <= max(columns):
                return f"{where}: {len(cells)} cells under a header of {len(header)}; {AGAIN}"
            for place in columns:
                if number(cells[place]) is None:
                    remedy = "write decimal points" if "," in cells[place] else AGAIN
                    cell = f'{header[place]} "{cells[place]}"'
                    return f"{where}: {cell} is not a finite number; {remedy}"
    return f"{path}: numbers that cannot be read; {AGAIN}"  # such as 1e99, too large for a float32


def _check_times(path: Path, starts: NDArray[np.float64], lines: NDArray[np.intp]) -> None:
    """Raise if times do not rise by half a second; `lines` are the numbers of the rows."""
    (wrong,) = np.nonzero(np.abs(np.diff(starts) - HOP) > _TOLERANCE)
    if len(wrong):
        before, time = starts[wrong[0] : wrong[0] + 2]
        raise InputError(
            f"{path}: row {lines[wrong[0] + 1] + 1}: frameTime {time:g} s comes after {before:g} s;"
            f" rows must be {HOP:g} s apart, {AGAIN}"
        )
