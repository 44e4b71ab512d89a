"""The part of benchmarks/training.py that needs a GPU: groups of networks, and the whole protocol.

Rates are of float32 tensors, products in tf32, ours and cuDNN's. The protocol is the paper's: 30
networks a scale (2 dimensions, 5 partitions, 3 trials), 100 epochs of 345 songs of 30 seconds with
86 for validation, and an autoencoder of two layers a scale, 20 epochs of 431. Its data are drawn at
random; its time is projected from a few epochs, and with `whole` it is run.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from moodcurve.training.batches import Sequences
from moodcurve.training.devices import at_work
from moodcurve.training.loop import Task, train_many
from moodcurve.training.network import BLSTM, initial_network, run_all
from moodcurve.training.presets import PRESETS, SCALES
from moodcurve.training.pretraining import autoencoder

FEATURES, LAYERS, UNITS, BATCH = 260, 5, 250, 50
GROUP = 30
PAPER = PRESETS["paper-2016"].settings
PRETRAINED, PRETRAINING_EPOCHS = 2, 20
SONGS, HELD, ROWS = 345, 86, 60


def measure(operations: Callable[[int], float], turns: int, whole: bool) -> dict[str, Any]:
    """All figures; `operations` of one network's pass over a mini-batch of T half-seconds."""
    device = torch.device("cuda")
    with at_work(device):
        peak, copy = product_rate(device, turns), copy_rate(device, turns)
        found: dict[str, Any] = {
            "device": torch.cuda.get_device_name(device),
            "peak_tflops": round(peak / 1e12, 1),
            "copy_TB_s": round(copy / 1e12, 2),
        }
        for steps in (10, 60):
            found[f"T{steps}"] = speed(steps, operations(steps), turns, peak, copy)
    found["protocol"] = protocol(device, whole)
    return found


def product_rate(device: torch.device, turns: int) -> float:
    """Operations a second of a product of large matrices."""
    side = 8192
    a, b = torch.randn(2, side, side, device=device)
    return 2 * side**3 / best(lambda: a @ b, turns)


def copy_rate(device: torch.device, turns: int) -> float:
    """Bytes a second, read and written."""
    gigabyte = torch.ones(2**28, device=device)
    return 2 * 4 * len(gigabyte) / best(lambda: gigabyte.clone(), turns)


