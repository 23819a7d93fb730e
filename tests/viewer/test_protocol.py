"""The viewers' wire: raw sockets against the real protocol class under real uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from emulator.app.servers import Listener, bind, port_of
from emulator.clock.real import RealClock
from emulator.edge.delivery import Delivery, Viewer
from emulator.edge.journey import Journey
from emulator.network.places import parse_place
from emulator.values.headers import Headers
from emulator.values.messages import Request
from emulator.viewer.protocol import ViewerConnection


@dataclass
class Echo:
    """Answers each request by its path; a deliverer of the test, without an edge."""

    cancelled: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    async def deliver(self, request: Request, viewer: Viewer) -> Delivery:
        """What the path asks for."""
        clock = RealClock()
        journey = Journey(
            clock,
            trace_id="0" * 16,
            request_id="id",
            request=request,
            place=parse_place("LHR"),
            pop="LHR50-C1",
            arrived_ms=clock.now_ms(),
        )
        headers = Headers([("Server", "CloudFront"), ("X-Cache", "Miss from cloudfront")])
        if request.uri == "/slow":
            try:
                await clock.sleep_ms(30_000)
            except asyncio.CancelledError:
                self.cancelled.append(request.uri)
                raise
        if request.uri == "/stream":
            return Delivery(200, "", headers, self.pieces(clock), journey)
        if request.uri == "/nothing":
            return Delivery(204, "", headers, b"", journey)
        if request.uri == "/upload":
            assert not isinstance(request.body, bytes)
            total = 0
            try:
                async for piece in request.body:
                    total += len(piece)
            except ConnectionError as error:
                self.broken.append(str(error))
                raise
            return Delivery(200, "", headers, f"{total}".encode(), journey)
        body = f"{request.method} {request.target} {request.headers.pairs}".encode()
        return Delivery(200, "", headers, body, journey)

    async def pieces(self, clock: RealClock) -> AsyncIterator[bytes]:
        """Two pieces with a pause between."""
        yield b"one "
        await clock.sleep_ms(20)
        yield b"two"


@dataclass
class Served:
    """A running listener."""

    port: int
    echo: Echo

    def talk(self, sent: bytes, *, until_closed: bool = True, timeout_s: float = 5) -> bytes:
        """Send bytes and read what comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(sent)
            received = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while piece := connection.recv(65_536):
                    received += piece
                    if not until_closed and b"\r\n\r\n" in received:
                        break
            return received


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The protocol class under uvicorn, in a thread with its own event loop."""
    echo = Echo()
    listener = bind("127.0.0.1", 0, "viewer")
    ready, loop = threading.Event(), asyncio.new_event_loop()
    server = Listener(listener, echo, ViewerConnection)

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(server.start(RealClock()))
        ready.set()
        loop.run_forever()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    yield Served(port_of(listener), echo)
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def test_header_names_and_order_stay_as_the_viewer_wrote_them(served: Served) -> None:
    """Lambda@Edge shows the wire's case in `key`."""
    answer = served.talk(
        b"GET /a?b=%20 HTTP/1.1\r\nHost: h\r\nX-ODD-case: 1\r\ncookie: a\r\nCookie: b\r\n"
        b"Connection: close\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 200 OK\r\nServer: CloudFront\r\n")
    assert b"('X-ODD-case', '1'), ('cookie', 'a'), ('Cookie', 'b')" in answer
    assert b"GET /a?b=%20 " in answer


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    """Three requests in one packet."""
    one = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
    last = b"GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    answer = served.talk(one % 1 + one % 2 + last)

    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b"GET /1 ") < answer.index(b"GET /2 ") < answer.index(b"GET /3 ")


def test_a_stream_is_chunked_for_http_1_1_and_closed_for_1_0(served: Served) -> None:
    """HTTP/1.0 knows no chunks."""
    new = served.talk(b"GET /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    old = served.talk(b"GET /stream HTTP/1.0\r\n\r\n")

    assert b"Transfer-Encoding: chunked" in new
    assert new.endswith(b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")
    assert old.endswith(b"\r\n\r\none two")
    assert b"Connection: close" in old


def test_head_and_204_have_no_body(served: Served) -> None:
    """Length yes, body no; a 204 has neither."""
    head = served.talk(b"HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    nothing = served.talk(b"GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")

    assert head.endswith(b"\r\n\r\n")
    assert b"Content-Length: " in head
    assert b"Content-Length" not in nothing


def test_an_upload_is_streamed_whole(served: Served) -> None:
    """A megabyte with Expect, and chunks."""
    length = 1_048_576
    head = (
        f"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    ).encode()
    counted = served.talk(head + b"x" * length)
    chunked = served.talk(
        b"POST /upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )

    assert counted.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert counted.endswith(str(length).encode())
    assert chunked.endswith(b"\r\n\r\n5")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GARBAGE\r\n\r\n", id="no request line"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            id="two lengths",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="both framings",
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", id="control character"),
        pytest.param(b"GET / HTTP/1.1\r\nHo st: h\r\n\r\n", id="space in a name"),
    ],
)
def test_a_malformed_request_is_refused_and_the_connection_closed(
    served: Served, sent: bytes
) -> None:
    """400 with CloudFront's page; nothing of it reaches the edge."""
    answer = served.talk(sent)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nServer: CloudFront\r\n")
    assert b"Connection: close" in answer


@pytest.mark.conformance("CF-19")
def test_an_oversized_head_is_refused_and_the_connection_closed(served: Served) -> None:
    """URL over 8,192 bytes: 414; headers over 32,768 bytes: 494."""
    long_url = served.talk(b"GET /" + b"a" * 8_192 + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    long_head = served.talk(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 33_000 + b"\r\n\r\n")
    endless = served.talk(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 200_000)

    assert long_url.startswith(b"HTTP/1.1 414 ")
    assert long_head.startswith(b"HTTP/1.1 494 ")
    assert endless.startswith(b"HTTP/1.1 494 ") or endless == b""


def test_a_viewer_that_leaves_cancels_its_request(served: Served) -> None:
    """Nothing goes on for nobody."""
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        # Another answer shows that the request has arrived by now.
        served.talk(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    for _ in range(50):
        served.talk(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        if served.echo.cancelled:
            break

    assert served.echo.cancelled == ["/slow"]


def test_a_viewer_that_leaves_in_an_upload_breaks_its_body(served: Served) -> None:
    """Half an upload is never taken for a whole one."""
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")
        served.talk(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    after = served.talk(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")

    assert after.startswith(b"HTTP/1.1 200 OK")
