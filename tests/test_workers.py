import math
import os
import signal
import subprocess
import sys
import time

import pytest

from moodcurve.workers import in_processes


def test_results_in_order():
    assert list(in_processes(math.factorial, range(7))) == [1, 1, 2, 6, 24, 120, 720]


def test_an_error_in_a_process_is_raised_here():
    results = in_processes(math.sqrt, [4.0, -1.0, 9.0])
    assert next(results) == 2
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        next(results)


def test_leaving_early_ends_the_processes():
    results = in_processes(time.sleep, [0.0] + 50 * [60.0], print, ("",))
    next(results)
    start = time.perf_counter()
    results.close()
    assert time.perf_counter() - start < 10


SCRIPT = """
import time
from moodcurve.workers import in_processes
print("ready", flush=True)
try:
    list(in_processes(time.sleep, [60.0] * 9))
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.skipif(os.name == "nt", reason="no process groups to signal")
@pytest.mark.parametrize("delay", [0.05, 1.5])
def test_ctrl_c_ends_everything_quietly(delay):
    """As a terminal does it: the signal goes to all processes."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)  # while processes start, and when they are at work
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=50)
    assert (out, err, process.returncode) == ("stopped\n", "", 0)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_processes_end_with_a_killed_parent():
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1.5)  # until the processes are at work
        process.kill()
        # The pipes end when the last process that holds them has: well before the jobs are done.
        process.communicate(timeout=50)


def test_the_number_of_processes():
    pids = set(in_processes(_pid, range(6), processes=1))
    assert len(pids) == 1 and os.getpid() not in pids


def _pid(job):
    return os.getpid()
