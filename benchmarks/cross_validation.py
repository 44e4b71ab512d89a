"""Cross-validate a preset: every song predicted by a model that saw neither it nor its series.

    python benchmarks/cross_validation.py CORPUS... [--preset default] [--folds 7] [--json FILE]
                                          [--predictions FILE.npz] [--seed N]

Songs are dealt to folds by whole groups (series); songs without group one by one, evenly by genre.
Within a fold's training songs the preset draws its own validation sets, so what stops the networks
and trains the ELM is never what is scored. Beside the model, on the same rows: the constant
predictor (mean of the training labels), ridge regression on single rows (its strength chosen by
grouped cross-validation within the training songs), each scale's networks alone, and their
average. Then how often the band holds the label, overall and by the label's quadrant, how wide it
is beside the constant predictor's, and how many songs are flagged as unfamiliar. The predictions
are kept for `benchmarks/comparison.py`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from tqdm import tqdm

from moodcurve.corpora.folder import read_corpus
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.evaluate import compare, constant, table
from moodcurve.familiarity import STRANGE
from moodcurve.model import DIMENSIONS, Model
from moodcurve.predict import Rows2Curve, network_outputs
from moodcurve.spread import LEVEL
from moodcurve.training.ensemble import train_on_songs
from moodcurve.training.partitions import validation_sets
from moodcurve.training.presets import Preset, preset

Estimates = dict[str, list[NDArray[np.float64]]]
STRENGTHS = (1e2, 1e3, 1e4, 1e5)  # of the ridge
EDGES = ("valence_low", "valence_high", "arousal_low", "arousal_high")
QUADRANTS = ("V- A-", "V+ A-", "V- A+", "V+ A+")


class Banded(NamedTuple):
    """The band around a song's curve, the constant predictor's, and how strange the song is."""

    edges: NDArray[np.float64]  # (n, 4), columns as of a curve's CSV
    constant: NDArray[np.float64]  # (2,), width of a band of the same level around the constant
    percentile: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--folds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0, help="of the training, not of the folds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--predictions", type=Path, help="also keep every system's curves there")
    options = parser.parse_args()

    corpora = [read_corpus(folder) for folder in options.corpora]
    songs = labelled_rows([song for corpus in corpora for song in corpus.songs])
    start = time.perf_counter()
    estimates, bands = cross_validate(songs, preset(options.preset), options.folds, options.seed)
    if options.predictions:
        keep(options.predictions, songs, estimates, bands)
    figures = {}
    for corpus in corpora:
        members = [i for i, song in enumerate(songs) if song.song in corpus.songs]
        own = {name: [values[i] for i in members] for name, values in estimates.items()}
        figures[corpus.name] = {
            "model": f"preset {options.preset}, {options.folds} folds",
            "corpus": corpus.name,
            **compare([songs[i] for i in members], own),
        }
        print(table(figures[corpus.name]), end="\n\n")
        held = coverage([songs[i] for i in members], [bands[i] for i in members])
        figures[corpus.name]["band"] = held
        show_coverage(held)
    print(f"{(time.perf_counter() - start) / 60:.0f} minutes")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def fold_sets(songs: list[LabelledRows], folds: int) -> list[NDArray[np.int64]]:
    """The test songs of each fold."""
    rng = np.random.default_rng(1)
    return validation_sets([song.song for song in songs], folds, 1 / folds, rng)


def cross_validate(
    songs: list[LabelledRows], chosen: Preset, folds: int, seed: int = 0
) -> tuple[Estimates, list[Banded]]:
    """Estimates (n, 2) of every song by every system, none of which was trained on it.

    And the band (n, 4) around the model's, its columns as of a curve's CSV.
    """
    estimates: Estimates = {}
    bands: list[Banded] = [Banded(np.empty((0, 4)), np.empty(0), 0.0)] * len(songs)
    for test in tqdm(fold_sets(songs, folds), "folds", disable=None):
        held = set(test.tolist())
        training = [song for i, song in enumerate(songs) if i not in held]
        model = train_on_songs(training, chosen, "fold", [], seed=seed)
        predicted, around = curves(model, training, [songs[i] for i in test])
        for i, band in zip(test, around, strict=True):
            bands[i] = band
        found = {
            "model": predicted,
            "constant": constant([songs[i] for i in test], model.about["training"]["constant"]),
            "ridge": ridge(model, training, [songs[i] for i in test], chosen),
            **single_scales(model, [songs[i] for i in test]),
        }
        for name, values in found.items():
            filled = estimates.setdefault(name, [np.empty((0, 2))] * len(songs))
            for i, value in zip(test, values, strict=True):
                filled[i] = value
    return estimates, bands


def curves(
    model: Model, training: list[LabelledRows], songs: list[LabelledRows]
) -> tuple[list[NDArray[np.float64]], list[Banded]]:
    rows2curve = Rows2Curve(model)
    constant = constant_width(training, model.about["training"]["constant"])
    values, bands = [], []
    for song in songs:
        curve = rows2curve(song.rows)
        values.append(np.column_stack([curve.valence, curve.arousal]))
        edges = np.column_stack([getattr(curve.band, edge) for edge in EDGES])
        bands.append(Banded(edges, constant, curve.about["familiarity"]["percentile"]))
    return values, bands


def constant_width(training: list[LabelledRows], value: list[float]) -> NDArray[np.float64]:
    """Width of the band around the constant that holds `LEVEL` of the training songs' labels."""
    errors = [np.abs(song.labels - value) for song in training]
    errors = [e[~np.isnan(e[:, 0])] for e in errors]
    weights = np.concatenate([np.full(len(e), 1 / len(e) / len(errors)) for e in errors])
    widths = []
    for column in np.concatenate(errors).T:
        order = np.argsort(column)
        inside = np.searchsorted(np.cumsum(weights[order]), LEVEL)
        widths.append(2 * column[order][min(inside, len(order) - 1)])
    return np.array(widths)


