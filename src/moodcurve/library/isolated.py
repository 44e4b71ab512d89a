"""A process of its own for calls that may hang or crash: a decoder in C, given a hostile file.

    with Isolated() as isolated:
        try:
            result = isolated.call(function, argument, patience=60)
        except (Crashed, Hung) as error:
            ...

`function(argument, alive)` calls `alive()` now and then; what gives no sign for `patience` seconds
hangs, and its process is killed. The next call gets a new process. (`multiprocessing` would do, but
for workers of Dask, which may not have children by it.)
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from signal import Signals
from types import TracebackType
from typing import Any, Self

from moodcurve.errors import InputError

_PAUSE = 0.2  # seconds between signs of life: each costs both processes some time


class Crashed(Exception):
    """The process ended before it had a result; `how`, such as "SIGSEGV"."""

    def __init__(self, how: str):
        super().__init__(f"decoding it crashed ({how})")
        self.how = how


class Hung(Exception):
    """The process gave no sign of life and was killed."""


class Isolated:
    """A process that makes one call after the other, begun anew after one that ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def call(
        self, function: Callable[[Any, Callable[[], None]], Any], argument: Any, patience: float
    ) -> Any:
        """The result of function(argument, alive) in the process; what it raises is raised here.

        `patience`: seconds without a sign of life. Raises Crashed or Hung.
        """
        self.start()
        try:
            self._pipe.send((function, argument))
            while self._pipe.poll(patience):
                kind, what = self._pipe.recv()
                if kind == "raised":
                    raise what
                if kind == "result":
                    return what
        except (EOFError, ConnectionError):
            raise Crashed(self.end()) from None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self.end()
            raise
        self.end()
        raise Hung(f"decoding it hangs (no sign of life for {patience:g} s)")

    def start(self) -> None:
        """Start the process, unless there is one. Raises InputError where that cannot be."""
        if self._process is not None:
            return
        self._pipe, theirs = Pipe()
        here = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moodcurve.library.isolated", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": here},
                start_new_session=True,  # a Ctrl-C is for the parent, which ends this
            )
        except OSError as error:
            raise InputError(f"{sys.executable}: cannot be started ({error.strerror})") from None
        finally:
            theirs.close()

    def end(self) -> str:
        """End the process, if there is one; returns how it ended."""
        if self._process is None:
            return "not begun"
        process, self._process = self._process, None
        self._pipe.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)  # one that crashed has ended, one that waits ends with its pipe
        process.kill()
        code = process.wait()
        return Signals(-code).name if code < 0 else f"exit code {code}"


def _serve(pipe: Any) -> None:
    """Make the calls that come through the pipe until it ends."""
    while True:
        function, argument = pipe.recv()
        pipe.send(("alive", None))  # the imports are done
        told = time.monotonic()

        def alive() -> None:
            nonlocal told
            if time.monotonic() - told > _PAUSE:
                pipe.send(("alive", None))
                told = time.monotonic()

        try:
            answer = "result", function(argument, alive)
        except Exception as error:
            answer = "raised", error
        pipe.send(answer)


def _end_with_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()  # though a call hangs
    with suppress(EOFError, ConnectionError):
        _serve(Connection(int(sys.argv[1])))
