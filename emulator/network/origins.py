"""HTTP/1.1 connections to origins, on asyncio and httptools.

CloudFront always speaks HTTP/1.1 to an origin (gRPC excepted) and keeps idle connections. A
connection is one protocol object; its body arrives through a bounded buffer in which every piece
carries the time it came, so that a stream keeps its spacing however late it is read.

The usual clients cost 3 to 40 times as much per request (facts/engines.md section 4).
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import urlsplit

import httptools

from emulator.clock import Clock
from emulator.errors import ConfigError, OriginError, OriginFailure
from emulator.quotas import ORIGIN_RESPONSE_HEADERS_MAX_BYTES, WEBSOCKET_IDLE_TIMEOUT_S
from emulator.rules.websocket import SWITCHING_PROTOCOLS
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

# Reading pauses above the first and goes on below the second, so a slow viewer holds no more.
_HIGH_WATER_BYTES: Final = 256 * 1024
_LOW_WATER_BYTES: Final = 64 * 1024
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BODYLESS_STATUSES: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class OriginAddress:
    """Where an origin really listens.

    Args:
        host: A name or an address.
        port: The TCP port.
        tls: Whether to speak TLS.
    """

    host: str
    port: int
    tls: bool = False

    @classmethod
    def parse(cls, url: str, *, where: str = "") -> Self:
        """An address from `http://127.0.0.1:8081`.

        Raises:
            ConfigError: Not an http or https URL with a host.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ConfigError(
                f"{url!r} is not the URL of an origin.",
                where=where,
                mend="Write it as http://127.0.0.1:8081.",
            )
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), tls)

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class OriginTimeouts:
    """How long CloudFront waits for an origin, seconds."""

    connection_attempts: int = 3
    connection_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    keepalive_timeout_s: float = 5.0


class OriginBody:
    """A response body as it arrives. Iterate once; then `received_ms` is the piece's arrival."""

    __slots__ = ("_connection", "_read_timeout_s", "received_ms")

    def __init__(self, connection: _Connection, read_timeout_s: float) -> None:
        self._connection = connection
        self._read_timeout_s = read_timeout_s
        self.received_ms = 0.0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._connection.next_piece(self._read_timeout_s)
        if piece is None:
            raise StopAsyncIteration
        self.received_ms, data = piece
        return data

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        self._connection.release()


@dataclass(frozen=True, slots=True)
class OriginResponse:
    """What an origin answered, its body still under way.

    Args:
        response: Status, reason and headers; the body is an `OriginBody`, or empty bytes.
        sent_ms: When the request was handed over.
        first_byte_ms: When the response's head was complete.
        reused: Whether a kept connection served it.
    """

    response: Response
    sent_ms: float
    first_byte_ms: float
    reused: bool


