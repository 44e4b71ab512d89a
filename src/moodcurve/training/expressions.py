"""The steps of LSTM layers in torch's expressions, on any device and in any precision.

Equations: CURRENNT, `LstmLayer`. The axes are (M * D, T, B, ...), M networks of D directions, with
time reversed in the backward direction, so that all advance in the same step. The gates are z, the
cell's input, and i, f, o.
"""

from __future__ import annotations

import torch
from torch import Tensor

# the error before an activation, from the error after it and the activation's value, in one pass
_through_sigmoid = torch.ops.aten.sigmoid_backward.grad_input
_through_tanh = torch.ops.aten.tanh_backward.grad_input


def run_cells(
    gates: Tensor,
    h: Tensor,
    c: Tensor,
    recurrent: Tensor,
    peepholes: Tensor,
    valid: Tensor | None,
) -> None:
    """Turn the gates' input products into activations and fill h and c, in place.

    The gates are (M * D, T, B, 4, H), h and c (M * D, T + 1, B, H); step t reads their row t and
    writes row t + 1; row 0 of both is 0. `recurrent` is (M * D, 4 * H, H), `peepholes`
    (M * D, 3, H), of i, f and o, and `valid` (M * D, T, B, 1), 0 on padding, or None.
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


def gate_deltas(
    to_h: Tensor,
    gates: Tensor,
    c: Tensor,
    recurrent: Tensor,
    peepholes: Tensor,
    valid: Tensor | None,
    clip: bool,
) -> Tensor:
    """Compute the error's gradient at the gates' inputs, (M * D, T, B, 4, H).

    `to_h` (M * D, T, B, H), the gradient at h from outside the layer, may be overwritten. `gates`
    and `c` are as `run_cells` left them; `clip`: see `network.lstm_layer`.
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
