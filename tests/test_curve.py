import csv
import json
from itertools import pairwise

import numpy as np
import pytest

from moodcurve import Curve, InputError
from moodcurve.curve import Band
from moodcurve.export.csv import write_features
from moodcurve.export.json import write_json
from moodcurve.export.scales import from_scale, in_words, to_scale
from moodcurve.export.table import tabulate
from moodcurve.features import FEATURE_NAMES


def curve(valence, arousal, **about):
    return Curve(np.array(valence, float), np.array(arousal, float), about)


def with_band(valence, arousal, half=(0.25, 0.125), level=0.9, **about):
    """A band of constant width, cut off at -1 and 1."""
    plain = curve(valence, arousal, band={"level": level}, **about)
    edges = (
        np.clip(values + sign * width, -1, 1)
        for values, width in zip((plain.valence, plain.arousal), half, strict=True)
        for sign in (-1, 1)
    )
    return Curve(plain.valence, plain.arousal, plain.about, Band(*edges))


def test_times_are_the_starts_of_half_seconds():
    np.testing.assert_array_equal(curve([0] * 4, [0] * 4).times, [0, 0.5, 1, 1.5])


def test_the_csv_to_the_letter(tmp_path):
    path = tmp_path / "new folder" / "song.csv"
    curve([0.12345, -1, -0.00003], [1, -0.00004, 0.5]).to_csv(path)
    assert path.read_bytes() == (
        b"start_s,end_s,valence,arousal\n"
        b"0.0,0.5,0.1235,1.0000\n"
        b"0.5,1.0,-1.0000,0.0000\n"
        b"1.0,1.5,0.0000,0.5000\n"
    )
    assert [path.name for path in path.parent.iterdir()] == ["song.csv"]


def test_the_csv_of_an_hour(tmp_path):
    values = np.random.default_rng(0).uniform(-1, 1, (2, 7200))
    curve(*values).to_csv(str(tmp_path / "x.csv"))
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = np.array([[float(cell) for cell in row.values()] for row in rows])
    np.testing.assert_array_equal(table[:, 0], np.arange(7200) / 2)
    np.testing.assert_array_equal(table[:, 1], np.arange(1, 7201) / 2)
    np.testing.assert_allclose(table[:, 2:].T, values, atol=5.01e-5)


def test_a_csv_that_cannot_be_written(song):
    with pytest.raises(InputError, match=r"x\.csv: cannot be written"):
        curve([0], [0]).to_csv(song / "x.csv")


