"""The network in torch, with CURRENNT's gradient, delta clipping included.

torch.nn.LSTM has neither peepholes nor clipped deltas, so an LSTM layer is a hand-written
autograd.Function, twice: compiled (`cells.py`) for the processor, and in torch's expressions for
any device. There whatever does not depend on the step before is done for all time steps at once,
and all networks and both directions advance in the same step: by `gpu_cells.py` on a GPU, by
`expressions.py` elsewhere. The plain recurrent layer, a baseline's, has torch's own gradient.
Letters as in `moodcurve.network`; M networks of one shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from moodcurve.errors import InputError
from moodcurve.network import Array, Dense, Elman, Layer, Network, Recurrent
from moodcurve.training import cells, expressions


def initial_network(
    features: int,
    layers: int,
    units: int,
    rng: np.random.Generator,
    sigma: float = 0.1,
    outputs: int = 1,
) -> Network:
    """Draw a network at random: BLSTM layers and linear outputs.

    `units` is the size of a layer, both directions together. Every weight, bias and peephole comes
    from N(0, sigma), CURRENNT's `weights_dist = normal`. Raises InputError for odd `units`.
    """
    if layers < 1 or units < 2 or units % 2:
        raise InputError(
            f"cannot build {layers} BLSTM layers of {units} units; "
            "give at least one layer and an even number of units, half for each direction"
        )
    return _draw_stack(Recurrent, features, layers, (2, units // 2), rng, sigma, outputs)


def initial_lstm(
    features: int, layers: int, units: int, rng: np.random.Generator, sigma: float = 0.1
) -> Network:
    """Draw a network at random: LSTM layers of `units`, forward in time, and one linear output.

    Weights as in `initial_network`. Raises InputError without a layer or a unit.
    """
    return _draw_stack(Recurrent, features, layers, (1, units), rng, sigma)


def initial_rnn(features: int, units: int, rng: np.random.Generator, sigma: float = 0.1) -> Network:
    """Draw a network at random: one Elman layer, forward in time, and one linear output.

    Weights as in `initial_network`. Raises InputError without a unit.
    """
    return _draw_stack(Elman, features, 1, (1, units), rng, sigma)


def _draw_stack(
    kind: type[Recurrent] | type[Elman],
    features: int,
    layers: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    sigma: float,
    outputs: int = 1,
) -> Network:
    """Draw layers of a kind and `size` (D, H), and linear outputs, in the order of `to_arrays`."""
    directions, units = size
    if layers < 1 or units < 1:
        raise InputError(
            f"cannot build {layers} layers of {units} units; give at least one of each"
        )

    def draw(*shape: int) -> Array:
        return rng.normal(0, sigma, shape).astype(np.float32)

    def layer(inputs: int) -> Recurrent | Elman:
        rows = kind.gates * units
        shared = (
            draw(directions, rows, inputs),
            draw(directions, rows),
            draw(directions, rows, units),
        )
        return Elman(*shared) if kind is Elman else Recurrent(*shared, draw(directions, 3, units))

    width = directions * units
    stack = [layer(inputs) for inputs in [features] + [width] * (layers - 1)]
    return Network((*stack, Dense(draw(outputs, width), draw(outputs), "identity")))


class BLSTM:
    """A trainable copy of a numpy network; `clip_deltas`, of LSTM layers: see `lstm_layer`.

    Attributes:
        network: the one that was given.
        weights: of each layer, in the order of its fields.
    """

    def __init__(
        self, network: Network, clip_deltas: bool = True, device: torch.device | None = None
    ) -> None:
        self.clip_deltas = clip_deltas
        self.network = network
        self.weights = [
            [
                torch.tensor(getattr(layer, name), device=device, requires_grad=True)
                for name in _names(layer)
            ]
            for layer in network.layers
        ]

    def parameters(self) -> list[Tensor]:
        """All weights."""
        return [weight for own in self.weights for weight in own]

    def to_network(self, weights: Sequence[Tensor] | None = None) -> Network:
        """Copy the present weights, or those of `copies`, into a numpy network."""
        own = iter(self.copies() if weights is None else weights)
        return Network(
            tuple(
                _with_weights(layer, [next(own).cpu().numpy() for _ in _names(layer)])
                for layer in self.network.layers
            )
        )

    def copies(self) -> list[Tensor]:
        """Copies of the present weights, where they are."""
        return [weight.detach().clone() for weight in self.parameters()]

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute outputs (B, T, N) for `x` (B, T, F); `mask` (B, T) is false on right padding."""
        lengths = None if mask is None else mask.sum(dim=1, dtype=torch.int32)[None]
        return run_all([self], x.transpose(0, 1)[None], lengths)[0].transpose(0, 1)


