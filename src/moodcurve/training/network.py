"""The network in torch, with CURRENNT's gradient, delta clipping included.

torch.nn.LSTM has neither peepholes nor clipped deltas, so a recurrent layer is a hand-written
autograd.Function: whatever does not depend on the step before is done for all time steps at once,
and both directions advance in the same step. The plain recurrent layer, a baseline's, has torch's
own gradient. Letters as in `moodcurve.network`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from moodcurve.errors import InputError
from moodcurve.network import Array, Dense, Elman, Layer, Network, Recurrent

# the error before an activation, from the error after it and the activation's value, in one pass
_through_sigmoid = torch.ops.aten.sigmoid_backward.grad_input
_through_tanh = torch.ops.aten.tanh_backward.grad_input


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


class BLSTM(torch.nn.Module):
    """A trainable copy of a numpy network; `clip_deltas`, of LSTM layers: see `recurrent_layer`."""

    def __init__(self, network: Network, clip_deltas: bool = True) -> None:
        super().__init__()
        self.clip_deltas = clip_deltas
        self._network = network
        self._weights = torch.nn.ModuleList(
            torch.nn.ParameterList(torch.tensor(getattr(layer, name)) for name in _names(layer))
            for layer in network.layers
        )

    def to_network(self) -> Network:
        """Copy the present weights into a numpy network."""
        return Network(
            tuple(
                _with_weights(layer, [weight.detach().numpy() for weight in weights])
                for layer, weights in self._pairs()
            )
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute outputs (B, T, N) for `x` (B, T, F); `mask` (B, T) is false on right padding."""
        for layer, weights in self._pairs():
            if isinstance(layer, Recurrent):
                x = recurrent_layer(x, mask, *weights, clip_deltas=self.clip_deltas)
            elif isinstance(layer, Elman):
                x = elman_layer(x, mask, *weights)
            else:
                x = torch.nn.functional.linear(x, *weights)
                if layer.activation != "identity":
                    x = x.tanh() if layer.activation == "tanh" else x.sigmoid()
        return x

    def _pairs(self) -> list[tuple[Layer, Any]]:
        return list(zip(self._network.layers, self._weights, strict=True))


def _names(layer: Layer) -> list[str]:
    return [field.name for field in fields(layer) if field.name != "activation"]


def _with_weights(layer: Layer, arrays: list[Any]) -> Layer:
    changes: dict[str, Any] = {
        name: array.astype(np.float32) for name, array in zip(_names(layer), arrays, strict=True)
    }
    return replace(layer, **changes)


def recurrent_layer(
    x: Tensor,
    mask: Tensor | None,
    weights: Tensor,
    bias: Tensor,
    recurrent: Tensor,
    peepholes: Tensor,
    *,
    clip_deltas: bool,
) -> Tensor:
    """Compute one LSTM or BLSTM layer, differentiable once; weights as in `Recurrent`.

    `x` is (B, T, P), `mask` (B, T) false on right padding; returns (B, T, D * H), 0 on padding.
    With `clip_deltas` the gradient is CURRENNT's: each gate's delta is clipped to [-1, 1] before
    it goes on to the step before, the layer below and the weights; o's peephole passes it to the
    cell unclipped.
    """
    out: Tensor = _Layer.apply(  # type: ignore[no-untyped-call]
        x, mask, weights, bias, recurrent, peepholes, clip_deltas
    )
    return out


def elman_layer(
    x: Tensor, mask: Tensor | None, weights: Tensor, bias: Tensor, recurrent: Tensor
) -> Tensor:
    """Compute one plain recurrent layer, differentiable; weights as in `Elman`.

    `x` is (B, T, P), `mask` (B, T) false on right padding; returns (B, T, D * H), 0 on padding.
    """
    x, valid = _prepare(x, mask, len(recurrent))
    driven = torch.baddbmm(bias.unsqueeze(1), x.flatten(1, 2), weights.mT).view(*x.shape[:3], -1)
    h = torch.zeros_like(driven[:, 0])
    steps = []
    for t in range(driven.shape[1]):
        h = torch.baddbmm(driven[:, t], h, recurrent.mT).tanh()
        if valid is not None:
            h = h * valid[:, t]
        steps.append(h)
    return _join(torch.stack(steps, dim=1))


