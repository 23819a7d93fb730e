"""Objects in the caches: what is kept, for how long, and who gets it."""

from __future__ import annotations

import asyncio
import itertools
from email.utils import formatdate

import pytest
from starlette.requests import Request as Asked
from starlette.responses import Response as Sent
from starlette.responses import StreamingResponse

from emulator.values.distribution import ALL_METHODS, Names, Origin, Selection
from emulator.values.messages import close_body
from tests.edge.world import (
    ALL_QUERIES,
    CACHE,
    ORIGIN_REQUEST,
    asked,
    behavior,
    policy,
    read,
    running,
    says,
    viewer,
)

pytestmark = pytest.mark.anyio
OPTIMIZED = behavior(CACHE["CachingOptimized"])


async def test_the_second_request_is_a_hit_with_an_age() -> None:
    """Miss, then Hit; Age counts from the fetch."""
    async with running(OPTIMIZED) as world:
        first = await world.get("/a")
        world.clock.move_s(128)
        second = await world.get("/a")

        assert [first.x_cache, second.x_cache] == ["Miss", "Hit"]
        assert "age" not in first.headers
        assert second.headers.get("age") == "128"
        assert second.body == first.body
        assert len(world.origin.seen) == 1


@pytest.mark.conformance("CF-104")
async def test_a_hit_keeps_the_date_of_the_fetch() -> None:
    """`Date` stays, `Age` tells the difference; it is on hits only."""
    async with running(OPTIMIZED) as world:
        world.origin.script = says("x", date="Tue, 26 Sep 2023 17:09:27 GMT")
        first = await world.get("/a")
        second = await world.get("/a")

        assert first.headers.get("date") == second.headers.get("date")
        assert "age" not in first.headers
        assert "age" in second.headers


@pytest.mark.conformance("CF-21", "CF-23")
async def test_query_and_host_are_not_in_the_key_of_caching_optimized() -> None:
    """Same path, different query, different name: one object."""
    async with running(OPTIMIZED, aliases=("www.example.com",)) as world:
        results = [
            (await world.get("/a?x=1")).x_cache,
            (await world.get("/a?x=2")).x_cache,
            (await world.get("/a", host="www.example.com")).x_cache,
        ]

        assert results == ["Miss", "Hit", "Hit"]


@pytest.mark.conformance("CF-7")
async def test_the_query_string_never_chooses_the_behavior() -> None:
    """Only the path does."""
    special = behavior(CACHE["CachingDisabled"], path_pattern="*special*")
    async with running(special, OPTIMIZED) as world:
        results = [(await world.get("/a?q=special")).x_cache for _ in range(2)]

        assert results == ["Miss", "Hit"]


@pytest.mark.conformance("CF-22")
async def test_query_order_matters_when_all_query_strings_are_in_the_key() -> None:
    """Two orders are two objects."""
    async with running(behavior(policy(query_strings=ALL_QUERIES))) as world:
        results = [(await world.get(target)).x_cache for target in ("/a?a=1&b=2", "/a?b=2&a=1")]

        assert results == ["Miss", "Miss"]


@pytest.mark.conformance("CF-25", "CF-26")
async def test_listed_headers_and_cookies_make_variants() -> None:
    """Values by case; unlisted cookies neither count nor go on."""
    listed = policy(
        headers=Names(Selection.WHITELIST, frozenset({"x-tier"})),
        cookies=Names(Selection.WHITELIST, frozenset({"lang"})),
    )
    async with running(behavior(listed)) as world:
        results = [
            (await world.get("/a", X_Tier="gold", Cookie="lang=en; other=1")).x_cache,
            (await world.get("/a", X_Tier="Gold", Cookie="lang=en")).x_cache,
            (await world.get("/a", X_Tier="gold", Cookie="lang=de")).x_cache,
            (await world.get("/a", X_Tier="gold", Cookie="other=2; lang=en")).x_cache,
        ]

        assert results == ["Miss", "Miss", "Miss", "Hit"]
        assert world.origin.seen[0].headers["cookie"] == "lang=en"


