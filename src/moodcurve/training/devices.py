"""What training is computed on: the processor, or a GPU."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from moodcurve.errors import InputError

CPU = torch.device("cpu")
GPU_AT_ONCE = 30  # networks trained together there: of the paper's, all of a scale


def gpu_number(name: str) -> int | None:
    """Which GPU "cuda" or "cuda:1" is, here or elsewhere; None for "cpu". Raises InputError."""
    gpu = re.fullmatch("cuda(:(0|[1-9][0-9]*))?", name)
    if name != "cpu" and not gpu:
        raise InputError(f"--device {name}: give cpu, cuda, or cuda:1 for the second GPU")
    return int(gpu[2] or 0) if gpu else None


def device_of(name: str) -> torch.device:
    """The device "cpu", "cuda" or "cuda:1"; raises InputError where torch has no such GPU."""
    gpu, count = gpu_number(name), torch.cuda.device_count()
    if gpu is not None and gpu >= count:
        raise InputError(
            f"--device {name}: not among the GPUs that torch {torch.__version__} finds on "
            f"{platform.node() or 'this machine'} ({count}); install a torch with CUDA and the "
            "GPU's driver there, or leave --device out"
        )
    return torch.device(name)


def _try_kernels(device: torch.device) -> None:
    """Raise InputError where a GPU's kernels are there but cannot be compiled or run."""
    try:
        from moodcurve.training import gpu_cells
    except ImportError:  # without Triton (Windows) it does without them
        return
    try:
        gpu_cells.try_out(device)
    except Exception as error:  # of Triton's many parts
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"--device {device}: Triton cannot make its kernels ({reason}); it needs a C compiler "
            "and Python's header files here"
        ) from None


@contextmanager
def at_work(device: torch.device) -> Iterator[None]:
    """Compute on a device: products on a GPU in tf32, its matrix units' float32 of 10 bits.

    Sums stay in float32. Raises InputError where the GPU's memory is not enough, or its kernels
    cannot be compiled.
    """
    precision = torch.get_float32_matmul_precision()
    try:
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            if device.type == "cuda":
                torch.set_float32_matmul_precision("high")
                _try_kernels(device)
            yield
    except torch.OutOfMemoryError:
        raise InputError(
            f"{device}: its memory is full; train fewer networks at once, or smaller ones"
        ) from None
    finally:
        torch.set_float32_matmul_precision(precision)


def send(array: NDArray[Any], device: torch.device) -> Tensor:
    """Bring an array to a device, not waiting for what that has still to do; no copy for CPU."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def free_bytes(device: torch.device) -> int | None:
    """Memory that can be had there; None where that is not told (the processor's but on Linux)."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    numbers = dict(line.split(":") for line in lines)
    kilobytes = numbers.get("MemAvailable", "").split()[:1]
    return int(kilobytes[0]) * 1024 if kilobytes else None
