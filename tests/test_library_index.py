import errno
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs moodcurve[library]")

import pyarrow as pa
from pyarrow import compute

from library_songs import made_up_library
from moodcurve import InputError
from moodcurve.library import cli, index, store
from moodcurve.library import like as likeness
from moodcurve.library.find import like
from moodcurve.library.index import open_index, songs_at
from moodcurve.library.places import Job
from moodcurve.library.store import read_part, read_songs, remove_part, write_part
from moodcurve.library.trace import failed
from moodcurve.library.where import parse

SONG = "/music/7/song7.mp3"


@pytest.fixture
def lib(tmp_path):
    folder = tmp_path / "lib"
    made_up_library(folder, 90, part=30)
    return folder


def by_hand(lib, song=SONG, count=9):
    """The songs most like one, by warping all that the parts have, and no index."""
    table = read_songs(lib)
    table = table.filter(compute.is_valid(table["valence"]))
    shapes, paths = likeness.shapes(table), table["path"].to_pylist()
    one = paths.index(song)
    squares = sum((column - column[one]) ** 2 for column in shapes.points)
    squares += likeness.warped(shapes.paths, shapes.paths[one])
    return [paths[k] for k in np.argsort(squares, kind="stable") if k != one][:count]


def asked(lib, song=SONG, count=9, where=None):
    return like(lib, song, where, count, ["path", "title"])["path"].to_pylist()


def test_it_is_used_and_made_once(lib, monkeypatch):
    expected = by_hand(lib)
    assert asked(lib) == expected
    made = (lib / "index.arrow").stat().st_ino
    monkeypatch.setattr(index, "_extended", None)  # whoever makes it anew fails
    assert asked(lib) == expected
    assert (lib / "index.arrow").stat().st_ino == made
    assert not list((lib / "unfinished").iterdir())


def test_rows_and_parts_belong_together(lib):
    opened = open_index(lib)
    table = read_songs(lib)
    assert opened.rows["path"].to_pylist() == table["path"].to_pylist()
    rows = [0, 29, 30, 31, 89, 7]
    found = songs_at(lib, opened, rows, ["title", "arousal"])
    assert found.to_pylist() == table.select(["title", "arousal"]).take(rows).to_pylist()
    np.testing.assert_array_equal(opened.shapes.paths, likeness.shapes(table).paths)


def test_what_the_command_prints_is_read_from_no_part(lib, monkeypatch):
    columns = cli._SHOWN
    slowly = like(lib, SONG, None, 9, [*columns, "title"])
    monkeypatch.setattr(index, "read_rows", None)
    assert like(lib, SONG, None, 9, columns).equals(slowly.select(columns))


def test_only_parts_that_are_new_are_read(lib, monkeypatch):
    asked(lib)
    more = read_part(lib, "part-000002.parquet")
    renamed = [
        entry._replace(row=entry.row | {"path": f"{entry.row['path']}.copy"}) for entry in more
    ]
    write_part(lib, renamed[:20])
    remove_part(lib, "part-000001.parquet")
    read = []
    monkeypatch.setattr(index, "read_rows", lambda *a: read.append(a[1]) or store.read_rows(*a))
    song = more[0].row["path"]
    opened = open_index(lib)
    assert read == ["part-000004.parquet"]
    assert [part.traced for part in opened.parts] == [30, 30, 20]
    monkeypatch.undo()
    assert asked(lib, song) == by_hand(lib, song)
    assert f"{song}.copy" in asked(lib, song, 1)


def test_a_part_that_takes_the_name_of_one_that_is_gone(lib):
    asked(lib)
    entries = read_part(lib, "part-000003.parquet")
    remove_part(lib, "part-000003.parquet")
    assert write_part(lib, entries[5:]) == "part-000003.parquet"
    assert asked(lib, count=99) == by_hand(lib, count=99)
    assert len(asked(lib, count=99)) == 84


def test_songs_that_failed_are_left_out(lib):
    bad = failed(Job("/music/bad.mp3", 5, "6"), "test-1", "not a sound", "ab")
    write_part(lib, [bad, *read_part(lib, "part-000001.parquet")[:3], bad], ["part-000001.parquet"])
    assert len(open_index(lib).rows) == 63
    assert asked(lib, "/music/2/song2.mp3", 99) == by_hand(lib, "/music/2/song2.mp3", 99)
    with pytest.raises(InputError, match="not in the library, and no file"):
        asked(lib, "/music/bad.mp3")


@pytest.mark.parametrize("where", ["valence > 0.2", "title == 'Song 12'", "genre == 'Jazz'"])
def test_among_some(lib, where):
    some = set(store.read_songs(lib, ["path"], parse(where))["path"].to_pylist())
    expected = [path for path in by_hand(lib, count=99) if path in some]
    assert asked(lib, where=where, count=99) == expected
    assert asked(lib, where=where, count=4) == expected[:4]


@pytest.mark.parametrize("harm", ["cut", "empty", "nonsense", "another", "folder", "gone"])
def test_a_damaged_one_is_made_anew(lib, harm):
    expected = by_hand(lib)
    assert asked(lib) == expected
    path = lib / "index.arrow"
    whole = path.read_bytes()
    path.unlink()
    if harm == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif harm == "empty":
        path.touch()
    elif harm == "nonsense":
        path.write_bytes(b"nonsense" * 1000)
    elif harm == "another":
        rows = pa.record_batch({"path": ["a"]}, metadata={"parts": "[]"})
        with pa.ipc.new_file(path, rows.schema) as writer:
            writer.write_batch(rows)
    elif harm == "folder":
        path.mkdir()
    assert asked(lib) == expected
    assert harm == "folder" or path.read_bytes() == whole


def test_where_it_cannot_be_written(lib, monkeypatch):
    expected = by_hand(lib)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        assert asked(lib) == expected
    assert not (lib / "index.arrow").exists() and not list((lib / "unfinished").iterdir())
    (lib / "unfinished").rmdir()
    assert asked(lib) == expected
    assert not (lib / "index.arrow").exists()


def test_processes_at_once(lib):
    expected = by_hand(lib)
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        for found in pool.map(asked, [lib] * 9):
            assert found == expected
    assert not list((lib / "unfinished").iterdir())
    assert open_index(lib).rows.num_rows == 90


def test_no_songs(tmp_path):
    made_up_library(tmp_path / "lib", 3)
    remove_part(tmp_path / "lib", "part-000001.parquet")
    assert open_index(tmp_path / "lib").rows.num_rows == 0
    assert asked(tmp_path / "lib") == asked(tmp_path / "lib", where="valence > 0") == []
    with pytest.raises(InputError, match="not a library; make one"):
        open_index(tmp_path)


def test_a_damaged_part_is_said(lib):
    asked(lib)
    part = lib / "songs" / "part-000002.parquet"
    part.write_bytes(part.read_bytes()[:1000])
    for where in (None, "valence > 0"):
        with pytest.raises(InputError, match=r"a part cannot be read .*; scan again"):
            asked(lib, where=where)
