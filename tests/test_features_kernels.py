"""The compiled loops against the same in numpy, written plainly."""

import gc
import sys

import numpy as np
import pytest

from moodcurve.compiled import open_library
from moodcurve.features import descriptors, kernels


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_pitch_candidates(rng):
    """The six highest inner peaks, those outside the range left out, their tops interpolated."""
    totals = rng.uniform(size=(40, 2049)).astype(np.float32)
    totals[0] = 0  # no peak at all
    totals[1] = 0
    totals[1, [300, 500, 1900]] = 1, 2, 3  # three, one of them out of range
    axis = np.geomspace(25, 22050, 2049)
    frequency, voicing = kernels.pitch_candidates(totals, axis, 52.0, 620.0)
    for row, f, v in zip(totals.astype(float), frequency, voicing, strict=True):
        inner = row[1:-1]
        peaks = 1 + np.flatnonzero((inner > row[:-2]) & (inner >= row[2:]))
        expected = []
        for peak in peaks[np.argsort(-row[peaks], kind="stable")][:6]:
            a, b, _ = np.polyfit([-1, 0, 1], row[peak - 1 : peak + 2], 2)
            top = -b / (2 * a)
            hertz = axis[peak] * (axis[1] / axis[0]) ** top
            height = np.polyval([a, b, row[peak]], top)
            if 52 <= hertz <= 620:
                expected.append((hertz, max(0.0, 1 - row.mean() / height)))
        assert f[: len(expected)] == pytest.approx([e[0] for e in expected], rel=1e-6)
        assert v[: len(expected)] == pytest.approx([e[1] for e in expected], abs=1e-6)
        assert (f[len(expected) :] == 0).all()
    assert (frequency[0] == 0).all()
    assert (frequency[1] > 0).sum() == 2


def test_up_and_down(rng):
    power = rng.uniform(size=(30, 513)).astype(np.float32)
    power[0] = 0
    ways = kernels.up_and_down(power)
    for row, way in zip(power.astype(float), ways, strict=True):
        extrema = []
        for k in range(3, 511):
            around = row[[k - 2, k - 1, k + 1, k + 2]]
            if (row[k] > around).all() or (row[k] < around).all():
                extrema.append(row[k])
        assert way == pytest.approx(np.abs(np.diff(extrema)).sum(), abs=1e-12)


def test_roll_off_bins(rng):
    power = rng.exponential(size=(30, 513)).astype(np.float32)
    power[0] = 0
    shares = np.array([0.25, 0.5, 0.75, 0.9])
    found = kernels.roll_off_bins(power, shares)
    for row, bins in zip(power.astype(float), found, strict=True):
        running = np.cumsum(row[1:])
        for share, bin_ in zip(shares, bins, strict=True):
            assert bin_ == 1 + np.argmax(running >= share * running[-1])
    assert (found[0] == 1).all()


def test_sums_of_each_row(rng):
    power = rng.exponential(size=(33, 513)).astype(np.float32)
    weights = rng.normal(size=(4, 513))
    weights[1, 20:] = weights[2, :499] = weights[3] = 0
    expected = power.astype(float) @ weights.T
    np.testing.assert_allclose(kernels.weighted_sums(power, weights), expected, rtol=1e-9)
    samples = rng.normal(size=5 * 441).astype(np.float32)
    expected = np.square(samples.astype(float)).reshape(5, 441).sum(axis=1)
    np.testing.assert_allclose(kernels.energies(samples, 5, 441), expected, rtol=1e-12)


def test_zero_crossings_by_brute_force(rng):
    """Sign changes, and zeros whose neighbours have not one sign; ends of a frame left out."""
    samples = rng.integers(-1, 2, 100 + 3 * 7).astype(np.float32)
    found = kernels.zero_crossings(samples, 4, 7, 100)
    for t, count in enumerate(found):
        x = samples[7 * t : 7 * t + 100]
        changed = [
            x[k - 1] * x[k] < 0 or (x[k] == 0 and x[k - 1] * x[k + 1] <= 0) for k in range(1, 99)
        ]
        assert count == sum(changed)


def test_generations_of_processors_agree(rng, monkeypatch):
    """What was compiled for newer processors gives what was compiled for all, but for rounding."""
    seconds = np.arange(2 * 44100) / 44100
    tones = sum(0.1 * np.sin(2 * np.pi * 180 * h * seconds) for h in range(1, 12))
    audio = (tones + rng.normal(0, 0.01, len(seconds))).astype(np.float32)
    plain, fitting = open_library(kernels.PATH, kernels.FUNCTIONS), kernels._LIBRARY.generation()
    newer = [f"_kernels_v{generation}" for generation in (3, 4) if generation <= fitting]
    monkeypatch.setattr(kernels, "_LIBRARY", plain)
    expected = descriptors([audio])
    for name in newer:
        monkeypatch.setattr(
            kernels, "_LIBRARY", open_library(kernels.PATH.with_name(name), kernels.FUNCTIONS)
        )
        np.testing.assert_allclose(descriptors([audio]), expected, rtol=1e-4, atol=1e-5)


def test_ctrl_c_is_itself_wherever_it_arrives(request):
    """Raised at each line of Python that a call runs, it comes out as what it is."""
    samples, lines = np.zeros(8, np.float32), 0

    def interrupt_at(target):
        def count(frame, event, argument):
            nonlocal lines
            lines += event == "line"
            if lines == target:
                raise KeyboardInterrupt
            return count

        return count

    gc.disable()  # what others have it call would keep the exception
    request.addfinalizer(gc.enable)
    for target in range(1, 1000):
        lines, before = 0, sys.gettrace()
        try:
            sys.settrace(interrupt_at(target))
            kernels.energies(samples, 2, 4)
        except KeyboardInterrupt:
            continue
        finally:
            sys.settrace(before)
        break
    assert 10 < lines < target


@pytest.mark.parametrize(
    "samples", [np.zeros(8), np.zeros((8, 2), np.float32)[:, 0]], ids=["double", "strided"]
)
def test_other_arrays_are_refused(samples):
    with pytest.raises(TypeError, match="energies takes contiguous arrays of float32"):
        kernels.energies(samples, 2, 4)
