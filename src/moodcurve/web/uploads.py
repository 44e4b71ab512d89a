"""Receiving a file: into a nameless temporary one, within bounds of bytes, time and number."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

from starlette.exceptions import HTTPException
from starlette.requests import Request

BYTES = 1_500_000_000  # of one file: two hours of CD sound
SPOOL = 4_000_000_000  # of all files that wait
JSON_BYTES = 16_000_000  # of annotations: two hours at 30 samples a second
_AT_ONCE = 8  # files received at the same time; further ones wait their turn
_TURN = 30.0  # seconds that they wait
_GRACE = 10.0  # seconds after which a client must keep up the least rate
_LEAST_RATE = 65_536.0  # bytes a second
_MOST_SECONDS = 900.0

_BAD = set("/\\\0")


def checked_name(name: str | None) -> str:
    """A file's name as a browser gives it; it labels, and says the format, and names no place.

    Raises HTTPException 400 for none, one with separators or control characters, or a long one.
    """
    if not name or len(name.encode(errors="replace")) > 255 or name.strip(". ") == "":
        raise HTTPException(400, "name: give the file's name, at most 255 bytes")
    if _BAD & set(name) or not name.isprintable():
        raise HTTPException(400, "name: give the file's name alone, without folders")
    return name


class Spool:
    """Files that were received and are not yet traced; the disk that they take is bounded."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._open: list[tuple[BinaryIO, int]] = []
        self._arriving = 0

    async def receive(self, request: Request) -> BinaryIO:
        """The request's body as an open file that has no name, so that nothing can be left of it.

        Raises HTTPException: 400 empty or broken off, 408 too slow, 413 too large, 429 too many.
        """
        claimed = _claimed(request)
        async with self._turn():
            file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever gets it closes it
            size = 0
            try:
                async for chunk in _in_time(request):
                    size += len(chunk)
                    self._arriving += len(chunk)
                    if size > BYTES:
                        raise _too_large()
                    if self._held() > SPOOL:
                        raise busy("the files that wait take all the room there is; try again")
                    file.write(chunk)
                file.flush()
                if not size:
                    raise HTTPException(400, "empty (0 bytes); send the file as the body")
                if claimed is not None and size < claimed:
                    raise HTTPException(400, f"broken off after {size} of {claimed} bytes")
            except BaseException:
                file.close()
                raise
            finally:
                self._arriving -= size
            self._open.append((file, size))
            return file

    def _held(self) -> int:
        self._open = [(file, size) for file, size in self._open if not file.closed]
        return self._arriving + sum(size for _, size in self._open)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(self._turns.acquire(), _TURN)
        except TimeoutError:
            raise busy("too many files arrive at once; try again") from None
        try:
            yield
        finally:
            self._turns.release()


def busy(line: str) -> HTTPException:
    """Refuse for now."""
    return HTTPException(429, line, {"Retry-After": "5", "Connection": "close"})


def _claimed(request: Request) -> int | None:
    text = request.headers.get("content-length")
    claimed = int(text) if text and text.isdecimal() else None
    if claimed is not None and claimed > BYTES:
        raise _too_large()
    return claimed


def _too_large() -> HTTPException:
    line = f"larger than {BYTES // 1_000_000} MB; convert it to flac or mp3"
    return HTTPException(413, line, {"Connection": "close"})


async def _in_time(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes, as long as it keeps up the least rate."""
    started, size, stream = time.monotonic(), 0, request.stream()
    while True:
        due = min(_MOST_SECONDS, _GRACE + size / _LEAST_RATE)
        try:
            chunk = await asyncio.wait_for(anext(stream), started + due - time.monotonic())
        except StopAsyncIteration:
            return
        except TimeoutError:
            line = f"too slow: {size} bytes in {due:.0f} s; try again"
            raise HTTPException(408, line, {"Connection": "close"}) from None
        size += len(chunk)
        yield chunk


async def read_json(request: Request) -> Any:
    """The request's body as JSON. Raises HTTPException: 400 for none, 408, 413 as `receive`."""
    claimed = _claimed(request)
    body = bytearray()
    if claimed is not None and claimed > JSON_BYTES:
        raise HTTPException(413, "too many samples", {"Connection": "close"})
    async for chunk in _in_time(request):
        body += chunk
        if len(body) > JSON_BYTES:
            raise HTTPException(413, "too many samples", {"Connection": "close"})
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "not JSON") from None
