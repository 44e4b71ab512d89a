"""How fast networks train, beside torch.nn.LSTM and beside what the core can multiply.

    python benchmarks/training.py [--quick] [--json FILE] [--corpus DIR]

Networks of the paper's size (260 features, 5 BLSTM layers of 250 units) on mini-batches of 50
sequences of T half-seconds, on one core: rates of a forward and a backward pass in GFLOP/s, counted
as the matrix products need them. torch.nn.LSTM has no peepholes and clips nothing. The peak is the
fastest product of large float32 matrices among the libraries at hand, taken between the other
measurements; every figure is the best of several turns, as other work on the machine only slows.
With --corpus, also the time until the paper's recipe and the default reach the same validation
error. Nothing here runs on a GPU.
"""

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402

from moodcurve.training import cells, memory  # noqa: E402
from moodcurve.training.loop import (  # noqa: E402
    Sequences,
    Settings,
    Task,
    one_thread,
    train_many,
)
from moodcurve.training.network import BLSTM, initial_network, run_all  # noqa: E402

FEATURES, LAYERS, UNITS, BATCH = 260, 5, 250, 50
CURRENNT = (1.5, 2.9)  # GFLOP/s of its own path without a GPU on this network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--corpus", type=Path, help="labelled songs for the time to quality")
    options = parser.parse_args()
    one_thread()
    turns = 6 if options.quick else 20
    found: dict[str, Any] = {"cpu": {}, "gpu": None}
    print(f"{os.cpu_count()} cores, {os.getloadavg()[0]:.1f} processes wanted one before this\n")
    for steps in (10, 60):
        found["cpu"][f"T{steps}"] = speed(steps, turns)
        print(table(steps, found["cpu"][f"T{steps}"]))
    found["small_networks"] = small_networks(turns)
    print(
        "20 networks of 32 units, T = 10, at once: {:.2f} x one by one".format(
            found["small_networks"]
        )
    )
    found["cpu"]["two_processes"] = two_processes(turns)
    print("two processes: {:.2f} x one".format(found["cpu"]["two_processes"]))
    found["memory"] = thirty_networks()
    print(
        "30 of the paper's networks at once, T = 60: {stated_MB:.0f} MB stated before, "
        "{measured_MB:.0f} MB measured".format(**found["memory"])
    )
    print("GPU: not run")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def speed(steps: int, turns: int) -> dict[str, float]:
    """Rates in GFLOP/s of passes and of matrix products, and what they are to one another."""
    model, x, lstm = passes(steps)
    work = operations(steps)
    a, b = torch.randn(2, 1024, 1024)
    product = 2 * 1024**3
    candidates: dict[str, tuple[float, Callable[[], object]]] = {
        "ours": (work, lambda: one_pass(model, x)),
        "nn_lstm": (work, lambda: lstm(x[0])[0].sum().backward()),
        "peak_mkl": (product, lambda: a @ b),
        "peak_openblas": (product, lambda: a.numpy() @ b.numpy()),
    }
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # as torch's compiler calls oneDNN
        onednn = torch.ops.mkldnn._linear_pointwise
        candidates["peak_onednn"] = (product, lambda: onednn(a, b, None, "none", [], ""))
    rates = {name: 0.0 for name in candidates}
    for _ in range(turns):
        for name, (count, run) in candidates.items():
            rates[name] = max(rates[name], count / seconds(run) / 1e9)
    library, cells._LIBRARY = cells._LIBRARY, None
    expressions = work / min(seconds(lambda: one_pass(model, x)) for _ in range(3)) / 1e9
    cells._LIBRARY = library
    peak = max(rate for name, rate in rates.items() if name.startswith("peak"))
    return {
        **{name: round(rate, 1) for name, rate in rates.items()},
        "expressions": round(expressions, 1),
        "ratio_nn_lstm": round(rates["ours"] / rates["nn_lstm"], 3),
        "share_of_peak": round(rates["ours"] / peak, 3),
    }


