"""Origins that fail: retries, time-outs, failover."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request as Asked
from starlette.responses import Response as Sent
from starlette.responses import StreamingResponse

from emulator.errors import OriginError
from emulator.values.distribution import ALL_METHODS, Origin, OriginGroup
from tests.edge.world import CACHE, Running, behavior, running, says

pytestmark = pytest.mark.anyio
DISABLED = CACHE["CachingDisabled"]
GROUPED = behavior(DISABLED, target_origin_id="Group", allowed_methods=ALL_METHODS)


def group(*statuses: int) -> dict[str, OriginGroup]:
    """An origin group that fails over on these statuses."""
    return {"Group": OriginGroup("Group", "Api", "Second", frozenset(statuses))}


async def hang(asked: Asked) -> Sent:
    """Never answer."""
    await asyncio.Event().wait()
    return Sent()


def close_port(world: Running) -> None:
    """Nobody listens any more: the primary's address is one that refuses."""
    site = world.edge.site
    target = site.origins["E1", "Api"]
    refused = type(target.address)("127.0.0.1", 9)
    object.__setattr__(target, "address", refused)


@pytest.mark.conformance("CF-68")
@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_silent_origin_is_asked_again_for_get(attempts: int) -> None:
    """As often as its connection attempts say, then 504."""
    origin = Origin("Api", "api.example.com", connection_attempts=attempts)
    async with running(behavior(DISABLED), origins=[origin], read_timeout_s=0.2) as world:
        world.origin.script = hang
        answer = await world.get("/a")

        assert answer.status == 504
        assert len(world.origin.seen) == attempts


@pytest.mark.conformance("CF-69")
async def test_a_silent_origin_is_asked_once_for_post() -> None:
    """One try, 504 after the read time-out."""
    chosen = behavior(DISABLED, allowed_methods=ALL_METHODS)
    async with running(chosen, read_timeout_s=0.2) as world:
        world.origin.script = hang
        answer = await world.get("/a", "POST")

        assert answer.status == 504
        assert len(world.origin.seen) == 1


@pytest.mark.conformance("CF-70")
async def test_the_completion_timeout_cuts_a_dripping_body() -> None:
    """And is a 504 when nothing has been sent yet."""
    origin = Origin("Api", "api.example.com", response_completion_timeout_s=0.4)

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)  # noqa: TID251 - the origin's own time

    async with running(behavior(DISABLED), origins=[origin], read_timeout_s=5) as world:
        world.origin.script = lambda asked: StreamingResponse(drip())
        with pytest.raises(OriginError, match="completion timeout"):
            await world.get("/a")
        world.origin.script = hang
        silent = await world.get("/b")

        assert silent.status == 504


@pytest.mark.conformance("CF-62")
async def test_a_gap_over_the_read_timeout_ends_a_stream() -> None:
    """The status has left, so the connection is cut."""

    async def stall() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.Event().wait()

    async with running(behavior(DISABLED), read_timeout_s=0.2) as world:
        world.origin.script = lambda asked: StreamingResponse(stall())

        with pytest.raises(OriginError, match="paused"):
            await world.get("/a")


@pytest.mark.conformance("CF-61")
async def test_a_stream_arrives_unbuffered_and_uncompressed() -> None:
    """The first event is here while the origin still waits to send the second."""
    go_on = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await go_on.wait()
        yield b"data: 2\n\n"

    chosen = behavior(CACHE["CachingOptimized"], compress=True)
    async with running(chosen) as world:
        world.origin.script = lambda asked: StreamingResponse(
            events(), media_type="text/event-stream"
        )
        delivery = await world.ask("/a", Accept_Encoding="gzip, br")
        assert not isinstance(delivery.body, bytes)
        pieces = aiter(delivery.body)
        first = await anext(pieces)
        go_on.set()
        rest = b"".join([piece async for piece in pieces])

        assert (first, rest) == (b"data: 1\n\n", b"data: 2\n\n")
        assert "content-encoding" not in delivery.headers


@pytest.mark.conformance("CF-59")
async def test_a_body_shorter_than_promised_is_not_kept() -> None:
    """It is passed on and cut; the next request asks again."""
    async with running(behavior(CACHE["CachingOptimized"])) as world:

        async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(lie, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        target = world.edge.site.origins["E1", "Api"]
        honest = target.address
        object.__setattr__(target, "address", type(honest)("127.0.0.1", port))
        with pytest.raises(OriginError):
            await world.get("/a")
        object.__setattr__(target, "address", honest)
        again = await world.get("/a")
        server.close()

        assert (again.x_cache, again.body) == ("Miss", b"hello")


@pytest.mark.conformance("CF-71")
async def test_a_listed_status_fails_over_and_an_unlisted_failure_does_not() -> None:
    """502 listed: the secondary answers. Refused with 503 not listed: it does not."""
    async with running(GROUPED, origin_groups=group(500, 502)) as world:
        world.origin.script = says("bad", 502)
        listed = await world.get("/a")
        close_port(world)
        refused = await world.get("/a")

        assert (listed.status, listed.body) == (200, b"second")
        assert refused.status == 502
        assert len(world.second.seen) == 1


@pytest.mark.conformance("CF-72")
async def test_refused_counts_as_503_and_silence_as_504() -> None:
    """Each fails over when its own status is listed."""
    async with running(GROUPED, origin_groups=group(503)) as world:
        close_port(world)
        refused = await world.get("/a")
    origin = Origin("Api", "api.example.com", connection_attempts=1)
    async with running(
        GROUPED, origin_groups=group(504), origins=[origin], read_timeout_s=0.2
    ) as world:
        world.origin.script = hang
        silent = await world.get("/a")

    assert (refused.body, silent.body) == (b"second", b"second")


@pytest.mark.conformance("CF-73")
async def test_post_never_fails_over() -> None:
    """The primary's 500 goes to the viewer, the secondary is left alone."""
    async with running(GROUPED, origin_groups=group(500)) as world:
        world.origin.script = says("bad", 500)
        answer = await world.get("/a", "POST")

        assert (answer.status, answer.body) == (500, b"bad")
        assert world.second.seen == []


@pytest.mark.conformance("CF-74")
@pytest.mark.parametrize("cached", [True, False])
async def test_options_fails_over_only_as_a_cached_method(cached: bool) -> None:
    """It has to be in CachedMethods."""
    methods = frozenset({"GET", "HEAD"} | ({"OPTIONS"} if cached else set()))
    chosen = behavior(
        DISABLED, target_origin_id="Group", allowed_methods=ALL_METHODS, cached_methods=methods
    )
    async with running(chosen, origin_groups=group(500)) as world:
        world.origin.script = says("bad", 500)
        answer = await world.get("/a", "OPTIONS")

        assert answer.status == (200 if cached else 500)


@pytest.mark.conformance("CF-76")
async def test_the_next_request_tries_the_primary_again() -> None:
    """There is no circuit breaker."""
    async with running(GROUPED, origin_groups=group(500)) as world:
        world.origin.script = says("bad", 500)
        first = await world.get("/a")
        world.origin.script = says("good")
        second = await world.get("/a")

        assert [first.body, second.body] == [b"second", b"good"]


@pytest.mark.conformance("CF-20")
async def test_origins_are_spoken_to_in_http_1_1() -> None:
    """Whatever the viewer speaks."""
    async with running(behavior(DISABLED)) as world:
        await world.get("/a")

        assert world.origin.seen[0].scope["http_version"] == "1.1"
