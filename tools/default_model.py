"""Train the model that ships and write it, with its figures, into the package.

    python tools/default_model.py vgmidi excerpts emomusic --check clips --figures FIGURES.json

`emomusic` is the corpus that `tools/imputed_corpus.py` writes.
The figures by cross-validation come from `benchmarks/cross_validation.py --json`; those on the
folder given by --check, which takes no part in training, are measured here.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from moodcurve.corpora.folder import read_corpus
from moodcurve.corpora.rows import labelled_rows
from moodcurve.evaluate import Figures, evaluate, table
from moodcurve.model import DIMENSIONS, save
from moodcurve.training.ensemble import train_on_songs
from moodcurve.training.presets import preset

BUNDLE = Path(__file__).parents[1] / "src" / "moodcurve" / "models" / "default"
NAMES = {
    "vgmidi": "VGMIDI (piano arrangements of game music, rendered with FluidR3)",
    "excerpts": "261 six-second excerpts of recordings in ten genres",
    "emomusic": "733 songs of emoMusic (labels theirs; the listener's numbers imputed, see "
    "tools/imputed_corpus.py)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--check", type=Path, required=True, help="corpus never trained on")
    parser.add_argument("--figures", type=Path, required=True)
    options = parser.parse_args()

    corpora = [read_corpus(folder) for folder in options.corpora]
    check = read_corpus(options.check)
    songs = labelled_rows([song for corpus in corpora for song in corpus.songs])
    model = train_on_songs(
        songs,
        preset("default"),
        "default",
        [NAMES.get(corpus.name, corpus.name) for corpus in corpora],
        licence="MIT",
    )
    measured = evaluate(model, check)
    print(table(measured))
    figures = {
        f"series-disjoint cross-validation on {name}, {found['songs']} songs": brief(found)
        for name, found in json.loads(options.figures.read_text(encoding="utf-8")).items()
    }
    figures[f"{check.name}, {measured['songs']} songs never trained on"] = brief(measured)
    save(replace(model, about={**model.about, "figures": figures}), BUNDLE)
    size = sum(file.stat().st_size for file in BUNDLE.iterdir()) / 1e6
    print(f"wrote {BUNDLE}: {size:.1f} MB")


def brief(figures: Figures) -> dict[str, dict[str, float]]:
    """Pooled RMSE and CCC of the model, and the RMSE of the constant predictor."""
    found = {}
    for dimension in DIMENSIONS:
        pooled = figures["systems"]["model"][dimension]["pooled"]
        constant = figures["systems"]["constant"][dimension]["pooled"]
        found[dimension] = {
            "RMSE": round(pooled["rmse"], 3),
            "RMSE of the constant predictor": round(constant["rmse"], 3),
            "r": round(pooled["r"], 3),
            "CCC": round(pooled["ccc"], 3),
        }
    return found


if __name__ == "__main__":
    main()
