import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodcurve import features
from moodcurve import model as bundles
from moodcurve.errors import InputError, Unfinished
from moodcurve.model import (
    check_writable,
    describe,
    find,
    installed,
    load,
    read_manifest,
    save,
    save_or_rescue,
)
from moodcurve.network import to_arrays
from moodcurve.predict import Rows2Curve


@pytest.fixture
def bundle(model, tmp_path):
    save(model, tmp_path / "bundle")
    return tmp_path / "bundle"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(folder, pattern):
    with pytest.raises(InputError, match=pattern) as caught:
        load(folder)
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


def sign(folder):
    """Give the manifest of a tampered bundle the checksums of what is there."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["manifest_sha256"]
    manifest["weights_sha256"] = hashlib.sha256((folder / "weights.npz").read_bytes()).hexdigest()
    text = json.dumps(manifest, sort_keys=True)
    manifest["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_saved_model_gives_the_same_curves(model, bundle):
    rows = np.random.default_rng(1).normal(size=(75, 260)).astype(np.float32)
    again = load(bundle)
    one, other = Rows2Curve(model)(rows), Rows2Curve(again)(rows)
    np.testing.assert_array_equal(one.valence, other.valence)
    np.testing.assert_array_equal(one.arousal, other.arousal)
    assert np.ptp(one.valence) > 0.001
    assert one.about == other.about


def test_everything_comes_back(model, bundle):
    again = load(str(bundle))
    assert (again.scales, again.window, again.limit) == (model.scales, model.window, model.limit)
    assert again.about == model.about
    for name in ("mean", "deviation"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    for dimension, fusion in model.fusions.items():
        found = again.fusions[dimension]
        for name in ("elm_weights", "elm_bias", "elm_beta"):
            np.testing.assert_array_equal(getattr(found, name), getattr(fusion, name))
        pairs = zip(sum(found.groups, ()), sum(fusion.groups, ()), strict=True)
        for one, other in pairs:
            one, other = to_arrays(one), to_arrays(other)
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[key], other[key]) for key in one)


def test_a_model_without_limit(model, tmp_path):
    save(replace(model, limit=None), tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.limit is None
    far = model.mean + 100 * model.deviation
    assert again.inputs(far[None]).min() > 99
    assert model.inputs(far[None]).max() == model.limit


def test_standardise_by_hand(model):
    rows = np.stack(
        [model.mean, model.mean + 2 * model.deviation, model.mean - 9 * model.deviation]
    )
    found = model.inputs(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :3], [[0] * 3, [2] * 3, [-5] * 3], atol=1e-5)


def test_the_files_of_a_bundle(bundle):
    assert names(bundle) == ["manifest.json", "weights.npz"]
    with np.load(bundle / "weights.npz", allow_pickle=False) as archive:
        assert all(archive[key].dtype.kind in "fU" for key in archive.files)
    manifest = read_manifest(bundle)
    assert manifest["features"] == {"extractor": features.VERSION, "window_s": 1.0}
    assert manifest["scales"] == [10, 20, 30, 60]
    assert manifest["licence"] == "MIT"


def test_no_such_model(tmp_path):
    refused(tmp_path / "none", "no such model; give the folder of one")


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(InputError, match=r"not a model: no manifest\.json in it"):
        load(tmp_path)


def test_a_file_is_no_model(song):
    with pytest.raises(InputError, match=r"tone\.wav: not a model"):
        load(song)


@pytest.mark.parametrize("text", [b"{", b"[1, 2]", b"", b"\xff\xfe{}", b'"text"'])
def test_a_corrupt_manifest(bundle, text):
    (bundle / "manifest.json").write_bytes(text)
    refused(bundle, r"manifest\.json: corrupt \(not JSON\); copy or train the model again")


@pytest.mark.parametrize(
    ("key", "value"), [("licence", "mine"), ("limit", 3.0), ("new", 1), ("weights_sha256", "0")]
)
def test_an_edited_manifest(bundle, key, value):
    path = bundle / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    refused(bundle, r"manifest\.json: corrupt or edited \(sha256 differs\)")


def test_a_manifest_may_be_laid_out_anew(bundle):
    path = bundle / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=None, sort_keys=True))
    assert load(bundle).about["name"] == "random"


@pytest.mark.parametrize("where", [0, 0.3, 0.7, 0.999])
def test_a_flipped_bit_in_the_weights(bundle, where):
    path = bundle / "weights.npz"
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1
    path.write_bytes(data)
    refused(bundle, r"weights\.npz: corrupt \(sha256 differs\)")


def test_weights_that_are_missing(bundle):
    (bundle / "weights.npz").unlink()
    refused(bundle, r"weights\.npz: missing; ")


@pytest.mark.parametrize("kind", ["pickle", "text"])
def test_weights_are_never_unpickled(bundle, kind):
    buffer = io.BytesIO()
    np.savez(buffer, mean=np.array([{"an": "object"}]), allow_pickle=True)
    (bundle / "weights.npz").write_bytes(buffer.getvalue() if kind == "pickle" else b"PK no zip")
    sign(bundle)
    refused(bundle, r"weights\.npz: not an archive of arrays")


def test_another_format(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(bundles, "FORMAT", 5)
        patch.setattr(bundles, "__version__", "9.9")
        save(model, tmp_path / "new")
    refused(tmp_path / "new", r"a model of format 5, made with moodcurve 9\.9; .* reads format 4")


def test_other_features(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(features, "VERSION", "older")
        save(model, tmp_path / "old")
    refused(tmp_path / "old", rf"other features \(older\) than these \({features.VERSION}\)")


@pytest.mark.parametrize("present", ["something.txt", "manifest.json and more"])
def test_what_is_no_bundle_is_not_overwritten(model, tmp_path, present):
    """Many programs have a manifest.json."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in present.split(" and "):
        (folder / name).write_text("precious")
    before = contents(folder)
    for refuse in (check_writable, lambda folder: save(model, folder)):
        with pytest.raises(InputError, match="mine: exists and is not a model; choose another"):
            refuse(folder)
    assert contents(folder) == before
    assert names(tmp_path) == ["mine"]


