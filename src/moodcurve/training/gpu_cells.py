# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""The steps of LSTM layers on a GPU: one Triton kernel forward, one backward.

They do what `expressions.py` does, their oracle. There every step is a dozen kernels, and starting
them takes longer than they compute; here one launch goes through all steps of all networks. A
program has one direction of a network and `_ROWS` of its sequences. No other program needs these,
so none has to be waited for, and what one step leaves for the next is read again from the caches on
the chip, as are the recurrent weights.

Triton comes with torch where that has CUDA. Without a GPU its interpreter runs the kernels in the
tests (`TRITON_INTERPRET=1`).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_ROWS = 16  # sequences, the fewest that a matrix unit takes: more programs hide one another's waits
_TILE = 32  # units that are computed at once, and summed over at once
_WARPS = 4


def run_cells(
    gates: Tensor, h: Tensor, c: Tensor, recurrent: Tensor, peepholes: Tensor, valid: Tensor | None
) -> None:
    """Fill h and c, and activate the gates in place; arguments: see `expressions.run_cells`."""
    ways, steps, batch, _, units = gates.shape
    _forward[ways, triton.cdiv(batch, _ROWS)](
        *(gates, h, c, recurrent, peepholes, gates if valid is None else valid),
        *(steps, batch, units),
        **_options(valid),
    )


def gate_deltas(
    to_h: Tensor,
    gates: Tensor,
    c: Tensor,
    recurrent: Tensor,
    peepholes: Tensor,
    valid: Tensor | None,
    clip: bool,
) -> Tensor:
    """The error's gradient at the gates' inputs; arguments: see `expressions.gate_deltas`."""
    ways, steps, batch, _, units = gates.shape
    deltas = torch.empty_like(gates)
    carried = c.new_zeros((ways, batch, units))
    _backward[ways, triton.cdiv(batch, _ROWS)](
        *(to_h, gates, c, recurrent, peepholes, gates if valid is None else valid),
        *(deltas, carried, steps, batch, units),
        CLIP=clip,
        **_options(valid),
    )
    return deltas


def try_out(device: torch.device) -> None:
    """Run both kernels on next to nothing; where they cannot be made, Triton raises something."""
    gates = torch.zeros(1, 1, 1, 4, 1, device=device)
    h, c = torch.zeros(2, 1, 2, 1, 1, device=device)
    recurrent, peepholes = gates.view(1, 4, 1), torch.zeros(1, 3, 1, device=device)
    run_cells(gates, h, c, recurrent, peepholes, None)
    gate_deltas(h[:, 1:], gates, c, recurrent, peepholes, None, True)


def _options(valid: Tensor | None) -> dict[str, object]:
    exact = torch.get_float32_matmul_precision() == "highest"
    return {
        "MASKED": valid is not None,
        "ROWS": _ROWS,
        "TILE": _TILE,
        "PRECISION": "ieee" if exact else "tf32",
        "num_warps": _WARPS,
    }


