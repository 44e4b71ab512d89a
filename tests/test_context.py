import numpy as np
import pytest

from moodcurve import InputError
from moodcurve.context import CONTEXT_NAMES, centred_mean, in_context, input_names

MAJOR, MINOR, MODE, CLARITY = range(4)
C_MAJOR = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]


def rows_with(chroma):
    rows = np.random.default_rng(0).normal(size=(len(chroma), 483))
    rows[:, 260:272] = chroma
    return rows


def context(chroma, width=1):
    return in_context(rows_with(chroma), (width,), ())[:, 260:]


def test_without_contexts_the_official_features_stay_as_they_are():
    rows = np.random.default_rng(0).normal(size=(5, 483)).astype(np.float32)
    assert (in_context(rows, (), ()) == rows[:, :260]).all()
    assert (in_context(rows[:, :260], (), ()) == rows[:, :260]).all()


def test_names_and_columns_go_together():
    rows = np.ones((7, 483))
    assert in_context(rows, (3, 5), ()).shape == (7, 290)
    assert len(input_names((3, 5), ())) == 290
    assert in_context(rows, (3, 5), (20,)).shape == (7, 490)
    assert len(input_names((3, 5), (20,))) == 490
    assert input_names((20,), ())[260] == "key_major over 20"
    assert input_names((20,), (4,))[275] == "musicnn[0] over 4"
    assert len(CONTEXT_NAMES) == 15


def test_the_listener_is_averaged_and_unknown_families_stay_unknown():
    rows = np.full((9, 483), np.nan)
    rows[:, 283:] = np.random.default_rng(0).normal(size=(9, 200))
    inputs = in_context(rows, (3,), (4,))
    assert np.isnan(inputs[:, :275]).all()
    np.testing.assert_allclose(inputs[:, 275:], centred_mean(rows[:, 283:], 4), rtol=1e-6)


@pytest.mark.parametrize("width", [1, 2, 3, 6, 50])
def test_centred_mean_by_brute_force(width):
    values = np.random.default_rng(1).normal(size=(12, 2))
    found = centred_mean(values, width)
    for t in range(12):
        inside = [k for k in range(12) if t - (width - 1) // 2 <= k <= t + width // 2]
        assert found[t] == pytest.approx(values[inside].mean(axis=0))


@pytest.mark.parametrize("key", range(12))
def test_the_profile_of_a_key_fits_it_wholly(key):
    found = context([np.roll(C_MAJOR, key) * 3 + 1])[0]
    assert found[MAJOR] == pytest.approx(1)
    assert found[CLARITY] == pytest.approx(1)
    assert found[MODE] > 0.1


def test_keys_by_numpy_correlation():
    chroma = np.random.default_rng(2).uniform(size=(4, 12))
    for values, row in zip(context(chroma), chroma, strict=True):
        best = max(np.corrcoef(row, np.roll(C_MAJOR, k))[0, 1] for k in range(12))
        assert values[MAJOR] == pytest.approx(best)
        assert values[MODE] == pytest.approx(values[MAJOR] - values[MINOR])
        assert values[CLARITY] == max(values[MAJOR], values[MINOR])


def test_scales_of_major_and_minor_are_told_apart():
    major, minor = np.zeros((2, 12))
    major[[0, 2, 4, 5, 7, 9, 11]] = 1
    major[[0, 4, 7]] = 2
    minor[[0, 2, 3, 5, 7, 8, 10]] = 1
    minor[[0, 3, 7]] = 2
    found = context([major, minor])
    assert found[0, MODE] > 0 > found[1, MODE]


def test_silence_and_noise_have_no_key():
    found = context([np.zeros(12), np.full(12, 0.3)])
    assert (found[:, :4] == 0).all()


def test_rows_without_harmony_are_refused():
    with pytest.raises(InputError, match="hears harmony and the learned listener"):
        in_context(np.zeros((3, 260)), (20,), ())