class _Layer(torch.autograd.Function):
    """The cell and its gradient; equations: CURRENNT, `LstmLayer`.

    Inside, the axes are (D, T, B, ...), with time reversed in the backward direction.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mask: Tensor | None,
        weights: Tensor,
        bias: Tensor,
        recurrent: Tensor,
        peepholes: Tensor,
        clip_deltas: bool,
    ) -> Tensor:
        directions, _, units = recurrent.shape
        x, valid = _prepare(x, mask, directions)
        _, steps, batch, _ = x.shape
        gates = torch.baddbmm(bias.unsqueeze(1), x.flatten(1, 2), weights.mT)
        gates = gates.view(directions, steps, batch, 4, units)
        # h and c hold one step more than the sequence: before the first, both are 0
        h = x.new_zeros(directions, steps + 1, batch, units)
        c = torch.zeros_like(h)
        _run_cells(gates, h, c, recurrent, peepholes, valid)
        ctx.save_for_backward(x, gates, h, c, weights, recurrent, peepholes)
        ctx.valid, ctx.clip_deltas = valid, clip_deltas
        return _join(h[:, 1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, gates, h, c, weights, recurrent, peepholes = ctx.saved_tensors
        directions, _, units = recurrent.shape
        forward, *backward = gradient.transpose(0, 1).chunk(directions, dim=2)
        to_h = torch.stack([forward, *(way.flip(0) for way in backward)])
        deltas = _gate_deltas(to_h, gates, c, recurrent, peepholes, ctx.valid, ctx.clip_deltas)

        _, i, f, o = deltas.unbind(3)
        past, present = c[:, :-1], c[:, 1:]
        to_peepholes = [(i * past).sum((1, 2)), (f * past).sum((1, 2)), (o * present).sum((1, 2))]
        flat = deltas.view(directions, -1, 4 * units)
        to_x = None
        if ctx.needs_input_grad[0]:
            forward, *backward = (flat @ weights).view_as(x)
            to_x = sum((way.flip(0) for way in backward), forward).transpose(0, 1)
        return (
            to_x,
            None,
            flat.mT @ x.flatten(1, 2),
            flat.sum(1),
            flat.mT @ h[:, :-1].flatten(1, 2),
            torch.stack(to_peepholes, dim=1),
            None,
        )


def _prepare(x: Tensor, mask: Tensor | None, directions: int) -> tuple[Tensor, Tensor | None]:
    """Return `x` (B, T, P) as (D, T, B, P), and (D, T, B, 1), 0 on padding, or None without any."""
    x = _both_ways(x.transpose(0, 1), directions)
    if mask is None or mask.all():
        return x, None
    return x, _both_ways(mask.T.unsqueeze(2).to(x.dtype), directions)


def _join(h: Tensor) -> Tensor:
    """Undo the axes of `_prepare`: (D, T, B, H) becomes (B, T, D * H)."""
    return torch.cat([h[0], *h[1:].flip(1)], dim=2).transpose(0, 1)


def _both_ways(x: Tensor, directions: int) -> Tensor:
    """Stack time-major x (T, ...) as each direction meets it: (D, T, ...)."""
    return torch.stack([x, x.flip(0)][:directions])


def _run_cells(
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    recurrent: Tensor,
    peepholes: Tensor,
    valid: Tensor | None,
) -> None:
    """Turn the gates' input products (D, T, B, 4, H) into activations and fill h and c, in place.

    h and c are (D, T + 1, B, H); step t reads their row t and writes row t + 1.
    """
    transposed = recurrent.mT.contiguous()
    peephole_if, peephole_o = peepholes[:, None, :2], peepholes[:, None, 2]
    for t in range(gates.shape[1]):
        now, h_next, c_next = gates[:, t], h[:, t + 1], c[:, t + 1]
        now.flatten(2).baddbmm_(h[:, t], transposed)
        z, i, f, o = now.unbind(2)
        now[:, :, 1:3].addcmul_(peephole_if, c[:, t].unsqueeze(2)).sigmoid_()
        torch.mul(f, c[:, t], out=c_next).addcmul_(i, z.tanh_())
        o.addcmul_(peephole_o, c_next).sigmoid_()
        torch.tanh(c_next, out=h_next).mul_(o)
        if valid is not None:
            h_next *= valid[:, t]
            c_next *= valid[:, t]


def _gate_deltas(
    to_h: Tensor,
    gates: Tensor,
    c: Tensor,
    recurrent: Tensor,
    peepholes: Tensor,
    valid: Tensor | None,
    clip: bool,
) -> Tensor:
    """Compute the error's gradient at the gates' inputs, (D, T, B, 4, H).

    `to_h` (D, T, B, H), the gradient at h from outside the layer, is overwritten.
    """
    deltas = torch.empty_like(gates)
    pi, pf, po = peepholes.unsqueeze(1).unbind(2)
    carried = torch.zeros_like(c[:, 0])  # the error of c from the step after
    steps = to_h.shape[1]
    for t in reversed(range(steps)):
        dh, now, (z, i, f, o) = to_h[:, t], deltas[:, t], gates[:, t].unbind(2)
        dz, di, df, do = now.unbind(2)
        if t + 1 < steps:
            dh.baddbmm_(deltas[:, t + 1].flatten(2), recurrent)
        if valid is not None:
            dh *= valid[:, t]
            carried *= valid[:, t]
        squashed = c[:, t + 1].tanh()
        _through_sigmoid(dh * squashed, o, grad_input=do)
        dc = torch.ops.aten.tanh_backward(dh * o, squashed).addcmul_(po, do).add_(carried)
        _through_tanh(dc * i, z, grad_input=dz)
        _through_sigmoid(dc * z, i, grad_input=di)
        _through_sigmoid(dc * c[:, t], f, grad_input=df)
        if clip:
            now.clamp_(-1, 1)
        torch.mul(dc, f, out=carried).addcmul_(pi, di).addcmul_(pf, df)
    return deltas
