"""What is wrong with a corpus folder: every problem at once, one line each.

A problem is a line ``file:line: problem; remedy``, its file named relative to the corpus folder.
The functions here read tables as text and yield problems; what a sound corpus means is the
subject of `moodcurve.corpora.folder`, `deam` and `pmemo`.
"""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from moodcurve.errors import InputError


class Columns(NamedTuple):
    """The columns that a table must have: the song's, the labels' and the time's, and their kind.

    Labels are in [low, 1]. An official table numbers its songs.
    """

    song: str
    labels: tuple[str, ...] = ()
    time: str | None = None
    low: float = -1.0
    official: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All of them: song, time, labels."""
        return (self.song, *((self.time,) if self.time else ()), *self.labels)


#: The tables of a corpus that have one label a row, with valence before arousal.
TABLES: Mapping[str, Columns] = {
    "dynamic.csv": Columns("song", ("valence", "arousal"), "time_s"),
    "static.csv": Columns("song", ("valence", "arousal")),
    "songs.csv": Columns("song"),
    "development_set_2015.csv": Columns(
        "song_id", ("valence_me15", "arousal_me15"), "time_s", official=True
    ),
    "dynamic_annotations.csv": Columns(
        "musicId", ("Valence(mean)", "Arousal(mean)"), "frameTime", low=0.0, official=True
    ),
}
#: Columns that are read where they are there; any other is ignored.
OPTIONAL_COLUMNS = ("group", "genre", "weight")
#: So many problems are printed; the rest is counted.
MOST_LINES = 20
#: What to do about a file that does not come from the user.
AGAIN = "take the file from its archive again"


class Row(NamedTuple):
    """One row of a table: its line in the file, its song, and its cells by column."""

    line: int
    song: str
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """A CSV file as text: its well-formed rows, and what was wrong with the others."""

    file: str
    rows: tuple[Row, ...] = ()
    problems: tuple[str, ...] = ()


def song_name(text: str) -> str:
    """Return a song's name in the one form in which tables and file names are compared.

    File systems differ in how they store an accented letter, hence the normal form NFC.
    """
    return unicodedata.normalize("NFC", text.strip())


def song_id(text: str) -> str:
    """Return a song's number in one form ("2" for " 2.0", as spreadsheets write); "" for none."""
    found = re.fullmatch(r"(\d+)(\.0*)?", text.strip(), re.ASCII)
    return str(int(found[1])) if found else ""


def number(cell: str) -> float | None:
    """Return the cell's finite number, or None where it holds none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_table(path: Path) -> Table:
    """Read one of the `TABLES`.

    UTF-8 with or without a byte order mark, any line ends; blank rows are skipped. Nothing is
    raised: what cannot be read is among the table's problems.
    """
    file = path.name
    columns = TABLES[file]
    try:
        (first, header), *lines = split_rows(file, read_text(path))
        header = [cell.strip() for cell in header]
        check_header(f"{file}:{first}", columns.names, header)
        if not lines:
            raise InputError(f"{file}: no rows below the header; add some, or remove the file")
    except InputError as error:
        return Table(file, problems=(str(error),))
    rows, problems = [], []
    for line, cells in lines:
        row = dict(zip(header, cells, strict=False))
        if len(cells) != len(header):
            remedy = "put a decimal point in numbers, and quotes around a text with a comma"
            problem = f"{len(cells)} cells under a header of {len(header)}; {remedy}"
            problems.append(f"{file}:{line}: {problem}")
        elif not (song := (song_id if columns.official else song_name)(row[columns.song])):
            kind = "number" if columns.official else "name"
            problems.append(f"{file}:{line}: no song; write its {kind} in column {columns.song}")
        else:
            rows.append(Row(line, song, row))
    return Table(file, tuple(rows), tuple(problems))


def corpus_problems(
    tables: Mapping[str, Table], audio: Sequence[Path], known: Iterable[str] = ()
) -> Iterator[str]:
    """Yield every problem of a corpus: of its files, of its songs, then of single values.

    Parameters
    ----------
    tables
        the tables that the folder has, by file name
    audio
        the audio files that the folder has
    known
        where it has none, the songs whose rows it has instead
    """
    known = set(known)
    for table in tables.values():
        yield from table.problems
    if not {"dynamic.csv", "static.csv"} & tables.keys():
        yield "dynamic.csv: neither it nor static.csv is there; add one with the songs' labels"
    if audio:
        yield from _audio_problems(audio)
        yield from _match_problems(tables, {song_name(a.stem): f"audio/{a.name}" for a in audio})
    elif known:
        yield from _match_problems(tables, dict.fromkeys(known, "rows.csv"))
    else:
        yield "audio: no sound files in this folder; add one a song, named as in the tables"
    for table in tables.values():
        yield from row_problems(table)


def row_problems(table: Table) -> Iterator[str]:
    """Yield what is wrong with single rows: songs or times twice or out of order, and values."""
    if table.file == "songs.csv":
        yield from _weight_problems(table)
    yield from _time_problems(table) if TABLES[table.file].time else _repeat_problems(table)
    yield from _value_problems(table)


def report(folder: Path, problems: Iterable[str], notes: Iterable[str] = ()) -> None:
    """Raise one `InputError` that lists the problems, at most `MOST_LINES` of them, if any.

    The notes, on what is odd but harmless, are added to it.
    """
    lines = list(problems)
    if not lines:
        return
    first = f"{folder}: {len(lines)} problem{'s' if len(lines) > 1 else ''}"
    more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    oddities = [f"note: {note}" for note in notes]
    raise InputError("\n".join([first, *lines[:MOST_LINES], *more, *oddities]))


def read_text(path: Path, errors: str = "strict") -> str:
    """Return a table's text, or raise the one problem that keeps it from being read.

    `errors` as of `bytes.decode`, for a table whose names do not matter.
    """
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig", errors)
    except OSError as error:
        raise InputError(f"{path.name}: {error.strerror}; make it a readable file") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = "not UTF-8 text; save it as UTF-8 (a spreadsheet calls it 'CSV UTF-8')"
        raise InputError(f"{path.name}:{line}: {problem}") from error


def split_rows(file: str, text: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, at least one: (line where it starts, its cells)."""
    # strict: an unclosed quote is an error, and does not swallow the rest of the file.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, line = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        problem = f"broken CSV ({error}); check the quotes from here on"
        raise InputError(f"{file}:{line}: {problem}") from error
    if not rows:
        raise InputError(f"{file}: empty; add a header and rows, or remove the file")
    return rows


