"""A uvicorn on a free port of loopback that says when it listens."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn


class ReadyServer(uvicorn.Server):
    """A uvicorn that says when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._on_ready()


def listening_socket() -> socket.socket:
    """A socket on a free port of loopback.

    The protocol is named because asyncio and uvloop set TCP_NODELAY only on sockets that name it,
    and without TCP_NODELAY each answer waits 40 ms for the client's acknowledgement.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener
