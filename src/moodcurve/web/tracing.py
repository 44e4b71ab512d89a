"""The songs that the server holds: those that wait, are traced, and are done; in memory only."""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from moodcurve.curve import Band, Curve
from moodcurve.errors import InputError

SECONDS = 7200.0  # of music that a song may have
SONGS = 200  # held, whatever their state
WAITING = 100  # of them not yet done
_PAUSE = 0.05  # seconds between two reports to a listener, at least
_WALL_SECONDS = 900.0  # that one song may take
_NO_PEAKS = json.dumps({"seconds": 0, "per_second": 10, "peaks": []})
_LINE = 1 << 24  # bytes of one message of a tracing process; two hours of music need 2 MB


class Full(Exception):
    """No more songs are taken now."""


class Traced(NamedTuple):
    """What came of a song: its curve, and the JSON of its waveform."""

    curve: Curve
    peaks: str


@dataclass
class Song:
    """A song and how far it is.

    `file` is an upload's open file, `path` that of a song of the folder or the library. A song of
    the library brings its key there, `library`, and its `curve`: only a waveform is to be made.
    """

    name: str
    file: BinaryIO | None = None
    path: Path | None = None
    library: int | None = None
    curve: Curve | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    state: str = "queued"
    seconds: float = 0.0
    error: str | None = None
    traced: Traced | None = None
    changed: int = 0  # number of the last change
    task: asyncio.Task[None] | None = None

    def news(self) -> dict[str, Any]:
        """What listeners are told of it."""
        told = {"id": self.id, "name": self.name, "state": self.state, "seconds": self.seconds}
        told |= {"library": self.library, "plays": self.path is not None}
        return {**told, "error": self.error} if self.error else told


class _Process(NamedTuple):
    """A tracing process that waits for its song."""

    running: asyncio.subprocess.Process
    line: socket.socket


