"""Tables: a curve, and the features of a song."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from moodcurve.export.scales import to_scale
from moodcurve.features import FEATURE_NAMES, HOP
from moodcurve.files import replacing
from moodcurve.moods import moods as mood_words
from moodcurve.moods import quadrants

if TYPE_CHECKING:
    from moodcurve.curve import Curve


def write_csv(curve: Curve, path: Path, moods: bool, scale: str) -> None:
    """Write a curve, a row a half-second, its values and its band on one of `SCALES`.

    The columns are start_s, end_s, valence, arousal; with a band valence_low, valence_high,
    arousal_low, arousal_high; with `moods` quadrant, mood. Raises InputError for another scale,
    or where the file cannot be written.
    """
    columns = {"valence": curve.valence, "arousal": curve.arousal}
    if curve.band is not None:
        columns |= {
            f"{name}_{edge}": getattr(curve.band, f"{name}_{edge}")
            for name in ("valence", "arousal")
            for edge in ("low", "high")
        }
    cells = {
        "start_s": [f"{start:.1f}" for start in curve.times],
        "end_s": [f"{start + HOP:.1f}" for start in curve.times],
        **{
            name: [f"{value:z.4f}" for value in to_scale(values, scale)]
            for name, values in columns.items()
        },
    }
    if moods:
        cells["quadrant"] = quadrants(curve.valence, curve.arousal).tolist()
        cells["mood"] = mood_words(curve.valence, curve.arousal).tolist()
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(cells)
        writer.writerows(zip(*cells.values(), strict=True))


def write_features(rows: np.ndarray, file: TextIO) -> None:
    """Write feature rows (n, 260) as an official feature file: `;`-separated, frameTime first."""
    file.write(";".join(("frameTime", *FEATURE_NAMES)) + "\n")
    for number, row in enumerate(rows):
        file.write(";".join((f"{number * HOP:.6f}", *(f"{value:.6e}" for value in row))) + "\n")
