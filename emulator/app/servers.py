"""Listeners: a socket bound before anything starts, and uvicorn serving it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final

import uvicorn

from emulator.clock import Clock
from emulator.errors import ConfigError

_SHUTDOWN_GRACE_S: Final = 1


def bind(host: str, port: int, name: str) -> socket.socket:
    """A listening socket.

    Args:
        host: The address to bind.
        port: The port; 0 for any free one.
        name: The listener's name in localpop.toml, such as `viewer`.

    Raises:
        ConfigError: The port is in use or may not be bound; says how to choose another.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With protocol 0 the loop would not set TCP_NODELAY, and every answer would cost 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        what = "is in use" if taken else f"cannot be bound ({error.strerror})"
        raise ConfigError(
            f"{host}:{port} {what}; the {name} listener needs it.",
            mend=(
                f"Stop what listens there, or choose another port: --{name}-port, "
                f"LOCALPOP_{name.upper()}_PORT, or [{name}] port in localpop.toml."
            ),
        ) from None
    listener.setblocking(False)
    return listener


def port_of(listener: socket.socket) -> int:
    """The port a listener is bound to."""
    return int(listener.getsockname()[1])


class Listener:
    """One uvicorn server on a bound socket.

    Args:
        listener: The bound socket.
        app: The ASGI app, or what the protocol class expects.
        http: A protocol class in place of uvicorn's own.
        tls: Speaks HTTPS with this context; None for plain HTTP.
    """

    def __init__(
        self,
        listener: socket.socket,
        app: Any,
        http: type[asyncio.Protocol] | str = "httptools",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._socket = listener
        config = uvicorn.Config(
            app,
            http=http,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_GRACE_S,
            backlog=2048,
            ssl_context_factory=None if tls is None else lambda config, default: tls,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, clock: Clock) -> None:
        """Serve; returns when connections are accepted."""
        logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await clock.sleep_ms(5)

    async def close(self) -> None:
        """Stop accepting, let answers under way finish for a moment, close."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """What is still under way when localpop ends is cut off: nobody needs to read of it."""
    cancelled = record.exc_info is not None and record.exc_info[0] is asyncio.CancelledError
    return not cancelled and "running task(s)" not in str(record.msg)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: several run in one process, which has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