@pytest.mark.conformance("CF-27")
async def test_post_is_neither_kept_nor_served_from_cache() -> None:
    """Even when a GET of the same path is kept."""
    async with running(behavior(allowed_methods=ALL_METHODS)) as world:
        await world.get("/a")
        results = [(await world.get("/a", "POST")).x_cache for _ in range(2)]

        assert results == ["Miss", "Miss"]
        assert len(world.origin.seen) == 3


@pytest.mark.conformance("CF-28")
@pytest.mark.parametrize(
    ("cached", "results"), [(True, ["Miss", "Hit"]), (False, ["Miss", "Miss"])]
)
async def test_options_is_kept_by_itself_and_only_when_listed(
    cached: bool, results: list[str]
) -> None:
    """In CachedMethods it has a key of its own."""
    methods = frozenset({"GET", "HEAD", "OPTIONS"})
    chosen = behavior(
        allowed_methods=methods, cached_methods=methods if cached else methods - {"OPTIONS"}
    )
    async with running(chosen) as world:
        await world.get("/a")

        assert [(await world.get("/a", "OPTIONS")).x_cache for _ in range(2)] == results


@pytest.mark.conformance("CF-29")
async def test_a_viewer_cannot_force_a_refetch() -> None:
    """Cache-Control and Pragma of the viewer change nothing."""
    async with running(OPTIMIZED) as world:
        await world.get("/a")
        again = await world.get("/a", Cache_Control="no-cache", Pragma="no-cache")

        assert again.x_cache == "Hit"


@pytest.mark.conformance("CF-30", "CF-31", "CF-32", "CF-33", "CF-34")
@pytest.mark.parametrize(
    ("ttls", "headers", "fresh_s"),
    [
        pytest.param((1, 86_400, 31_536_000), {}, 86_400, id="default TTL"),
        pytest.param((60, 60, 3_600), {"Cache-Control": "max-age=10"}, 60, id="minimum wins"),
        pytest.param((0, 60, 3_600), {"Cache-Control": "max-age=99999999"}, 3_600, id="maximum"),
        pytest.param((0, 60, 3_600), {"Cache-Control": "max-age=9, s-maxage=90"}, 90, id="shared"),
        pytest.param(
            (0, 60, 3_600),
            {"Cache-Control": "max-age=90", "Expires": "Tue, 26 Sep 2023 17:09:27 GMT"},
            90,
            id="max-age beats Expires",
        ),
        pytest.param((0, 60, 3_600), {"Cache-Control": "no-store"}, 0, id="no-store, minimum 0"),
        pytest.param((1, 60, 3_600), {"Cache-Control": "no-store"}, 1, id="no-store, minimum 1"),
        pytest.param((0, 60, 3_600), {"Cache-Control": "private"}, 0, id="private, minimum 0"),
        pytest.param((1, 60, 3_600), {"Cache-Control": "private"}, 1, id="private, minimum 1"),
    ],
)
async def test_how_long_an_object_is_fresh(
    ttls: tuple[int, int, int], headers: dict[str, str], fresh_s: int
) -> None:
    """The TTL table, seen from outside: a hit until then, and not after."""
    least, default, most = ttls
    async with running(behavior(policy(least=least, default=default, most=most))) as world:
        world.origin.script = lambda asked: Sent(b"x", headers=headers)
        await world.get("/a")
        world.clock.move_s(max(0, fresh_s - 1) if fresh_s != 1 else 0)
        before = await world.get("/a")
        world.clock.move_s(2)
        after = await world.get("/a")

        assert before.x_cache == ("Hit" if fresh_s else "Miss")
        assert after.x_cache == "Miss"


@pytest.mark.conformance("CF-35")
async def test_an_expired_object_is_revalidated() -> None:
    """If-None-Match goes out, 304 comes back: RefreshHit, and Age begins anew."""

    def script(asked: Asked) -> Sent:
        headers = {"ETag": '"v1"', "Cache-Control": "max-age=10"}
        if asked.headers.get("if-none-match") == '"v1"':
            return Sent(status_code=304, headers=headers)
        return Sent(b"x", headers=headers)

    async with running(behavior(policy())) as world:
        world.origin.script = script
        await world.get("/a")
        world.clock.move_s(11)
        refreshed = await world.get("/a")
        world.clock.move_s(3)
        hit = await world.get("/a")

        assert (refreshed.x_cache, refreshed.body) == ("RefreshHit", b"x")
        assert refreshed.headers.get("age") == "0"
        assert (hit.x_cache, hit.headers.get("age")) == ("Hit", "3")


