"""A curve comes back as it was written, or is refused with the place where it is wrong."""

import csv
import json

import numpy as np
import pytest

from curves import stepped
from moodcurve import Curve, InputError
from moodcurve.export.formats import FORMATS
from moodcurve.export.table import BAND, tabulate


@pytest.fixture
def files(tmp_path):
    """The CSV of a curve, and its JSON beside it."""
    curve = stepped()
    FORMATS["csv"].write(curve, tabulate(curve), tmp_path / "x.csv")
    return tmp_path / "x.csv", tmp_path / "x.json"


@pytest.mark.parametrize("scale", ["-1..1", "0..1", "1..9"])
@pytest.mark.parametrize("moods", [False, True])
@pytest.mark.parametrize("band", [False, True])
@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_there_and_back(tmp_path, scale, moods, band, ending):
    curve = stepped(band)
    FORMATS["csv"].write(curve, tabulate(curve, scale, moods=moods), tmp_path / "x.csv")
    found = Curve.read(tmp_path / f"x{ending}")
    rounding = {"-1..1": 1e-12, "0..1": 1.01e-4, "1..9": 1.3e-5}[scale]  # four decimals
    np.testing.assert_allclose(found.valence, curve.valence, atol=rounding)
    np.testing.assert_allclose(found.arousal, curve.arousal, atol=rounding)
    assert (found.band is None) == (not band)
    for name in BAND if band else ():
        edges = getattr(found.band, name), getattr(curve.band, name)
        np.testing.assert_allclose(*edges, atol=rounding)
    assert found.about == curve.about


def test_a_name_that_is_no_unicode(tmp_path):
    curve = stepped(file="\udcff.mp3")
    FORMATS["json"].write(curve, tabulate(curve), tmp_path / "x.json")
    assert Curve.read(tmp_path / "x.json").about["file"] == "\udcff.mp3"


def test_values_changed_in_the_csv_are_read(files):
    path, _ = files
    rows = list(csv.reader(path.read_text().splitlines()))
    rows[2][2] = "0.1234"
    path.write_text("\n".join(map(",".join, rows)))
    assert Curve.read(path).valence[1] == 0.1234


def refused(path, *parts):
    with pytest.raises(InputError) as caught:
        Curve.read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message
    for part in parts:
        assert part in message


CSV = {
    "a row left out": (lambda rows: [*rows[:5], *rows[6:]], ["59 rows, but x.json", "60"]),
    "a gap": (lambda rows: [*rows[:5], rows[6], *rows[6:]], ["x.csv:6: 2.5 to 3 s where 2 to 2.5"]),
    "another column": (
        lambda rows: [["t", *rows[0][1:]], *rows[1:]],
        ["x.csv:1: no column start_s"],
    ),
    "no number": (lambda rows: [*rows[:3], [*rows[3][:2], "1,5", *rows[3][3:]], *rows[4:]],
                  ['x.csv:4: valence "1,5" is not a finite number']),
    "out of scale": (lambda rows: [*rows[:3], [*rows[3][:2], "1.2", *rows[3][3:]], *rows[4:]],
                     ["x.csv:4: valence 1.2 is out of the scale -1 .. 1"]),
    "too few cells": (lambda rows: [*rows[:3], rows[3][:5], *rows[4:]], ["x.csv:4: not 8 cells"]),
    "half a band": (lambda rows: [row[:6] for row in rows], ["x.csv:2: a band", "valence_low"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", CSV)
def test_a_wrong_csv(files, kind):
    path, _ = files
    change, parts = CSV[kind]
    rows = change(list(csv.reader(path.read_text().splitlines())))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    refused(path, *parts)


def without(key):
    return lambda document: {k: v for k, v in document.items() if k != key}


JSON = {
    "another schema": (lambda d: {**d, "schema": "x"}, "not a curve (of schema moodcurve-curve-1)"),
    "a list": (lambda d: [d], "not a curve"),
    "no rows": (without("rows"), "a curve without rows"),
    "empty rows": (lambda d: {**d, "rows": []}, "a curve without rows"),
    "no scale": (without("scale"), "no scale that is known"),
    "another scale": (lambda d: {**d, "scale": {"valence": "0..2"}}, "no scale that is known"),
    "no band level": (without("band"), "row 1: a band"),
    "not 2 Hz": (lambda d: {**d, "rows": d["rows"][::2]}, "row 2: 1 to 1.5 s where 0.5 to 1 s"),
    "null": (lambda d: {**d, "rows": [[*d["rows"][0][:3], None, *d["rows"][0][4:]]]},
             'row 1: arousal "None" is not a finite number'),
    "NaN": (lambda d: {**d, "rows": [[*d["rows"][0][:3], float("nan"), *d["rows"][0][4:]]]},
            'row 1: arousal "nan" is not'),
    "huge": (lambda d: {**d, "rows": [[*d["rows"][0][:3], 10**400, *d["rows"][0][4:]]]}, "row 1: "),
    "short row": (lambda d: {**d, "rows": [*d["rows"][:2], [1, 2]]}, "row 3: not 8 cells"),
    "no row": (lambda d: {**d, "rows": [*d["rows"][:2], 7]}, "row 3: not 8 cells"),
    "a model that is a word": (lambda d: {**d, "model": "x"}, "model without name"),
    "a level in words": (lambda d: {**d, "band": {"level": "90 %"}}, "band without level"),
    "familiarity cut": (lambda d: {**d, "familiarity": {"familiar": True}}, "without percentile"),
    "no rate": (lambda d: {**d, "sample_rate": -1}, "sample_rate -1 is no number of Hz"),
    "columns": (lambda d: {**d, "columns": ["a", *d["columns"][1:]]}, "no column start_s"),
    "column twice": (lambda d: {**d, "columns": ["start_s"] * 8}, "columns"),
}  # fmt: skip


@pytest.mark.parametrize("kind", JSON)
def test_a_wrong_json(files, kind):
    _, path = files
    change, part = JSON[kind]
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    refused(path, part)


def test_what_is_not_there_or_something_else(files, tmp_path):
    path, about = files
    refused(tmp_path / "no.csv", "no.json: no such file")
    refused(tmp_path / "x.png", "x.png: not a curve")
    refused(tmp_path, "not a curve")
    about.write_text("{")
    refused(about, "x.json: not JSON")
    about.write_text("[" * 100_000)
    refused(about, "x.json: not JSON")
    about.write_bytes(b"\xff")
    refused(about, "x.json: not JSON")
    about.unlink()
    refused(path, "x.json: no such file")
    about.mkdir()
    refused(about, "x.json: cannot be read")
