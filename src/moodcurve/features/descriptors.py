"""All 65 low-level descriptors of a song, read in blocks."""

from collections.abc import Iterable, Iterator

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
)
from moodcurve.features.spectral import spectral
from moodcurve.features.voicing import Voicing

_LOUDEST = np.float32(1e3)  # beyond it, powers of powers would overflow
_BLOCK = 250  # frames a step: its spectra stay in the processor's cache


def descriptors(blocks: Iterable[Float32]) -> Float32:
    """Compute the 65 descriptors of a whole song, (frames, 65); see `descriptor_blocks`."""
    return np.concatenate(list(descriptor_blocks(blocks)))


def descriptor_blocks(blocks: Iterable[Float32]) -> Iterator[Float32]:
    """Compute the 65 descriptors every 10 ms, before smoothing, some seconds at a time.

    The audio is worked through in steps of a fixed size, whatever the size of the blocks given,
    with the state of every family carried over; so the result does not depend on the blocks, and
    the memory needed not on the length of the song.

    Args:
        blocks: mono float32 audio at 44.1 kHz in consecutive blocks of any size.

    Yields:
        float32, shape (n, 65): a row for each whole 60 ms frame, every 10 ms; at least one in all
        (shorter audio is filled up with silence).
    """
    short, long, rasta, voicing = short_spectra(), long_spectra(), Rasta(), Voicing()
    previous: Float32 | None = None
    waiting: Float32 = np.zeros((0, 59), np.float32)  # for the voicing family, which lags behind
    for samples, count, last in _steps(blocks):
        power = power_of(short(samples, count))
        bands = mel_bands(power)
        filtered = rasta(bands)
        others = np.column_stack(
            [
                loudness(bands),
                filtered.mean(axis=1),
                rms(samples, count),
                zero_crossing_rate(samples, count),
                filtered,
                spectral(power, power[0] if previous is None else previous),
                mfcc(bands),
            ]
        )
        waiting = np.concatenate([waiting, others.astype(np.float32)])
        previous = power[-1]
        fresh = samples if last else samples[: count * STEP]
        voices = voicing.push(fresh, long(samples, count), last).astype(np.float32)
        yield np.hstack([voices, waiting[: len(voices)]])
        waiting = waiting[len(voices) :]


def _steps(blocks: Iterable[Float32]) -> Iterator[tuple[Float32, int, bool]]:
    """Cut audio into steps of `_BLOCK` frames: (samples from the first frame on, frames, last)."""
    size = (_BLOCK - 1) * STEP + LONG
    samples: Float32 = np.zeros(0, np.float32)
    for block in blocks:
        for first in range(0, len(block), size):
            samples = np.concatenate([samples, _sixteen_bits(block[first : first + size])])
            while len(samples) >= size + STEP:  # at least a frame is left for the last step
                yield samples[:size], _BLOCK, False
                samples = samples[_BLOCK * STEP :]
    if len(samples) < LONG:
        samples = np.concatenate([samples, np.zeros(LONG - len(samples), np.float32)])
    yield samples, frame_count(len(samples)), True


def _sixteen_bits(samples: Float32) -> Float32:
    """Cut samples to 16 bits, toward zero, as the reference reads audio.

    It makes a file decoded to floats and its 16-bit copy the same, and "silence" definite: what
    lies under 1 / 32767 of full scale. NaN, which is no sound, becomes silence; infinity full
    scale; what a damaged file holds beyond 1000 times full scale is cut there.
    """
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    levels: Float32 = np.clip(samples, -_LOUDEST, _LOUDEST) * np.float32(32767)
    np.trunc(levels, out=levels)
    return np.divide(levels, np.float32(32767), out=levels)
