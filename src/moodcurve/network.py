"""The deep BLSTM of the paper, forward only, in numpy: all that predicting needs.

Also the plain recurrent layer of the network it is compared with (Table 3). A network is a tuple
of layers, each with its weights. Letters: B sequences, T half-seconds, F features, P inputs of a
layer, H units a direction, G gates of a unit, D directions (1 or 2), N outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from moodcurve.errors import InputError

Array = NDArray[np.float32]

ACTIVATIONS = ("identity", "tanh", "logistic")


@dataclass(frozen=True)
class _InTime:
    """What layers with a memory share; direction 0 is forward in time."""

    weights: Array  # (D, G * H, P)
    bias: Array  # (D, G * H)
    recurrent: Array  # (D, G * H, H)

    gates: ClassVar[int]

    def __post_init__(self) -> None:
        directions, rows, units = _shape("recurrent", self.recurrent, 3)
        inputs = _shape("weights", self.weights, 3)[2]
        _expect("recurrent", self.recurrent, (directions, self.gates * units, units))
        _expect("weights", self.weights, (directions, rows, inputs))
        _expect("bias", self.bias, (directions, rows))
        if directions not in (1, 2):
            raise InputError(f"a recurrent layer has {directions} directions; it can have 1 or 2")

    @property
    def inputs(self) -> int:
        """Numbers the layer takes a half-second, P."""
        return int(self.weights.shape[2])

    @property
    def outputs(self) -> int:
        """Numbers the layer gives a half-second, D * H: forward units, then backward ones."""
        return int(self.recurrent.shape[0] * self.recurrent.shape[2])


@dataclass(frozen=True)
class Recurrent(_InTime):
    """An LSTM layer (D = 1) or BLSTM layer (D = 2) with peepholes; direction 0 is forward in time.

    Weights (D, 4H, P), bias (D, 4H), recurrent (D, 4H, H), peepholes (D, 3, H), all float32.
    Gates stand in the order z (input), i, f, o; peepholes in the order i, f, o.
    The cell is CURRENNT's (Graves 2012): i and f see the old cell state, o the new one.
    """

    peepholes: Array  # (D, 3, H)

    gates: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        directions, _, units = self.recurrent.shape
        _expect("peepholes", self.peepholes, (directions, 3, units))


@dataclass(frozen=True)
class Elman(_InTime):
    """A plain recurrent layer (Elman 1990) of D directions; direction 0 is forward in time.

    h_t = tanh(weights @ x_t + recurrent @ h_{t-1} + bias), 0 before the first half-second.
    Weights (D, H, P), bias (D, H), recurrent (D, H, H), all float32.
    """

    gates: ClassVar[int] = 1


@dataclass(frozen=True)
class Dense:
    """A feedforward layer: activation(weights @ x + bias), frame by frame; float32."""

    weights: Array  # (N, P)
    bias: Array  # (N,)
    activation: str  # one of ACTIVATIONS

    def __post_init__(self) -> None:
        _expect("bias", self.bias, _shape("weights", self.weights, 2)[:1])
        if self.activation not in ACTIVATIONS:
            raise InputError(
                f"unknown activation {self.activation!r}; use one of {', '.join(ACTIVATIONS)}"
            )

    @property
    def inputs(self) -> int:
        """Numbers the layer takes a half-second, P."""
        return int(self.weights.shape[1])

    @property
    def outputs(self) -> int:
        """Numbers the layer gives a half-second, N."""
        return int(self.weights.shape[0])


Layer = Recurrent | Elman | Dense


@dataclass(frozen=True)
class Network:
    """Layers from the input to the output; each takes what the one before gives."""

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError("a network needs at least one layer, this one has none")
        for number, (below, above) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            if above.inputs != below.outputs:
                raise InputError(
                    f"layer {number + 1} of the network takes {above.inputs} inputs, but layer "
                    f"{number} gives {below.outputs}; make the two sizes equal"
                )

    @property
    def inputs(self) -> int:
        """Features the network takes a half-second, F."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Values the network gives a half-second, N."""
        return self.layers[-1].outputs


