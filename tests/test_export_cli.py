"""`moodcurve export` and `predict --format` as a user types them."""

import csv
import json
import sys

import numpy as np
import pytest
import soundfile

from conftest import tone
from curves import stepped
from moodcurve import Curve
from moodcurve.audio import SAMPLE_RATE
from moodcurve.export.formats import FORMATS
from moodcurve.export.table import tabulate
from moodcurve.model import save


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def curve(tmp_path):
    """x.csv and x.json in the folder that commands are run in."""
    found = stepped()
    FORMATS["csv"].write(found, tabulate(found), tmp_path / "x.csv")
    return found


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(result, *parts):
    code, text, error = result
    assert (code, text) == (2, "")
    assert error.startswith("moodcurve: error: ")
    assert error.count("\n") == 1
    assert "; " in error or " give " in error
    for part in parts:
        assert part in error


TEXTS = ("jams", "svl", "labels", "srt")


@pytest.mark.parametrize("source", ["x.csv", "x.json"])
@pytest.mark.parametrize("name", TEXTS)
def test_export_beside_the_curve(run, curve, tmp_path, source, name):
    path = f"x{FORMATS[name].ending}"
    assert run("export", source, "--to", name) == (0, f"wrote {path}\n", "")
    assert files(tmp_path) == sorted(["x.csv", "x.json", path])
    written = (tmp_path / path).read_bytes()
    FORMATS[name].write(curve, tabulate(curve), tmp_path / path)
    assert written == (tmp_path / path).read_bytes()


def test_help_names_every_format(run):
    code, text, _ = run("export", "--help")
    assert code == 0
    for name in (*FORMATS, "tags"):
        assert f" {name}" in text


def test_a_csv_comes_with_its_json(run, curve, tmp_path):
    code, _, error = run("export", "x.json", "--to", "csv", "-o", "new/y.csv", "--scale", "0..1")
    assert (code, error) == (0, "")
    assert files(tmp_path / "new") == ["y.csv", "y.json"]
    found = Curve.read(tmp_path / "new" / "y.csv")
    np.testing.assert_allclose(found.valence, curve.valence, atol=1.01e-4)
    about = json.loads((tmp_path / "new" / "y.json").read_text())
    assert about["scale"]["valence"].startswith("0 unpleasant")


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_other_rows(run, curve, tmp_path):
    (tmp_path / "beats.txt").write_text("1\n2\n4\n")
    (tmp_path / "segments.csv").write_text("start,end\n0,10\n20,30\n")
    for option, value, count, means in (
        ("--rate", "0.1", 3, curve.valence.reshape(3, 20).mean(axis=1)),
        ("--beats", "beats.txt", 3, [curve.valence[k].mean() for k in np.s_[2:4, 4:8, 8:]]),
        ("--segments", "segments.csv", 2, [curve.valence[k].mean() for k in np.s_[:20, 40:]]),
    ):
        arguments = ("export", "x.csv", "--to", "csv", "-o", "y.csv", option, value, "--moods")
        assert run(*arguments) == (0, "wrote y.csv\n", "")
        found = rows(tmp_path / "y.csv")
        assert len(found) == count
        np.testing.assert_allclose([float(r["valence"]) for r in found], means, atol=5.01e-5)
        assert set(found[0]) >= {"quadrant", "mood", "arousal_high"}


def test_a_resampled_curve_is_no_curve_to_read(run, curve):
    run("export", "x.csv", "--to", "json", "-o", "y.json", "--rate", "25")
    refused(run("export", "y.json", "--to", "jams"), "y.json: row 1: 0 to 0.04 s where 0 to 0.5 s")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--to", "jams"], "no CURVE: give "),
        (["no.csv", "--to", "jams"], "no.json: no such file"),
        (["x.csv", "--to", "nosuch"], "format nosuch: no such format; use one of: csv, json"),
        (["x.csv", "--to", "csv"], "x.csv: the curve itself; give another FILE"),
        (["x.csv", "--to", "json"], "x.json: the curve itself"),
        (["x.csv", "--to", "csv", "-o", "new/../x.csv"], "x.csv: the curve itself"),
        (["x.csv", "--to", "jams", "-o", "y.json"], "y.json: files of this format end in .jams"),
        (["x.csv", "--to", "csv", "-o", "y"], "y: files of this format end in .csv"),
        (["x.csv", "--to", "jams", "--rate", "0"], "--rate 0: out of range"),
        (["x.csv", "--to", "jams", "--scale", "0..2"], "scale 0..2: no such scale"),
        (["x.csv", "--to", "jams", "--beats", "no.txt"], "no.txt: No such file"),
        (["x.csv", "--to", "labels", "--rate", "3"], "--rate: not for --to labels"),
        (["x.csv", "--to", "srt", "--scale", "0..1", "--moods"], "--scale, --moods: not for"),
        (["x.csv", "--to", "svl", "--moods"], "--moods: not for --to svl"),
        (["x.csv", "--to", "jams", "--song", "s.mp3"], "--song: not for --to jams"),
        (["x.csv", "--to", "tags"], "--to tags: of which song? give --song FILE"),
        (["x.csv", "--to", "tags", "--rate", "3", "-o", "y"], "--output, --rate: not for"),
    ],
)
def test_wrong_arguments(run, curve, tmp_path, arguments, part):
    before = files(tmp_path)
    refused(run("export", *arguments), part)
    assert files(tmp_path) == before


