"""What a choice is worth across kinds of music: tested on a corpus, trained on the others.

    python benchmarks/across.py CORPUS CORPUS... [--row NAME] [--json FILE]

Other music, other recordings and other listeners: what holds from some corpora to another may hold
for a user's songs. Every corpus with audio is left out once. The five networks of scale 30 are
trained on the others, each stopped on its own partition of them, and their mean is the curve of the
songs left out; no fusion, smoothed as the preset says. Without --row, all rows: a minute each on
one core. Level and spread of labels differ between corpora, so r says more here than RMSE. One
thread.
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

from moodcurve.context import listener_alone
from moodcurve.corpora.folder import read_corpus
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.features import FEATURE_NAMES
from moodcurve.fusion import recent_mean
from moodcurve.metrics import ccc, pearson_r, rmse
from moodcurve.model import DIMENSIONS
from moodcurve.network import Array, Network, forward
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
    "arousal by all inputs too": Row(replace(DEFAULT, by_listener=())),
    "both by the listener alone": Row(replace(DEFAULT, by_listener=DIMENSIONS)),
    "without the listener": Row(replace(DEFAULT, listener=(), listener_only=0, by_listener=())),
    "without harmony": Row(replace(DEFAULT, contexts=())),
    "harmony and listener only": without(""),
    "without MFCCs and auditory bands": without("mfcc", "audSpec_Rfilt"),
    "features normal in each song": Row(seen=by_song),
    "no copies with listener only": Row(replace(DEFAULT, listener_only=0.0)),
    "harmony over 10 and 30 s": Row(replace(DEFAULT, contexts=(20, 60))),
    "listener over 10 s and 2 minutes": Row(replace(DEFAULT, listener=(20, 240))),
    "no loss of the course": trained(course=0.0),
    "loss of the course times 10": trained(course=10.0),
    "two layers": Row(replace(DEFAULT, layers=2)),
    "64 units": Row(replace(DEFAULT, units=64)),
    "loss: 1 - CCC": trained(error="ccc"),
    "every half-second counts alike": Row(replace(DEFAULT, balance=0.0)),
    "a varied copy of each song": Row(copies=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--row", choices=[*ROWS], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    one_thread()
    corpora = [read_corpus(folder) for folder in options.corpora]
    songs = {corpus.name: labelled_rows(corpus.songs) for corpus in corpora}
    tested = [name for name, own in songs.items() if own[0].song.audio]
    rows = {options.row: ROWS[options.row]} if options.row else ROWS
    copies: dict[str, list[LabelledRows]] = {name: [] for name in songs}
    if any(row.copies for row in rows.values()):
        for name in tested:
            copies[name] = list(tqdm(in_processes(varied, songs[name]), "copies"))
    print("five networks of one scale, tested on one corpus, trained on the others\n")
    print(f"{'':32}" + "".join(f"{name[:22]:^24}" for name in tested))
    print(f"{'':32}" + f"{'valence':^12}{'arousal':^12}" * len(tested))
    print(f"{'':32}" + f"{'RMSE':>6}{'r':>6}" * 2 * len(tested))
    kept = {}
    for name, row in rows.items():
        kept[name] = {}
        for test in tested:
            training, varied_copies = (
                [song for corpus, own in kind.items() if corpus != test for song in own]
                for kind in (songs, copies)
            )
            kept[name][test] = figures(row, training, varied_copies, songs[test])
        found = [way[d] for way in kept[name].values() for d in DIMENSIONS]
        print(f"{name:32}" + "".join(f"{e:6.3f}{r:6.2f}" for e, _, r in found), flush=True)
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

    networks = trained_networks(row.preset, seen(training), seen(copies) if row.copies else [])
    labels = np.concatenate([song.labels for song in test]).astype(np.float64)
    there = ~np.isnan(labels[:, 0])
    found = {}
    for d, dimension in enumerate(DIMENSIONS):
        inputs = [song.rows for song in seen(test)]
        if dimension in row.preset.by_listener:
            inputs = [listener_alone(x, row.preset.listener) for x in inputs]
        said = np.concatenate([mean_curve(networks, d, x, row.preset.smoothing) for x in inputs])
        found[dimension] = [float(f(labels[there, d], said[there])) for f in (rmse, ccc, pearson_r)]
    return found


def trained_networks(
    chosen: Preset, songs: Sequence[LabelledRows], copies: Sequence[LabelledRows]
) -> list[Network]:
    """A network of both dimensions for each partition."""
    networks = []
    sets = partitions([s.song for s in songs], chosen, np.random.default_rng(0))
    for number, members in enumerate(sets):
        held, rng = set(members.tolist()), np.random.default_rng([0, number])
        inside = [songs[i] for i in sorted(held)]
        names = {song.song.name for song in inside}
        outside = [song for song in (*songs, *copies) if song.song.name not in names]
        outside = list(also_listener_only(outside, chosen))
        features = songs[0].rows.shape[1]
        start = initial_network(features, chosen.layers, chosen.units, rng, chosen.sigma, 2)
        data = (sequences(part, None, SCALE, chosen.balance) for part in (outside, inside))
        networks.append(train(start, *data, chosen.settings, rng)[0])
    return networks


def mean_curve(
    networks: Sequence[Network], output: int, inputs: Array, smoothing: int
) -> NDArray[np.float64]:
    """What the networks say of a song, on average and smoothed, (n,)."""
    said = [stitch(forward(one, cut(inputs, SCALE)), len(inputs))[:, output] for one in networks]
    return recent_mean(np.mean(said, axis=0, dtype=np.float64), smoothing)


if __name__ == "__main__":
    main()
