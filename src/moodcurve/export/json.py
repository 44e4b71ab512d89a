"""The curve in one JSON document: values, what made them, and the song in short.

Its form is described in docs/formats.md and, for machines, in docs/moodcurve-curve-1.schema.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodcurve.export.scales import in_words, to_scale
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve
    from moodcurve.export.table import Table

SCHEMA = "moodcurve-curve-1"
"""Another number says that what reads the files of today does not read those of then."""


def to_document(curve: Curve, table: Table) -> dict[str, Any]:
    """All that is known of a curve, JSON-ready; its values on the scale of the table."""
    return {**origin(curve, table), "rows": list(zip(*table.columns.values(), strict=True))}


def origin(curve: Curve, table: Table) -> dict[str, Any]:
    """The document without its rows: what made the curve, and the song in short."""
    passages = [
        {"start_s": start, "end_s": end, "quadrant": quadrant, "mood": mood}
        for start, end, quadrant, mood in curve.passages()
    ]
    return {
        "schema": SCHEMA,
        **curve.about,
        "familiarity": curve.about.get("familiarity"),
        "band": curve.about.get("band"),
        "scale": in_words(table.scale),
        "caution": curve.caution,
        "summary": _summary(curve, table.scale),
        "passages": passages,
        "columns": list(table.columns),
    }


def write_json(curve: Curve, table: Table, path: Path) -> None:
    """Write the document, a row a line. Raises InputError where it cannot be written."""
    head = json.dumps(origin(curve, table), indent=2, ensure_ascii=False)
    rows = zip(*table.columns.values(), strict=True)
    lines = ",\n    ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    text = head.removesuffix("\n}") + f',\n  "rows": [\n    {lines}\n  ]\n}}\n'
    with replacing(path) as part:
        # A file name that is no Unicode is escaped, as JSON escapes.
        part.write_text(text, encoding="utf-8", errors="backslashreplace")


def _summary(curve: Curve, scale: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in (("valence", curve.valence), ("arousal", curve.arousal)):
        values = to_scale(values, scale)
        measures = {
            "mean": values.mean(),
            "sd": values.std(),
            "min": values.min(),
            "max": values.max(),
        }
        found[name] = {key: round(float(value), 4) for key, value in measures.items()}
    return {**found, "turning_points_s": list(curve.turning_points)}
