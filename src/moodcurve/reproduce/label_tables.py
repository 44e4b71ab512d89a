"""The tables that need labels only: how the songs were divided, and what a constant scores."""

from collections.abc import Mapping, Sequence

import numpy as np

from moodcurve.corpora.folder import Song
from moodcurve.corpora.genres import genre_weights
from moodcurve.intervals import measures
from moodcurve.model import DIMENSIONS
from moodcurve.reproduce.findings import FIGURE_COLUMNS, Row, Tables, figure_cells
from moodcurve.reproduce.split import Split
from moodcurve.reproduce.tables import Cell, Table


def partitions(split: Split) -> Tables:
    """How near the five validation sets come to the test songs' genres (section 3.2.1)."""
    target = genre_weights(split.test)
    sets = [genre_weights([split.development[n] for n in members]) for members in split.validation]
    rest = genre_weights(split.development)
    genres = sorted({*target, *rest}, key=lambda g: (-target.get(g, 0.0), g))
    columns = ("genre", "test", *(f"set {p + 1}" for p in range(len(sets))), "development")
    rows: list[Row] = [
        (genre, *(float(w.get(genre, 0.0)) for w in (target, *sets, rest))) for genre in genres
    ]
    distance: Row = (
        "distance to test",
        0.0,
        *(_total_variation(target, weights) for weights in (*sets, rest)),
    )
    sizes = ", ".join(str(len(members)) for members in split.validation)
    title = (
        f"Genres of the validation sets ({sizes} songs of {len(split.development)}) beside those "
        f"of the {len(split.test)} test songs"
    )
    if not genres:
        return _pair(
            "partitions", title, columns, [("no genres given", *([None] * len(columns[1:])))]
        )
    notes = (
        "shares; a song of several genres is divided evenly among them; distance: total variation, "
        "0 the same .. 1 nothing in common; sets are disjoint",
    )
    return _pair("partitions", title, columns, [*rows, distance], notes)


def _pair(
    name: str, title: str, columns: Sequence[str], rows: Sequence[Row], notes: Sequence[str] = ()
) -> Tables:
    """A table that is the same for programs and for people."""
    table = Table(name, title, tuple(columns), tuple(rows), tuple(notes))
    return table, table


def _total_variation(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    genres = {*first, *second}
    return float(sum(abs(first.get(g, 0.0) - second.get(g, 0.0)) for g in genres) / 2)


def constant(split: Split) -> Tables:
    """The constant predictor, the mean of the development labels, on each set of songs."""
    labels = np.concatenate([song.labels for song in split.development])
    mean = np.nanmean(labels, axis=0)
    sets: dict[str, Sequence[Song]] = {
        f"validation set {p + 1}": [split.development[n] for n in members]
        for p, members in enumerate(split.validation)
    }
    sets = {"development": split.development, **sets, "test": split.test}
    data: list[Row] = []
    view: list[Row] = []
    for name, songs in sets.items():
        shown: list[Cell] = [f"{name} ({len(songs)})"]
        for d, dimension in enumerate(DIMENSIONS):
            reference = [song.labels[:, d] for song in songs]
            figures = measures(reference, [np.full(len(x), mean[d]) for x in reference])
            data.append((name, len(songs), dimension, float(mean[d]), *figure_cells(figures)))
            shown += [figures["rmse_songs"].value, figures["rmse"].value]
        view.append(tuple(shown))
    title = f"The constant predictor: valence {mean[0]:.3f}, arousal {mean[1]:.3f} everywhere"
    columns = ("songs", "V-RMSE", "pooled", "A-RMSE", "pooled")
    notes = ("RMSE: mean of the songs' RMSE; pooled: over all labels",)
    return (
        Table(
            "constant", title, ("set", "songs", "dimension", "says", *FIGURE_COLUMNS), tuple(data)
        ),
        Table("constant", title, columns, tuple(view), notes),
    )
