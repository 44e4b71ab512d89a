"""What has to be trained for which table, and how long that takes."""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np

from moodcurve.corpora.folder import Song
from moodcurve.errors import InputError
from moodcurve.features import FEATURE_NAMES, HOP
from moodcurve.model import DIMENSIONS
from moodcurve.reproduce.jobs import (
    Job,
    NetworkJob,
    RegressionJob,
    autoencoder_of,
    kind,
    settings_of,
)
from moodcurve.reproduce.recipes import RECIPES, Recipe
from moodcurve.reproduce.split import PARTITIONS, TRAINING, WITH_TEST, Split
from moodcurve.training.batches import Sequences
from moodcurve.training.devices import GPU_AT_ONCE
from moodcurve.training.loop import Settings, one_thread, train
from moodcurve.training.network import initial_network
from moodcurve.training.presets import SCALES

#: What can be asked for, in the order in which it is made and shown.
TABLES = (
    "partitions",
    "constant",
    "search",
    "table1",
    "table2",
    "table3",
    "lengths",
    "measures",
    "tests",
    "nested",
)
#: Those that need labels only: no feature, no audio, nothing trained.
FROM_LABELS = ("partitions", "constant")
SEARCH_SCALE = 30  # a guess: the paper does not say at which scale it searched
BASELINE_SCALE = 60  # the recurrent baselines read a clip of the challenge in one piece
EVENING = 4 * 3600.0  # seconds
#: Networks alike that a processor trains at once. It gains next to nothing by more, and one alone
#: comes to the very same numbers whatever is done, or left to do, beside it: so the tables hang on
#: neither workers nor interruptions. A GPU wants dozens, and is exact to rounding.
AT_ONCE = 1

_DIMENSIONS = range(len(DIMENSIONS))
_UNKNOWN_LENGTH = 60  # half-seconds assumed of a song with one label for all of it


def tables(only: str | None) -> tuple[str, ...]:
    """The tables asked for by `--only`; all without it. Raises InputError for an unknown one."""
    if only is None:
        return TABLES
    if only not in TABLES:
        raise InputError(f"--only {only}: no such table; use one of: {', '.join(TABLES)}")
    return (only,)


def ensemble(
    recipe: Recipe, dimension: int, pretraining: str = TRAINING
) -> dict[tuple[int, int, int], NetworkJob]:
    """The networks of one dimension, by scale, partition and trial (section 3.2.2)."""
    return {
        (scale, partition, trial): NetworkJob(
            "blstm",
            recipe.preset.layers,
            recipe.preset.units,
            scale,
            dimension,
            partition,
            trial,
            pretraining=pretraining,
        )
        for scale, partition, trial in product(SCALES, range(PARTITIONS), range(recipe.trials))
    }


def nested(recipe: Recipe, dimension: int, without: int) -> dict[tuple[int, int, int], NetworkJob]:
    """The same networks of the other partitions, trained without one partition's songs."""
    return {
        (scale, partition, trial): replace(job, without=without)
        for (scale, partition, trial), job in ensemble(recipe, dimension).items()
        if partition != without and trial < recipe.nested_trials
    }


def search(recipe: Recipe, dimension: int) -> dict[tuple[int, int], NetworkJob]:
    """One network for each number of layers and units; none pretrained (a guess)."""
    return {
        (layers, units): NetworkJob("blstm", layers, units, SEARCH_SCALE, dimension, 0)
        for layers, units in product(recipe.searched_layers, recipe.searched_units)
    }


def baseline(
    recipe: Recipe, family: str, dimension: int
) -> dict[tuple[int, int], dict[tuple[int, int], NetworkJob]]:
    """The networks of a recurrent baseline: by size, then by partition and trial."""
    sizes = recipe.lstm if family == "lstm" else tuple((1, units) for units in recipe.rnn)
    return {
        size: {
            (p, k): NetworkJob(family, *size, BASELINE_SCALE, dimension, p, k)
            for p, k in product(range(PARTITIONS), range(recipe.trials))
        }
        for size in sizes
    }


def jobs(asked: AbstractSet[str], recipe: Recipe, split: Split) -> list[list[Job]]:
    """What the tables asked for need: two stages of jobs, the second reads files of the first."""
    needed: dict[Job, None] = {}
    if asked & {"table1", "table2", "table3", "lengths", "measures", "tests", "nested"}:
        for d in _DIMENSIONS:
            needed |= dict.fromkeys(ensemble(recipe, d).values())
    if split.official and asked & {"table2", "measures", "tests"}:
        for d in _DIMENSIONS:
            needed |= dict.fromkeys(ensemble(recipe, d, WITH_TEST).values())
    if asked & {"table3", "measures", "tests"}:
        for d in _DIMENSIONS:
            for family in ("lstm", "rnn"):
                for networks in baseline(recipe, family, d).values():
                    needed |= dict.fromkeys(networks.values())
            needed |= dict.fromkeys(RegressionJob(family, d) for family in ("mlr", "svr"))
    if "nested" in asked:
        for d, p in product(_DIMENSIONS, range(PARTITIONS)):
            needed |= dict.fromkeys(nested(recipe, d, p).values())
    if "search" in asked:
        for d in _DIMENSIONS:
            needed |= dict.fromkeys(search(recipe, d).values())
    pretrained = [j for j in needed if isinstance(j, NetworkJob) and j.pretraining]
    first = dict.fromkeys(autoencoder_of(job, recipe) for job in pretrained)
    others = [job for job in needed if job not in pretrained]
    return [[*first, *others], list(pretrained)]


