import itertools
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import numpy as np
import pytest

pytest.importorskip("distributed", reason="needs moodcurve[cluster]")

import psutil

from dask_cluster import LOOPBACK, own_address, scheduler, worker
from moodcurve import InputError, cluster
from moodcurve.cluster import JobsKilled, workers
from moodcurve.errors import Unfinished

needs_kill = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")


@pytest.fixture(scope="module")
def distribute():
    """Two workers on this machine."""
    with workers(2) as distribute:
        yield distribute


def squared(job, *shared):
    return job * job + sum(shared)


def slowly(job, *shared):
    time.sleep(job)
    return os.getpid(), *shared


def one_dies(job, dying, once=None):
    """Kill the worker at the job `dying`; if there is a path, only while nothing is there."""
    if job == dying and not (once and once.exists()):
        if once:
            once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job * job


def test_each_job_once_with_what_is_shared(distribute):
    results = list(distribute(squared, range(20), 3, 4))
    assert len(results) == 20
    assert dict(results) == {job: job * job + 7 for job in range(20)}
    assert list(distribute(squared, [])) == []


def test_large_arrays_are_shared(distribute):
    large = np.random.default_rng(0).random(2_000_000)
    expected = large.sum()
    assert [result for _, result in distribute(summed, range(4), large)] == 4 * [expected]


def summed(job, array):
    return array.sum()


def test_the_first_done_comes_first(distribute):
    assert [job for job, _ in distribute(slowly, [1.0, 0.0])] == [0.0, 1.0]


def test_each_worker_is_a_process_of_one_thread(distribute):
    results = [result for _, result in distribute(slowly, [0.3] * 6)]
    pids = {pid for (pid,) in results}
    assert len(pids) == 2
    assert os.getpid() not in pids
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    assert [value for _, value in distribute(os.getenv, variables)] == ["1", "1", "1"]


def test_jobs_without_end_are_taken_as_workers_are_free(distribute):
    taken = []

    def jobs():
        for number in itertools.count():
            taken.append(number)
            yield number

    results = distribute(squared, jobs())
    for _ in range(10):
        next(results)
    results.close()
    assert len(taken) <= 10 + 2 + 2  # what workers do, and what is done but not asked for


def test_an_error_in_a_job_is_raised_here(distribute):
    with pytest.raises(ZeroDivisionError):
        list(distribute(divided, [1, 0]))
    with pytest.raises(FileNotFoundError):  # not taken for a scheduler that has gone
        list(distribute(open, ["/there/is/no/such/file"]))
    with pytest.raises(InputError, match=r"^song\.wav: unreadable$"):
        list(distribute(refused, [1]))


@pytest.mark.parametrize("failing", [-1.0, -2.0])
def test_what_is_done_as_another_job_fails_is_not_lost(distribute, failing):
    done = []
    with pytest.raises(ValueError, match="sleep length must be non-negative"):
        for job, _ in distribute(slowly, [0.0, 0.1, failing]):
            done.append(job)
            time.sleep(2)  # until both others have ended
    assert sorted(done) == [0.0, 0.1]


def divided(job):
    return 1 / job


def refused(job):
    raise InputError("song.wav: unreadable")


@needs_kill
def test_a_killed_worker_costs_its_job_alone(distribute, tmp_path):
    """It is done again, by a worker that has what is shared."""
    results = list(distribute(one_dies, range(8), 5, tmp_path / "died"))
    assert (tmp_path / "died").exists()
    assert sorted(results) == [(job, job * job) for job in range(8)]


@needs_kill
def test_the_only_worker_is_killed(tmp_path):
    with workers(1) as distribute:
        results = list(distribute(one_dies, range(4), 1, tmp_path / "died"))
    assert sorted(results) == [(job, job * job) for job in range(4)]


@needs_kill
def test_a_job_that_kills_each_worker_is_named_and_no_other(distribute):
    done = []
    with pytest.raises(JobsKilled, match=r"^7: killed each worker that tried") as caught:
        for result in distribute(one_dies, range(15), 7):
            done.append(result)
    assert caught.value.jobs == [7]
    assert sorted(done) == [(job, job * job) for job in range(15) if job != 7]
    assert len(list(distribute(squared, range(4)))) == 4  # the workers are there again


def test_leaving_early_frees_the_workers():
    start = time.perf_counter()
    with workers(1) as distribute:
        results = distribute(slowly, [0.0] + 9 * [60.0])
        next(results)
        results.close()
    assert time.perf_counter() - start < 20


def test_no_other_user_can_give_work(distribute):
    """Listening on the loopback interface only, and to those who hold the key."""
    mine = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [
        connection.laddr
        for process in mine
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {address.ip for address in listening} == {LOOPBACK}
    for address in listening:
        for kind in ("tcp", "tls"):
            with pytest.raises(InputError, match="no Dask scheduler answers"):
                with_short_patience(f"{kind}://{LOOPBACK}:{address.port}")


def with_short_patience(address, seconds=2):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "_PATIENCE", seconds)
        with workers(scheduler=address):
            pass


# Refused


def test_wrong_numbers():
    with pytest.raises(InputError, match="--jobs 0: give at least 1"), workers(0):
        pass
    with pytest.raises(InputError, match="give one of them"), workers(2, "tcp://127.0.0.1:8786"):
        pass


@pytest.mark.parametrize("address", ["", "head", "tcp://head:port", "foo://127.0.0.1:1"])
def test_not_an_address(address):
    with pytest.raises(InputError, match=f"^--scheduler {address}: ") as caught:
        with_short_patience(address)
    assert "\n" not in str(caught.value)


