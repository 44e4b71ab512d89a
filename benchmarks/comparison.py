"""The model beside classical baselines, on the same folds, rows and inputs.

    python benchmarks/cross_validation.py CORPUS... --predictions FILE.npz
    python benchmarks/comparison.py CORPUS... --predictions FILE.npz [--json FILE]

Takes the curves that cross-validation kept, and predicts the same songs by what was trained on the
same others: multiple linear regression, support vectors with an RBF kernel and gradient boosting
(all half-second by half-second, on what the networks see, harmony and listener in context
included), a plain LSTM (forward in time, the preset's units and training, sequences of 60), and the
constant. Then every figure with its interval over songs, and the paired difference to the model.
One thread.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cross_validation import fold_sets
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from tqdm import tqdm

from moodcurve.context import in_context
from moodcurve.corpora.folder import read_corpus
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.intervals import differences, measures
from moodcurve.model import DIMENSIONS, standardise
from moodcurve.network import forward
from moodcurve.sequences import cut, stitch
from moodcurve.training.baselines import fit_mlr, fit_svr, labelled
from moodcurve.training.ensemble import moments, sequences
from moodcurve.training.loop import one_thread, train
from moodcurve.training.network import initial_lstm
from moodcurve.training.partitions import validation_sets
from moodcurve.training.presets import Preset, preset

Curves = list[NDArray[np.float64]]  # (n, 2) a song
Fit = Callable[[list[LabelledRows]], Callable[[NDArray[np.float32]], NDArray[np.float64]]]
SCALE = 60  # half-seconds of the LSTM's sequences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--folds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    one_thread()
    corpora = [read_corpus(folder) for folder in options.corpora]
    songs = labelled_rows([song for corpus in corpora for song in corpus.songs])
    with np.load(options.predictions, allow_pickle=False) as kept:
        systems = {
            name: [kept[f"{song.song.name}/{name}"] for song in songs]
            for name in ("model", "constant")
        }
    systems |= baselines(songs, preset(options.preset), options.folds)
    figures = {}
    for corpus in corpora:
        members = [i for i, song in enumerate(songs) if song.song in corpus.songs]
        own = {name: [curves[i] for i in members] for name, curves in systems.items()}
        figures[corpus.name] = compare([songs[i] for i in members], own)
        show(corpus.name, len(members), figures[corpus.name])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def baselines(songs: list[LabelledRows], chosen: Preset, folds: int) -> dict[str, Curves]:
    """What each baseline says of every song, fitted without it and its series."""
    found: dict[str, Curves] = {}
    for test in tqdm(fold_sets(songs, folds), "folds", disable=None):
        held = set(test.tolist())
        training, _ = standard([s for i, s in enumerate(songs) if i not in held], chosen, None)
        inside = moments_of([s for i, s in enumerate(songs) if i not in held], chosen)
        tested, _ = standard([songs[i] for i in test], chosen, inside)
        for name, fit in SYSTEMS.items():
            predict = fit(training) if fit is not lstm else lstm(training, chosen)
            curves = found.setdefault(name, [np.empty((0, 2))] * len(songs))
            for i, song in zip(test, tested, strict=True):
                curves[i] = np.clip(predict(song.rows), -1, 1)
    return found


def moments_of(songs: list[LabelledRows], chosen: Preset) -> tuple[Any, Any]:
    seen = [
        LabelledRows(s.song, in_context(s.rows, chosen.contexts, chosen.listener), s.labels)
        for s in songs
    ]
    return moments(seen)


def standard(
    songs: list[LabelledRows], chosen: Preset, known: tuple[Any, Any] | None
) -> tuple[list[LabelledRows], tuple[Any, Any]]:
    """The songs as the networks see them: in context, standardised."""
    mean, deviation = known or moments_of(songs, chosen)
    inputs = [
        standardise(
            in_context(s.rows, chosen.contexts, chosen.listener), mean, deviation, chosen.limit
        )
        for s in songs
    ]
    pairs = zip(songs, inputs, strict=True)
    return [LabelledRows(s.song, x, s.labels) for s, x in pairs], (mean, deviation)


def single_rows(fit: Callable[[Any, Any], Any]) -> Fit:
    """A regression of single rows, for each dimension."""

    def fitted(songs: list[LabelledRows]) -> Any:
        rows = [song.rows for song in songs]
        models = [fit(*labelled(rows, [s.labels[:, d] for s in songs])) for d in (0, 1)]
        return lambda x: np.column_stack([model.predict(x) for model in models])

    return fitted


def lstm(songs: list[LabelledRows], chosen: Preset) -> Any:
    """An LSTM a dimension, stopped on the first of the preset's validation sets."""
    rng = np.random.default_rng(0)
    sets = validation_sets([s.song for s in songs], chosen.partitions, chosen.share, rng)
    held = set(sets[0].tolist())
    outside = [s for i, s in enumerate(songs) if i not in held]
    inside = [songs[i] for i in sorted(held)]
    networks = []
    for d in (0, 1):
        start = initial_lstm(songs[0].rows.shape[1], chosen.layers, chosen.units, rng)
        data = (sequences(part, d, SCALE, chosen.balance) for part in (outside, inside))
        networks.append(train(start, *data, chosen.settings, rng)[0])

    def predict(x: NDArray[np.float32]) -> NDArray[np.float64]:
        curves = [stitch(forward(network, cut(x, SCALE)), len(x))[:, 0] for network in networks]
        return np.column_stack(curves).astype(np.float64)

    return predict


def svr(x: Any, y: Any) -> Any:
    return fit_svr(x, y, cost=0.3, gamma=0.1 / x.shape[1], epsilon=0.1)


def boosting(x: Any, y: Any) -> Any:
    return HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.05, max_leaf_nodes=15, random_state=0
    ).fit(x, y)


SYSTEMS: dict[str, Any] = {
    "MLR": single_rows(lambda x, y: fit_mlr(x, y, ridge=0.0)),
    "ridge": single_rows(lambda x, y: fit_mlr(x, y, ridge=1e4)),
    "SVR-RBF": single_rows(svr),
    "boosting": single_rows(boosting),
    "LSTM": lstm,
}


def compare(songs: list[LabelledRows], systems: dict[str, Curves]) -> dict[str, Any]:
    """Every system's figures with intervals, and the model's less each other's."""
    found: dict[str, Any] = {}
    for d, dimension in enumerate(DIMENSIONS):
        labels = [song.labels[:, d] for song in songs]
        own = {name: [curve[:, d] for curve in curves] for name, curves in systems.items()}
        found[dimension] = {
            name: {
                "figures": measures(labels, curves),
                "model less this": differences(labels, own["model"], curves),
            }
            for name, curves in own.items()
        }
    return found


def show(corpus: str, count: int, figures: dict[str, Any]) -> None:
    print(f"\n{corpus}: {count} songs; figure, and the model's less this [95 % over songs]")
    for dimension in DIMENSIONS:
        print(f"\n{dimension:10}{'RMSE by song':>26}{'CCC':>26}{'CCC by song':>26}")
        for name, row in figures[dimension].items():
            cells = ""
            for key in ("rmse_songs", "ccc", "ccc_songs"):
                gap = row["model less this"][key]
                apart = f" [{gap.low:+.3f}, {gap.high:+.3f}]" if name != "model" else ""
                cells += f"{row['figures'][key].value:7.3f}{apart:19}"
            print(f"{name:10}{cells}")


if __name__ == "__main__":
    main()
