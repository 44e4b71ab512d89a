"""Training on a GPU; skipped where there is none."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs moodcurve[train]")
if not torch.cuda.is_available():
    pytest.skip("no GPU here", allow_module_level=True)

from moodcurve.network import to_arrays  # noqa: E402
from moodcurve.training import expressions, network  # noqa: E402
from moodcurve.training.devices import device_of  # noqa: E402
from moodcurve.training.loop import train_many  # noqa: E402
from moodcurve.training.network import BLSTM, initial_network, run_all  # noqa: E402
from test_training_many import SETTINGS, assert_same, task  # noqa: E402

GPU = device_of("cuda")
QUIET = replace(SETTINGS, noise=0.0)  # the noise of a GPU is another


@pytest.fixture
def exact(monkeypatch):
    """Products in whole float32, so that rounding is all that differs from the processor."""
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda precision: None)


def test_kernels_against_double_precision():
    """With sequences that end early; the oracle's own gradient is held to finite differences."""
    model = BLSTM(initial_network(26, 3, 50, np.random.default_rng(0)), device=GPU)
    oracle = BLSTM(model.network)
    oracle.weights = [[w.detach().double().requires_grad_() for w in own] for own in oracle.weights]
    x = torch.randn(1, 20, 50, 26)
    lengths = torch.randint(1, 21, (1, 50), dtype=torch.int32)
    found = []
    for each, data, ends in ((model, x.to(GPU), lengths.to(GPU)), (oracle, x.double(), lengths)):
        out = run_all([each], data, ends)
        there = torch.arange(20, device=out.device)[:, None] < ends[:, None]
        loss = (out[..., 0] * there).square().sum()
        found.append([g.double().cpu() for g in torch.autograd.grad(loss, each.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_comes_to_what_it_comes_to_on_the_processor(exact):
    tasks = [[task(seed) for seed in range(4)] for _ in range(2)]
    pairs = zip(train_many(tasks[0], QUIET), train_many(tasks[1], QUIET, GPU), strict=True)
    for one, other in pairs:
        assert_same(one, other)


@pytest.mark.parametrize("changes", [{}, {"optimiser": "adam", "error": "mean"}], ids=str)
def test_together_as_alone_with_early_stopping(exact, changes):
    settings = replace(SETTINGS, epochs=60, **changes)
    together = train_many([task(seed) for seed in range(4)], settings, GPU)
    assert len({len(log) for _, log in together}) > 1
    for seed, found in enumerate(together):
        assert_same(found, train_many([task(seed)], settings, GPU)[0])


def test_the_same_seed_gives_the_same_bits():
    both = (train_many([task(0), task(1)], SETTINGS, GPU) for _ in range(2))
    for one, other in zip(*both, strict=True):
        for key, array in to_arrays(one[0]).items():
            assert np.array_equal(array, to_arrays(other[0])[key])


def test_one_that_leaves_the_range_of_numbers_is_stopped_and_the_others_go_on():
    lost = task(1)
    lost.training.targets[:] = 1e30
    together = train_many([task(0), lost], SETTINGS, GPU)
    assert "stopped" in together[1][1][-1]
    assert not any("stopped" in entry for entry in together[0][1])


def test_a_killed_training_ends_as_an_uninterrupted_one(tmp_path):
    class Killed(Exception):
        pass

    def kill(epoch):
        if epoch["epoch"] == 3:
            raise Killed

    def one(**changes):
        return replace(task(0), checkpoint=tmp_path / "t.npz", **changes)

    with pytest.raises(Killed):
        train_many([one(on_epoch=kill)], SETTINGS, GPU)
    assert_same(train_many([one()], SETTINGS, GPU)[0], train_many([task(0)], SETTINGS, GPU)[0])


def test_learning_curves_are_those_of_whole_float32(exact, monkeypatch):
    """With tf32, as trained by default, and by expressions without the kernels."""
    settings = replace(QUIET, epochs=40, patience=40)
    _, whole = train_many([task(0)], settings, GPU)[0]
    monkeypatch.setattr(network, "_steps", lambda x: expressions)
    _, expressed = train_many([task(0)], settings, GPU)[0]
    monkeypatch.undo()
    _, rounded = train_many([task(0)], settings, GPU)[0]
    for key in ("training_error", "validation_error"):
        errors = [[epoch[key] for epoch in log] for log in (whole, expressed, rounded)]
        np.testing.assert_allclose(errors[1], errors[0], rtol=1e-3)
        np.testing.assert_allclose(errors[2], errors[0], rtol=0.03)
