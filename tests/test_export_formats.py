"""Each format, read back by its own ecosystem's reader or by its documented form."""

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from curves import stepped
from moodcurve import Curve, InputError
from moodcurve.export.formats import FORMATS, find_format
from moodcurve.export.json import to_document
from moodcurve.export.spans import at_rate
from moodcurve.export.table import BAND, tabulate
from moodcurve.moods import moods

SCHEMA = Path(__file__).parents[1] / "docs" / "moodcurve-curve-1.schema.json"
MADE_BY = "moodcurve 9.9, model testing, licence CC0"


@pytest.fixture
def write(tmp_path):
    """Write a curve in a format and return the file's path."""

    def call(name, curve=None, **options):
        curve = curve or stepped()
        path = tmp_path / f"x{FORMATS[name].ending}"
        FORMATS[name].write(curve, tabulate(curve, **options), path)
        return path

    return call


# All of them


@pytest.mark.parametrize("name", FORMATS)
def test_every_file_says_its_model_and_licence(write, tmp_path, name):
    needs = {"parquet": "pyarrow", "png": "matplotlib", "svg": "matplotlib"}
    pytest.importorskip(needs.get(name, "json"), reason="an optional dependency")
    write(name)
    text = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin1")
    assert "testing" in text
    assert "CC0" in text


@pytest.mark.parametrize("name", ["csv", "json", "jams", "svl", "labels", "srt"])
def test_where_nothing_can_be_written(song, name):
    curve = stepped()
    with pytest.raises(InputError, match=r"cannot be written"):
        FORMATS[name].write(curve, tabulate(curve), song / f"x{FORMATS[name].ending}")


@pytest.mark.parametrize("name", ["nosuch", "", "tags", "CSV"])
def test_no_such_format(name):
    with pytest.raises(InputError, match=r"no such format; use one of: csv, json, jams, "):
        find_format(name)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("parquet", "pyarrow", "parquet"),
        ("png", "matplotlib", "plot"),
        ("svg", "matplotlib", "plot"),
    ],
)
def test_a_missing_package(monkeypatch, name, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"{package}; run: pip install 'moodcurve\[{extra}\]'"):
        find_format(name)


# JSON


@pytest.mark.parametrize("scale", ["-1..1", "0..1", "1..9"])
@pytest.mark.parametrize("band", [False, True])
def test_the_json_is_of_its_schema(write, scale, band):
    jsonschema = pytest.importorskip("jsonschema", reason="comes with jams")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    curve = stepped(band, familiarity={"percentile": 99.5, "familiar": False} if band else None)
    document = json.loads(write("json", curve, scale=scale, moods=band).read_text())
    validator.validate(document)
    document["rows"][3][2] = "0.5"
    assert not validator.is_valid(document)


def test_the_json_to_the_letter(write):
    curve = stepped(band=False)
    head, rows = write("json", curve).read_text().split('  "rows": [\n')
    assert rows.splitlines()[0] == f"    [0.0, 0.5, {curve.valence[0]}, {curve.arousal[0]}],"
    assert rows.endswith("]\n  ]\n}\n")
    assert len(rows.splitlines()) == 62
    assert head.startswith('{\n  "schema": "moodcurve-curve-1",\n  "song": "A$AP & <friends>",\n')


def test_the_document_is_what_is_written(write):
    curve = stepped()
    written = json.loads(write("json", curve, scale="1..9").read_text())
    document = to_document(curve, tabulate(curve, "1..9"))
    assert json.loads(json.dumps(document)) == written
    assert written["summary"]["turning_points_s"] == [10, 20]
    assert [(p["start_s"], p["end_s"]) for p in written["passages"]] == [
        (0, 10),
        (10, 20),
        (20, 30),
    ]


# JAMS


@pytest.mark.filterwarnings("ignore:Passing a schema:DeprecationWarning")  # of jams to jsonschema
@pytest.mark.parametrize("scale", ["-1..1", "0..1"])
@pytest.mark.parametrize("rate", [None, "25"])
def test_jams_by_the_package(write, scale, rate):
    jams = pytest.importorskip("jams", reason="the reader of JAMS files")
    curve = stepped()
    table = tabulate(curve, scale, spans=rate and at_rate(rate, 30))
    path = write("jams", curve, scale=scale, spans=rate and at_rate(rate, 30))
    found = jams.load(str(path), validate=True, strict=True)
    assert found.validate()
    assert found.file_metadata.duration == 30
    assert found.file_metadata.title == "A$AP & <friends>"
    (annotation,) = found.annotations
    assert annotation.namespace == "mood_thayer"
    intervals, values = annotation.to_interval_values()
    np.testing.assert_allclose(intervals[:, 0], table.columns["start_s"])
    np.testing.assert_allclose(intervals[:, 1], table.columns["end_s"], atol=1e-6)
    np.testing.assert_array_equal(np.array(values)[:, 0], table.columns["valence"])
    np.testing.assert_array_equal(np.array(values)[:, 1], table.columns["arousal"])
    sandbox = annotation.sandbox
    assert list(sandbox.range["valence"]) == [float(end) for end in scale.split("..")]
    assert sandbox.units["arousal"].split()[1] == "calm"
    assert sandbox.band_columns["arousal_low"] == table.columns["arousal_low"]
    assert annotation.annotation_metadata.annotator["licence"] == "CC0"


