"""A picture of a curve: over time, and as a path in the valence-arousal plane."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodcurve.errors import InputError
from moodcurve.export.origin import credit
from moodcurve.files import replacing

if TYPE_CHECKING:
    from moodcurve.curve import Curve

# Blue and vermilion of Okabe & Ito's palette: told apart by the colour-blind as well.
_VALENCE, _AROUSAL = "#0072B2", "#D55E00"
ENDINGS = (".png", ".svg", ".pdf")
_PIECES = 20  # between dotted lines, at most: more of them would hide the curve of a long recording
_CORNERS = (
    (0.96, 0.96, "right", "top", "joyful, excited"),
    (-0.96, 0.96, "left", "top", "tense, angry"),
    (-0.96, -0.96, "left", "bottom", "sad, gloomy"),
    (0.96, -0.96, "right", "bottom", "calm, content"),
)


def check_matplotlib() -> None:
    """Raise InputError where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError("pictures need matplotlib; run: pip install 'moodcurve[plot]'") from None


def draw(curve: Curve) -> Any:
    """Draw the curve on a new matplotlib figure. Raises InputError without matplotlib."""
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    over_time, plane = figure.subplots(1, 2, width_ratios=(1.75, 1))
    title = str(curve.about.get("song", "")).encode("utf-8", "replace").decode()
    # "A$AP" is a name, not a formula.
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", parse_math=False)
    _over_time(over_time, curve)
    figure.colorbar(_plane(plane, curve), ax=plane, label="seconds", shrink=0.85)
    return figure


def write_picture(curve: Curve, path: Path) -> Any:
    """Draw the curve and write it to a file of the kind its name says; returns the figure."""
    figure = draw(curve)
    save_figure(figure, path, credit(curve))
    return figure


def check_picture(path: Path) -> None:
    """Raise InputError for a file that is named as no picture is, or without matplotlib."""
    check_matplotlib()
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path}: pictures end in {', '.join(ENDINGS)}; name it so")


def save_figure(figure: Any, path: Path, made_by: str) -> None:
    """Write a figure to a file of the kind its name says. Raises InputError where that fails."""
    check_picture(path)
    kind = path.suffix.lower().removeprefix(".")
    metadata = {"Subject" if kind == "pdf" else "Description": made_by}
    with replacing(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # in a song's name: a box
        figure.savefig(part, format=kind, metadata=metadata)


def _over_time(axes: Any, curve: Curve) -> None:
    middle = curve.times + 0.25
    for values, name, colour in (
        (curve.valence, "valence", _VALENCE),
        (curve.arousal, "arousal", _AROUSAL),
    ):
        axes.plot(middle, values, color=colour, linewidth=1.8, label=name)
    if curve.band:
        band, label = curve.band, f"{100 * curve.about['band']['level']:.0f} % band"
        for low, high, colour in (
            (band.valence_low, band.valence_high, _VALENCE),
            (band.arousal_low, band.arousal_high, _AROUSAL),
        ):
            # With an edge: where two shades overlap, they alone do not say which is which.
            axes.fill_between(
                middle, low, high, color=colour, alpha=0.18, linewidth=0.8, label=label, zorder=1
            )
    for start, *_ in curve.passages(_PIECES)[1:]:
        axes.axvline(start, color="0.4", linewidth=0.8, linestyle=":", zorder=1)
    if curve.caution:
        axes.set_title(curve.caution, loc="left", fontsize=9)
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set(xlim=(0, curve.times[-1] + 0.5), ylim=(-1, 1), xlabel="seconds")
    axes.set_ylabel("-1 unpleasant, calm      1 pleasant, excited")
    axes.legend(loc="upper right", ncols=2, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _plane(axes: Any, curve: Curve) -> Any:
    axes.plot(curve.valence, curve.arousal, color="0.75", linewidth=1)
    dots = axes.scatter(curve.valence, curve.arousal, c=curve.times, cmap="viridis", s=14, zorder=2)
    for word, k in (("start", 0), ("end", -1)):
        place = (curve.valence[k], curve.arousal[k])
        axes.annotate(
            word,
            place,
            xytext=(26, -14 if k else 14),
            textcoords="offset points",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": "0.4"},
        )
    frame_plane(axes)
    return dots


def frame_plane(axes: Any) -> None:
    """Give axes the frame of the plane: its middle, its corners in words, -1 .. 1."""
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.axvline(0, color="0.6", linewidth=0.8)
    for x, y, across, up, words in _CORNERS:
        axes.text(x, y, words, ha=across, va=up, color="0.4", fontsize=9)
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xlabel="valence", ylabel="arousal", aspect="equal")
    axes.set(xticks=np.linspace(-1, 1, 5), yticks=np.linspace(-1, 1, 5))