class Tracing:
    """Traces songs, one a core at a time, each in a process of its own.

    One process is always started in advance, so that its imports have been done when a song comes.
    To be entered before use; on leaving every process is ended and every file closed.
    """

    def __init__(self, model: str) -> None:
        self.songs: dict[str, Song] = {}
        self._model = model
        self._cores = asyncio.Semaphore(os.cpu_count() or 1)
        self._changes = 0
        self._changed = asyncio.Event()
        self._ended = False
        self._next: asyncio.Task[_Process]

    async def __aenter__(self) -> "Tracing":
        self._next = asyncio.create_task(self._start())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for identity in list(self.songs):
            await self.forget(identity)
        await _end(await self._next)

    def check_room(self) -> None:
        """Raise Full where no song can be added."""
        waiting = sum(song.traced is None and song.error is None for song in self.songs.values())
        if len(self.songs) >= SONGS:
            raise Full(f"{SONGS} songs are held already; remove some")
        if waiting >= WAITING:
            raise Full(f"{WAITING} songs wait already; try again when some are done")

    def add(self, song: Song) -> None:
        """Take a song, and its file, which is closed as soon as it has been traced."""
        self.check_room()
        self.songs[song.id] = song
        song.task = asyncio.create_task(self._trace(song))
        self._tell(song)

    async def forget(self, identity: str) -> None:
        """Drop a song and all that is known of it, whatever its state."""
        song = self.songs.pop(identity)
        if song.task:
            song.task.cancel()
            with suppress(asyncio.CancelledError):
                await song.task
        if song.file:
            song.file.close()

    async def changes(self, patience: float) -> AsyncIterator[list[dict[str, Any]]]:
        """The present state of every song, then of those that changed, as often as asked for.

        What happened between two askings is told once, so that nothing piles up for a listener who
        is slow. After `patience` seconds without a change there is an empty list.
        """
        seen = 0
        while not self._ended:
            event = self._changed
            told = [song.news() for song in self.songs.values() if song.changed > seen]
            seen = self._changes
            yield told
            await asyncio.sleep(_PAUSE)
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await event.wait()

    def end_listening(self) -> None:
        """Let all who listen to `changes` go: the server is about to end."""
        self._ended = True
        self._changed.set()

    def _tell(self, song: Song) -> None:
        self._changes += 1
        song.changed = self._changes
        self._changed.set()
        self._changed = asyncio.Event()

    async def _trace(self, song: Song) -> None:
        try:
            async with self._cores:
                song.state = "tracing"
                self._tell(song)
                async with asyncio.timeout(_WALL_SECONDS):
                    song.traced = await self._in_process(song)
        except TimeoutError:
            song.error = f"{song.name}: took longer than {_WALL_SECONDS:g} s; convert it to flac"
        except (InputError, OSError) as error:
            song.error = str(error)
        finally:
            if song.file:
                song.file.close()
        if song.error and song.curve:  # which is none the worse
            song.error, song.path, song.traced = None, None, Traced(song.curve, _NO_PEAKS)
        song.state = "failed" if song.error else "done"
        self._tell(song)

    async def _in_process(self, song: Song) -> Traced:
        if song.curve and not song.path:
            return Traced(song.curve, _NO_PEAKS)
        process = await self._next
        if process.running.returncode is not None:  # it was killed while it waited
            await _end(process)
            process = await self._start()
        self._next = asyncio.create_task(self._start())
        try:
            job = {"name": song.name, "most": SECONDS, "wants_curve": song.curve is None}
            file = song.file or _open(song)
            try:
                socket.send_fds(process.line, [json.dumps(job).encode()], [file.fileno()])
            except OSError:
                raise InputError("the tracing process ended before it began; try again") from None
            finally:
                file.close()  # the process has its own descriptor now
            return await self._listen(song, process.running)
        finally:
            await _end(process)

    async def _listen(self, song: Song, process: asyncio.subprocess.Process) -> Traced:
        assert process.stdout
        while line := await process.stdout.readline():
            told = json.loads(line)
            song.seconds = told.get("seconds", song.seconds)
            if "error" in told:
                raise InputError(told["error"])
            if "peaks" in told:
                peaks = {"seconds": song.seconds, "per_second": 10, "peaks": told["peaks"]}
                return Traced(_curve_of(song, told), json.dumps(peaks))
            self._tell(song)
        raise InputError(f"{song.name}: {_reason(await process.wait())}")

    async def _start(self) -> _Process:
        ours, theirs = socket.socketpair()
        with theirs:
            running = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "moodcurve.web.trace", self._model),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # decoders' warnings, as many as a file likes
                start_new_session=True,  # a Ctrl-C is the server's; it ends its processes
                limit=_LINE,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        return _Process(running, ours)


def _open(song: Song) -> BinaryIO:
    assert song.path
    try:
        return song.path.open("rb")
    except OSError as error:
        raise InputError(f"{song.name}: cannot be read ({error.strerror})") from None


async def _end(process: _Process) -> None:
    process.line.close()
    with suppress(ProcessLookupError):
        process.running.kill()
    await process.running.communicate()  # closes the pipe, too


def _reason(code: int) -> str:
    """Why a process said nothing more."""
    if code == -signal.SIGXCPU:
        return "takes too much computing; convert it to flac"
    if code < 0:
        return f"its decoder crashed ({signal.Signals(-code).name}); convert it to flac"
    return "tracing it failed; please report this with the file"


def _curve_of(song: Song, told: dict[str, Any]) -> Curve:
    if song.curve is None:
        return _curve(told["curve"])
    about = {**song.curve.about, "sample_rate": told["sample_rate"]}
    return replace(song.curve, about=about)


def _curve(plain: dict[str, Any]) -> Curve:
    band = plain["band"] and Band(**{k: np.array(v) for k, v in plain["band"].items()})
    return Curve(np.array(plain["valence"]), np.array(plain["arousal"]), plain["about"], band)
