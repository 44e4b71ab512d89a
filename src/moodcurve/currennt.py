"""The files of CURRENNT, the trainer the paper used: networks (.jsn), data (.nc), predictions.

Written from the formats' description; CURRENNT is GPL-3 and none of it is in here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moodcurve.errors import InputError
from moodcurve.files import replacing
from moodcurve.network import ACTIVATIONS, Array, Dense, Network, Recurrent, forward

_DENSE = "feedforward_"


@dataclass(frozen=True)
class Data:
    """What a data file holds: per sequence its tag, inputs (T_i, F) and targets (T_i, N).

    `output_means` and `output_stdevs` (N,) undo the standardisation of the targets, or are None.
    """

    tags: list[str]
    inputs: list[Array]
    targets: list[Array]
    output_means: Array | None = None
    output_stdevs: Array | None = None


def read_network(path: str | Path) -> Network:
    """Read the network in a CURRENNT .jsn file.

    Knows the layers input, lstm, blstm, feedforward_identity, feedforward_tanh and
    feedforward_logistic, and sse last. A layer's constant "bias" input (usually 1.0) is multiplied
    into its bias weights. Raises InputError on any other or broken file.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        first, *middle, last = content["layers"]
        if first["type"] != "input" or last["type"] != "sse":
            raise ValueError(
                f"its layers run from {first['type']!r} to {last['type']!r}, not input to sse"
            )
        layers: list[Recurrent | Dense] = []
        inputs = int(first["size"])
        for layer in middle:
            layers.append(_read_layer(layer, content["weights"][layer["name"]], inputs))
            inputs = layers[-1].outputs
        return Network(tuple(layers))
    except OSError as error:
        raise _cannot(path, "a CURRENNT network", error.strerror or str(error)) from None
    except KeyError as error:
        raise _cannot(path, "a CURRENNT network", f"it lacks {error}") from None
    except (ValueError, TypeError, InputError) as error:  # ValueError covers JSON and UTF-8
        raise _cannot(path, "a CURRENNT network", str(error)) from None


def _cannot(path: Path, what: str, why: str) -> InputError:
    remedy = "give a file that CURRENNT wrote or could read"
    return InputError(f"{path}: cannot be read as {what}: {' '.join(why.split())}; {remedy}")


def _read_layer(layer: dict[str, Any], weights: dict[str, Any], inputs: int) -> Recurrent | Dense:
    """One trainable layer; its lists are in CURRENNT's order: gate, direction, unit, source."""
    name, kind, size = str(layer["name"]), str(layer["type"]), int(layer["size"])

    def numbers(key: str, count: int) -> Array:
        values = np.asarray(weights[key], np.float32)
        if values.shape != (count,) or not np.isfinite(values).all():
            raise ValueError(f"{key!r} of layer {name!r} is not a list of {count} numbers")
        return values

    scale = np.float32(layer["bias"])
    if not np.isfinite(scale):
        raise ValueError(f"the 'bias' value of layer {name!r} is not a number")
    activation = kind.removeprefix(_DENSE)
    if kind.startswith(_DENSE) and activation in ACTIVATIONS:
        matrix = numbers("input", size * inputs).reshape(size, inputs)
        return Dense(matrix, scale * numbers("bias", size), activation)
    if kind not in ("lstm", "blstm"):
        raise ValueError(f"layer {name!r} is of type {kind!r}, which moodcurve does not know")
    directions = 2 if kind == "blstm" else 1
    if size % directions:
        raise ValueError(f"layer {name!r} is a blstm of odd size {size}")
    units = size // directions
    internal = numbers("internal", 4 * size * units + 3 * size)
    recurrent, peepholes = np.split(internal, [4 * size * units])
    return Recurrent(
        _by_direction(numbers("input", 4 * size * inputs), 4, directions, units, inputs),
        scale * _by_direction(numbers("bias", 4 * size), 4, directions, units)[..., 0],
        _by_direction(recurrent, 4, directions, units, units),
        _by_direction(peepholes, 3, directions, units).reshape(directions, 3, units),
    )


def _by_direction(
    values: Array, gates: int, directions: int, units: int, sources: int = 1
) -> Array:
    """Turn a list in the order gate, direction, unit, source into (D, gates * H, sources)."""
    values = values.reshape(gates, directions, units, sources).swapaxes(0, 1)
    return np.ascontiguousarray(values).reshape(directions, gates * units, sources)


