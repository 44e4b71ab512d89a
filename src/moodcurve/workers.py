"""Work spread over one process a core."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    initializer: Callable[..., object] | None = None,
    shared: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Yield `function(job)` of each job, in order; each process first runs initializer(*shared).

    Where the caller stops, by Ctrl-C or an error, the processes end at once and without a word.
    """
    context = get_context("spawn")
    with ProcessPoolExecutor(mp_context=context, initializer=initializer, initargs=shared) as pool:
        try:
            with _interrupts_later():
                futures = [pool.submit(function, job) for job in jobs]
            for future in futures:
                yield future.result()
        except BaseException:
            for process in list(pool._processes.values()):
                process.terminate()
            raise


@contextmanager
def _interrupts_later() -> Iterator[None]:
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
