"""The result: valence and arousal of a song, every half-second."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.features import HOP

_QUADRANTS = {
    (True, True): "excited and pleasant",
    (False, True): "excited and unpleasant",
    (False, False): "calm and unpleasant",
    (True, False): "calm and pleasant",
}


@dataclass(frozen=True, eq=False)
class Curve:
    """Valence and arousal along a song; value k speaks of k / 2 .. k / 2 + 0.5 s.

    Attributes:
        valence: (n,) from -1 (unpleasant) to 1 (pleasant), 0 neutral.
        arousal: (n,) from -1 (calm) to 1 (excited), 0 neutral.
        about: what produced the curve: model, features, licence, ...; JSON-ready.
    """

    valence: NDArray[np.float64]
    arousal: NDArray[np.float64]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def times(self) -> NDArray[np.float64]:
        """Where each half-second starts, in seconds, (n,)."""
        return HOP * np.arange(len(self.valence), dtype=np.float64)

    def to_csv(self, path: str | Path) -> None:
        """Write `start_s,end_s,valence,arousal`, a row a half-second. Raises InputError."""
        from moodcurve.export.csv import write_csv

        write_csv(self, Path(path))

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the curve over time and in the valence-arousal plane; needs `moodcurve[plot]`.

        Returns matplotlib's figure; with `path`, also writes it there (png, svg, pdf). Raises
        InputError where matplotlib is missing or the file cannot be written.
        """
        from moodcurve.export.picture import draw, write_picture

        return draw(self) if path is None else write_picture(self, Path(path))

    def summary(self) -> str:
        """A few lines for people: length, mean and range, and how the song moves."""
        seconds = HOP * len(self.valence)
        lines = [f"{int(seconds // 60)}:{seconds % 60:04.1f} min, a value every half-second"]
        for name, values, ends in (
            ("valence", self.valence, "unpleasant -1 .. 1 pleasant"),
            ("arousal", self.arousal, "calm -1 .. 1 excited"),
        ):
            lines.append(
                f"{name}  mean {values.mean():+z.2f}, from {values.min():+z.2f} to "
                f"{values.max():+z.2f}   ({ends})"
            )
        lines += [
            f"{_clock(a)} - {_clock(b)}  {quadrant}" for a, b, quadrant in self.passages(parts=6)
        ]
        return "\n".join(lines)

    def passages(self, parts: int) -> list[tuple[float, float, str]]:
        """The quadrant of each of `parts` equal pieces: (start, end in seconds, words).

        Neighbouring pieces in one quadrant are joined.
        """
        found: list[tuple[float, float, str]] = []
        edges = np.linspace(0, len(self.valence), min(parts, len(self.valence)) + 1).astype(int)
        for low, high in pairwise(edges):
            pleasant = bool(self.valence[low:high].mean() >= 0)
            words = _QUADRANTS[pleasant, bool(self.arousal[low:high].mean() >= 0)]
            start = HOP * low
            if found and found[-1][2] == words:
                start = found.pop()[0]
            found.append((start, HOP * high, words))
        return found


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
