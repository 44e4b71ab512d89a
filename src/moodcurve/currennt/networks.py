"""CURRENNT's network files (.jsn): layers by name, with their weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from moodcurve.currennt.data import unreadable
from moodcurve.errors import InputError
from moodcurve.files import replacing
from moodcurve.network import ACTIVATIONS, Array, Dense, Layer, Network, Recurrent

_DENSE = "feedforward_"


@dataclass(frozen=True)
class NamedLayer:
    """A trainable layer as the file has it.

    The bias weights in `weights` count times `bias_value`, the constant that the file calls
    "bias" (usually 1.0). `learning_rate` is the layer's own, or None.
    """

    name: str
    weights: Layer
    bias_value: float = 1.0
    learning_rate: float | None = None


@dataclass(frozen=True)
class NamedNetwork:
    """A network as the file has it; `input` and `output` name the layers without weights."""

    layers: tuple[NamedLayer, ...]
    input: str = "input"
    output: str = "postoutput"

    def folded(self) -> Network:
        """Return the network it is, with every bias value multiplied into the bias weights."""
        return Network(
            tuple(
                replace(layer.weights, bias=np.float32(layer.bias_value) * layer.weights.bias)
                for layer in self.layers
            )
        )

    def unfolded(self, network: Network) -> NamedNetwork:
        """Return these layers with the weights of `network`, which is `folded()` trained further.

        Where the bias value is 0, bias weights have no effect and no gradient: they stay.
        """
        layers = []
        for named, layer in zip(self.layers, network.layers, strict=True):
            bias = named.weights.bias
            if named.bias_value:
                bias = layer.bias / np.float32(named.bias_value)
            layers.append(replace(named, weights=replace(layer, bias=bias)))
        return replace(self, layers=tuple(layers))


def read_network(path: str | Path) -> Network:
    """Read the network in a CURRENNT .jsn file.

    Knows the layers input, lstm, blstm, feedforward_identity, feedforward_tanh and
    feedforward_logistic, and sse last. A layer's constant "bias" input (usually 1.0) is multiplied
    into its bias weights. Raises InputError on any other or broken file.
    """
    return read_named_network(path).folded()


def read_named_network(path: str | Path, inputs: int | None = None) -> NamedNetwork:
    """Read a CURRENNT .jsn file with its names, bias values and learning rates.

    `inputs` overrides the size of the input layer, as CURRENNT does in training by the size its
    training data has. Raises InputError as `read_network` does.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        first, *middle, last = content["layers"]
        if first["type"] != "input" or last["type"] != "sse":
            raise ValueError(
                f"its layers run from {first['type']!r} to {last['type']!r}, not input to sse"
            )
        names = [str(layer["name"]) for layer in content["layers"]]
        if len(set(names)) < len(names):
            raise ValueError("two of its layers have the same name")
        layers: list[NamedLayer] = []
        sources = inputs or int(first["size"])
        for layer in middle:
            layers.append(_read_layer(layer, content.get("weights", {}), sources))
            sources = layers[-1].weights.outputs
        named = NamedNetwork(tuple(layers), names[0], names[-1])
        named.folded()  # a network needs a layer at least
        return named
    except OSError as error:
        raise unreadable(path, "a CURRENNT network", error.strerror or str(error)) from None
    except KeyError as error:
        raise unreadable(path, "a CURRENNT network", f"it lacks {error}") from None
    except (ValueError, TypeError, AttributeError, InputError) as error:  # or JSON, or UTF-8
        raise unreadable(path, "a CURRENNT network", str(error)) from None


