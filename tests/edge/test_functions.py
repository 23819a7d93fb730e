"""Edge functions at all four events: when they run, what they see, what becomes of results."""

from __future__ import annotations

import pytest
from starlette.requests import Request as Asked
from starlette.responses import Response as Sent

from emulator.errors import EdgeFunctionError, FailureKind
from emulator.values.distribution import (
    ALL_METHODS,
    CacheBehavior,
    CustomErrorResponse,
    OriginGroup,
    ViewerProtocolPolicy,
)
from emulator.values.functions import EventType, FunctionEvent, FunctionKind
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaCustomOrigin, LambdaEdgeSwitches
from emulator.values.messages import Request, Response
from tests.edge.world import CACHE, Doing, at, behavior, policy, running, says

pytestmark = pytest.mark.anyio
REQUEST, RESPONSE = EventType.VIEWER_REQUEST, EventType.VIEWER_RESPONSE
TO_ORIGIN, FROM_ORIGIN = EventType.ORIGIN_REQUEST, EventType.ORIGIN_RESPONSE
OPTIMIZED = CACHE["CachingOptimized"]


def passes(event: FunctionEvent) -> Request | Response:
    """Change nothing."""
    return event.response or event.request


def watching(*events: EventType) -> dict[EventType, Doing]:
    """Functions that only look."""
    return {event: Doing(passes) for event in events}


def with_functions(
    functions: dict[EventType, Doing],
    kind: FunctionKind = FunctionKind.LAMBDA_AT_EDGE,
    **parts: object,
) -> CacheBehavior:
    """A caching behavior with these functions."""
    associations = tuple(at(event, kind) for event in functions)
    cache = parts.pop("cache", OPTIMIZED)
    return behavior(cache, functions=associations, **parts)  # type: ignore[arg-type]


def runs(functions: dict[EventType, Doing]) -> list[int]:
    """How often each function ran."""
    return [len(function.events) for function in functions.values()]


@pytest.mark.conformance("LAE-1", "LAE-4", "LAE-8", "CFF-27")
async def test_on_a_hit_only_the_viewer_events_run() -> None:
    """Viewer-request and viewer-response on every request, the origin's on a miss."""
    functions = watching(REQUEST, TO_ORIGIN, FROM_ORIGIN, RESPONSE)
    async with running(with_functions(functions), functions=functions) as world:
        await world.get("/a")
        on_a_miss = runs(functions)
        await world.get("/a")

        assert on_a_miss == [1, 1, 1, 1]
        assert runs(functions) == [2, 1, 1, 2]


@pytest.mark.conformance("LAE-6", "LAE-9", "CF-84", "CFF-25")
@pytest.mark.parametrize("status", [400, 404, 500])
async def test_after_an_origin_error_only_origin_response_runs(status: int) -> None:
    """viewer-response is not run for 400 or more; origin-response is run for all."""
    functions = watching(FROM_ORIGIN, RESPONSE)
    async with running(with_functions(functions), functions=functions) as world:
        world.origin.script = says("no", status)
        await world.get("/a")

        assert runs(functions) == [1, 0]


@pytest.mark.conformance("LAE-12")
async def test_viewer_response_runs_for_a_redirect_of_the_origin() -> None:
    """A 301 is no error."""
    functions = watching(RESPONSE)
    async with running(with_functions(functions), functions=functions) as world:
        world.origin.script = says("", 301, Location="/b")
        await world.get("/a")

        assert runs(functions) == [1]


@pytest.mark.conformance("LAE-2", "CF-16")
async def test_nothing_runs_on_cloudfronts_own_redirect() -> None:
    """Sending viewers to https is CloudFront's business alone."""
    functions = watching(REQUEST, TO_ORIGIN, FROM_ORIGIN, RESPONSE)
    chosen = with_functions(
        functions, viewer_protocol_policy=ViewerProtocolPolicy.REDIRECT_TO_HTTPS
    )
    async with running(chosen, functions=functions) as world:
        redirect = await world.get("/a")

        assert (redirect.status, redirect.x_cache) == (301, "Redirect")
        assert runs(functions) == [0, 0, 0, 0]


@pytest.mark.conformance("LAE-11", "LAE-61", "CF-83", "CFF-26")
async def test_a_viewer_requests_answer_is_final_and_not_kept() -> None:
    """No viewer-response, no cache: the function answers every time."""
    functions = watching(REQUEST, RESPONSE)
    functions[REQUEST].act = lambda event: Response(200, body=b"ours")
    async with running(with_functions(functions), functions=functions) as world:
        answers = [await world.get("/a") for _ in range(2)]

        assert [one.x_cache for one in answers] == ["LambdaGeneratedResponse"] * 2
        assert runs(functions) == [2, 0]
        assert world.origin.seen == []