@pytest.mark.conformance("CF-36")
async def test_no_conditional_headers_when_cookies_are_forwarded() -> None:
    """A full refetch instead."""
    forwarding = policy(cookies=Names(Selection.ALL))
    async with running(behavior(forwarding)) as world:
        world.origin.script = says("x", ETag='"v1"', Cache_Control="max-age=10")
        await world.get("/a")
        world.clock.move_s(11)
        await world.get("/a")

        assert "if-none-match" not in world.origin.seen[1].headers


@pytest.mark.conformance("CF-37")
async def test_vary_star_sends_every_request_to_the_origin() -> None:
    """Without conditional headers, with minimum TTL 0."""
    async with running(behavior(policy())) as world:
        world.origin.script = says("x", ETag='"v1"', Vary="*", Cache_Control="max-age=60")
        results = [(await world.get("/a")).x_cache for _ in range(2)]

        assert results == ["Miss", "Miss"]
        assert "if-none-match" not in world.origin.seen[1].headers


@pytest.mark.conformance("CF-38")
async def test_stale_while_revalidate_serves_at_once_and_refreshes_behind() -> None:
    """The expired object comes back immediately; one fetch follows in the background."""
    fresh = "max-age=10, stale-while-revalidate=60"
    async with running(behavior(policy())) as world:
        world.origin.script = says("old", Cache_Control=fresh)
        await world.get("/a")
        world.clock.move_s(11)
        world.origin.script = says("new", Cache_Control=fresh)
        stale = await world.get("/a")
        for _ in range(200):
            if (await world.get("/a")).body == b"new":
                break
            await world.clock.sleep_ms(5)
        renewed = await world.get("/a")

        assert (stale.x_cache, stale.body) == ("Hit", b"old")
        assert (renewed.x_cache, renewed.body) == ("Hit", b"new")
        assert len(world.origin.seen) == 2


@pytest.mark.conformance("CF-39")
async def test_stale_if_error_serves_stale_until_its_end() -> None:
    """An origin's 503 gives the stale object, and the error once that time is over."""
    async with running(behavior(policy())) as world:
        world.origin.script = says("good", Cache_Control="max-age=10, stale-if-error=30")
        await world.get("/a")
        world.origin.script = says("down", 503)
        world.clock.move_s(15)
        stale = await world.get("/a")
        world.clock.move_s(60)
        over = await world.get("/a")

        assert (stale.status, stale.x_cache, stale.body) == (200, "Hit", b"good")
        assert (over.status, over.x_cache) == (503, "Error")


@pytest.mark.conformance("CF-40")
async def test_stale_if_error_waits_for_a_hanging_origin_first() -> None:
    """Only when the read time-out has run out is the stale object served."""

    async def hang(asked: Asked) -> Sent:
        await asyncio.Event().wait()
        return Sent()

    origin = Origin("Api", "api.example.com", connection_attempts=1)
    async with running(behavior(policy()), origins=[origin], read_timeout_s=0.3) as world:
        world.origin.script = says("good", Cache_Control="max-age=10, stale-if-error=30")
        await world.get("/a")
        world.clock.move_s(15)
        world.origin.script = hang
        started_ms = world.clock.now_ms()
        stale = await world.get("/a")

        assert stale.body == b"good"
        assert world.clock.now_ms() - started_ms >= 300


@pytest.mark.conformance("CF-41")
async def test_without_directives_an_error_gives_stale_and_the_origin_is_left_alone() -> None:
    """For ten seconds it is not asked again."""
    async with running(behavior(policy())) as world:
        world.origin.script = says("good", Cache_Control="max-age=10")
        await world.get("/a")
        world.origin.script = says("down", 500)
        world.clock.move_s(11)
        first = await world.get("/a")
        world.clock.move_s(5)
        quiet = await world.get("/a")
        asked_so_far = len(world.origin.seen)
        world.clock.move_s(6)
        again = await world.get("/a")

        assert [one.body for one in (first, quiet, again)] == [b"good"] * 3
        assert (asked_so_far, len(world.origin.seen)) == (2, 3)


