"""From a song to its curve of emotion: valence and arousal every half-second.

from moodcurve import File2Curve

curve = File2Curve()("song.mp3")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moodcurve.curve import Curve
    from moodcurve.errors import InputError
    from moodcurve.live import Moment, StreamCurve
    from moodcurve.predict import Audio2Curve, File2Curve, Rows2Curve

__version__ = "0.1.0"

__all__ = [
    "Audio2Curve",
    "Curve",
    "File2Curve",
    "InputError",
    "Moment",
    "Rows2Curve",
    "StreamCurve",
    "__version__",
]

_HOME = {
    "Audio2Curve": "predict",
    "Curve": "curve",
    "File2Curve": "predict",
    "InputError": "errors",
    "Moment": "live",
    "Rows2Curve": "predict",
    "StreamCurve": "live",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that `--help` needs no numpy."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"moodcurve.{_HOME[name]}"), name)