@pytest.mark.conformance("LAE-7", "LAE-61", "CF-86")
async def test_an_origin_requests_answer_is_kept() -> None:
    """origin-response is not run for it; the next request is a hit without any function."""
    functions = watching(TO_ORIGIN, FROM_ORIGIN, RESPONSE)
    functions[TO_ORIGIN].act = lambda event: Response(200, body=b"made")
    async with running(with_functions(functions), functions=functions) as world:
        first = await world.get("/a")
        second = await world.get("/a")

        assert [first.x_cache, second.x_cache] == ["LambdaGeneratedResponse", "Hit"]
        assert [first.body, second.body] == [b"made", b"made"]
        assert runs(functions) == [1, 0, 2]


@pytest.mark.conformance("CF-85")
async def test_origin_response_runs_for_a_500_and_can_mend_it() -> None:
    """Its result is what is kept and sent."""
    functions = watching(FROM_ORIGIN)
    functions[FROM_ORIGIN].act = lambda event: Response(
        200, headers=Headers([("Cache-Control", "max-age=60")]), body=b"mended"
    )
    async with running(with_functions(functions), functions=functions) as world:
        world.origin.script = says("down", 500)
        first = await world.get("/a")
        second = await world.get("/a")

        assert [(one.status, one.body) for one in (first, second)] == [(200, b"mended")] * 2
        assert second.x_cache == "Hit"


@pytest.mark.conformance("LAE-62")
async def test_origin_response_keeps_replaces_or_empties_the_body() -> None:
    """Left alone it is the origin's; set, it is the function's."""

    def act(event: FunctionEvent) -> Response:
        assert event.response is not None
        headers = event.response.headers.without("content-length")
        match event.request.uri:
            case "/replace":
                return Response(200, headers=headers, body=b"new")
            case "/empty":
                return Response(200, headers=headers, body=b"")
            case _:
                return event.response

    functions = {FROM_ORIGIN: Doing(act)}
    async with running(with_functions(functions), functions=functions) as world:
        bodies = [(await world.get(path)).body for path in ("/keep", "/replace", "/empty")]

        assert bodies == [b"hello", b"new", b""]


@pytest.mark.conformance("LAE-34", "CFF-28")
async def test_what_viewer_request_changes_changes_the_key() -> None:
    """Two paths rewritten to one are one object; one path rewritten to two are two."""

    def act(event: FunctionEvent) -> Request:
        lang = event.request.headers.get("x-lang")
        return Request("GET", f"/{lang}/page", headers=event.request.headers)

    functions = {REQUEST: Doing(act)}
    async with running(with_functions(functions), functions=functions) as world:
        results = [
            (await world.get("/one", X_Lang="en")).x_cache,
            (await world.get("/two", X_Lang="en")).x_cache,
            (await world.get("/one", X_Lang="de")).x_cache,
        ]

        assert results == ["Miss", "Hit", "Miss"]
        assert world.origin.paths == ["/en/page", "/de/page"]


@pytest.mark.conformance("LAE-35")
async def test_what_origin_request_changes_does_not() -> None:
    """The object stays the viewer's, whatever was fetched for it."""

    def act(event: FunctionEvent) -> Request:
        return Request("GET", "/other", headers=event.request.headers)

    functions = {TO_ORIGIN: Doing(act)}
    async with running(with_functions(functions), functions=functions) as world:
        first = await world.get("/a")
        second = await world.get("/a")

        assert [first.x_cache, second.x_cache] == ["Miss", "Hit"]
        assert world.origin.paths == ["/other"]


@pytest.mark.conformance("LAE-28", "LAE-29")
async def test_what_origin_request_sees() -> None:
    """CloudFront's User-Agent and the viewer's address, unless a policy says otherwise."""
    functions = watching(TO_ORIGIN)
    async with running(with_functions(functions), functions=functions) as world:
        await world.get("/a", User_Agent="curl/8", X_Forwarded_For="203.0.113.9")
        seen = functions[TO_ORIGIN].events[0].request.headers

        assert seen.get("user-agent") == "Amazon CloudFront"
        assert seen.get("x-forwarded-for").endswith("198.51.100.7")
        assert seen.get("host") == "api.example.com"


async def test_origin_request_may_choose_another_origin() -> None:
    """By domain name; the request goes there."""
    functions = watching(TO_ORIGIN)
    functions[TO_ORIGIN].chosen = LambdaCustomOrigin("b.example.com")
    async with running(with_functions(functions), functions=functions) as world:
        answer = await world.get("/a")

        assert answer.body == b"second"
        assert world.origin.seen == []


