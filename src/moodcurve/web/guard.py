"""Who may ask: the page itself, under this server's name, and with its token where there is one.

A page of another site can make a browser send requests here, even under a name of its own that it
points at this machine (DNS rebinding); such requests carry a foreign Host or Origin.
"""

import ipaddress
import secrets
import socket
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The one style sheet that is not a file: wavesurfer.js writes it, and it changes with the height
# that `static/player.js` gives it. A browser that refuses it says the right value.
_WAVEFORM_STYLE = "'sha256-fF0LBso7Nz75zaFRDBUefBDvPe19hjaiDnnc8lt+2Js='"

_HEADERS = {
    "Content-Security-Policy": f"default-src 'self'; style-src 'self' {_WAVEFORM_STYLE}; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def guarded(app: ASGIApp, host: str, token: str | None) -> ASGIApp:
    """Let only requests through to `app` that may ask, and give every answer its headers.

    Args:
        app: what answers.
        host: what the server listens on, as the user gave it.
        token: what everyone must show; None where the server is for this machine only.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = _refusal(scope, host, token) or app
        await answer(scope, receive, send_safely)

    return guard


def _refusal(scope: Scope, host: str, token: str | None) -> Response | None:
    """What a request gets that is not passed on."""
    headers = Headers(scope=scope)
    named = headers.get("host", "")
    if not _is_ours(named, host):
        return _no(403, "not this server's name; open the address that moodcurve serve printed")
    if headers.get("origin", f"http://{named}") != f"http://{named}":
        return _no(403, "asked by a page of another site")
    visit = scope["method"] == "GET" and scope["path"] == "/"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not visit:
        return _no(403, "asked by a page of another site")
    if token is None:
        return None
    # Cookies are of a name, whatever the port: two servers must not take each other's.
    cookie = f"moodcurve-{named.rpartition(':')[2]}"
    given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token", "")
    if visit and _same(given, token):
        answer = RedirectResponse("/", 303)
        answer.set_cookie(cookie, token, httponly=True, samesite="strict")
        return answer
    shown = cookie_parser(headers.get("cookie", "")).get(cookie, "")
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    if _same(shown, token) or _same(bearer, token):
        return None
    return _no(401, "no token; open the whole address that moodcurve serve printed")


def _is_ours(named: str, host: str) -> bool:
    """Whether a Host header can be of a page that this server gave.

    A name that somebody else registered can be pointed at this machine, an address cannot.
    """
    name = named.rsplit(":", 1)[0] if not named.endswith("]") else named
    name = name.strip("[]").lower()
    if is_loopback(host):
        return is_loopback(name)
    own = socket.gethostname().lower()
    if name in (host.lower(), "localhost", own, f"{own}.local"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def _no(status: int, line: str) -> Response:
    return JSONResponse({"error": line}, status, {"Connection": "close"})
