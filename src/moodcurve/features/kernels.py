"""The compiled loops of the extractor (kernels.c), called with numpy arrays.

What numpy can do for many frames at once it does; here is what it cannot: loops whose steps depend
on one another, or that numpy would do in a dozen passes over memory. Measured against the same in
numpy in `tests/test_features_kernels.py`.
"""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodcurve.compiled import open_fitting
from moodcurve.features.frames import Float32, Float64

CANDIDATES = 6

Indices = NDArray[np.int32]

_FLOATS, _DOUBLES, _INTS, _SPECTRA = map(np.dtype, (np.float32, np.float64, np.int32, np.complex64))
_SIZE, _FLOAT, _DOUBLE = ctypes.c_ssize_t, ctypes.c_float, ctypes.c_double
PATH = Path(__file__).with_name("_kernels")
_PARAMETERS: dict[str, tuple[Any, ...]] = {
    "subharmonic_sums": (
        *(_SPECTRA, _SIZE, _FLOATS, _INTS, _FLOATS),
        *(_SIZE, _INTS, _FLOATS, _FLOAT, _FLOATS),
    ),
    "pitch_candidates": (_FLOATS, _SIZE, _DOUBLES, _DOUBLE, _DOUBLE, _DOUBLES, _DOUBLES),
    "energies": (_FLOATS, _SIZE, _SIZE, _DOUBLES),
    "zero_crossings": (_FLOATS, _SIZE, _SIZE, _SIZE, _INTS),
    "search_path": (_DOUBLES, _DOUBLES, _SIZE, _DOUBLES, _DOUBLES, _DOUBLES, _INTS, _INTS),
    "trace_path": (_INTS, _INTS, _SIZE, _SIZE, _SIZE, _INTS),
    "follow_periods": (
        *(_FLOATS, _SIZE, _SIZE, _DOUBLES, _SIZE, _SIZE),
        *(_DOUBLE, _DOUBLE, _DOUBLE, _DOUBLE, _DOUBLES, _DOUBLES),
    ),
    "weighted_sums": (_FLOATS, _SIZE, _SIZE, _DOUBLES, _SIZE, _DOUBLES),
    "mean_square_change": (_FLOATS, _FLOATS, _SIZE, _DOUBLES),
    "entropies": (_FLOATS, _SIZE, _FLOAT, _DOUBLES),
    "up_and_down": (_FLOATS, _SIZE, _DOUBLES),
    "roll_off_bins": (_FLOATS, _SIZE, _DOUBLES, _SIZE, _INTS),
    "highest_answers": (
        *(_FLOATS, _SIZE, _SIZE, _SIZE, _SIZE, _SIZE),
        *(_FLOATS, _SIZE, _FLOATS),
    ),
    "sliding_products": (_FLOATS, _SIZE, _SIZE, _SIZE, _FLOATS, _SIZE, _FLOATS),
}
FUNCTIONS = {
    name: [ctypes.c_void_p if isinstance(kind, np.dtype) else kind for kind in kinds]
    for name, kinds in _PARAMETERS.items()
}
_LIBRARY = open_fitting(PATH, FUNCTIONS)


def _call(name: str, *arguments: Any) -> None:
    """Call a function of the library; arrays are checked here and go in as addresses.

    numpy's ndpointer would do it from within ctypes, which makes an ArgumentError of whatever is
    raised there, a Ctrl-C that arrives at that moment included.
    """
    given = []
    for kind, argument in zip(_PARAMETERS[name], arguments, strict=True):
        if isinstance(kind, np.dtype):
            if argument.dtype != kind or not argument.flags.c_contiguous:
                raise TypeError(f"{name} takes contiguous arrays of {kind}")
            argument = argument.ctypes.data
        given.append(argument)
    getattr(_LIBRARY, name)(*given)


def subharmonic_sums(
    spectra: NDArray[np.complex64],
    sharpen: Float32,
    first: Indices,
    taps: Float32,
    shifts: Indices,
    weights: Float32,
    faint: float,
) -> Float32:
    """Sub-harmonic sums (n, 2049) of long frames' spectra (n, 2049), see `voicing.subharmonic_sum`.

    `sharpen` (25,) turns a spectrum into the coefficients of the cubic spline through it; `first`
    (2049,) and `taps` (4, 2049) say where each point of the axis lies among them; `shifts` and
    `weights` (H,) how far, in points, and how much each harmonic counts. A spectrum whose bins'
    powers sum to less than `faint` gives zeros.
    """
    totals = np.empty((len(spectra), len(first)), np.float32)
    _call(
        "subharmonic_sums",
        *(spectra, len(spectra), sharpen, first, taps),
        *(len(shifts), shifts, weights, faint, totals),
    )
    return totals


def pitch_candidates(
    totals: Float32, axis: Float64, lowest: float, highest: float
) -> tuple[Float64, Float64]:
    """Frequencies and voicings (n, 6) of the sums' (n, 2049) peaks, see `voicing.candidates`."""
    frequency, voicing = np.empty((2, len(totals), CANDIDATES))
    _call("pitch_candidates", totals, len(totals), axis, lowest, highest, frequency, voicing)
    return frequency, voicing


