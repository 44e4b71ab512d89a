"""The voicing family: F0, voicing, jitter (two kinds), shimmer, harmonics-to-noise ratio.

F0 by sub-harmonic summation (Hermes 1988) on 60 ms frames: the magnitude spectrum, reduced to its
peaks, on a logarithmic frequency axis, added to copies of itself shifted by the harmonics' log2 h;
the six highest sums are the candidates, and a Viterbi search picks a smooth path through them
(Eyben 2016, chapter 2). Jitter, shimmer and the ratio come from the periods themselves: from
each period the next is found where the waveform repeats best (Eyben 2016, chapter 2).
"""

import numpy as np
from numpy.typing import NDArray

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import kernels
from moodcurve.features.frames import LONG, LONG_FFT, STEP, Float32, Float64
from moodcurve.features.kernels import CANDIDATES

LOWEST, HIGHEST = 52.0, 620.0  # Hz, the range of F0
HARMONICS, COMPRESSION = 15, 0.85
VOICED = 0.68  # a frame whose best candidate is less voiced counts as unvoiced
UNVOICED_HNR = -100.0  # dB
LOOK_AHEAD = 30  # frames that the search sees before it decides on one

Indices = NDArray[np.int64]

_POINTS = 1024  # of the logarithmic axis
_AXIS: Float64 = np.geomspace(25.0, SAMPLE_RATE / 2, _POINTS)  # Hz
_OCTAVES = np.log2(_AXIS[1] / _AXIS[0])  # a point
_SHIFTS = np.rint(np.log2(np.arange(1, HARMONICS + 1)) / _OCTAVES).astype(np.int32)
_WEIGHTS = np.array([COMPRESSION**h for h in range(HARMONICS)], np.float32)

_JUMP_COST = 0.05  # per octave
_SWITCH_COST = 0.01  # between voiced and unvoiced


def _interpolation() -> tuple[NDArray[np.int32], Float32]:
    """First bin and cubic (Catmull-Rom) weights of the four bins around each point of the axis."""
    position = np.minimum(_AXIS * LONG_FFT / SAMPLE_RATE, LONG_FFT // 2 - 2)
    first = np.maximum(np.floor(position).astype(np.int32) - 1, 0)
    u = position - first - 1
    taps = np.stack(
        [
            -0.5 * u + u**2 - 0.5 * u**3,
            1 - 2.5 * u**2 + 1.5 * u**3,
            0.5 * u + 2 * u**2 - 1.5 * u**3,
            -0.5 * u**2 + 0.5 * u**3,
        ]
    )
    return first, taps.astype(np.float32)


_FIRST, _TAPS = _interpolation()


def subharmonic_sum(spectra: NDArray[np.complex64]) -> Float32:
    """Sub-harmonic sums over the logarithmic axis: (n, 2049) -> float32 (n, 1024).

    H(f) = sum_h 0.85^(h-1) S(h f), h = 1 .. 15, S being the peaks of the magnitude spectrum (two
    bins either side kept), smoothed by (1, 2, 1) / 4.
    """
    return kernels.subharmonic_sums(spectra, _FIRST, _TAPS, _SHIFTS, _WEIGHTS)


def candidates(spectra: NDArray[np.complex64]) -> tuple[Float64, Float64]:
    """F0 candidates of each frame: frequencies in Hz and voicings 0 .. 1, both (n, 6).

    The six highest peaks of the sub-harmonic sum; those outside 52 .. 620 Hz are left out and
    stand as 0. Voicing is 1 - mean(H) / H(f0): near 1 where one pitch explains the frame.
    """
    total = subharmonic_sum(spectra)
    found = kernels.highest_peaks(total)
    best = np.maximum(found, 1)
    left, middle, right = (
        np.take_along_axis(total, best + i, axis=1).astype(np.float64) for i in (-1, 0, 1)
    )
    bend = left - 2 * middle + right
    offset = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1), 0)
    height = middle - 0.25 * (left - right) * offset
    frequency = _AXIS[best] * 2 ** (_OCTAVES * offset)
    valid = (found > 0) & (middle > 0) & (frequency >= LOWEST) & (frequency <= HIGHEST)
    voicing = 1 - total.mean(axis=1, keepdims=True) / np.where(valid, height, 1)
    return np.where(valid, frequency, 0.0), np.where(valid, np.maximum(voicing, 0), 0.0)


