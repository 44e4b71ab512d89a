"""Training data: sequences as they are given, as a device holds them, and mini-batches of several.

Letters: N sequences, T steps, F features, K outputs; M networks, B sequences of a mini-batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moodcurve.network import Array
from moodcurve.training.devices import send

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """Training or validation data, padded on the right to the longest sequence.

    `targets` are NaN where a frame has no label; `mask` is false on padding. Frames without label
    and padding have no error. `weights` are what a sequence's squared error counts; 1 without them.
    """

    inputs: Array  # (N, T, F)
    targets: Array  # (N, T, K)
    mask: NDArray[np.bool_]  # (N, T)
    weights: Array | None = None  # (N,)

    def __len__(self) -> int:
        return len(self.mask)


class Held(NamedTuple):
    """Sequences on a device, but for what is counted of them."""

    inputs: Tensor  # (N, T, F)
    targets: Tensor  # (N, T, K), NaN where there is no label, and on padding
    weights: Tensor  # (N,)
    lengths: NDArray[np.int32]  # (N,)
    labels: NDArray[np.int64]  # (N,), frames times outputs

    def __len__(self) -> int:
        return len(self.lengths)


def hold(sequences: Sequences, device: torch.device) -> Held:
    """Bring sequences to a device; on the processor their inputs are not copied."""
    there = sequences.mask[..., None] & ~np.isnan(sequences.targets)
    inputs, targets, weights = (
        torch.from_numpy(np.require(array, np.float32, ["C", "W"])).to(device)
        for array in (
            sequences.inputs,
            np.where(there, sequences.targets, np.nan),
            np.ones(len(sequences)) if sequences.weights is None else sequences.weights,
        )
    )
    lengths = sequences.mask.sum(axis=1, dtype=np.int32)
    return Held(inputs, targets, weights, lengths, there.sum(axis=(1, 2)))


class Batch(NamedTuple):
    """A mini-batch of each of M networks, padded to the largest, time before sequences."""

    inputs: Tensor  # (M, T, B, F)
    targets: Tensor  # (M, T, B, K), NaN where there is no label, and on padding
    weights: Tensor  # (M, 1, B, 1)
    lengths: Tensor | None  # (M, B), int32; None where all are T


def together(
    parts: Sequence[tuple[Held, Indices]],
    sigma: float = 0.0,
    noises: Sequence[torch.Generator] | None = None,
) -> Batch:
    """Put the chosen sequences of each network together, noise of `sigma` added to the inputs."""
    lengths = np.zeros((len(parts), max(len(chosen) for _, chosen in parts)), np.int32)
    for own, (held, chosen) in zip(lengths, parts, strict=True):
        own[: len(chosen)] = held.lengths[chosen]
    steps, first = int(lengths.max()), parts[0][0]
    shape = (len(parts), steps, lengths.shape[1])
    inputs = first.inputs.new_zeros((*shape, first.inputs.shape[2]))
    targets = first.targets.new_full((*shape, first.targets.shape[2]), math.nan)
    weights = first.weights.new_ones((len(parts), 1, lengths.shape[1], 1))
    for m, (held, chosen) in enumerate(parts):
        count, longest = len(chosen), int(lengths[m].max())
        index = send(chosen, inputs.device)
        x = held.inputs[:, :longest][index]
        if noises:
            noise = torch.randn(x.shape, generator=noises[m], device=x.device)
            x += noise.mul_(sigma)
        inputs[m, :longest, :count] = x.transpose(0, 1)
        targets[m, :longest, :count] = held.targets[:, :longest][index].transpose(0, 1)
        weights[m, 0, :count, 0] = held.weights[index]
    full = bool((lengths == steps).all())
    return Batch(inputs, targets, weights, None if full else send(lengths, inputs.device))
