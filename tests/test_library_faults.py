"""What must not cost a song. MOODCURVE_KILLS=20 kills as often, for a few minutes."""

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs moodcurve[library]")

import library_songs
from library_songs import content_of, hostile, make_songs, quick, replaced_once, restless
from moodcurve import InputError
from moodcurve.library import store
from moodcurve.library.find import find
from moodcurve.library.scan import scan
from moodcurve.library.store import locked, part_names, read_songs
from moodcurve.library.trace import sha256

KILLS = int(os.environ.get("MOODCURVE_KILLS", "3"))
NOBODY = 65534


@pytest.fixture(autouse=True)
def _one_process(one_process):
    """For all scans in this process."""


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    make_songs(folder, 30, seconds=0.1)
    return folder


@pytest.fixture(scope="module")
def undisturbed(music, tmp_path_factory):
    lib = tmp_path_factory.mktemp("undisturbed") / "lib"
    quickly(music, lib)
    return content_of(lib)


def quickly(source, lib, **more):
    return scan([str(source)], lib, **{"jobs": 1, "tracer": quick, **more})


def errors(lib):
    rows = read_songs(lib).to_pylist()
    return {Path(row["path"]).stem: row["error"] for row in rows if row["error"]}


def test_hanging_and_crashing_decoders(tmp_path):
    music, lib = tmp_path / "music", tmp_path / "lib"
    names = ("bug", "crash", "exit", "good", "hang", "unreadable")
    for name, path in zip(names, make_songs(music, 6), strict=True):
        path.rename(music / f"{name}.wav")
    began = time.monotonic()
    assert quickly(music, lib, tracer=hostile, patience=3)[:2] == (1, 5)
    assert time.monotonic() - began < 30
    assert errors(lib) == {
        "bug": "ZeroDivisionError: a bug",
        "crash": "decoding it crashed (SIGSEGV), 2 times; convert the song",
        "exit": "decoding it crashed (exit code 7), 2 times; convert the song",
        "hang": "decoding it hangs (no sign of life for 3 s); convert the song",
        "unreadable": "cannot be read; check its rights",
    }
    # What the content is to blame for is not tried again as long as it is the same.
    assert quickly(music, lib, tracer=hostile, patience=3)[:3] == (0, 2, 4)


def test_replaced_while_it_is_read(tmp_path):
    (path,) = make_songs(tmp_path / "music", 1)
    quickly(tmp_path / "music", tmp_path / "lib", tracer=replaced_once)
    (row,) = read_songs(tmp_path / "lib").to_pylist()
    assert row["error"] is None and row["content"] == sha256(path)
    assert path.with_suffix(".done").read_text() == "1"
    quickly(tmp_path / "music", tmp_path / "other", tracer=restless)
    assert "changed while it was read" in errors(tmp_path / "other")["song000"]


def test_two_scans_at_once(music, tmp_path):
    quickly(music, tmp_path / "lib")
    with (
        locked(tmp_path / "lib"),
        pytest.raises(InputError, match=rf"another scan is at work here \(process {os.getpid()} "),
    ):
        quickly(music, tmp_path / "lib")
    assert quickly(music, tmp_path / "lib").unchanged == 30


@pytest.mark.parametrize("table", ["songs", "curves"])
@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_a_part_cut_short(music, undisturbed, tmp_path, table, share):
    lib = tmp_path / "lib"
    quickly(music, lib)
    path = lib / table / part_names(lib)[0]
    os.truncate(path, int(share * path.stat().st_size))
    if table == "songs":
        with pytest.raises(InputError, match=r"cannot be read .*scan again"):
            find(lib)
    tally = quickly(music, lib)
    assert tally.traced == 30 and tally.damaged_parts == 1
    assert content_of(lib) == undisturbed