def run_all(models: Sequence[BLSTM], x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Run M networks of one shape at once, each on its own batch, differentiable.

    `x` is (M, T, B, F), `lengths` (M, B), int32, how long each sequence is: T without. Returns
    (M, T, B, N), meaningless beyond a sequence's end. A network's outputs and gradients are those
    that it has alone, but for rounding.
    """
    first = models[0]
    for number, layer in enumerate(first.network.layers):
        weights = [model.weights[number] for model in models]
        if isinstance(layer, Recurrent):
            x = lstm_layer(x, lengths, weights, clip_deltas=first.clip_deltas)
        elif isinstance(layer, Elman):
            x = elman_layer(x, lengths, weights)
        else:
            stacked, bias = _stacked(weights)
            out = torch.baddbmm(bias.unsqueeze(1), x.flatten(1, 2), stacked.mT)
            x = out.view(*x.shape[:3], -1)
            if layer.activation != "identity":
                x = x.tanh() if layer.activation == "tanh" else x.sigmoid()
    return x


def _names(layer: Layer) -> list[str]:
    return [field.name for field in fields(layer) if field.name != "activation"]


def _with_weights(layer: Layer, arrays: list[Any]) -> Layer:
    changes: dict[str, Any] = {
        name: array.astype(np.float32, copy=False)
        for name, array in zip(_names(layer), arrays, strict=True)
    }
    return replace(layer, **changes)


def lstm_layer(
    x: Tensor,
    lengths: Tensor | None,
    weights: Sequence[Sequence[Tensor]],
    *,
    clip_deltas: bool,
) -> Tensor:
    """Compute one LSTM or BLSTM layer of M networks, differentiable once.

    `x` is (M, T, B, P), `lengths` (M, B) or None as in `run_all`, `weights` each network's as in
    `Recurrent`; returns (M, T, B, D * H), 0 on padding. With `clip_deltas` the gradient is
    CURRENNT's: each gate's delta is clipped to [-1, 1] before it goes on to the step before, the
    layer below and the weights; o's peephole passes it to the cell unclipped.
    """
    out: Tensor
    if cells.can_run(x):
        flat = [weight for own in weights for weight in own]
        out = _Compiled.apply(x.contiguous(), lengths, clip_deltas, *flat)  # type: ignore[no-untyped-call]
    else:
        valid = _valid(x, lengths)
        out = _Expressions.apply(x, valid, clip_deltas, *_stacked(weights))  # type: ignore[no-untyped-call]
    return out


def elman_layer(x: Tensor, lengths: Tensor | None, weights: Sequence[Sequence[Tensor]]) -> Tensor:
    """Compute one plain recurrent layer of M networks, differentiable.

    `x` is (M, T, B, P), `lengths` (M, B) or None as in `run_all`, `weights` each network's as in
    `Elman`; returns (M, T, B, D * H), 0 on padding.
    """
    own, bias, recurrent = _stacked(weights)
    directions = recurrent.shape[1]
    own, bias, recurrent = (each.flatten(0, 1) for each in (own, bias, recurrent))
    valid = _valid(x, lengths)
    x = _both_ways(x, directions)
    driven = torch.baddbmm(bias.unsqueeze(1), x.flatten(1, 2), own.mT).view(*x.shape[:3], -1)
    if valid is not None:
        valid = _both_ways(valid, directions)
    h = torch.zeros_like(driven[:, 0])
    steps = []
    for t in range(driven.shape[1]):
        h = torch.baddbmm(driven[:, t], h, recurrent.mT).tanh()
        if valid is not None:
            h = h * valid[:, t]
        steps.append(h)
    return _join(torch.stack(steps, dim=1), directions)


class _Compiled(torch.autograd.Function):
    """The cell and its gradient by cells.c."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, lengths: Tensor | None, clip_deltas: bool, *parameters: Tensor
    ) -> Tensor:
        run = cells.forward(x, lengths, parameters)
        ctx.save_for_backward(x, *run, *parameters)
        ctx.lengths, ctx.clip_deltas = lengths, clip_deltas
        return run[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, out, gates, c, *parameters = ctx.saved_tensors
        to_x, to_parameters = cells.backward(
            x,
            ctx.lengths,
            parameters,
            (out, gates, c),
            gradient.contiguous(),
            ctx.clip_deltas,
            ctx.needs_input_grad[0],
        )
        return to_x, None, None, *to_parameters


class _Expressions(torch.autograd.Function):
    """The cell and its gradient in torch, on any device; equations: CURRENNT, `LstmLayer`.

    Inside, the axes are (M * D, T, B, ...), with time reversed in the backward direction.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        valid: Tensor | None,
        clip_deltas: bool,
        weights: Tensor,
        bias: Tensor,
        recurrent: Tensor,
        peepholes: Tensor,
    ) -> Tensor:
        directions, units = recurrent.shape[1], recurrent.shape[3]
        weights, bias, recurrent, peepholes = (
            each.flatten(0, 1) for each in (weights, bias, recurrent, peepholes)
        )
        x = _both_ways(x, directions)
        if valid is not None:
            valid = _both_ways(valid, directions)
        ways, steps, batch, _ = x.shape
        gates = torch.baddbmm(bias.unsqueeze(1), x.flatten(1, 2), weights.mT)
        gates = gates.view(ways, steps, batch, 4, units)
        # h and c hold one step more than the sequence: before the first, both are 0
        h = x.new_zeros(ways, steps + 1, batch, units)
        c = torch.zeros_like(h)
        _steps(x).run_cells(gates, h, c, recurrent, peepholes, valid)
        ctx.save_for_backward(x, gates, h, c, weights, recurrent, peepholes)
        ctx.valid, ctx.clip_deltas, ctx.directions = valid, clip_deltas, directions
        return _join(h[:, 1:], directions)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, gates, h, c, weights, recurrent, peepholes = ctx.saved_tensors
        ways, _, units = recurrent.shape
        own, *reverse = gradient.chunk(ctx.directions, dim=3)
        to_h = torch.stack([own, *(way.flip(1) for way in reverse)], dim=1).flatten(0, 1)
        deltas = _steps(x).gate_deltas(
            to_h, gates, c, recurrent, peepholes, ctx.valid, ctx.clip_deltas
        )

        _, i, f, o = deltas.unbind(3)
        past, present = c[:, :-1], c[:, 1:]
        to_peepholes = [(i * past).sum((1, 2)), (f * past).sum((1, 2)), (o * present).sum((1, 2))]
        flat = deltas.view(ways, -1, 4 * units)
        to_x = None
        if ctx.needs_input_grad[0]:
            by_way = (flat @ weights).view(-1, ctx.directions, *x.shape[1:])
            own, *reverse = by_way.unbind(1)
            to_x = sum((way.flip(1) for way in reverse), own)
        to_parameters = (
            flat.mT @ x.flatten(1, 2),
            flat.sum(1),
            flat.mT @ h[:, :-1].flatten(1, 2),
            torch.stack(to_peepholes, dim=1),
        )
        return (
            to_x,
            None,
            None,
            *(each.unflatten(0, (-1, ctx.directions)) for each in to_parameters),
        )


def _steps(x: Tensor) -> Any:
    """The module that goes through a layer's steps for inputs like these."""
    return _gpu_steps() if x.is_cuda and x.dtype == torch.float32 else expressions


@cache
def _gpu_steps() -> Any:
    try:
        from moodcurve.training import gpu_cells
    except ImportError:  # without Triton (Windows) a GPU can do it by expressions
        return expressions
    return gpu_cells


def _stacked(weights: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Each kind of weights of all networks in one tensor (M, ...)."""
    return [torch.stack(kind) for kind in zip(*weights, strict=True)]


def _valid(x: Tensor, lengths: Tensor | None) -> Tensor | None:
    """(M, T, B, 1), 0 on the padding of x (M, T, B, P)."""
    if lengths is None:
        return None
    steps = torch.arange(x.shape[1], device=x.device)[:, None]
    return (steps < lengths[:, None]).unsqueeze(3).to(x.dtype)


def _both_ways(x: Tensor, directions: int) -> Tensor:
    """Stack x (M, T, ...) as each direction meets it: (M * D, T, ...)."""
    return torch.stack([x, x.flip(1)][:directions], dim=1).flatten(0, 1)


def _join(h: Tensor, directions: int) -> Tensor:
    """Undo `_both_ways`, directions side by side: (M * D, T, B, H) becomes (M, T, B, D * H)."""
    own, *reverse = h.reshape(-1, directions, *h.shape[1:]).unbind(1)
    return torch.cat([own, *(way.flip(1) for way in reverse)], dim=3)