async def test_an_origin_that_nobody_knows_is_told() -> None:
    """502 for the viewer; the Trace says which line to add."""
    functions = watching(TO_ORIGIN)
    functions[TO_ORIGIN].chosen = LambdaCustomOrigin("unknown.example.com")
    async with running(with_functions(functions), functions=functions) as world:
        answer = await world.get("/a")

        assert answer.status == 502
        assert "localpop.toml" in world.edge.latest_traces(1)[0].failure


@pytest.mark.conformance("LAE-5")
async def test_origin_request_is_not_run_when_the_origin_has_no_address() -> None:
    """The name is looked up first; the viewer gets 502."""
    functions = watching(TO_ORIGIN)
    async with running(with_functions(functions), functions=functions) as world:
        target = world.edge.site.origins["E1", "Api"]
        unknown = type(target.address)("no-such-name.invalid", 80)
        object.__setattr__(target, "address", unknown)
        answer = await world.get("/a")

        assert answer.status == 502
        assert b"wasn't able to resolve the origin domain name" in answer.body
        assert runs(functions) == [0]


@pytest.mark.conformance("LAE-79")
@pytest.mark.parametrize(
    ("headers", "encoding"),
    [
        ([("Content-Type", "application/json")], "br"),
        ([("Content-Type", "application/json"), ("Content-Encoding", "x")], "x"),
        ([("Content-Type", "image/png")], ""),
    ],
)
async def test_a_generated_body_is_compressed_by_the_same_rules(
    headers: list[tuple[str, str]], encoding: str
) -> None:
    """Type, length and no encoding of its own."""
    functions = watching(TO_ORIGIN)
    functions[TO_ORIGIN].act = lambda event: Response(
        200, headers=Headers(headers), body=b"x" * 2_000
    )
    chosen = with_functions(functions, compress=True)
    async with running(chosen, functions=functions) as world:
        answer = await world.get("/a", Accept_Encoding="gzip, br")

        assert answer.headers.get("content-encoding") == encoding
        assert (len(answer.body) < 2_000) is (encoding == "br")


@pytest.mark.conformance("CF-105")
@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_functions_own_error_keeps_its_x_cache(status: int) -> None:
    """`FunctionGeneratedResponse`, whatever the status."""
    functions = watching(REQUEST)
    functions[REQUEST].act = lambda event: Response(status, body=b"no")
    chosen = with_functions(functions, FunctionKind.CLOUDFRONT_FUNCTION)
    async with running(chosen, functions=functions) as world:
        answer = await world.get("/a")

        assert (answer.status, answer.x_cache) == (status, "FunctionGeneratedResponse")


@pytest.mark.conformance("LAE-20")
async def test_the_request_id_is_the_same_everywhere() -> None:
    """In each event, and in X-Amz-Cf-Id."""
    functions = watching(REQUEST, TO_ORIGIN, FROM_ORIGIN, RESPONSE)
    async with running(with_functions(functions), functions=functions) as world:
        answer = await world.get("/a")
        ids = {one.request_id for function in functions.values() for one in function.events}

        assert ids == {answer.headers.get("x-amz-cf-id")}


@pytest.mark.conformance("CFF-24")
async def test_a_cloudfront_function_may_change_the_status_and_gets_no_error_page() -> None:
    """viewer-response turns 200 into 404; the custom page for 404 is not used."""
    functions = watching(RESPONSE)
    functions[RESPONSE].act = lambda event: Response(404, headers=Headers(), body=b"no")
    chosen = with_functions(functions, FunctionKind.CLOUDFRONT_FUNCTION)
    pages = {404: CustomErrorResponse(404, "/page", 200)}
    async with running(chosen, functions=functions, custom_errors=pages) as world:
        answer = await world.get("/a")

        assert (answer.status, answer.body) == (404, b"no")
        assert world.origin.paths == ["/a"]


@pytest.mark.conformance("CFF-30")
async def test_a_header_of_viewer_request_is_seen_by_viewer_response() -> None:
    """The request goes through as the first function left it."""

    def add(event: FunctionEvent) -> Request:
        request = event.request
        return Request(request.method, request.uri, "", request.headers.with_added("X-A", "1"))

    functions = {REQUEST: Doing(add), RESPONSE: Doing(passes)}
    chosen = with_functions(functions, FunctionKind.CLOUDFRONT_FUNCTION)
    async with running(chosen, functions=functions) as world:
        await world.get("/a")

        assert functions[RESPONSE].events[0].request.headers.get("x-a") == "1"


