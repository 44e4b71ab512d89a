"""The routes of the page: what is asked, what is answered. All of it JSON but files and events."""

import json
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from os.path import isfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from moodcurve import __version__
from moodcurve.audio import find_songs
from moodcurve.corpora.annotations import Annotated
from moodcurve.errors import InputError
from moodcurve.export.formats import FORMATS, find_format
from moodcurve.export.json import to_document
from moodcurve.export.scales import in_words
from moodcurve.export.table import tabulate
from moodcurve.model import find, read_manifest
from moodcurve.web.guard import guarded
from moodcurve.web.library import ROUTES as LIBRARY_ROUTES
from moodcurve.web.library import Library, key_of
from moodcurve.web.library import library as library_of
from moodcurve.web.tracing import SECONDS, SONGS, Full, Song, Traced, Tracing
from moodcurve.web.uploads import BYTES, Spool, busy, checked_name, read_json

_STATIC = Path(__file__).parent / "static"
_LISTENERS = 32  # pages that follow what happens
_PING_SECONDS = 15.0  # after which a listener that has gone is noticed
_TURN_SECONDS = 20.0  # seconds that a download waits for the one before it


@dataclass
class _Server:
    """What the routes share."""

    about: Mapping[str, Any]
    tracing: Tracing
    folder: Mapping[str, Path]
    corpus: Annotated | None
    library: Library | None
    spool: Spool = field(default_factory=Spool)
    listeners: int = 0
    exporting: threading.Lock = field(default_factory=threading.Lock)

    def let_go(self) -> None:
        """Let all who wait for news or answers go: the server is about to end."""
        self.tracing.end_listening()
        if self.library:
            self.library.end()


def create_app(
    model: str,
    host: str = "127.0.0.1",
    token: str | None = None,
    folder: Path | None = None,
    corpus: Path | None = None,
    library: Path | None = None,
) -> Starlette:
    """The application.

    Args:
        model: name or path of the model.
        host: what it listens on, which says under which names it may be asked.
        token: what must be shown; None where only this machine reaches it.
        folder: songs that can be traced without being sent.
        corpus: folder that annotations are kept in; made if it is not there.
        library: folder of a library whose map is shown.

    Raises InputError for a model, a folder, a corpus or a library that cannot be used.
    """
    manifest = read_manifest(find(model))
    songs = _songs_of(folder) if folder else {}
    named = [{"key": key, "name": path.name} for key, path in songs.items()]
    about = {
        "version": __version__,
        "model": {
            "name": manifest["name"],
            "trained_on": manifest["training"]["corpora"],
            "licence": manifest["licence"],
        },
        "scale": in_words("-1..1"),
        "limits": {"bytes": BYTES, "seconds": SECONDS, "songs": SONGS},
        "folder": {"name": folder.resolve().name, "songs": named} if folder else None,
        "formats": list(FORMATS),
    }
    kept = Annotated(corpus) if corpus else None
    held = Library(library, model) if library else None
    about["library"] = held.name if held else None
    server = _Server(about, Tracing(model), songs, kept, held)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with server.tracing:
            yield

    app = Starlette(
        routes=_ROUTES,
        middleware=[Middleware(guarded, host=host, token=token)],
        lifespan=lifespan,
        exception_handlers={
            HTTPException: _answer_error,
            InputError: _answer_error,
            Full: _answer_error,
            ClientDisconnect: _answer_error,
        },
    )
    app.state.server = server
    return app


