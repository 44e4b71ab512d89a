"""Train networks, many of one shape at once: CURRENNT's steepest descent, or Adam, stopped early.

Each network has its own data, order, noise, optimiser and end, and comes to what it comes to alone
but for rounding; what they have in common are the steps in which they are computed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from moodcurve.errors import InputError
from moodcurve.network import Network, to_arrays
from moodcurve.training.batches import Batch, Held, Indices, Sequences, hold, together
from moodcurve.training.checkpoint import Epoch, Progress, restore, save
from moodcurve.training.devices import CPU, at_work, send
from moodcurve.training.memory import at_once, check_memory
from moodcurve.training.network import BLSTM, run_all

EXPLODED = 1e4  # times the first epoch's error: nothing comes back from there
SAVE_EVERY = 20.0  # seconds, so that writing takes little of the time where epochs are short


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults are CURRENNT's with the paper's learning rate and limits.

    `error` is what the gradient is taken of: half the squared error's "sum" over the labelled
    frames of an update, as in CURRENNT, or its "mean"; or 1 less Lin's concordance of each
    mini-batch, "ccc", summed over the outputs. `course` times half the squared error of each
    sequence's course, its error less its mean error, is added. Either way a network is stopped by
    its squared error. `stochastic` updates after each mini-batch of `batch` sequences, otherwise
    once an epoch on all of them. `patience` is in epochs without a
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
    course: float = 0.0
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


@dataclass(frozen=True)
class Task:
    """One network to train; see `train`."""

    network: Network
    training: Sequences
    validation: Sequences | None
    rng: np.random.Generator
    on_epoch: Callable[[Epoch], None] | None = None
    checkpoint: Path | None = None


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
    own update. A network whose error leaves the range of numbers, or explodes, is stopped; its last
    entry says so ("stopped"). All randomness comes from `rng`. With a `checkpoint`, a file of that
    name is written after an epoch every `SAVE_EVERY` seconds, and a training that finds it goes on
    from there. Raises InputError where there is nothing to train on, or not enough memory.
    """
    task = Task(network, training, validation, rng, on_epoch, checkpoint)
    return train_many([task], settings)[0]


def train_many(
    tasks: Sequence[Task], settings: Settings, device: torch.device = CPU
) -> list[tuple[Network, list[Epoch]]]:
    """Train networks of one shape at once: for each what `train` returns for it alone.

    That is to rounding. A network that is stopped leaves the others to go on. On a GPU noise is
    drawn there: other numbers of the same distribution than on the processor.
    """
    if not all(len(task.training) for task in tasks):
        raise InputError("there are no training sequences; check the partition and the lengths")
    shapes = {tuple(array.shape for array in to_arrays(task.network).values()) for task in tasks}
    if len(shapes) > 1:
        raise InputError("networks of several shapes cannot be trained at once; train one by one")
    rows = min(settings.batch, max(len(task.training) for task in tasks))
    sets = [data for task in tasks for data in (task.training, task.validation) if data is not None]
    steps = max(data.mask.shape[1] for data in sets)
    check_memory([task.network for task in tasks], steps, rows, settings.optimiser, device)
    most = at_once(tasks[0].network, steps, settings.batch, device)
    with at_work(device):
        models = [BLSTM(task.network, settings.clip_deltas, device) for task in tasks]
        optimiser = _optimiser([w for model in models for w in model.parameters()], settings)
        held = {id(data): hold(data, device) for data in sets}  # some have theirs in common
        every = [
            _begin(task, model, optimiser, held) for task, model in zip(tasks, models, strict=True)
        ]
        saved = -math.inf
        while active := [one for one in every if not _finished(one.progress, settings)]:
            _advance(active, settings, most)
            due = time.monotonic() - saved >= SAVE_EVERY
            for task, progress in (one[:2] for one in active):
                if task.checkpoint and (due or _finished(progress, settings)):
                    save(progress, task.checkpoint)
                if task.on_epoch:
                    task.on_epoch(progress.log[-1])
            saved = time.monotonic() if due else saved
        return [(one.progress.best_network(), one.progress.log) for one in every]


class _Member(NamedTuple):
    task: Task
    progress: Progress
    training: Held
    validation: Held | None


def _begin(
    task: Task, model: BLSTM, optimiser: torch.optim.Optimizer, held: Mapping[int, Held]
) -> _Member:
    training = held[id(task.training)]
    noise = torch.Generator(training.inputs.device).manual_seed(int(task.rng.integers(2**63)))
    progress = Progress(model, optimiser, task.rng, noise, model.copies())
    if task.checkpoint and task.checkpoint.exists():
        restore(progress, task.checkpoint)
    validation = None if task.validation is None else held[id(task.validation)]
    return _Member(task, progress, training, validation)