def together(left: Iterable[Job], device: str) -> list[tuple[Job, ...]]:
    """Put jobs alike together, as many as a device trains at once."""
    size = AT_ONCE if device == "cpu" else GPU_AT_ONCE
    alike: dict[Hashable, list[Job]] = defaultdict(list)
    for job in left:
        alike[kind(job)].append(job)
    return [
        tuple(jobs[first : first + size])
        for jobs in alike.values()
        for first in range(0, len(jobs), size)
    ]


def kinds(planned: Iterable[Job]) -> str:
    """How many jobs of which kind, as text."""
    counts = Counter(job.family for job in planned)
    return ", ".join(f"{count} {family}" for family, count in counts.items())


class Clock:
    """Estimates what jobs cost on this machine, from one timed mini-batch of each shape."""

    def __init__(self, recipe: Recipe, split: Split) -> None:
        self._recipe = recipe
        self._clips = [_half_seconds(song) for song in split.development]
        self._held = max(len(members) for members in split.validation)
        self._tests = [_half_seconds(song) for song in split.test]

    def seconds(self, job: Job) -> tuple[float, float]:
        """The least and the most that a job takes on one core: early stopping decides."""
        if isinstance(job, RegressionJob):
            return (2.0, 10.0) if job.family == "mlr" else self._svr()
        settings = settings_of(job, self._recipe)
        lengths = self._clips[self._held :]
        if job.pretraining == WITH_TEST and job.family == "autoencoder":
            lengths = self._clips + self._tests
        pieces = sum(-(-length // job.scale) for length in lengths)
        batch = _time_batch(job.layers, job.units, job.scale, settings.batch)
        epoch = batch * max(1, pieces / settings.batch)
        if job.family == "autoencoder":
            return settings.epochs * epoch, settings.epochs * epoch
        return min(settings.patience + 1, settings.epochs) * epoch, settings.epochs * epoch

    def _svr(self) -> tuple[float, float]:
        # 6 points of a grid, 5 sets; about a microsecond a pair of rows, twice that at worst
        pairs = self._recipe.svr_rows**2
        return 30 * 2e-7 * pairs, 30 * 2e-6 * pairs


@cache
def _time_batch(layers: int, units: int, scale: int, batch: int) -> float:
    """Seconds of computing that a BLSTM of that size takes to learn from one mini-batch.

    On one core, as a worker; what else the machine does meanwhile is not counted.
    """
    one_thread()
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(batch, scale, len(FEATURE_NAMES))).astype(np.float32)
    data = Sequences(inputs, inputs[:, :, :1], np.ones((batch, scale), bool))
    network = initial_network(len(FEATURE_NAMES), layers, 2 * -(-units // 2), rng)
    ends = [time.thread_time()]
    train(
        network,
        data,
        None,
        Settings(batch=batch, epochs=3),
        rng,
        lambda _: ends.append(time.thread_time()),
    )
    return float(np.diff(ends).min())


def _half_seconds(song: Song) -> int:
    """About how many half-seconds of a song are labelled."""
    if not len(song.starts):
        return _UNKNOWN_LENGTH
    return 1 + round(float(song.starts[-1] - song.starts[0]) / HOP)


def describe(
    name: str,
    asked: Sequence[str],
    split: Split,
    done: Collection[str],
    processes: int,
    device: str,
) -> str:
    """The plan as text: what will be trained, how long that takes, what would fit an evening."""
    stages = jobs(set(asked), RECIPES[name], split)
    planned = [job for stage in stages for job in stage]
    left = [job for job in planned if job.name not in done]
    lines = [
        f"tables: {', '.join(asked)}",
        f"preset {name}: {kinds(planned) or 'nothing to train'}",
    ]
    if len(left) < len(planned):
        lines.append(f"{len(planned) - len(left)} of {len(planned)} are done")
    if left and device == "cpu":  # of a GPU nothing is known
        least, most = _total(name, left, split, processes)
        lines.append(
            f"time on {processes} process{'es' if processes > 1 else ''}, estimated: "
            f"{_span(least)} if every network stops as early as it can, {_span(most)} at most"
        )
        if most > EVENING:
            lines.append(_what_fits(asked, split, processes))
    return "\n".join(lines)


def _total(name: str, left: Sequence[Job], split: Split, processes: int) -> tuple[float, float]:
    clock = Clock(RECIPES[name], split)
    least, most = np.sum([clock.seconds(job) for job in left], axis=0)
    return float(least) / processes, float(most) / processes


def _what_fits(asked: Sequence[str], split: Split, processes: int) -> str:
    for name in ("quick", "smoke"):
        planned = [j for stage in jobs(set(asked), RECIPES[name], split) for j in stage]
        _, most = _total(name, planned, split, processes)
        if most <= EVENING:
            return f"an evening is enough for --preset {name}: {_span(most)} at most"
    return "no preset fits an evening; ask for one table with --only"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
