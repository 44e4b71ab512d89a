"""A table as three files: CSV with everything in it, text and LaTeX for people.

The same results are given as two tables: `data`, tidy and complete, one figure a cell, becomes the
CSV; `view`, compact and at most 80 columns wide, becomes the text and the LaTeX.
"""

import csv
import io
import math
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from moodcurve.files import replacing
from moodcurve.intervals import Interval

#: None is what a corpus cannot give, "n/a"; NaN is a figure that is undefined, "-" (CSV: "nan").
Cell = str | int | float | None

_WIDTH = 80
_NARROWEST = 8  # that a wrapped first column may get


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; a ValueError if a row has another length than the header."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.name}: {len(row)} cells for {len(self.columns)} columns")


def write_table(folder: Path, data: Table, view: Table) -> None:
    """Write `<name>.csv` from `data`, and `<name>.txt` and `<name>.tex` from `view`.

    Raises InputError where a file cannot be written, and ValueError as `as_text` does, before any
    file is written.
    """
    texts = {
        f"{data.name}.csv": as_csv(data),
        f"{view.name}.txt": as_text(view),
        f"{view.name}.tex": as_latex(view),
    }
    for name, text in texts.items():
        with replacing(folder / name) as part:
            part.write_bytes(text.encode())


def interval_text(interval: Interval) -> str:
    """An interval as a cell of a view: "0.231 [0.201, 0.262]", "-" for NaN."""
    value, low, high = (_shown(number) for number in interval)
    return value if math.isnan(interval.value) else f"{value} [{low}, {high}]"


def as_csv(data: Table) -> str:
    """The table as CSV: a header, then a line a row; floats with six significant digits."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(data.columns)
    writer.writerows([_exact(cell) for cell in row] for row in data.rows)
    return file.getvalue()


def as_text(view: Table) -> str:
    """The table as text, at most 80 columns wide; floats with three decimals.

    Columns of figures are right-aligned, columns of words left-aligned. A table that is too wide
    gets its columns set closer, then its first column wrapped. Raises ValueError if that is not
    enough.
    """
    lines = [list(view.columns), *([_shown(cell) for cell in row] for row in view.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    gap = " " * (2 if sum(widths) + 2 * (len(widths) - 1) <= _WIDTH else 1)
    room = _WIDTH - sum(widths[1:]) - len(gap) * (len(widths) - 1)
    if room < min(widths[0], _NARROWEST):
        raise ValueError(f"{view.name}: wider than {_WIDTH} columns; show fewer columns")
    widths[0] = min(widths[0], room)
    right = _of_figures(view)
    header, *body = (_line(line, widths, gap, right) for line in lines)
    rule = "-" * (sum(widths) + len(gap) * (len(widths) - 1))
    notes = [_wrapped(note, _WIDTH) for note in view.notes]
    return "\n".join([_wrapped(view.title, _WIDTH), rule, header, rule, *body, rule, *notes]) + "\n"


def as_latex(view: Table) -> str:
    r"""The table as a LaTeX `table` under the label `tab:<name>`, the notes below it."""
    right = _of_figures(view)
    lines = [list(view.columns), *([_shown(cell) for cell in row] for row in view.rows)]
    header, *body = (_latex_line(line, right) for line in lines)
    notes = [rf"  {{\footnotesize {_escaped(note)}\par}}" for note in view.notes]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_escaped(view.title)}}}",
            rf"  \label{{tab:{view.name}}}",
            rf"  \begin{{tabular}}{{{''.join('r' if figures else 'l' for figures in right)}}}",
            r"    \toprule",
            header,
            r"    \midrule",
            *body,
            r"    \bottomrule",
            r"  \end{tabular}",
            *(["", r"  \medskip", *notes] if notes else []),
            r"\end{table}",
            "",
        ]
    )


def _exact(cell: Cell) -> str:
    if cell is None:
        return "n/a"
    return format(cell, "z.6g") if isinstance(cell, float) else str(cell)


def _shown(cell: Cell) -> str:
    if cell is None:
        return "n/a"
    if isinstance(cell, float):
        return "-" if math.isnan(cell) else format(cell, "z.3f")
    return str(cell)


def _of_figures(view: Table) -> list[bool]:
    """Whether each column holds figures: no letter in any of its strings."""

    def words(cell: Cell) -> bool:
        return isinstance(cell, str) and any(map(str.isalpha, cell))

    return [not any(words(row[i]) for row in view.rows) for i in range(len(view.columns))]


def _line(cells: list[str], widths: list[int], gap: str, right: list[bool]) -> str:
    """A row of the text, of several lines where its first cell is wrapped."""
    first, more = cells[0], []
    if len(first) > widths[0]:
        first, *more = textwrap.wrap(first, widths[0], subsequent_indent="  ")
    padded = [
        cell.rjust(width) if figures else cell.ljust(width)
        for cell, width, figures in zip([first, *cells[1:]], widths, right, strict=True)
    ]
    return "\n".join([gap.join(padded).rstrip(), *more])


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_on_hyphens=False)


def _latex_line(cells: list[str], right: list[bool]) -> str:
    texts = [
        # a minus sign, not a hyphen
        re.sub(r"(?<!\w)-(?=\d)", "$-$", _escaped(cell)) if figures else _escaped(cell)
        for cell, figures in zip(cells, right, strict=True)
    ]
    # LaTeX would take these for an argument of the command that ended the line before.
    guard = "{}" if texts[0].startswith(("[", "*")) else ""
    return rf"    {guard}{' & '.join(texts)} \\"


_ESCAPES = str.maketrans(
    {
        **{special: "\\" + special for special in "_%&#${}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
)


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