def _finished(progress: Progress, settings: Settings) -> bool:
    epoch = len(progress.log)
    stopped = epoch > 0 and "stopped" in progress.log[-1]
    return stopped or epoch >= settings.epochs or epoch - progress.best_epoch >= settings.patience


def _advance(members: Sequence[_Member], settings: Settings, most: int) -> None:
    """Train for one epoch, `most` mini-batches at once. Its time is shared out evenly."""
    start = time.perf_counter()
    training_errors = _train_epoch(members, settings, most)
    held = [(m.progress.model, m.validation) for m in members if m.validation is not None]
    found = iter(_evaluate(held, settings.batch, most))
    validation_errors = [None if m.validation is None else next(found) for m in members]
    seconds = (time.perf_counter() - start) / len(members)
    for m, error, held_out in zip(members, training_errors, validation_errors, strict=True):
        _record(m.progress, error, held_out, seconds)


def _record(
    progress: Progress, training_error: float, validation_error: float | None, seconds: float
) -> None:
    """Keep the weights if they are the best so far, and enter the epoch in the log."""
    epoch = len(progress.log) + 1
    failure = _failure(progress, training_error)
    better = validation_error is None or validation_error < progress.best_error
    if new_best := better and not failure:
        progress.keep_weights()
        progress.best_epoch = epoch
        progress.best_error = math.inf if validation_error is None else validation_error
    entry = Epoch(
        epoch=epoch,
        training_error=training_error,
        validation_error=validation_error,
        new_best=new_best,
        seconds=seconds,
    )
    if failure:
        kept = f"of epoch {progress.best_epoch}" if progress.best_epoch else "it began with"
        entry["stopped"] = f"{failure} in epoch {epoch}; its weights are those {kept}"
    progress.log.append(entry)


def _failure(progress: Progress, training_error: float) -> str | None:
    """What went wrong in an epoch, if anything."""
    finite = torch.stack([weight.isfinite().all() for weight in progress.model.parameters()])
    if not math.isfinite(training_error) or not bool(finite.all()):
        return "the error left the range of numbers"
    first = progress.log[0]["training_error"] if progress.log else training_error
    if training_error > EXPLODED * first > 0:
        return f"the error grew to {training_error / first:.0e} times that of the first epoch"
    return None


def one_thread() -> None:
    """Keep this process to one thread of computation: work is spread over processes instead."""
    torch.set_num_threads(1)
    threadpool_limits(1)


def evaluate(model: BLSTM, sequences: Sequences, batch: int = 50) -> float:
    """Return half the squared error of the model on the sequences, divided by their number."""
    return _evaluate([(model, hold(sequences, CPU))], batch, 1)[0]


def _evaluate(pairs: Sequence[tuple[BLSTM, Held]], batch: int, most: int) -> list[float]:
    """`evaluate` for several models of one shape, each on its own sequences."""
    pieces = [_pieces(np.arange(len(held)), batch) for _, held in pairs]
    found = []
    with torch.no_grad():
        for few in _turns(pieces, most):
            joined = together([(pairs[n][1], chosen) for n, chosen in few])
            outputs = run_all([pairs[n][0] for n, _ in few], joined.inputs, joined.lengths)
            found.append(([n for n, _ in few], _half_squared_errors(outputs, joined)))
    totals = _totals(found, len(pairs))
    return [total / max(1, len(held)) for total, (_, held) in zip(totals, pairs, strict=True)]


def _totals(found: Iterable[tuple[Sequence[int], Tensor]], count: int) -> list[float]:
    """Sum up the errors of each of `count` networks; fetching them only now, a GPU never waits."""
    totals = [0.0] * count
    for numbers, errors in found:
        for n, error in zip(numbers, errors.tolist(), strict=True):
            totals[n] += error
    return totals