def test_nobody_listens():
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"no Dask scheduler answers \(Connection refused\)"):
        with_short_patience(f"tcp://{LOOPBACK}:{port}", seconds=30)
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", None])
def test_something_else_listens(greeting):
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve():
            held = []
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                if greeting is None:
                    connection.close()
                else:
                    connection.sendall(greeting)
                    held.append(connection)

        threading.Thread(target=serve, daemon=True).start()
        start = time.perf_counter()
        with pytest.raises(InputError, match="no Dask scheduler answers"):
            with_short_patience(f"{LOOPBACK}:{server.getsockname()[1]}")
        assert time.perf_counter() - start < 10


# Clusters of others


def test_an_existing_cluster(tmp_path, monkeypatch):
    """Over the machine's network; workers join, die and leave; then the scheduler goes away."""
    monkeypatch.setattr(cluster, "_PATIENCE", 2)
    host = own_address() or LOOPBACK
    with scheduler(tmp_path, host) as (address, process), ExitStack() as stack:
        with pytest.raises(InputError, match=f"no workers; start some with `dask worker {address}"):
            with_short_patience(address)
        first = stack.enter_context(worker(address, tmp_path))
        with workers(scheduler=address) as distribute:
            expected = {job: job * job + 7 for job in range(20)}
            assert dict(distribute(squared, range(20), 3, 4)) == expected

            results = distribute(slowly, [0.3] * 20, "shared")
            pids = {next(results)[1]}
            stack.enter_context(worker(address, tmp_path))
            pids |= {result for _, result in results}
            assert len(pids) == 2  # the one that joined had what is shared too
            assert {shared for _, shared in pids} == {"shared"}

            died = tmp_path / "died"
            assert sorted(distribute(one_dies, range(8), 5, died)) == [
                (job, job * job) for job in range(8)
            ]
            with pytest.raises(JobsKilled, match=r"^7: "):
                list(distribute(one_dies, range(9), 7))

            results = distribute(slowly, [0.2] * 20)
            next(results)
            first.terminate()  # as a queueing system does it
            assert len(list(results)) == 19

            results = distribute(slowly, [0.2] * 20)
            next(results)
            process.kill()
            start = time.perf_counter()
            with pytest.raises(Unfinished, match=f"^the Dask scheduler {address} has gone away$"):
                list(results)
            with pytest.raises(Unfinished, match="has gone away"):
                list(distribute(squared, range(4)))
        assert time.perf_counter() - start < 60


def test_a_cluster_whose_workers_have_all_gone(tmp_path, monkeypatch, capsys):
    """It is said, and what is left is done when one joins."""
    monkeypatch.setattr(cluster, "_LOOK", 0.2)
    with scheduler(tmp_path) as (address, _), ExitStack() as stack:
        first = stack.enter_context(worker(address, tmp_path))
        with workers(scheduler=address) as distribute:
            results = distribute(slowly, [0.1] * 6)
            next(results)
            first.terminate()
            first.wait()
            rest = []
            waiting = threading.Thread(target=lambda: rest.extend(results))
            waiting.start()
            said, end = "", time.monotonic() + 60
            while "no workers left; waiting until one joins\n" not in said:
                assert time.monotonic() < end
                time.sleep(0.1)
                said += capsys.readouterr().err
            stack.enter_context(worker(address, tmp_path))
            waiting.join(60)
        assert len(rest) == 5


def test_a_cluster_without_the_program(tmp_path, monkeypatch):
    """Its workers do not find this file; then its scheduler does not find moodcurve."""
    with (
        scheduler(tmp_path) as (address, _),
        worker(address, tmp_path, tests=False),
        workers(scheduler=address) as distribute,
    ):
        assert sorted(distribute(math.factorial, range(4))) == [(0, 1), (1, 1), (2, 2), (3, 6)]
        with pytest.raises(InputError, match="the Dask cluster has no test_cluster; install"):
            list(distribute(squared, range(4)))
        monkeypatch.setattr(cluster, "_is_there", squared)
        with pytest.raises(InputError, match="has no test_cluster"), workers(scheduler=address):
            pass


def test_workers_of_another_version_are_refused(distribute, monkeypatch):
    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    with pytest.raises(InputError, match=r"worker tls://.*, here is 0\.0\.1; install the same"):
        list(distribute(squared, range(4)))


# Ended from outside

SCRIPT = """
import time
from moodcurve.cluster import workers
def main():
    print("ready", flush=True)
    try:
        with workers(2) as distribute:
            print("started", flush=True)
            list(distribute(time.sleep, [60.0] * 9))
    except KeyboardInterrupt:
        print("stopped", flush=True)
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process


@pytest.mark.skipif(os.name == "nt", reason="no process groups to signal")
@pytest.mark.parametrize("at_work", [False, True])
def test_ctrl_c_ends_everything_quietly(script, at_work):
    """As a terminal does it: the signal goes to all processes."""
    if at_work:
        assert script.stdout.readline() == "started\n"
    time.sleep(0.7)  # while workers start, and when they are at work
    os.killpg(script.pid, signal.SIGINT)
    out, err = script.communicate(timeout=50)
    assert (out.removeprefix("started\n"), err, script.returncode) == ("stopped\n", "", 0)


@needs_kill
def test_workers_end_with_a_killed_parent(script):
    assert script.stdout.readline() == "started\n"
    time.sleep(0.5)
    script.kill()
    script.communicate(timeout=50)  # the pipes end with the last process that holds them
