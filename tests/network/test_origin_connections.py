"""Real connections to an origin: kept while they may be, closed when nobody asks any more."""

from __future__ import annotations

import asyncio

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
