"""How much memory training takes, and whether there is so much."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from moodcurve.errors import InputError
from moodcurve.network import Network, Recurrent, parameter_count
from moodcurve.training import cells
from moodcurve.training.devices import CPU, free_bytes

BOUND = 128e6  # bytes that the mini-batches computed at once may take on the processor


def pass_bytes(network: Network, steps: int, rows: int, device: torch.device = CPU) -> int:
    """What one network's pass over `rows` sequences of `steps` keeps until its gradient is made.

    Every layer's values, gates and states, two layers' errors, and the working space of one layer;
    on a GPU twice that, as each direction has its own copies.
    """
    widest = max(layer.inputs + layer.outputs for layer in network.layers)
    numbers = steps * rows * (network.inputs + 2 * widest)
    work = 0
    for layer in network.layers:
        numbers += steps * rows * layer.outputs
        if isinstance(layer, Recurrent):
            directions, _, units = layer.recurrent.shape
            kept = cells.floats(1, directions, steps, rows, units)
            numbers += kept
            work = max(work, kept + 4 * layer.weights.size + 4 * layer.recurrent.size)
    return 4 * (numbers + work) * (1 if device.type == "cpu" else 2)


def at_once(network: Network, steps: int, rows: int, device: torch.device = CPU) -> int:
    """How many networks' passes are computed together, at least one.

    On the processor as many as fit into `BOUND`, on a GPU into half of its free memory.
    """
    free = free_bytes(device) if device.type != "cpu" else None
    bound = int(BOUND) if free is None else free // 2
    return max(1, bound // pass_bytes(network, steps, rows, device))


def training_bytes(
    networks: Sequence[Network],
    steps: int,
    rows: int,
    optimiser: str,
    device: torch.device = CPU,
) -> int:
    """What training networks of one shape at once takes, their data left aside.

    Of each network its weights, those given, the best and the optimiser's memory; of as many as
    `at_once` says a pass, a gradient and the sum of those before, on a GPU the weights stacked.
    """
    weights = 4 * parameter_count(networks[0])
    own = (5 if optimiser == "adam" else 4) * weights
    updating = 2 * weights if device.type == "cpu" else 3 * weights
    few = min(len(networks), at_once(networks[0], steps, rows, device))
    updating += pass_bytes(networks[0], steps, rows, device)
    return len(networks) * own + few * updating


def check_memory(
    networks: Sequence[Network],
    steps: int,
    rows: int,
    optimiser: str,
    device: torch.device = CPU,
) -> None:
    """Raise InputError where training takes more memory than there is, so far as that is known."""
    needed = training_bytes(networks, steps, rows, optimiser, device)
    free = free_bytes(device)
    if free is not None and needed > free:
        raise InputError(
            f"training {len(networks)} networks at once takes {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB of memory are free; train fewer at once or smaller ones"
        )
