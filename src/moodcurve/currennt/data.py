"""CURRENNT's data files: NetCDF-3 (.nc) with sequences, their inputs and regression targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.errors import InputError
from moodcurve.files import replacing
from moodcurve.network import Array, Network

_STANDARD = ("outputMeans", "outputStdevs")


@dataclass(frozen=True)
class Data:
    """What a data file holds: per sequence its tag, inputs (T_i, F) and targets (T_i, N).

    `targets` is None where the file has none: it can then be predicted, but not trained on.
    `output_means` and `output_stdevs` (N,) undo the standardisation of the targets, or are None.
    """

    tags: list[str]
    inputs: list[Array]
    targets: list[Array] | None
    output_means: Array | None = None
    output_stdevs: Array | None = None


def read_data(path: str | Path) -> Data:
    """Read the sequences of a CURRENNT data file (.nc, NetCDF-3).

    Raises InputError where the file cannot be read or lacks a variable (`targetPatterns` and the
    targets' means and deviations may be lacking).
    """
    from scipy.io import netcdf_file

    path = Path(path)
    try:
        with netcdf_file(path, mmap=False) as file:
            variables = {name: variable.data for name, variable in file.variables.items()}
        lengths, tags = variables["seqLengths"], variables["seqTags"]
        patterns = {"inputs": _floats(variables["inputs"])}
        if "targetPatterns" in variables:
            patterns["targets"] = _floats(variables["targetPatterns"])
        _check_sizes(lengths, tags, patterns)
        ends = np.cumsum(lengths)[:-1]
        cut = {name: np.split(rows, ends) for name, rows in patterns.items()}
        means, stdevs = (
            _floats(variables[name]) if name in variables else None for name in _STANDARD
        )
        return Data([_text(tag) for tag in tags], cut["inputs"], cut.get("targets"), means, stdevs)
    except OSError as error:
        raise unreadable(path, "CURRENNT data", error.strerror or str(error)) from None
    except KeyError as error:
        raise unreadable(path, "CURRENNT data", f"it has no variable {error}") from None
    except (ValueError, TypeError, IndexError) as error:  # what scipy raises on broken files
        why = f"{error} (NetCDF-4 becomes NetCDF-3 with `nccopy -k classic`)"
        raise unreadable(path, "CURRENNT data", why) from None


def unreadable(path: Path, what: str, why: str) -> InputError:
    """Say that a file cannot be read as `what`, why not, and what to do."""
    remedy = "give a file that CURRENNT wrote or could read"
    return InputError(f"{path}: cannot be read as {what}: {' '.join(why.split())}; {remedy}")


def _floats(values: NDArray[Any]) -> Array:
    """Big-endian file data as native float32."""
    return values.astype(np.float32)


def _check_sizes(lengths: NDArray[Any], tags: NDArray[Any], patterns: dict[str, Array]) -> None:
    if not len(lengths) or lengths.min() < 1:
        raise ValueError("it has no sequences, or a sequence without a row")
    if len(tags) != len(lengths):
        raise ValueError(f"it has {len(lengths)} sequences, but {len(tags)} tags")
    for name, rows in patterns.items():
        if rows.ndim != 2 or len(rows) != lengths.sum():
            raise ValueError(
                f"the lengths of its sequences add up to {lengths.sum()}, "
                f"but its {name} are of shape {rows.shape}"
            )


def _text(tag: NDArray[Any]) -> str:
    """A tag up to its first NUL; bytes that are not UTF-8 survive to the CSV."""
    return tag.tobytes().partition(b"\0")[0].decode(errors="surrogateescape")


def write_data(data: Data, path: str | Path) -> None:
    """Write the sequences as a CURRENNT data file (NetCDF-3, classic).

    Raises InputError where it cannot be written; the file appears whole or not at all.
    """
    from scipy.io import netcdf_file

    path = Path(path)
    inputs = np.concatenate(data.inputs)
    if inputs.nbytes >= 2**31:  # the format's limit
        raise InputError(f"{path}: would hold 2 GiB of inputs or more; export a part of the songs")
    tags = [tag.encode(errors="surrogateescape") for tag in data.tags]
    width = 1 + max(map(len, tags))  # one NUL at least, as a C program expects
    characters = b"".join(tag.ljust(width, b"\0") for tag in tags)
    lengths = np.array([len(rows) for rows in data.inputs])
    frames = "numTimesteps"
    contents: dict[str, tuple[str, tuple[str, ...], Any]] = {
        "seqTags": (
            "c",
            ("numSeqs", "maxSeqTagLength"),
            np.frombuffer(characters, "S1").reshape(-1, width),
        ),
        "seqLengths": ("i", ("numSeqs",), lengths),
    }
    if data.targets is not None:
        targets = np.concatenate(data.targets)
        contents["targetPatterns"] = ("f", (frames, "targetPattSize"), targets)
    for name, values in zip(_STANDARD, (data.output_means, data.output_stdevs), strict=True):
        if values is not None:
            contents[name] = ("f", ("targetPattSize",), values)
    contents["inputs"] = ("f", (frames, "inputPattSize"), inputs)  # the largest one last
    with replacing(path) as part, netcdf_file(part, "w") as file:
        for _, dimensions, values in contents.values():
            for dimension, size in zip(dimensions, values.shape, strict=True):
                if dimension not in file.dimensions:
                    file.createDimension(dimension, size)
        for name, (kind, dimensions, values) in contents.items():
            file.createVariable(name, kind, dimensions)[:] = values


def check_fit(path: Path, data: Data, network: Network, training: bool = False) -> None:
    """Raise InputError where data from `path` and a network are not made for each other.

    For training the data must have targets, as many as the network has outputs, and numbers only.
    """
    if (found := data.inputs[0].shape[1]) != network.inputs:
        raise InputError(
            f"{path}: has {found} inputs a frame, but the network takes {network.inputs}; "
            "give data made for this network"
        )
    if not training:
        return
    if data.targets is None:
        raise InputError(f"{path}: has no targetPatterns; train on data with regression targets")
    if (found := data.targets[0].shape[1]) != network.outputs:
        raise InputError(
            f"{path}: has {found} targets a frame, but the network gives {network.outputs}; "
            "give data made for this network"
        )
    for tag, *patterns in zip(data.tags, data.inputs, data.targets, strict=True):
        if not all(np.isfinite(rows).all() for rows in patterns):
            raise InputError(
                f"{path}: sequence {tag!r} holds values that are not numbers; leave it out"
            )
