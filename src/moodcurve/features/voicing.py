"""The voicing family: F0, voicing, jitter (two kinds), shimmer, harmonics-to-noise ratio.

F0 by sub-harmonic summation (Hermes 1988) on 60 ms frames: the magnitude spectrum, reduced to its
peaks, on a logarithmic frequency axis, added to copies of itself shifted by the harmonics' log2 h;
the six highest sums are the candidates, and a Viterbi search picks a path through them (Eyben
2016, chapter 2). Jitter, shimmer and the ratio come from the periods themselves: from each period
the next is found where the waveform repeats best (Eyben 2016, chapter 2). What the literature
leaves open was found from the reference's answers to signals (docs/features.md).
"""

import numpy as np
from numpy.typing import NDArray

from moodcurve.audio import SAMPLE_RATE
from moodcurve.features import kernels
from moodcurve.features.frames import LONG, LONG_FFT, STEP, Float32, Float64
from moodcurve.features.kernels import CANDIDATES

LOWEST, HIGHEST = 52.0, 620.0  # Hz, the range of F0
HARMONICS, COMPRESSION = 15, 0.85
VOICED = 0.7  # less voicing speaks for "unvoiced"
UNVOICED_HNR = -100.0  # dB
FAINTEST = 1e-3  # RMS of a frame under its window; a fainter one has no pitch (-60 dB)
LEAST_LIKENESS = 0.5  # of a period and the next, for them to count
LOOK_AHEAD = 30  # frames that the search sees before it decides on one

_POINTS = 2049  # of the logarithmic axis
_AXIS: Float64 = np.geomspace(25.0, SAMPLE_RATE / 2, _POINTS)  # Hz
# A point of the shifts is 1 / 2049 of the axis, rounded down: with it the reference's pitches of
# single partials, 0.1 to 0.25 % sharp, are met.
_SHIFTS = np.floor(
    np.log2(np.arange(1, HARMONICS + 1)) * _POINTS / np.log2(_AXIS[-1] / _AXIS[0]) + 1e-9
).astype(np.int32)
_WEIGHTS = np.array([COMPRESSION**h for h in range(HARMONICS)], np.float32)
# How well low frequencies are heard (Hermes 1988): 0.4 at 25 Hz, 0.85 at 50, 0.96 at 200.
_HEARING: Float64 = 0.5 + np.arctan(3 * np.log2(_AXIS / 32.2)) / np.pi

_COSTS = np.array(
    [
        *(6.2, VOICED, 9.3),  # of 1 - voicing; of voicing under that limit
        *(3.16, 7.45),  # of "unvoiced"; more where a candidate reaches the limit
        *(7.48, 10.2),  # of an octave of jump; of a change between voiced and unvoiced
        *(102.0, 0.00965),  # of each Hz under that frequency
        *(360.0, 0.0056),  # of each Hz over that frequency
    ]
)


def _spline() -> tuple[Float32, NDArray[np.int32], Float32]:
    """A cubic spline through the bins: filter to its coefficients, bins and weights of the points.

    The coefficients of the B-spline are c = sqrt(3) sum_k z^|k| s_(i-k), z = sqrt(3) - 2; at u
    between two of them it is the sum of four, weighted by the cubic B-spline (de Boor 1978).
    """
    sharpen = np.sqrt(3) * (np.sqrt(3) - 2) ** np.abs(np.arange(-12, 13))
    position = np.minimum(_AXIS * LONG_FFT / SAMPLE_RATE, LONG_FFT // 2 - 2)
    first = np.floor(position).astype(np.int32) - 1
    u = position - first - 1
    taps = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3])
    return sharpen.astype(np.float32), first, (_HEARING * taps / 6).astype(np.float32)


_SHARPEN, _FIRST, _TAPS = _spline()
# Parseval: the bins of the half spectrum have half of LONG_FFT times the frame's energy.
_FAINT_SUM = FAINTEST**2 * LONG * LONG_FFT / 2


def subharmonic_sum(spectra: NDArray[np.complex64]) -> Float32:
    """Sub-harmonic sums over the logarithmic axis: (n, 2049) -> float32 (n, 2049).

    H(f) = sum_h 0.85^(h-1) S(h f), h = 1 .. 15, S being the peaks of the magnitude spectrum (two
    bins either side kept), smoothed by (1, 2, 1) / 4, interpolated by a cubic spline and weighted
    by how well low frequencies are heard, W(f) = 1/2 + arctan(3 log2(f / 32.2 Hz)) / pi (Hermes
    1988). 0 for frames fainter than `FAINTEST`.
    """
    return kernels.subharmonic_sums(spectra, _SHARPEN, _FIRST, _TAPS, _SHIFTS, _WEIGHTS, _FAINT_SUM)


def candidates(spectra: NDArray[np.complex64]) -> tuple[Float64, Float64]:
    """F0 candidates of each frame: frequencies in Hz and voicings 0 .. 1, both (n, 6).

    Of the six highest peaks of the sub-harmonic sum those within 52 .. 620 Hz, highest first; 0
    where there are fewer. Voicing is 1 - mean(H) / H(f0): near 1 where one pitch explains the
    frame.
    """
    return kernels.pitch_candidates(subharmonic_sum(spectra), _AXIS, LOWEST, HIGHEST)


