"""Long work as tasks of Ray, behind the same interface as `moodcurve.cluster`.

with ray_workers("ray:auto") as distribute:
    for job, result in distribute(function, jobs, *shared):
        ...
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from moodcurve.errors import InputError, JobsKilled, Unfinished

if TYPE_CHECKING:
    from moodcurve.cluster import Distribute

PREFIX = "ray:"
_PATIENCE = 10  # seconds after which a cluster counts as out of reach
_RETRIES = 2  # of a job whose worker dies
_LOOK = 2  # seconds after which workers that have joined get work, at the latest


@contextmanager
def ray_workers(scheduler: str) -> Iterator[Distribute]:
    """Use the workers of a Ray cluster: "ray:auto", "ray:HOST:PORT" or "ray://HOST:PORT".

    Raises InputError where Ray is not installed or no cluster answers.
    """
    try:
        import ray
    except ImportError:
        raise InputError(f"--scheduler {scheduler}: needs Ray; run: pip install ray") from None
    address = scheduler if scheduler.startswith("ray://") else scheduler.removeprefix(PREFIX)
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if host:  # Ray itself takes minutes to say that nobody is there
            socket.create_connection((host, int(port)), _PATIENCE).close()
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(f"--scheduler {scheduler}: no Ray cluster answers ({reason})") from None
    try:
        yield partial(_distribute, scheduler)
    finally:
        ray.shutdown()


def _distribute(
    scheduler: str, function: Callable[..., Any], jobs: Iterable[Any], *shared: Any
) -> Iterator[tuple[Any, Any]]:
    import ray

    task = ray.remote(max_retries=_RETRIES, num_cpus=1)(function)
    references = [ray.put(value) for value in shared]
    waiting = iter(jobs)
    running: dict[Any, Any] = {}
    killed = []
    try:
        while True:
            free = max(1, int(ray.cluster_resources().get("CPU", 1))) - len(running)
            for job in islice(waiting, max(0, free)):
                running[task.remote(job, *references)] = job
            if not running:
                break
            for done in ray.wait(list(running), timeout=_LOOK)[0]:
                job = running.pop(done)
                try:
                    yield job, ray.get(done)
                except ray.exceptions.WorkerCrashedError:
                    killed.append(job)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
    except (ConnectionError, ray.exceptions.RaySystemError):
        raise Unfinished(f"the Ray cluster {scheduler} has gone away") from None
    if killed:
        raise JobsKilled(killed)
