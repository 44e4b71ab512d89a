"""All 65 low-level descriptors of a song, read in blocks."""

from collections.abc import Iterable

import numpy as np

from moodcurve.features.auditory import Rasta, loudness, mel_bands
from moodcurve.features.cepstral import mfcc
from moodcurve.features.energy import rms, zero_crossing_rate
from moodcurve.features.frames import (
    LONG,
    STEP,
    Float32,
    frame_count,
    long_spectra,
    power_of,
    short_spectra,
    sixteen_bits,
)
from moodcurve.features.spectral import spectral
from moodcurve.features.voicing import Voicing

_STEP = 250  # frames: their spectra stay in the processor's cache


def descriptors(blocks: Iterable[Float32]) -> Float32:
    """The 65 descriptors of a whole song given in blocks, (frames, 65); see `Descriptors`."""
    found = Descriptors()
    return np.concatenate([*map(found.push, blocks), found.finish()])


class Descriptors:
    """The 65 descriptors every 10 ms, before smoothing, of audio that comes in blocks of any size.

    The audio is worked through in steps of a fixed number of frames, whatever the size of the
    blocks given, with the state of every family carried over; so the result does not depend on the
    blocks, and the memory needed not on the length of the song. `step` is that number: fewer
    frames come sooner, and cost more.
    """

    def __init__(self, step: int = _STEP) -> None:
        self._step = step
        self._short, self._long = short_spectra(), long_spectra()
        self._rasta, self._voicing = Rasta(), Voicing()
        self._samples: Float32 = np.zeros(0, np.float32)  # from the next frame's begin on
        self._power: Float32 | None = None  # of the last frame
        self._waiting: Float32 = np.zeros((0, 59), np.float32)  # for the voicing family, which lags

    def push(self, block: Float32) -> Float32:
        """Take the next samples, mono at 44.1 kHz; give the frames (n, 65) now complete."""
        found = [np.zeros((0, 65), np.float32)]
        size = (self._step - 1) * STEP + LONG
        for first in range(0, len(block), size):
            piece = sixteen_bits(block[first : first + size])
            self._samples = np.concatenate([self._samples, piece])
            while len(self._samples) >= size + STEP:  # at least a frame is left for the last step
                found.append(self._describe(self._samples[:size], self._step, last=False))
                self._samples = self._samples[self._step * STEP :]
        return np.concatenate(found)

    def finish(self) -> Float32:
        """Give the frames that are left: up to the last whole 60 ms frame, at least one in all.

        Audio shorter than a frame is filled up with silence.
        """
        rest = max(0, LONG - len(self._samples))
        samples = np.concatenate([self._samples, np.zeros(rest, np.float32)])
        return self._describe(samples, frame_count(len(samples)), last=True)

    def _describe(self, samples: Float32, count: int, last: bool) -> Float32:
        """Take the next `count` frames, which begin with `samples`; give those that are decided."""
        power = power_of(self._short(samples, count))
        bands = mel_bands(power)
        filtered = self._rasta(bands)
        others = np.column_stack(
            [
                loudness(bands),
                filtered.mean(axis=1),
                rms(samples, count),
                zero_crossing_rate(samples, count),
                filtered,
                spectral(power, power[0] if self._power is None else self._power),
                mfcc(bands),
            ]
        )
        self._waiting = np.concatenate([self._waiting, others.astype(np.float32)])
        self._power = power[-1]
        fresh = samples if last else samples[: count * STEP]
        voices = self._voicing.push(fresh, self._long(samples, count), last).astype(np.float32)
        decided, self._waiting = self._waiting[: len(voices)], self._waiting[len(voices) :]
        return np.hstack([voices, decided])
