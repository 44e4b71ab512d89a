"""Running the server: its socket, its address, its end."""

import os
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from moodcurve.errors import InputError
from moodcurve.web.app import create_app
from moodcurve.web.guard import is_loopback
from moodcurve.web.patience import ImpatientProtocol

_CONNECTIONS = 256


def serve(
    say: Callable[[str], None],
    *,
    model: str,
    host: str,
    port: int,
    open_browser: bool = False,
    folder: Path | None = None,
    corpus: Path | None = None,
    library: Path | None = None,
) -> None:
    """Serve the page until Ctrl-C; `say` is told its address.

    Raises InputError where it cannot listen there, and for a model, a folder or a library that
    cannot be used.
    """
    if sys.platform == "win32":
        raise InputError("serve: not on Windows yet; run it in WSL")
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    app = create_app(model, host, token, folder, corpus, library)
    with _listen(host, port) as listening:
        name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
        name = f"[{name}]" if ":" in name else name
        address = f"http://{name}:{listening.getsockname()[1]}/"
        address += f"?token={token}" if token else ""
        say(f"{address}\nStop with Ctrl-C.")
        if open_browser:
            webbrowser.open(address)
        _Server(
            uvicorn.Config(
                app,
                http=ImpatientProtocol,
                loop="asyncio",
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="error",  # not a line for every broken request
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=1,
            )
        ).run([listening])


class _Server(uvicorn.Server):
    """Also lets the open pages go when it is told to end; they would listen for ever."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self.config.app.state.server.let_go()  # type: ignore[union-attr]
        super().handle_exit(sig, frame)


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise InputError(f"--port {port}: no such port; give 0 (a free one) to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except socket.gaierror:
        raise InputError(f"--host {host}: no such address of this machine") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"{host}, port {port}: cannot listen ({reason}); try --port 0 for a free port"
        ) from None
