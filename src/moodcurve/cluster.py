"""Long work, spread over processes of this machine or over a Dask cluster of many.

    with workers(jobs=4) as distribute:  # or workers(scheduler="tcp://head:8786")
        for job, result in distribute(function, jobs, *shared):
            ...

`function(job, *shared)` runs on a worker. What is `shared` is sent to each worker once, to those
that join later too. A job whose worker dies is done again on another; one that kills its worker
each time is named when all others are done. (`workers.py` has what the light core needs: processes
without Dask, whose death ends the work.)
"""

import asyncio
import logging
import os
import socket
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count, islice
from multiprocessing import resource_tracker
from typing import Any, Protocol, TypeVar

import dask
from distributed import (
    Client,
    Future,
    KilledWorker,
    LocalCluster,
    Security,
    WorkerPlugin,
    get_worker,
    wait,
)
from distributed.comm.addressing import get_address_host_port
from distributed.core import rpc
from distributed.protocol.pickle import dumps, loads
from distributed.system import MEMORY_LIMIT
from distributed.utils import silence_logging_cmgr
from tqdm import tqdm

from moodcurve import __version__
from moodcurve.errors import InputError, JobsKilled, Unfinished
from moodcurve.workers import interrupts_later

Job = TypeVar("Job")
Result = TypeVar("Result")

