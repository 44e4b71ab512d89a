"""One piece of the experiment's work: a network or a regression to train, a file to write.

A job's file holds what was trained and what it says of every song that it may be asked about, so
that the tables are made from files alone. Jobs know nothing of one another, except that a network
with pretrained layers begins with its autoencoder's, and that networks alike are trained at once,
which changes what each comes to by no more than rounding. They may be done on machines that do not
see the run's folder; what they come to is written by the one that does.
"""

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile, is_zipfile
from zlib import crc32

import numpy as np

from moodcurve.corpora.rows import LabelledRows
from moodcurve.errors import InputError
from moodcurve.files import replacing
from moodcurve.model import DIMENSIONS
from moodcurve.network import Network, from_arrays, to_arrays
from moodcurve.predict import scale_outputs
from moodcurve.reproduce.recipes import Recipe
from moodcurve.reproduce.split import Material
from moodcurve.training import loop
from moodcurve.training.baselines import MLR_GRID, SVR_GRID, fit_mlr, fit_svr, labelled, tune
from moodcurve.training.batches import Sequences
from moodcurve.training.checkpoint import Epoch
from moodcurve.training.devices import device_of
from moodcurve.training.ensemble import sequences
from moodcurve.training.loop import Settings, train_many
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
    """Jobs to do at once, and the network that their pretrained layers come from, if any.

    They are alike, see `kind`.
    """

    jobs: tuple[Job, ...]
    pretrained: Network | None

    def __str__(self) -> str:
        first, *others = self.jobs
        return f"{first.name} and {len(others)} like it" if others else first.name


class Done(NamedTuple):
    """What a job has come to: the arrays of its file, the lines of its log."""

    arrays: dict[str, Values]
    log: Sequence[Mapping[str, Any]]


def kind(job: Job) -> Hashable:
    """What jobs that are done at once have in common: of networks shape, settings and pretraining.

    A regression is done alone.
    """
    if isinstance(job, RegressionJob):
        return job
    return job.family, job.layers, job.units, job.scale, job.pretraining


def task(jobs: tuple[Job, ...], recipe: Recipe, run: Path) -> Task:
    """What must be known to do jobs alike; reads their autoencoder's file, which must be there."""
    first = jobs[0]
    if isinstance(first, NetworkJob) and first.pretraining and first.family != "autoencoder":
        return Task(jobs, network_of(autoencoder_of(first, recipe), run))
    return Task(jobs, None)


def do(
    task: Task, material: Material, recipe: Recipe, run: Path | None, device: str, seed: int
) -> list[Done]:
    """Do the jobs of a task, networks on a `device`, see `device_of`.

    With a `run`, a network that was under way when the run was killed goes on from its checkpoint,
    and can be gone on with.
    """
    regressions = [job for job in task.jobs if isinstance(job, RegressionJob)]
    if regressions:
        return [_regress(job, material, recipe) for job in regressions]
    networks = [job for job in task.jobs if isinstance(job, NetworkJob)]
    data = cache(partial(_data, material))
    started = []
    for job in networks:
        rng = np.random.default_rng([seed, crc32(job.name.encode())])
        start = _initial(job, material.mean.shape[0], recipe.preset.sigma, rng)
        if task.pretrained:
            start = with_pretrained(start, task.pretrained)
        checkpoint = checkpoint_of(job, run) if run else None
        own = data(replace(job, trial=0))  # which all trials share
        started.append(loop.Task(start, *own, rng, checkpoint=checkpoint))
    trained = train_many(started, settings_of(networks[0], recipe), device_of(device))
    return [_done(job, *found, material) for job, found in zip(networks, trained, strict=True)]


def write(job: Job, done: Done, run: Path) -> None:
    """Write a job's log, then its file: where that is, the job is done."""
    path = path_of(job, run)
    with replacing(path.with_suffix(".jsonl")) as part:
        part.write_text("".join(json.dumps(line) + "\n" for line in done.log), encoding="utf-8")
    with replacing(path) as part:
        np.savez(part, allow_pickle=False, **done.arrays)
    checkpoint_of(job, run).unlink(missing_ok=True)


def is_done(job: Job, run: Path) -> bool:
    """Whether a job's file is there, and not cut short, as by a power cut."""
    return is_zipfile(path_of(job, run))


@contextmanager
def written(job: Job, run: Path) -> Iterator[Mapping[str, Values]]:
    """The arrays that a job has written. Raises InputError where they are damaged."""
    path = path_of(job, run)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            yield file
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        what = "damaged; delete it, and the same command makes it again"
        raise InputError(f"{path}: {what}") from None


def given_up(job: Job, run: Path) -> str | None:
    """Why the training of a network was given up, if it was and its log is there and whole."""
    log = path_of(job, run).with_suffix(".jsonl")
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
        reason: str | None = json.loads(lines[-1]).get("stopped")
    except (OSError, ValueError, IndexError):
        return None
    return reason


def network_of(job: NetworkJob, run: Path) -> Network:
    """Read the network that a job has trained."""
    with written(job, run) as file:
        names = [name for name in file if name.startswith("network/")]
        return from_arrays({name.removeprefix("network/"): file[name] for name in names})


def autoencoder_of(job: NetworkJob, recipe: Recipe) -> NetworkJob:
    """The job that a network's pretrained layers come from."""
    layers = recipe.pretrained_layers
    return NetworkJob("autoencoder", layers, job.units, job.scale, pretraining=job.pretraining)


def settings_of(job: NetworkJob, recipe: Recipe) -> Settings:
    """How a network is trained."""
    if job.family == "autoencoder":
        return recipe.pretraining
    return recipe.preset.settings if job.family == "blstm" else recipe.baseline


def training_songs(job: NetworkJob, material: Material) -> list[LabelledRows]:
    """What a network is trained on: the songs in neither of the sets that are kept from it."""
    held: set[int] = set()
    for partition in (job.partition, job.without):
        if partition is not None:
            held |= set(material.validation[partition].tolist())
    return [song for number, song in enumerate(material.development) if number not in held]


def _data(material: Material, job: NetworkJob) -> tuple[Sequences, Sequences | None]:
    """What a network learns from, and what it is stopped on."""
    if job.dimension is None or job.partition is None:
        return to_denoise(material.pretraining[str(job.pretraining)], job.scale), None
    return (
        sequences(training_songs(job, material), job.dimension, job.scale),
        sequences(_members(material, job.partition), job.dimension, job.scale),
    )


def _done(job: NetworkJob, network: Network, log: Sequence[Epoch], material: Material) -> Done:
    arrays = {f"network/{key}": array for key, array in to_arrays(network).items()}
    if job.partition is not None:
        say = partial(_say, network, job.scale)
        arrays |= _predictions(say, material, job.partition, job.without)
    return Done(arrays, log)


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
