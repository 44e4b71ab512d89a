import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import tone
from moodcurve import InputError
from moodcurve.audio import SAMPLE_RATE
from moodcurve.corpora.folder import Song, read_corpus
from moodcurve.corpora.rows import LabelledRows
from moodcurve.curve import Band
from moodcurve.evaluate import compare, constant, coverage, evaluate, table, write_json
from moodcurve.predict import File2Curve

NAN = math.nan


def labelled(labels, group=None, name="x"):
    labels = np.array(labels, np.float32)
    song = Song(name, Path(f"{name}.wav"), np.zeros(0), labels, group)
    return LabelledRows(song, np.zeros((len(labels), 260), np.float32), labels)


def figures(groups=(None, None), model="m", corpus="c"):
    """Two songs; figures by hand below. Valence labels 0, 1 and 0.5, one row without any."""
    songs = [
        labelled([[0, 0.5], [1, -0.5], [NAN, NAN]], groups[0]),
        labelled([[0.5, 0.5], [0.5, 0]], groups[1]),
    ]
    estimates = {
        "model": [np.array([[0.5, 0.5], [0.5, -0.5], [9, 9]]), np.array([[0.5, 0.5], [1, 0.5]])],
        "constant": constant(songs, [0.5, 0]),
    }
    return {"model": model, "corpus": corpus, **compare(songs, estimates)}


def test_figures_by_hand():
    found = figures()
    assert found["songs"] == 2
    assert found["groups"] == {}
    model, flat = found["systems"]["model"], found["systems"]["constant"]
    # valence errors 1/2, 1/2, 0, 1/2; arousal errors 0, 0, 0, 1/2
    assert model["valence"]["pooled"]["rows"] == 4
    assert model["valence"]["pooled"]["rmse"] == pytest.approx(math.sqrt(3 / 16))
    assert model["arousal"]["pooled"]["rmse"] == pytest.approx(1 / 4)
    by_song = [1 / 2, math.sqrt(1 / 8)]
    assert model["valence"]["songs"]["rmse"]["mean"] == pytest.approx(np.mean(by_song))
    assert model["valence"]["songs"]["rmse"]["sd"] == pytest.approx(
        abs(by_song[0] - by_song[1]) / math.sqrt(2)
    )
    # labels 1/2, -1/2, 1/2, 0 with estimates 1/2, -1/2, 1/2, 1/2: means 1/8 and 1/4
    covariance = 1 / 4 * (1 / 4 + 1 / 4 + 1 / 4 + 0) - 1 / 32
    variances = 3 / 16 - 1 / 64, 1 / 4 - 1 / 16
    assert model["arousal"]["pooled"]["r"] == pytest.approx(
        covariance / math.sqrt(math.prod(variances))
    )
    assert model["arousal"]["pooled"]["ccc"] == pytest.approx(
        2 * covariance / (sum(variances) + 1 / 64)
    )
    # the constant predictor: errors -1/2, 1/2, 0, 0; no correlation
    assert flat["valence"]["pooled"]["rmse"] == pytest.approx(math.sqrt(1 / 8))
    assert flat["valence"]["pooled"]["r"] is None
    assert flat["valence"]["pooled"]["ccc"] == 0
    assert flat["valence"]["songs"]["r"] == {"mean": None, "sd": None, "count": 0}


def test_groups():
    found = figures(["b", "a"])["groups"]
    assert list(found) == ["a", "b"]
    assert [group["songs"] for group in found.values()] == [1, 1]
    model = found["b"]["systems"]["model"]
    assert model["valence"]["pooled"]["rmse"] == pytest.approx(1 / 2)
    assert model["valence"]["pooled"]["rows"] == 2
    assert found["a"]["systems"]["constant"]["valence"]["pooled"]["rmse"] == 0
    assert list(figures(["b", None])["groups"]) == ["b"]


def test_the_table():
    lines = table(figures(["b", "a"])).splitlines()
    assert lines[0] == "m on c: 2 songs, 4 labelled half-seconds"
    assert lines[2].split() == ["valence", "arousal"]
    assert lines[3].split() == ["RMSE", "r", "CCC"] * 2
    start = lines.index("all frames pooled")
    assert lines[start + 1].split() == [
        "model",
        "0.433",
        "0.000",
        "0.000",
        "0.250",
        "0.870",
        "0.833",
    ]
    assert lines[start + 2].split() == ["constant", "0.354", "-", "0.000", "0.433", "-", "0.000"]
    for title in ("by song: mean", "by song: spread (sd)", "a (1)", "b (1)"):
        start = lines.index(title)
        assert [line.split()[0] for line in lines[start + 1 : start + 3]] == ["model", "constant"]
        assert all(len(line.split()) == 7 for line in lines[start + 1 : start + 3])