def write_network(network: Network, path: str | Path) -> None:
    """Write the network as a CURRENNT .jsn file with 9 significant digits, which keep a float32.

    Raises InputError where it cannot be written; the file appears whole or not at all.
    """
    layers: list[dict[str, Any]] = [{"name": "input", "type": "input", "size": network.inputs}]
    weights = {}
    for number, layer in enumerate(network.layers, start=1):
        if isinstance(layer, Recurrent):
            kind = ("lstm", "blstm")[layer.recurrent.shape[0] - 1]
            internal = [_by_gate(layer.recurrent, 4), _by_gate(layer.peepholes, 3)]
            lists = (_by_gate(layer.weights, 4), _by_gate(layer.bias, 4), np.concatenate(internal))
        else:
            kind = _DENSE + layer.activation
            lists = (layer.weights, layer.bias, np.empty(0, np.float32))
        name = f"layer_{number}"
        layers.append({"name": name, "type": kind, "size": layer.outputs, "bias": 1.0})
        keys = ("input", "bias", "internal")
        weights[name] = {
            key: [float(text) for text in _digits(values)]
            for key, values in zip(keys, lists, strict=True)
        }
    layers.append({"name": "postoutput", "type": "sse", "size": network.outputs})
    with replacing(Path(path)) as part:
        part.write_text(json.dumps({"layers": layers, "weights": weights}) + "\n", encoding="utf-8")


def _by_gate(values: Array, gates: int) -> Array:
    """Undo `_by_direction`, as one flat list."""
    return values.reshape(len(values), gates, -1).swapaxes(0, 1).ravel()


def _digits(values: ArrayLike) -> Iterable[str]:
    """Format the numbers, in C order, with 9 significant digits."""
    return (f"{value:.9g}" for value in np.asarray(values).ravel().tolist())


def read_data(path: str | Path) -> Data:
    """Read the sequences of a CURRENNT data file (.nc, NetCDF-3) with regression targets.

    Raises InputError where the file cannot be read or lacks a variable.
    """
    from scipy.io import netcdf_file

    path = Path(path)
    try:
        with netcdf_file(path, mmap=False) as file:
            variables = {name: variable.data for name, variable in file.variables.items()}
        lengths = variables["seqLengths"]
        inputs, targets = _floats(variables["inputs"]), _floats(variables["targetPatterns"])
        if not len(inputs) == len(targets) == lengths.sum():
            raise ValueError(
                f"the lengths of its sequences add up to {lengths.sum()}, but it has "
                f"{len(inputs)} rows of inputs and {len(targets)} of targets"
            )
        ends = np.cumsum(lengths)[:-1]
        return Data(
            [b"".join(tag).rstrip(b"\0").decode() for tag in variables["seqTags"].tolist()],
            np.split(inputs, ends),
            np.split(targets, ends),
            *(_floats(variables[name]) if name in variables else None for name in _STANDARD),
        )
    except OSError as error:
        raise _cannot(path, "CURRENNT data", error.strerror or str(error)) from None
    except KeyError as error:
        raise _cannot(path, "CURRENNT data", f"it has no variable {error}") from None
    except (ValueError, TypeError, IndexError) as error:  # what scipy raises on broken files
        why = f"{error} (NetCDF-4 becomes NetCDF-3 with `nccopy -k classic`)"
        raise _cannot(path, "CURRENNT data", why) from None


_STANDARD = ("outputMeans", "outputStdevs")


def _floats(values: NDArray[Any]) -> Array:
    """Big-endian file data as native float32."""
    return values.astype(np.float32)


def predict(network: Network, data: Data) -> list[Array]:
    """Compute the outputs (T_i, N) for each sequence.

    They are in the targets' original units where the data has them (CURRENNT's revert_std):
    output * outputStdevs + outputMeans.
    """
    outputs = [forward(network, x[None])[0] for x in data.inputs]
    if data.output_means is None or data.output_stdevs is None:
        return outputs
    return [output * data.output_stdevs + data.output_means for output in outputs]


def write_predictions(path: str | Path, tags: Sequence[str], outputs: Sequence[Array]) -> None:
    """Write outputs (T_i, N) as CURRENNT's single_csv: a line `tag;v1;v2;...` for each sequence.

    Outputs of one frame stand next to each other; 9 significant digits.
    """
    lines = [";".join([tag, *_digits(values)]) for tag, values in zip(tags, outputs, strict=True)]
    with replacing(Path(path)) as part:
        part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
