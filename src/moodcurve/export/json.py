"""What produced a curve, in JSON, beside the curve's CSV."""

import json
from pathlib import Path

from moodcurve.curve import Curve
from moodcurve.files import replacing


def write_about(curve: Curve, path: Path) -> None:
    """Write the curve's origin and scale; the values themselves are in the CSV."""
    text = json.dumps(curve.about, indent=2, ensure_ascii=False)
    with replacing(path) as part:
        # A file name that is no Unicode is escaped, as JSON escapes.
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
