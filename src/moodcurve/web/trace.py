"""What traces one song, in a process of its own, so that a hostile file reaches nothing else.

    python -P -m moodcurve.web.trace MODEL

Standard input is a socket. When the model is loaded the process waits there for one message: the
song's name and greatest length as JSON, whether its curve is wanted, and with it the descriptor of
the open sound file. Then JSON lines go out: `{"seconds": ..}` as the song is read, at the end one
line with everything (`peaks`, `curve`), or with `error`. Nothing comes back that is more than JSON.
"""

import contextlib
import json
import os
import resource
import socket
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import soundfile  # noqa: F401 - now, while nobody waits for it
import soxr  # noqa: F401

from moodcurve.audio import SAMPLE_RATE, read_blocks, sample_rate
from moodcurve.curve import Curve
from moodcurve.errors import InputError
from moodcurve.predict import Audio2Curve

MEMORY = 1 << 30  # bytes of address space; two hours of music take a third of it
CPU_SECONDS = 300  # two hours of music take 20 to 40
PEAKS_PER_SECOND = 10
_BLOCK_SECONDS = 2.0  # little, as a file may claim a thousand channels


def main() -> None:
    """Load the model, wait for the song, trace it."""
    audio2curve = Audio2Curve(sys.argv[1])
    with socket.socket(fileno=0) as parent:
        message, descriptors, *_ = socket.recv_fds(parent, 1 << 16, 1)
    if not descriptors:  # the server has ended
        return
    _limit()
    job = json.loads(message)
    with FileIO(descriptors[0]) as file:
        try:
            _say(_trace(audio2curve, file, **job))
        except InputError as error:
            _say({"error": str(error)})
        except MemoryError:
            _say({"error": f"{job['name']}: needs more memory than a song may; convert it to flac"})


def _limit() -> None:
    """Give this process no more than one song may need, and no file to write."""
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, int(spent) + CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no RLIMIT_AS
            resource.setrlimit(what, (most, most))


def _trace(
    audio2curve: Audio2Curve, file: FileIO, name: str, most: float, wants_curve: bool
) -> dict[str, Any]:
    peaks = _Peaks()
    about: dict[str, Any] = {"song": Path(name).stem, "file": name}
    reading = count()

    def blocks() -> Iterator[np.ndarray]:
        """The song, read twice where its level is measured first; peaks are of the first time."""
        first, seconds = next(reading) == 0, 0.0
        for block in read_blocks(name, _BLOCK_SECONDS, file):
            if first:
                peaks.push(block)
                if peaks.seconds > most:
                    limit = f"{most / 3600:g} hours"
                    raise InputError(
                        f"{name}: longer than {limit}; trace it with moodcurve predict"
                    )
            else:
                seconds += len(block) / SAMPLE_RATE
            _say({"seconds": round(seconds, 1)})
            yield block
        about["sample_rate"] = sample_rate(name, file)

    curve = None
    if wants_curve:
        curve = _plain(audio2curve.of_sound(blocks, about))
    else:
        deque(blocks(), 0)
    return {
        "seconds": round(peaks.seconds, 2),
        "sample_rate": about["sample_rate"],
        "curve": curve,
        "peaks": peaks.finish(),
    }


def _plain(curve: Curve) -> dict[str, Any]:
    band = curve.band and {edge: values.tolist() for edge, values in asdict(curve.band).items()}
    return {
        "valence": curve.valence.tolist(),
        "arousal": curve.arousal.tolist(),
        "about": dict(curve.about),
        "band": band,
    }


class _Peaks:
    """The largest |sample| of each tenth of a second, of audio that comes in blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._rest = np.zeros(0, np.float32)
        self._found: list[float] = []

    def push(self, block: np.ndarray) -> None:
        self.seconds += len(block) / SAMPLE_RATE
        size = SAMPLE_RATE // PEAKS_PER_SECOND
        samples = np.abs(np.concatenate([self._rest, block]))
        whole = len(samples) // size * size
        self._found += samples[:whole].reshape(-1, size).max(axis=1).tolist()
        self._rest = samples[whole:]

    def finish(self) -> list[float]:
        if len(self._rest):
            self._found.append(float(self._rest.max()))
        return [round(peak, 2) for peak in self._found]


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # nobody listens any more: the server has ended
        os._exit(1)