def forward(network: Network, x: Array, mask: NDArray[np.bool_] | None = None) -> Array:
    """Run the network over a batch of sequences.

    `x` is (B, T, F), `mask` (B, T): true on frames, false on the padding to their right; without
    it every frame counts. Returns (B, T, N) float32, meaningless on padding. A padded sequence
    gives the same values as it gives alone. Raises InputError where F is not the network's.
    """
    out: Array = forward_all((network,), x, mask)[0]
    return out


def forward_all(
    networks: Sequence[Network], x: Array, mask: NDArray[np.bool_] | None = None
) -> Array:
    """Run M networks of one shape over the same sequences at once: (M, B, T, N); see `forward`.

    Raises InputError where the networks differ in shape.
    """
    inputs = networks[0].inputs
    if x.ndim != 3 or x.shape[2] != inputs:
        raise InputError(
            f"the network takes rows of {inputs} features in an array (B, T, F), "
            f"but was given {x.shape}; use the features it was trained on"
        )
    if len({_shapes(network) for network in networks}) > 1:
        raise InputError("networks of several shapes cannot be run at once; run one by one")
    x = np.asarray(x, np.float32).transpose(1, 0, 2)
    valid = None
    if mask is not None and not mask.all():
        valid = mask.T[:, :, None]
        x = np.where(valid, x, np.float32(0))
    x = x[None]
    for layers in zip(*(network.layers for network in networks), strict=True):
        x = _dense(layers, x) if isinstance(layers[0], Dense) else _in_time(layers, x, valid)
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3))


def _shapes(network: Network) -> tuple[object, ...]:
    values = ((layer, getattr(layer, f.name)) for layer in network.layers for f in fields(layer))
    return tuple((type(layer), v if isinstance(v, str) else v.shape) for layer, v in values)


def _stack(layers: Sequence[Layer], name: str) -> Array:
    return np.stack([getattr(layer, name) for layer in layers])


def _in_time(layers: Sequence[Any], x: Array, valid: NDArray[np.bool_] | None) -> Array:
    """One layer of each network over time-major x (M or 1, T, B, P); returns (M, T, B, D * H).

    All networks and both directions advance in the same step, the backward one on reversed time.
    `valid` (T, B, 1) holds the memory at 0 on padding.
    """
    weights, bias = _stack(layers, "weights"), _stack(layers, "bias")  # (M, D, G * H, P)
    recurrent = _stack(layers, "recurrent")
    count, directions, _, units = recurrent.shape
    steps, batch = x.shape[1:3]
    both = np.stack([x, x[:, ::-1]][:directions], axis=1)  # as each direction meets it
    gates = both.reshape(len(x), directions, steps * batch, -1) @ weights.transpose(0, 1, 3, 2)
    gates += bias[:, :, None]
    gates = gates.reshape(count * directions, steps, batch, layers[0].gates, units)
    transposed = np.ascontiguousarray(recurrent.transpose(0, 1, 3, 2)).reshape(
        count * directions, units, -1
    )
    if valid is not None:
        ways = np.stack([valid, valid[::-1]][:directions])
        valid = np.broadcast_to(ways, (count, *ways.shape)).reshape(-1, *valid.shape)
    if isinstance(layers[0], Recurrent):
        peepholes = _stack(layers, "peepholes").reshape(count * directions, 3, units)
        out = _lstm(transposed, peepholes, gates, valid)
    else:
        out = _elman(transposed, gates, valid)
    out = out.reshape(count, directions, steps, batch, units)
    return np.concatenate([out[:, 0], *(out[:, d, ::-1] for d in range(1, directions))], axis=3)