def test_the_table_is_at_most_80_columns_wide():
    long = "a name that never seems to come to its end"
    text = table(figures([long * 3, f"{long} either"], long, f"{long} {long}"))
    assert max(map(len, text.splitlines())) <= 80
    assert f"{long} either (1)" in text
    assert "2 songs, 4 labelled half-seconds" in " ".join(text.split())


def test_json_has_no_nan(tmp_path):
    def refuse(name):
        raise AssertionError(f"{name} in the file")

    found = figures(["b", None])
    write_json(found, tmp_path / "new" / "figures.json")
    text = (tmp_path / "new" / "figures.json").read_text()
    assert json.loads(text, parse_constant=refuse) == found


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("MOODCURVE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    (folder / "audio").mkdir(parents=True)
    for name, pitch in (("low", 110), ("high", 440)):
        soundfile.write(folder / "audio" / f"{name}.wav", tone(2, pitch), SAMPLE_RATE)
    (folder / "static.csv").write_text("song,valence,arousal\nlow,-0.5,0.25\nhigh,0.5,0.75\n")
    (folder / "songs.csv").write_text("song,group\nlow,one\nhigh,two\n")
    return read_corpus(folder)


def test_a_model_on_a_corpus(model, corpus):
    found = evaluate(model, corpus)
    assert (found["model"], found["corpus"], found["songs"]) == ("random", "mine", 2)
    assert list(found["groups"]) == ["one", "two"]
    curves = [File2Curve(model)(song.audio) for song in corpus.songs]
    errors = np.concatenate([curves[0].arousal - 0.75, curves[1].arousal - 0.25])
    pooled = found["systems"]["model"]["arousal"]["pooled"]
    assert pooled["rows"] == 8
    assert pooled["rmse"] == pytest.approx(math.sqrt(np.mean(errors**2)), abs=1e-6)
    # the constant of the model fixture: 0.1, -0.2
    flat = found["systems"]["constant"]
    assert flat["valence"]["pooled"]["rmse"] == pytest.approx(math.sqrt((0.6**2 + 0.4**2) / 2))
    assert flat["arousal"]["pooled"]["rmse"] == pytest.approx(math.sqrt((0.45**2 + 0.95**2) / 2))


def test_figures_that_cannot_be_written(song):
    with pytest.raises(InputError, match=r"x\.json: cannot be written"):
        write_json(figures(), song / "x.json")


def test_coverage_by_hand():
    """Songs count alike: the first has 1 of 2 valence labels inside, the second both of its 4."""
    songs = [
        labelled([[0.5, 0.5], [-0.5, 0.5], [NAN, NAN]]),
        labelled([[0.2, -0.1]] * 4),
    ]
    bands = [
        Band(np.full(3, 0.4), np.full(3, 0.6), np.full(3, -1.0), np.full(3, 1.0)),
        Band(np.full(4, 0.1), np.full(4, 0.7), np.full(4, 0.0), np.full(4, 0.5)),
    ]
    found = coverage(songs, bands)
    assert found["valence"]["coverage"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["valence"]["width"] == pytest.approx((0.2 + 0.6) / 2)
    assert found["arousal"]["coverage"] == pytest.approx((1 + 0) / 2)
    assert found["valence"]["by_quadrant"] == {"V- A+": 0.0, "V+ A+": 1.0, "V+ A-": 1.0}
    assert found["arousal"]["by_quadrant"] == {"V- A+": 1.0, "V+ A+": 1.0, "V+ A-": 0.0}


def test_the_band_in_the_table():
    found = figures()
    band = Band(*np.tile([[-0.2], [0.4], [-0.3], [0.3]], 3))
    songs = [labelled([[0, 0.5], [1, -0.5], [NAN, NAN]])]
    text = table({**found, "band": coverage(songs, [band]), "unfamiliar": ["x y"]})
    assert "band of 90%" in text
    assert "unlike what the model learned from: x y" in text
    assert max(map(len, text.splitlines())) <= 80
