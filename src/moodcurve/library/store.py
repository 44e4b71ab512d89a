"""A library on disk: two tables in Parquet parts, which every reader of Parquet reads as they lie.

    LIB/songs/part-000001.parquet     a row a song, also of those that could not be traced
    LIB/curves/part-000001.parquet    a row a half-second, in the order of the songs
    LIB/failures.csv                  path and reason, for people
    LIB/index.arrow                   derived from the songs, for `find --like`; see `index.py`
    LIB/lock, LIB/unfinished/         of the scan that is at work

A part is never changed. It is written under a temporary name in `unfinished`, synced and renamed,
its curves before its songs: what has no songs beside it was never finished. A part that takes the
place of others names them (`replaces`), so that the next scan removes what a killed one left. The
schema is described in docs/library.md.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute, parquet

from moodcurve import __version__
from moodcurve.errors import InputError, Unfinished
from moodcurve.export.scales import in_words
from moodcurve.export.table import BAND
from moodcurve.features import HOP
from moodcurve.files import replacing

SCHEMA = "moodcurve-library-1"
"""Another number says that what reads the tables of today does not read those of then."""

POINTS = 32  # of a path: a song's curve as so many points, evenly over its length
PART = 1000  # songs of a full part
_PARTS = "part-*.parquet"
_TRIES = 5  # of reading what a scan rewrites

_Read = TypeVar("_Read")

FILE = "__filename"  # a column of `read_songs`: the file of a song's part

VALUES = ("valence", "arousal", *BAND)
_ENDS = ("valence_start", "arousal_start", "valence_end", "arousal_end")

SONGS = pa.schema(
    [
        ("path", pa.string()),  # absolute, or a URL
        ("content", pa.string()),  # sha256 of the file
        ("size", pa.int64()),
        ("modified", pa.string()),
        ("seconds", pa.float64()),
        ("half_seconds", pa.int32()),  # rows of its curve
        *((name, pa.string()) for name in ("title", "artist", "album", "genre", "date")),
        *((name, pa.float32()) for name in ("valence", "arousal", "valence_sd", "arousal_sd")),
        *((name, pa.float32()) for name in _ENDS),
        ("quadrant", pa.string()),
        ("mood", pa.string()),
        ("turning_points_s", pa.list_(pa.float64())),
        ("valence_path", pa.list_(pa.float32())),
        ("arousal_path", pa.list_(pa.float32())),
        ("familiarity", pa.float32()),
        ("familiar", pa.bool_()),
        ("model", pa.string()),
        ("licence", pa.string()),  # the model's
        ("error", pa.string()),
    ]
)
CURVES = pa.schema(
    [
        ("path", pa.dictionary(pa.int32(), pa.string())),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        *((name, pa.float32()) for name in VALUES),
    ]
)


class Entry(NamedTuple):
    """A song as a library keeps it: its row of `SONGS`, and its curve.

    `values` has the columns of `VALUES`, each (half_seconds,) float32, NaN where the model has no
    band; none for a song that could not be traced.
    """

    row: dict[str, Any]
    values: dict[str, NDArray[np.float32]]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the library for one scan. Raises InputError where another holds it.

    The system lets go of it as soon as the process ends, however it ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InputError(
                f"{folder}: another scan is at work here ({file.read().strip()}); wait for its end"
            ) from None
        file.truncate(0)
        print(f"process {os.getpid()} on {os.uname().nodename}", file=file, flush=True)
        yield
        file.truncate(0)


def scanning(folder: Path) -> bool:
    """Whether a scan holds the library now."""
    try:
        with (folder / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_songs(folder: Path, columns: Sequence[str] | None = None, where: Any = None) -> pa.Table:
    """The table of songs, or some columns of it, of the songs that a pyarrow expression holds for.

    Raises InputError where `folder` is no library or a part of it is damaged.
    """
    check_library(folder)
    return steadily(lambda: _read_songs(folder, columns, where))


def _read_songs(folder: Path, columns: Sequence[str] | None, where: Any) -> pa.Table:
    parts = part_names(folder)
    if not parts:
        kinds = {name: SONGS.field(name).type for name in SONGS.names} | {FILE: pa.string()}
        return pa.table({name: pa.array([], kinds[name]) for name in columns or SONGS.names})
    from pyarrow import dataset

    files = [str(folder / "songs" / part) for part in parts]
    with _readable(folder):
        return dataset.dataset(files, schema=SONGS).to_table(columns, filter=where)


def steadily(read: Callable[[], _Read]) -> _Read:
    """What reading a library gives; begun anew where a scan has meanwhile rewritten a part."""
    for _ in range(_TRIES):
        with suppress(_Rewritten):
            return read()
    return read()


def holding(folder: Path, parts: Sequence[str], condition: Any) -> NDArray[np.bool_]:
    """For which songs of some parts, of those that could be traced, a pyarrow expression holds."""
    from pyarrow import dataset

    if not parts:
        return np.zeros(0, bool)
    files = [str(folder / "songs" / part) for part in parts]
    columns = {"traced": compute.field("valence").is_valid(), "holds": condition}
    with _readable(folder):
        table = dataset.dataset(files, schema=SONGS).to_table(columns)
    found: NDArray[np.bool_] = table["holds"].filter(table["traced"]).fill_null(False).to_numpy()
    return found


def read_rows(folder: Path, part: str, columns: Sequence[str]) -> pa.Table:
    """Some columns of the songs of a part. Raises InputError where it is damaged."""
    with _readable(folder):
        return parquet.ParquetFile(folder / "songs" / part).read(columns)


def check_library(folder: Path) -> None:
    """Raise InputError where `folder` is no library."""
    if not (folder / "songs").is_dir():
        raise InputError(f"{folder}: not a library; make one with `moodcurve library scan`")


def part_stamps(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time (ns) of the finished parts: never the same for two parts."""
    with _readable(folder), os.scandir(folder / "songs") as entries:
        stats = [(entry.name, entry.stat()) for entry in entries if fnmatch(entry.name, _PARTS)]
    return sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def part_names(folder: Path) -> list[str]:
    """The names of the finished parts, in order; each is in `songs` and in `curves`.

    Raises InputError where they cannot be seen, which does not mean that there are none.
    """
    with _readable(folder):
        if not (folder / "songs").is_dir():
            return []
        return sorted(p.name for p in (folder / "songs").iterdir() if fnmatch(p.name, _PARTS))


