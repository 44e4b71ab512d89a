"""Where training is computed: what is asked for, what there is, what goes there."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs moodcurve[train]")

from moodcurve.errors import InputError  # noqa: E402
from moodcurve.training import ensemble, memory  # noqa: E402
from moodcurve.training.devices import CPU, GPU_AT_ONCE, at_work, device_of  # noqa: E402
from moodcurve.training.network import initial_network  # noqa: E402
from moodcurve.training.presets import PRESETS  # noqa: E402


def test_names(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of("cpu") == CPU
    assert device_of("cuda") == torch.device("cuda")
    assert device_of("cuda:1").index == 1
    for wrong in ("gpu", "cuda0", "cuda:", "cuda:x", "cuda:01", "cuda:²", "cpu:0", "", "mps"):
        with pytest.raises(InputError, match=f"^--device {wrong}: give cpu, cuda, or cuda:1"):
            device_of(wrong)
    with pytest.raises(InputError, match=r"^--device cuda:2: not among the GPUs .* \(2\); "):
        device_of("cuda:2")


@pytest.mark.parametrize("command", ["train", "reproduce"])
def test_no_gpu_is_one_line_before_anything_else(run, tmp_path, monkeypatch, command):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    code, _, error = run(command, tmp_path, "-o", tmp_path / "out", "--device", "cuda")
    assert code == 2
    assert error.count("\n") == 1 and "--device cuda: not among the GPUs" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "reproduce"])
def test_a_gpu_is_given_to_one_process(run, tmp_path, monkeypatch, command):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    code, _, error = run(
        command, tmp_path, "-o", tmp_path / "out", "--device", "cuda", "--jobs", "2"
    )
    assert code == 2
    assert error.count("\n") == 1 and "--jobs 2: with --device cuda one process trains" in error


def test_a_full_memory_is_one_line():
    full = pytest.raises(InputError, match=r"^cpu: its memory is full; train fewer networks")
    with full, at_work(CPU):
        raise torch.OutOfMemoryError


def test_products_are_left_as_they_were():
    before = torch.get_float32_matmul_precision()
    with at_work(CPU):
        assert torch.get_float32_matmul_precision() == before
    assert torch.get_float32_matmul_precision() == before


def test_a_gpu_gets_all_networks_of_a_scale_at_once():
    """Ten partitions of both dimensions: in threes on the processor, in one piece on a GPU."""
    found = {}

    def distribute(function, jobs, *shared):
        found[shared[-1]] = [len(job.networks) for job in jobs]
        raise InterruptedError

    for device in ("cpu", "cuda"):
        with pytest.raises(InterruptedError):
            ensemble._train_all([], [None] * 10, PRESETS["default"], 0, distribute, device)
    assert found == {"cpu": [3, 3, 3, 1] * 4, "cuda": [10] * 4}
    apart = replace(PRESETS["default"], joint=False)
    with pytest.raises(InterruptedError):
        ensemble._train_all([], [None] * 10, apart, 0, distribute, "cuda")
    assert found["cuda"] == [20] * 4


def test_memory_of_a_gpu(monkeypatch):
    """Passes take half of what is free there, and the whole may not be more than that is."""
    gpu = torch.device("cuda")
    network = initial_network(260, 5, 250, np.random.default_rng(0))
    one = memory.pass_bytes(network, 60, 50, gpu)
    assert one == 2 * memory.pass_bytes(network, 60, 50)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 20 * one + 1)
    assert memory.at_once(network, 60, 50, gpu) == 10
    with pytest.raises(InputError, match=f"^training {GPU_AT_ONCE * 10} networks at once takes"):
        memory.check_memory([network] * GPU_AT_ONCE * 10, 60, 50, "sgd", gpu)
