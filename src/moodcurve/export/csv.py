"""Tables: a curve, and the features of a song."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from moodcurve.features import FEATURE_NAMES, HOP
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve


def write_csv(curve: Curve, path: Path) -> None:
    """Write a curve: header `start_s,end_s,valence,arousal`, then a row a half-second."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["start_s", "end_s", "valence", "arousal"])
        for start, valence, arousal in zip(curve.times, curve.valence, curve.arousal, strict=True):
            writer.writerow(
                [f"{start:.1f}", f"{start + HOP:.1f}", f"{valence:z.4f}", f"{arousal:z.4f}"]
            )


def write_features(rows: np.ndarray, file: TextIO) -> None:
    """Write feature rows (n, 260) as an official feature file: `;`-separated, frameTime first."""
    file.write(";".join(("frameTime", *FEATURE_NAMES)) + "\n")
    for number, row in enumerate(rows):
        file.write(";".join((f"{number * HOP:.6f}", *(f"{value:.6e}" for value in row))) + "\n")
