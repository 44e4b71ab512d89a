"""From finished jobs to predictions: what each system of the paper says of the songs it never saw.

A system's predictions are one array (n,) a song, clipped to [-1, 1], the range of the labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.corpora.rows import LabelledRows
from moodcurve.elm import ELMRegressor
from moodcurve.fusion import smooth, supervectors
from moodcurve.metrics import rmse
from moodcurve.network import forward
from moodcurve.reproduce import plan
from moodcurve.reproduce.jobs import Job, NetworkJob, RegressionJob, network_of, written
from moodcurve.reproduce.recipes import Recipe
from moodcurve.reproduce.split import Material
from moodcurve.sequences import cut, stitch
from moodcurve.training.presets import SCALES
from moodcurve.training.selection import best_group, best_trials, distinct_group

Values = NDArray[np.floating[Any]]
Curves = list[Values]
Networks = Mapping[tuple[int, int, int], NetworkJob]  # by scale, partition, trial

CONSTANT, MLR, SVR, RNN, LSTM = "constant", "MLR", "SVR", "RNN + smoothing", "LSTM"
AVG, ELM = "AVG", "ELM"
SINGLE = {scale: f"BLSTM {scale}" for scale in SCALES}


@dataclass(frozen=True, eq=False)
class Results:
    """The finished jobs of a run, and the songs they were about."""

    material: Material
    recipe: Recipe
    run: Path

    def songs(self, job: Job, asked: str) -> Sequence[LabelledRows]:
        """The songs of one of a job's sets: "test", "validation" or "without"."""
        if asked == "test":
            return self.material.test
        partition = getattr(job, "partition" if asked == "validation" else "without")
        return self.members(partition)

    def members(self, partition: int) -> list[LabelledRows]:
        """The validation songs of a partition."""
        return [self.material.development[n] for n in self.material.validation[partition]]

    def said(self, job: Job, asked: str) -> Curves:
        """What a job's network or regression says of each song of a set."""
        with written(job, self.run) as file:
            values = file[asked].astype(np.float64)
        lengths = [len(song.rows) for song in self.songs(job, asked)]
        return np.split(values, np.cumsum(lengths)[:-1])

    def error(self, job: NetworkJob, width: int = 1) -> float:
        """RMSE of a network's curves, smoothed over `width`, on its own validation songs."""
        songs = self.songs(job, "validation")
        curves = [smooth(curve, width) for curve in self.said(job, "validation")]
        return pooled_rmse([song.labels[:, job.dimension] for song in songs], curves)


def pooled_rmse(labels: Sequence[Values], curves: Sequence[Values]) -> float:
    """RMSE over the labelled half-seconds of all songs."""
    x, y = np.concatenate(labels), np.concatenate(curves)
    there = ~np.isnan(x)
    return rmse(x[there], y[there])


def clipped(curves: Sequence[Values]) -> Curves:
    """Predictions within the range of the labels."""
    return [np.clip(curve, -1, 1) for curve in curves]


@dataclass(frozen=True, eq=False)
class Fused:
    """An ensemble's networks selected and fused (paper, sections 3.3 to 3.5).

    Attributes:
        groups: the networks of the two groups, one a scale each.
        elm: the ELM trained on the best trials' outputs.
        best: the network of the best trial at each scale and partition, by (scale, partition).
    """

    groups: tuple[tuple[NetworkJob, ...], ...]
    elm: ELMRegressor
    best: Mapping[tuple[int, int], NetworkJob]

    @property
    def unique(self) -> list[NetworkJob]:
        """The networks of both groups, each once; the paper had six of eight."""
        return list(dict.fromkeys(job for group in self.groups for job in group))


def select(results: Results, networks: Networks) -> Fused:
    """Select the two groups from all networks of an ensemble, and train the ELM."""
    partitions = sorted({partition for _, partition, _ in networks})
    trials = sorted({trial for _, _, trial in networks})
    errors = np.array(
        [[[results.error(networks[s, p, k]) for k in trials] for p in partitions] for s in SCALES]
    )
    chosen = best_trials(errors)
    best = {
        (scale, partition): networks[scale, partition, trials[chosen[s, p]]]
        for s, scale in enumerate(SCALES)
        for p, partition in enumerate(partitions)
    }
    groups = tuple(
        tuple(
            networks[scale, partitions[choice.partition], trials[choice.trial]]
            for scale, choice in zip(SCALES, group, strict=True)
        )
        for group in (best_group(errors), distinct_group(errors))
    )
    return Fused(groups, _train_elm(results, best, partitions), best)


