"""Cross-validate a preset: every song predicted by a model that saw neither it nor its series.

    python benchmarks/cross_validation.py CORPUS... [--preset default] [--folds 7] [--json FILE]

Songs are dealt to folds by whole groups (series); songs without group one by one, evenly by genre.
Within a fold's training songs the preset draws its own validation sets, so what stops the networks
and trains the ELM is never what is scored. Beside the model, on the same rows: the constant
predictor (mean of the training labels), ridge regression on single rows (its strength chosen by
grouped cross-validation within the training songs), each scale's networks alone, and their
average.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from tqdm import tqdm

from moodcurve.corpora.folder import read_corpus
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.evaluate import compare, constant, table
from moodcurve.model import DIMENSIONS, Model
from moodcurve.predict import Rows2Curve, scale_outputs
from moodcurve.training.ensemble import train_on_songs
from moodcurve.training.partitions import validation_sets
from moodcurve.training.presets import Preset, preset

Estimates = dict[str, list[NDArray[np.float64]]]
STRENGTHS = (1e2, 1e3, 1e4, 1e5)  # of the ridge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--folds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    corpora = [read_corpus(folder) for folder in options.corpora]
    songs = labelled_rows([song for corpus in corpora for song in corpus.songs])
    start = time.perf_counter()
    estimates = cross_validate(songs, preset(options.preset), options.folds)
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
    print(f"{(time.perf_counter() - start) / 60:.0f} minutes")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def cross_validate(songs: list[LabelledRows], chosen: Preset, folds: int) -> Estimates:
    """Estimates (n, 2) of every song by every system, none of which was trained on it."""
    estimates: Estimates = {}
    rng = np.random.default_rng(1)
    sets = validation_sets([song.song for song in songs], folds, 1 / folds, rng)
    for test in tqdm(sets, "folds", disable=None):
        held = set(test.tolist())
        training = [song for i, song in enumerate(songs) if i not in held]
        model = train_on_songs(training, chosen, "fold", [])
        found = {
            "model": curves(model, [songs[i] for i in test]),
            "constant": constant([songs[i] for i in test], model.about["training"]["constant"]),
            "ridge": ridge(model, training, [songs[i] for i in test], chosen),
            **single_scales(model, [songs[i] for i in test]),
        }
        for name, values in found.items():
            filled = estimates.setdefault(name, [np.empty((0, 2))] * len(songs))
            for i, value in zip(test, values, strict=True):
                filled[i] = value
    return estimates


def curves(model: Model, songs: list[LabelledRows]) -> list[NDArray[np.float64]]:
    rows2curve = Rows2Curve(model)
    found = [rows2curve(song.rows) for song in songs]
    return [np.column_stack([curve.valence, curve.arousal]) for curve in found]


def single_scales(model: Model, songs: list[LabelledRows]) -> Estimates:
    """Each scale's networks, averaged over the groups; and the average of all scales (AVG)."""
    found: Estimates = {f"scale {scale}": [] for scale in model.scales}
    found["average of scales"] = []
    for song in songs:
        rows = model.standardise(song.rows)
        outputs = np.stack(  # (S, n, 2)
            [
                np.mean([scale_outputs(g, model.scales, rows) for g in fusion.groups], axis=0)
                for fusion in (model.fusions[dimension] for dimension in DIMENSIONS)
            ],
            axis=2,
        )
        for scale, output in zip(model.scales, outputs, strict=True):
            found[f"scale {scale}"].append(output)
        found["average of scales"].append(outputs.mean(axis=0))
    return found


def ridge(
    model: Model, training: list[LabelledRows], test: list[LabelledRows], chosen: Preset
) -> list[NDArray[np.float64]]:
    """Ridge regression on single rows, its strength chosen on the model's kind of partitions."""
    rng = np.random.default_rng(0)
    sets = validation_sets([s.song for s in training], chosen.partitions, chosen.share, rng)

    def fit(songs: list[LabelledRows], strength: float) -> Ridge:
        rows = np.concatenate([model.standardise(song.rows) for song in songs])
        labels = np.concatenate([song.labels for song in songs])
        there = ~np.isnan(labels[:, 0])
        return Ridge(strength).fit(rows[there], labels[there])

    def error(strength: float) -> float:
        total = 0.0
        for held in sets:
            inside = set(held.tolist())
            fitted = fit([s for i, s in enumerate(training) if i not in inside], strength)
            for song in (training[i] for i in held):
                difference = fitted.predict(model.standardise(song.rows)) - song.labels
                total += float(np.nansum(difference**2))
        return total

    best = fit(training, min(STRENGTHS, key=error))
    return [best.predict(model.standardise(song.rows)) for song in test]


if __name__ == "__main__":
    main()