@triton.jit
def _tanh(x):
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def _clipped(x):
    return tl.clamp(x, -1.0, 1.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _forward(
    gates,
    h,
    c,
    recurrent,
    peepholes,
    valid,
    steps,
    batch,
    units,
    MASKED: tl.constexpr,
    ROWS: tl.constexpr,
    TILE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    way = tl.program_id(0).to(tl.int64)
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    present = rows < batch
    size = units * units
    gates += way * steps * batch * 4 * units
    h += way * (steps + 1) * batch * units
    c += way * (steps + 1) * batch * units
    recurrent += way * 4 * size
    peepholes += way * 3 * units
    valid += way * steps * batch
    for _ in range(steps):
        for first in range(0, units, TILE):
            to = first + tl.arange(0, TILE)
            inside = present[:, None] & (to < units)[None, :]
            state = rows[:, None] * units + to[None, :]
            gate = gates + rows[:, None] * 4 * units + to[None, :]
            z = tl.load(gate, inside, 0.0)
            i = tl.load(gate + units, inside, 0.0)
            f = tl.load(gate + 2 * units, inside, 0.0)
            o = tl.load(gate + 3 * units, inside, 0.0)
            for second in range(0, units, TILE):
                of = second + tl.arange(0, TILE)
                known = present[:, None] & (of < units)[None, :]
                before = tl.load(h + rows[:, None] * units + of[None, :], known, 0.0)
                tile = recurrent + to[None, :] * units + of[:, None]
                whole = (to < units)[None, :] & (of < units)[:, None]
                z = tl.dot(before, tl.load(tile, whole, 0.0), z, PRECISION)
                i = tl.dot(before, tl.load(tile + size, whole, 0.0), i, PRECISION)
                f = tl.dot(before, tl.load(tile + 2 * size, whole, 0.0), f, PRECISION)
                o = tl.dot(before, tl.load(tile + 3 * size, whole, 0.0), o, PRECISION)
            peephole = peepholes + to
            own = to < units
            past = tl.load(c + state, inside, 0.0)
            z = _tanh(z)
            i = tl.sigmoid(i + tl.load(peephole, own, 0.0)[None, :] * past)
            f = tl.sigmoid(f + tl.load(peephole + units, own, 0.0)[None, :] * past)
            now = f * past + i * z
            o = tl.sigmoid(o + tl.load(peephole + 2 * units, own, 0.0)[None, :] * now)
            out = o * _tanh(now)
            if MASKED:
                counts = tl.load(valid + rows, present, 0.0)[:, None]
                out *= counts
                now *= counts
            tl.store(gate, z, inside)
            tl.store(gate + units, i, inside)
            tl.store(gate + 2 * units, f, inside)
            tl.store(gate + 3 * units, o, inside)
            tl.store(c + batch * units + state, now, inside)
            tl.store(h + batch * units + state, out, inside)
        gates += batch * 4 * units
        h += batch * units
        c += batch * units
        valid += batch
        tl.debug_barrier()  # the next step reads what other threads of the program have stored


@triton.jit
def _backward(
    to_h,
    gates,
    c,
    recurrent,
    peepholes,
    valid,
    deltas,
    carried,
    steps,
    batch,
    units,
    CLIP: tl.constexpr,
    MASKED: tl.constexpr,
    ROWS: tl.constexpr,
    TILE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    way = tl.program_id(0).to(tl.int64)
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    present = rows < batch
    # each at the last step; c at what is there before it
    to_h += ((way + 1) * steps - 1) * batch * units
    gates += ((way + 1) * steps - 1) * batch * 4 * units
    valid += ((way + 1) * steps - 1) * batch
    c += ((way + 1) * (steps + 1) - 2) * batch * units
    deltas += ((way + 1) * steps - 1) * batch * 4 * units
    carried += way * batch * units
    recurrent += way * 4 * units * units
    peepholes += way * 3 * units
    for step in range(steps):
        for first in range(0, units, TILE):
            to = first + tl.arange(0, TILE)
            own = to < units
            inside = present[:, None] & own[None, :]
            state = rows[:, None] * units + to[None, :]
            gate = rows[:, None] * 4 * units + to[None, :]
            dh = tl.load(to_h + state, inside, 0.0)
            after = deltas + batch * 4 * units + rows[:, None] * 4 * units
            for second in range(0, 4 * units, TILE):
                of = second + tl.arange(0, TILE)
                known = (of < 4 * units) & (step > 0)  # after the last step there is none
                delta = tl.load(after + of[None, :], present[:, None] & known[None, :], 0.0)
                tile = recurrent + of[:, None] * units + to[None, :]
                weights = tl.load(tile, known[:, None] & own[None, :], 0.0)
                dh = tl.dot(delta, weights, dh, PRECISION)
            dc = tl.load(carried + state, inside, 0.0)
            if MASKED:
                counts = tl.load(valid + rows, present, 0.0)[:, None]
                dh *= counts
                dc *= counts
            z = tl.load(gates + gate, inside, 0.0)
            i = tl.load(gates + units + gate, inside, 0.0)
            f = tl.load(gates + 2 * units + gate, inside, 0.0)
            o = tl.load(gates + 3 * units + gate, inside, 0.0)
            past = tl.load(c + state, inside, 0.0)
            squashed = _tanh(tl.load(c + batch * units + state, inside, 0.0))
            peephole = peepholes + to
            do = dh * squashed * o * (1 - o)
            dc += dh * o * (1 - squashed * squashed)
            dc += tl.load(peephole + 2 * units, own, 0.0)[None, :] * do
            dz = dc * i * (1 - z * z)
            di = dc * z * i * (1 - i)
            df = dc * past * f * (1 - f)
            if CLIP:
                dz = _clipped(dz)
                di = _clipped(di)
                df = _clipped(df)
                do = _clipped(do)
            dc = dc * f + tl.load(peephole, own, 0.0)[None, :] * di
            dc += tl.load(peephole + units, own, 0.0)[None, :] * df
            tl.store(carried + state, dc, inside)
            tl.store(deltas + gate, dz, inside)
            tl.store(deltas + units + gate, di, inside)
            tl.store(deltas + 2 * units + gate, df, inside)
            tl.store(deltas + 3 * units + gate, do, inside)
        to_h -= batch * units
        gates -= batch * 4 * units
        valid -= batch
        c -= batch * units
        deltas -= batch * 4 * units
        tl.debug_barrier()  # the step before reads what other threads of the program have stored
