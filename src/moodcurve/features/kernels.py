"""The compiled loops of the extractor (kernels.c), called with numpy arrays.

What numpy can do for many frames at once it does; here is what it cannot: loops whose steps depend
on one another, or that numpy would do in a dozen passes over memory. Measured against the same in
numpy in `tests/test_features_kernels.py`.
"""

import ctypes
import sys
from pathlib import Path

import numpy as np
from numpy.ctypeslib import ndpointer
from numpy.typing import NDArray

from moodcurve.features.frames import Float32, Float64

CANDIDATES = 6

Indices = NDArray[np.int32]


def _load() -> ctypes.CDLL:
    path = Path(__file__).with_name("_kernels.dll" if sys.platform == "win32" else "_kernels.so")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(
            f"{path} cannot be loaded ({error}); build moodcurve again with `pip install -e .`"
        ) from None
    floats, doubles, ints = (
        ndpointer(dtype, flags="C_CONTIGUOUS") for dtype in (np.float32, np.float64, np.int32)
    )
    size = ctypes.c_ssize_t
    spectra = ndpointer(np.complex64, flags="C_CONTIGUOUS")
    for name, arguments in {
        "subharmonic_sums": (spectra, size, ints, floats, size, ints, floats, floats),
        "highest_peaks": (floats, size, ints),
        "search_path": (
            *(doubles, doubles, size),
            *(ctypes.c_double, ctypes.c_double, ctypes.c_double),
            *(doubles, doubles, ints, ints),
        ),
        "follow_periods": (
            *(floats, size, size, doubles, size, size),
            *(ctypes.c_double, ctypes.c_double, ctypes.c_double),
            *(doubles, doubles, size),
        ),
        "up_and_down": (floats, size, doubles),
        "roll_off_bins": (floats, size, size, doubles, size, ints),
    }.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, None
    library.follow_periods.restype = size
    return library


_LIBRARY = _load()


def subharmonic_sums(
    spectra: NDArray[np.complex64], first: Indices, taps: Float32, shifts: Indices, weights: Float32
) -> Float32:
    """Sub-harmonic sums (n, 1024) of long frames' spectra (n, 2049), see `voicing.subharmonic_sum`.

    `first` (1024,) and `taps` (4, 1024) say where each point of the axis lies among the bins,
    `shifts` and `weights` (H,) how far, in points, and how much each harmonic counts.
    """
    totals = np.empty((len(spectra), len(first)), np.float32)
    _LIBRARY.subharmonic_sums(
        spectra, len(spectra), first, taps, len(shifts), shifts, weights, totals
    )
    return totals


def highest_peaks(totals: Float32) -> Indices:
    """The six highest inner peaks of each row (n, 1024), highest first, -1 for those missing."""
    points = np.empty((len(totals), CANDIDATES), np.int32)
    _LIBRARY.highest_peaks(totals, len(totals), points)
    return points


def up_and_down(power: Float32) -> Float64:
    """The way between the successive peaks and valleys of each row (n, 513), summed: (n,)."""
    ways = np.empty(len(power))
    _LIBRARY.up_and_down(power, len(power), ways)
    return ways


def roll_off_bins(power: Float32, shares: Float64) -> Indices:
    """The bin, from 1 on, up to which each rising share of a row's power lies: (n, S)."""
    found = np.empty((len(power), len(shares)), np.int32)
    _LIBRARY.roll_off_bins(power, *power.shape, shares, len(shares), found)
    return found


def search_path(
    frequency: Float64,
    voicing: Float64,
    costs: tuple[float, float, float],
    cost: Float64,
    octave: Float64,
) -> tuple[Indices, Indices]:
    """Advance the Viterbi search over n frames, see `voicing.PitchTrack`.

    Takes candidates (n, 6), the costs of an unvoiced frame, of an octave of jump and of a change
    between voiced and unvoiced; `cost` (7,) and `octave` (6,), of the last frame before, are
    overwritten. Returns the best predecessor of each state (n, 7) and the best state (n,).
    """
    n = len(frequency)
    back, best = np.empty((n, CANDIDATES + 1), np.int32), np.empty(n, np.int32)
    _LIBRARY.search_path(frequency, voicing, n, *costs, cost, octave, back, best)
    return back, best


def follow_periods(
    samples: Float32,
    origin: int,
    f0: Float64,
    first: int,
    grid: tuple[float, float, float],
    state: Float64,
) -> Float64:
    """Go from period to period as far as F0 is known, see `voicing.Periods`.

    Takes samples from number `origin` on, the F0 of frames from number `first` on, the sample
    rate, step and length of a frame; `state` (2,), the next period's begin and the number of the
    voiced stretch, is overwritten. Returns (m, 5): begin, length, amplitude, likeness, stretch.
    """
    periods = np.empty((2 + len(samples) // 50, 5))  # none is shorter than 60 samples
    found = _LIBRARY.follow_periods(
        *(samples, len(samples), origin, f0, len(f0), first), *grid, state, periods, len(periods)
    )
    return periods[:found]