class PitchTrack:
    """The Viterbi search, block by block, `LOOK_AHEAD` frames behind its input.

    States of a frame: its candidates c, then "unvoiced". A candidate costs 6.2 (1 - voicing), 9.3
    more if its voicing is under 0.7, and a little outside 102 .. 360 Hz; "unvoiced" costs 3.16,
    7.45 more if any voicing reaches 0.7. A change between voiced and unvoiced costs 10.2. Going
    from candidate b to c costs 7.48 (|j(b, c)| + |j(b, c) - j(b - 1, c)|), j in octaves: the second
    term, the jump compared with that from the candidate listed before b, is the reference's, and
    means that it goes less readily from candidates that are not the frame's highest. Eyben 2016,
    chapter 2, for the kinds of cost; the form of the jump's and all weights fitted.
    """

    def __init__(self) -> None:
        self._frequency = np.zeros((0, CANDIDATES))  # of the frames not yet decided
        self._voicing = np.zeros((0, CANDIDATES))
        self._back = np.zeros((0, CANDIDATES + 1), np.int32)  # best predecessor of each state
        self._best = np.zeros(0, np.int32)  # best state, as seen from each frame
        self._cost = np.zeros(CANDIDATES + 1)
        self._octave = np.zeros(CANDIDATES)

    def push(self, frequency: Float64, voicing: Float64, last: bool) -> tuple[Float64, Float64]:
        """Take n more frames of candidates; give F0 (0 = unvoiced) and voicing of those decided.

        The voicing of an unvoiced frame is that of its strongest candidate, 0 without any.
        """
        back, best = kernels.search_path(frequency, voicing, _COSTS, self._cost, self._octave)
        self._frequency = np.concatenate([self._frequency, frequency])
        self._voicing = np.concatenate([self._voicing, voicing])
        self._back = np.concatenate([self._back, back])
        self._best = np.concatenate([self._best, best])
        decided = max(0, len(self._best) - (0 if last else LOOK_AHEAD))
        state = kernels.trace_path(self._back, self._best, decided, LOOK_AHEAD)
        rows = np.arange(decided)
        unvoiced = state == CANDIDATES
        f0 = np.where(unvoiced, 0.0, self._frequency[rows, np.where(unvoiced, 0, state)])
        strength = self._voicing[rows, np.where(unvoiced, 0, state)]
        self._frequency, self._voicing = self._frequency[decided:], self._voicing[decided:]
        self._back, self._best = self._back[decided:], self._best[decided:]
        return f0, strength


_GRID = float(SAMPLE_RATE), float(STEP)


class Periods:
    """Jitter, shimmer and harmonics-to-noise ratio from the periods of the waveform.

    The periods are followed through each voiced stretch. The next one begins at the lag T, within
    a quarter of what F0 predicts, at which Pearson's r of the T samples from here and the T after
    them has its highest peak (interpolated for T's fraction). Where that is under 0.5 the period
    is rejected and leaves no trace but its place. A frame t holds the periods that are reached
    before the next frame's begin: all those with room for two longest ones before 441 (t + 1), at
    least one if the next begins before 441 t. With T_i their lengths, A_i, B_i the peak-to-peak
    amplitudes of each and of what it is compared with, d_i = |T_i - T_(i-1)|:

    - jitterLocal = sum d_i / sum T_i, at most 1
    - jitterDDP = mean |d_i - d_(i-1)| / mean T_i, at most 1
    - shimmerLocal = sum |A_i - B_i| / sum (A_i + B_i) / 2, at most 1
    - logHNR = 10 log10(energy of the mean period / energy of the deviations from it), over all
      these periods, rejected ones too, and what comes after them; 0 without deviation

    Where all periods of a frame are rejected, jitter and shimmer are the last frame's; where none
    falls into it, jitter is 0 and shimmer and logHNR are the last frame's. Carries the audio not
    yet passed.
    """

    def __init__(self) -> None:
        self._samples = np.zeros(0, np.float32)
        self._origin = 0  # number of the first of those samples
        self._frame = 0  # number of the next frame
        self._state = np.zeros(7)
        self._state[6] = UNVOICED_HNR

    def push(self, samples: Float32, f0: Float64) -> Float64:
        """Take the next samples and the F0 of the next frames; describe these.

        Args:
            samples: mono audio, continuing the last call's.
            f0: (n,) Hz, 0 where unvoiced, continuing the last call's, of frames within the audio.

        Returns:
            float64, (n, 4): jitterLocal, jitterDDP, shimmerLocal (relative, 0 for unvoiced
            frames), logHNR in dB (-100 for unvoiced frames).
        """
        self._samples = np.concatenate([self._samples, samples])
        values = kernels.follow_periods(
            *(self._samples, self._origin, f0, self._frame, _GRID),
            *((LEAST_LIKENESS, UNVOICED_HNR), self._state),
        )
        self._frame += len(f0)
        passed = max(0, int(min(self._state[0], self._frame * STEP)) - self._origin)
        self._samples, self._origin = self._samples[passed:], self._origin + passed
        return values


class Voicing:
    """The six voicing descriptors, block by block, some 0.3 s behind the audio."""

    def __init__(self) -> None:
        self._track = PitchTrack()
        self._periods = Periods()

    def push(self, samples: Float32, spectra: NDArray[np.complex64], last: bool) -> Float64:
        """Take the next samples and long-frame spectra; describe the frames that are decided.

        Args:
            samples: mono audio, continuing the last call's.
            spectra: (n, 2049) of the next n long frames, within the samples so far.
            last: whether the song ends here.

        Returns:
            float64, (m, 6), of the next m frames: F0 in Hz (0 where unvoiced), voicing 0 .. 1,
            jitterLocal, jitterDDP, shimmerLocal, logHNR in dB.
        """
        f0, voicing = self._track.push(*candidates(spectra), last)
        return np.column_stack([f0, voicing, self._periods.push(samples, f0)])