def check_header(where: str, required: Sequence[str], header: Sequence[str]) -> None:
    """Raise the one problem of a header, if it has any."""
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            remedy = "separate them by commas, and put a decimal point in numbers"
            raise InputError(f"{where}: columns separated by {name}; {remedy}")
    if missing := [column for column in required if column not in header]:
        found = [column for column in header if column]
        some = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
        problem = f"no column {', '.join(missing)}, found {some}"
        raise InputError(f"{where}: {problem}; name the columns {','.join(required)}")
    for column in (*required, *OPTIONAL_COLUMNS):
        if header.count(column) > 1:
            raise InputError(f"{where}: {header.count(column)} columns named {column}; keep one")


def _weight_problems(table: Table) -> Iterator[str]:
    for row in table.rows:
        cell = row.cells.get("weight", "").strip()
        value = number(cell) if cell else 1.0
        if value is None or not 0 < value <= 100:
            problem = f'weight "{cell}" is no number over 0, at most 100'
            yield f"{table.file}:{row.line}: {problem}; leave it out for 1"


def _audio_problems(audio: Sequence[Path]) -> Iterator[str]:
    """Yield the audio files that stand for one and the same song."""
    songs: dict[str, Path] = {}
    for path in audio:
        first = songs.setdefault(song_name(path.stem), path)
        if first != path:
            yield f"audio/{path.name}: the same song as audio/{first.name}; keep one of them"


def _match_problems(tables: Mapping[str, Table], songs: Mapping[str, str]) -> Iterator[str]:
    """Yield the songs that are not in exactly one label table, once, and known.

    `songs` says which file each is known by.
    """
    labelled: dict[str, str] = {}
    label_tables = [tables[file] for file in ("dynamic.csv", "static.csv") if file in tables]
    for table in label_tables:
        for song, row in _first_rows(table.rows).items():
            where = f"{table.file}:{row.line}: "
            if song not in songs:
                kind = "row" if "rows.csv" in songs.values() else "audio"
                place = "a row of rows.csv" if kind == "row" else f"audio/{song}.wav"
                yield f'{where}no {kind} for song "{song}"; add {place} or remove its rows'
            if song in labelled:
                yield f'{where}song "{song}" is in {labelled[song]} too; keep it in one of the two'
            labelled[song] = table.file
    # Labels that could not be read are not missing.
    if label_tables and not any(table.problems for table in label_tables):
        for song, source in songs.items():
            if song not in labelled:
                where = source if source != "rows.csv" else f'rows.csv: song "{song}"'
                yield f"{where}: no label; add rows for the song or remove it"
    for row in tables["songs.csv"].rows if "songs.csv" in tables else ():
        if row.song not in songs and row.song not in labelled:
            yield f'songs.csv:{row.line}: no song "{row.song}" in the corpus; remove the row'


def _first_rows(rows: Iterable[Row]) -> dict[str, Row]:
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.song, row)
    return first


def _repeat_problems(table: Table) -> Iterator[str]:
    """Yield the repeated songs of a table that has one row a song."""
    first = _first_rows(table.rows)
    for row in table.rows:
        if row is not first[row.song]:
            problem = f'song "{row.song}" is on line {first[row.song].line} already; keep one row'
            yield f"{table.file}:{row.line}: {problem}"


def _time_problems(table: Table) -> Iterator[str]:
    """Yield the rows whose time is not after the one before it in the song."""
    lines: dict[tuple[str, float], int] = {}
    latest: dict[str, float] = {}
    for row in table.rows:
        time = number(row.cells[TABLES[table.file].time or ""])
        if time is None:
            continue
        where = f'{table.file}:{row.line}: time {time:g} s of song "{row.song}"'
        line = lines.setdefault((row.song, time), row.line)
        if line != row.line:
            yield f"{where} is on line {line} already; keep one row"
        elif time < latest.get(row.song, -math.inf):
            yield f"{where} comes after {latest[row.song]:g} s; sort the song's rows by time"
        latest[row.song] = time


def _value_problems(table: Table) -> Iterator[str]:
    """Yield the cells that are no number, or a number out of its range."""
    columns = TABLES[table.file]
    hint = AGAIN if columns.official else "for a 1 .. 9 scale use (x - 5) / 4"
    for row in table.rows:
        for column in columns.names[1:]:
            cell = row.cells[column].strip()
            value = number(cell)
            where = f"{table.file}:{row.line}: {column}"
            if value is None:
                yield f'{where} "{cell}" is not a finite number; write one, like 0.25'
            elif column == columns.time and value < 0:
                yield f"{where} {cell} is negative; count seconds from the start of the audio"
            elif column != columns.time and not columns.low <= value <= 1:
                yield f"{where} {cell} is out of range; labels are {columns.low:g} .. 1; {hint}"