def test_the_csv_of_a_band_to_the_letter(tmp_path):
    with_band([0.5, -1], [-0.5, 1]).to_csv(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == (
        "start_s,end_s,valence,arousal,valence_low,valence_high,arousal_low,arousal_high\n"
        "0.0,0.5,0.5000,-0.5000,0.2500,0.7500,-0.6250,-0.3750\n"
        "0.5,1.0,-1.0000,1.0000,-1.0000,-0.7500,0.8750,1.0000\n"
    )


def test_the_csv_with_moods_to_the_letter(tmp_path):
    song = curve([0.5, -0.5, 0.05, -0.5, 0.5], [0.5, 0.5, 0.05, -0.25, -0.4])
    song.to_csv(tmp_path / "x.csv", moods=True)
    assert (tmp_path / "x.csv").read_text() == (
        "start_s,end_s,valence,arousal,quadrant,mood\n"
        "0.0,0.5,0.5000,0.5000,excited and pleasant,excited\n"
        "0.5,1.0,-0.5000,0.5000,excited and unpleasant,distressed\n"
        "1.0,1.5,0.0500,0.0500,neutral,neutral\n"
        "1.5,2.0,-0.5000,-0.2500,calm and unpleasant,sad\n"
        "2.0,2.5,0.5000,-0.4000,calm and pleasant,at ease\n"
    )


@pytest.mark.parametrize(
    ("scale", "row"),
    [
        ("-1..1", "0.0,0.5,0.5000,-0.5000,0.2500,0.7500,-0.6250,-0.3750"),
        ("0..1", "0.0,0.5,0.7500,0.2500,0.6250,0.8750,0.1875,0.3125"),
        ("1..9", "0.0,0.5,7.0000,3.0000,6.0000,8.0000,2.5000,3.5000"),
    ],
)
def test_scales_by_hand(tmp_path, scale, row):
    """The words are those of the values in memory, whatever the scale of the file."""
    with_band([0.5], [-0.5]).to_csv(tmp_path / "x.csv", scale=scale, moods=True)
    header, found = (tmp_path / "x.csv").read_text().splitlines()
    assert header.endswith("_low,arousal_high,quadrant,mood")
    assert found == f"{row},calm and pleasant,calm"


@pytest.mark.parametrize(
    ("scale", "ends"), [("-1..1", (-1, 1)), ("0..1", (0, 1)), ("1..9", (1, 9))]
)
def test_scales_in_words(scale, ends):
    low, high = ends
    middle = (low + high) / 2
    assert in_words(scale) == {
        "valence": f"{low} unpleasant .. {high} pleasant, {middle:g} neutral",
        "arousal": f"{low} calm .. {high} excited, {middle:g} neutral",
    }
    np.testing.assert_array_equal(to_scale(np.array([-1.0, 0, 1]), scale), [low, middle, high])
    np.testing.assert_array_equal(from_scale(np.array([low, middle, high]), scale), [-1.0, 0, 1])


def test_no_such_scale(tmp_path):
    with pytest.raises(InputError, match=r"^scale 0\.\.2: no such scale; use .*1, 0\.\.1, 1\.\.9$"):
        curve([0], [0]).to_csv(tmp_path / "x.csv", scale="0..2")
    assert list(tmp_path.iterdir()) == []


def test_summary():
    """80 and 70, 40 and 110 values: sd = 0.6 sqrt(80 * 70) / 150, 0.75 sqrt(40 * 110) / 150."""
    text = curve([0.5] * 80 + [-0.1] * 70, [-0.5] * 40 + [0.25] * 110).summary()
    assert text.splitlines() == [
        "1:15.0 min, a value every half-second",
        "valence  mean +0.22, sd 0.30, -0.10 to +0.50   (unpleasant -1 .. 1 pleasant)",
        "arousal  mean +0.05, sd 0.33, -0.50 to +0.25   (calm -1 .. 1 excited)",
        "band     none: how far off this model is was never measured",
        "turning points: 0:20, 0:40",
        "0:00 - 0:20  calm and pleasant       calm",
        "0:20 - 0:40  excited and pleasant    delighted",
        "0:40 - 1:15  excited and unpleasant  afraid",
    ]


def test_summary_of_a_band_and_an_unfamiliar_song():
    song = with_band(
        [0.5] * 20, [0.9] * 20, level=0.8, familiarity={"percentile": 99.97, "familiar": False}
    )
    assert song.summary().splitlines() == [
        "0:10.0 min, a value every half-second",
        "unlike the music the model learned from (beyond 99 % of it);",
        "its curve and band may be far off",
        "valence  mean +0.50, sd 0.00, +0.50 to +0.50   (unpleasant -1 .. 1 pleasant)",
        "arousal  mean +0.90, sd 0.00, +0.90 to +0.90   (calm -1 .. 1 excited)",
        "band     valence ±0.25, arousal ±0.11 (80 % of listeners' means are in it)",
        "turning points: none",
        "0:00 - 0:10  excited and pleasant    astonished",
    ]


@pytest.mark.parametrize(
    ("familiarity", "caution"),
    [
        (None, ""),
        ({"percentile": 98.9, "familiar": True}, ""),
        ({"percentile": 99, "familiar": False}, "(beyond 99 % of it); its curve may be far off"),
        ({"percentile": 100.0, "familiar": False}, "(beyond all of it); its curve may be far off"),
    ],
)
def test_caution(familiarity, caution):
    song = curve([0.5], [0.5], **({"familiarity": familiarity} if familiarity else {}))
    assert song.caution.removeprefix("unlike the music the model learned from ") == caution
    assert ("unlike" in song.summary()) == bool(caution)


def test_summary_of_a_neutral_song():
    assert curve([0] * 20, [0] * 20).summary().splitlines()[-2:] == [
        "turning points: none",
        "0:00 - 0:10  neutral",
    ]


def test_summary_of_many_turning_points():
    """Forty steps in a recording of over an hour: eight pieces in eight lines of under 80."""
    rng = np.random.default_rng(0)
    song = curve(*(rng.choice([-0.8, -0.3, 0.3, 0.8], (2, 41)).repeat(200, axis=1)))
    lines = song.summary().splitlines()
    assert len(lines) == 5 + 8
    assert lines[4] == (
        f"turning points: {len(song.turning_points)}, the clearest of them between these pieces"
    )
    assert len(song.turning_points) > 30
    assert lines[5].startswith(" 0:00 - ")
    assert lines[-1][5:].startswith(" - 68:20  ")
    assert max(map(len, lines)) < 78


def test_turning_points_are_seconds():
    song = curve([0.5] * 21 + [-0.1] * 70, [0] * 91)
    assert song.turning_points == (10.5,)


def test_passages_by_hand():
    """Of three steps the smallest is joined first, then what differs least from the joined."""
    song = curve([0.5] * 20 + [-0.5] * 20 + [-0.9] * 20 + [0.5] * 20, [-0.2] * 80)
    pleasant, unpleasant = ("calm and pleasant", "serene"), ("calm and unpleasant", "miserable")
    four = [(0, 10, *pleasant), (10, 20, "calm and unpleasant", "sad")]
    four += [(20, 30, *unpleasant), (30, 40, *pleasant)]
    assert song.passages(8) == song.passages(4) == four
    assert song.passages(3) == [four[0], (10, 30, *unpleasant), four[3]]
    # 20 * 40 / 60 * 1.2² is lost on either side: the first is joined; -0.3, -0.2 is 213.7 degrees
    assert song.passages(2) == [(0, 30, "calm and unpleasant", "depressed"), four[3]]
    # the mean is (-0.1, -0.2): 243.4 degrees
    assert song.passages(1) == [(0, 40, "calm and unpleasant", "bored")]


@pytest.mark.parametrize("rows", [1, 2, 7, 16, 148, 2000])
def test_passages_cover_the_song(rows):
    rng = np.random.default_rng(rows)
    song = curve(*np.clip(rng.normal(0, 0.1, (2, rows)).cumsum(axis=1), -1, 1))
    found = song.passages(6)
    assert found[0][0] == 0
    assert found[-1][1] == rows / 2
    assert {start for start, *_ in found[1:]} <= set(song.turning_points)
    for (_, end, *_), (start, *_) in pairwise(found):
        assert end == start
    assert len(found) == min(6, 1 + len(song.turning_points))


def test_the_shortest_curve_has_a_summary():
    lines = curve([0.25], [-0.25]).summary().splitlines()
    assert lines[0] == "0:00.5 min, a value every half-second"
    assert lines[-1] == "0:00 - 0:00  calm and pleasant       calm"


def test_the_json_to_the_letter(tmp_path):
    song = curve([0.5] * 16 + [-0.1] * 16, [0] * 32, song="夜", file="\udcff.mp3", scale="?")
    write_json(song, tabulate(song, "1..9"), tmp_path / "x.json")
    head, rows = (tmp_path / "x.json").read_text(encoding="utf-8").split('  "rows": [\n')
    assert (
        head
        == """{
  "schema": "moodcurve-curve-1",
  "song": "夜",
  "file": "\\udcff.mp3",
  "scale": {
    "valence": "1 unpleasant .. 9 pleasant, 5 neutral",
    "arousal": "1 calm .. 9 excited, 5 neutral"
  },
  "familiarity": null,
  "band": null,
  "caution": "",
  "summary": {
    "valence": {
      "mean": 5.8,
      "sd": 1.2,
      "min": 4.6,
      "max": 7.0
    },
    "arousal": {
      "mean": 5.0,
      "sd": 0.0,
      "min": 5.0,
      "max": 5.0
    },
    "turning_points_s": [
      8.0
    ]
  },
  "passages": [
    {
      "start_s": 0.0,
      "end_s": 8.0,
      "quadrant": "excited and pleasant",
      "mood": "pleased"
    },
    {
      "start_s": 8.0,
      "end_s": 16.0,
      "quadrant": "excited and unpleasant",
      "mood": "miserable"
    }
  ],
  "columns": [
    "start_s",
    "end_s",
    "valence",
    "arousal"
  ],
"""
    )
    first, *_, last, end, brace = rows.splitlines()
    assert (first, last) == ("    [0.0, 0.5, 7.0, 5.0],", "    [15.5, 16.0, 4.6, 5.0]")
    assert (end, brace) == ("  ]", "}")


def test_about_is_left_as_it_is(tmp_path):
    song = curve([0.1], [0.2], familiarity={"percentile": 12.5, "familiar": True})
    write_json(song, tabulate(song), tmp_path / "x.json")
    assert song.about.keys() == {"familiarity"}
    written = json.loads((tmp_path / "x.json").read_text())
    assert written["familiarity"] == {"percentile": 12.5, "familiar": True}
    assert written["summary"]["arousal"] == {"mean": 0.2, "sd": 0, "min": 0.2, "max": 0.2}


def test_feature_rows_as_official_files_have_them(tmp_path):
    rows = np.random.default_rng(0).normal(0, 1e3, (3, 260)).astype(np.float32)
    path = tmp_path / "x.csv"
    with path.open("w") as file:
        write_features(rows, file)
    header, *lines = path.read_text().splitlines()
    assert header.split(";") == ["frameTime", *FEATURE_NAMES]
    table = np.array([[float(cell) for cell in line.split(";")] for line in lines])
    np.testing.assert_array_equal(table[:, 0], [0, 0.5, 1])
    np.testing.assert_allclose(table[:, 1:], rows, rtol=1e-6)