def read_part(folder: Path, name: str) -> list[Entry]:
    """The songs of a part with their curves."""
    rows = parquet.read_table(folder / "songs" / name, schema=SONGS).to_pylist()
    curves = parquet.read_table(folder / "curves" / name, columns=list(VALUES))
    columns = {value: curves[value].to_numpy() for value in VALUES}
    ends = np.cumsum([row["half_seconds"] or 0 for row in rows])
    return [
        Entry(
            row,
            {
                value: column[end - (row["half_seconds"] or 0) : end]
                for value, column in columns.items()
            },
        )
        for row, end in zip(rows, ends, strict=True)
    ]


def write_part(folder: Path, entries: Sequence[Entry], replaces: Sequence[str] = ()) -> str | None:
    """Write songs as a new part, then remove the parts that it replaces; returns its name.

    Without songs nothing is written. Raises Unfinished where it cannot be; all that was there
    before is then as it was.
    """
    name = None
    if entries:
        numbers = [int(part[5:-8]) for part in [*part_names(folder), *replaces]]
        name = f"part-{max(numbers, default=0) + 1:06d}.parquet"
        songs = pa.Table.from_pylist([entry.row for entry in entries], SONGS)
        about = {
            "moodcurve": __version__,
            "model": _all(entries, "model"),
            "licence": _all(entries, "licence"),
            "replaces": list(replaces),
        }
        _write(folder, "curves", name, _curves(entries), about)
        _write(folder, "songs", name, songs, about)
    for part in replaces:
        remove_part(folder, part)
    return name


def remove_part(folder: Path, name: str) -> None:
    """Remove a part, its songs first: curves alone count for nothing."""
    for table in ("songs", "curves"):
        (folder / table / name).unlink(missing_ok=True)