@pytest.mark.conformance("CF-42")
async def test_an_expired_object_never_hides_a_404() -> None:
    """4xx goes to the viewer."""
    async with running(behavior(policy())) as world:
        world.origin.script = says("good", Cache_Control="max-age=10")
        await world.get("/a")
        world.origin.script = says("gone", 404)
        world.clock.move_s(11)

        assert (await world.get("/a")).status == 404


@pytest.mark.conformance("CF-43")
async def test_stale_if_error_zero_switches_staleness_off() -> None:
    """The 5xx is passed through."""
    async with running(behavior(policy())) as world:
        world.origin.script = says("good", Cache_Control="max-age=10, stale-if-error=0")
        await world.get("/a")
        world.origin.script = says("down", 502)
        world.clock.move_s(11)

        assert (await world.get("/a")).status == 502


@pytest.mark.conformance("CF-44", "CF-45", "CF-46", "CF-47")
@pytest.mark.parametrize(
    ("status", "headers", "kept_s", "caches"),
    [
        pytest.param(404, {}, 10, True, id="404 for ten seconds"),
        pytest.param(403, {}, 0, True, id="403 not at all"),
        pytest.param(403, {"Cache-Control": "max-age=60"}, 60, True, id="403 when told"),
        pytest.param(500, {"Cache-Control": "max-age=120"}, 120, True, id="the greater of the two"),
        pytest.param(404, {}, 0, False, id="never under CachingDisabled"),
    ],
)
async def test_how_long_an_error_is_kept(
    status: int, headers: dict[str, str], kept_s: int, caches: bool
) -> None:
    """Some errors are kept, most for ten seconds."""
    chosen = behavior(policy() if caches else CACHE["CachingDisabled"])
    async with running(chosen) as world:
        world.origin.script = lambda asked: Sent(b"no", status, headers)
        await world.get("/a")
        world.clock.move_s(max(0, kept_s - 1))
        kept = await world.get("/a")
        asked_while_kept = len(world.origin.seen)
        world.clock.move_s(2)
        await world.get("/a")

        assert (kept.status, kept.x_cache) == (status, "Error")
        assert asked_while_kept == (1 if kept_s else 2)
        assert len(world.origin.seen) == asked_while_kept + 1


async def slow(asked: Asked) -> Sent:
    """An origin that takes long enough for all to come."""
    from emulator.clock.real import RealClock

    await RealClock().sleep_ms(100)
    return Sent(b"x" * 100)


@pytest.mark.conformance("CF-53")
async def test_simultaneous_misses_are_one_request_to_the_origin() -> None:
    """The first logs a miss, the 49 others hits."""
    async with running(OPTIMIZED) as world:
        world.origin.script = slow
        answers = await world.get_many("/a", 50)

        assert sorted(one.x_cache for one in answers) == ["Hit"] * 49 + ["Miss"]
        assert {one.body for one in answers} == {b"x" * 100}
        assert len(world.origin.seen) == 1


@pytest.mark.conformance("CF-54", "CF-55")
@pytest.mark.parametrize("reason", ["cookies forwarded", "caching disabled"])
async def test_nothing_collapses_when_cookies_go_on_or_nothing_is_cached(reason: str) -> None:
    """Fifty viewers, fifty requests."""
    chosen = (
        behavior(policy(), origin_request_policy=ORIGIN_REQUEST["AllViewer"])
        if reason == "cookies forwarded"
        else behavior(CACHE["CachingDisabled"])
    )
    async with running(chosen) as world:
        world.origin.script = slow
        await world.get_many("/a", 50)

        assert len(world.origin.seen) == 50


async def test_those_who_waited_for_a_private_answer_ask_for_themselves() -> None:
    """no-store with minimum TTL 0 releases them to the origin."""

    async def private(asked: Asked) -> Sent:
        await slow(asked)
        return Sent(b"mine", headers={"Cache-Control": "no-store"})

    async with running(behavior(policy())) as world:
        world.origin.script = private
        answers = await world.get_many("/a", 5)

        assert [one.x_cache for one in answers] == ["Miss"] * 5
        assert len(world.origin.seen) == 5