def _songs_of(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one with songs")
    songs, problems = find_songs([folder])
    if problems:
        raise problems[0]
    return {str(number): path for number, path in enumerate(songs, start=1)}


async def _answer_error(request: Request, error: Exception) -> Response:
    """One plain line, whatever went wrong."""
    match error:
        case HTTPException():
            status, line, headers = error.status_code, error.detail, error.headers
        case Full():
            status, line, headers = 429, str(error), {"Retry-After": "5"}
        case ClientDisconnect():
            status, line, headers = 400, "broken off", None
        case _:
            status, line, headers = 400, str(error), None
    return JSONResponse({"error": line}, status, headers)


def _server(request: Request) -> _Server:
    server: _Server = request.app.state.server
    return server


def _song(request: Request) -> Song:
    song = _server(request).tracing.songs.get(request.path_params["id"])
    if song is None:
        raise HTTPException(404, "no such song; it may have been removed")
    return song


def _traced(request: Request) -> Traced:
    song = _song(request)
    if song.traced is None:
        raise HTTPException(404, f"{song.name}: no curve yet" if not song.error else song.error)
    return song.traced


async def _page(request: Request) -> Response:
    return FileResponse(_STATIC / "index.html")


async def _about(request: Request) -> Response:
    server, corpus = _server(request), None
    if server.corpus:
        songs = await run_in_threadpool(server.corpus.songs)
        corpus = {"name": server.corpus.name, "songs": songs}
    return JSONResponse({**server.about, "corpus": corpus})


async def _add(request: Request) -> Response:
    server, key = _server(request), request.query_params.get("folder")
    if "library" in request.query_params:
        return await _add_of_library(request, key_of(request.query_params["library"]))
    server.tracing.check_room()
    if key is None:
        name = checked_name(request.query_params.get("name"))
        song = Song(name, file=await server.spool.receive(request))
    elif key in server.folder:
        song = Song(server.folder[key].name, path=server.folder[key])
    else:
        raise HTTPException(404, "no such song in the folder")
    try:
        server.tracing.add(song)
    except Full:
        if song.file:
            song.file.close()
        raise
    return JSONResponse({"id": song.id}, 202)


async def _add_of_library(request: Request, key: int) -> Response:
    held, tracing = library_of(request), _server(request).tracing

    def there() -> Song | None:
        return next((song for song in tracing.songs.values() if song.library == key), None)

    if there() is None:
        tracing.check_room()
        curve, path = await held.ask(lambda atlas: atlas.curve(key))
        if there() is None:  # another may have asked for it meanwhile
            tracing.add(Song(curve.about["file"], path=path, library=key, curve=curve))
    song = there()
    assert song is not None
    return JSONResponse({"id": song.id}, 202)


async def _forget(request: Request) -> Response:
    await _server(request).tracing.forget(_song(request).id)
    return Response(status_code=204)


async def _events(request: Request) -> Response:
    server = _server(request)
    if server.listeners >= _LISTENERS:
        raise busy("too many pages are open; close some")

    async def lines() -> AsyncIterator[str]:
        server.listeners += 1
        try:
            async for told in server.tracing.changes(_PING_SECONDS):
                yield "".join(f"data: {json.dumps(news)}\n\n" for news in told) or ": \n\n"
        finally:
            server.listeners -= 1

    return StreamingResponse(lines(), media_type="text/event-stream")


def _curve(request: Request) -> Response:
    curve = _traced(request).curve
    return JSONResponse(to_document(curve, tabulate(curve)))


async def _peaks(request: Request) -> Response:
    return Response(_traced(request).peaks, media_type="application/json")


async def _audio(request: Request) -> Response:
    song = _song(request)
    if song.path is None:
        raise HTTPException(404, "uploads are not kept; the browser plays its own file")
    if not isfile(song.path):  # noqa: PTH113 (never raises)
        raise HTTPException(404, f"{song.name}: no longer there")
    return FileResponse(song.path)


def _export(request: Request) -> Response:
    curve, name = _traced(request).curve, request.query_params.get("format", "")
    kind = find_format(name)
    exporting = _server(request).exporting
    if not exporting.acquire(timeout=_TURN_SECONDS):
        raise busy("other downloads are being made; try again")
    try:
        with tempfile.TemporaryDirectory(prefix="moodcurve-") as scratch:
            path = Path(scratch) / f"curve{kind.ending}"
            kind.write(curve, tabulate(curve), path)
            content = path.read_bytes()
    finally:
        exporting.release()
    file = quote(f"{curve.about['song']}{kind.ending}", safe="")
    disposition = {"Content-Disposition": f"attachment; filename*=UTF-8''{file}"}
    return Response(content, headers=disposition, media_type=_MEDIA.get(name))


# What browsers and tools expect; the rest is bytes.
_MEDIA = {
    "csv": "text/csv",
    "json": "application/json",
    "jams": "application/json",
    "labels": "text/plain",
    "srt": "text/plain",
    "png": "image/png",
    "svg": "image/svg+xml",
}


def _corpus(request: Request) -> Annotated:
    corpus = _server(request).corpus
    if corpus is None:
        raise HTTPException(409, "no corpus to keep annotations in; restart with --corpus DIR")
    return corpus


async def _annotations(request: Request) -> Response:
    corpus, params = _corpus(request), request.path_params
    song, rater = params["song"], params.get("rater", "")
    if request.method == "PUT":
        document = await read_json(request)
        await run_in_threadpool(corpus.put, song, rater, document)
    elif request.method == "DELETE":
        await run_in_threadpool(corpus.remove, song, rater)
    return JSONResponse(await run_in_threadpool(corpus.document, song))


async def _store_audio(request: Request) -> Response:
    corpus, server = _corpus(request), _server(request)
    name = checked_name(request.path_params["name"])
    corpus.check_audio(name)
    with await server.spool.receive(request) as file:
        song = await run_in_threadpool(corpus.add_audio, name, file)
    return JSONResponse({"song": song}, 201)


_ONE = "/api/songs/{id}"
_ROUTES = [
    Route("/", _page),
    Mount("/static", StaticFiles(directory=_STATIC, check_dir=False)),
    Route("/api/about", _about),
    Route("/api/songs", _add, methods=["POST"]),
    Route(_ONE, _forget, methods=["DELETE"]),
    Route("/api/events", _events),
    Route(f"{_ONE}/curve", _curve),
    Route(f"{_ONE}/peaks", _peaks),
    Route(f"{_ONE}/audio", _audio),
    Route(f"{_ONE}/export", _export),
    Route("/api/annotations/{song}", _annotations),
    Route("/api/annotations/{song}/{rater}", _annotations, methods=["PUT", "DELETE"]),
    Route("/api/corpus/audio/{name}", _store_audio, methods=["PUT"]),
    *LIBRARY_ROUTES,
]
