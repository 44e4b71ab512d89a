"""The learned listener: what a network that knows much recorded music hears, 200 numbers a row.

musicnn (Pons & Serra 2019) learned to tell the 50 most used tags of 200,000 songs: rock, jazz,
female vocalists, mellow, sad, happy ... The 200 numbers are its layer before the tags. Its weights
are data (`listener.npz`, made by `tools/listener_weights.py`), its forward pass is this module's:
filters of timbre and of time on log-mel frames, three convolutions in time above them, and a dense
layer over maximum and mean of 3 s of that.

The network read patches of 3 s; patches overlap, and all but the last layer is the same for both.
Here the convolutions run once over the song and the patches are taken of what comes out, one for
each row: the 3 s around the row's half-second, or the first or last 3 s of the song. Only the
song's own ends are padded with zeros, as the network's patches were.
"""

import hashlib
import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.errors import InputError
from moodcurve.features import kernels
from moodcurve.features.frames import Float32
from moodcurve.features.logmel import BANDS, FRAMES_PER_SECOND, LogMel
from moodcurve.features.summary import HOP

SIZE = 200
PATCH = 187  # frames, 3 s

#: The names of the columns that `Listener` gives.
LISTENER_NAMES = tuple(f"musicnn[{k}]" for k in range(SIZE))

_FILES = Path(__file__).parent
_WEIGHTS, _ABOUT = _FILES / "listener.npz", _FILES / "listener.json"
_STEP = 32  # frames worked through in turn, so that no result depends on the blocks given
_BEFORE, _AFTER = 63, 64  # frames that the longest filter of time sees on either side
_SIDE = 3  # frames on either side that every other filter sees
_LAG = 3 * _SIDE  # frames by which the last convolution lies behind the filters
_ROOM = 32  # columns beside the bands that `highest_answers` may look at
_TIMBRE, _TIME = ("timbre38", "timbre67"), ("time128", "time64", "time32")

Weights = dict[str, NDArray[np.float32]]