async def test_a_failing_first_request_fails_nobody_else() -> None:
    """Those who waited try the origin themselves."""
    turns = iter([True, False, False])

    async def broken_once(asked: Asked) -> Sent:
        await slow(asked)
        return Sent(b"down", 500, {"Cache-Control": "no-store"}) if next(turns) else Sent(b"up")

    async with running(behavior(CACHE["CachingOptimized"])) as world:
        world.origin.script = broken_once
        answers = await world.get_many("/a", 2)

        assert {one.status for one in answers} <= {200, 500}


async def test_points_of_presence_that_miss_at_once_share_one_request() -> None:
    """They wait for each other at their regional edge cache; each of them keeps the object."""
    async with running(OPTIMIZED) as world:
        world.origin.script = slow
        places = ["JFK/fibre", "MIA/fibre"] * 10
        answers = await asyncio.gather(
            *(world.get("/a", X_Localpop_Viewer=place) for place in places)
        )
        later = [await world.get("/a", X_Localpop_Viewer=place) for place in places[:2]]

        assert sorted(one.x_cache for one in answers) == ["Hit"] * 19 + ["Miss"]
        assert {one.body for one in answers} == {b"x" * 100}
        assert [one.x_cache for one in later] == ["Hit", "Hit"]
        # Found in themselves: nobody went on to the regional edge cache.
        assert not any("us-east-1" in str(one.stages) for one in world.edge.latest_traces(2))
        assert len(world.origin.seen) == 1


async def test_a_private_answer_is_not_shared_between_points_of_presence() -> None:
    """Each of their viewers asks the origin."""

    async def private(asked: Asked) -> Sent:
        await slow(asked)
        return Sent(b"mine", headers={"Cache-Control": "no-store"})

    async with running(behavior(policy())) as world:
        world.origin.script = private
        places = ["JFK/fibre", "MIA/fibre"] * 3
        answers = await asyncio.gather(
            *(world.get("/a", X_Localpop_Viewer=place) for place in places)
        )

        assert [one.x_cache for one in answers] == ["Miss"] * 6
        assert len(world.origin.seen) == 6


async def test_one_that_waits_at_the_regional_edge_cache_outlives_the_first() -> None:
    """The first viewer leaves; the other point of presence's viewer gets the whole."""

    async def pieces() -> object:
        for _ in range(10):
            yield b"x" * 100
            await asyncio.sleep(0.02)  # noqa: TID251 - the origin's own time

    async with running(OPTIMIZED) as world:
        world.origin.script = lambda asked: StreamingResponse(pieces())  # type: ignore[arg-type]
        first = await world.ask("/a", X_Localpop_Viewer="JFK/fibre")
        second = await world.ask("/a", X_Localpop_Viewer="MIA/fibre")
        await close_body(first.body)
        got = await read(second)
        later = await world.get("/a", X_Localpop_Viewer="MIA/fibre")

        assert (got.x_cache, got.body) == ("Hit", b"x" * 1_000)
        assert (later.x_cache, later.body) == ("Hit", b"x" * 1_000)
        assert len(world.origin.seen) == 1


async def test_a_failure_beyond_is_everybody_s_own() -> None:
    """Nobody waits for ever for a request that broke off."""
    turns = itertools.count()

    async def silent_at_first(asked: Asked) -> Sent:
        # CloudFront asks a silent origin three times.
        await asyncio.sleep(1 if next(turns) < 3 else 0)  # noqa: TID251 - the origin's own time
        return Sent(b"up")

    async with running(behavior(policy()), read_timeout_s=0.2) as world:
        world.origin.script = silent_at_first
        places = ["JFK/fibre", "MIA/fibre"] * 2
        answers = await asyncio.gather(
            *(world.get("/a", X_Localpop_Viewer=place) for place in places)
        )

        assert sorted(one.status for one in answers) == [200, 200, 200, 504]


BYTES = bytes(range(100))


def parts(asked: Asked) -> Sent:
    """An origin that knows ranges of the one form `bytes=a-b`."""
    wanted = asked.headers.get("range")
    if wanted is None:
        return Sent(BYTES, headers={"ETag": '"1"'})
    first, last = (int(one) for one in wanted.removeprefix("bytes=").split("-"))
    lines = {"ETag": '"1"', "Content-Range": f"bytes {first}-{last}/100"}
    return Sent(BYTES[first : last + 1], 206, lines)