class PitchTrack:
    """The Viterbi search, block by block, `LOOK_AHEAD` frames behind its input.

    States of a frame: its six candidates, then "unvoiced". A candidate costs 1 - voicing,
    "unvoiced" costs 1 - `VOICED`; changing pitch costs `_JUMP_COST` an octave, changing between
    voiced and unvoiced `_SWITCH_COST`.
    """

    def __init__(self) -> None:
        self._frequency = np.zeros((0, CANDIDATES))  # of the frames not yet decided
        self._voicing = np.zeros((0, CANDIDATES))
        self._back = np.zeros((0, CANDIDATES + 1), np.int32)  # best predecessor of each state
        self._best = np.zeros(0, np.int32)  # best state, as seen from each frame
        self._cost = np.zeros(CANDIDATES + 1)
        self._octave = np.zeros(CANDIDATES)

    def push(self, frequency: Float64, voicing: Float64, last: bool) -> tuple[Float64, Float64]:
        """Take n more frames of candidates; give F0 (0 = unvoiced) and voicing of those decided."""
        costs = 1 - VOICED, _JUMP_COST, _SWITCH_COST
        back, best = kernels.search_path(frequency, voicing, costs, self._cost, self._octave)
        self._frequency = np.concatenate([self._frequency, frequency])
        self._voicing = np.concatenate([self._voicing, voicing])
        self._back = np.concatenate([self._back, back])
        self._best = np.concatenate([self._best, best])
        decided = len(self._best) - (0 if last else LOOK_AHEAD)
        if decided <= 0:
            return np.zeros(0), np.zeros(0)
        state = self._trace(decided)
        rows = np.arange(decided)
        unvoiced = state == CANDIDATES
        pick = np.minimum(state, CANDIDATES - 1)
        f0 = np.where(unvoiced, 0.0, self._frequency[rows, pick])
        strength = np.where(
            unvoiced, self._voicing[:decided].max(axis=1), self._voicing[rows, pick]
        )
        self._frequency, self._voicing = self._frequency[decided:], self._voicing[decided:]
        self._back, self._best = self._back[decided:], self._best[decided:]
        return f0, strength

    def _trace(self, decided: int) -> NDArray[np.int32]:
        """Find the state of each frame as seen `LOOK_AHEAD` frames later (or from the end)."""
        end = len(self._best) - 1
        frame = np.minimum(np.arange(decided) + LOOK_AHEAD, end)
        state = self._best[frame]
        for _ in range(LOOK_AHEAD):
            ahead = frame > np.arange(decided)
            state = np.where(ahead, self._back[frame, state], state)
            frame = frame - ahead
        return state


_GRID = float(SAMPLE_RATE), float(STEP), float(LONG)