def weighted_sums(rows: Float32, weights: Float64) -> Float64:
    """Sums of each row (n, B) under each weighting (W, B): (n, W).

    rows @ weights.T, made for weightings that are 0 outside a few neighbouring bins, and with each
    row's sums the same whatever other rows there are.
    """
    sums = np.empty((len(rows), len(weights)))
    _call("weighted_sums", rows, *rows.shape, weights, len(weights), sums)
    return sums


def mean_square_change(power: Float32, previous: Float32) -> Float64:
    """Mean square change of the roots of each row's bins 1 .. 512 since the row before: (n,)."""
    changes = np.empty(len(power))
    _call("mean_square_change", power, previous, len(power), changes)
    return changes


def entropies(power: Float32, least: float) -> Float64:
    """Entropy of each row's bins 1 .. 512 in bits, see `spectral.entropy`: (n,)."""
    bits = np.empty(len(power))
    _call("entropies", power, len(power), least, bits)
    return bits


def up_and_down(power: Float32) -> Float64:
    """The way between the successive peaks and valleys of each row (n, 513), summed: (n,)."""
    ways = np.empty(len(power))
    _call("up_and_down", power, len(power), ways)
    return ways


def roll_off_bins(power: Float32, shares: Float64) -> Indices:
    """The bin, from 1 on, up to which each rising share of a row's power lies: (n, S)."""
    found = np.empty((len(power), len(shares)), np.int32)
    _call("roll_off_bins", power, len(power), shares, len(shares), found)
    return found


def highest_answers(rows: Float32, kernel: Float32, places: int) -> Float32:
    """The highest answer of filters (D, I, J), I rows by J columns, over all places: (n, D).

    Of row t the maximum over p < `places` of sum_ij kernel[d, i, j] rows[t + i, p + j]. `rows` is
    (n + I - 1, W), with 32 columns or more to the right of those that the filters are to see.
    """
    filters, taps, bands = kernel.shape
    count, width = len(rows) - taps + 1, rows.shape[1]
    highest = np.empty((count, filters), np.float32)
    _call(
        "highest_answers",
        *(rows, count, width, places, taps, bands),
        *(kernel, filters, highest),
    )
    return highest


def sliding_products(values: Float32, weights: Float32, step: int) -> Float32:
    """Windows of a series times weights (K, D), D a multiple of 16: (n, D).

    Row t is values[t step : t step + K] @ weights, for as many windows as there are.
    """
    size, columns = weights.shape
    count = (len(values) - size) // step + 1
    out = np.empty((count, columns), np.float32)
    _call("sliding_products", values, count, step, size, weights, columns, out)
    return out


def energies(samples: Float32, steps: int, step: int) -> Float64:
    """Sums of squares of the first `steps` times `step` samples, step by step: (steps,)."""
    energy = np.empty(steps)
    _call("energies", samples, steps, step, energy)
    return energy


def zero_crossings(samples: Float32, frames: int, step: int, length: int) -> Indices:
    """Sign changes in frames of `length` samples, see `energy.zero_crossing_rate`: (frames,)."""
    found = np.empty(frames, np.int32)
    _call("zero_crossings", samples, frames, step, length, found)
    return found


def search_path(
    frequency: Float64, voicing: Float64, costs: Float64, cost: Float64, octave: Float64
) -> tuple[Indices, Indices]:
    """Advance the Viterbi search over n frames, see `voicing.PitchTrack`.

    Takes candidates (n, 6) and the costs (11,); `cost` (7,) and `octave` (6,), of the last frame
    before, are overwritten. Returns the best predecessor of each state (n, 7) and the best state
    (n,).
    """
    n = len(frequency)
    back, best = np.empty((n, CANDIDATES + 1), np.int32), np.empty(n, np.int32)
    _call("search_path", frequency, voicing, n, costs, cost, octave, back, best)
    return back, best


def trace_path(back: Indices, best: Indices, decided: int, ahead: int) -> Indices:
    """The states of the first frames, each as seen `ahead` frames later or from the last one."""
    states = np.empty(decided, np.int32)
    _call("trace_path", back, best, len(best), decided, ahead, states)
    return states


def follow_periods(
    samples: Float32,
    origin: int,
    f0: Float64,
    first: int,
    grid: tuple[float, float],
    limits: tuple[float, float],
    state: Float64,
) -> Float64:
    """Describe n frames by their periods, see `voicing.Periods`.

    Takes samples from number `origin` on, the F0 (n,) of frames from number `first` on, the sample
    rate and the frames' step, the least likeness of two periods and what stands for no ratio;
    `state` (7,) is overwritten. Returns (n, 4).
    """
    values = np.empty((len(f0), 4))
    _call(
        "follow_periods",
        *(samples, len(samples), origin, f0, len(f0), first),
        *(*grid, *limits, state, values),
    )
    return values