def _optimiser(weights: Sequence[Tensor], settings: Settings) -> torch.optim.Optimizer:
    """One of all networks; those without a gradient sit out its step."""
    if settings.optimiser == "sgd":
        optimiser = torch.optim.SGD(
            weights, lr=settings.learning_rate, momentum=settings.momentum, fused=True
        )
        for weight in weights:  # of all from the beginning: torch wants all of them, or none
            optimiser.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        return optimiser
    return torch.optim.AdamW(
        weights,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def _train_epoch(members: Sequence[_Member], settings: Settings, most: int) -> list[float]:
    """Go through each one's sequences once and update it; return its error per sequence."""
    updates, found = [], []
    for member in members:
        count = len(member.training)
        order = member.progress.rng.permutation(count) if settings.shuffle else np.arange(count)
        updates.append(_pieces(order, settings.batch if settings.stochastic else count))
    for few in _turns(updates, most):  # so that only as many gradients are there at once
        chosen = [(members[n], piece) for n, piece in few]
        for numbers, errors in _update(chosen, settings):
            found.append(([few[k][0] for k in numbers], errors))
    totals = _totals(found, len(members))
    return [total / len(m.training) for total, m in zip(totals, members, strict=True)]


def _update(
    members: Sequence[tuple[_Member, Indices]], settings: Settings
) -> list[tuple[list[int], Tensor]]:
    """Make one step of each on the sequences chosen for it; return errors before the step.

    They are of a mini-batch of each that has one: places among `members`, and errors.
    """
    pieces = [_pieces(chosen, settings.batch) for _, chosen in members]
    labels = [max(1, int(member.training.labels[chosen].sum())) for member, chosen in members]
    found = []
    for few in _turns(pieces, len(members)):
        own = [members[n][0] for n, _ in few]
        noises = [m.progress.noise for m in own] if settings.noise else None
        parts = [(m.training, chosen) for m, (_, chosen) in zip(own, few, strict=True)]
        joined = together(parts, settings.noise, noises)
        outputs = run_all([m.progress.model for m in own], joined.inputs, joined.lengths)
        errors = _half_squared_errors(outputs, joined)
        goals = _discordances(outputs, joined) if settings.error == "ccc" else errors
        if settings.course:
            goals = goals + settings.course * _course_errors(outputs, joined)
        if settings.error == "mean":
            counts = np.array([labels[n] for n, _ in few], np.float32)
            goals = goals / send(counts, goals.device)
        weights = [weight for m in own for weight in m.progress.model.parameters()]
        gradients = torch.autograd.grad(goals.sum(), weights)
        for weight, gradient in zip(weights, gradients, strict=True):
            own_gradient = gradient.contiguous()  # as the fused optimisers take it to be
            weight.grad = own_gradient if weight.grad is None else weight.grad + own_gradient
        del gradients, gradient, own_gradient  # before there are those of the next pieces
        found.append(([n for n, _ in few], errors.detach()))
    optimiser = members[0][0].progress.optimiser
    optimiser.step()
    optimiser.zero_grad()
    return found


def _pieces(order: Indices, size: int) -> list[Indices]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _turns(pieces: Sequence[Sequence[Indices]], most: int) -> Iterator[list[tuple[int, Indices]]]:
    """The first piece of each list that has one, with the list's number; then the second; ...

    Of one turn, `most` are given at a time.
    """
    for turn in zip_longest(*pieces):
        there = [(n, piece) for n, piece in enumerate(turn) if piece is not None]
        for start in range(0, len(there), most):
            yield there[start : start + most]


def _half_squared_errors(outputs: Tensor, batch: Batch) -> Tensor:
    """Half the squared error over the labelled frames, (M,); the others give no gradient."""
    labelled = ~batch.targets.isnan()
    squares = torch.where(labelled, outputs - batch.targets.nan_to_num(), 0).square()
    return 0.5 * (squares * batch.weights).sum(dim=(1, 2, 3))


def _course_errors(outputs: Tensor, batch: Batch) -> Tensor:
    """Half the squared error of each sequence's course, what is left of it less its mean, (M,)."""
    labelled = ~batch.targets.isnan()
    errors = torch.where(labelled, outputs - batch.targets.nan_to_num(), 0)
    means = errors.sum(dim=1, keepdim=True) / labelled.sum(dim=1, keepdim=True).clamp(min=1)
    courses = torch.where(labelled, errors - means, 0).square()
    return 0.5 * (courses * batch.weights).sum(dim=(1, 2, 3))


def _discordances(outputs: Tensor, batch: Batch) -> Tensor:
    """1 less Lin's concordance (1989) over the labelled frames, summed over the outputs: (M,)."""
    frames = (1, 2)
    count = (~batch.targets.isnan()).to(outputs.dtype) * batch.weights
    count = count / count.sum(dim=frames, keepdim=True).clamp(min=1e-9)
    y = batch.targets.nan_to_num()
    mean, mean_y = ((count * each).sum(dim=frames, keepdim=True) for each in (outputs, y))
    around, around_y = outputs - mean, y - mean_y
    spread = (count * (around.square() + around_y.square())).sum(dim=frames)
    together = (count * around * around_y).sum(dim=frames)
    apart = (mean - mean_y).square().sum(dim=frames)
    return (1 - 2 * together / (spread + apart + 1e-6)).sum(dim=1)