class _Connection(asyncio.Protocol):
    """One connection; one exchange at a time."""

    def __init__(self, pool: _Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._closed = False
        self.idle_since_ms = 0.0
        self._reset("GET")

    def _reset(self, method: str) -> None:
        self._method = method
        self._asked_to_switch = False
        self._parser = httptools.HttpResponseParser(self)
        self._reason = b""
        self._lines: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._status = 0
        self._head_complete = False
        self._complete = False
        self._until_close = False
        self._reusable = False
        self._failure: OriginError | None = None
        self._pieces: collections.deque[tuple[float, bytes]] = collections.deque()
        self._buffered_bytes = 0
        self._paused = False
        self._released = False
        self._sending: asyncio.Task[None] | None = None
        # A handshake that succeeded: bytes of another protocol, in both directions until the end.
        self._tunnel = False

    # --- asyncio.Protocol -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self._parser is not None
        if self._tunnel:
            self.on_body(data)
            self._wake()
            return
        if self._complete:
            # Bytes after a whole response belong to nobody: never let them into the next one.
            self._reusable = False
            self._abort()
            return
        if not self._head_complete:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._tunnel:
                self._fail(OriginFailure.INVALID, "the origin switched protocols unasked")
            elif rest := data[upgrade.args[0] :]:
                self.on_body(rest)
        except httptools.HttpParserError as error:
            self._fail(OriginFailure.INVALID, f"not an HTTP response: {error}")
        if not self._head_complete and self._head_bytes > ORIGIN_RESPONSE_HEADERS_MAX_BYTES:
            self._fail(OriginFailure.HEADER_TOO_BIG, "response headers over 32,768 bytes")
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if self._head_complete and self._until_close:
            self._complete = True
        elif not self._complete and self._failure is None:
            self._failure = OriginError(
                OriginFailure.READ, str(exc or "the origin closed the connection")
            )
        self._pool.forget(self)
        self._wake()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # --- httptools --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            # It came in one read with the whole response, and must not be taken for part of it.
            raise ValueError("a second response to one request")

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._status = self._parser.get_status_code()
        if self._status == SWITCHING_PROTOCOLS and self._asked_to_switch:
            self._head_complete = self._tunnel = self._until_close = True
            return
        if 100 <= self._status < 200:
            # An interim response; the real one follows.
            self._lines, self._reason = [], b""
            return
        headers = Headers(self._lines)
        self._head_complete = True
        # A head that came in one read with its body is measured here.
        head_bytes = sum(len(name) + len(value) + 4 for name, value in self._lines)
        if head_bytes > ORIGIN_RESPONSE_HEADERS_MAX_BYTES:
            self._fail(OriginFailure.HEADER_TOO_BIG, "response headers over 32,768 bytes")
        framed = "content-length" in headers or "transfer-encoding" in headers
        bodyless = self._method == "HEAD" or self._status in _BODYLESS_STATUSES
        self._until_close = not framed and not bodyless
        self._reusable = self._parser.should_keep_alive() and not self._until_close
        if self._method == "HEAD":
            self._complete = True

    def on_body(self, body: bytes) -> None:
        self._pieces.append((self._clock.now_ms(), body))
        self._buffered_bytes += len(body)
        if self._buffered_bytes > _HIGH_WATER_BYTES and not self._paused:
            assert self._transport is not None
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._head_complete and not self._tunnel:
            self._complete = True

    # --- the exchange -----------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether another request may go out on it."""
        return not self._closed and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: Request, timeouts: OriginTimeouts) -> OriginResponse:
        """Send a request and wait for the response's head.

        Raises:
            OriginError: READ when the origin closed first, TIMEOUT when it was silent too long.
        """
        self._reset(request.method)
        self._asked_to_switch = "upgrade" in request.headers
        sent_ms = self._clock.now_ms()
        self._send(request)
        try:
            async with asyncio.timeout(timeouts.read_timeout_s):
                while not self._head_complete and self._failure is None:
                    await self._more()
        except TimeoutError:
            self._abort()
            raise OriginError(
                OriginFailure.TIMEOUT, f"no response within {timeouts.read_timeout_s:g} s"
            ) from None
        except BaseException:
            self._abort()
            raise
        if self._failure is not None:
            self._abort()
            raise self._failure
        head = Response(self._status, self._reason.decode("latin-1"), Headers(self._lines))
        first_byte_ms = self._clock.now_ms()
        if self._complete and not self._pieces:
            self.release()
            return OriginResponse(head, sent_ms, first_byte_ms, reused=False)
        idle_s = WEBSOCKET_IDLE_TIMEOUT_S if self._tunnel else timeouts.read_timeout_s
        body = OriginBody(self, idle_s)
        streamed = Response(head.status, head.reason, head.headers, body)
        return OriginResponse(streamed, sent_ms, first_byte_ms, reused=False)

    def _send(self, request: Request) -> None:
        """Write the head and a whole body at once; a streamed body in a task of its own."""
        assert self._transport is not None
        lines = [f"{request.method} {request.target} HTTP/1.1\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in request.headers]
        head = "".join((*lines, "\r\n")).encode("latin-1")
        if isinstance(request.body, bytes):
            self._transport.write(head + request.body)
            return
        self._transport.write(head)
        chunked = "transfer-encoding" in request.headers
        self._sending = asyncio.create_task(self._send_body(request.body, chunked=chunked))
        self._sending.add_done_callback(self._body_sent)

    def _body_sent(self, sending: asyncio.Task[None]) -> None:
        if not sending.cancelled() and sending.exception() is not None:
            # The viewer's upload broke off: the origin must not take what came for the whole.
            self._fail(OriginFailure.WRITE, str(sending.exception()))
            self._wake()

    async def _send_body(self, body: AsyncIterable[bytes], *, chunked: bool) -> None:
        async for piece in body:
            if self._closed or not piece:
                continue
            assert self._transport is not None
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if self._drained is not None:
                await self._drained
        if chunked and not self._closed:
            assert self._transport is not None
            self._transport.write(b"0\r\n\r\n")

    async def next_piece(self, read_timeout_s: float) -> tuple[float, bytes] | None:
        """The next piece of the body with its time of arrival; None at the end.

        Raises:
            OriginError: The body broke off, or paused for longer than the read time-out.
        """
        if self._body_pending():
            try:
                async with asyncio.timeout(read_timeout_s):
                    while self._body_pending():
                        await self._more()
            except TimeoutError:
                self._abort()
                raise OriginError(
                    OriginFailure.TIMEOUT, f"the body paused for {read_timeout_s:g} s"
                ) from None
        if self._pieces:
            piece = self._pieces.popleft()
            self._buffered_bytes -= len(piece[1])
            self._resume_reading()
            return piece
        if self._failure is not None:
            self._abort()
            raise self._failure
        self.release()
        return None

    def _body_pending(self) -> bool:
        return not self._pieces and not self._complete and self._failure is None

    def release(self) -> None:
        """The exchange is over: keep the connection if it may be kept, else close it."""
        if self._released:
            return
        self._released = True
        # An upload that is still under way must never run into the next request.
        uploading = self._sending is not None and not self._sending.done()
        if self._complete and self._reusable and not uploading and not self._pieces and self.usable:
            self._pool.keep(self)
        else:
            self._abort()

    def close(self) -> None:
        """Close at once."""
        self._abort()

    def _abort(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _resume_reading(self) -> None:
        if self._paused and self._buffered_bytes < _LOW_WATER_BYTES and self.usable:
            assert self._transport is not None
            self._paused = False
            self._transport.resume_reading()

    def _fail(self, failure: OriginFailure, detail: str) -> None:
        self._failure = OriginError(failure, detail)
        self._abort()

    async def _more(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Pool:
    """The connections to one address."""

    def __init__(self, address: OriginAddress, clock: Clock) -> None:
        self._address, self._clock = address, clock
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._tls = ssl.create_default_context() if address.tls else None
        self._keepalive_timeout_s = 0.0
        self._sweeping: asyncio.TimerHandle | None = None

    def take(self, keepalive_timeout_s: float) -> _Connection | None:
        """The kept connection that was used last; those idle for too long are closed."""
        self._keepalive_timeout_s = keepalive_timeout_s
        oldest_ms = self._clock.now_ms() - keepalive_timeout_s * 1_000
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since_ms >= oldest_ms:
                return connection
            connection.close()
        return None

    async def connect(self, timeouts: OriginTimeouts) -> _Connection:
        """A new connection, after as many attempts as the origin's settings allow.

        Raises:
            OriginError: DNS, CONNECT (refused) or TIMEOUT, as the last attempt ended.
        """
        failure: OriginError | None = None
        for _ in range(timeouts.connection_attempts):
            try:
                async with asyncio.timeout(timeouts.connection_timeout_s):
                    return await self._connect_once()
            except TimeoutError:
                detail = f"{self._address}: no connection in time"
                failure = OriginError(OriginFailure.TIMEOUT, detail, connecting=True)
            except socket.gaierror as error:
                detail = f"{self._address.host}: {error}"
                raise OriginError(OriginFailure.DNS, detail, connecting=True) from error
            except OSError as error:
                detail = f"{self._address}: {error}"
                failure = OriginError(OriginFailure.CONNECT, detail, connecting=True)
        assert failure is not None
        raise failure

    async def _connect_once(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(self, self._clock),
            self._address.host,
            self._address.port,
            ssl=self._tls,
        )
        self._all.add(connection)
        return connection

    def keep(self, connection: _Connection) -> None:
        """Keep an idle connection for the next request."""
        connection.idle_since_ms = self._clock.now_ms()
        self._idle.append(connection)
        self._sweep_later()

    def _sweep_later(self) -> None:
        """One timer for the whole pool: a request pays nothing for it."""
        if self._sweeping is None:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(self._keepalive_timeout_s + 1, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long, although nobody asks any more."""
        self._sweeping = None
        oldest_ms = self._clock.now_ms() - self._keepalive_timeout_s * 1_000
        for connection in [one for one in self._idle if one.idle_since_ms < oldest_ms]:
            connection.close()
        if self._idle:
            self._sweep_later()

    def forget(self, connection: _Connection) -> None:
        """A connection is gone."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close every connection."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in tuple(self._all):
            connection.close()


class OriginClient:
    """Fetches from origins. Use as an async context manager."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pools: dict[OriginAddress, _Pool] = {}
        self._resolved: set[str] = set()

    async def fetch(
        self, address: OriginAddress, request: Request, timeouts: OriginTimeouts
    ) -> OriginResponse:
        """Send a request and return once the response's head is here.

        A kept connection that the origin closed at the same moment is not a failure: a request
        that is safe to repeat goes out once more on a new one.

        Raises:
            OriginError: The origin could not be reached or did not answer properly.
        """
        pool = self._pools.get(address)
        if pool is None:
            pool = self._pools[address] = _Pool(address, self._clock)
        kept = pool.take(timeouts.keepalive_timeout_s)
        if kept is not None:
            try:
                answered = await kept.exchange(request, timeouts)
            except OriginError as error:
                if error.failure is not OriginFailure.READ or request.method not in _REPEATABLE:
                    raise
            else:
                return OriginResponse(
                    answered.response, answered.sent_ms, answered.first_byte_ms, reused=True
                )
        connection = await pool.connect(timeouts)
        return await connection.exchange(request, timeouts)

    async def resolve(self, address: OriginAddress) -> None:
        """Look an origin's name up, without connecting.

        Raises:
            OriginError: DNS: there is no such name.
        """
        if address.host in self._resolved:
            return
        try:
            await asyncio.get_running_loop().getaddrinfo(address.host, address.port)
        except OSError as error:
            detail = f"{address.host}: {error}"
            raise OriginError(OriginFailure.DNS, detail, connecting=True) from error
        self._resolved.add(address.host)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for pool in self._pools.values():
            pool.close()
        with contextlib.suppress(asyncio.CancelledError):
            await self._clock.sleep_ms(0)
