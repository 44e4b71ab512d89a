"""One LSTM layer of several networks on the processor: cells.c, called with torch's tensors.

The same as `network.lstm_layer` computes by torch's expressions, which are the oracle in its tests
and stand in for it where it cannot be used: on another device, in float64, or not built. One
thread; networks follow one another, each weight matrix staying in the cache meanwhile.

Letters: M networks, D directions, T steps, B sequences, P inputs, H units of a direction.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from moodcurve.compiled import open_fitting

_POINTER = ctypes.c_void_p
PATH = Path(__file__).with_name("_cells")
FUNCTIONS = {
    "working_space": (_POINTER, _POINTER),
    "forward": (_POINTER,) * 8,
    "backward": (*(_POINTER,) * 8, ctypes.c_int, *(_POINTER,) * 3),
}
_LIBRARY: ctypes.CDLL | None
try:
    _LIBRARY = open_fitting(PATH, FUNCTIONS)
except ImportError:
    _LIBRARY = None  # slower without


class _Shape(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_ssize_t)
        for name in ("networks", "directions", "steps", "batch", "inputs", "units")
    )


_working = threading.local()  # space that is worked in, a thread: asking for it anew takes time


def _library() -> ctypes.CDLL:
    if _LIBRARY is None:
        raise ImportError("cells.c is not built; build moodcurve again with `pip install -e .`")
    return _LIBRARY


def can_run(x: Tensor) -> bool:
    """Whether inputs like these can be computed here."""
    return _LIBRARY is not None and x.dtype == torch.float32 and x.device.type == "cpu"


def forward(
    x: Tensor, lengths: Tensor | None, parameters: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return h (M, T, B, D * H), and gates and cell states for `backward`.

    `x` is (M, T, B, P), `lengths` (M, B), int32, how much of each sequence counts: all of it
    without. `parameters` are weights, bias, recurrent and peepholes of each network in turn.
    """
    shape = _shape(x, lengths, parameters)
    width, stride = _room(shape.units)
    rows = (shape.networks, shape.directions, shape.steps, shape.batch)
    gates, c = x.new_empty((*rows, stride)), x.new_empty((*rows, width))
    size = (*x.shape[:3], shape.directions * shape.units)
    # where sequences end nothing is written
    out = x.new_empty(size) if lengths is None else x.new_zeros(size)
    _library().forward(
        *(ctypes.byref(shape), x.data_ptr(), _address(lengths), _addresses(parameters)),
        *(out.data_ptr(), gates.data_ptr(), c.data_ptr(), _space(shape)),
    )
    return out, gates, c


def backward(
    x: Tensor,
    lengths: Tensor | None,
    parameters: Sequence[Tensor],
    run: tuple[Tensor, Tensor, Tensor],
    to_out: Tensor,
    clip_deltas: bool,
    with_x: bool,
) -> tuple[Tensor | None, list[Tensor]]:
    """Return the gradients of x, or None, and of the parameters, from that of h.

    `run` is what `forward` returned. For `clip_deltas` see `network.lstm_layer`.
    """
    shape = _shape(x, lengths, parameters)
    to_x = None
    if with_x:
        to_x = torch.empty_like(x) if lengths is None else torch.zeros_like(x)
    gradients = [torch.empty_like(parameter) for parameter in parameters]
    _library().backward(
        *(ctypes.byref(shape), x.data_ptr(), _address(lengths), _addresses(parameters)),
        *(tensor.data_ptr() for tensor in (*run, to_out)),
        *(clip_deltas, _address(to_x), _addresses(gradients), _space(shape)),
    )
    return to_x, gradients


def floats(networks: int, directions: int, steps: int, batch: int, units: int) -> int:
    """How many numbers `forward` keeps for `backward`, besides x and h."""
    return networks * directions * steps * batch * sum(_room(units))


def _room(units: int) -> tuple[int, int]:
    """What a row of cell states and one of gates take, as in cells.c."""
    width = (units + 15) // 16 * 16
    return width, 4 * width + 16


def _shape(x: Tensor, lengths: Tensor | None, parameters: Sequence[Tensor]) -> _Shape:
    networks, steps, batch, inputs = x.shape
    directions, _, units = parameters[2].shape
    if not all(tensor.is_contiguous() for tensor in (x, *parameters)):
        raise ValueError("cells.c needs contiguous tensors")
    if lengths is not None and (
        lengths.dtype != torch.int32
        or not lengths.is_contiguous()
        or lengths.shape != (networks, batch)
    ):
        raise ValueError("cells.c needs lengths (M, B) as contiguous int32")
    return _Shape(networks, directions, steps, batch, inputs, units)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _addresses(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (_POINTER * len(tensors))(*(tensor.data_ptr() for tensor in tensors))


def _space(shape: _Shape) -> int:
    size = ctypes.c_ssize_t()
    _library().working_space(ctypes.byref(shape), ctypes.byref(size))
    if getattr(_working, "space", None) is None or len(_working.space) < size.value:
        _working.space = torch.empty(size.value)
    return int(_working.space.data_ptr())