class Periods:
    """Jitter, shimmer and harmonics-to-noise ratio from the periods of the waveform.

    The periods are followed once through the song, each from the one before it: the next one
    begins at the lag, within 15 % of the one that F0 predicts, at which one period's normalised
    cross-correlation with the audio is highest, interpolated between samples. Its amplitude is
    peak to peak, its likeness that correlation. A frame is described by the periods that begin
    inside its 60 ms. Carries the audio not yet passed, the F0 of
    the frames not yet described, and the periods found there.
    """

    def __init__(self) -> None:
        self._samples = np.zeros(0, np.float32)
        self._origin = 0  # number of the first of those samples
        self._f0 = np.zeros(0)
        self._frame = 0  # number of the first frame of `_f0`
        self._next = np.zeros(2)  # where the next period begins, in which voiced stretch
        # Of each period: begin, length (both in samples), amplitude, likeness, stretch.
        self._periods = np.zeros((0, 5))

    def push(self, samples: Float32, f0: Float64, last: bool) -> Float64:
        """Take the next samples and the F0 of the next frames; describe those that are complete.

        Args:
            samples: mono audio, continuing the last call's.
            f0: (n,) Hz, 0 where unvoiced, continuing the last call's; may lag behind the samples.
            last: whether the song ends here.

        Returns:
            float64, (m, 4), of the next m frames: jitterLocal, jitterDDP, shimmerLocal (relative,
            0 for unvoiced frames), logHNR in dB (-100 for unvoiced frames).
        """
        self._samples = np.concatenate([self._samples, samples])
        self._f0 = np.concatenate([self._f0, f0])
        found = kernels.follow_periods(
            self._samples, self._origin, self._f0, self._frame, _GRID, self._next
        )
        self._periods = np.concatenate([self._periods, found])
        count = len(self._f0) if last else max(0, len(self._f0) - LONG // STEP)
        values = _describe(self._periods, self._frame + np.arange(count), self._f0[:count])
        self._f0, self._frame = self._f0[count:], self._frame + count
        self._periods = self._periods[self._periods[:, 0] >= self._frame * STEP]
        passed = int(min(self._next[0], self._frame * STEP)) - self._origin
        self._samples, self._origin = self._samples[passed:], self._origin + passed
        return values


def _describe(periods: Float64, frames: Indices, f0: Float64) -> Float64:
    """(m, 4) descriptors of the frames from the periods that begin in each; see `Periods.push`."""
    begin, length, amplitude, likeness, stretch = periods.T
    first = np.searchsorted(begin, frames * STEP)
    stop = np.searchsorted(begin, frames * STEP + LONG)
    together = np.diff(stretch) == 0
    step = np.diff(length)
    first_order = np.abs(step) * together
    second_order = np.abs(np.diff(step)) * (together[1:] & together[:-1])
    change = np.abs(np.diff(amplitude)) * together

    def mean(values: Float64, short: int, valid: NDArray[np.bool_] | None = None) -> Float64:
        """Mean of values[first : stop - short] of each frame; 0 where there are none."""
        count = np.ones(len(values)) if valid is None else valid.astype(float)
        totals = [np.concatenate([[0.0], np.cumsum(v)]) for v in (values, count)]
        a = np.minimum(first, len(values))
        b = np.clip(stop - short, a, len(values))
        total, number = (t[b] - t[a] for t in totals)
        return np.asarray(total / np.maximum(number, 1))

    mean_length = np.maximum(mean(length, 0), 1.0)
    mean_amplitude = np.maximum(mean(amplitude, 0), 1e-9)
    share = np.clip(mean(likeness, 0), 1e-10, 1 - 1e-10)
    voiced = f0 > 0
    return np.column_stack(
        [
            voiced * mean(first_order, 1, together) / mean_length,
            voiced * mean(second_order, 2, together[1:] & together[:-1]) / mean_length,
            voiced * mean(change, 1, together) / mean_amplitude,
            np.where(voiced, 10 * np.log10(share / (1 - share)), UNVOICED_HNR),
        ]
    )


class Voicing:
    """The six voicing descriptors, block by block, some 0.3 s behind the audio."""

    def __init__(self) -> None:
        self._track = PitchTrack()
        self._periods = Periods()
        self._pending = np.zeros((0, 2))  # F0 and voicing decided, frames not yet described

    def push(self, samples: Float32, spectra: NDArray[np.complex64], last: bool) -> Float64:
        """Take the next samples and long-frame spectra; describe the frames that are complete.

        Args:
            samples: mono audio, continuing the last call's.
            spectra: (n, 2049) of the next n long frames, within the samples so far.
            last: whether the song ends here.

        Returns:
            float64, (m, 6), of the next m frames: F0 in Hz (0 where unvoiced), voicing 0 .. 1,
            jitterLocal, jitterDDP, shimmerLocal, logHNR in dB.
        """
        f0, voicing = self._track.push(*candidates(spectra), last)
        self._pending = np.concatenate([self._pending, np.column_stack([f0, voicing])])
        quality = self._periods.push(samples, f0, last)
        done, self._pending = self._pending[: len(quality)], self._pending[len(quality) :]
        return np.hstack([done, quality])
