"""Make the listener's data file from the package that published its weights.

    pip download --no-deps musicnn==0.1.0
    python tools/listener_weights.py musicnn-0.1.0-py3-none-any.whl

Reads the TensorFlow checkpoint inside the wheel (a table of LevelDB's form whose values say where
each tensor lies), keeps the filters that are alive, and writes `listener.npz`, `listener.json`
(source, version, licence, checksums) and `listener.LICENSE` into `src/moodcurve/features`.

Training drove the kernels of 542 of the network's 753 filters to nothing: they are under 1e-5,
where those of the others are over 5e-3. Such a filter says the same number at every moment. Those
numbers are kept in a channel of their own that is 1 within the song and 0 in the padding around
it; so the smaller network says what the whole one says, for a tenth of the work.
"""

import argparse
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float64]]

FOLDER = Path(__file__).parents[1] / "src" / "moodcurve" / "features"
CHECKPOINT, LICENCE = "musicnn/MSD_musicnn/", "musicnn-0.1.0.dist-info/LICENSE.md"
DEAD = 1e-5  # largest length of the kernel of a filter that is not alive
EPSILON = 1e-3  # of the batch normalisation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    options = parser.parse_args()
    content = options.wheel.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        index, data = (wheel.read(CHECKPOINT + end) for end in (".index", ".data-00000-of-00001"))
        licence = wheel.read(LICENCE).decode()
    arrays = living(tensors(index, data))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{k: v.astype(np.float32) for k, v in arrays.items()})
    (FOLDER / "listener.npz").write_bytes(buffer.getvalue())
    (FOLDER / "listener.LICENSE").write_text(licence, encoding="utf-8")
    about = {
        "name": "musicnn, model MSD_musicnn (Pons & Serra 2019)",
        "source": f"package {options.wheel.name.removesuffix('-py3-none-any.whl')}",
        "source_sha256": hashlib.sha256(content).hexdigest(),
        "trained_on": "200,000 songs of the Million Song Dataset, their 50 most used last.fm tags",
        "licence": "ISC",
        "version": "musicnn-msd-1",
        "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    text = json.dumps(about, indent=2) + "\n"
    (FOLDER / "listener.json").write_text(text, encoding="utf-8")
    print(f"wrote {FOLDER / 'listener.npz'}: {len(buffer.getvalue()) / 1e6:.2f} MB")


def living(tensor: Arrays) -> Arrays:
    """The network without its dead filters, with batch normalisation as scales and shifts."""

    def normalisation(number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        prefix = "batch_normalization" + (f"_{number}" if number else "")
        gamma, beta, mean, variance = (
            tensor[f"{prefix}/{part}"]
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return scale, beta - mean * scale

    def convolution(number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        prefix = "conv2d" + (f"_{number}" if number else "")
        kernel = tensor[f"{prefix}/kernel"]
        return kernel, tensor[f"{prefix}/bias"]

    def split(number: int) -> tuple[Arrays, NDArray[np.bool_], NDArray[np.float64]]:
        """A layer's living filters, which they are, and what each of the dead ones always says."""
        kernel, bias = convolution(number)
        scale, shift = normalisation(number + 1)
        alive = np.sqrt((kernel**2).sum(axis=(0, 1, 2))) > DEAD
        constant = np.where(alive, 0.0, np.maximum(bias, 0) * scale + shift)
        kept = {
            "kernel": kernel[..., alive],
            "bias": bias[alive],
            "scale": scale[alive],
            "shift": shift[alive],
        }
        return kept, alive, constant

    out: Arrays = {}
    out["input/scale"], out["input/shift"] = normalisation(0)
    alive, constant = np.zeros(0, bool), np.zeros(0)
    for number, name in enumerate(("timbre38", "timbre67", "time128", "time64", "time32")):
        kept, own, said = split(number)
        kept["kernel"] = kept["kernel"][:, :, 0]
        if name.startswith("time"):
            kept["kernel"] = kept["kernel"][:, 0]
        out |= {f"{name}/{key}": value for key, value in kept.items()}
        alive, constant = np.concatenate([alive, own]), np.concatenate([constant, said])

    def with_ones(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
        """A kernel over living channels and one of ones, of a kernel over all channels."""
        ones = np.einsum("tcd,c->td", kernel, constant)
        return np.concatenate([kernel[:, alive], ones[:, np.newaxis]], axis=1)

    front = alive.copy(), constant.copy()
    kept, alive_1, constant_1 = split(5)
    kept["kernel"] = with_ones(kept["kernel"][:, :, 0])
    out |= {f"middle1/{key}": value for key, value in kept.items()}
    out["middle1/alive"], out["middle1/constant"] = alive_1.astype(float), constant_1
    for layer, number in ((2, 6), (3, 7)):
        kernel, bias = convolution(number)
        scale, shift = normalisation(number + 1)
        out |= {
            f"middle{layer}/kernel": kernel[:, :, 0],
            f"middle{layer}/bias": bias,
            f"middle{layer}/scale": scale,
            f"middle{layer}/shift": shift,
        }
    # the dense layer over maximum and mean of each channel, interleaved, after normalisation
    scale, shift = normalisation(9)
    kernel = tensor["dense/kernel"]
    bias = tensor["dense/bias"] + shift @ kernel
    kernel = (scale[:, np.newaxis] * kernel).reshape(753, 2, 200)
    alive = np.concatenate([front[0], alive_1, np.ones(128, bool)])
    constant = np.concatenate([front[1], constant_1, np.zeros(128)])
    out["dense/bias"] = bias + np.einsum("c,cpd->d", constant, kernel)
    out["dense/kernel"] = kernel[alive].transpose(1, 0, 2).reshape(-1, 200)
    out["dense/scale"], out["dense/shift"] = normalisation(10)
    return out


def tensors(index: bytes, data: bytes) -> Arrays:
    """The float tensors of a checkpoint by name."""
    found = {}
    for key, value in entries(index):
        if not key or b"/" not in key:
            continue  # the header
        fields = dict(message(value))
        if fields.get(1) != 1:  # float32
            continue
        shape = [
            dict(message(dim)).get(1, 0) for tag, dim in message(fields.get(2, b"")) if tag == 2
        ]
        offset, size = fields.get(4, 0), fields.get(5, 0)
        array = np.frombuffer(data[offset : offset + size], "<f4").reshape(shape)
        found[key.decode()] = array.astype(np.float64)
    return found


def entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of an uncompressed LevelDB table, by its index block."""
    footer = table[-48:]
    _, place = varint(footer, 0)
    _, place = varint(footer, place)
    offset, place = varint(footer, place)
    size, _ = varint(footer, place)
    for _, handle in block(table[offset : offset + size]):
        start, place = varint(handle, 0)
        length, _ = varint(handle, place)
        yield from block(table[start : start + length])


def block(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block; each key continues a part of the one before."""
    restarts = int.from_bytes(content[-4:], "little")
    end, place, key = len(content) - 4 * (restarts + 1), 0, b""
    while place < end:
        shared, place = varint(content, place)
        own, place = varint(content, place)
        size, place = varint(content, place)
        key = key[:shared] + content[place : place + own]
        yield key, content[place + own : place + own + size]
        place += own + size


def message(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protocol buffer: number, and integer or bytes."""
    place = 0
    while place < len(content):
        tag, place = varint(content, place)
        kind = tag & 7
        if kind == 0:
            value, place = varint(content, place)
            yield tag >> 3, value
        elif kind == 2:
            size, place = varint(content, place)
            yield tag >> 3, content[place : place + size]
            place += size
        else:  # fixed width
            width = 8 if kind == 1 else 4
            yield tag >> 3, int.from_bytes(content[place : place + width], "little")
            place += width


def varint(content: bytes, place: int) -> tuple[int, int]:
    """An integer of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


if __name__ == "__main__":
    main()