def coverage(songs: list[LabelledRows], bands: list[Banded]) -> dict[str, Any]:
    """Share of half-seconds within the band, songs counting alike: overall and by quadrant."""
    found: dict[str, Any] = {}
    for d, dimension in enumerate(DIMENSIONS):
        inside, quadrant, weight, width, constant = [], [], [], [], []
        for song, band in zip(songs, bands, strict=True):
            there = ~np.isnan(song.labels[:, 0])
            labels, edges = song.labels[there], band.edges[there, 2 * d : 2 * d + 2]
            inside.append((labels[:, d] >= edges[:, 0]) & (labels[:, d] <= edges[:, 1]))
            quadrant.append(2 * (labels[:, 1] >= 0) + (labels[:, 0] >= 0))
            weight.append(np.full(len(labels), 1 / len(labels)))
            width.append(np.mean(edges[:, 1] - edges[:, 0]))
            constant.append(band.constant[d])
        held, where, counts = map(np.concatenate, (inside, quadrant, weight))
        by_quadrant = {
            name: float(np.average(held[where == q], weights=counts[where == q]))
            for q, name in enumerate(QUADRANTS)
            if (where == q).any()
        }
        found[dimension] = {
            "coverage": float(np.average(held, weights=counts)),
            "by quadrant": by_quadrant,
            "width": float(np.mean(width)),
            "constant width": float(np.mean(constant)),
        }
    found["unfamiliar songs"] = int(sum(band.percentile > STRANGE for band in bands))
    return found


def show_coverage(held: dict[str, Any]) -> None:
    print(f"the band of {LEVEL:.0%}: share of half-seconds inside, songs counting alike; width")
    for dimension in DIMENSIONS:
        row = held[dimension]
        quadrants = ", ".join(f"{name} {share:.0%}" for name, share in row["by quadrant"].items())
        print(f"  {dimension:8} {row['coverage']:6.1%}   {quadrants}")
        print(f"  {'':8} width {row['width']:.2f}, the constant's {row['constant width']:.2f}")
    print(f"  flagged as unfamiliar: {held['unfamiliar songs']} songs\n")


def keep(path: Path, songs: list[LabelledRows], estimates: Estimates, bands: list[Banded]) -> None:
    """Write the curves of all systems, and the bands, under the songs' names."""
    arrays = {}
    for i, song in enumerate(songs):
        name = song.song.name
        arrays |= {f"{name}/{system}": values[i] for system, values in estimates.items()}
        arrays |= {f"{name}/labels": song.labels, f"{name}/band": bands[i].edges}
    np.savez_compressed(path, **arrays)


def single_scales(model: Model, songs: list[LabelledRows]) -> Estimates:
    """Each scale's networks, averaged over the groups; and the average of all scales (AVG)."""
    found: Estimates = {f"scale {scale}": [] for scale in model.scales}
    found["average of scales"] = []
    for song in songs:
        rows = model.inputs(song.rows)
        outputs = network_outputs(model, rows)
        both = np.stack(  # (S, n, 2)
            [outputs[dimension].mean(axis=0) for dimension in DIMENSIONS],
            axis=2,
        )
        for scale, output in zip(model.scales, both, strict=True):
            found[f"scale {scale}"].append(output)
        found["average of scales"].append(both.mean(axis=0))
    return found


def ridge(
    model: Model, training: list[LabelledRows], test: list[LabelledRows], chosen: Preset
) -> list[NDArray[np.float64]]:
    """Ridge regression on single rows, its strength chosen on the model's kind of partitions."""
    rng = np.random.default_rng(0)
    sets = validation_sets([s.song for s in training], chosen.partitions, chosen.share, rng)

    def fit(songs: list[LabelledRows], strength: float) -> Ridge:
        rows = np.concatenate([model.inputs(song.rows) for song in songs])
        labels = np.concatenate([song.labels for song in songs])
        there = ~np.isnan(labels[:, 0])
        return Ridge(strength).fit(rows[there], labels[there])

    def error(strength: float) -> float:
        total = 0.0
        for held in sets:
            inside = set(held.tolist())
            fitted = fit([s for i, s in enumerate(training) if i not in inside], strength)
            for song in (training[i] for i in held):
                difference = fitted.predict(model.inputs(song.rows)) - song.labels
                total += float(np.nansum(difference**2))
        return total

    best = fit(training, min(STRENGTHS, key=error))
    return [best.predict(model.inputs(song.rows)) for song in test]


if __name__ == "__main__":
    main()
