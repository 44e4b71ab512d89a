"""What each choice of the default model is worth: one of them changed, everything else alike.

    python benchmarks/cross_validation.py CORPUS... --predictions default.npz
    python benchmarks/ablation.py CORPUS... --against default.npz --row "without harmony"
    python benchmarks/ablation.py --list

Cross-validates the changed preset on the same folds (some ten minutes on two cores) and prints its
pooled figures and the paired difference to the default's, with 95 % intervals over songs: above 0
for the RMSE, or below for the CCC, the choice was right. Other fusions, single scales and curves
that are not smoothed cost nothing: they are, or come of, curves that cross-validation keeps.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cross_validation import cross_validate, fold_sets
from numpy.typing import NDArray

from moodcurve.corpora.folder import read_corpus
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.intervals import differences, measures
from moodcurve.model import DIMENSIONS
from moodcurve.training.presets import SCALES, Preset, preset

DEFAULT = preset("default")
ROWS: dict[str, Preset] = {
    "without harmony": replace(DEFAULT, contexts=()),
    "without the listener": replace(DEFAULT, listener=(), listener_only=0.0),
    "no copies with the listener only": replace(DEFAULT, listener_only=0.0),
    "harmony over 10 s only": replace(DEFAULT, contexts=(20,)),
    "with jitter, shimmer, fading derivatives": replace(DEFAULT, left_out=()),
    "a network for each dimension": replace(DEFAULT, joint=False),
    "every half-second counts alike": replace(DEFAULT, balance=0.0),
    "every song counts alike": replace(DEFAULT, balance=1.0),
    "two layers": replace(DEFAULT, layers=2),
    "64 units": replace(DEFAULT, units=64),
    "input noise 0.3": replace(DEFAULT, settings=replace(DEFAULT.settings, noise=0.3)),
    "input noise 1.0": replace(DEFAULT, settings=replace(DEFAULT.settings, noise=1.0)),
    "weight decay 0.1": replace(DEFAULT, settings=replace(DEFAULT.settings, weight_decay=0.1)),
    "no loss of the course": replace(DEFAULT, settings=replace(DEFAULT.settings, course=0.0)),
    "loss of the course times 10": replace(
        DEFAULT, settings=replace(DEFAULT.settings, course=10.0)
    ),
    "smoothed over 5 s": replace(DEFAULT, smoothing=11),
    "loss: 1 - CCC": replace(DEFAULT, settings=replace(DEFAULT.settings, error="ccc")),
}
KEPT: dict[str, tuple[str, ...]] = {  # by --against: the mean of these
    "fused by the ELM alone, not smoothed": ("ELM",),
    "average of scales, not smoothed": ("average of scales",),
    "not smoothed": ("ELM", "average of scales"),
    **{f"scale {scale} alone, not smoothed": (f"scale {scale}",) for scale in SCALES},
}
Curves = Sequence[NDArray[np.float64]]  # (n, 2) a song


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="*", type=Path)
    parser.add_argument("--row", choices=[*ROWS, *KEPT], metavar="ROW")
    parser.add_argument("--against", type=Path, help="the default's kept curves")
    parser.add_argument("--folds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--list", action="store_true", help="print the rows and stop")
    options = parser.parse_args()
    if options.list:
        print("\n".join([*ROWS, *KEPT]))
        return
    if not (options.corpora and options.row and options.against):
        parser.error("give the corpora, --row and --against (or --list)")
    corpora = [read_corpus(folder) for folder in options.corpora]
    songs = labelled_rows([song for corpus in corpora for song in corpus.songs])
    with np.load(options.against, allow_pickle=False) as file:
        kept = {
            name: [file[f"{song.song.name}/{name}"] for song in songs]
            for name in ("model", *KEPT.get(options.row, ()))
        }
    if options.row in KEPT:
        several = zip(*(kept[name] for name in KEPT[options.row]), strict=True)
        changed = [np.mean(curves, axis=0) for curves in several]
    else:
        changed = cross_validate(songs, ROWS[options.row], fold_sets(songs, options.folds))[0][
            "model"
        ]
    figures = {}
    for corpus in corpora:
        members = [i for i, song in enumerate(songs) if song.song in corpus.songs]
        own = [[curves[i] for i in members] for curves in (changed, kept["model"])]
        figures[corpus.name] = figures_of([songs[i] for i in members], *own)
        show(options.row, corpus.name, figures[corpus.name])
    if options.json:
        options.json.write_text(json.dumps({options.row: figures}, indent=1) + "\n")


def figures_of(songs: list[LabelledRows], changed: Curves, default: Curves) -> dict[str, Any]:
    """Figures of the changed model, and how much larger they are than the default's."""
    found = {}
    for d, dimension in enumerate(DIMENSIONS):
        labels = [song.labels[:, d] for song in songs]
        new, old = ([curve[:, d] for curve in curves] for curves in (changed, default))
        found[dimension] = {
            "figures": measures(labels, new),
            "less the default": differences(labels, new, old),
        }
    return found


def show(row: str, corpus: str, figures: dict[str, Any]) -> None:
    print(f"{row}, {corpus}")
    for dimension in DIMENSIONS:
        cells = ""
        for key in ("rmse", "ccc"):
            value = figures[dimension]["figures"][key].value
            gap = figures[dimension]["less the default"][key]
            cells += (
                f"  {key.upper()} {value:.3f} ({gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}])"
            )
        print(f"  {dimension:8}{cells}")


if __name__ == "__main__":
    main()
