"""The harmony family: which notes sound, and how they fit together. Ours, not of the official set.

The 260 official features know how music sounds but not what is played: a piece in minor played like
one in major looks the same to them. Here frames of 0.37 s, long enough to tell semitones apart,
give the strength of each of 12 pitch classes, and from them how much is heard of each kind of triad
and of each interval, whatever the key. `moodcurve.context` makes keys and modes of them.
"""

import numpy as np

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import kernels
from moodcurve.features.frames import Float32, Float64, sixteen_bits, transform

LENGTH = 16384  # samples of a frame, 0.37 s
SECONDS = 0.25  # between frames
STEP = round(SECONDS * SAMPLE_RATE)
PITCH_CLASSES = 12
_NOTES = np.arange(36, 97)  # MIDI numbers, C2 (65 Hz) .. C7 (2093 Hz)
_NEAR = 0.25  # semitones; deviation of the Gaussian that sums the bins of a note

#: Triads by the semitones of their upper notes over the root.
TRIADS = {
    "major": (4, 7),
    "minor": (3, 7),
    "diminished": (3, 6),
    "augmented": (4, 8),
    "suspended": (5, 7),
}
_INTERVALS = range(1, 7)

#: The names of the columns that `Harmony` gives.
HARMONY_NAMES = (
    *(f"chroma[{k}]" for k in range(PITCH_CLASSES)),
    *(f"triad_{name}" for name in TRIADS),
    *(f"interval[{k}]" for k in _INTERVALS),
)


def _note_weights() -> tuple[slice, Float64]:
    """The bins that matter, and how much each of them counts for each note: (61, bins)."""
    frequencies = np.arange(1, LENGTH // 2 + 1) * SAMPLE_RATE / LENGTH
    pitches = 69 + 12 * np.log2(frequencies / 440)
    distance = pitches - _NOTES[:, np.newaxis]
    weights = np.where(np.abs(distance) < 1, np.exp(-0.5 * (distance / _NEAR) ** 2), 0.0)
    last = int(np.flatnonzero(weights.any(axis=0))[-1]) + 1
    weights = weights[:, :last] / weights.sum(axis=1, keepdims=True)
    return slice(1, last + 1), np.ascontiguousarray(weights)


_BINS, _WEIGHTS = _note_weights()
_HANN: Float32 = np.hanning(LENGTH).astype(np.float32)


class Harmony:
    """Harmony frame by frame, every 0.25 s, of audio that comes in blocks of any size."""

    def __init__(self) -> None:
        self._samples: Float32 = np.zeros(0, np.float32)  # from the next frame's begin on
        self._frames = 0  # given so far

    def push(self, samples: Float32) -> Float64:
        """Take the next samples (n,), mono at 44.1 kHz; give the frames (m, 23) now complete.

        Columns as `HARMONY_NAMES`; see `describe`.
        """
        self._samples = np.concatenate([self._samples, sixteen_bits(samples)])
        count = max(0, 1 + (len(self._samples) - LENGTH) // STEP)
        found = [np.zeros((0, len(HARMONY_NAMES)))]
        for first in range(0, count, 32):  # some at a time: their spectra are large
            piece = self._samples[first * STEP :]
            windows = np.lib.stride_tricks.sliding_window_view(piece, LENGTH)
            found.append(describe(windows[::STEP][: min(32, count - first)]))
        self._samples = self._samples[count * STEP :]
        self._frames += count
        return np.concatenate(found)

    def finish(self) -> Float64:
        """Give what is left: nothing, or the one frame, filled up, of audio shorter than that."""
        rest = np.zeros(LENGTH - len(self._samples), np.float32) if not self._frames else None
        return self.push(np.zeros(0, np.float32) if rest is None else rest)


def describe(frames: Float32) -> Float64:
    """Harmony of frames (m, 16384): (m, 23), columns as `HARMONY_NAMES`.

    - chroma[k], k = 0 (C) .. 11 (B): strength of a pitch class, the sum over octaves of the square
      root of the mean magnitude within a note (a Gaussian of 0.25 semitones around the equally
      tempered one, A = 440 Hz; C2 to C7) under a Hann window. Unit: root of amplitude.
    - With c_k = max(chroma[k] / sum chroma - 1/12, 0), what stands out:
      triad_X = (sum_k c_k c_(k+a) c_(k+b))^(1/3) for a triad of a and b semitones over its root,
      interval[i] = (sum_k c_k c_(k+i))^(1/2) for i = 1 .. 6 semitones. No unit, 0 .. 1, the same
      at every level and in every key. All are 0 in silence.

    Sources: chroma Fujishima 1999; the products summed over all roots are a form of our own.
    """
    spectra = transform(frames * _HANN)[:, _BINS]
    notes = np.sqrt(kernels.weighted_sums(np.abs(spectra), _WEIGHTS))
    chroma = np.stack([notes[:, k::PITCH_CLASSES].sum(axis=1) for k in range(PITCH_CLASSES)], 1)
    total = chroma.sum(axis=1, keepdims=True)
    clear = np.maximum(chroma / np.where(total > 0, total, 1) - 1 / PITCH_CLASSES, 0)

    def above(semitones: int) -> Float64:
        return np.roll(clear, -semitones, axis=1)

    triads = [np.cbrt((clear * above(a) * above(b)).sum(axis=1)) for a, b in TRIADS.values()]
    intervals = [np.sqrt((clear * above(i)).sum(axis=1)) for i in _INTERVALS]
    return np.column_stack([chroma, *triads, *intervals])


def frames_within(window: float) -> int:
    """Count the frames that lie within a row's window of that many seconds, at least one."""
    return max(1, 1 + int((window * SAMPLE_RATE - LENGTH) // STEP))
