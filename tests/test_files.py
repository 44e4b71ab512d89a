import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from moodcurve.errors import InputError, Unfinished
from moodcurve.files import check_folder, replacing, reserved


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_and_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "new.csv"
    with replacing(path) as part:
        part.write_text("all of it")
        assert part.parent == path.parent
        assert part.suffix == ".csv"
        assert part.name.startswith(".")
        assert not path.exists()
    assert path.read_text() == "all of it"
    assert names(path.parent) == ["new.csv"]


def test_a_file_is_replaced_at_the_end(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with path.open() as reader:
        with replacing(path) as part:
            part.write_text("new")
            assert path.read_text() == "old"
        assert reader.read() == "old"  # whoever was reading is not disturbed
    assert path.read_text() == "new"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, InputError])
def test_whatever_stops_the_writing_leaves_the_old_file_alone(tmp_path, failure):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(failure), replacing(path) as part:
        part.write_text("ne")
        raise failure("stop")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_a_full_disk_is_an_input_error(tmp_path):
    path = tmp_path / "x.txt"
    message = r"x\.txt: cannot be written \(No space left on device\); make room$"
    with pytest.raises(Unfinished, match=message), replacing(path) as part:
        part.write_text("ha")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_what_is_no_file_stays(tmp_path):
    """As /dev/null would be, which root may replace."""
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="a device or pipe"), replacing(tmp_path / "pipe.txt"):
        pass
    assert (tmp_path / "pipe.txt").is_fifo() and names(tmp_path) == ["pipe.txt"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "x.txt"
    with replacing(path) as one:
        one.write_text("one")
        with replacing(path) as two:
            two.write_text("two")
        assert path.read_text() == "two"
    assert path.read_text() == "one"
    assert names(tmp_path) == ["x.txt"]


def test_the_longest_name_there_is(tmp_path):
    path = tmp_path / ("x" * 251 + ".csv")
    with replacing(path) as part:
        part.write_text("long")
    assert path.read_text() == "long"


@pytest.mark.parametrize("place", ["file/x.csv", "file/sub/x.csv", "folder", "y" * 256 + ".csv"])
def test_no_file_can_be_there(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    message = r": cannot be written \(.+\); choose another place$"
    with pytest.raises(InputError, match=message) as caught, replacing(tmp_path / place) as part:
        part.write_text("text")
    assert str(caught.value).startswith(f"{tmp_path / place}: ")
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == []


def test_check_folder(tmp_path):
    check_folder(tmp_path / "a" / "b")
    check_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").touch()
    for bad in (tmp_path / "file", tmp_path / "file" / "sub", Path("/proc/none")):
        with pytest.raises(InputError, match=rf"^{bad}: cannot be written"):
            check_folder(bad)


def nameless():
    """Bytes on disk of the files without a name that this process has open."""
    total = 0
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own
            status = path.stat()  # through the link: of the file itself
            total += 512 * status.st_blocks if status.st_nlink == 0 else 0
    return total


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no such list of open files")
def test_room_is_held_and_given_back(tmp_path):
    before = nameless()
    with reserved(tmp_path, 16_000_000):
        assert nameless() - before >= 16_000_000
        assert names(tmp_path) == []
    assert nameless() == before


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no room can be held here")
def test_no_room(tmp_path):
    """For an exabyte, on any disk there is."""
    message = (
        rf"^{tmp_path}: no room for 1000000000000 MB \(.*\); make room or choose another place$"
    )
    with pytest.raises(InputError, match=message), reserved(tmp_path, 10**18):
        raise AssertionError
    assert names(tmp_path) == []


def test_where_no_room_can_be_held(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    for held in (False, True):
        monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
        if not held:
            monkeypatch.delattr(os, "posix_fallocate")
        with reserved(tmp_path, 10**18):
            pass


def test_an_error_beside_held_room_goes_its_way(tmp_path):
    with pytest.raises(OSError, match="own"), reserved(tmp_path, 10):
        raise OSError(errno.ENOSPC, "its own")
