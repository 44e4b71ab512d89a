"""The pieces of a song between its turning points, as labels and as captions of mood words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moodcurve.export.origin import credit
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve

_CREDIT_S = 2.0  # how long the first caption says what made it


def write_labels(curve: Curve, path: Path) -> None:
    """Write a label track of Audacity: start, end and text a line, with tabs between them.

    A region a piece with its mood word and quadrant; before them, at 0 s, what made the curve.
    Raises InputError where the file cannot be written.
    """
    labels = [(0.0, 0.0, credit(curve)), *_pieces(curve)]
    _write(path, "".join(f"{start:.6f}\t{end:.6f}\t{text}\n" for start, end, text in labels))


def write_captions(curve: Curve, path: Path) -> None:
    """Write captions in SubRip's form (.srt), one a piece: its mood word and quadrant.

    The first two seconds also say what made them. Raises InputError where the file cannot be
    written.
    """
    (start, end, text), *others = _pieces(curve)
    cut = min(_CREDIT_S, end)
    captions = [(start, cut, f"{text}\n{credit(curve)}"), (cut, end, text), *others]
    shown = [caption for caption in captions if caption[0] < caption[1]]
    blocks = (
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{text}\n"
        for number, (start, end, text) in enumerate(shown, start=1)
    )
    _write(path, "\n".join(blocks))


def _pieces(curve: Curve) -> list[tuple[float, float, str]]:
    return [
        (start, end, mood if mood == quadrant else f"{mood} ({quadrant})")
        for start, end, quadrant, mood in curve.passages()
    ]


def _clock(seconds: float) -> str:
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d},{milliseconds:03d}"


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