async def test_a_range_on_a_miss_goes_to_the_origin_and_its_part_is_kept() -> None:
    """What the part holds is answered from it; anything else is asked for."""
    async with running(OPTIMIZED) as world:
        world.origin.script = parts
        first = await world.get("/a", Range="bytes=10-49")
        inside = await world.get("/a", Range="bytes=20-29")
        elsewhere = await world.get("/a", X_Localpop_Viewer="CDG/fibre", Range="bytes=10-49")
        outside = await world.get("/a", Range="bytes=40-59")
        other = await world.get("/a", Range="bytes=40-59", If_Range='"2"')
        whole = await world.get("/a")
        end = await world.get("/a", Range="bytes=-5")

        assert [one.status for one in (first, inside, outside, end)] == [206] * 4
        assert (inside.x_cache, inside.body) == ("Hit", BYTES[20:30])
        assert inside.headers.get("content-range") == "bytes 20-29/100"
        assert inside.headers.get("content-length") == "10"
        assert elsewhere.body == first.body
        assert (outside.x_cache, outside.body) == ("Miss", BYTES[40:60])
        assert other.x_cache == "Miss"
        assert (whole.x_cache, whole.body) == ("Miss", BYTES)
        assert (end.x_cache, end.body) == ("Hit", BYTES[-5:])
        ranges = [asked.headers.get("range") for asked in world.origin.seen]
        assert ranges[0] == "bytes=10-49"
        assert ranges[-3:] == ["bytes=40-59", "bytes=40-59", None]


async def test_a_kept_part_expires_and_is_invalidated() -> None:
    """As any object."""
    async with running(behavior(policy(default=60))) as world:
        world.origin.script = parts
        results = [(await world.get("/a", Range="bytes=0-9")).x_cache for _ in range(2)]
        world.clock.move_s(61)
        results.append((await world.get("/a", Range="bytes=0-9")).x_cache)
        world.edge.invalidate("", ["/*"])
        results.append((await world.get("/a", Range="bytes=0-9")).x_cache)

        assert results == ["Miss", "Hit", "Miss", "Miss"]


async def test_a_range_that_is_none_asks_the_origin_for_the_whole() -> None:
    """Out of order or overlapping: 200, and kept."""
    async with running(OPTIMIZED) as world:
        world.origin.script = parts
        got = await world.get("/a", Range="bytes=30-40,10-20")
        again = await world.get("/a", Range="bytes=30-40")

        assert (got.status, got.body) == (200, BYTES)
        assert (again.status, again.x_cache) == (206, "Hit")
        assert [asked.headers.get("range") for asked in world.origin.seen] == [None]


async def test_a_part_in_chunks_is_asked_for_again_as_the_whole() -> None:
    """CloudFront returns the entire object then."""

    async def chunk() -> object:
        yield b"part"

    def script(asked: Asked) -> Sent:
        if "range" in asked.headers:
            lines = {"Content-Range": "bytes 0-3/100"}
            return StreamingResponse(chunk(), 206, lines)  # type: ignore[arg-type]
        return Sent(BYTES)

    async with running(OPTIMIZED) as world:
        world.origin.script = script
        got = await world.get("/a", Range="bytes=0-3")

        assert (got.status, got.body) == (200, BYTES)


async def test_an_object_over_50_gb_closes_the_connection() -> None:
    """With caching on; nothing of it is read."""

    async def endless() -> object:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.01)  # noqa: TID251 - the origin's own time

    async with running(OPTIMIZED) as world:
        world.origin.script = lambda asked: StreamingResponse(
            endless(),  # type: ignore[arg-type]
            headers={"Content-Length": str(51 * 1024**3)},
        )
        delivery = await world.ask("/a")

        assert (delivery.status, delivery.journey.closes) == (502, True)


@pytest.mark.conformance("CF-56", "CF-57")
async def test_ranges_of_a_kept_object() -> None:
    """206 from cache; ranges out of order give the whole."""
    async with running(OPTIMIZED) as world:
        world.origin.script = says(bytes(range(100)))
        await world.get("/a")
        part = await world.get("/a", Range="bytes=10-19")
        disorder = await world.get("/a", Range="bytes=30-40,10-20")

        assert (part.status, part.body, part.x_cache) == (206, bytes(range(10, 20)), "Hit")
        assert part.headers.get("content-range") == "bytes 10-19/100"
        assert (disorder.status, len(disorder.body)) == (200, 100)
        assert len(world.origin.seen) == 1


