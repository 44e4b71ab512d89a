"""A Dask cluster such as others have: scheduler and workers as programs of their own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import moodcurve

LOOPBACK = "127.0.0.1"


def own_address() -> str | None:
    """The address of this machine in its network, or None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, only chooses the interface
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


@contextmanager
def started(*command: str, folder: Path, tests: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Run `dask COMMAND` until the end of the block; it finds moodcurve, and the tests if asked."""
    paths = [str(Path(moodcurve.__file__).parents[1])] + tests * [str(Path(__file__).parent)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]",
        "DASK_TEMPORARY_DIRECTORY": str(folder),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *command],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
            process.stderr.close()


@contextmanager
def scheduler(folder: Path, host: str = LOOPBACK) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a scheduler; its address and its process."""
    options = ["--host", host, "--port", "0", "--no-dashboard", "--dashboard-address", ":0"]
    with started("scheduler", *options, folder=folder) as process:
        address = next(line.split()[-1] for line in process.stderr if "Scheduler at:" in line)
        yield address, process


@contextmanager
def worker(address: str, folder: Path, tests: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Run a worker of one thread, started again by its nanny where it dies."""
    options = ["--nthreads", "1", "--no-dashboard"]
    with started("worker", address, *options, folder=folder, tests=tests) as process:
        next(line for line in process.stderr if "Registered to:" in line)
        yield process
