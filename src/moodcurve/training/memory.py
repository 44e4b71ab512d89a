"""How much memory training takes, and whether there is so much."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moodcurve.errors import InputError
from moodcurve.network import Network, Recurrent, parameter_count
from moodcurve.training import cells

BOUND = 128e6  # bytes that the mini-batches computed at once may take


def pass_bytes(network: Network, steps: int, rows: int) -> int:
    """What one network's pass over `rows` sequences of `steps` keeps until its gradient is made.

    Every layer's values, gates and states, two layers' errors, and the working space of one layer.
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
    return 4 * (numbers + work)


def at_once(network: Network, steps: int, rows: int) -> int:
    """How many networks' passes fit into `BOUND`, at least one."""
    return max(1, int(BOUND) // pass_bytes(network, steps, rows))


def training_bytes(networks: Sequence[Network], steps: int, rows: int, optimiser: str) -> int:
    """What training networks of one shape at once takes, their data left aside.

    Of each network its weights, those given, the best, the gradient and the optimiser's memory;
    and passes, of as many networks as `BOUND` allows, or one.
    """
    copies = 6 if optimiser == "adam" else 5
    own = 4 * copies * parameter_count(networks[0])
    passes = min(len(networks), at_once(networks[0], steps, rows))
    return len(networks) * own + passes * pass_bytes(networks[0], steps, rows)


def check_memory(networks: Sequence[Network], steps: int, rows: int, optimiser: str) -> None:
    """Raise InputError where training takes more memory than there is, so far as that is known."""
    needed, free = training_bytes(networks, steps, rows, optimiser), available()
    if free is not None and needed > free:
        raise InputError(
            f"training {len(networks)} networks at once takes {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB of memory are free; train fewer at once or smaller ones"
        )


def available() -> int | None:
    """Bytes of memory that can be had, on Linux; None where that is not told."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    numbers = dict(line.split(":") for line in lines)
    kilobytes = numbers.get("MemAvailable", "").split()[:1]
    return int(kilobytes[0]) * 1024 if kilobytes else None
