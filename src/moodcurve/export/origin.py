"""What made a curve, in one line, for files that have no other place for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moodcurve.curve import Curve


def credit(curve: Curve) -> str:
    """Program, model and licence: "moodcurve 0.1.0, model default, licence MIT"."""
    about = curve.about
    model = about["model"]["name"] if about.get("model") else "unknown"
    version, licence = about.get("moodcurve", ""), about.get("licence", "unknown")
    return f"moodcurve {version}, model {model}, licence {licence}"
