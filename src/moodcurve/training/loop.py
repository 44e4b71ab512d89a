"""Train one network: CURRENNT's steepest descent, or Adam, with early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from moodcurve.errors import InputError
from moodcurve.network import Array, Network
from moodcurve.training.checkpoint import Epoch, Progress, restore, save
from moodcurve.training.network import BLSTM


@dataclass(frozen=True)
class Sequences:
    """Training or validation data, padded on the right to the longest sequence.

    `targets` are NaN where a frame has no label; `mask` is false on padding. Frames without label
    and padding have no error. `weights` are what a sequence's squared error counts; 1 without them.
    """

    inputs: Array  # (N, T, F)
    targets: Array  # (N, T, K)
    mask: NDArray[np.bool_]  # (N, T)
    weights: Array | None = None  # (N,)

    def __len__(self) -> int:
        return len(self.mask)


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults are CURRENNT's with the paper's learning rate and limits.

    `error` is what the gradient is taken of: half the squared error's "sum" over the labelled
    frames of an update, as in CURRENNT, or its "mean"; or 1 less Lin's concordance of each
    mini-batch, "ccc", summed over the outputs. Either way a network is stopped by its squared
    error. `stochastic` updates after each mini-batch
    of `batch` sequences, otherwise once an epoch on all of them. `patience` is in epochs without a
    new best. `noise` is the sigma of Gaussian noise on the training inputs, fresh each epoch.
    `momentum` is for "sgd", `weight_decay` (decoupled) for "adam".
    """

    optimiser: str = "sgd"
    learning_rate: float = 5e-6
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch: int = 50
    stochastic: bool = True
    shuffle: bool = True
    epochs: int = 100
    patience: int = 20
    noise: float = 0.6
    error: str = "sum"
    clip_deltas: bool = True

    def __post_init__(self) -> None:
        for name, choices in (("optimiser", ("sgd", "adam")), ("error", ("sum", "mean", "ccc"))):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"unknown {name} {getattr(self, name)!r}; use one of {', '.join(choices)}"
                )
        for name in ("batch", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")


def train(
    network: Network,
    training: Sequences,
    validation: Sequences | None,
    settings: Settings,
    rng: np.random.Generator,
    on_epoch: Callable[[Epoch], None] | None = None,
    checkpoint: Path | None = None,
) -> tuple[Network, list[Epoch]]:
    """Train a copy of `network`; return the best weights and the log, one entry an epoch.

    The best weights are those of the lowest validation error, the first of equals; without
    validation data the last; and those given where no validation error is a number. Errors are
    reported as CURRENNT prints them: half the squared error summed over frames and outputs, divided
    by the number of sequences; the training error is taken with noise and before each mini-batch's
    own update. All randomness comes from `rng`. With a `checkpoint`, a file of that name is written
    after each epoch, and a training that finds it goes on from there. Raises InputError where there
    is nothing to train on.
    """
    if not len(training):
        raise InputError("there are no training sequences; check the partition and the lengths")
    model = BLSTM(network, settings.clip_deltas)
    noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
    progress = Progress(model, _optimiser(model, settings), rng, noise, network)
    if checkpoint and checkpoint.exists():
        restore(progress, checkpoint)
    while not _finished(progress, settings):
        _advance(progress, training, validation, settings)
        if checkpoint:
            save(progress, checkpoint)
        if on_epoch:
            on_epoch(progress.log[-1])
    return progress.best, progress.log


def _finished(progress: Progress, settings: Settings) -> bool:
    epoch = len(progress.log)
    return epoch >= settings.epochs or epoch - progress.best_epoch >= settings.patience


def _advance(
    progress: Progress, training: Sequences, validation: Sequences | None, settings: Settings
) -> None:
    """Train for one epoch."""
    start = time.perf_counter()
    order = np.arange(len(training))
    if settings.shuffle:
        order = progress.rng.permutation(len(training))
    training_error = _train_epoch(
        progress.model, progress.optimiser, training, order, settings, progress.noise
    )
    validation_error = None
    if validation is not None:
        validation_error = evaluate(progress.model, validation, settings.batch)
    epoch = len(progress.log) + 1
    new_best = validation_error is None or validation_error < progress.best_error
    if new_best:
        progress.best, progress.best_epoch = progress.model.to_network(), epoch
        progress.best_error = math.inf if validation_error is None else validation_error
    progress.log.append(
        Epoch(
            epoch=epoch,
            training_error=training_error,
            validation_error=validation_error,
            new_best=new_best,
            seconds=time.perf_counter() - start,
        )
    )


def one_thread() -> None:
    """Keep this process to one thread of computation: work is spread over processes instead."""
    torch.set_num_threads(1)
    threadpool_limits(1)


def evaluate(model: BLSTM, sequences: Sequences, batch: int = 50) -> float:
    """Return half the squared error of the model on the sequences, divided by their number."""
    with torch.no_grad():
        total = sum(
            _half_squared_error(model(inputs, mask), targets, mask, weights).item()
            for inputs, targets, mask, weights in _batches(
                sequences, np.arange(len(sequences)), batch
            )
        )
    return total / max(1, len(sequences))


def _optimiser(model: BLSTM, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            model.parameters(), lr=settings.learning_rate, momentum=settings.momentum
        )
    return torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )


