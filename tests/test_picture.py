import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need moodcurve[plot]")

from moodcurve import Curve, InputError
from moodcurve.curve import Band


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


@pytest.mark.parametrize("name", ["x.mp3", "x", "x.", "x.gif"])
def test_an_unknown_ending(tmp_path, name):
    with pytest.raises(InputError, match=rf"{name}: pictures end in .png, .svg, .pdf"):
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


def dotted(axes):
    return [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]


def test_the_band_is_shaded():
    one = curve()
    band = Band(one.valence - 0.1, one.valence + 0.2, one.arousal - 0.3, one.arousal + 0.1)
    about = {**one.about, "band": {"level": 0.9}}
    over_time = Curve(one.valence, one.arousal, about, band).plot().axes[0]
    expected = (
        (band.valence_low, band.valence_high),
        (band.arousal_low, band.arousal_high),
    )
    for shade, line, (low, high) in zip(
        over_time.collections, over_time.lines, expected, strict=False
    ):
        corners = shade.get_paths()[0].vertices
        for values in (low, high):
            points = np.stack([one.times + 0.25, values], axis=1)
            assert all((np.abs(corners - point).sum(axis=1) < 1e-12).any() for point in points)
        assert shade.get_zorder() < line.get_zorder()
        assert shade.get_label() == "90 % band"
    assert len(over_time.collections) == 2
    assert curve().plot().axes[0].collections[:] == []


def test_turning_points_are_dotted_lines():
    rows = np.repeat([0.5, -0.5, 0.5], 20)
    assert dotted(Curve(rows, 0 * rows, {}).plot().axes[0]) == [10, 20]
    many = np.tile(np.repeat([0.5, -0.5], 20), 60)
    song = Curve(many, 0 * many, {})
    assert len(song.turning_points) == 119
    found = dotted(song.plot().axes[0])
    assert len(found) == 19
    assert set(found) <= set(song.turning_points)


@pytest.mark.parametrize("familiar", [True, False])
def test_an_unfamiliar_song_is_marked(familiar):
    about = {"song": "x", "familiarity": {"percentile": 99.5, "familiar": familiar}}
    one = Curve(np.zeros(40), np.zeros(40), about)
    expected = "" if familiar else one.caution
    assert one.plot().axes[0].get_title(loc="left") == expected


@pytest.mark.parametrize(
    "song", ["A$AP vs Ke$ha", "夜に駆ける", "two\nlines", "\udcff", "", "x" * 250, "$\\frac{1$"]
)
def test_any_name_can_be_the_title(tmp_path, song):
    curve(song=song).plot(tmp_path / "x.png")
    assert size(tmp_path / "x.png")


def test_the_shortest_curve(tmp_path):
    one = curve(rows=1)
    band = Band(one.valence - 0.1, one.valence + 0.1, one.arousal - 0.1, one.arousal + 0.1)
    about = {**one.about, "band": {"level": 0.9}}
    Curve(one.valence, one.arousal, about, band).plot(tmp_path / "x.png")
    assert size(tmp_path / "x.png")


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'moodcurve\[plot\]'"):
        curve().plot(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written(song):
    with pytest.raises(InputError, match=r"x\.png: cannot be written"):
        curve().plot(song / "x.png")
