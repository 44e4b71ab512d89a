"""CURRENNT's training: steepest descent on sorted mini-batches, from the weights in a .jsn file.

No noise, no shuffling: with the same files and options it ends with the weights of CURRENNT
0.2-rc1. `moodcurve.training.loop` trains moodcurve's own models; what CURRENNT has beyond it
(rates by the layer, bias values, truncation, no limit of epochs) is here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from moodcurve.currennt.data import Data
from moodcurve.currennt.networks import NamedNetwork
from moodcurve.errors import InputError
from moodcurve.network import Array, to_arrays
from moodcurve.training.checkpoint import Epoch
from moodcurve.training.network import BLSTM

_Batch = tuple[Tensor, Tensor, Tensor]  # inputs (B, T, F), targets (B, T, N), mask (B, T)


@dataclass(frozen=True)
class Settings:
    """How to train, under the names and with the defaults of CURRENNT's options.

    `stochastic` updates after each mini-batch of `parallel_sequences`, otherwise once an epoch.
    While a training sequence is longer than 1.5 * `truncate_seq`, that many frames are cut off as
    a piece; 0 leaves the sequences whole. `max_epochs` None is no limit. Raises InputError for
    values out of range.
    """

    learning_rate: float = 1e-5
    momentum: float = 0.9
    parallel_sequences: int = 1
    stochastic: bool = False
    truncate_seq: int = 0
    max_epochs: int | None = None
    max_epochs_no_best: int = 20

    def __post_init__(self) -> None:
        for name, least, below in (
            ("learning_rate", 0, math.inf),
            ("momentum", 0, 1),
            ("parallel_sequences", 1, math.inf),
            ("truncate_seq", 0, math.inf),
            ("max_epochs", 1, math.inf),
            ("max_epochs_no_best", 1, math.inf),
        ):
            value = getattr(self, name)
            if value is not None and not least <= value < below:
                limits = f"at least {least}" + (f" and below {below}" if below < math.inf else "")
                raise InputError(f"{name.replace('_', '-')} is {value}; it must be {limits}")


def train(
    network: NamedNetwork,
    training: Data,
    validation: Data | None,
    settings: Settings,
    on_epoch: Callable[[Epoch], None],
) -> NamedNetwork:
    """Train a copy of `network` and return it with the best weights.

    The best weights are those of the lowest validation error, the first of equals; without
    validation data the last. Errors are those CURRENNT prints: half the squared error summed over
    frames and outputs, divided by the number of sequences (in training: of pieces); the training
    error is taken before each mini-batch's own update. Both data must fit the network
    (`data.check_fit`). Raises InputError where nothing would end the training and where no weights
    come of it that are numbers.
    """
    if validation is None and settings.max_epochs is None:
        raise InputError("nothing would end the training; give max-epochs or validation data")
    best = network.folded()
    model = BLSTM(best)
    optimiser = _optimiser(model, network, settings)
    batches = _mini_batches(_pieces(training, settings.truncate_seq), settings.parallel_sequences)
    held_out = validation and _mini_batches(_pieces(validation), settings.parallel_sequences)
    best_error, best_epoch, epoch = math.inf, 0, 0
    while epoch != settings.max_epochs and epoch - best_epoch < settings.max_epochs_no_best:
        start = time.perf_counter()
        epoch += 1
        training_error = _train_epoch(model, optimiser, batches, settings.stochastic)
        validation_error = _evaluate(model, held_out) if held_out else None
        new_best = validation_error is None or validation_error < best_error
        if new_best:
            best, best_epoch = model.to_network(), epoch
            best_error = math.inf if validation_error is None else validation_error
        on_epoch(
            Epoch(
                epoch=epoch,
                training_error=training_error,
                validation_error=validation_error,
                new_best=new_best,
                seconds=time.perf_counter() - start,
            )
        )
    weights = [array for array in to_arrays(best).values() if array.dtype.kind == "f"]
    if not best_epoch or not all(np.isfinite(array).all() for array in weights):
        raise InputError("the training left the range of numbers; give a smaller learning-rate")
    return network.unfolded(best)


def _pieces(data: Data, length: int = 0) -> Iterator[tuple[Array, Array]]:
    """Yield inputs and targets of each sequence, in pieces of `length` where it is too long."""
    if data.targets is None:
        raise InputError("the data has no targets; train on data with targetPatterns")
    for inputs, targets in zip(data.inputs, data.targets, strict=True):
        start = 0
        while length and len(inputs) - start > 1.5 * length:
            yield inputs[start : start + length], targets[start : start + length]
            start += length
        yield inputs[start:], targets[start:]


def _mini_batches(pieces: Iterable[tuple[Array, Array]], parallel: int) -> list[_Batch]:
    """Sort the pieces by length, stably, and pad `parallel` at a time on the right."""
    pairs = sorted(pieces, key=lambda pair: len(pair[0]))
    batches = []
    for start in range(0, len(pairs), parallel):
        members = pairs[start : start + parallel]
        inputs, targets = (
            pad_sequence([torch.from_numpy(rows) for rows in column], batch_first=True)
            for column in zip(*members, strict=True)
        )
        lengths = torch.tensor([len(rows) for rows, _ in members])
        mask = torch.arange(inputs.shape[1]) < lengths.unsqueeze(1)
        batches.append((inputs, targets, mask))
    return batches


def _optimiser(model: BLSTM, network: NamedNetwork, settings: Settings) -> torch.optim.Optimizer:
    """Steepest descent with momentum, each layer at its own rate.

    The model trains b' = v * b, the bias weights b times the layer's bias value v. As the gradient
    of b is v times that of b', a step of b at rate r is a step of b' at rate r * v ** 2.
    """
    arrays = to_arrays(network.folded())
    names = [name for name, array in arrays.items() if array.dtype.kind == "f"]
    groups = []
    for name, parameter in zip(names, model.parameters(), strict=True):
        number, kind = name.split(".")
        layer = network.layers[int(number)]
        own = layer.learning_rate
        rate = settings.learning_rate if own is None else own
        if kind == "bias":
            rate *= layer.bias_value**2
        groups.append({"params": [parameter], "lr": rate})
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)


def _train_epoch(
    model: BLSTM, optimiser: torch.optim.Optimizer, batches: list[_Batch], stochastic: bool
) -> float:
    """Go through the mini-batches once and update the model; return the error per sequence."""
    total = 0.0
    optimiser.zero_grad()
    for batch in batches:
        error = _half_squared_error(model, batch)
        torch.autograd.backward(error)
        total += error.item()
        if stochastic:
            optimiser.step()
            optimiser.zero_grad()
    if not stochastic:
        optimiser.step()
    return total / _count(batches)


def _evaluate(model: BLSTM, batches: list[_Batch]) -> float:
    with torch.no_grad():
        total = sum(_half_squared_error(model, batch).item() for batch in batches)
    return total / _count(batches)


def _half_squared_error(model: BLSTM, batch: _Batch) -> Tensor:
    inputs, targets, mask = batch
    outputs: Tensor = model(inputs, mask)
    return 0.5 * (outputs - targets)[mask].square().sum()


def _count(batches: list[_Batch]) -> int:
    return sum(len(mask) for _, _, mask in batches)
