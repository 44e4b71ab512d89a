"""The routes of the library's map; where the server was given none, each says so."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from moodcurve.errors import InputError
from moodcurve.web.uploads import busy, read_json

if TYPE_CHECKING:
    from moodcurve.web.atlas import Atlas

_WAITING = 32  # questions that wait for their turn
_TITLE = 200  # characters
_FAR = 100  # from the middle, where there is nothing to see any more
LISTED = 1000  # songs of a list

Question: TypeAlias = "Callable[[Atlas], Any]"


class Box(NamedTuple):
    """A rectangle of the plane: valence from `left` to `right`, arousal from `low` to `high`."""

    left: float
    right: float
    low: float
    high: float


class NoSong(LookupError):
    """A key of no song."""


class Library:
    """A library that is asked from the event loop: one question at a time, in a thread.

    Raises InputError where it cannot be opened.
    """

    def __init__(self, folder: Path, model: str) -> None:
        if find_spec("pyarrow") is None:
            raise InputError("--library needs pyarrow; run: pip install 'moodcurve[library]'")
        from moodcurve.web.atlas import Atlas

        self.name = folder.resolve().name
        self._atlas = Atlas(folder, model)
        self._questions: SimpleQueue[tuple[Question, asyncio.Future[Any]]] = SimpleQueue()
        self._awaited: set[asyncio.Future[Any]] = set()
        # The end of the program does not wait for what is being thought about.
        threading.Thread(target=self._think, daemon=True).start()

    async def ask(self, question: Question) -> Any:
        """The answer. Raises HTTPException where there is none: 400, 404, 429, 503 at the end."""
        if len(self._awaited) >= _WAITING:
            raise busy("the library is asked too much at once; try again")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._awaited.add(answer)
        self._questions.put((question, answer))
        try:
            return await answer
        except InputError as error:
            raise HTTPException(400, str(error).replace("--", "")) from None  # of the command line
        except NoSong:
            raise HTTPException(404, "no such song in the library") from None
        finally:
            self._awaited.discard(answer)

    def end(self) -> None:
        """Let all who wait go: the server is about to end."""
        for answer in self._awaited:
            _settle(answer, None, HTTPException(503, "the server ends"))

    def _think(self) -> None:
        while True:
            question, answer = self._questions.get()
            found, error = None, None
            if answer.done():  # nobody waits any more
                continue
            try:
                found = question(self._atlas)
            except Exception as raised:
                error = raised
            with suppress(RuntimeError):  # the loop has ended meanwhile
                answer.get_loop().call_soon_threadsafe(_settle, answer, found, error)


def _settle(answer: asyncio.Future[Any], found: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error:
        answer.set_exception(error)
    else:
        answer.set_result(found)


def library(request: Request) -> Library:
    """The library that the server was given. Raises HTTPException 409 where it was given none."""
    found: Library | None = request.app.state.server.library
    if found is None:
        raise HTTPException(409, "no library; restart with --library LIB")
    return found


def key_of(text: str) -> int:
    """A song's key. Raises HTTPException 404 for what is none."""
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise HTTPException(404, "no such song in the library")
    return int(text)


async def _about(request: Request) -> Response:
    return JSONResponse(await library(request).ask(lambda atlas: atlas.about()))


async def _map(request: Request) -> Response:
    where, box = _where(request), _box(request)
    return JSONResponse(await library(request).ask(lambda atlas: atlas.view(where, box)))


async def _songs(request: Request) -> Response:
    where, box = _where(request), _box(request)
    sort = request.query_params.get("sort", "artist")
    return JSONResponse(await library(request).ask(lambda atlas: atlas.listing(where, box, sort)))


async def _song(request: Request) -> Response:
    key = key_of(request.path_params["key"])
    return JSONResponse(await library(request).ask(lambda atlas: atlas.song(key)))


async def _like(request: Request) -> Response:
    where, key = _where(request), key_of(request.path_params["key"])
    return JSONResponse(await library(request).ask(lambda atlas: atlas.alike(key, where)))


async def _journey(request: Request) -> Response:
    where, (minutes,) = _where(request), _numbers(request, "minutes")
    start, end = (request.query_params.get(name, "")[:_TITLE] for name in ("from", "to"))
    return JSONResponse(
        await library(request).ask(lambda atlas: atlas.travel(where, start, end, minutes))
    )


async def _playlist(request: Request) -> Response:
    """The songs of a list as M3U8; asked with {"title": .., "keys": [..]}."""
    held, document = library(request), await read_json(request)
    match document:
        case {"title": str() as title, "keys": [*keys]} if 0 < len(keys) <= LISTED and all(
            type(key) is int for key in keys
        ):
            title = " ".join(title.split())[:_TITLE]
        case _:
            form = f'{{"title": .., "keys": [1 to {LISTED} numbers of songs]}}'
            raise HTTPException(400, f"a playlist is {form}")
    text = await held.ask(lambda atlas: atlas.playlist(keys, title))
    return PlainTextResponse(text, media_type="audio/x-mpegurl")


def _where(request: Request) -> str:
    return request.query_params.get("where", "")


def _box(request: Request) -> Box:
    box = Box(*_numbers(request, *Box._fields))
    if box.left >= box.right or box.low >= box.high:
        raise HTTPException(400, "left must be less than right, and low less than high")
    if max(map(abs, box)) > _FAR:
        raise HTTPException(400, f"the map ends at {_FAR}")
    return box


def _numbers(request: Request, *names: str) -> list[float]:
    found = []
    for name in names:
        try:
            found.append(float(request.query_params.get(name, "")))
        except ValueError:
            found.append(math.nan)
        if not math.isfinite(found[-1]):
            raise HTTPException(400, f"{name}: give a number")
    return found


ROUTES = [
    Route("/api/library", _about),
    Route("/api/library/map", _map),
    Route("/api/library/songs", _songs),
    Route("/api/library/songs/{key}", _song),
    Route("/api/library/like/{key}", _like),
    Route("/api/library/journey", _journey),
    Route("/api/library/playlist", _playlist, methods=["POST"]),
]