async def test_viewer_response_is_not_kept() -> None:
    """It runs for each viewer; the object stays as the origin made it."""
    count = iter(range(10))

    def act(event: FunctionEvent) -> Response:
        assert event.response is not None
        headers = event.response.headers.with_added("X-Turn", str(next(count)))
        return Response(200, headers=headers, body=event.response.body)

    functions = {RESPONSE: Doing(act)}
    async with running(with_functions(functions), functions=functions) as world:
        turns = [(await world.get("/a")).headers.get_all("x-turn") for _ in range(2)]

        assert turns == [("0",), ("1",)]


@pytest.mark.conformance("LAE-16", "CF-87")
async def test_failover_runs_origin_request_once_for_each_origin() -> None:
    """For GET; the second event shows the second origin. POST never fails over."""
    functions = watching(TO_ORIGIN)
    group = OriginGroup("Group", "Api", "Second", frozenset({500}))
    chosen = with_functions(functions, target_origin_id="Group", allowed_methods=ALL_METHODS)
    async with running(chosen, functions=functions, origin_groups={"Group": group}) as world:
        world.origin.script = says("down", 500)
        get = await world.get("/a")
        hosts = [one.request.headers.get("host") for one in functions[TO_ORIGIN].events]
        post = await world.get("/a", "POST")

        assert (get.status, get.body) == (200, b"second")
        assert hosts == ["api.example.com", "b.example.com"]
        assert post.status == 500
        assert len(world.second.seen) == 1


@pytest.mark.conformance("LAE-3", "LAE-10", "CF-48", "CF-50", "CF-112")
async def test_a_custom_error_page_runs_no_viewer_function() -> None:
    """The page is fetched through its own behavior; the status is replaced."""
    functions = watching(REQUEST, RESPONSE)
    chosen = with_functions(functions)
    pages = {404: CustomErrorResponse(404, "/errors/404.html", 200)}
    page_behavior = behavior(OPTIMIZED, path_pattern="/errors/*", target_origin_id="Second")

    def script(asked: Asked) -> Sent:
        return Sent("no", 404)

    async with running(page_behavior, chosen, functions=functions, custom_errors=pages) as world:
        world.origin.script = script
        answer = await world.get("/a")

        assert (answer.status, answer.body, answer.x_cache) == (200, b"second", "Error")
        assert runs(functions) == [1, 0]
        assert world.second.paths == ["/errors/404.html"]


@pytest.mark.conformance("CF-49")
async def test_a_missing_error_page_gives_its_own_origins_status() -> None:
    """The viewer sees the page's 404, not the first error."""
    pages = {500: CustomErrorResponse(500, "/errors/500.html", 200)}
    async with running(behavior(OPTIMIZED), custom_errors=pages) as world:
        world.origin.script = lambda asked: Sent("x", 500 if asked.url.path == "/a" else 404)

        assert (await world.get("/a")).status == 404


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FailureKind.LAMBDA_EXECUTION, 503),
        (FailureKind.LAMBDA_VALIDATION, 502),
        (FailureKind.LAMBDA_LIMIT, 503),
    ],
)
@pytest.mark.parametrize("event", [REQUEST, TO_ORIGIN, FROM_ORIGIN, RESPONSE])
async def test_a_failure_at_any_event_is_cloudfronts_page(
    event: EventType, kind: FailureKind, status: int
) -> None:
    """Never the cause, never kept: the next request tries again."""
    functions = watching(event)
    functions[event].act = lambda _: EdgeFunctionError(kind, "The sentence.", "the cause")
    async with running(with_functions(functions), functions=functions) as world:
        failed = await world.get("/a")
        functions[event].act = passes
        mended = await world.get("/a")

        assert (failed.status, failed.x_cache) == (status, str(kind))
        assert b"The sentence." in failed.body
        assert b"cause" not in failed.body
        assert mended.status == 200


@pytest.mark.parametrize("switch", [False, True])
async def test_whether_viewer_response_runs_after_a_rescued_error_is_a_switch(
    switch: bool,
) -> None:
    """AWS does not say; the default is no."""
    functions = watching(FROM_ORIGIN, RESPONSE)
    functions[FROM_ORIGIN].act = lambda event: Response(200, body=b"rescued")
    switches = LambdaEdgeSwitches(viewer_response_after_rescued_error=switch)
    chosen = with_functions(functions, cache=policy())
    async with running(chosen, functions=functions, switches=switches) as world:
        world.origin.script = says("no", 404)
        await world.get("/a")

        assert runs(functions) == [1, int(switch)]