@pytest.mark.conformance("CF-58")
async def test_a_chunked_origin_answers_a_range_with_the_whole() -> None:
    """200, and kept whole."""

    async def pieces() -> object:
        yield b"abc"
        yield b"def"

    async with running(OPTIMIZED) as world:
        world.origin.script = lambda asked: StreamingResponse(pieces())  # type: ignore[arg-type]
        whole = await world.get("/a", Range="bytes=0-1")
        part = await world.get("/a", Range="bytes=0-1")

        assert (whole.status, whole.body) == (200, b"abcdef")
        assert (part.status, part.body) == (206, b"ab")


@pytest.mark.conformance("CF-60")
async def test_an_object_is_not_kept_when_its_viewer_leaves_early() -> None:
    """Nobody is left to deliver to, so the fetch ends."""

    async def endless() -> object:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.01)  # noqa: TID251 - the origin's own time

    async with running(OPTIMIZED) as world:
        world.origin.script = lambda asked: StreamingResponse(endless())  # type: ignore[arg-type]
        delivery = await world.ask("/a")
        assert not isinstance(delivery.body, bytes)
        await anext(aiter(delivery.body))
        await delivery.body.aclose()  # type: ignore[attr-defined]
        world.origin.script = says("short")
        again = await world.get("/a")

        assert (again.x_cache, again.body) == ("Miss", b"short")


async def test_a_head_is_answered_by_a_kept_get_but_not_the_other_way() -> None:
    """GET and HEAD share a key; an object of HEAD has no body to give."""
    async with running(OPTIMIZED) as world:
        head_first = (await world.get("/a", "HEAD")).x_cache
        then_get = (await world.get("/a")).x_cache
        then_head = (await world.get("/a", "HEAD")).x_cache

        assert [head_first, then_get, then_head] == ["Miss", "Miss", "Hit"]


async def test_a_viewers_conditional_is_answered_from_cache() -> None:
    """304 from the edge, without the origin."""
    async with running(OPTIMIZED) as world:
        world.origin.script = says("x", ETag='"v1"')
        await world.get("/a")
        unchanged = await world.get("/a", If_None_Match='"v1"')

        assert (unchanged.status, unchanged.body, unchanged.x_cache) == (304, b"", "Hit")
        assert len(world.origin.seen) == 1


JSON = {"Content-Type": "application/json"}
ENCODINGS = "gzip, deflate, br"
COMPRESSING = behavior(CACHE["CachingOptimized"], compress=True)


@pytest.mark.conformance("CF-63", "CF-64", "CF-65", "CF-66", "CF-67")
@pytest.mark.parametrize(
    ("body", "status", "headers", "encoding", "etag"),
    [
        pytest.param(b"x" * 2_000, 200, {"ETag": '"v"'}, "br", 'W/"v"', id="strong tag turns weak"),
        pytest.param(b"x" * 2_000, 200, {"ETag": "bad"}, "br", "", id="malformed tag goes"),
        pytest.param(b"x" * 999, 200, {"ETag": '"v"'}, "", '"v"', id="too short"),
        pytest.param(b"x" * 2_000, 404, {}, "br", "", id="404"),
        pytest.param(b"x" * 2_000, 500, {}, "", "", id="500"),
        pytest.param(b"x" * 2_000, 200, {"Content-Encoding": "x"}, "x", "", id="encoded already"),
    ],
)
async def test_what_is_compressed(
    body: bytes, status: int, headers: dict[str, str], encoding: str, etag: str
) -> None:
    """Brotli when both are on; the kept object is the compressed one."""
    async with running(COMPRESSING) as world:
        world.origin.script = lambda asked: Sent(body, status, {**JSON, **headers})
        first = await world.get("/a", Accept_Encoding=ENCODINGS)
        second = await world.get("/a", Accept_Encoding=ENCODINGS)

        assert first.headers.get("content-encoding") == encoding
        assert first.headers.get("etag") == etag
        assert second.body == first.body
        assert (len(first.body) < len(body)) is (encoding == "br")


