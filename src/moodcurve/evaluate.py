"""How good is a model on a corpus: beside the constant predictor, pooled, by song and by group."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moodcurve import metrics
from moodcurve.corpora.folder import Corpus
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.curve import Band
from moodcurve.files import replacing
from moodcurve.model import DIMENSIONS, Model
from moodcurve.predict import Rows2Curve
from moodcurve.spread import LEVEL

Figures = dict[str, Any]

QUADRANTS = ("V- A-", "V+ A-", "V- A+", "V+ A+")  # of labels, 0 counting as above


def evaluate(model: Model, corpus: Corpus) -> Figures:
    """Measure a model on every song of a corpus.

    Returns:
        {"model", "corpus", "songs", "systems": {"model": ..., "constant": ...}, "groups": {group:
        {"songs", "systems"}}}, each system as `metrics.evaluate` gives it. The constant predictor
        says the mean of the labels that the model was trained on. `groups` is empty for a corpus
        without groups. With a band there is "band", as `coverage` gives it; with familiarity
        "unfamiliar", the names of the songs that are flagged. JSON-ready.
    """
    songs = labelled_rows(corpus.songs, model.window, model.official_only)
    rows2curve = Rows2Curve(model)
    curves = [rows2curve(song.rows) for song in songs]
    estimates = {
        "model": [np.column_stack([curve.valence, curve.arousal]) for curve in curves],
        "constant": constant(songs, model.about["training"]["constant"]),
    }
    figures = {
        "model": model.about["name"],
        "corpus": corpus.name,
        **compare(songs, estimates),
    }
    bands = [curve.band for curve in curves if curve.band]
    if bands:
        figures["band"] = coverage(songs, bands)
    if model.familiarity:
        figures["unfamiliar"] = [
            song.song.name
            for song, curve in zip(songs, curves, strict=True)
            if not curve.about["familiarity"]["familiar"]
        ]
    return figures


def coverage(songs: Sequence[LabelledRows], bands: Sequence[Band]) -> Figures:
    """How often the labels lie within the bands, songs counting alike.

    Returns:
        {"valence": {"coverage": share of half-seconds, "by_quadrant": {"V- A-": ..., ...} of the
        labels, "width": mean}, "arousal": ...}
    """
    found: Figures = {}
    for d, dimension in enumerate(DIMENSIONS):
        inside, quadrants, weights, widths = [], [], [], []
        for song, band in zip(songs, bands, strict=True):
            there = ~np.isnan(song.labels).any(axis=1)
            labels = song.labels[there]
            low, high = (getattr(band, f"{dimension}_{edge}")[there] for edge in ("low", "high"))
            inside.append((low <= labels[:, d]) & (labels[:, d] <= high))
            quadrants.append(2 * (labels[:, 1] >= 0) + (labels[:, 0] >= 0))
            weights.append(np.full(len(labels), 1 / len(labels)))
            widths.append(np.mean(high - low))
        held, quadrant, weight = map(np.concatenate, (inside, quadrants, weights))
        found[dimension] = {
            "coverage": float(np.average(held, weights=weight)),
            "by_quadrant": {
                name: float(np.average(held[quadrant == q], weights=weight[quadrant == q]))
                for q, name in enumerate(QUADRANTS)
                if (quadrant == q).any()
            },
            "width": float(np.mean(widths)),
        }
    return found


def constant(songs: Sequence[LabelledRows], value: Sequence[float]) -> list[np.ndarray]:
    """What the constant predictor says of each song: `value` (2,) at every half-second, (n, 2)."""
    return [np.tile(np.asarray(value, float), (len(song.rows), 1)) for song in songs]


def compare(
    songs: Sequence[LabelledRows], estimates: Mapping[str, Sequence[np.ndarray]]
) -> Figures:
    """Measure several systems' estimates, (n, 2) a song: over all songs, and by group."""

    def measure(members: Sequence[int]) -> Figures:
        labels = [songs[i].labels for i in members]
        return {
            "songs": len(members),
            "systems": {
                name: metrics.evaluate(labels, [values[i] for i in members])
                for name, values in estimates.items()
            },
        }

    names = sorted({song.song.group for song in songs if song.song.group})
    return {
        **measure(range(len(songs))),
        "groups": {
            name: measure([i for i, song in enumerate(songs) if song.song.group == name])
            for name in names
        },
    }


def table(figures: Figures) -> str:
    """The figures as text, at most 80 columns wide."""
    lines = [
        *textwrap.wrap(
            f"{figures['model']} on {figures['corpus']}: {figures['songs']} songs, "
            f"{figures['systems']['model']['valence']['pooled']['rows']} labelled half-seconds",
            80,
            break_on_hyphens=False,
        ),
        "",
        f"{'':28}{'valence':^24}  {'arousal':^24}",
        f"{'':28}{'RMSE':>8}{'r':>8}{'CCC':>8}  {'RMSE':>8}{'r':>8}{'CCC':>8}",
        *_block("all frames pooled", figures, _pooled),
        *_block("song means", figures, _song_means),
        *_block("by song: mean", figures, _of_songs("mean")),
        *_block("by song: spread (sd)", figures, _of_songs("sd")),
    ]
    for name, group in figures["groups"].items():
        lines += _block(f"{name[:60]} ({group['songs']})", group, _pooled)
    if "band" in figures:
        lines += _of_band(figures["band"])
    if strange := figures.get("unfamiliar"):
        lines += textwrap.wrap(f"unlike what the model learned from: {', '.join(strange)}", 80)
    return "\n".join(lines)


def write_json(figures: Figures, path: Path) -> None:
    """Write all figures, the numbers of songs behind each mean included."""
    with replacing(path) as part:
        part.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _pooled(result: Figures, metric: str) -> float | None:
    value: float | None = result["pooled"][metric]
    return value


def _song_means(result: Figures, metric: str) -> float | None:
    value: float | None = result["song_means"][metric]
    return value


def _of_songs(statistic: str) -> Any:
    return lambda result, metric: result["songs"][metric][statistic]


def _block(title: str, figures: Figures, pick: Any) -> list[str]:
    """A line for each system under a title; "-" where a figure is undefined."""
    lines = [title]
    for name, result in figures["systems"].items():
        cells = [
            "".join(_cell(pick(result[dimension], metric)) for metric in metrics.METRICS)
            for dimension in DIMENSIONS
        ]
        lines.append(f"  {name:26}{cells[0]}  {cells[1]}")
    return lines


def _of_band(band: Figures) -> list[str]:
    """How much of the labels lies within the band, as text."""
    lines = [f"band of {LEVEL:.0%}: labels inside, songs counting alike; by quadrant; mean width"]
    for dimension in DIMENSIONS:
        row = band[dimension]
        quadrants = "  ".join(f"{name} {share:4.0%}" for name, share in row["by_quadrant"].items())
        lines.append(f"  {dimension:8} {row['coverage']:6.1%}   {quadrants}   {row['width']:.2f}")
    return lines


def _cell(value: float | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:z8.3f}"
