"""One piece of the experiment's work: a network or a regression to train, a file to write.

A job's file holds what was trained and what it says of every song that it may be asked about, so
that the tables are made from files alone. Jobs know nothing of one another, except that a network
with pretrained layers begins with its autoencoder's. They may be done on machines that do not see
the run's folder; what they come to is written by the one that does.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from moodcurve.corpora.rows import LabelledRows
from moodcurve.files import replacing
from moodcurve.model import DIMENSIONS
from moodcurve.network import Network, from_arrays, to_arrays
from moodcurve.predict import scale_outputs
from moodcurve.reproduce.recipes import Recipe
from moodcurve.reproduce.split import Material
from moodcurve.training.baselines import MLR_GRID, SVR_GRID, fit_mlr, fit_svr, labelled, tune
from moodcurve.training.ensemble import sequences
from moodcurve.training.loop import train
from moodcurve.training.network import initial_lstm, initial_network, initial_rnn
from moodcurve.training.pretraining import autoencoder, to_denoise, with_pretrained

Values = np.ndarray


@dataclass(frozen=True)
class NetworkJob:
    """One network to train.

    Attributes:
        family: "autoencoder", "blstm", "lstm" or "rnn".
        layers, units, scale: its size, and the length of its sequences in half-seconds.
        dimension: 0 valence, 1 arousal; None for an autoencoder.
        partition: whose validation set stops it; None for an autoencoder.
        trial: which of several, alike but for their random numbers.
        without: the partition whose validation songs are kept from it (nested variant); or None.
        pretraining: the set that its lower layers, or the autoencoder, learn from; or None.
    """

    family: str
    layers: int
    units: int
    scale: int
    dimension: int | None = None
    partition: int | None = None
    trial: int = 0
    without: int | None = None
    pretraining: str | None = None

    @property
    def name(self) -> str:
        """The name of its file, and what its random numbers come from."""
        parts = [self.family, f"{self.layers}x{self.units}", f"T{self.scale}"]
        if self.dimension is not None:
            parts += [DIMENSIONS[self.dimension], f"p{self.partition}", f"t{self.trial}"]
        if self.without is not None:
            parts.append(f"without{self.without}")
        return "-".join([*parts, *([self.pretraining] if self.pretraining else [])])


@dataclass(frozen=True)
class RegressionJob:
    """A regression on single rows to tune and fit: family "mlr" or "svr"."""

    family: str
    dimension: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.family}-{DIMENSIONS[self.dimension]}"


Job = NetworkJob | RegressionJob


def path_of(job: Job, run: Path) -> Path:
    """The file of a job in the folder of a run."""
    return run / "networks" / f"{job.name}.npz"


def checkpoint_of(job: Job, run: Path) -> Path:
    """The file of a job under way."""
    return run / "under_way" / f"{job.name}.npz"


class Task(NamedTuple):
    """A job, and the network that its pretrained layers come from, if any."""

    job: Job
    pretrained: Network | None

    def __str__(self) -> str:
        return self.job.name


class Done(NamedTuple):
    """What a job has come to: the arrays of its file, the lines of its log."""

    arrays: dict[str, Values]
    log: Sequence[Mapping[str, Any]]


def task(job: Job, recipe: Recipe, run: Path) -> Task:
    """What must be known to do a job; reads its autoencoder's file, which must be there."""
    if isinstance(job, NetworkJob) and job.pretraining and job.family != "autoencoder":
        return Task(job, network_of(autoencoder_of(job, recipe), run))
    return Task(job, None)


def do(task: Task, material: Material, recipe: Recipe, run: Path | None, seed: int) -> Done:
    """Do a job.

    With a `run`, a network that was under way when the run was killed goes on from its last whole
    epoch, and can be gone on with.
    """
    job = task.job
    rng = np.random.default_rng([seed, crc32(job.name.encode())])
    if isinstance(job, RegressionJob):
        return _regress(job, material, recipe)
    checkpoint = checkpoint_of(job, run) if run else None
    return _train(job, task.pretrained, material, recipe, checkpoint, rng)


def write(job: Job, done: Done, run: Path) -> None:
    """Write a job's log, then its file: where that is, the job is done."""
    path = path_of(job, run)
    with replacing(path.with_suffix(".jsonl")) as part:
        part.write_text("".join(json.dumps(line) + "\n" for line in done.log), encoding="utf-8")
    with replacing(path) as part:
        np.savez(part, allow_pickle=False, **done.arrays)
    checkpoint_of(job, run).unlink(missing_ok=True)


