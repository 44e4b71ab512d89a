"""DEAM's files of one dimension: a song a row, a half-second a column, named by its start."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from moodcurve.corpora.check import AGAIN, check_header, number, read_text, song_id, split_rows
from moodcurve.errors import InputError

_SPREADSHEET_WIDTHS = (256, 1024, 16384)  # columns; the release has 1225
_MOST_STEPS_APART = 1  # between a song's two curves: seven test songs of the release differ by one

Curve = dict[int, float]  # label by start in milliseconds


def read_curves(path: Path) -> tuple[dict[str, Curve], list[str]]:
    """Return a dimension's curve of each song, and what is wrong with the file."""
    file = path.name
    curves: dict[str, Curve] = {}
    try:
        (first, header), *lines = split_rows(file, read_text(path))
        times = _times(f"{file}:{first}", header)
    except InputError as error:
        return {}, [str(error)]
    problems = []
    for line, cells in lines:
        where = f"{file}:{line}"
        song = song_id(cells[0])
        if not song:
            problems.append(f'{where}: song_id "{cells[0]}" is not a whole number; {AGAIN}')
        elif song in curves:
            problems.append(f"{where}: song {song} is there already; keep one row")
        else:
            curves[song] = {}
            problems += _fill(curves[song], f"{where}: song {song}", times, cells[1:])
    if not curves:
        problems.append(f"{file}: no songs below the header; {AGAIN}")
    return curves, problems


def _times(where: str, header: Sequence[str]) -> list[int]:
    """Return the columns' times in milliseconds."""
    names = [cell.strip() for cell in header]
    check_header(where, ("song_id",), names)
    while not names[-1]:  # a spreadsheet's empty columns
        names.pop()
    if len(names) in _SPREADSHEET_WIDTHS:
        raise InputError(f"{where}: cut at {len(names)} columns, as by a spreadsheet; {AGAIN}")
    found = [re.fullmatch(r"sample_(\d+)ms", name, re.ASCII) for name in names[1:]]
    for name, match in zip(names[1:], found, strict=True):
        if names[0] != "song_id" or not match:
            problem = f'column "{name}" where song_id,sample_15000ms,... should be'
            raise InputError(f"{where}: {problem}; {AGAIN}")
    times = [int(match[1]) for match in found if match]
    if times != sorted(set(times)) or not times:
        raise InputError(f"{where}: the times of the columns do not rise; {AGAIN}")
    return times


def _fill(curve: Curve, where: str, times: Sequence[int], cells: Sequence[str]) -> Iterator[str]:
    """Put a row's labels into a song's curve; yield what is wrong with them."""
    cells = [cell.strip() for cell in cells]
    while cells and not cells[-1]:
        cells.pop()
    if not cells:
        yield f"{where} has no labels; {AGAIN}"
    if len(cells) > len(times):
        yield f"{where}: {len(cells)} labels under {len(times)} columns; {AGAIN}"
        return
    for time, cell in zip(times, cells, strict=False):
        value = number(cell)
        if value is None:
            remedy = "write decimal points" if "," in cell else AGAIN
            yield f'{where}, {time / 1000:g} s: "{cell}" is not a finite number; {remedy}'
        elif abs(value) > 1:
            yield f"{where}, {time / 1000:g} s: {cell} is out of range -1 .. 1; {AGAIN}"
        curve[time] = math.nan if value is None else value


def pair_problems(valence: Mapping[str, Curve], arousal: Mapping[str, Curve]) -> Iterator[str]:
    """Yield the songs that are in one file only, or much longer in one than in the other."""
    for song in sorted(valence.keys() ^ arousal.keys(), key=int):
        there, lacking = ("valence", "arousal") if song in valence else ("arousal", "valence")
        yield f"{lacking}.csv: no song {song}, which {there}.csv has; take both files again"
    for song in sorted(valence.keys() & arousal.keys(), key=int):
        one, other = len(valence[song]), len(arousal[song])
        if abs(one - other) > _MOST_STEPS_APART:
            yield (
                f"valence.csv: song {song} has {one} labels, and {other} in arousal.csv; "
                "take both files again"
            )
