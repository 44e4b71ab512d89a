"""How fast networks train, beside torch.nn.LSTM and beside what the core can multiply.

    python benchmarks/training.py [--quick] [--json FILE] [--corpus DIR] [--whole]

Networks of the paper's size (260 features, 5 BLSTM layers of 250 units) on mini-batches of 50
sequences of T half-seconds, on one core: rates of a forward and a backward pass in GFLOP/s, counted
as the matrix products need them. torch.nn.LSTM has no peepholes and clips nothing. The peak is the
fastest product of large float32 matrices among the libraries at hand, taken between the other
measurements; every figure is the best of several turns, as other work on the machine only slows.
With --corpus, also the time until the paper's recipe and the default reach the same validation
error. Where torch has a GPU, training_gpu.py's figures follow; --whole runs the protocol there.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
import training_gpu  # noqa: E402

from moodcurve.corpora.layouts import open_corpus  # noqa: E402
from moodcurve.corpora.rows import LabelledRows, labelled_rows  # noqa: E402
from moodcurve.training import cells, memory  # noqa: E402
from moodcurve.training.batches import Sequences  # noqa: E402
from moodcurve.training.checkpoint import Epoch  # noqa: E402
from moodcurve.training.ensemble import partitions, sequences, without_networks  # noqa: E402
from moodcurve.training.loop import (  # noqa: E402
    Settings,
    Task,
    one_thread,
    train_many,
)
from moodcurve.training.network import BLSTM, initial_network, run_all  # noqa: E402
from moodcurve.training.presets import PRESETS, Preset  # noqa: E402

FEATURES, LAYERS, UNITS, BATCH = 260, 5, 250, 50
CURRENNT = (1.5, 2.9)  # GFLOP/s of its own path without a GPU on this network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--corpus", type=Path, help="labelled songs for the time to quality")
    parser.add_argument("--whole", action="store_true", help="run the paper's protocol on a GPU")
    options = parser.parse_args()
    if cells._LIBRARY is None:
        parser.error("training/cells.c is not built; run `pip install -e .`")
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
    found["cpu"]["two_processes"], clock = two_processes(turns)
    found["cpu"]["two_processes_by_the_clock"] = clock
    print(f"two processes: {found['cpu']['two_processes']:.2f} x one; by the clock {clock:.2f} x")
    found["memory"] = thirty_networks()
    print(
        "30 of the paper's networks at once, T = 60: {stated_MB:.0f} MB stated before, "
        "{measured_MB:.0f} MB measured".format(**found["memory"])
    )
    if options.corpus:
        found["time_to_quality"] = time_to_quality(options.corpus)
        print(
            "validation RMSE {rmse}: paper-2016 {paper_s} s, default {default_s} s, {ratio} x less "
            "(at its best {default_best_rmse})".format(**found["time_to_quality"])
        )
    if torch.cuda.is_available():
        found["gpu"] = training_gpu.measure(operations, turns, options.whole)
        print(training_gpu.report(found["gpu"]))
    else:
        print("GPU: none here, not run")
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
    rates = dict.fromkeys(candidates, 0.0)
    for _ in range(turns):
        for name, (count, run) in candidates.items():
            rates[name] = max(rates[name], count / seconds(run) / 1e9)
    big = torch.ones(2**26)  # 256 MB
    copy = 2 * 4 * len(big) / min(seconds(lambda: big.clone()) for _ in range(turns))
    library, cells._LIBRARY = cells._LIBRARY, None
    expressions = work / min(seconds(lambda: one_pass(model, x)) for _ in range(3)) / 1e9
    cells._LIBRARY = library
    peak = max(rate for name, rate in rates.items() if name.startswith("peak"))
    return {
        **{name: round(rate, 1) for name, rate in rates.items()},
        "expressions": round(expressions, 1),
        "ratio_nn_lstm": round(rates["ours"] / rates["nn_lstm"], 3),
        "share_of_peak": round(rates["ours"] / peak, 3),
        "ms": round(work / rates["ours"] / 1e6, 1),
        "floor_operations_ms": round(work / peak / 1e6, 1),
        "floor_bytes_ms": round(bytes_moved(steps) / copy * 1e3, 1),
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


def bytes_moved(steps: int) -> float:
    """At least: what is kept of a pass is written, and read again by the backward pass.

    Gates, states and outputs, and the errors that go from layer to layer; weights stay in caches.
    """
    rows = BATCH * steps
    kept = LAYERS * (cells.floats(1, 2, steps, BATCH, UNITS // 2) + rows * UNITS)
    return 4.0 * 2 * (kept + LAYERS * rows * UNITS)


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
        "  a pass takes {ms} ms; its products at the highest rate {floor_operations_ms} ms, "
        "its bytes {floor_bytes_ms} ms".format(**found)
    )
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


def _pass_in_worker(_: int) -> tuple[float, float, float]:
    start = time.monotonic()
    computing = seconds(lambda: one_pass(_model, _x))
    return start, time.monotonic(), computing


def two_processes(turns: int) -> tuple[float, float]:
    """Passes a second of two processes at once as a multiple of one's.

    By the time that the slower of the two computes, and by the clock, which tells the same only
    where both cores are free. The best of many single passes.
    """
    one, two, one_clock, two_clock = (float("inf"),) * 4
    with ProcessPoolExecutor(2, get_context("spawn"), _start_worker) as pool:
        list(pool.map(_pass_in_worker, range(2)))
        for _ in range(5 * turns):
            start, end, computing = pool.submit(_pass_in_worker, 0).result()
            one, one_clock = min(one, computing), min(one_clock, end - start)
            starts, ends, both = zip(*pool.map(_pass_in_worker, range(2)), strict=True)
            two, two_clock = min(two, max(both)), min(two_clock, max(ends) - min(starts))
    return round(2 * one / two, 3), round(2 * one_clock / two_clock, 3)


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
    before = most_memory()
    networks = [initial_network(FEATURES, LAYERS, UNITS, rng) for _ in range(30)]
    train_many([Task(each, data, data, rng) for each in networks], settings)
    return most_memory() - before


def most_memory() -> int:
    """The most bytes that this process ever held (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def time_to_quality(folder: Path, scale: int = 20) -> dict[str, float]:
    """Computing time until the validation error that the paper's recipe comes to, and to it.

    Of the default's first partition, at one scale: the paper's recipe trains a network of valence
    and one of arousal, the default one of both; errors are RMSE over both dimensions.
    """
    songs = labelled_rows(open_corpus(folder).songs, official_only=True)
    paper = [
        curve_of_learning(songs, PRESETS["paper-2016"], dimension, scale) for dimension in (0, 1)
    ]
    best = [min(points, key=lambda point: point[1]) for points in paper]
    quality = float(np.sqrt(np.mean([error**2 for _, error in best])))
    default = curve_of_learning(songs, PRESETS["default"], None, scale)
    reached = next((spent for spent, error in default if error <= quality), float("nan"))
    spent = sum(spent for spent, _ in best)
    return {
        "rmse": round(quality, 4),
        "paper_s": round(spent, 1),
        "default_s": round(reached, 2),
        "ratio": round(spent / reached, 1),
        "default_best_rmse": round(min(error for _, error in default), 4),
    }


def curve_of_learning(
    songs: list[LabelledRows], preset: Preset, dimension: int | None, scale: int
) -> list[tuple[float, float]]:
    """Seconds of computing and RMSE on the first partition's validation songs, after each epoch."""
    model = without_networks(songs, preset)
    standard = [replace(song, rows=model.inputs(song.rows)) for song in songs]
    sets = partitions([s.song for s in songs], PRESETS["default"], np.random.default_rng(0))
    held = set(sets[0].tolist())
    training = [song for number, song in enumerate(standard) if number not in held]
    own = sequences(training, dimension, scale, preset.balance)
    validation = sequences([standard[number] for number in sorted(held)], dimension, scale)
    labels = (validation.mask[..., None] & ~np.isnan(validation.targets)).sum()
    points: list[tuple[float, float]] = []

    def note(epoch: Epoch) -> None:
        error = epoch["validation_error"]
        assert error is not None
        rmse = np.sqrt(2 * error * len(validation) / labels)
        points.append((time.thread_time() - start, float(rmse)))

    rng = np.random.default_rng(0)
    outputs = 2 if dimension is None else 1
    network = initial_network(
        own.inputs.shape[2], preset.layers, preset.units, rng, preset.sigma, outputs
    )
    start = time.thread_time()
    train_many([Task(network, own, validation, rng, note)], preset.settings)
    return points


if __name__ == "__main__":
    main()