def _train_elm(
    results: Results, best: Mapping[tuple[int, int], NetworkJob], partitions: Sequence[int]
) -> ELMRegressor:
    """Train on what the best trials say of their own validation songs (section 3.4)."""
    vectors, labels = [], []
    for partition in partitions:
        jobs = [best[scale, partition] for scale in SCALES]
        curves = [results.said(job, "validation") for job in jobs]
        for song, outputs in zip(
            results.members(partition), zip(*curves, strict=True), strict=True
        ):
            targets = song.labels[:, jobs[0].dimension]
            there = ~np.isnan(targets)
            vectors.append(supervectors(np.array(outputs))[there])
            labels.append(targets[there])
    preset = results.recipe.preset
    elm = ELMRegressor(preset.elm_nodes, preset.elm_ridge, random_state=0)
    return elm.fit(np.concatenate(vectors), np.concatenate(labels))


def ensemble_curves(results: Results, fused: Fused, asked: str) -> dict[str, Curves]:
    """What single networks, their average and the ELM say of a set of songs.

    The single network of a scale is the first group's (the guess behind Table 1); AVG is the mean
    of the unique networks; ELM the mean of the two groups' fused predictions.
    """
    said = {job: results.said(job, asked) for job in fused.unique}
    curves = {SINGLE[scale]: said[job] for scale, job in zip(SCALES, fused.groups[0], strict=True)}
    curves[AVG] = [np.mean(song, axis=0) for song in zip(*said.values(), strict=True)]
    curves[ELM] = [
        np.mean([fused.elm.predict(supervectors(np.array(o))) for o in groups], axis=0)
        for groups in zip(
            *(zip(*(said[job] for job in group), strict=True) for group in fused.groups),
            strict=True,
        )
    ]
    return {name: clipped(values) for name, values in curves.items()}


def own_curves(results: Results, fused: Fused, partition: int) -> dict[str, Curves]:
    """What is said of a validation set by the networks that were stopped and selected on it.

    This is how the paper's validation columns come about: the best trial of each scale, their
    average, and an ELM that was trained on these very outputs.
    """
    curves = {scale: results.said(fused.best[scale, partition], "validation") for scale in SCALES}
    outputs = [np.array(song) for song in zip(*curves.values(), strict=True)]
    found: dict[str, Curves] = {SINGLE[scale]: curve for scale, curve in curves.items()}
    found[AVG] = [song.mean(axis=0) for song in outputs]
    found[ELM] = [fused.elm.predict(supervectors(song)) for song in outputs]
    return {name: clipped(values) for name, values in found.items()}


def constant_curves(results: Results, dimension: int) -> Curves:
    """The mean of the development labels, everywhere."""
    labels = np.concatenate([song.labels[:, dimension] for song in results.material.development])
    return [np.full(len(song.rows), np.nanmean(labels)) for song in results.material.test]


def baseline_curves(results: Results, dimension: int) -> dict[str, Curves]:
    """What the tuned baselines of Table 3 say of the test songs, and the constant."""
    lstm, _ = _tuned(results, "lstm", dimension, (1,))
    rnn, width = _tuned(results, "rnn", dimension, results.recipe.smoothing)
    curves = {
        CONSTANT: constant_curves(results, dimension),
        MLR: results.said(RegressionJob("mlr", dimension), "test"),
        SVR: results.said(RegressionJob("svr", dimension), "test"),
        RNN: [smooth(curve, width) for curve in results.said(rnn, "test")],
        LSTM: results.said(lstm, "test"),
    }
    return {name: clipped(values) for name, values in curves.items()}


def _tuned(
    results: Results, family: str, dimension: int, widths: Sequence[int]
) -> tuple[NetworkJob, int]:
    """The network of a recurrent baseline, chosen as the BLSTM's are, and its smoothing.

    Size and width are those with the lowest mean over partitions of the best trial's error; of that
    size the network with the lowest error of all is taken.
    """
    sizes = plan.baseline(results.recipe, family, dimension)
    errors = {
        (size, width): {key: results.error(job, width) for key, job in networks.items()}
        for size, networks in sizes.items()
        for width in widths
    }

    def mean_of_best(point: tuple[tuple[int, int], int]) -> float:
        lowest: dict[int, float] = {}
        for (partition, _), error in errors[point].items():
            lowest[partition] = min(error, lowest.get(partition, np.inf))
        return float(np.mean(list(lowest.values())))

    size, width = min(errors, key=mean_of_best)
    of_all = errors[size, width]
    return sizes[size][min(of_all, key=lambda key: of_all[key])], width


def at_length(results: Results, job: NetworkJob, length: int) -> Curves:
    """What a network says of the test songs cut to sequences of another length than its own."""
    network = network_of(job, results.run)
    return clipped(
        [
            stitch(forward(network, cut(song.rows, length)), len(song.rows))[:, 0].astype(float)
            for song in results.material.test
        ]
    )
