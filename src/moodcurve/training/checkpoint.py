"""A training under way: all that its next epoch depends on, in memory and in a file.

The file is rewritten after whole epochs, so that a training that is killed goes on from the last of
these and ends with the very weights of an uninterrupted one.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict
from zipfile import BadZipFile

import numpy as np
import torch

from moodcurve.errors import InputError
from moodcurve.files import replacing
from moodcurve.network import Network
from moodcurve.training.network import BLSTM


class Epoch(TypedDict):
    """One line of the training log; errors are half the squared error per sequence."""

    epoch: int
    training_error: float
    validation_error: float | None
    new_best: bool
    seconds: float
    stopped: NotRequired[str]  # why training ended here, other than by its settings


@dataclass
class Progress:
    """The weights, the optimiser's memory, the random generators, and the best weights so far."""

    model: BLSTM
    optimiser: torch.optim.Optimizer  # also of the networks trained at the same time
    rng: np.random.Generator  # the order of the sequences
    noise: torch.Generator
    best: list[torch.Tensor]  # as `BLSTM.copies`
    best_error: float = math.inf
    best_epoch: int = 0
    log: list[Epoch] = field(default_factory=list)

    def keep_weights(self) -> None:
        """Make the present weights the best."""
        for best, weight in zip(self.best, self.model.parameters(), strict=True):
            best.copy_(weight.detach())

    def best_network(self) -> Network:
        """The network of the best weights."""
        return self.model.to_network(self.best)


def save(progress: Progress, path: Path) -> None:
    """Write the progress to `path`, an .npz; the one there before stays until it is whole."""
    numbers = {
        "best_error": progress.best_error,
        "best_epoch": progress.best_epoch,
        "log": progress.log,
        "rng": progress.rng.bit_generator.state,
        "device": progress.noise.device.type,
    }
    arrays = {
        "noise": progress.noise.get_state().numpy(),
        "numbers": np.array(json.dumps(numbers)),
    }
    for index, weight in enumerate(progress.model.parameters()):
        arrays[f"best/{index}"] = progress.best[index].cpu().numpy()
        arrays[f"model/{index}"] = weight.detach().cpu().numpy()
        for key, value in progress.optimiser.state[weight].items():
            arrays[f"optimiser/{index}/{key}"] = value.cpu().numpy()
    with replacing(path) as part:
        np.savez(part, allow_pickle=False, **arrays)


def restore(progress: Progress, path: Path) -> None:
    """Bring `progress`, that of a training's first epoch, to where the file at `path` left it.

    One that is damaged, as by a power cut, changes nothing: training begins anew. Raises InputError
    where that was on another kind of device: it draws other noise.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        numbers = json.loads(str(arrays["numbers"]))
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return
    device = numbers.get("device", "cpu")  # earlier ones are all of the processor
    if device != progress.noise.device.type:
        raise InputError(f"{path}: begun with --device {device}; go on with that, or delete it")
    progress.noise.set_state(torch.from_numpy(arrays["noise"]))
    progress.best_error, progress.best_epoch = numbers["best_error"], numbers["best_epoch"]
    progress.log = numbers["log"]
    progress.rng.bit_generator.state = numbers["rng"]
    with torch.no_grad():
        for index, weight in enumerate(progress.model.parameters()):
            weight.copy_(torch.from_numpy(arrays[f"model/{index}"]))
            progress.best[index].copy_(torch.from_numpy(arrays[f"best/{index}"]))
            progress.optimiser.state[weight] = {
                key: torch.from_numpy(value).to(weight.device)
                for key, value in _part(arrays, f"optimiser/{index}").items()
            }


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    start = f"{prefix}/"
    return {key.removeprefix(start): a for key, a in arrays.items() if key.startswith(start)}