def speed(steps: int, work: float, turns: int, peak: float, copy: float) -> dict[str, float]:
    """A group's pass forward and back, beside torch.nn.LSTM through cuDNN for one at a time."""
    device = torch.device("cuda")
    models = [
        BLSTM(initial_network(FEATURES, LAYERS, UNITS, np.random.default_rng(n)), device=device)
        for n in range(GROUP)
    ]
    weights = [weight for model in models for weight in model.parameters()]
    x = torch.randn(GROUP, steps, BATCH, FEATURES, device=device)
    lstm = torch.nn.LSTM(FEATURES, UNITS // 2, LAYERS, bidirectional=True).to(device)
    ours = best(lambda: torch.autograd.grad(run_all(models, x).sum(), weights), turns)
    rival = list(lstm.parameters())
    theirs = GROUP * best(lambda: torch.autograd.grad(lstm(x[0])[0].sum(), rival), turns)
    return {
        "ours_ms": round(1e3 * ours, 2),
        "nn_lstm_ms": round(1e3 * theirs, 2),
        "ratio_nn_lstm": round(theirs / ours, 2),
        "ours_tflops": round(GROUP * work / ours / 1e12, 2),
        "floor_operations_ms": round(1e3 * GROUP * work / peak, 2),
        "floor_bytes_ms": round(1e3 * GROUP * bytes_moved(steps) / copy, 2),
    }


def bytes_moved(steps: int) -> float:
    """At least, of one network: what is kept of a pass is written, and read by the pass back.

    Inputs, gates, states and outputs of each layer and the errors between layers. Weights, a tenth
    of it at T = 60, are read and their gradients written.
    """
    rows, weights = BATCH * steps, 4 * (UNITS // 2) * 2
    kept = LAYERS * rows * (4 * UNITS + UNITS + UNITS)
    own = sum(weights * (size + UNITS // 2) for size in [FEATURES] + [UNITS] * (LAYERS - 1))
    return 4.0 * (2 * (kept + LAYERS * rows * UNITS + rows * FEATURES) + 3 * own)


def best(run: Callable[[], object], turns: int) -> float:
    """Seconds by the clock until the device is done, the least of several turns."""
    for _ in range(3):
        run()
    found = []
    for _ in range(turns):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return min(found)


def drawn(songs: int, steps: int, outputs: int) -> Sequences:
    rng = np.random.default_rng(songs)
    count = songs * (ROWS // steps)
    inputs = rng.normal(size=(count, steps, FEATURES)).astype(np.float32)
    targets = inputs if outputs == FEATURES else inputs[..., :outputs].cumsum(axis=1) / steps
    return Sequences(inputs, targets, np.ones((count, steps), bool))


def protocol(device: torch.device, whole: bool) -> dict[str, float]:
    """Seconds that the 120 networks and their pretraining take: projected, and if asked run."""
    projected = ran = 0.0
    for steps in SCALES:
        few, more = (scale(device, steps, epochs) for epochs in (1, 4))
        projected += few + (PAPER.epochs - 1) * (more - few) / 3
        few, more = (pretrain(device, steps, epochs) for epochs in (1, 4))
        projected += few + (PRETRAINING_EPOCHS - 1) * (more - few) / 3
        if whole:
            ran += scale(device, steps, PAPER.epochs) + pretrain(device, steps, PRETRAINING_EPOCHS)
    return {"projected_s": round(projected, 1), **({"run_s": round(ran, 1)} if whole else {})}


def scale(device: torch.device, steps: int, epochs: int) -> float:
    """Seconds for one scale's networks, none of them stopped early."""
    training, validation = drawn(SONGS, steps, 1), drawn(HELD, steps, 1)
    tasks = [
        Task(initial_network(FEATURES, LAYERS, UNITS, rng), training, validation, rng)
        for rng in map(np.random.default_rng, range(GROUP))
    ]
    return seconds(tasks, epochs, device)


def pretrain(device: torch.device, steps: int, epochs: int) -> float:
    rng = np.random.default_rng(0)
    network = autoencoder(FEATURES, PRETRAINED, UNITS, rng, 0.1)
    return seconds([Task(network, drawn(SONGS + HELD, steps, FEATURES), None, rng)], epochs, device)


def seconds(tasks: list[Task], epochs: int, device: torch.device) -> float:
    start = time.perf_counter()
    train_many(tasks, replace(PAPER, epochs=epochs, patience=epochs), device)
    return time.perf_counter() - start


def report(found: dict[str, Any]) -> str:
    lines = ["GPU: {device}, tf32 {peak_tflops} TFLOP/s, {copy_TB_s} TB/s".format(**found)]
    for steps in (10, 60):
        own = found[f"T{steps}"]
        lines += [
            f"  T = {steps}, {GROUP} networks at once:".ljust(38)
            + "{ours_ms:9} ms, {ours_tflops} TFLOP/s".format(**own),
            "    torch.nn.LSTM, one after another:".ljust(38)
            + "{nn_lstm_ms:9} ms, ours {ratio_nn_lstm} x".format(**own),
            "    at least, for operations, bytes:".ljust(38)
            + "{floor_operations_ms:9} ms, {floor_bytes_ms} ms".format(**own),
        ]
    run = found["protocol"].get("run_s")
    lines.append(
        f"  the whole protocol: {found['protocol']['projected_s']} s projected"
        + (f", {run} s run" if run else "")
    )
    return "\n".join(lines)
