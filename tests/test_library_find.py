import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow", reason="needs moodcurve[library]")

import pyarrow as pa
from pyarrow import dataset

from library_songs import made_up_library
from moodcurve import InputError
from moodcurve.library import like as likeness
from moodcurve.library.find import find, in_folders, like
from moodcurve.library.store import POINTS, read_songs
from moodcurve.library.where import COLUMNS, parse


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    folder = tmp_path_factory.mktemp("found") / "lib"
    made_up_library(folder, 300, part=120)
    return folder


@pytest.fixture(scope="module")
def rows(lib):
    return read_songs(lib).to_pylist()


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("valence > 0.3 and arousal < -0.2", lambda v, a, r: v > 0.3 and a < -0.2),
        ("valence > 0.3 or not arousal < -0.2", lambda v, a, r: v > 0.3 or not a < -0.2),
        ("-0.1 <= valence < 0.1", lambda v, a, r: -0.1 <= v < 0.1),
        ("valence + arousal > 0.5", lambda v, a, r: v + a > 0.5),
        ("valence * valence + arousal * arousal < 0.04", lambda v, a, r: v * v + a * a < 0.04),
        ("valence / (seconds - seconds) > 1", lambda v, a, r: False),
        ("not valence / (seconds - seconds) > 1", lambda v, a, r: False),
        ("-(seconds / (seconds - seconds)) < 1", lambda v, a, r: False),
        ("seconds / (seconds - 10) is None", lambda v, a, r: r["seconds"] == 10),
        ("seconds / (seconds - 10) > 2", lambda v, a, r: 10 < r["seconds"] < 20),
        ("size * size * size * size * size * size > 1e18", lambda v, a, r: r["size"] > 1000),
        ("size - 1001 < 0 - 0.5", lambda v, a, r: r["size"] == 1000),
        ("-(valence - arousal) / 2 > 0.2", lambda v, a, r: (a - v) / 2 > 0.2),
        ("artist == 'Artist 3'", lambda v, a, r: r["artist"] == "Artist 3"),
        ('artist in ("Artist 3", "Artist 5")', lambda v, a, r: r["artist"][7:] in ("3", "5")),
        ('"SONG 12" in title', lambda v, a, r: "Song 12" in r["title"]),
        ('"SONG 12" not in title', lambda v, a, r: "Song 12" not in r["title"]),
        ("genre is None and seconds >= 20", lambda v, a, r: r["seconds"] >= 20),
        ("genre is not None", lambda v, a, r: False),
        ("genre == 'Jazz' or not genre == 'Jazz'", lambda v, a, r: False),  # nothing is known
        ("familiar and mood != 'calm'", lambda v, a, r: r["mood"] != "calm"),
        ("familiar == False", lambda v, a, r: False),
    ],
)
def test_conditions(lib, rows, where, holds):
    expected = [r["path"] for r in rows if holds(r["valence"], r["arousal"], r)]
    assert find(lib, where)["path"].to_pylist() == sorted(expected)


@pytest.mark.parametrize(
    ("where", "position", "reason"),
    [
        ("valence = 0.3", 9, "not understood; compare with =="),
        ("valence > 0.3 and", 18, "not understood"),
        ("valence > 0.3 and tempo > 90", 19, "no such column; there are: path, content"),
        ("valence > 'high'", 11, "a text is compared with a number"),
        ("Ärger > 1", 1, "no such column"),
        ("'Ä' in title and tempo > 1", 18, "no such column"),
        ("valence + title > 1", 11, "a text, where a number is needed"),
        ("valence and arousal > 0", 1, "a number, where a condition is needed"),
        ("valence", 1, "no condition"),
        ("__import__('os').system('true') == 0", 1, "cannot stand in a condition"),
        ("valence > (lambda: 1)()", 11, "cannot stand"),
        ("title.upper() == 'A'", 1, "cannot stand"),
        ("valence in (1, 'a')", 16, "a text is compared"),
        ("valence in arousal", 12, "goes with texts"),
        ("valence is arousal", 12, "goes with None only"),
        ("valence > None", 11, "cannot stand"),
        ("turning_points_s > 1", 1, "no such column"),
    ],
)
def test_what_is_wrong_is_said_with_its_position(where, position, reason):
    with pytest.raises(InputError, match=rf"--where, position {position} .*: .*{reason}"):
        parse(where)


@pytest.mark.parametrize("where", ["", "(" * 5000, "not " * 5000 + "familiar", "valence > 1\0"])
def test_odd_texts_are_refused_in_one_line(where):
    with pytest.raises(InputError) as caught:
        parse(where)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40) | st.text("valence()<>=.0123 andornti'\"+-*/", max_size=40))
def test_any_text_is_a_condition_or_an_input_error(where):
    try:
        condition = parse(where)
    except InputError:
        return
    assert isinstance(condition, dataset.Expression)


