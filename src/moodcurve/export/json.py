"""What produced a curve, and the curve in short, in JSON, beside the curve's CSV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodcurve.export.scales import in_words, to_scale
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve


def write_about(curve: Curve, path: Path, scale: str) -> None:
    """Write the curve's origin, its scale (one of `SCALES`) and its summary on that scale.

    The values themselves are in the CSV. Raises InputError for another scale, or where the file
    cannot be written.
    """
    about = {**curve.about, "scale": in_words(scale), "summary": _summary(curve, scale)}
    text = json.dumps(about, indent=2, ensure_ascii=False)
    with replacing(path) as part:
        # A file name that is no Unicode is escaped, as JSON escapes.
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


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
