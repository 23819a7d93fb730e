"""Real connections to an origin: kept while they may be, closed when nobody asks any more."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from emulator.clock.real import RealClock
from emulator.network.origins import OriginAddress, OriginClient, OriginTimeouts
from emulator.values.headers import Headers
from emulator.values.messages import Request

pytestmark = pytest.mark.anyio


async def test_an_idle_connection_ends_without_another_request() -> None:
    """After the origin keep-alive time-out; the origin sees it close."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert await reader.read() == b""
        ended.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    asked = Request("GET", "/", "", Headers([("Host", "x")]), b"", "127.0.0.1", 1)
    async with OriginClient(RealClock()) as client:
        timeouts = OriginTimeouts(keepalive_timeout_s=0.1)
        answered = await client.fetch(OriginAddress("127.0.0.1", port), asked, timeouts)
        async with asyncio.timeout(20):
            await ended.wait()
    server.close()

    assert answered.response.status == 200


@pytest.mark.parametrize("surplus", [b"more", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"])
async def test_what_follows_in_a_later_read_ends_the_connection(surplus: bytes) -> None:
    """The declared body is the answer; the next request goes out on another connection."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                await writer.drain()
                await gate.wait()
                writer.write(surplus)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = OriginAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    asked = Request("GET", "/", "", Headers([("Host", "x")]), b"", "127.0.0.1", 1)
    bodies = []
    async with OriginClient(RealClock()) as client, asyncio.timeout(20):
        for _ in range(2):
            gate = asyncio.Event()
            answered = await client.fetch(address, asked, OriginTimeouts())
            # The head is here; what is too much comes before the body is read, or after it.
            gate.set()
            await asyncio.sleep(0.05)  # noqa: TID251 - the origin's own time
            body = answered.response.body
            assert not isinstance(body, bytes)
            bodies.append(b"".join([piece async for piece in body]))
    server.close()

    assert bodies == [b"hello", b"hello"]
    assert connections == 2