def _lstm(
    recurrent: Array, peepholes: Array, gates: Array, valid: NDArray[np.bool_] | None
) -> Array:
    """Run the cells on the gates' input products (W, T, B, 4, H), W ways; returns h (W, T, B, H).

    `recurrent` is (W, H, 4 H), `peepholes` (W, 3, H). Equations: CURRENNT, `LstmLayer`. `gates` is
    overwritten.
    """
    ways, steps, batch, _, units = gates.shape
    peephole_if, peephole_o = peepholes[:, None, :2], peepholes[:, None, 2]

    out: Array = np.empty((ways, steps, batch, units), np.float32)
    h = np.zeros((ways, batch, units), np.float32)
    c = np.zeros_like(h)
    product = np.empty((ways, batch, 4 * units), np.float32)
    for t in range(steps):
        now = gates[:, t]
        now += np.matmul(h, recurrent, out=product).reshape(now.shape)
        z, i_and_f, o = now[:, :, 0], now[:, :, 1:3], now[:, :, 3]
        i_and_f += peephole_if * c[:, :, None]
        np.tanh(z, out=z)
        _logistic(i_and_f)
        c *= now[:, :, 2]
        z *= now[:, :, 1]
        c += z
        o += peephole_o * c
        _logistic(o)
        h = np.tanh(c, out=out[:, t])
        h *= o
        if valid is not None:
            h *= valid[:, t]
            c *= valid[:, t]
    return out


def _elman(recurrent: Array, gates: Array, valid: NDArray[np.bool_] | None) -> Array:
    """Run the units on their input products (W, T, B, 1, H), in place; returns h (W, T, B, H)."""
    out = gates[:, :, :, 0]
    for t in range(out.shape[1]):
        h = out[:, t]
        if t:
            h += out[:, t - 1] @ recurrent
        np.tanh(h, out=h)
        if valid is not None:
            h *= valid[:, t]
    return out


def _dense(layers: Sequence[Any], x: Array) -> Array:
    """One feedforward layer of each network over x (M or 1, T, B, P); returns (M, T, B, N)."""
    _, steps, batch, inputs = x.shape
    rows = x.reshape(len(x), steps * batch, inputs) @ _stack(layers, "weights").transpose(0, 2, 1)
    rows += _stack(layers, "bias")[:, None]
    if layers[0].activation == "tanh":
        np.tanh(rows, out=rows)
    elif layers[0].activation == "logistic":
        _logistic(rows)
    return rows.reshape(len(layers), steps, batch, -1)


def _logistic(x: Array) -> None:
    """1 / (1 + exp(-x)) in place, by tanh: no overflow, and numpy's tanh is vectorised."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5


def parameter_count(network: Network) -> int:
    """Count the weights, biases and peepholes of the network."""
    return sum(array.size for array in to_arrays(network).values() if array.dtype.kind == "f")


def to_arrays(network: Network) -> dict[str, NDArray[Any]]:
    """Return the network as named arrays for an .npz ("0.weights", "0.bias", ...), no pickle.

    An activation is a unicode array without dimensions ("1.activation").
    """
    return {
        f"{number}.{field.name}": np.asarray(getattr(layer, field.name))
        for number, layer in enumerate(network.layers)
        for field in fields(layer)
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Network:
    """Return the network whose `to_arrays` is `arrays`.

    Raises InputError where an array is missing or its shape is wrong.
    """
    try:
        count = 1 + max(int(key.split(".")[0]) for key in arrays)
        return Network(tuple(_layer(arrays, number) for number in range(count)))
    except KeyError as error:
        raise InputError(f"the network's arrays lack {error}; write the model again") from None
    except ValueError:
        raise InputError(
            'the network\'s arrays are not named "0.weights", "0.bias", ...; write the model again'
        ) from None


def _layer(arrays: Mapping[str, NDArray[Any]], number: int) -> Layer:
    def array(name: str) -> Array:
        return np.asarray(arrays[f"{number}.{name}"], np.float32)

    if f"{number}.activation" in arrays:
        activation = str(arrays[f"{number}.activation"])
        return Dense(array("weights"), array("bias"), activation)
    shared = array("weights"), array("bias"), array("recurrent")
    # an LSTM has four rows a unit, a plain unit one
    if shared[2].shape[-2:-1] == shared[2].shape[-1:]:
        return Elman(*shared)
    return Recurrent(*shared, array("peepholes"))


def _shape(name: str, array: Array, dimensions: int) -> tuple[int, ...]:
    if array.ndim != dimensions:
        raise InputError(
            f"a layer's {name} has shape {array.shape}; it needs {dimensions} dimensions"
        )
    return array.shape


def _expect(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise InputError(
            f"a layer's {name} has shape {array.shape}; with its other weights it must be {shape}"
        )