def _train_epoch(
    model: BLSTM,
    optimiser: torch.optim.Optimizer,
    sequences: Sequences,
    order: NDArray[np.int64],
    settings: Settings,
    noise: torch.Generator,
) -> float:
    """Go through the sequences once and update the model; return the error per sequence."""
    total = 0.0
    update = settings.batch if settings.stochastic else len(order)
    for start in range(0, len(order), update):
        members = order[start : start + update]
        scale = 1.0
        if settings.error == "mean":
            scale /= max(1, _labels(sequences, members))
        optimiser.zero_grad()
        for inputs, targets, mask, weights in _batches(sequences, members, settings.batch):
            if settings.noise:
                inputs += settings.noise * torch.randn(inputs.shape, generator=noise)
            outputs = model(inputs, mask)
            error = _half_squared_error(outputs, targets, mask, weights)
            if settings.error == "ccc":
                torch.autograd.backward(_discordance(outputs, targets, mask, weights))
            else:
                torch.autograd.backward(scale * error)
            total += error.item()
        optimiser.step()
    return total / len(sequences)


def _batches(
    sequences: Sequences, members: NDArray[np.int64], batch: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    """Yield inputs, targets, mask, weights of `batch` members at a time, cut to their longest."""
    for start in range(0, len(members), batch):
        chosen = members[start : start + batch]
        mask = sequences.mask[chosen]
        steps = mask.sum(axis=1).max()
        yield (
            torch.from_numpy(sequences.inputs[chosen, :steps]),
            torch.from_numpy(sequences.targets[chosen, :steps]),
            torch.from_numpy(mask[:, :steps]),
            None if sequences.weights is None else torch.from_numpy(sequences.weights[chosen]),
        )


def _half_squared_error(
    outputs: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Sum half the squared error over the labelled frames; the others give no gradient."""
    labelled = mask.unsqueeze(2) & ~targets.isnan()
    squares = torch.where(labelled, outputs - targets.nan_to_num(), 0).square()
    if weights is not None:
        squares = squares * weights[:, None, None]
    return 0.5 * squares.sum()


def _discordance(
    outputs: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
) -> Tensor:
    """1 less Lin's concordance (1989) over the labelled frames, summed over the outputs."""
    count = (mask.unsqueeze(2) & ~targets.isnan()).to(outputs.dtype)
    if weights is not None:
        count = count * weights[:, None, None]
    count = count / count.sum(dim=(0, 1)).clamp(min=1e-9)
    y = targets.nan_to_num()
    mean, mean_y = (count * outputs).sum(dim=(0, 1)), (count * y).sum(dim=(0, 1))
    around, around_y = outputs - mean, y - mean_y
    spread = (count * (around.square() + around_y.square())).sum(dim=(0, 1))
    together = (count * around * around_y).sum(dim=(0, 1))
    return (1 - 2 * together / (spread + (mean - mean_y).square() + 1e-6)).sum()


def _labels(sequences: Sequences, members: NDArray[np.int64]) -> int:
    """Count the labels, frames times outputs, that the members have."""
    labelled = sequences.mask[members, :, None] & ~np.isnan(sequences.targets[members])
    return int(labelled.sum())
