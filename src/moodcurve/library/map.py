"""Pictures of a library in the valence-arousal plane, and of a journey through it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from moodcurve.export.picture import check_matplotlib, frame_plane, save_figure
from moodcurve.library.journey import Journey

_DOTS = 3000  # songs up to which each is a dot; beyond that they are counted
_PATH, _SONG = "#0072B2", "#D55E00"  # of Okabe & Ito's palette


def write_map(songs: pa.Table, path: Path, about: str, journey: Journey | None = None) -> Any:
    """Draw where songs lie, a dot each or, of many, how many there are; returns the figure.

    `songs` has valence, arousal, model and licence, and for a journey also valence_start and so on.
    A journey is drawn over them: the path it was to take, each of its songs from its beginning to
    its end, and the jumps between. `about` is the title. Raises InputError without matplotlib, or
    where the file cannot be written.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6.4), dpi=130, layout="constrained")
    axes = figure.subplots()
    valence, arousal = (songs[name].to_numpy() for name in ("valence", "arousal"))
    if len(valence) <= _DOTS:
        axes.scatter(valence, arousal, s=10, color="0.55", alpha=0.6, linewidths=0)
    else:
        counts = axes.hexbin(
            valence,
            arousal,
            gridsize=60,
            extent=(-1, 1, -1, 1),
            mincnt=1,
            bins="log",
            cmap="Greys" if journey else "viridis",
            linewidths=0.1,
        )
        figure.colorbar(counts, ax=axes, label="songs", shrink=0.8)
    frame_plane(axes)
    if journey:
        _travel(axes, songs, journey)
    axes.set_title(about, loc="left", fontsize=10, parse_math=False)
    save_figure(figure, path, credit(songs))
    return figure


def credit(songs: pa.Table) -> str:
    """What made the values of songs: "model default-..., licence MIT"."""
    models, licences = (
        ", ".join(sorted(filter(None, pc.unique(songs[name]).to_pylist())))
        for name in ("model", "licence")
    )
    return f"moodcurve, model {models or 'none'}, licence {licences or 'none'}"


def _travel(axes: Any, songs: pa.Table, journey: Journey) -> None:
    chosen = songs.take(journey.songs)
    starts, ends = (
        np.array([chosen[f"{name}_{edge}"].to_numpy() for name in ("valence", "arousal")]).T
        for edge in ("start", "end")
    )
    axes.plot(*journey.places.T, color=_PATH, linewidth=6, alpha=0.25, label="path asked for")
    for end, start in zip(ends[:-1], starts[1:], strict=True):
        axes.plot(*np.array([end, start]).T, color="0.3", linewidth=0.8, linestyle=":")
    for number, (start, end) in enumerate(zip(starts, ends, strict=True), start=1):
        arrow = {"arrowstyle": "->", "color": _SONG, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", end, start, arrowprops=arrow)
        axes.annotate(
            str(number), start, (4, 4), textcoords="offset points", fontsize=9, fontweight="bold"
        )
    axes.scatter(*starts.T, s=14, color=_SONG, zorder=3)
    axes.plot([], [], color=_SONG, linewidth=1.6, label="song, from beginning to end")
    axes.plot([], [], color="0.3", linewidth=0.8, linestyle=":", label="from song to song")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False, fontsize=9)
