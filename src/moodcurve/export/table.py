"""A curve as the rows of a file: at 2 Hz or on other spans of time, on a scale, with words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moodcurve.export.scales import to_scale
from moodcurve.features import HOP
from moodcurve.moods import moods as mood_words
from moodcurve.moods import quadrants

if TYPE_CHECKING:
    from moodcurve.curve import Curve
    from moodcurve.export.spans import Spans

BAND = ("valence_low", "valence_high", "arousal_low", "arousal_high")
"""The columns of a band, in the order of files."""


class Table(NamedTuple):
    """What the files of a curve have in common: columns of m cells each, and their scale.

    The columns are start_s, end_s, valence, arousal; with a band those of `BAND`; with words
    quadrant, mood. Seconds have up to six decimals, values four.
    """

    columns: dict[str, list[Any]]
    scale: str


def tabulate(
    curve: Curve, scale: str = "-1..1", *, moods: bool = False, spans: Spans | None = None
) -> Table:
    """The table of a curve on one of `SCALES`, a row a half-second or, if given, a row a span.

    The edges of a band are taken over spans as the values are: for a mean over a longer span they
    are wide rather than narrow. Raises InputError for another scale.
    """
    values = {"valence": curve.valence, "arousal": curve.arousal}
    if curve.band is not None:
        values |= {name: getattr(curve.band, name) for name in BAND}
    starts, ends = spans or (curve.times, curve.times + HOP)
    if spans is not None:
        values = {name: over(column, spans) for name, column in values.items()}
    columns = {"start_s": _rounded(starts, 6), "end_s": _rounded(ends, 6)}
    for name, column in values.items():
        columns[name] = _rounded(to_scale(column, scale), 4)
    if moods:
        columns["quadrant"] = quadrants(values["valence"], values["arousal"]).tolist()
        columns["mood"] = mood_words(values["valence"], values["arousal"]).tolist()
    return Table(columns, scale)


def over(values: NDArray[np.float64], spans: Spans) -> NDArray[np.float64]:
    """What values (n,) at 2 Hz are over m spans: (m,).

    A span of half a second or more gets the mean of what it covers. A shorter one gets the value at
    its middle, on straight lines between the middles of half-seconds, so that a picture drawn from
    many frames a second moves smoothly. Beyond the ends the first and the last value hold.
    """
    starts, ends = spans
    held = np.append(values, values[-1])  # a song may end up to half a second after its curve
    edges = HOP * np.arange(len(held) + 1)
    area = HOP * np.concatenate([[0], held.cumsum()])
    length = ends - starts
    means = (np.interp(ends, edges, area) - np.interp(starts, edges, area)) / length
    centres = HOP * (np.arange(len(values)) + 0.5)
    middles = np.interp((starts + ends) / 2, centres, values)
    return np.where(length > HOP - 1e-6, means, middles)


def _rounded(values: NDArray[np.float64], decimals: int) -> list[float]:
    found: list[float] = (values.round(decimals) + 0.0).tolist()  # + 0: no minus zero
    return found
