"""Sound from a pipe, as it comes: wav, or raw 16-bit PCM.

Not by libsndfile: it cannot look first whether a pipe holds wav, takes a size of 0 in the header,
which some recorders write, for no sound, and lets no Ctrl-C through while it waits for more.
"""

import struct
from collections.abc import Iterator
from io import BufferedIOBase

import numpy as np

from moodcurve.audio import Chunks
from moodcurve.errors import InputError

_NAME = "standard input"  # of the pipe, in errors
_MOST = 1 << 16  # bytes taken at once; fewer where fewer are there
_UNKNOWN = 0x7FFF_0000  # programs that write into a pipe give such a size, or 0: until the end
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_TYPES = {(_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 32): "<i4", (_FLOAT, 32): "<f4"}


def read_pipe(file: BufferedIOBase, rate: int | None = None, channels: int | None = None) -> Chunks:
    """Read sound from `file` as it comes: chunks of (rate in Hz, (n, channels) float32).

    A stream that begins with a wav header is read by it; any other is raw little-endian 16-bit
    PCM of that rate and number of channels. What is left of a frame at the end is dropped.

    Raises:
        InputError: for raw PCM without rate and channels, a wav header cut off, or one of a kind
            not read here (read: PCM of 8, 16 and 32 bits, floats of 32).
    """
    start = file.read(4)
    if not start:
        raise InputError(f"{_NAME}: nothing came; does the program before the | fail?")
    kind, left = "<i2", None
    if start == b"RIFF":
        start = b""
        rate, channels, kind, left = _wav_header(file)
    if rate is None or channels is None:
        raise InputError(
            f"{_NAME}: not wav, so taken for raw 16-bit PCM: say --rate and --channels, or pipe wav"
        )
    if channels < 1:
        raise InputError(f"{_NAME}: {channels} channels; give at least 1")
    for data in _whole_frames(file, start, channels * np.dtype(kind).itemsize, left):
        yield rate, _floats(np.frombuffer(data, kind)).reshape(-1, channels)


def _wav_header(file: BufferedIOBase) -> tuple[int, int, str, int | None]:
    """Read what follows "RIFF" up to the samples: rate, channels, type, bytes (None: unknown)."""
    form = b""
    if _exactly(file, 8)[4:] != b"WAVE":
        raise InputError(f"{_NAME}: RIFF, but not wav; pipe wav or raw PCM")
    while True:
        label, size = struct.unpack("<4sI", _exactly(file, 8))
        if label == b"data":
            break
        content = _exactly(file, size + size % 2)
        if label == b"fmt ":
            form = content
    if len(form) < 16:
        raise InputError(f"{_NAME}: its wav header does not say the format; pipe it again")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", form[:16])
    if code == _EXTENSIBLE and len(form) >= 26:
        code = struct.unpack("<H", form[24:26])[0]
    if (code, bits) not in _TYPES:
        raise InputError(f"{_NAME}: wav of format {code} with {bits} bits; pipe it with 16 bits")
    return rate, channels, _TYPES[code, bits], size if 0 < size < _UNKNOWN else None


def _exactly(file: BufferedIOBase, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise InputError(f"{_NAME}: ends within its wav header; pipe it again")
    return found


def _whole_frames(
    file: BufferedIOBase, start: bytes, size: int, left: int | None
) -> Iterator[bytes]:
    """Pass on what comes, whole frames of `size` bytes only, until `left` bytes have been read."""
    held = start
    while data := file.read1(_MOST if left is None else min(_MOST, left)):
        left = None if left is None else left - len(data)
        held += data
        whole = len(held) // size * size
        if whole:
            yield held[:whole]
        held = held[whole:]


def _floats(samples: np.ndarray) -> np.ndarray:
    """Integers of any size to float32 in [-1, 1); floats as they are."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    if samples.dtype.kind == "u":  # wav's 8 bits have their middle at 128
        return (samples.astype(np.float32) - 128) / 128
    return samples.astype(np.float32) / np.float32(-float(np.iinfo(samples.dtype).min))
