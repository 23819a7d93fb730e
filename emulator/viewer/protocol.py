"""One viewer connection.

Requests are answered in the order they came (pipelining included). A request's body is streamed to
whoever reads it; reading from the socket pauses while nobody does. When the viewer leaves, its
request is cancelled, and with it whatever the origin was still sending.
"""

# ruff: noqa: D102 - the callbacks of asyncio and httptools are documented there
from __future__ import annotations

import asyncio
import collections
import http
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final, Protocol, cast

import httptools

from emulator.edge.delivery import Delivery, Viewer
from emulator.errors import LocalpopError
from emulator.quotas import REQUEST_HEADERS_MAX_BYTES, URL_MAX_BYTES
from emulator.rules.error_pages import BAD_REQUEST, error_page
from emulator.rules.viewer_request import size_refusal
from emulator.rules.websocket import HANDSHAKE, SWITCHING_PROTOCOLS, wants_websocket
from emulator.values.headers import Headers
from emulator.values.messages import Request, close_body

_log = logging.getLogger(__name__)

# How long a connection may be idle, and how long a head may take to arrive. AWS publishes neither.
_IDLE_TIMEOUT_S: Final = 60.0
_HEAD_TIMEOUT_S: Final = 30.0
_BODY_HIGH_WATER_BYTES: Final = 256 * 1024
_PIPELINE_MAX: Final = 32
_BODYLESS: Final = frozenset({204, 304})


class Deliverer(Protocol):
    """What answers a viewer request: the edge."""

    async def deliver(self, request: Request, viewer: Viewer) -> Delivery:
        """Answer one request; returns when the first byte is due."""
        ...


class ServerState(Protocol):
    """What uvicorn shares among the connections of one listener."""

    connections: set[Any]
    tasks: set[asyncio.Task[None]]
    total_requests: int


def _status_line(status: int, reason: str) -> bytes:
    if not reason:
        try:
            reason = http.HTTPStatus(status).phrase
        except ValueError:
            reason = ""
    return f"HTTP/1.1 {status} {reason}\r\n".encode("latin-1")


_STATUS_LINES: Final = {status: _status_line(status, "") for status in range(200, 600)}