def _read_layer(layer: dict[str, Any], weights: dict[str, Any], inputs: int) -> NamedLayer:
    """One trainable layer; its lists are in CURRENNT's order: gate, direction, unit, source."""
    name, kind, size = str(layer["name"]), str(layer["type"]), int(layer["size"])
    activation = kind.removeprefix(_DENSE)
    dense = kind.startswith(_DENSE) and activation in ACTIVATIONS
    if not dense and kind not in ("lstm", "blstm"):
        raise ValueError(f"layer {name!r} is of type {kind!r}, which moodcurve does not know")
    if name not in weights:
        raise ValueError(f"layer {name!r} has no weights, and moodcurve draws none at random")

    def numbers(key: str, count: int) -> Array:
        values = np.asarray(weights[name][key], np.float32)
        if values.shape != (count,) or not np.isfinite(values).all():
            raise ValueError(
                f"{key!r} of layer {name!r} is not a list of {count} numbers, as {inputs} inputs "
                f"and {size} outputs need"
            )
        return values

    bias_value = float(np.float64(layer["bias"]))  # which takes None for NaN
    if not np.isfinite(bias_value):
        raise ValueError(f"the 'bias' value of layer {name!r} is not a number")
    rate = None if layer.get("learningRate") is None else float(layer["learningRate"])
    if rate is not None and not 0 <= rate < np.inf:
        raise ValueError(f"the 'learningRate' of layer {name!r} is {rate}, not 0 or more")
    if dense:
        matrix = numbers("input", size * inputs).reshape(size, inputs)
        return NamedLayer(name, Dense(matrix, numbers("bias", size), activation), bias_value, rate)
    directions = 2 if kind == "blstm" else 1
    if size % directions:
        raise ValueError(f"layer {name!r} is a blstm of odd size {size}")
    units = size // directions
    internal = numbers("internal", 4 * size * units + 3 * size)
    recurrent, peepholes = np.split(internal, [4 * size * units])
    cells = Recurrent(
        _by_direction(numbers("input", 4 * size * inputs), 4, directions, units, inputs),
        _by_direction(numbers("bias", 4 * size), 4, directions, units)[..., 0],
        _by_direction(recurrent, 4, directions, units, units),
        _by_direction(peepholes, 3, directions, units).reshape(directions, 3, units),
    )
    return NamedLayer(name, cells, bias_value, rate)


def _by_direction(
    values: Array, gates: int, directions: int, units: int, sources: int = 1
) -> Array:
    """Turn a list in the order gate, direction, unit, source into (D, gates * H, sources)."""
    values = values.reshape(gates, directions, units, sources).swapaxes(0, 1)
    return np.ascontiguousarray(values).reshape(directions, gates * units, sources)


def write_network(network: Network, path: str | Path) -> None:
    """Write the network as a CURRENNT .jsn file; its layers are named layer_1, layer_2, ...

    Otherwise as `write_named_network`.
    """
    layers = (NamedLayer(f"layer_{n}", layer) for n, layer in enumerate(network.layers, start=1))
    write_named_network(NamedNetwork(tuple(layers)), path)


def write_named_network(network: NamedNetwork, path: str | Path) -> None:
    """Write a CURRENNT .jsn file with 9 significant digits, which keep a float32.

    Learning rates are not written, as CURRENNT writes none. Raises InputError where the file cannot
    be written or CURRENNT has no such layer; the file appears whole or not at all.
    """
    ends = network.layers[0].weights, network.layers[-1].weights
    layers: list[dict[str, Any]] = [
        {"name": network.input, "type": "input", "size": ends[0].inputs}
    ]
    weights = {}
    for named in network.layers:
        layer = named.weights
        if isinstance(layer, Recurrent):
            kind = ("lstm", "blstm")[layer.recurrent.shape[0] - 1]
            internal = [_by_gate(layer.recurrent, 4), _by_gate(layer.peepholes, 3)]
            lists = (_by_gate(layer.weights, 4), _by_gate(layer.bias, 4), np.concatenate(internal))
        elif isinstance(layer, Dense):
            kind = _DENSE + layer.activation
            lists = (layer.weights, layer.bias, np.empty(0, np.float32))
        else:
            raise InputError(
                f"{path}: CURRENNT has no layer like {named.name} ({type(layer).__name__}); "
                "write a network of LSTM and feedforward layers"
            )
        layers.append(
            {"name": named.name, "type": kind, "size": layer.outputs, "bias": named.bias_value}
        )
        keys = ("input", "bias", "internal")
        weights[named.name] = {
            key: _rounded(values) for key, values in zip(keys, lists, strict=True)
        }
    layers.append({"name": network.output, "type": "sse", "size": ends[1].outputs})
    with replacing(Path(path)) as part:
        part.write_text(json.dumps({"layers": layers, "weights": weights}) + "\n", encoding="utf-8")


def _by_gate(values: Array, gates: int) -> Array:
    """Undo `_by_direction`, as one flat list."""
    return values.reshape(len(values), gates, -1).swapaxes(0, 1).ravel()


def _rounded(values: ArrayLike) -> list[float]:
    """The numbers, in C order, to 9 significant digits."""
    return [float(f"{value:.9g}") for value in np.asarray(values).ravel().tolist()]
