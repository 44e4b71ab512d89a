"""The result: valence and arousal of a song, every half-second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve import turning_points
from moodcurve.features import HOP
from moodcurve.moods import moods, quadrants

_LINES = 8
"""Of the pieces of a song, in a summary."""


@dataclass(frozen=True, eq=False)
class Band:
    """How far off a curve may be: the range in which the mean of many listeners lies.

    It does so for the share `about["band"]["level"]` of half-seconds, of music like that the model
    learned from; whoever gives a curve a band gives it that level too.

    Attributes:
        valence_low: (n,) in [-1, 1], the lower edge of valence.
        valence_high: (n,) in [-1, 1], its upper edge, at least the lower.
        arousal_low: (n,), so for arousal.
        arousal_high: (n,).
    """

    valence_low: NDArray[np.float64]
    valence_high: NDArray[np.float64]
    arousal_low: NDArray[np.float64]
    arousal_high: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Valence and arousal along a song; value k speaks of k / 2 .. k / 2 + 0.5 s.

    Attributes:
        valence: (n,) from -1 (unpleasant) to 1 (pleasant), 0 neutral.
        arousal: (n,) from -1 (calm) to 1 (excited), 0 neutral.
        about: what produced the curve: model, features, licence, ...; JSON-ready.
        band: how far off the curve may be; None where the model has not measured it.
    """

    valence: NDArray[np.float64]
    arousal: NDArray[np.float64]
    about: Mapping[str, Any] = field(default_factory=dict)
    band: Band | None = None

    @classmethod
    def read(cls, path: str | Path) -> Curve:
        """The curve in a file of `moodcurve predict`: JSON, or CSV with its JSON beside it.

        Raises InputError where it is something else or was changed into something else.
        """
        from moodcurve.export.read import read_curve

        return read_curve(Path(path))

    @property
    def times(self) -> NDArray[np.float64]:
        """Where each half-second starts, in seconds, (n,)."""
        return HOP * np.arange(len(self.valence), dtype=np.float64)

    @cached_property
    def turning_points(self) -> tuple[float, ...]:
        """Where the mood changes, in seconds, in order; see `moodcurve.turning_points`."""
        starts = turning_points.turning_points(self.valence, self.arousal)
        return tuple(HOP * start for start in starts)

    @property
    def caution(self) -> str:
        """What to be told before believing the curve of an unfamiliar song; else empty."""
        familiarity = self.about.get("familiarity")
        if familiarity is None or familiarity["familiar"]:
            return ""
        percentile = int(familiarity["percentile"])  # of 99.9 it is not beyond 100
        share = "all" if percentile == 100 else f"{percentile} %"
        parts = "curve and band" if self.band else "curve"
        return (
            f"unlike the music the model learned from (beyond {share} of it); "
            f"its {parts} may be far off"
        )

    def to_csv(self, path: str | Path, *, moods: bool = False, scale: str = "-1..1") -> None:
        """Write `start_s,end_s,valence,arousal`, a row a half-second.

        With a band, `valence_low,valence_high,arousal_low,arousal_high` follow; with `moods`,
        `quadrant,mood` (see `moodcurve.moods`). `scale` is "-1..1", "0..1" or "1..9". Raises
        InputError for another scale, or where the file cannot be written.
        """
        from moodcurve.export.csv import write_csv
        from moodcurve.export.table import tabulate

        write_csv(tabulate(self, scale, moods=moods), Path(path))

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw the curve over time and in the valence-arousal plane; needs `moodcurve[plot]`.

        Returns matplotlib's figure; with `path`, also writes it there (png, svg, pdf). Raises
        InputError where matplotlib is missing or the file cannot be written.
        """
        from moodcurve.export.picture import draw, write_picture

        return draw(self) if path is None else write_picture(self, Path(path))

    def summary(self) -> str:
        """A few lines for people: length, mean, spread and range, and how the song moves."""
        seconds = HOP * len(self.valence)
        lines = [f"{int(seconds // 60)}:{seconds % 60:04.1f} min, a value every half-second"]
        lines += self.caution.replace("; ", ";\n").splitlines()
        for name, values, ends in (
            ("valence", self.valence, "unpleasant -1 .. 1 pleasant"),
            ("arousal", self.arousal, "calm -1 .. 1 excited"),
        ):
            lines.append(
                f"{name}  mean {values.mean():+z.2f}, sd {values.std():.2f}, "
                f"{values.min():+z.2f} to {values.max():+z.2f}   ({ends})"
            )
        unknown = "band     none: how far off this model is was never measured"
        lines.append(self._width(self.band) if self.band else unknown)
        passages = self.passages(_LINES)
        shown, found = [_clock(start) for start, *_ in passages[1:]], len(self.turning_points)
        if len(shown) == found:
            lines.append(f"turning points: {', '.join(shown) or 'none'}")
        else:
            lines.append(f"turning points: {found}, the clearest of them between these pieces")
        wide = len(_clock(seconds))
        for start, end, quadrant, mood in passages:
            words = f"{quadrant:<22}  {mood}" if mood != quadrant else mood
            lines.append(f"{_clock(start):>{wide}} - {_clock(end):>{wide}}  {words}")
        return "\n".join(lines)

    def passages(self, most: int | None = None) -> list[tuple[float, float, str, str]]:
        """The pieces between turning points: (start, end in seconds, quadrant, mood word).

        Words are for the mean of the piece. If there are to be no more than `most`, neighbours are
        joined, those first that differ least: by the squared distance that a partition loses.
        """
        values = np.stack([self.valence, self.arousal])
        edges = [0, *(round(time / HOP) for time in self.turning_points), len(self.valence)]
        while most is not None and len(edges) - 1 > most:
            sizes = np.diff(edges)
            means = np.add.reduceat(values, edges[:-1], axis=1) / sizes
            steps = (np.diff(means, axis=1) ** 2).sum(axis=0)
            lost = steps * sizes[:-1] * sizes[1:] / (sizes[:-1] + sizes[1:])
            del edges[1 + int(lost.argmin())]
        means = np.add.reduceat(values, edges[:-1], axis=1) / np.diff(edges)
        words = zip(quadrants(*means).tolist(), moods(*means).tolist(), strict=True)
        return [
            (HOP * low, HOP * high, quadrant, mood)
            for (low, high), (quadrant, mood) in zip(pairwise(edges), words, strict=True)
        ]

    def _width(self, band: Band) -> str:
        valence = np.median(band.valence_high - band.valence_low) / 2
        arousal = np.median(band.arousal_high - band.arousal_low) / 2
        level = self.about["band"]["level"]
        return (
            f"band     valence ±{valence:.2f}, arousal ±{arousal:.2f} "
            f"({100 * level:.0f} % of listeners' means are in it)"
        )


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
