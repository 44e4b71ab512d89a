"""The model that comes with the package."""

from pathlib import Path

import numpy as np
import pytest

from moodcurve import Audio2Curve, File2Curve
from moodcurve.audio import SAMPLE_RATE
from moodcurve.context import input_names
from moodcurve.features import ILL_CONDITIONED
from moodcurve.model import DIMENSIONS, describe, find, installed, load, read_manifest

EXAMPLE = Path(__file__).parents[1] / "examples" / "four_moods.ogg"


@pytest.fixture(scope="module")
def curve():
    return File2Curve()(EXAMPLE)


def test_it_is_installed():
    assert "default" in installed()
    assert find("default").parent.name == "models"


def test_it_loads():
    model = load()
    assert model.scales == (10, 20, 30, 60)
    assert set(model.fusions) == set(DIMENSIONS)
    assert model.contexts == (20, 240)
    assert model.listener == (20,)
    assert model.mean.shape == model.deviation.shape == (490,)
    assert model.joint
    assert model.familiarity is not None
    assert all(fusion.spread for fusion in model.fusions.values())
    assert np.all(model.deviation > 0)


def test_its_size():
    assert sum(path.stat().st_size for path in find("default").rglob("*")) <= 20_000_000


def test_it_holds_plain_arrays():
    with np.load(find("default") / "weights.npz", allow_pickle=False) as archive:
        assert archive.files
        for key in archive.files:
            assert archive[key].dtype.kind in "fU"
            if archive[key].dtype.kind == "f" and key != "deviation":
                assert np.isfinite(archive[key]).all()
        unseen = {
            input_names((20, 240), (20,))[i] for i in np.flatnonzero(np.isinf(archive["deviation"]))
        }
    assert unseen == set(ILL_CONDITIONED)


def test_its_manifest():
    manifest = read_manifest(find("default"))
    assert set(manifest) == {
        "format",
        "moodcurve",
        "features",
        "scales",
        "elm_share",
        "smoothing",
        "contexts",
        "listener",
        "listener_version",
        "joint",
        "by_listener",
        "groups",
        "limit",
        "name",
        "licence",
        "training",
        "figures",
        "weights_sha256",
        "manifest_sha256",
    }
    assert manifest["name"] == "default"
    assert manifest["licence"] == "MIT"
    training = manifest["training"]
    assert training["songs"] > 0
    assert training["labelled_rows"] > 1000
    assert not any("clips" in name for name in training["corpora"])
    assert len(training["constant"]) == 2


def test_its_figures():
    figures = read_manifest(find("default"))["figures"]
    assert len(figures) >= 2  # by cross-validation, and on songs never trained on
    for row in figures.values():
        assert set(row) == set(DIMENSIONS)
        for found in row.values():
            assert all(np.isfinite(value) for value in found.values())
            assert found["RMSE"] > 0
    assert "MIT" in describe("default")


def test_its_curve_of_the_example_song(curve):
    for values in (curve.valence, curve.arousal):
        assert values.shape == (160,)
        assert np.abs(values).max() <= 1
        assert np.ptp(values) > 0.05


@pytest.mark.parametrize(
    ("begin", "end", "valence", "arousal"),
    [(0, 18, 1, -1), (18, 36, 1, 1), (36, 60, -1, 1), (60, 80, -1, -1)],
    ids=["calm", "joyful", "tense", "sad"],
)
def test_the_written_moods_are_heard(curve, begin, end, valence, arousal):
    """Each part's mean lies in the quadrant that examples/README.md says."""
    part = (curve.times >= begin) & (curve.times < end)
    assert np.sign(curve.valence[part].mean()) == valence
    assert np.sign(curve.arousal[part].mean()) == arousal


def test_its_band_holds_its_curve(curve):
    band = curve.band
    for dimension in DIMENSIONS:
        low, high = (getattr(band, f"{dimension}_{edge}") for edge in ("low", "high"))
        values = getattr(curve, dimension)
        assert (low <= values).all()
        assert (values <= high).all()
        assert 0.2 < (high - low).mean() < 1.2


@pytest.mark.parametrize("sound", ["a tone", "clicks", "rumble"])
def test_what_is_no_music_is_strange_to_it(sound):
    n = 20 * SAMPLE_RATE
    audio = {
        "a tone": 0.3 * np.sin(2 * np.pi * 440 * np.arange(n) / SAMPLE_RATE),
        "clicks": 0.9 * (np.arange(n) % 11_025 == 0),
        "rumble": 1e-3 * np.cumsum(np.random.default_rng(0).normal(size=n)),
    }[sound]
    curve = Audio2Curve()(audio, SAMPLE_RATE)
    assert not curve.about["familiarity"]["familiar"]
    assert "unlike the music the model learned from" in curve.caution


def test_the_example_song_is_familiar(curve):
    assert curve.about["familiarity"]["familiar"]
    assert curve.caution == ""
