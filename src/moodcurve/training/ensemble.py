"""Train a whole model: networks at every scale and partition, and the ELM that fuses them.

For each dimension, each scale and each partition one network is trained on the songs outside the
partition's validation set, and stopped early on that set (paper, section 3.2). The networks of one
partition are a group. The ELM learns from what each group says about its own validation songs,
which it was not trained on (section 3.4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from moodcurve.corpora.folder import Corpus
from moodcurve.corpora.rows import LabelledRows, labelled_rows
from moodcurve.elm import ELMRegressor
from moodcurve.errors import InputError
from moodcurve.features import FEATURE_NAMES, WINDOW
from moodcurve.fusion import supervectors
from moodcurve.metrics import rmse
from moodcurve.model import DIMENSIONS, Fusion, Model
from moodcurve.network import Array, Network
from moodcurve.predict import scale_outputs
from moodcurve.sequences import cut, pad
from moodcurve.training.loop import Sequences, one_thread, train
from moodcurve.training.network import initial_network
from moodcurve.training.partitions import Indices, validation_sets
from moodcurve.training.presets import SCALES, Preset
from moodcurve.workers import in_processes

UNKNOWN_LICENCE = "not stated; the terms of the training data may apply"


@dataclass(frozen=True)
class Job:
    """One network to train: dimension 0 or 1, scale in half-seconds, number of the partition."""

    dimension: int
    scale: int
    partition: int


def train_model(corpora: Sequence[Corpus], preset: Preset, name: str) -> Model:
    """Train on the songs of several corpora; see `train_on_songs`.

    Raises InputError for a corpus given twice: its songs would be trained and validated on.
    """
    folders = [corpus.folder.resolve() for corpus in corpora]
    for folder in folders:
        if folders.count(folder) > 1:
            raise InputError(f"{folder}: given twice; name each corpus once")
    songs = labelled_rows([song for corpus in corpora for song in corpus.songs])
    return train_on_songs(songs, preset, name, [corpus.name for corpus in corpora])


def train_on_songs(
    songs: Sequence[LabelledRows],
    preset: Preset,
    name: str,
    corpora: Sequence[str],
    licence: str = UNKNOWN_LICENCE,
    seed: int = 0,
) -> Model:
    """Train a model, one network a process at a time, as many at once as there are cores.

    The same seed gives the same model whatever the number of processes. `corpora` are named in
    the manifest. Raises InputError where the songs are too few for the preset's partitions.
    """
    mean, deviation = moments(songs)
    deviation[[FEATURE_NAMES.index(name) for name in preset.left_out]] = np.inf
    model = Model(SCALES, WINDOW, mean, deviation, preset.limit, {}, {})
    standard = [LabelledRows(s.song, model.standardise(s.rows), s.labels) for s in songs]
    rng = np.random.default_rng(seed)
    sets = validation_sets([s.song for s in songs], preset.partitions, preset.share, rng)
    jobs = [Job(d, scale, p) for scale in SCALES[::-1] for d in (0, 1) for p in range(len(sets))]
    networks = dict(_train_all(jobs, standard, sets, preset, seed))
    fusions, figures = {}, {}
    for d, dimension in enumerate(DIMENSIONS):
        groups = tuple(
            tuple(networks[Job(d, scale, p)] for scale in SCALES) for p in range(len(sets))
        )
        fusions[dimension], figures[dimension] = _fuse(d, groups, standard, sets, preset, seed)
    labels = np.concatenate([s.labels for s in songs])
    about = {
        "name": name,
        "licence": licence,
        "training": {
            "corpora": list(corpora),
            "songs": len(songs),
            "labelled_rows": int((~np.isnan(labels[:, 0])).sum()),
            "constant": [round(float(v), 6) for v in np.nanmean(labels, axis=0)],
            "validation_rmse": figures,
        },
        "figures": {},
    }
    return Model(SCALES, WINDOW, mean, deviation, preset.limit, fusions, about)


def learned(model: Model) -> str:
    """What training has come to, as text: the validation error of each part of the model."""
    training = model.about["training"]
    errors = training["validation_rmse"]
    lines = [
        f"{training['songs']} songs, {training['labelled_rows']} labelled half-seconds; "
        "RMSE on songs held out for validation:",
        f"{'':14}{'valence':>9}{'arousal':>9}",
    ]
    for system in errors[DIMENSIONS[0]]:
        cells = "".join(f"{errors[dimension][system]:9.3f}" for dimension in DIMENSIONS)
        lines.append(f"  {system:12}{cells}")
    lines.append(
        "(the networks were stopped, and the fusion was fitted, on these songs:\n"
        "measure on others with `moodcurve evaluate`)"
    )
    return "\n".join(lines)


def moments(songs: Sequence[LabelledRows]) -> tuple[Array, Array]:
    """Mean and standard deviation of each feature over the labelled rows; a constant one has 1."""
    rows = np.concatenate([s.rows[~np.isnan(s.labels[:, 0])] for s in songs], dtype=np.float64)
    deviation = rows.std(axis=0)
    deviation[deviation < 1e-12] = 1.0
    return rows.mean(axis=0).astype(np.float32), deviation.astype(np.float32)


# What the jobs of a worker process have in common; set once as it starts.
_shared: tuple[Sequence[LabelledRows], Sequence[Indices], Preset, int]


def _start(*shared: Any) -> None:
    global _shared
    _shared = shared
    one_thread()


def _train_all(
    jobs: Sequence[Job],
    songs: Sequence[LabelledRows],
    sets: Sequence[Indices],
    preset: Preset,
    seed: int,
) -> Iterator[tuple[Job, Network]]:
    networks = in_processes(_train_one, jobs, _start, (songs, sets, preset, seed))
    bar = tqdm(networks, "training", len(jobs), unit=" networks", disable=None, leave=False)
    yield from zip(jobs, bar, strict=True)


def _train_one(job: Job) -> Network:
    songs, sets, preset, seed = _shared
    rng = np.random.default_rng([seed, job.dimension, job.scale, job.partition])
    held = set(sets[job.partition].tolist())
    training = [song for number, song in enumerate(songs) if number not in held]
    validation = [songs[number] for number in sorted(held)]
    start = initial_network(songs[0].rows.shape[1], preset.layers, preset.units, rng, preset.sigma)
    network, _ = train(
        start,
        sequences(training, job.dimension, job.scale),
        sequences(validation, job.dimension, job.scale),
        preset.settings,
        rng,
    )
    return network


def sequences(songs: Sequence[LabelledRows], dimension: int, scale: int) -> Sequences:
    """Cut songs into sequences of `scale` half-seconds; those without any label are left out.

    A song shorter than that is one sequence, padded and masked.
    """
    rows, labels = [], []
    for song in songs:
        pieces = cut(song.rows, scale)
        targets = cut(song.labels[:, dimension : dimension + 1], scale)
        labelled = ~np.isnan(targets).all(axis=(1, 2))
        rows += list(pieces[labelled])
        labels += list(targets[labelled])
    inputs, mask = pad(rows, scale)
    return Sequences(inputs, pad(labels, scale)[0], mask)


def _fuse(
    dimension: int,
    groups: tuple[tuple[Network, ...], ...],
    songs: Sequence[LabelledRows],
    sets: Sequence[Indices],
    preset: Preset,
    seed: int,
) -> tuple[Fusion, dict[str, float]]:
    """Train the ELM on each group's outputs for its own validation songs.

    Returns the fusion and the validation RMSE: of each scale, of the fusion, of the constant.
    """
    vectors, outputs, labels = [], [], []
    for group, members in zip(groups, sets, strict=True):
        for number in members:
            song = songs[number]
            found = scale_outputs(group, SCALES, song.rows)
            labelled = ~np.isnan(song.labels[:, dimension])
            vectors.append(supervectors(found)[labelled])
            outputs.append(found.T[labelled])
            labels.append(song.labels[labelled, dimension])
    x, o, y = np.concatenate(vectors), np.concatenate(outputs), np.concatenate(labels)
    elm = ELMRegressor(preset.elm_nodes, preset.elm_ridge, random_state=seed).fit(x, y)
    figures = {f"scale {scale}": rmse(y, o[:, s]) for s, scale in enumerate(SCALES)}
    figures["fused"] = rmse(y, elm.predict(x))
    figures["constant"] = rmse(y, np.full_like(y, y.mean()))
    fusion = Fusion(groups, *(a.astype(np.float32) for a in (elm.weights_, elm.bias_, elm.beta_)))
    return fusion, {key: round(float(value), 4) for key, value in figures.items()}
