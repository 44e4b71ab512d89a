import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need moodcurve[plot]")

from moodcurve import Curve, InputError


def curve(rows=40, song="a song"):
    rng = np.random.default_rng(0)
    return Curve(*np.clip(rng.normal(0, 0.4, (2, rows)), -1, 1), {"song": song})


def size(path):
    """Width and height of a PNG, from its header."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def test_a_png(tmp_path):
    curve().plot(tmp_path / "new" / "x.png")
    width, height = size(tmp_path / "new" / "x.png")
    assert 1000 < width < 3000
    assert 400 < height < 2000
    assert (tmp_path / "new" / "x.png").stat().st_size > 20_000
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.png"]


@pytest.mark.parametrize("ending", ["svg", "pdf", "PNG"])
def test_other_endings(tmp_path, ending):
    start = {"svg": b"<?xml", "pdf": b"%PDF", "PNG": b"\x89PNG"}[ending]
    curve().plot(str(tmp_path / f"x.{ending}"))
    assert (tmp_path / f"x.{ending}").read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["x.mp3", "x", "x."])
def test_an_unknown_ending(tmp_path, name):
    with pytest.raises(InputError, match=rf"{name}: .*supported formats: .*png"):
        curve().plot(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_what_is_drawn():
    one = curve()
    figure = one.plot()
    over_time, plane, _ = figure.axes
    for line, values, name in zip(
        over_time.lines, (one.valence, one.arousal), ("valence", "arousal"), strict=False
    ):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xdata(), one.times + 0.25)
        np.testing.assert_array_equal(line.get_ydata(), values)
    np.testing.assert_array_equal(plane.lines[0].get_xdata(), one.valence)
    np.testing.assert_array_equal(plane.lines[0].get_ydata(), one.arousal)
    assert plane.get_xlabel() == "valence"
    assert plane.get_ylabel() == "arousal"
    for axes, low, high in ((over_time, 0, 20), (plane, -1, 1)):
        assert axes.get_xlim() == (low, high)
        assert axes.get_ylim() == (-1, 1)


@pytest.mark.parametrize(
    "song", ["A$AP vs Ke$ha", "夜に駆ける", "two\nlines", "\udcff", "", "x" * 250, "$\\frac{1$"]
)
def test_any_name_can_be_the_title(tmp_path, song):
    curve(song=song).plot(tmp_path / "x.png")
    assert size(tmp_path / "x.png")


def test_the_shortest_curve(tmp_path):
    curve(rows=1).plot(tmp_path / "x.png")
    assert size(tmp_path / "x.png")


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'moodcurve\[plot\]'"):
        curve().plot(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written(song):
    with pytest.raises(InputError, match=r"x\.png: cannot be written"):
        curve().plot(song / "x.png")
