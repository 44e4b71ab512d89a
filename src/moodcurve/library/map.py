"""Pictures of a library in the valence-arousal plane, and of a journey through it."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from moodcurve.export.picture import check_matplotlib, frame_plane, save_figure
from moodcurve.library.journey import Journey

_DOTS = 3000  # songs up to which each is a dot; beyond that they are counted
_TITLE = 80  # characters of a line
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
        alpha = 0.35 if journey else 0.6
        size = float(np.clip(3000 / max(1, len(valence)), 8, 40))
        axes.scatter(valence, arousal, s=size, color="0.4", alpha=alpha, linewidths=0)
    else:
        counts = axes.hexbin(
            valence,
            arousal,
            gridsize=60,
            extent=(-1, 1, -1, 1),
            mincnt=1,
            bins="log",
            cmap=_pale_greys() if journey else "viridis",
            linewidths=0.1,
        )
        figure.colorbar(counts, ax=axes, label="songs", shrink=0.8, format="{x:,.0f}")
    frame_plane(axes)
    _halo(axes.texts)
    if journey:
        _travel(axes, songs, journey)
    title = "\n".join(wrap(about, _TITLE, max_lines=3, placeholder=" ..."))
    axes.set_title(title, loc="left", fontsize=10, parse_math=False)
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
    for start, end in zip(starts, ends, strict=True):
        arrow = {"arrowstyle": "->", "color": _SONG, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", end, start, arrowprops=arrow)
    _halo(_number(axes, starts, ends))
    axes.scatter(*starts.T, s=14, color=_SONG, zorder=3)
    axes.plot([], [], color=_SONG, linewidth=1.6, label="song, from beginning to end")
    axes.plot([], [], color="0.3", linewidth=0.8, linestyle=":", label="from song to song")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False, fontsize=9)


def _number(axes: Any, starts: Any, ends: Any) -> list[Any]:
    """Number songs at their beginnings, each where it covers least of what is there."""
    inches = axes.get_position().size * axes.figure.get_size_inches() / 2  # of one in the plane
    points = 72 * inches.min()
    along = np.concatenate(np.linspace(starts, ends, 9))
    taken = [(place * points, 9) for place in along]  # and how far to stay away
    angles = np.radians([45, 135, 225, 315, 0, 90, 180, 270])
    radii = (10, 17, 24, 31, 38)
    around = np.array([r * np.array([np.cos(a), np.sin(a)]) for r in radii for a in angles])
    line = {"arrowstyle": "-", "color": _SONG, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
    style = {"ha": "center", "va": "center", "fontsize": 9, "fontweight": "bold"}
    texts = []
    for number, start in enumerate(starts, start=1):
        places = start * points + around
        room = np.min([np.hypot(*(places - other).T) - far for other, far in taken], axis=0)
        best = int(np.argmax(np.minimum(room, 0)))  # the nearest with room, else the one with most
        taken.append((places[best], 15))
        texts.append(
            axes.annotate(
                str(number),
                start,
                around[best],
                textcoords="offset points",
                arrowprops=line,
                **style,
            )
        )
    return texts


def _halo(texts: Any) -> None:
    """Make texts readable on whatever they lie on."""
    from matplotlib import patheffects

    for text in texts:
        text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white")])
        text.set_zorder(4)


def _pale_greys() -> Any:
    """Greys that a journey shows on."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["Greys"](np.linspace(0.08, 0.5, 256)))
