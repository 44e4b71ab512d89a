"""The compiled loops against the same in numpy, written plainly."""

import numpy as np
import pytest

from moodcurve.features import kernels


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_highest_peaks(rng):
    totals = rng.normal(size=(40, 1024)).astype(np.float32)
    totals[0] = 0  # no peak at all
    totals[1, :] = -1
    totals[1, [3, 500]] = 1, 2  # two peaks
    totals[2, 10:13] = 9  # a plateau counts once, at its left end
    found = kernels.highest_peaks(totals)
    for row, points in zip(totals, found, strict=True):
        inner = row[1:-1]
        peaks = 1 + np.flatnonzero((inner > row[:-2]) & (inner >= row[2:]))
        expected = peaks[np.argsort(-row[peaks], kind="stable")][:6]
        assert points.tolist() == expected.tolist() + [-1] * (6 - len(expected))
    assert found[0].tolist() == [-1] * 6
    assert found[2, 0] == 10


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