def about() -> dict[str, Any]:
    """What the weights are: name, source, version, licence, sha256. Raises InputError."""
    try:
        known: dict[str, Any] = json.loads(_ABOUT.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{_ABOUT}: missing or damaged; install moodcurve again") from None
    return known


@lru_cache(maxsize=1)
def weights() -> Weights:
    """The network's arrays. Raises InputError where the file is missing, cut or another one."""
    try:
        content = _WEIGHTS.read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise InputError(f"{_WEIGHTS}: {problem}; install moodcurve again") from None
    if hashlib.sha256(content).hexdigest() != about()["sha256"]:
        raise InputError(f"{_WEIGHTS}: damaged (sha256 differs); install moodcurve again")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    for name in (*_TIMBRE, *_TIME):  # (filters, frames, bands), as the kernels take them
        kernel = arrays[f"{name}/kernel"] * np.sign(arrays[f"{name}/scale"])
        kernel = kernel.reshape(len(kernel), -1, kernel.shape[-1])
        arrays[f"{name}/kernel"] = np.ascontiguousarray(kernel.transpose(2, 0, 1))
    for name in ("middle1", "middle2", "middle3", "dense"):  # (inputs, outputs), filled up to 16s
        kernel = arrays[f"{name}/kernel"].reshape(-1, arrays[f"{name}/kernel"].shape[-1])
        arrays[f"{name}/kernel"] = np.pad(kernel, ((0, 0), (0, -kernel.shape[1] % 16)))
    return arrays


class Listener:
    """The listener's rows of mono audio at 44.1 kHz that comes in blocks of any size.

    What it holds does not grow with the song, and no result depends on the size of the blocks.
    """

    def __init__(self) -> None:
        self._mel, self._convolutions = LogMel(), Convolutions()
        self._channels = np.zeros((0, self._convolutions.width), np.float32)
        self._first = 0  # number of the first of those frames
        self._rows = 0  # given so far

    def push(self, samples: Float32) -> Float32:
        """Take the next samples (n,); give the rows (m, 200) whose 3 s are complete."""
        new = self._convolutions.push(self._mel.push(samples))
        self._channels = np.concatenate([self._channels, new])
        rows = [np.zeros((0, SIZE), np.float32)]
        known = self._first + len(self._channels)
        while (begin := max(patch_begin(self._rows), 0)) + PATCH <= known:
            rows.append(self._row(begin))
        self._let_go(min(max(patch_begin(self._rows), 0), known - PATCH))
        return np.concatenate(rows)

    def finish(self, count: int) -> Float32:
        """Give the rest of the song's `count` rows, (m, 200)."""
        new = self._convolutions.push(self._mel.finish())
        self._channels = np.concatenate([self._channels, new, self._convolutions.finish()])
        last = max(0, self._first + len(self._channels) - PATCH)
        rows = [np.zeros((0, SIZE), np.float32)]
        while self._rows < count:
            rows.append(self._row(min(max(patch_begin(self._rows), 0), last)))
        return np.concatenate(rows)

    def _row(self, begin: int) -> Float32:
        """The next row, of the patch that begins at that frame."""
        self._rows += 1
        patch = self._channels[begin - self._first :][:PATCH]
        return head(patch.max(axis=0), patch.mean(axis=0))[np.newaxis]

    def _let_go(self, first: int) -> None:
        passed = max(0, first - self._first)
        self._channels, self._first = self._channels[passed:], self._first + passed


def patch_begin(row: int) -> int:
    """The frame at which the 3 s around a row's half-second begin; negative at a song's begin."""
    return round((row + 0.5) * HOP * FRAMES_PER_SECOND - PATCH / 2)


class Convolutions:
    """The network's channels, (n, 96) log-mel frames in blocks of any size -> (n, 212)."""

    def __init__(self) -> None:
        w = weights()
        # what the next frames of each layer are computed from; zeros pad the song's beginning
        self._mel = np.zeros((_BEFORE + _AFTER, BANDS + _ROOM), np.float32)
        filters = sum(len(w[f"{name}/bias"]) for name in (*_TIMBRE, *_TIME))
        first, second = len(w["middle1/constant"]), len(w["middle2/bias"])
        self._front = np.zeros((2 * _SIDE + 2 * _SIDE, filters + 1), np.float32)
        self._middle1 = np.zeros((2 * _SIDE + _SIDE, first), np.float32)
        self._middle2 = np.zeros((2 * _SIDE, second), np.float32)
        self._alive = np.flatnonzero(w["middle1/alive"])
        self.width = filters + len(self._alive) + 2 * second
        self._waiting = np.zeros((0, BANDS), np.float32)
        self._taken = 0  # frames so far
        self._begin = -_AFTER  # the frame that the filters look at next

    def push(self, frames: Float32) -> Float32:
        """Take the next frames; give the channels of those that are decided, 73 frames behind."""
        self._waiting = np.concatenate([self._waiting, frames])
        self._taken += len(frames)
        out = [np.zeros((0, self.width), np.float32)]
        while len(self._waiting) >= _STEP:
            out.append(self._advance(self._waiting[:_STEP], _STEP))
            self._waiting = self._waiting[_STEP:]
        return np.concatenate(out)

    def finish(self) -> Float32:
        """Give the channels of the frames that are left."""
        out = [np.zeros((0, self.width), np.float32)]
        while self._begin - _LAG < self._taken:
            count = len(self._waiting)
            padding = np.zeros((_STEP - count, BANDS), np.float32)
            out.append(self._advance(np.concatenate([self._waiting, padding]), count))
            self._waiting = self._waiting[:0]
        return np.concatenate(out)

    def _advance(self, frames: Float32, count: int) -> Float32:
        """Take 32 frames, of which `count` are the song's; give the channels of up to 32 others."""
        w = weights()
        frames = frames * w["input/scale"] + w["input/shift"]
        frames[count:] = 0.0
        frames = np.pad(frames, ((0, 0), (0, _ROOM)))
        self._mel = np.concatenate([self._mel[-(_BEFORE + _AFTER) :], frames])
        front = _filters(self._mel, w)
        ones = np.ones((_STEP, 1), np.float32)  # stands for all filters that never change
        front = self._within(np.hstack([front, ones]), 0)
        self._front = np.concatenate([self._front[-4 * _SIDE :], front])

        middle1 = np.tile(w["middle1/constant"], (_STEP, 1))
        middle1[:, self._alive] = _in_time(self._front[-_STEP - 2 * _SIDE :], "middle1", w)
        middle1 = self._within(middle1, _SIDE)
        self._middle1 = np.concatenate([self._middle1[-3 * _SIDE :], middle1])

        recent = self._middle1[-_STEP - 2 * _SIDE :]
        middle2 = _in_time(recent, "middle2", w) + recent[_SIDE : _SIDE + _STEP]
        middle2 = self._within(middle2, 2 * _SIDE)
        self._middle2 = np.concatenate([self._middle2[-2 * _SIDE :], middle2])

        middle3 = _in_time(self._middle2, "middle3", w) + self._middle2[_SIDE : _SIDE + _STEP]
        channels = [
            self._front[-_STEP - _LAG : -_LAG, :-1],
            self._middle1[-_STEP - 2 * _SIDE : -2 * _SIDE, self._alive],
            self._middle2[-_STEP - _SIDE : -_SIDE],
            middle3,
        ]
        numbers = np.arange(self._begin - _LAG, self._begin - _LAG + _STEP)
        self._begin += _STEP
        return np.hstack(channels)[(numbers >= 0) & (numbers < self._taken)]

    def _within(self, layer: Float32, lag: int) -> Float32:
        """The layer's 32 frames, those outside the song set to 0."""
        numbers = np.arange(self._begin - lag, self._begin - lag + _STEP)
        layer[(numbers < 0) | (numbers >= self._taken)] = 0.0
        return layer


def _filters(mel: Float32, w: Weights) -> Float32:
    """The filters of timbre and of time: each one's highest answer over all places in frequency.

    Normalisation turns some of them over, and their lowest answer is the highest then: `weights`
    has given their kernels the other sign.
    """
    found = []
    for name in (*_TIMBRE, *_TIME):
        kernel, scale = w[f"{name}/kernel"], w[f"{name}/scale"]
        taps, bands = kernel.shape[1:]
        begin = _BEFORE - (taps - 1) // 2
        rows = mel[begin : begin + taps - 1 + _STEP]
        highest = kernels.highest_answers(rows, kernel, BANDS - bands + 1) * np.sign(scale)
        found.append(np.maximum(highest + w[f"{name}/bias"], 0) * scale + w[f"{name}/shift"])
    return np.concatenate(found, axis=1)


def _in_time(frames: Float32, name: str, w: Weights) -> Float32:
    """A convolution over 7 frames, rectified and normalised: (n + 6, P) -> (n, D)."""
    kernel = w[f"{name}/kernel"]
    flat = np.ascontiguousarray(frames).reshape(-1)
    products = kernels.sliding_products(flat, kernel, frames.shape[1])
    products = np.maximum(products[:, : len(w[f"{name}/bias"])] + w[f"{name}/bias"], 0)
    out: Float32 = products * w[f"{name}/scale"] + w[f"{name}/shift"]
    return out


def head(highest: NDArray[np.float32], mean: NDArray[np.float32]) -> Float32:
    """The 200 numbers of a patch from maximum and mean (212,) of its channels."""
    w = weights()
    pooled = np.concatenate([highest, mean])
    products = kernels.sliding_products(pooled, w["dense/kernel"], 1)[0, :SIZE] + w["dense/bias"]
    out: Float32 = np.maximum(products, 0) * w["dense/scale"] + w["dense/shift"]
    return out