def test_two_kinds_of_rows_at_once(run, curve):
    code, text, error = run("export", "x.csv", "--to", "csv", "--rate", "3", "--beats", "b")
    assert (code, text) == (2, "")
    assert error.endswith("argument --beats: not allowed with argument --rate\n")


# Tags


@pytest.fixture
def mp3(tmp_path):
    pytest.importorskip("mutagen", reason="tags need moodcurve[tags]")
    soundfile.write(tmp_path / "s.mp3", tone(1), SAMPLE_RATE)
    return tmp_path / "s.mp3"


def test_tags_are_shown_written_and_taken_out(run, curve, mp3, tmp_path):
    before = mp3.read_bytes()
    tags = ("export", "x.csv", "--to", "tags", "--song", "s.mp3")
    code, text, error = run(*tags)
    assert code == 0
    assert error == "moodcurve: s.mp3: the curve is of a file named A$AP & <friends>.mp3\n"
    head, *lines, last = text.splitlines()
    assert (head, last) == ("s.mp3: would be written", "nothing was changed; add --write")
    assert f"  MOODCURVE_VALENCE={curve.valence.mean():.4f}" in lines
    assert mp3.read_bytes() == before
    assert "s.mp3.bak" not in files(tmp_path)

    code, text, _ = run(*tags, "--write")
    assert code == 0
    assert text.splitlines() == [
        "s.mp3: written",
        *lines,
        "s.mp3.bak: the song before its first tags",
    ]
    assert (tmp_path / "s.mp3.bak").read_bytes() == before
    code, text, _ = run(*tags, "--write")
    assert (code, text) == (0, "s.mp3: nothing to do, it has these tags\n")

    remove = ("export", "--to", "tags", "--song", "s.mp3", "--remove")
    code, text, _ = run(*remove)
    assert code == 0
    assert text.startswith("s.mp3: would be taken out\n")
    assert mp3.read_bytes() != before
    code, text, _ = run(*remove, "--write")
    assert (code, mp3.read_bytes()) == (0, before)
    code, text, _ = run(*remove, "--write")
    assert (code, text) == (0, "s.mp3: nothing to do, it has no tags of moodcurve\n")


def test_tags_in_the_scale_of_spotify(run, curve, mp3):
    _, text, _ = run("export", "x.csv", "--to", "tags", "--song", mp3, "--scale", "0..1")
    assert f"  MOODCURVE_AROUSAL={(curve.arousal.mean() + 1) / 2:.4f}" in text


def test_what_cannot_be_tagged(run, curve, mp3):
    refused(run("export", "x.csv", "--to", "tags", "--song", "no.mp3"), "no.mp3: ")
    refused(run("export", "x.csv", "--to", "tags", "--song", "x.csv"), "x.csv: no sound file")
    refused(run("export", "--to", "tags", "--song", mp3), "no CURVE")
    refused(run("export", "x.csv", "--to", "tags", "--song", mp3, "--remove"), "--remove: takes")


# predict --format


@pytest.fixture
def bundle(model, tmp_path):
    save(model, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_predict_in_several_formats(run, bundle, song, tmp_path):
    code, text, error = run(
        "predict", song, "-o", "out", "--model", bundle, "--format", "jams,labels,csv"
    )
    assert (code, error) == (0, "")
    assert text == "wrote out/tone.jams, out/tone.labels.txt, out/tone.csv\n"
    assert files(tmp_path / "out") == ["tone.csv", "tone.jams", "tone.json", "tone.labels.txt"]
    assert Curve.read(tmp_path / "out" / "tone.csv").about["sample_rate"] == SAMPLE_RATE
    run("predict", song, "-o", "one", "--model", bundle, "--format", "jams")
    assert files(tmp_path / "one") == ["tone.jams"]


def test_skip_existing_looks_at_every_format(run, bundle, song, tmp_path):
    predict = ("predict", song, "-o", "out", "--model", bundle, "--skip-existing", "--format")
    run(*predict, "csv")
    code, text, _ = run(*predict, "csv,srt")
    assert (code, text) == (0, "wrote out/tone.csv, out/tone.srt\n")
    code, text, error = run(*predict, "srt")
    assert (code, text, error) == (0, "", "moodcurve: 1 of 1 songs have a curve already\n")


@pytest.mark.parametrize("formats", ["jpeg", "csv,", "", "tags"])
def test_wrong_formats(run, bundle, song, tmp_path, formats):
    predict = ("predict", song, "-o", "out", "--model", bundle, "--format", formats)
    refused(run(*predict), "no such format; use one of: csv, json, jams")
    assert not (tmp_path / "out").exists()


def test_a_format_without_a_folder(run, bundle, song):
    code, text, error = run("predict", song, "--model", bundle, "--format", "jams")
    assert (code, text) == (2, "")
    assert "--format: only for curves that are written to files; give -o DIR" in error


def test_a_format_whose_package_is_missing(run, bundle, song, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    predict = ("predict", song, "-o", "out", "--model", bundle, "--format", "parquet")
    refused(run(*predict), "pip install 'moodcurve[parquet]'")
    assert not (tmp_path / "out").exists()