@pytest.mark.conformance("CF-113", "CF-114")
async def test_an_invalidation_removes_every_variant_from_every_tier() -> None:
    """`/a*` takes all of them; `/a` does not take `/a?x=1` when the query is in the key."""
    chosen = behavior(policy(query_strings=ALL_QUERIES))
    async with running(chosen) as world:
        for target in ("/a", "/a?x=1", "/b"):
            await world.get(target)
        world.edge.invalidate("E1", ["/a"])
        exact = [(await world.get(target)).x_cache for target in ("/a", "/a?x=1")]
        world.edge.invalidate("E1", ["/a*"])
        all_of_them = [(await world.get(target)).x_cache for target in ("/a", "/a?x=1", "/b")]

        assert exact == ["Miss", "Hit"]
        assert all_of_them == ["Miss", "Miss", "Hit"]


async def test_two_points_of_presence_share_their_regional_edge_cache() -> None:
    """JFK misses, then MIA (same regional edge cache) hits there, then in itself."""
    async with running(OPTIMIZED) as world:
        first = await world.get("/a", X_Localpop_Viewer="JFK/fibre")
        second = await world.get("/a", X_Localpop_Viewer="MIA/fibre")
        third = await world.get("/a", X_Localpop_Viewer="MIA/fibre")
        far = await world.get("/a", X_Localpop_Viewer="NRT/fibre")

        assert [one.x_cache for one in (first, second, third, far)] == [
            "Miss",
            "Hit",
            "Hit",
            "Miss",
        ]
        assert "us-east-1 cache" in str(world.edge.latest_traces(3)[2].stages)
        assert len(world.origin.seen) == 2


@pytest.mark.conformance("CF-10")
async def test_the_default_root_object_stands_for_the_root_only() -> None:
    """`/` is `/index.html` at the origin, `/sub/` is itself."""
    async with running(OPTIMIZED, default_root_object="index.html") as world:
        await world.get("/")
        await world.get("/sub/")

        assert world.origin.paths == ["/index.html", "/sub/"]


async def test_one_viewers_answer_never_reaches_another_by_a_wrong_key() -> None:
    """Bodies belong to their keys under concurrency."""

    async def own(asked: Asked) -> Sent:
        await slow(asked)
        return Sent(asked.url.path.encode())

    async with running(OPTIMIZED) as world:
        world.origin.script = own
        targets = [f"/{number % 10}" for number in range(60)]
        answers = await asyncio.gather(*(world.get(target) for target in targets))

        assert [one.body.decode() for one in answers] == targets
        assert len(world.origin.seen) == 10


async def test_the_cache_is_bounded() -> None:
    """What was used longest ago goes first; a huge object passes without being kept."""
    async with running(OPTIMIZED) as world:
        cache = world.edge._objects.cache
        cache.limit_bytes = 100_000
        world.origin.script = lambda asked: Sent(b"x" * 10_000)
        for number in range(40):
            await world.get(f"/{number}")
        world.origin.script = lambda asked: Sent(b"y" * 50_000)
        huge = [(await world.get("/huge")).x_cache for _ in range(2)]

        assert cache.size_bytes <= 100_000
        assert huge == ["Miss", "Miss"]
        assert (await world.get("/39")).x_cache == "Hit"


async def test_expires_is_compared_with_the_time_of_the_fetch() -> None:
    """A date in the future keeps it until then."""
    async with running(behavior(policy())) as world:
        expires = formatdate(world.clock.epoch_ms() / 1000 + 100, usegmt=True)
        world.origin.script = says("x", Expires=expires)
        await world.get("/a")
        world.clock.move_s(90)
        before = await world.get("/a")
        world.clock.move_s(20)
        after = await world.get("/a")

        assert (before.x_cache, after.x_cache) == ("Hit", "Miss")


async def test_a_request_in_the_background_belongs_to_nobody() -> None:
    """Closing the edge ends it; nothing is left running."""
    async with running(behavior(policy())) as world:
        world.origin.script = says("x", Cache_Control="max-age=1, stale-while-revalidate=60")
        await world.get("/a")
        world.clock.move_s(2)
        world.origin.script = slow
        delivery = await world.edge.deliver(asked("/a"), viewer())

        assert (await read(delivery)).body == b"x"