class RequestBody:
    """A request's body while it arrives. Iterate once."""

    def __init__(self, connection: ViewerConnection) -> None:
        self._connection = connection
        self._pieces: collections.deque[bytes] = collections.deque()
        self._waiter: asyncio.Future[None] | None = None
        self._complete = False
        self._broken = False
        self.buffered_bytes = 0

    def feed(self, piece: bytes) -> None:
        """A piece has arrived."""
        self._pieces.append(piece)
        self.buffered_bytes += len(piece)
        self._wake()

    def finish(self, *, broken: bool = False) -> None:
        """The last piece has arrived, or the viewer has gone."""
        self._complete, self._broken = True, broken
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._connection.wants_body()
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self.buffered_bytes -= len(piece)
                yield piece
                self._connection.body_was_read(self)
            if self._broken:
                raise ConnectionError("the viewer left before its request was complete")
            if self._complete:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class ViewerConnection(asyncio.Protocol):
    """One viewer connection; the constructor is the one that uvicorn calls.

    Args:
        config: uvicorn's configuration; its loaded app is the `Deliverer`.
        server_state: uvicorn's shared state.
        app_state: Not used.
        _loop: Not used.
    """

    def __init__(
        self,
        config: Any,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._edge: Deliverer = config.loaded_app
        self._state = server_state
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._viewer = Viewer("", 0)
        self._waiting: collections.deque[tuple[Request, bool]] = collections.deque()
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self._expected_by_s = 0.0
        self._refused = False
        self._closing = False
        self._paused = False
        self._expects_continue = False
        # A WebSocket handshake was asked for: what follows is the request's body, without an end.
        self._tunnel = False
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._lines: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._head_complete = False
        self._body: RequestBody | None = None

    # --- asyncio.Protocol -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._state.connections.add(self)
        peer = transport.get_extra_info("peername") or ("127.0.0.1", 0)
        secure = isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject)
        self._viewer = Viewer(str(peer[0]), int(peer[1]), secure=secure)
        self._expect_within(_HEAD_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._tunnel:
            self.on_body(data)
            return
        if not self._head_complete:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The request itself is complete; what follows speaks another protocol.
            self._closing = True
            if self._tunnel and (rest := data[upgrade.args[0] :]):
                self.on_body(rest)
        except httptools.HttpParserError:
            self._refuse(400)
        if not self._head_complete and self._head_bytes > 2 * REQUEST_HEADERS_MAX_BYTES:
            self._refuse(494 if len(self._url) <= URL_MAX_BYTES else 414)

    def eof_received(self) -> None:
        # A viewer that closed its sending half is taken to have left, as nginx and uvicorn do:
        # otherwise nobody could tell, and the model would go on writing for no one.
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)
        self._closing = True
        if self._timeout is not None:
            self._timeout.cancel()
        if self._body is not None:
            self._body.finish(broken=True)
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._task is not None:
            self._task.cancel()
        self._waiting.clear()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def shutdown(self) -> None:
        """Close after the answer that is under way; uvicorn calls it at the end."""
        self._closing = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    # --- httptools --------------------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._head_complete = True
        request = self._request()
        refusal = size_refusal(request, _head_size(request))
        if refusal:
            self._refuse(refusal)
            return
        headers = request.headers
        if wants_websocket(request):
            self._tunnel = True
            self._body = RequestBody(self)
            self._queue(replace(request, body=self._body))
            return
        if "content-length" in headers or "transfer-encoding" in headers:
            if headers.get("content-length", "1").strip() == "0":
                self._queue(request)
                return
            self._body = RequestBody(self)
            self._expects_continue = headers.get("expect").lower() == "100-continue"
            request = replace(request, body=self._body)
        self._queue(request)

    def on_body(self, piece: bytes) -> None:
        if self._body is None:
            return
        self._body.feed(piece)
        if self._body.buffered_bytes > _BODY_HIGH_WATER_BYTES:
            self._pause()

    def on_message_complete(self) -> None:
        if self._tunnel:
            return
        if self._body is not None:
            self._body.finish()
        self._begin()

    # --- from the wire to the edge ----------------------------------------------------------

    def _request(self) -> Request:
        target = self._url.decode("latin-1")
        if not target.startswith("/"):
            # Absolute form: the path is what follows the authority.
            _, _, rest = target.partition("://")
            slash = rest.find("/")
            target = rest[slash:] if slash >= 0 else "/"
        uri, question, querystring = target.partition("?")
        return Request(
            self._parser.get_method().decode("latin-1"),
            uri,
            querystring,
            Headers(self._lines),
            b"",
            self._viewer.ip,
            self._viewer.port,
            self._parser.get_http_version(),
            bool(question),
            self._viewer.secure,
        )

    def _queue(self, request: Request) -> None:
        if self._refused or self._closing:
            return
        keep_alive = self._parser.should_keep_alive()
        if self._task is not None:
            self._waiting.append((request, keep_alive))
            if len(self._waiting) >= _PIPELINE_MAX:
                self._pause()
            return
        self._start(request, keep_alive=keep_alive)

    def _start(self, request: Request, *, keep_alive: bool) -> None:
        self._state.total_requests += 1
        self._task = asyncio.create_task(self._answer(request, keep_alive=keep_alive))

    async def _answer(self, request: Request, *, keep_alive: bool) -> None:
        kept = False
        try:
            delivery = await self._edge.deliver(request, self._viewer)
            kept = await self._write(delivery, request, keep_alive=keep_alive)
        except (LocalpopError, ConnectionError):
            # The origin broke off after the head had left, or the viewer did within its upload:
            # all that is left to say is that the connection ends here.
            kept = False
        except Exception:
            # A defect of ours ends this connection only, and is told to whoever runs us.
            _log.exception("%s %s failed", request.method, request.uri)
        finally:
            self._task = None
            self._next(keep_alive=kept)

    def _next(self, *, keep_alive: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not keep_alive or self._closing:
            transport.close()
        elif self._waiting:
            request, keep = self._waiting.popleft()
            self._resume()
            self._start(request, keep_alive=keep)
        else:
            self._resume()
            self._expect_within(_IDLE_TIMEOUT_S)

    # --- from the edge to the wire ----------------------------------------------------------

    async def _write(self, delivery: Delivery, request: Request, *, keep_alive: bool) -> bool:
        """Write head and body; returns whether the connection may serve another request."""
        assert self._transport is not None
        body, headers = delivery.body, delivery.headers
        if self._body is not None and request.body is self._body:
            # The answer came before the whole request did; what follows could not be told apart.
            keep_alive = False
        keep_alive = keep_alive and not delivery.journey.closes
        streamed = not isinstance(body, bytes)
        bodyless = request.method == "HEAD" or delivery.status in _BODYLESS
        chunked = False
        switched = delivery.status == SWITCHING_PROTOCOLS
        if streamed and not bodyless and not switched and "content-length" not in headers:
            chunked = request.http_version == "1.1"
            keep_alive = keep_alive and chunked
        head = _head(delivery, body, chunked=chunked, bodyless=bodyless, keep_alive=keep_alive)
        if isinstance(body, bytes):
            self._transport.write(head if bodyless else head + body)
            delivery.journey.finished(0 if bodyless else len(body), len(head))
            return keep_alive
        self._transport.write(head)
        sent_bytes = 0
        try:
            async for piece in body:
                if bodyless or not piece:
                    continue
                sent_bytes += len(piece)
                framed = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
                self._transport.write(framed)
                if self._writable is not None:
                    await self._writable
        finally:
            # A viewer that has left needs no more of it, and neither does the model.
            await close_body(body)
        if chunked:
            self._transport.write(b"0\r\n\r\n")
        delivery.journey.finished(sent_bytes, len(head))
        return keep_alive

    def _refuse(self, status: int) -> None:
        """CloudFront's own refusal of a malformed request; the connection closes after it."""
        if self._refused or self._transport is None:
            return
        self._refused = True
        if self._body is not None:
            self._body.finish(broken=True)
        page = error_page(status, BAD_REQUEST, "")
        assert isinstance(page.body, bytes)
        head = _status_line(status, "") + (
            b"Server: CloudFront\r\nContent-Type: text/html\r\nContent-Length: "
            + str(len(page.body)).encode()
            + b"\r\nConnection: close\r\nX-Cache: Error from cloudfront\r\n\r\n"
        )
        if self._task is None:
            self._transport.write(head + page.body)
            self._transport.close()
        else:
            # An earlier request is still being answered: refuse by closing after it.
            self._closing = True

    # --- flow -------------------------------------------------------------------------------

    def wants_body(self) -> None:
        """Someone reads the body: a viewer that waits for it is told to go on."""
        if self._expects_continue and self._transport is not None:
            self._expects_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def body_was_read(self, body: RequestBody) -> None:
        """Room again for more of the body."""
        if body.buffered_bytes <= _BODY_HIGH_WATER_BYTES // 4:
            self._resume()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _expect_within(self, seconds: float) -> None:
        """Close unless a request's head is complete by then."""
        loop = asyncio.get_running_loop()
        self._expected_by_s = loop.time() + seconds
        # A timer that rings too early sets itself anew: cheaper than one for each request.
        if self._timeout is None or self._timeout.when() > self._expected_by_s:
            if self._timeout is not None:
                self._timeout.cancel()
            self._timeout = loop.call_at(self._expected_by_s, self._timed_out)

    def _timed_out(self) -> None:
        self._timeout = None
        if self._task is not None or self._transport is None or self._transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._expected_by_s:
            self._timeout = loop.call_at(self._expected_by_s, self._timed_out)
        else:
            self._transport.close()


def _head_size(request: Request) -> int:
    lines = sum(len(name) + len(value) + 4 for name, value in request.headers)
    return len(request.method) + len(request.target) + 12 + lines


def _head(
    delivery: Delivery, body: object, *, chunked: bool, bodyless: bool, keep_alive: bool
) -> bytes:
    """Status line and headers; framing stands where captures of CloudFront have it."""
    headers = delivery.headers
    framing = "Connection: keep-alive\r\n" if keep_alive else "Connection: close\r\n"
    if delivery.status == SWITCHING_PROTOCOLS:
        framing = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE)
    elif chunked:
        framing = "Transfer-Encoding: chunked\r\n" + framing
    elif isinstance(body, bytes) and delivery.status not in _BODYLESS:
        if "content-length" not in headers:
            framing = f"Content-Length: {len(body)}\r\n{framing}"
        elif not bodyless and headers.get("content-length") != str(len(body)):
            headers = headers.with_set("Content-Length", str(len(body)))
    parts = []
    placed = False
    for name, value in headers:
        if not placed and name not in _BEFORE_FRAMING:
            parts.append(framing)
            placed = True
        parts.append(f"{name}: {value}\r\n")
    if not placed:
        parts.append(framing)
    line = _status_line(delivery.status, delivery.reason) if delivery.reason else None
    return (line or _STATUS_LINES.get(delivery.status) or _status_line(delivery.status, "")) + (
        "".join(parts) + "\r\n"
    ).encode("latin-1", "replace")


# In captures `Connection` follows these (facts/cloudfront.md 14.3).
_BEFORE_FRAMING: Final = frozenset(
    {"Server", "Date", "Content-Type", "Content-Length", "content-type", "content-length"}
)