_PATIENCE = 5  # seconds after which a scheduler counts as out of reach
_LOOK = 2  # seconds after which workers that have joined get work, at the latest
_ALONE = 5  # times as long is waited for a worker before it is said that there is none
_LOCAL = {
    "distributed.scheduler.allowed-failures": 2,  # a job is tried on three workers
    # Memory belongs to the jobs, not to Dask's results: nothing to move to disk, no use in waiting.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.scheduler.http.routes": [],  # no pages
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    # At their defaults these two take 1 % of a processor, in each process.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}


class Distribute(Protocol):
    """Distributes function(job, *shared) over workers; yields (job, result), the first done first.

    There are never more jobs under way than workers have threads, so that `jobs` may be endless.
    What a job raises is raised here.
    """

    def __call__(
        self, function: Callable[..., Result], jobs: Iterable[Job], *shared: Any
    ) -> Iterator[tuple[Job, Result]]:
        """See the class."""


def check_workers(jobs: int | None, scheduler: str | None) -> None:
    """Raise InputError where `workers` would, as far as that can be told without starting any."""
    if jobs is not None and scheduler is not None:
        raise InputError("--jobs and --scheduler: give one of them")
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: give at least 1")


@contextmanager
def workers(jobs: int | None = None, scheduler: str | None = None) -> Iterator[Distribute]:
    """Start `jobs` worker processes here, one a core by default, or use those of a `scheduler`.

    Those here are of one thread each, share the memory of the machine evenly, are started again
    where they die, and end with the block. They listen on the loopback interface only, to those
    who hold a key made for them, so that no other user of the machine can give them work.

    Raises InputError where the scheduler cannot be reached or has no workers.
    """
    check_workers(jobs, scheduler)
    with silence_logging_cmgr(logging.CRITICAL):
        if scheduler is not None:
            with _connected(scheduler) as client:
                yield partial(_distribute, client)
        else:
            with _local(jobs or os.cpu_count() or 1) as cluster, _client(cluster) as client:
                yield partial(_distribute, client)


def one_a_core(
    function: Callable[..., Result], jobs: Iterable[Job], *shared: Any
) -> Iterator[tuple[Job, Result]]:
    """Distribute over workers of this machine, one a core, that end with the work."""
    with workers() as distribute:
        yield from distribute(function, jobs, *shared)


@contextmanager
def _local(processes: int) -> Iterator[LocalCluster]:
    resource_tracker.ensure_running()  # else it lets Ctrl-C through to workers as it starts
    with dask.config.set(_LOCAL), ExitStack() as stack:
        with interrupts_later():
            cluster = LocalCluster(
                n_workers=processes,
                threads_per_worker=1,
                memory_limit=MEMORY_LIMIT // processes,
                security=True,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any port, not 8787
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(cluster)
        yield cluster


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        socket.create_connection(get_address_host_port(address), _PATIENCE).close()  # tells at once
        asyncio.run(_ask(address))  # a client would wait for ever for a stranger's answer
    except Exception as error:  # whatever that answer leads to
        raise InputError(
            f"--scheduler {address}: no Dask scheduler answers ({_reason(error)}); give the "
            "address that `dask scheduler` prints as it starts"
        ) from None
    with _client(address) as client:
        with _cluster_there(client):
            client.run_on_scheduler(_is_there)
            with suppress(TimeoutError):
                client.wait_for_workers(1, _PATIENCE)
            if not client.nthreads():
                raise InputError(
                    f"--scheduler {address}: no workers; start some with `dask worker {address}`"
                )
        yield client


async def _ask(address: str) -> None:
    credentials = Security().get_connection_args("client")
    async with asyncio.timeout(_PATIENCE), rpc(address, connection_args=credentials) as scheduler:
        await scheduler.identity()


def _client(where: str | LocalCluster) -> Client:
    return Client(where, timeout=_PATIENCE, set_as_default=False)


def _reason(error: Exception) -> str:
    lines = (getattr(error, "strerror", None) or str(error)).splitlines()
    return lines[0] if lines else type(error).__name__


class _Shared(WorkerPlugin):
    """What the jobs of one `distribute` have in common, kept by each worker."""

    def __init__(self, values: Sequence[Any]):
        self.values = values


def _do(work: bytes, name: str, version: str) -> Any:
    worker = get_worker()
    if version != __version__:
        raise InputError(
            f"worker {worker.address}: has moodcurve {__version__}, here is {version}; "
            "install the same"
        )
    function, job = loads(work)
    shared = worker.plugins[name]
    assert isinstance(shared, _Shared)
    return function(job, *shared.values)


def _is_there() -> None:
    """Nothing; where it can be called, there is moodcurve."""


def _distribute(
    client: Client, function: Callable[..., Result], jobs: Iterable[Job], *shared: Any
) -> Iterator[tuple[Job, Result]]:
    name = f"moodcurve-{uuid.uuid4().hex}"
    waiting, numbers = iter(jobs), count()
    running: dict[Future[Any], Job] = {}
    done: list[tuple[Job, Result]] = []
    killed: list[Job] = []
    alone = 0
    try:
        with _cluster_there(client):
            client.register_plugin(_Shared(shared), name)
        while True:
            with _cluster_there(client):
                # The scheduler is given no more than is begun at once: it would hold all that waits
                # behind a job that kills its worker to be suspect as well.
                threads = sum(client.nthreads().values())
                alone = 0 if threads else alone + 1
                if alone == _ALONE:
                    tqdm.write("moodcurve: no workers left; waiting until one joins", sys.stderr)
                free = max(1, threads) - len(running)
                for job in islice(waiting, max(0, free)):
                    key = f"{name}-{next(numbers)}"
                    work = dumps((function, job))  # the scheduler need not import what is meant
                    future = client.submit(_do, work, name, __version__, key=key)
                    running[future] = job
            yield from done  # while the workers go on
            if not running:
                break
            done = []
            try:
                with _cluster_there(client):
                    for result in _results(client, running, killed):
                        done.append(result)
            except Exception:
                yield from done  # what was done at the same time is not lost
                raise
    finally:
        if client.status == "running":  # else there is no scheduler any more
            with suppress(OSError):
                client.cancel(list(running))
                client.unregister_worker_plugin(name)
    if killed:
        raise JobsKilled(killed)


def _results(
    client: Client, running: dict[Future[Any], Job], killed: list[Job]
) -> Iterator[tuple[Job, Any]]:
    """Wait a little for results; take what is done out of `running`. An error comes last."""
    try:
        with client.as_current():
            finished = wait(list(running), _LOOK, "FIRST_COMPLETED").done
    except TimeoutError:
        return
    failed = None
    for future in finished:
        job = running.pop(future)
        try:
            result = future.result()
        except KilledWorker:
            killed.append(job)
        except Exception as error:
            failed = error
        else:
            yield job, result
    if failed:
        raise failed


@contextmanager
def _cluster_there(client: Client) -> Iterator[None]:
    """Say so where the scheduler goes away in the block, or has other programs than needed."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"the Dask cluster has no {error.name}; install what is installed here, "
            "in the same versions, for its scheduler and workers"
        ) from None
    except (CancelledError, OSError) as error:
        if isinstance(error, OSError) and client.status == "running":
            raise  # a job's own
        address = client.scheduler.address if client.scheduler else ""
        raise Unfinished(f"the Dask scheduler {address} has gone away") from None
