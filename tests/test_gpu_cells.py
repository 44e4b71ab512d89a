"""The GPU's kernels against torch's expressions; in Triton's interpreter where there is no GPU."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs moodcurve[train]")
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before the kernels are defined
pytest.importorskip("triton", reason="the GPU's kernels need Triton")

from moodcurve.training import cells, expressions, gpu_cells, loop, network  # noqa: E402
from moodcurve.training.batches import hold  # noqa: E402
from moodcurve.training.checkpoint import Progress  # noqa: E402
from moodcurve.training.devices import CPU  # noqa: E402
from moodcurve.training.network import BLSTM, initial_network, lstm_layer  # noqa: E402
from test_training_many import SETTINGS, assert_same, sequences, task  # noqa: E402

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SHAPES = {  # ways, steps, batch, units
    "less than a tile": (3, 4, 5, 7),
    "one tile": (2, 2, 16, 32),
    "some rows and units over": (1, 3, 18, 33),
    "one of everything": (1, 1, 1, 1),
}


def drawn(shape, masked, seed=0):
    """What a layer's steps begin with, some of it large, and an error from above."""
    ways, steps, batch, units = shape
    torch.manual_seed(seed)
    gates = 2 * torch.randn(ways, steps, batch, 4, units)
    recurrent, peepholes = torch.randn(ways, 4 * units, units), torch.randn(ways, 3, units)
    to_h = 3 * torch.randn(ways, steps, batch, units)
    valid = None
    if masked:
        lengths = torch.randint(0, steps + 1, (ways, 1, batch))
        valid = (torch.arange(steps)[:, None] < lengths).unsqueeze(3).float().to(DEVICE)
    return *(each.to(DEVICE) for each in (gates, recurrent, peepholes, to_h)), valid


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_steps(shape, masked, clip):
    gates, recurrent, peepholes, to_h, valid = drawn(shape, masked)
    ways, steps, batch, units = shape
    found = []
    for steps_of in (expressions, gpu_cells):
        h = torch.zeros(ways, steps + 1, batch, units, device=DEVICE)
        own, c = gates.clone(), torch.zeros_like(h)
        steps_of.run_cells(own, h, c, recurrent, peepholes, valid)
        deltas = steps_of.gate_deltas(to_h.clone(), own, c, recurrent, peepholes, valid, clip)
        found.append((own, h, c, deltas))
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_what_is_not_a_number_is_passed_on_and_stays_in_its_network():
    gates, recurrent, peepholes, to_h, _ = drawn((2, 3, 4, 5), False)
    gates[0, 1, 2, 0, 3] = torch.nan
    h = torch.zeros(2, 4, 4, 5, device=DEVICE)
    c = torch.zeros_like(h)
    gpu_cells.run_cells(gates, h, c, recurrent, peepholes, None)
    deltas = gpu_cells.gate_deltas(to_h, gates, c, recurrent, peepholes, None, True)
    assert h[0, 2, 2].isnan().any() and deltas[0].isnan().any()
    assert h[1].isfinite().all() and deltas[1].isfinite().all()


@pytest.fixture
def kernels(monkeypatch):
    """A processor's training by way of the kernels."""
    monkeypatch.setattr(cells, "_LIBRARY", None)
    monkeypatch.setattr(network, "_steps", lambda x: gpu_cells)


def test_a_layer_and_its_gradients(kernels):
    """In double precision the same by expressions, whose gradient has finite differences."""
    torch.manual_seed(1)
    layer = initial_network(5, 1, 12, np.random.default_rng(0), sigma=0.4).layers[0]
    names = ("weights", "bias", "recurrent", "peepholes")
    lengths = torch.tensor([[6, 2, 4]], dtype=torch.int32, device=DEVICE)
    found = []
    for dtype in (torch.float32, torch.float64):
        own = [torch.tensor(getattr(layer, name)).to(DEVICE, dtype) for name in names]
        x = torch.linspace(-2, 2, 90).view(1, 6, 3, 5).to(DEVICE, dtype)
        inputs = [each.requires_grad_() for each in (x, *own)]
        if dtype == torch.float64:
            network._steps = lambda x: expressions  # undone by the fixture
        out = lstm_layer(x, lengths, [own], clip_deltas=True)
        found.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(DEVICE.type == "cuda", reason="the interpreter's turn")
def test_training_comes_to_what_it_comes_to_on_the_processor(request):
    settings = replace(SETTINGS, epochs=1, batch=16)
    tasks = [[task(seed) for seed in range(2)] for _ in range(2)]
    plain = loop.train_many(tasks[0], settings)
    request.getfixturevalue("kernels")
    for one, other in zip(plain, loop.train_many(tasks[1], settings), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("error", ["sum", "mean", "ccc"])
def test_nothing_is_asked_of_the_device_during_an_epoch(error, monkeypatch):
    """On "meta" tensors have no values: whoever asks for one, or mixes in the processor's, fails.

    A GPU would have to be waited for there. The same operations are asked of it, but for the fused
    step of the optimiser, which knows no "meta". What is asked for at the end are the errors.
    """
    meta = torch.device("meta")
    asked = []
    monkeypatch.setattr(loop, "_totals", lambda found, count: asked.extend(found) or [0.0] * count)
    members = []
    for each in (task(0), task(1)):
        model = BLSTM(each.network, device=meta)
        optimiser = torch.optim.SGD(model.parameters())
        progress = Progress(model, optimiser, each.rng, torch.Generator(), model.copies())
        data = (hold(each.training, meta), hold(each.validation, meta))
        members.append(loop._Member(each, progress, *data))
    loop._train_epoch(members, replace(SETTINGS, error=error), 2)
    updates = len(asked)
    loop._evaluate([(m.progress.model, m.validation) for m in members], SETTINGS.batch, 2)
    assert len(asked) > updates > 1
    assert {errors.device.type for _, errors in asked} == {"meta"}


def test_data_on_a_device_is_the_data():
    data = sequences(1, 9, weighed=True)
    held = hold(data, CPU)
    there = data.mask[..., None] & ~np.isnan(data.targets)
    np.testing.assert_array_equal(held.targets.isnan().numpy(), ~there)
    np.testing.assert_array_equal(held.labels, [own.sum() for own in there])
    assert np.shares_memory(held.inputs.numpy(), data.inputs)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from moodcurve.training import gpu_cells

given = {"MASKED": True, "CLIP": True, "ROWS": gpu_cells._ROWS, "TILE": gpu_cells._TILE}
given["PRECISION"] = "tf32"
for generation in (80, 90):  # A100, H100
    for kernel in (gpu_cells._forward, gpu_cells._backward):
        constants = {name: given[name] for name in kernel.arg_names if name in given}
        kinds = dict.fromkeys(kernel.arg_names, "*fp32") | dict.fromkeys(constants, "constexpr")
        compiled = triton.compile(
            ASTSource(kernel, kinds | dict.fromkeys(("steps", "batch", "units"), "i32"), constants),
            target=GPUTarget("cuda", generation, 32),
            options={"num_warps": gpu_cells._WARPS},
        )
        print(compiled.metadata.shared, len(compiled.asm["cubin"]))
"""


def test_the_kernels_compile_for_gpus_that_are_not_there(tmp_path):
    """Machine code comes out, and two programs fit into a multiprocessor's own memory."""
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILE],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = [[int(number) for number in line.split()] for line in done.stdout.splitlines()]
    assert len(found) == 4
    assert all(shared < 160_000 / 2 and code > 1000 for shared, code in found)