def test_sorting(lib, rows):
    table = find(lib, sort="arousal desc")
    values = table["arousal"].to_pylist()
    assert values == sorted((row["arousal"] for row in rows), reverse=True)
    assert find(lib, sort="title")["title"].to_pylist() == sorted(r["title"] for r in rows)
    with pytest.raises(InputError, match=r"^tempo: no such column; there are"):
        find(lib, sort="tempo")
    with pytest.raises(InputError, match='give a column, or "valence desc"'):
        find(lib, sort="valence up")


def test_columns_are_those_that_can_be_asked_for(lib):
    assert {"path", "valence", "error"} <= set(COLUMNS)
    for column in COLUMNS:
        find(lib, f"{column} is not None")


def test_songs_of_folders(lib, rows):
    expected = {row["path"] for row in rows if row["path"].split("/")[2] in "13"}
    found = in_folders(lib, ["/music/1", "/music/3/"], ["path"])["path"].to_pylist()
    assert set(found) == expected
    with pytest.raises(InputError, match="no songs in /music/11"):
        in_folders(lib, ["/music/11"], ["path"])


def distance(one, other):
    """Of two rows, from the definition, with the whole table of dynamic time warping."""
    names = ("valence", "arousal")
    squares = sum((one[n + s] - other[n + s]) ** 2 for n in names for s in ("", "_sd"))
    paths = [np.array([np.array(row[f"{n}_path"]) - row[n] for n in names]) for row in (one, other)]
    table = np.full((POINTS + 1, POINTS + 1), np.inf)
    table[0, 0] = 0
    for i, k in itertools.product(range(1, POINTS + 1), repeat=2):
        if abs(i - k) <= likeness.BAND:
            cost = ((paths[0][:, i - 1] - paths[1][:, k - 1]) ** 2).sum()
            table[i, k] = cost + min(table[i - 1, k], table[i, k - 1], table[i - 1, k - 1])
    return np.sqrt(squares + table[-1, -1] / POINTS)


@pytest.mark.parametrize("number", [0, 57, 299])
def test_like_agrees_with_brute_force(lib, rows, number, monkeypatch):
    """With few songs warped at first, so that the bounds have to find the others."""
    monkeypatch.setattr(likeness, "_SEEDS", 15)
    monkeypatch.setattr(likeness, "_BATCH", 10)
    one = rows[number]
    others = [row for row in rows if row is not one]
    expected = sorted((distance(one, row), row["path"]) for row in others)[:12]
    found = like(lib, one["path"], None, 12)
    assert found["path"].to_pylist() == [path for _, path in expected]
    everything = likeness.shapes(read_songs(lib))
    query = likeness.shapes(pa.Table.from_pylist([one], read_songs(lib).schema))
    _, distances = likeness.nearest(everything, query, 13)
    assert distances[0] == 0
    np.testing.assert_allclose(distances[1:], [d for d, _ in expected], rtol=1e-3)


def test_the_lower_bound_is_one():
    rng = np.random.default_rng(0)
    paths = rng.normal(size=(500, 2, POINTS)).cumsum(axis=2).astype(np.float32)
    segments = paths.reshape(500, 2, -1, 4).mean(axis=3)
    bounds = likeness._lower_bound(segments, paths[7])
    exact = likeness.warped(paths, paths[7])
    assert (bounds <= exact + 1e-4).all()
    assert bounds.max() > 0.2 * exact[bounds.argmax()]  # and says something


@pytest.mark.parametrize("count", [1, 20, 256, 999])
@pytest.mark.parametrize("kind", ["spread", "equal", "most left out", "the lowest between samples"])
def test_the_lowest_values(kind, count):
    values = np.random.default_rng(0).exponential(1, 100_000).astype(np.float32)
    if kind == "equal":
        values[:] = 1
    if kind == "most left out":
        values[1000:] = np.inf
    if kind == "the lowest between samples":
        values[1::6] = 0
    found = likeness.lowest(values, count)
    assert count <= len(set(found)) == len(found) <= 4 * count
    assert values[found].max() <= np.partition(values, len(found) - 1)[len(found) - 1]


def test_like_among_some(lib, rows):
    found = like(lib, rows[3]["path"], "artist == 'Artist 5'", 50)
    assert set(found["artist"].to_pylist()) == {"Artist 5"}
    assert found.num_rows == sum(row["artist"] == "Artist 5" for row in rows)
    assert like(lib, rows[3]["path"], "valence > 5", 50).num_rows == 0


def test_like_no_song_at_all(lib, tmp_path):
    with pytest.raises(InputError, match="not in the library, and no file"):
        like(lib, "nothing.mp3", None, 5)
    (tmp_path / "some.wav").touch()
    with pytest.raises(InputError, match=r"whose model \(test-1\) is not installed"):
        like(lib, str(tmp_path / "some.wav"), None, 5)
    with pytest.raises(InputError, match="not a library; make one"):
        find(tmp_path)
