"""Songs without audio, of which numbers are known: a corpus that is only features and labels.

`rows.csv` of a corpus folder has a line a song: its name in the column ``song``, and the columns of
one family of features or several under their names (`features.COLUMNS`), such as the 200 of the
listener, ``musicnn[0]`` to ``musicnn[199]``. They are the means over a song; such a song has
`ROWS` rows that are all the same.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moodcurve.corpora.check import check_header, number, read_text, song_name, split_rows
from moodcurve.errors import InputError
from moodcurve.features import COLUMNS, FAMILIES

ROWS = 10  # half-seconds: the shortest sequences that networks read


def read_rows(path: Path) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """Read the rows (10, 483) of each song of a `rows.csv`, and what is wrong with it.

    Families that the file does not have are NaN. Without the file there are no songs and no
    problems.
    """
    if not path.exists():
        return {}, []
    try:
        (first, header), *lines = split_rows(path.name, read_text(path))
        header = [cell.strip() for cell in header]
        check_header(f"{path.name}:{first}", ("song",), header)
        columns = _columns(f"{path.name}:{first}", header)
    except InputError as error:
        return {}, [str(error)]
    songs: dict[str, NDArray[np.float32]] = {}
    problems: list[str] = []
    for line, cells in lines:
        where = f"{path.name}:{line}"
        if len(cells) != len(header):
            problems.append(f"{where}: {len(cells)} cells under a header of {len(header)}")
            continue
        values = [number(cells[header.index(name)]) for name in columns]
        song = song_name(cells[header.index("song")])
        if not song:
            problems.append(f"{where}: no song; write its name in column song")
        elif song in songs:
            problems.append(f'{where}: song "{song}" is there already; keep one row')
        elif None in values:
            name = columns[values.index(None)]
            problems.append(f"{where}: {name} is not a finite number; make the row again")
        else:
            row = np.full(len(COLUMNS), np.nan, np.float32)
            row[[COLUMNS.index(name) for name in columns]] = values
            songs[song] = np.tile(row, (ROWS, 1))
    return songs, problems


def _columns(where: str, header: list[str]) -> list[str]:
    """The columns of those families that the header has whole, at least of one."""
    found: list[str] = []
    for family, place in FAMILIES.items():
        names = COLUMNS[place]
        there = [name for name in names if name in header]
        if there and len(there) < len(names):
            missing = next(name for name in names if name not in header)
            problem = f"{len(there)} of the {len(names)} columns of {family}, {missing} is missing"
            raise InputError(f"{where}: {problem}; give a family whole or not at all")
        found += there
    if not found:
        raise InputError(f"{where}: no column of any family of features, such as {COLUMNS[-1]}")
    if unknown := [name for name in header if name not in (*found, "song") and name]:
        raise InputError(f"{where}: unknown column {unknown[0]}; take it out")
    return found