# Parquet


def test_parquet_by_pyarrow(write):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs moodcurve[parquet]")
    curve = stepped()
    found = parquet.read_table(write("parquet", curve, scale="0..1", moods=True))
    table = tabulate(curve, "0..1", moods=True)
    assert found.to_pydict() == table.columns
    assert [str(kind) for kind in found.schema.types] == ["double"] * 8 + ["string"] * 2
    about = json.loads(found.schema.metadata[b"moodcurve"])
    assert about["model"]["name"] == "testing"
    assert about["scale"]["valence"] == "0 unpleasant .. 1 pleasant, 0.5 neutral"
    assert "rows" not in about


# Sonic Visualiser: its documented form; 4.5.1 was tried by hand (docs/formats.md)


@pytest.mark.parametrize(("known", "rate"), [({}, 48_000), ({"sample_rate": None}, 44_100)])
def test_layers_in_the_documented_form(write, known, rate):
    curve = stepped(**known)
    root = ElementTree.parse(write("svl", curve, scale="1..9")).getroot()
    assert root.tag == "sv"
    data, display = root
    assert [child.tag for child in data] == ["model", "dataset"] * 2
    layers = display.findall("layer")
    for model, dataset, layer, name in zip(
        data[::2], data[1::2], layers, ("valence", "arousal"), strict=True
    ):
        assert model.get("name") == name
        assert model.get("dataset") == dataset.get("id")
        assert layer.get("model") == model.get("id")
        assert layer.get("type") == "timevalues"
        assert layer.get("name").startswith(f"{name}: 1 ")
        assert layer.get("name").endswith(MADE_BY)
        assert (model.get("type"), model.get("dimensions")) == ("sparse", "2")
        assert (model.get("minimum"), model.get("maximum")) == ("1", "9")
        assert int(model.get("end")) == 30 * int(model.get("sampleRate")) == 30 * rate
        points = dataset.findall("point")
        frames = np.array([int(point.get("frame")) for point in points])
        np.testing.assert_array_equal(frames / rate, curve.times + 0.25)
        values = [float(point.get("value")) for point in points]
        np.testing.assert_allclose(values, 5 + 4 * getattr(curve, name), atol=5.01e-5)
    ids = [element.get("id") for element in [*data, *layers]]
    assert len(set(ids)) == 6


# Audacity's labels: start, end and text with tabs between


def test_labels_in_the_documented_form(write):
    curve = stepped()
    lines = [line.split("\t") for line in write("labels", curve).read_text().splitlines()]
    assert lines[0] == ["0.000000", "0.000000", MADE_BY]
    assert [line[:2] for line in lines[1:]] == [
        ["0.000000", "10.000000"],
        ["10.000000", "20.000000"],
        ["20.000000", "30.000000"],
    ]
    assert [float(line[0]) for line in lines[2:]] == list(curve.turning_points)
    means = [np.array([v[:20].mean(), v[20:40].mean()]) for v in (curve.valence, curve.arousal)]
    words = moods(*means)
    assert lines[1][2] == f"{words[0]} (calm and pleasant)"
    assert lines[2][2] == f"{words[1]} (excited and unpleasant)"
    assert lines[3][2] == "neutral"


# Captions


def seconds(clock):
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def cues(text):
    """SubRip's blocks: number, times, lines of text."""
    for block in text.strip().split("\n\n"):
        number, times, *lines = block.split("\n")
        clocks = re.fullmatch(r"(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})", times)
        start, end = map(seconds, clocks.groups())
        yield int(number), start, end, lines


def test_captions(write):
    found = list(cues(write("srt").read_text()))
    assert [cue[0] for cue in found] == [1, 2, 3, 4]
    assert [cue[1:3] for cue in found] == [(0, 2), (2, 10), (10, 20), (20, 30)]
    assert found[0][3] == [*found[1][3], MADE_BY]
    assert found[3][3] == ["neutral"]


def test_captions_of_hours_and_of_half_a_second(write):
    values = np.repeat([0.8, -0.8], 7200)
    found = list(cues(write("srt", Curve(values, values, stepped().about)).read_text()))
    assert found[-1][1:3] == (3600, 7200)
    one = Curve(np.array([0.5]), np.array([0.5]), stepped().about)
    assert [cue[1:3] for cue in cues(write("srt", one).read_text())] == [(0, 0.5)]


def test_captions_by_ffmpeg(write):
    av = pytest.importorskip("av", reason="FFmpeg comes with moodcurve[m4a]")
    with av.open(str(write("srt"))) as container:
        (stream,) = container.streams.subtitles
        packets = [packet for packet in container.demux(stream) if packet.size]
    times = [(float(p.pts * p.time_base), float(p.duration * p.time_base)) for p in packets]
    assert times == [(0, 2), (2, 8), (10, 10), (20, 10)]
    assert bytes(packets[-1]) == b"neutral"


# Pictures


@pytest.mark.parametrize(("name", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures(write, name, start):
    pytest.importorskip("matplotlib", reason="pictures need moodcurve[plot]")
    picture = write(name).read_bytes()
    assert picture.startswith(start)
    assert MADE_BY.encode() in picture


def test_bands_are_in_every_table():
    assert set(BAND) <= set(tabulate(stepped()).columns)