def network_of(job: NetworkJob, run: Path) -> Network:
    """Read the network that a job has trained."""
    with np.load(path_of(job, run), allow_pickle=False) as file:
        names = [name for name in file.files if name.startswith("network/")]
        return from_arrays({name.removeprefix("network/"): file[name] for name in names})


def _train(
    job: NetworkJob,
    pretrained: Network | None,
    material: Material,
    recipe: Recipe,
    checkpoint: Path | None,
    rng: np.random.Generator,
) -> Done:
    features = material.mean.shape[0]
    start = _initial(job, features, recipe.preset.sigma, rng)
    if job.dimension is None or job.partition is None:
        songs = material.pretraining[str(job.pretraining)]
        network, log = train(
            start, to_denoise(songs, job.scale), None, recipe.pretraining, rng, None, checkpoint
        )
        predictions = {}
    else:
        if pretrained:
            start = with_pretrained(start, pretrained)
        network, log = train(
            start,
            sequences(training_songs(job, material), job.dimension, job.scale),
            sequences(_members(material, job.partition), job.dimension, job.scale),
            recipe.preset.settings if job.family == "blstm" else recipe.baseline,
            rng,
            None,
            checkpoint,
        )
        say = partial(_say, network, job.scale)
        predictions = _predictions(say, material, job.partition, job.without)
    named = {f"network/{key}": array for key, array in to_arrays(network).items()}
    return Done({**named, **predictions}, log)


def autoencoder_of(job: NetworkJob, recipe: Recipe) -> NetworkJob:
    """The job that a network's pretrained layers come from."""
    layers = recipe.pretrained_layers
    return NetworkJob("autoencoder", layers, job.units, job.scale, pretraining=job.pretraining)


def training_songs(job: NetworkJob, material: Material) -> list[LabelledRows]:
    """What a network is trained on: the songs in neither of the sets that are kept from it."""
    held: set[int] = set()
    for partition in (job.partition, job.without):
        if partition is not None:
            held |= set(material.validation[partition].tolist())
    return [song for number, song in enumerate(material.development) if number not in held]


def _initial(job: NetworkJob, features: int, sigma: float, rng: np.random.Generator) -> Network:
    if job.family == "autoencoder":
        return autoencoder(features, job.layers, job.units, rng, sigma)
    if job.family == "lstm":
        return initial_lstm(features, job.layers, job.units, rng, sigma)
    if job.family == "rnn":
        return initial_rnn(features, job.units, rng, sigma)
    return initial_network(features, job.layers, job.units, rng, sigma)


def _members(material: Material, partition: int) -> list[LabelledRows]:
    return [material.development[number] for number in material.validation[partition]]


def _say(network: Network, scale: int, rows: Values) -> Values:
    curve: Values = scale_outputs((network,), (scale,), rows)[0]
    return curve


def _predictions(
    say: Any, material: Material, partition: int | None, without: int | None
) -> dict[str, Values]:
    """What was trained says of each set's songs, one after the other, as float32."""
    sets: dict[str, Sequence[LabelledRows]] = {"test": material.test}
    if partition is not None:
        sets["validation"] = _members(material, partition)
    if without is not None:
        sets["without"] = _members(material, without)
    return {
        name: np.concatenate([say(song.rows) for song in songs]).astype(np.float32)
        for name, songs in sets.items()
    }


def _regress(job: RegressionJob, material: Material, recipe: Recipe) -> Done:
    rows = [song.rows for song in material.development]
    labels = [song.labels[:, job.dimension] for song in material.development]
    grid: Sequence[Mapping[str, Any]] = MLR_GRID
    fit: Any = fit_mlr
    if job.family == "svr":
        grid, fit = SVR_GRID, partial(fit_svr, most_rows=recipe.svr_rows)
    chosen, errors = tune(fit, grid, rows, labels, material.validation)
    fitted = fit(*labelled(rows, labels), **chosen)
    log = [
        {**point, "mean_squared_error": error, "chosen": point == chosen}
        for point, error in zip(grid, errors, strict=True)
    ]
    arrays = {**fitted.to_arrays(), **_predictions(fitted.predict, material, None, None)}
    return Done(arrays, log)