def passes(steps: int) -> tuple[BLSTM, torch.Tensor, torch.nn.LSTM]:
    """A network of the paper's, a mini-batch (1, T, B, F), and torch's own LSTM of that size."""
    model = BLSTM(initial_network(FEATURES, LAYERS, UNITS, np.random.default_rng(0)))
    lstm = torch.nn.LSTM(FEATURES, UNITS // 2, LAYERS, bidirectional=True)
    return model, torch.randn(1, steps, BATCH, FEATURES), lstm


def one_pass(model: BLSTM, x: torch.Tensor) -> None:
    run_all([model], x).sum().backward()


def operations(steps: int) -> float:
    """Of the matrix products of both passes; the gradient of the features is not needed."""
    width = UNITS // 2
    inputs = [FEATURES] + [UNITS] * (LAYERS - 1)
    products = sum(3 * (size + width) for size in inputs) - FEATURES
    return 2 * 2 * 4 * width * products * BATCH * steps


def seconds(run: Callable[[], object]) -> float:
    """Of this thread's own computing: what else the machine does meanwhile does not count."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


def table(steps: int, found: Mapping[str, float]) -> str:
    peaks = {name: rate for name, rate in found.items() if name.startswith("peak")}
    best = max(peaks, key=lambda name: peaks[name])
    slow, fast = (found["ours"] / rate for rate in CURRENNT[::-1])
    lines = [
        f"T = {steps}: a pass forward and back, {operations(steps) / 1e9:.1f} GFLOP",
        f"  {'peephole BLSTM, cells.c':34}{found['ours']:7.1f} GFLOP/s",
        f"  {'the same in torch expressions':34}{found['expressions']:7.1f}",
        f"  {'torch.nn.LSTM':34}{found['nn_lstm']:7.1f}   ours {found['ratio_nn_lstm']:.2f} x",
    ]
    lines += [
        f"  {'1024 x 1024 product, ' + name.removeprefix('peak_'):34}{rate:7.1f}"
        + (f"   ours {100 * found['share_of_peak']:.0f} %" if name == best else "")
        for name, rate in peaks.items()
    ]
    lines.append(
        f"  {'CURRENNT without a GPU (noted)':34}{CURRENNT[0]} to {CURRENNT[1]}"
        f"   ours {slow:.0f} to {fast:.0f} x; its GPU path, the fair rival, could not be run\n"
    )
    return "\n".join(lines)


def drawn(count: int, steps: int, outputs: int, features: int = FEATURES) -> Sequences:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(count, steps, features)).astype(np.float32)
    targets = rng.uniform(-1, 1, (count, steps, outputs)).astype(np.float32)
    return Sequences(inputs, targets, np.ones((count, steps), bool))


def small_networks(turns: int) -> float:
    """How many times faster the default's networks train at once than one by one."""
    data = drawn(400, 10, 2)
    settings = Settings("adam", 1e-3, error="mean", epochs=1)

    def tasks() -> list[Task]:
        rngs = [np.random.default_rng(n) for n in range(20)]
        return [Task(initial_network(FEATURES, 1, 32, r, 0.1, 2), data, None, r) for r in rngs]

    train_many(tasks(), settings)
    together, alone = [], []
    for _ in range(max(3, turns // 3)):
        together.append(seconds(lambda: train_many(tasks(), settings)))
        alone.append(seconds(lambda: [train_many([task], settings) for task in tasks()]))
    return round(min(alone) / min(together), 2)


_model: BLSTM
_x: torch.Tensor


def _start_worker() -> None:
    global _model, _x
    one_thread()
    _model, _x, _ = passes(60)
    one_pass(_model, _x)


def _passes(count: int) -> tuple[float, float]:
    start = time.monotonic()
    for _ in range(count):
        one_pass(_model, _x)
    return start, time.monotonic()


def two_processes(turns: int) -> float:
    """Passes a second of two processes at once, by the clock, as a multiple of one's."""
    count, one, two = 4, 0.0, 0.0
    with ProcessPoolExecutor(2, get_context("spawn"), _start_worker) as pool:
        list(pool.map(_passes, [1, 1]))
        for _ in range(turns):
            start, end = pool.submit(_passes, count).result()
            one = max(one, count / (end - start))
            starts, ends = zip(*pool.map(_passes, [count, count]), strict=True)
            two = max(two, 2 * count / (max(ends) - min(starts)))
    return round(two / one, 3)


def thirty_networks() -> dict[str, float]:
    """Memory of training 30 of the paper's networks, T = 60: as stated before, and measured."""
    network = initial_network(FEATURES, LAYERS, UNITS, np.random.default_rng(0))
    stated = memory.training_bytes([network] * 30, 60, BATCH, "sgd")
    with ProcessPoolExecutor(1, get_context("spawn"), one_thread) as pool:
        measured = pool.submit(_growth).result()
    return {"stated_MB": round(stated / 1e6), "measured_MB": round(measured / 1e6)}


def _growth() -> int:
    data = drawn(BATCH, 60, 1)
    settings = Settings(epochs=1)
    rng = np.random.default_rng(0)
    small = initial_network(FEATURES, 1, 2, rng)
    train_many([Task(small, data, data, rng)], settings)  # what the libraries take
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tasks = [
        Task(initial_network(FEATURES, LAYERS, UNITS, rng), data, data, rng) for _ in range(30)
    ]
    train_many(tasks, settings)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


if __name__ == "__main__":
    main()
