"""What produced a curve, in JSON, beside the curve's CSV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve


def write_about(curve: Curve, path: Path) -> None:
    """Write the curve's origin and scale; the values themselves are in the CSV."""
    text = json.dumps(curve.about, indent=2, ensure_ascii=False)
    with replacing(path) as part:
        # A file name that is no Unicode is escaped, as JSON escapes.
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
