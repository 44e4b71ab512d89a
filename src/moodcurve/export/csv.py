"""Tables: a curve, and the features of a song."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from moodcurve.features import FEATURE_NAMES, HOP
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.export.table import Table


def write_csv(table: Table, path: Path) -> None:
    """Write a table, a row a line. Raises InputError where the file cannot be written."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        for start, end, *cells in zip(*table.columns.values(), strict=True):
            writer.writerow(
                [start, end, *(f"{x:.4f}" if isinstance(x, float) else x for x in cells)]
            )


def write_features(rows: np.ndarray, file: TextIO) -> None:
    """Write feature rows (n, 260) as an official feature file: `;`-separated, frameTime first."""
    file.write(";".join(("frameTime", *FEATURE_NAMES)) + "\n")
    for number, row in enumerate(rows):
        file.write(";".join((f"{number * HOP:.6f}", *(f"{value:.6e}" for value in row))) + "\n")
