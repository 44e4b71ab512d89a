"""Work spread over one process a core, with nothing but Python; see `cluster.py` for long work."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    initializer: Callable[..., object] | None = None,
    shared: tuple[Any, ...] = (),
    processes: int | None = None,
) -> Iterator[Result]:
    """Yield `function(job)` of each job, in order; each process first runs initializer(*shared).

    There are as many `processes` as cores unless told otherwise. Where the caller stops, by Ctrl-C,
    an error or `kill -9`, the processes end at once and without a word.
    """
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _start, (initializer, shared))
    with pool:
        try:
            with interrupts_later():
                futures = [pool.submit(function, job) for job in jobs]
            for future in futures:
                yield future.result()
        except BaseException:
            for process in list(pool._processes.values()):
                process.terminate()
            raise


def _start(initializer: Callable[..., object] | None, shared: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer:
        initializer(*shared)


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one, and end too: it can tell no more."""
    parent = parent_process()
    if parent:
        connection.wait([parent.sentinel])
        os._exit(1)


@contextmanager
def interrupts_later() -> Iterator[None]:
    """Keep a Ctrl-C until the end of the block; processes started in the block get none, ever."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    kept: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: kept.append(number))
    _block(True)
    try:
        yield
    finally:
        _block(False)
        signal.signal(signal.SIGINT, handler)
    if kept:
        raise KeyboardInterrupt


def _block(blocked: bool) -> None:
    """Block Ctrl-C for this thread, and so for the processes that it starts, or let it through."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows, where processes die with a traceback
        how = signal.SIG_BLOCK if blocked else signal.SIG_UNBLOCK
        signal.pthread_sigmask(how, {signal.SIGINT})
