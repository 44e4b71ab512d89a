"""Make a corpus of emoMusic's songs: labels that are true, listener's numbers that are guessed.

    python tools/imputed_corpus.py emomusic.npz pairs.npz FOLDER [--weight W]

The audio of emoMusic's songs is not to be had, but 160 numbers of another network about each are
(compact_cnn, Choi et al. 2017), published with their labels. `pairs.npz` has both networks'
numbers of other music, window by window (`compact`, `musicnn`, and `song`). From these, kernel
ridge regression learns to say the listener's numbers from the other network's, and says them of
emoMusic's songs. Prints how well that does on pairs of songs left out, and writes FOLDER as a
corpus for `moodcurve train`: `rows.csv`, `static.csv`, and `songs.csv` with the songs' weight.
"""

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from moodcurve.features import LISTENER_NAMES

Float64 = NDArray[np.float64]
LIMIT = 6.0  # deviations beyond which a number of the other network is cut
FOLDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("songs", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weight", type=float, default=1.0, help="of each song in training")
    options = parser.parse_args()
    with np.load(options.pairs) as pairs, np.load(options.songs) as songs:
        known, heard = pairs["compact"].astype(float), pairs["musicnn"].astype(float)
        mean, deviation = known.mean(axis=0), known.std(axis=0) + 1e-9
        groups = np.char.partition(pairs["song"], "/")[:, 0]
        for name, model in (("ridge", Ridge(300.0)), ("kernel ridge", kernel_ridge())):
            for kind, labels in (("songs", pairs["song"]), ("packages", groups)):
                x = standard(known, mean, deviation)
                print(f"{name}, {kind} left out: R2 {explained(model, x, heard, labels):.2f}")
        model = kernel_ridge().fit(standard(known, mean, deviation), heard - heard.mean(axis=0))
        guessed = model.predict(standard(songs["compact"].astype(float), mean, deviation))
        guessed += heard.mean(axis=0)
        names = [f"emomusic_{number}" for number in songs["song"]]
        labels = np.column_stack([songs["valence"], songs["arousal"]])
    options.folder.mkdir(parents=True, exist_ok=True)
    write(options.folder / "rows.csv", LISTENER_NAMES, names, guessed)
    write(options.folder / "static.csv", ("valence", "arousal"), names, labels)
    write(
        options.folder / "songs.csv", ("weight",), names, np.full((len(names), 1), options.weight)
    )
    print(f"wrote {options.folder}: {len(names)} songs")


def kernel_ridge() -> KernelRidge:
    """Its strength and width were chosen by the figures that `main` prints."""
    return KernelRidge(kernel="rbf", gamma=0.15 / 160, alpha=0.1)


def standard(x: Float64, mean: Float64, deviation: Float64) -> Float64:
    out: Float64 = np.clip((x - mean) / deviation, -LIMIT, LIMIT)
    return out


def explained(model: Any, x: Float64, y: Float64, groups: NDArray[np.str_]) -> float:
    """Share of the variance of all numbers together that is explained of groups left out."""
    error = 0.0
    for training, test in GroupKFold(min(FOLDS, len(set(groups)))).split(x, groups=groups):
        mean = y[training].mean(axis=0)
        said = model.fit(x[training], y[training] - mean).predict(x[test]) + mean
        error += float(np.square(y[test] - said).sum())
    return 1 - error / float(np.square(y - y.mean(axis=0)).sum())


def write(path: Path, columns: Iterable[str], names: list[str], values: NDArray[Any]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["song", *columns])
        writer.writerows(
            [name, *(f"{value:.6g}" for value in row)]
            for name, row in zip(names, values, strict=True)
        )


if __name__ == "__main__":
    main()
