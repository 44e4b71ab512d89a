"""Connections that say nothing are closed; uvicorn itself waits for a first request for ever."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_SECONDS = 10.0  # that a connection may be without a whole request


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection which has had no request under way for twice `_SECONDS`.

    So neither idle connections nor headers that come a byte at a time hold their places. Bodies
    have limits of their own (`uploads`).
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look every `_SECONDS`."""
        super().connection_made(transport)
        self._idle: Any = None
        self.loop.call_later(_SECONDS, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self._idle == (self.cycle,):
            self.transport.close()
            return
        self._idle = (self.cycle,) if idle else None
        self.loop.call_later(_SECONDS, self._look)
