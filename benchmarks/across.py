"""What a choice is worth across kinds of music: trained on one corpus, tested on the other.

    python benchmarks/across.py CORPUS CORPUS [--row NAME] [--json FILE]

Two corpora of other music, other recordings and other listeners: what holds from one to the other
may hold for a user's songs. The five networks of scale 30 are trained on one corpus, each stopped
on its own partition of it, and their mean is the curve of the other's songs; no fusion. Without
--row, all rows: some ten minutes on one core, and five more to hear the songs otherwise. Level and
spread of labels differ between corpora, so r says more here than RMSE. One thread.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm
from variations import varied

from moodcurve.corpora.folder import read_corpus
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.features import FEATURE_NAMES
from moodcurve.metrics import ccc, pearson_r, rmse
from moodcurve.model import DIMENSIONS
from moodcurve.network import Array, forward
from moodcurve.sequences import cut, stitch
from moodcurve.training.ensemble import (
    also_listener_only,
    partitions,
    sequences,
    without_networks,
)
from moodcurve.training.loop import one_thread, train
from moodcurve.training.network import initial_network
from moodcurve.training.presets import Preset, preset
from moodcurve.workers import in_processes

SCALE = 30  # half-seconds
DEFAULT = preset("default")


@dataclass(frozen=True)
class Row:
    """What is changed: the preset, a song's standardised inputs, the songs trained on."""

    preset: Preset = DEFAULT
    seen: Callable[[Array], Array] = lambda inputs: inputs
    copies: bool = False


def without(*parts: str) -> Row:
    """The official features whose names hold one of the parts left out."""
    names = [name for name in FEATURE_NAMES if any(part in name for part in parts)]
    return Row(replace(DEFAULT, left_out=tuple({*DEFAULT.left_out, *names})))


def trained(**changed: float | str) -> Row:
    return Row(replace(DEFAULT, settings=replace(DEFAULT.settings, **changed)))


def by_song(inputs: Array) -> Array:
    """The official features less the song's mean, over its deviation; the others as they are."""
    own = inputs[:, : len(FEATURE_NAMES)]
    normal = (own - own.mean(axis=0)) / (own.std(axis=0) + 0.1)
    return np.hstack([normal, inputs[:, len(FEATURE_NAMES) :]])


ROWS = {
    "default": Row(),
    "without harmony": Row(replace(DEFAULT, contexts=())),
    "without the listener": Row(replace(DEFAULT, listener=(), listener_only=0.0)),
    "listener only": Row(replace(DEFAULT, contexts=(), left_out=FEATURE_NAMES)),
    "harmony and listener only": without(""),
    "without MFCCs": without("mfcc"),
    "without MFCCs and auditory bands": without("mfcc", "audSpec_Rfilt"),
    "without voice's features": without("F0", "voicing", "jitter", "shimmer", "HNR"),
    "without slopes": without("_de_"),
    "without deviations": without("_stddev"),
    "features normal in each song": Row(seen=by_song),
    "two layers": Row(replace(DEFAULT, layers=2)),
    "16 units": Row(replace(DEFAULT, units=16)),
    "64 units": Row(replace(DEFAULT, units=64)),
    "input noise 0.3": trained(noise=0.3),
    "input noise 1.0": trained(noise=1.0),
    "weight decay 0.1": trained(weight_decay=0.1),
    "loss: 1 - CCC": trained(error="ccc"),
    "a network for each dimension": Row(replace(DEFAULT, joint=False)),
    "every half-second counts alike": Row(replace(DEFAULT, balance=0.0)),
    "every song counts alike": Row(replace(DEFAULT, balance=1.0)),
    "a varied copy of each song": Row(copies=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs=2, type=Path)
    parser.add_argument("--row", choices=[*ROWS], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    one_thread()
    corpora = [read_corpus(folder) for folder in options.corpora]
    songs = [labelled_rows(corpus.songs) for corpus in corpora]
    rows = {options.row: ROWS[options.row]} if options.row else ROWS
    copies: list[list[LabelledRows]] = [[], []]
    if any(row.copies for row in rows.values()):
        copies = [list(tqdm(in_processes(varied, s), "copies", len(s))) for s in songs]
    names = [corpus.name for corpus in corpora]
    titles = [f"{a} to {b}" for a, b in (names, names[::-1])]
    print("five networks of one scale, trained on one corpus, tested on the other\n")
    print(f"{'':32}{titles[0]:^24}{titles[1]:^24}\n{'':32}" + f"{'valence':^12}{'arousal':^12}" * 2)
    print(f"{'':32}" + f"{'RMSE':>6}{'r':>6}" * 4)
    kept = {}
    for name, row in rows.items():
        ways = [figures(row, songs[a], copies[a], songs[b]) for a, b in ((0, 1), (1, 0))]
        kept[name] = dict(zip(titles, ways, strict=True))
        cells = [f"{way[d][0]:6.3f}{way[d][2]:6.2f}" for way in ways for d in DIMENSIONS]
        print(f"{name:32}{''.join(cells)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def figures(
    row: Row,
    training: Sequence[LabelledRows],
    copies: Sequence[LabelledRows],
    test: Sequence[LabelledRows],
) -> dict[str, list[float]]:
    """RMSE, CCC and r of both dimensions on the test songs, half-seconds pooled."""
    model = without_networks(training, row.preset)

    def seen(songs: Sequence[LabelledRows]) -> list[LabelledRows]:
        return [replace(song, rows=row.seen(model.inputs(song.rows))) for song in songs]

    whose = (None,) if row.preset.joint else (0, 1)
    own, others = seen(training), seen(copies) if row.copies else []
    curves = [mean_curves(row.preset, d, own, others, seen(test)) for d in whose]
    said = np.hstack(curves)
    labels = np.concatenate([song.labels for song in test]).astype(np.float64)
    there = ~np.isnan(labels[:, 0])
    return {
        dimension: [float(f(labels[there, d], said[there, d])) for f in (rmse, ccc, pearson_r)]
        for d, dimension in enumerate(DIMENSIONS)
    }


def mean_curves(
    chosen: Preset,
    dimension: int | None,
    songs: Sequence[LabelledRows],
    copies: Sequence[LabelledRows],
    test: Sequence[LabelledRows],
) -> NDArray[np.float64]:
    """What the networks of all partitions say of the test songs, (n, 1) or, of None, (n, 2)."""
    total = np.float64(0)
    sets = partitions([s.song for s in songs], chosen, np.random.default_rng(0))
    for number, members in enumerate(sets):
        held, rng = set(members.tolist()), np.random.default_rng([0, number])
        outside = [s for whole in (songs, copies) for i, s in enumerate(whole) if i not in held]
        outside = list(also_listener_only(outside, chosen))
        inside = [songs[i] for i in sorted(held)]
        outputs = 2 if dimension is None else 1
        features = songs[0].rows.shape[1]
        start = initial_network(features, chosen.layers, chosen.units, rng, chosen.sigma, outputs)
        data = (sequences(part, dimension, SCALE, chosen.balance) for part in (outside, inside))
        network, _ = train(start, *data, chosen.settings, rng)
        curves = [stitch(forward(network, cut(s.rows, SCALE)), len(s.rows)) for s in test]
        total = total + np.concatenate(curves, dtype=np.float64) / len(sets)
    return total


if __name__ == "__main__":
    main()