def mend(folder: Path) -> int:
    """Remove what a killed scan or a fault of the disk left; returns how many parts were damaged.

    These are parts cut short, curves without songs and songs without curves, parts that another
    replaces, and files under temporary names. Raises InputError where they cannot be read at all:
    what is only out of reach is not damaged.
    """
    for table in ("songs", "curves", "unfinished"):
        (folder / table).mkdir(parents=True, exist_ok=True)
    for path in (folder / "unfinished").iterdir():
        path.unlink(missing_ok=True)  # whoever writes an index may have just finished
    names, damaged = part_names(folder), 0
    for name in names:
        songs, curves = (_footer(folder / table / name) for table in ("songs", "curves"))
        if songs is None or curves is None:
            remove_part(folder, name)
            damaged += 1
            continue
        for part in songs["replaces"]:
            remove_part(folder, part)
    for path in (folder / "curves").glob("part-*.parquet"):
        if not (folder / "songs" / path.name).exists():
            path.unlink()
    return damaged


def write_failures(folder: Path) -> int:
    """Write `failures.csv` anew from the table of songs; returns how many there are."""
    failed = read_songs(folder, ["path", "error"], compute.field("error").is_valid())
    with (
        replacing(folder / "failures.csv") as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(("path", "error"))
        table.writerows(zip(*failed.to_pydict().values(), strict=True))
    return int(failed.num_rows)


def _all(entries: Sequence[Entry], column: str) -> list[str]:
    return sorted({entry.row[column] for entry in entries} - {None})


def _curves(entries: Sequence[Entry]) -> pa.Table:
    counts = [entry.row["half_seconds"] or 0 for entry in entries]
    paths = pa.DictionaryArray.from_arrays(
        np.repeat(np.arange(len(entries), dtype=np.int32), counts),
        pa.array([entry.row["path"] for entry in entries], pa.string()),
    )
    starts = HOP * np.concatenate([np.arange(count, dtype=np.float64) for count in counts])
    traced = [entry.values for entry in entries if entry.values]
    values = {
        name: np.concatenate([np.zeros(0, np.float32), *(v[name] for v in traced)])
        for name in VALUES
    }
    columns = [pa.array(column, pa.float32(), from_pandas=True) for column in values.values()]
    return pa.Table.from_arrays(
        [paths, pa.array(starts), pa.array(starts + HOP), *columns], schema=CURVES
    )


@contextmanager
def finishing(folder: Path, path: Path) -> Iterator[IO[bytes]]:
    """Give a file in `unfinished`, and rename it to `path` when what is in it is on the disk.

    Raises Unfinished where that cannot be.
    """
    part = folder / "unfinished" / f"{uuid.uuid4().hex}{path.suffix}"
    try:
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise Unfinished(f"{path}: cannot be written ({error.strerror or error})") from None


def _write(folder: Path, table: str, name: str, rows: pa.Table, about: dict[str, Any]) -> None:
    """Write a file of a part."""
    document = {"schema": SCHEMA, "table": table, "scale": in_words("-1..1"), **about}
    rows = rows.replace_schema_metadata({"moodcurve": json.dumps(document)})
    with finishing(folder, folder / table / name) as file:
        parquet.write_table(rows, file, compression="zstd")


class _Rewritten(InputError):
    """A part has gone since the parts were listed."""


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Say of a damaged part what to do."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        kind = _Rewritten if isinstance(error, FileNotFoundError) else InputError
        what = "check its rights" if isinstance(error, PermissionError) else "scan again"
        reason = str(error).splitlines()[0]
        raise kind(f"{folder}: a part cannot be read ({reason}); {what}") from None


def _footer(path: Path) -> dict[str, Any] | None:
    """What a file of a part says of itself; None where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            try:
                metadata = parquet.read_metadata(file).metadata or {}
                about: dict[str, Any] = json.loads(metadata[b"moodcurve"])
            except Exception:  # pyarrow has many words for a damaged file
                return None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its rights") from None
    if about["schema"] != SCHEMA:
        raise InputError(
            f"{path}: of schema {about['schema']}; this moodcurve reads {SCHEMA}: "
            "scan into a new folder"
        )
    return about
