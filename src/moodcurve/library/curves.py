"""The curve of a song of a library, as it was when it was traced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from moodcurve import __version__
from moodcurve.curve import Band, Curve
from moodcurve.errors import InputError
from moodcurve.export.scales import in_words
from moodcurve.export.table import BAND
from moodcurve.library.store import VALUES
from moodcurve.spread import LEVEL


def read_curve(folder: Path, part: str, row: Mapping[str, Any]) -> Curve:
    """The curve of a song of a library.

    Args:
        folder: the library.
        part: the name of the part that the song is in.
        row: its row of the table of songs: path, model, licence, familiarity, familiar.

    Raises InputError where the part is gone or damaged, or no longer has the song.
    """
    try:
        songs = parquet.read_table(folder / "songs" / part, columns=["path", "half_seconds"])
        found = songs["path"].to_pylist().index(row["path"])
        counts = songs["half_seconds"].fill_null(0).to_numpy()
        curves = parquet.read_table(folder / "curves" / part, columns=list(VALUES))
    except (OSError, ValueError, pa.ArrowInvalid):
        raise InputError(
            f"{row['path']}: its curve is not where it was; the library has changed since: "
            "start the server again"
        ) from None
    curves = curves.slice(counts[:found].sum(), counts[found])
    values = {name: curves[name].to_numpy().astype(np.float64) for name in VALUES}
    measured = not any(np.isnan(values[name]).any() for name in BAND)
    band = Band(**{name: values[name] for name in BAND}) if measured else None
    valence, arousal = values["valence"], values["arousal"]
    about = {
        "scale": in_words("-1..1"),
        "model": {"name": row["model"], "trained_on": []},
        "licence": row["licence"],
        "features": {},
        "moodcurve": __version__,
        "familiarity": _familiarity(row),
        "band": {"level": LEVEL} if band else None,
        "silent_rows": int(((valence == 0) & (arousal == 0)).sum()),
    }
    return Curve(valence, arousal, about, band)


def _familiarity(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["familiarity"] is None:
        return None
    return {"percentile": row["familiarity"], "familiar": row["familiar"]}