def test_a_file_is_not_overwritten(model, tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match="file: exists and is not a model"):
        save(model, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("place", ["file/model", ".", ""])
def test_no_model_can_be_there(model, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    for refuse in (check_writable, lambda folder: save(model, folder)):
        with pytest.raises(InputError, match="; choose another"):
            refuse(Path(place))
    assert names(tmp_path) == ["file"]


def test_an_empty_folder_and_missing_parents_are_taken(model, tmp_path):
    (tmp_path / "empty").mkdir()
    save(model, tmp_path / "empty")
    save(model, tmp_path / "a" / "b")
    assert contents(tmp_path / "empty") == contents(tmp_path / "a" / "b")
    assert names(tmp_path) == ["a", "empty"]


def test_a_bundle_is_replaced(model, bundle):
    save(replace(model, about={**model.about, "name": "second"}), bundle)
    assert load(bundle).about["name"] == "second"
    assert names(bundle.parent) == ["bundle"]
    assert names(bundle) == ["manifest.json", "weights.npz"]


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("step", "failure"),
    [
        ("write_text", FULL),
        ("write_bytes", FULL),
        ("rename", FULL),
        ("write_text", KeyboardInterrupt()),
    ],
)
def test_a_failing_write_leaves_the_old_bundle(model, bundle, monkeypatch, step, failure):
    before = contents(bundle)
    real, calls = getattr(Path, step), []

    def fail(path, *rest, **named):
        calls.append(path)
        if step == "rename" and len(calls) != 2:  # first the old one goes aside; the new one fails
            return real(path, *rest, **named)
        raise failure

    second = replace(model, about={**model.about, "name": "second"})
    with monkeypatch.context() as patch:
        patch.setattr(Path, step, fail)
        with pytest.raises((InputError, KeyboardInterrupt)) as caught:
            save(second, bundle)
    assert calls
    if isinstance(failure, OSError):
        assert str(caught.value).startswith(f"{bundle}: cannot be written (No space left")
    assert contents(bundle) == before
    assert names(bundle.parent) == ["bundle"]


def test_a_model_is_rescued_where_it_cannot_be_saved(model, tmp_path, monkeypatch):
    """Something has come to be in its place meanwhile."""
    (tmp_path / "mine").write_text("in the way")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    with pytest.raises(Unfinished) as caught:
        save_or_rescue(model, tmp_path / "mine")
    (rescued,) = (tmp_path / "temporary").glob("moodcurve-*/mine")
    assert str(caught.value) == (
        f"{tmp_path / 'mine'}: exists and is not a model; choose another name; "
        f"the model is safe in {rescued}: move it from there"
    )
    assert load(rescued).about["name"] == "random"
    assert (tmp_path / "mine").read_text() == "in the way"
    save_or_rescue(model, tmp_path / "other")
    assert contents(tmp_path / "other") == contents(rescued)


def test_a_model_that_cannot_be_rescued(model, tmp_path, monkeypatch):
    def fail(*_):
        raise FULL

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(Unfinished, match=r"make room; nor is there room among .* train it again$"):
        save_or_rescue(model, tmp_path / "mine")
    assert names(tmp_path) == ["temporary"] and names(tmp_path / "temporary") == []


@pytest.fixture
def shelf(model, tmp_path, monkeypatch):
    """A package with two models and something else."""
    monkeypatch.setattr(bundles.resources, "files", lambda package: tmp_path / package)
    figures = {"made up, 3 songs": {d: {"RMSE": 0.25, "CCC": 0.5} for d in bundles.DIMENSIONS}}
    for name in ("zen", "default"):
        about = {**model.about, "name": name, "figures": figures}
        save(replace(model, about=about), tmp_path / "moodcurve" / "models" / name)
    (tmp_path / "moodcurve" / "models" / "notes").mkdir()
    return tmp_path / "moodcurve" / "models"


def test_installed_models(shelf):
    assert installed() == ["default", "zen"]
    assert find("zen") == shelf / "zen"
    assert load().about["name"] == "default"
    with pytest.raises(InputError, match="give the folder of one, or one of: default, zen"):
        load("nosuch")


def test_no_models_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles.resources, "files", lambda package: tmp_path / package)
    assert installed() == []


def test_describe(shelf):
    assert describe("zen").splitlines() == [
        "zen",
        "  trained on  none: 0 songs, 0 labelled half-seconds",
        "  made up, 3 songs",
        "    valence  RMSE 0.250, CCC 0.500",
        "    arousal  RMSE 0.250, CCC 0.500",
        "  licence     MIT",
    ]


def test_describe_wraps_many_corpora(shelf, model):
    training = {**model.about["training"], "corpora": [f"corpus {k}" for k in range(30)]}
    save(replace(model, about={**model.about, "training": training}), shelf / "zen")
    lines = describe("zen").splitlines()
    assert max(map(len, lines)) < 80
    assert " ".join(" ".join(lines).split()).count("corpus") == 30