@pytest.mark.parametrize("table", ["songs", "curves"])
def test_a_file_of_a_part_is_missing(music, undisturbed, tmp_path, table):
    lib = tmp_path / "lib"
    quickly(music, lib)
    (lib / table / part_names(lib)[0]).unlink()
    assert quickly(music, lib).traced == 30
    assert content_of(lib) == undisturbed


def test_killed_between_a_new_part_and_the_end_of_the_old(
    music, undisturbed, tmp_path, monkeypatch
):
    lib = tmp_path / "lib"
    quickly(music, lib)
    copy = {path: path.read_bytes() for path in lib.glob("*/*.parquet")}
    first = next(music.iterdir())
    status = first.stat()
    os.utime(first, (5, 5))
    assert quickly(music, lib).traced == 0
    os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns))
    for path, content in copy.items():  # the old part is there again
        path.write_bytes(content)
    assert read_songs(lib).num_rows == 60
    quickly(music, lib)
    assert content_of(lib) == undisturbed


@pytest.mark.skipif(os.name == "nt", reason="no limits of a process")
def test_disk_full(music, undisturbed, tmp_path):
    """As far as the scan sees it: the system refuses to write on."""
    lib = tmp_path / "lib"
    limit = (10_000, 10_000)  # bytes of a file
    with started(
        music, lib, "1", before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    ) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot be written (File too large)" in out and "Traceback" not in out
    assert not list((lib / "unfinished").iterdir())
    assert quickly(music, lib).failed == 0
    assert content_of(lib) == undisturbed


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can be another user")
def test_permission_lost():
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        top.chmod(0o777)
        music, lib = top / "music", top / "lib"
        songs = make_songs(music, 2)
        (hidden,) = make_songs(music / "sub", 1)
        assert quickly(music, lib).traced == 3
        (music / "sub").chmod(0)
        songs[0].chmod(0)
        with (
            as_nobody(),
            pytest.raises(InputError, match=r"^/.*: cannot be read .Permission denied"),
        ):
            sha256(songs[0])
        with as_nobody(), pytest.raises(InputError, match=r"lib: cannot be written .Permission"):
            quickly(music, lib)
        for path in [lib, *lib.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        with as_nobody():
            tally = quickly(music, lib)
        assert [str(problem) for problem in tally.problems] == [
            f"{music / 'sub'}: Permission denied; check its rights"
        ]
        assert (tally.failed, tally.gone, tally.unchanged) == (0, 0, 2)
        assert str(hidden) in read_songs(lib)["path"].to_pylist()  # not seen is not gone
        with as_nobody():  # as a source of its own, too
            tally = scan([str(hidden), str(songs[1])], lib, jobs=1, tracer=quick)
        assert (tally.gone, tally.unchanged) == (0, 1)
        assert [str(problem) for problem in tally.problems] == [
            f"{hidden}: Permission denied; check its rights"
        ]
        before = {path: path.read_bytes() for path in (lib / "songs").iterdir()}
        (lib / "songs").chmod(0o300)  # what cannot be listed is not empty
        new = make_songs(top / "more", 1)
        with as_nobody():
            for read in (lambda: read_songs(lib), lambda: quickly(new[0].parent, lib)):
                with pytest.raises(InputError, match=r"cannot be read .* check its rights$"):
                    read()
        assert {path: path.read_bytes() for path in (lib / "songs").iterdir()} == before


def test_a_scan_that_rewrites_parts_disturbs_no_reader(music, tmp_path, monkeypatch):
    """Each time a part has been listed it is gone before it is read, four times over."""
    lib = tmp_path / "lib"
    quickly(music, lib)
    expected = read_songs(lib).to_pylist()
    listed, parts = [], store.part_names

    def rewritten(folder):
        names = parts(folder)
        listed.append(names)
        if len(listed) < 5:
            for name in names:
                number = f"part-{len(listed) + 1:06d}.parquet"
                for table in ("songs", "curves"):
                    (folder / table / name).rename(folder / table / number)
        return names

    monkeypatch.setattr(store, "part_names", rewritten)
    assert read_songs(lib).to_pylist() == expected
    assert len(listed) == 5
    monkeypatch.setattr(store, "part_names", lambda folder: ["part-000099.parquet"])
    with pytest.raises(InputError, match="a part cannot be read"):
        read_songs(lib)


@contextmanager
def as_nobody():
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def started(music, lib, where, tracer="slow", before=None):
    """Run a scan as a program of its own; it is killed at the end of the block."""
    paths = [str(Path(library_songs.__file__).parent), *sys.path]
    command = [sys.executable, library_songs.__file__, str(music), str(lib), where, tracer]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        preexec_fn=before,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


needs_kill = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")


def wait_for_parts(lib, count):
    began = time.monotonic()
    while len(part_names(lib)) < count and time.monotonic() - began < 60:
        time.sleep(0.02)


@needs_kill
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_scanner_is_killed(music, undisturbed, tmp_path, jobs):
    lib = tmp_path / "lib"
    draw = random.Random(int(jobs))
    for kill in range(KILLS if jobs == "1" else KILLS // 2):
        with started(music, lib, jobs) as process:
            wait_for_parts(lib, min(9, len(part_names(lib)) + kill % 2))
            time.sleep(draw.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
    began = time.monotonic()
    while "still":  # its workers let go of nothing but the processor
        try:
            quickly(music, lib)
            break
        except InputError:
            assert time.monotonic() - began < 60
            time.sleep(0.1)
    assert content_of(lib) == undisturbed


@needs_kill
def test_workers_are_killed(music, undisturbed, tmp_path):
    pytest.importorskip("distributed", reason="needs moodcurve[cluster]")
    draw, killed, runs = random.Random(0), 0, 0
    while killed < KILLS:
        lib = tmp_path / f"lib{runs}"
        runs += 1
        with started(music, lib, "2") as process:
            wait_for_parts(lib, 1)
            while killed < KILLS and process.poll() is None:
                if victims := _workers_of(process.pid):
                    draw.choice(victims).kill()
                    killed += 1
                time.sleep(draw.uniform(0.8, 1.2))
            out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out
        quickly(music, lib)  # one may have been hit twice
        assert content_of(lib) == undisturbed


def _workers_of(pid):
    """The workers of a scan, and the processes in which they decode."""
    import psutil

    with suppress(psutil.Error):
        children = psutil.Process(pid).children(recursive=True)
        commands = [(child, " ".join(_command(child))) for child in children]
        return [c for c, text in commands if "spawn_main" in text or "library.isolated" in text]
    return []


def _command(process):
    import psutil

    try:
        return process.cmdline()
    except psutil.Error:
        return []


@needs_kill
def test_workers_leave_and_join_and_the_scheduler_is_killed(music, undisturbed, tmp_path):
    """Over the network interface of this machine, if it has one."""
    pytest.importorskip("distributed", reason="needs moodcurve[cluster]")
    from dask_cluster import LOOPBACK, own_address, scheduler, worker

    host, lib = own_address() or LOOPBACK, tmp_path / "lib"
    for kill in range(max(1, KILLS // 3)):
        with scheduler(tmp_path, host) as (address, leader), worker(address, tmp_path):
            with started(music, lib, address) as process:
                wait_for_parts(lib, min(8, kill + 1))
                leader.kill()
                out, _ = process.communicate(timeout=60)
            assert process.returncode == 1 and "has gone away" in out and "scan again" in out
    assert 0 < read_songs(lib).num_rows < 30
    with (
        scheduler(tmp_path, host) as (address, _),
        worker(address, tmp_path) as leaves,
        started(music, lib, address) as process,
    ):
        wait_for_parts(lib, len(part_names(lib)) + 1)
        with worker(address, tmp_path):
            leaves.kill()
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 0, out
    assert content_of(lib) == undisturbed
