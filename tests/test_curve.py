import csv
from itertools import pairwise

import numpy as np
import pytest

from moodcurve import Curve, InputError
from moodcurve.export.csv import write_features
from moodcurve.export.json import write_about
from moodcurve.features import FEATURE_NAMES


def curve(valence, arousal, **about):
    return Curve(np.array(valence, float), np.array(arousal, float), about)


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


def test_summary():
    text = curve([0.5] * 80 + [-0.1] * 70, [-0.5] * 40 + [0.25] * 110).summary()
    assert text.splitlines() == [
        "1:15.0 min, a value every half-second",
        "valence  mean +0.22, from -0.10 to +0.50   (unpleasant -1 .. 1 pleasant)",
        "arousal  mean +0.05, from -0.50 to +0.25   (calm -1 .. 1 excited)",
        "0:00 - 0:25  calm and pleasant",
        "0:25 - 0:50  excited and pleasant",
        "0:50 - 1:15  excited and unpleasant",
    ]
    assert max(map(len, text.splitlines())) < 78


def test_passages_by_hand():
    """Three parts of two rows; the first two are one passage."""
    song = curve([0.1, 0.3, -0.2, 0.2, -1, 0.5], [-1, -1, -1, -1, 0, 0])
    assert song.passages(3) == [(0, 2, "calm and pleasant"), (2, 3, "excited and unpleasant")]
    assert song.passages(1) == [(0, 3, "calm and unpleasant")]


@pytest.mark.parametrize("rows", [1, 2, 5, 6, 7, 148])
def test_passages_cover_the_song(rows):
    rng = np.random.default_rng(rows)
    found = curve(*rng.uniform(-1, 1, (2, rows))).passages(6)
    assert found[0][0] == 0
    assert found[-1][1] == rows / 2
    for (_, end, words), (start, _, next_words) in pairwise(found):
        assert end == start
        assert words != next_words
    assert len(found) <= 6


def test_the_shortest_curve_has_a_summary():
    lines = curve([0.25], [-0.25]).summary().splitlines()
    assert lines[0] == "0:00.5 min, a value every half-second"
    assert lines[-1] == "0:00 - 0:00  calm and pleasant"


def test_about_is_json(tmp_path):
    write_about(curve([0], [0], song="夜", file="\udcff.mp3", rows=1), tmp_path / "x.json")
    assert (tmp_path / "x.json").read_bytes() == (
        '{\n  "song": "夜",\n  "file": "\\udcff.mp3",\n  "rows": 1\n}\n'.encode()
    )


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
