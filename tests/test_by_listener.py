"""A dimension that is predicted from the learned listener's inputs alone."""

from dataclasses import replace

import numpy as np
import pytest

from moodcurve.context import in_context, input_names, listener_alone
from moodcurve.features import COLUMNS, FAMILIES, LISTENER_NAMES
from moodcurve.model import DIMENSIONS, load, save
from moodcurve.predict import Rows2Curve


def rows(n=40, seed=0):
    model = load()
    spread = np.random.default_rng(seed).normal(0, 0.3, (n, len(COLUMNS))).astype(np.float32)
    official = FAMILIES["official"]
    spread[:, official] = model.mean[official] * (1 + 0.1 * spread[:, official])
    return spread


def test_the_other_inputs_are_zero():
    inputs = in_context(rows(), (20, 240), (20,))
    alone = listener_alone(inputs, (20,))
    names = input_names((20, 240), (20,))
    heard = [name.removesuffix(" over 20") in LISTENER_NAMES for name in names]
    np.testing.assert_array_equal(alone[:, heard], inputs[:, heard])
    assert not alone[:, ~np.array(heard)].any()
    assert listener_alone(inputs, ()) is inputs


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_it_follows_the_listener_and_nothing_else(dimension):
    model = load()
    fusions = {d: replace(f, by_listener=d == dimension) for d, f in model.fusions.items()}
    rows2curve = Rows2Curve(replace(model, fusions=fusions))
    song = rows()
    other = song.copy()
    other[:, FAMILIES["harmony"]] += 0.2
    curve, changed = rows2curve(song), rows2curve(other)
    for d in DIMENSIONS:
        same = (getattr(curve, d) == getattr(changed, d)).all()
        assert same == (d == dimension)


def test_a_bundle_keeps_it(tmp_path):
    model = load()
    fusions = {d: replace(f, by_listener=d == "valence") for d, f in model.fusions.items()}
    save(replace(model, fusions=fusions), tmp_path / "m")
    found = load(tmp_path / "m")
    assert [found.fusions[d].by_listener for d in DIMENSIONS] == [True, False]
