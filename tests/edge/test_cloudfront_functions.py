"""JavaScript through the whole edge: the real engine, real origins, and bytes at the viewer."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import Request as Asked
from starlette.responses import Response as Sent
from starlette.responses import StreamingResponse

from emulator.app.function_logs import FunctionLogs
from emulator.app.servers import Listener, bind, port_of
from emulator.clock.real import RealClock
from emulator.edge.functions import CloudFrontFunction, EdgeFunction
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_2
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.values.distribution import (
    ALL_METHODS,
    CachePolicy,
    CustomErrorResponse,
    Names,
    Origin,
    OriginGroup,
    Selection,
)
from emulator.values.functions import EventType, FunctionKind
from emulator.values.key_values import StoreSnapshot
from emulator.viewer.protocol import ViewerConnection
from tests.edge.world import (
    ALL_QUERIES,
    CACHE,
    ORIGIN_REQUEST,
    Running,
    at,
    behavior,
    policy,
    running,
    says,
)

pytestmark = pytest.mark.anyio
REQUEST, RESPONSE = EventType.VIEWER_REQUEST, EventType.VIEWER_RESPONSE
DISABLED, OPTIMIZED = CACHE["CachingDisabled"], CACHE["CachingOptimized"]
ALL_VIEWER = ORIGIN_REQUEST["AllViewerExceptHostHeader"]
ARN = "arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-0123456789ab"
_VERSIONS = itertools.count(1)
CF = "import cf from 'cloudfront';\n"
MARKS_RESPONSES = """
function handler(event) {
    event.response.headers['x-marked'] = { value: event.context.requestId };
    return event.response;
}
"""
INVALID_ORIGIN = b"The CloudFront function returned an invalid value for origin rewrite."
NOT_RUN = (
    b"The CloudFront function associated with the CloudFront distribution is invalid or could not"
    b" run."
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for this file, on which the engine lives."""
    return "asyncio"


@dataclass
class JavaScript:
    """Loads functions, and opens worlds that run them."""

    engine: CloudFrontFunctions
    items: dict[str, str] = field(default_factory=dict)
    logs: FunctionLogs = field(default_factory=lambda: FunctionLogs(RealClock()))

    def function(self, name: str, code: str) -> CloudFrontFunction:
        """A function with a store, whose lines are kept."""
        loaded = self.logs.logged(name, self.engine.load(name, code, RUNTIME_2))
        # A version names its content for good, and the engine outlives a test.
        snapshot = StoreSnapshot(ARN, next(_VERSIONS), dict(self.items), 0, 0.0, 0.0)
        return CloudFrontFunction(name, loaded, ARN, lambda arn, location: snapshot)

    @contextlib.asynccontextmanager
    async def serving(
        self,
        request: str = "",
        response: str = "",
        *,
        cache: CachePolicy = DISABLED,
        origins: tuple[Origin, ...] = (),
        origin_groups: dict[str, OriginGroup] | None = None,
        read_timeout_s: float = 2.0,
        custom_errors: dict[int, CustomErrorResponse] | None = None,
        **parts: Any,
    ) -> AsyncIterator[Running]:
        """An edge whose one behavior runs these functions."""
        functions: dict[EventType, EdgeFunction] = {}
        if request:
            functions[REQUEST] = self.function("on-request", request)
        if response:
            functions[RESPONSE] = self.function("on-response", response)
        associations = tuple(at(event, FunctionKind.CLOUDFRONT_FUNCTION) for event in functions)
        chosen = behavior(cache, functions=associations, **parts)
        async with running(
            chosen,
            functions=functions,
            origins=origins,
            read_timeout_s=read_timeout_s,
            origin_groups=origin_groups or {},
            custom_errors=custom_errors or {},
        ) as world:
            yield world

    async def answer(self, code: str, target: str = "/", **headers: str) -> Any:
        """What a function puts into the body of its answer, as JSON."""
        async with self.serving(code) as world:
            return json.loads((await world.get(target, **headers)).body)


@pytest.fixture(scope="module")
async def engine(anyio_backend: str) -> AsyncIterator[CloudFrontFunctions]:
    """A running engine that kills early."""
    engine = CloudFrontFunctions(RealClock(), time_limit_ms=30, changes_origins=True)
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
def javascript(engine: CloudFrontFunctions) -> JavaScript:
    """For one test."""
    return JavaScript(engine)


Wire = Callable[[Running, bytes], Awaitable[bytes]]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """Bytes to the viewers' own protocol in front of an edge, and the bytes that come back."""
    async with contextlib.AsyncExitStack() as stack:

        async def talk(world: Running, sent: bytes) -> bytes:
            listener = bind("127.0.0.1", 0, "viewer")
            server = Listener(listener, world.edge, ViewerConnection)
            await server.start(world.clock)
            stack.push_async_callback(server.close)
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
            writer.write(sent)
            received = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            await writer.wait_closed()
            return received

        yield talk


def get(target: str = "/", *lines: str) -> bytes:
    """A request's bytes; the connection closes behind the answer."""
    head = [f"GET {target} HTTP/1.1", "Host: d1.cloudfront.net", *lines, "Connection: close"]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


def head_and_body(answer: bytes) -> tuple[list[str], bytes]:
    """The lines of the head, and what follows it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), body


# --- when functions run -------------------------------------------------------------------------


@pytest.mark.conformance("CFF-20", "CFF-21", "CFF-74", "CF-82")
async def test_a_redirect_never_leaves_the_edge(javascript: JavaScript, wire: Wire) -> None:
    """302 with Content-Length 0 and CloudFront's headers; the origin hears nothing of it."""
    code = """
    function handler(event) {
        return { statusCode: 302, headers: { location: { value: 'https://example.com/new' } } };
    }
    """
    async with javascript.serving(code) as world:
        lines, body = head_and_body(await wire(world, get("/old")))

        assert lines[0] == "HTTP/1.1 302 Found"
        assert {"Server: CloudFront", "Content-Length: 0"} < set(lines)
        assert "Location: https://example.com/new" in lines
        assert "X-Cache: FunctionGeneratedResponse from cloudfront" in lines
        assert not any(line.startswith("Age:") for line in lines)
        assert body == b""
        assert world.origin.seen == []


@pytest.mark.conformance("CFF-25")
@pytest.mark.parametrize(("status", "runs"), [(200, True), (301, True), (400, False), (503, False)])
async def test_viewer_response_runs_for_good_statuses_only(
    javascript: JavaScript, status: int, runs: bool
) -> None:
    """Not when the origin answered with 400 or more."""
    async with javascript.serving(response=MARKS_RESPONSES) as world:
        world.origin.script = says("x", status)
        answer = await world.get("/a")

        assert answer.status == status
        assert ("x-marked" in answer.headers) is runs


@pytest.mark.conformance("CFF-26")
async def test_viewer_response_does_not_run_for_a_generated_response(
    javascript: JavaScript,
) -> None:
    """What viewer-request answers is final."""
    answers = "function handler() { return { statusCode: 200, body: 'mine' }; }"
    async with javascript.serving(answers, MARKS_RESPONSES) as world:
        answer = await world.get("/a")

        assert (answer.body, "x-marked" in answer.headers) == (b"mine", False)


@pytest.mark.conformance("CFF-27")
async def test_both_functions_run_on_a_cache_hit(javascript: JavaScript) -> None:
    """The second viewer gets the cached body, and a run of each function of its own."""
    counts = "function handler(event) { console.log('asked'); return event.request; }"
    async with javascript.serving(counts, MARKS_RESPONSES, cache=OPTIMIZED) as world:
        answers = [await world.get("/a"), await world.get("/a")]

        assert [one.x_cache for one in answers] == ["Miss", "Hit"]
        assert len(world.origin.seen) == 1
        for one in answers:
            assert one.headers.get("x-marked") == one.headers.get("x-amz-cf-id")
        assert len(javascript.logs.lines(after=0, count=99, function="on-request")) == 6


@pytest.mark.conformance("CFF-28")
async def test_a_changed_uri_is_another_object_of_the_same_origin(javascript: JavaScript) -> None:
    """One cached object for every viewer's path that is rewritten to it, and one for each rewrite.

    The behavior of the new path is never looked at: that origin hears nothing.
    """
    code = """
    function handler(event) {
        event.request.uri = '/second/' + event.request.uri.slice(-1);
        return event.request;
    }
    """
    function = javascript.function("rewrites", code)
    association = at(REQUEST, FunctionKind.CLOUDFRONT_FUNCTION)
    async with running(
        behavior(OPTIMIZED, path_pattern="/second/*", target_origin_id="Second"),
        behavior(OPTIMIZED, functions=(association,)),
        functions={REQUEST: function},
    ) as world:
        results = [(await world.get(path)).x_cache for path in ("/a/1", "/b/1", "/a/2")]

        assert results == ["Miss", "Hit", "Miss"]
        assert world.origin.paths == ["/second/1", "/second/2"]
        assert world.second.seen == []


@pytest.mark.conformance("CFF-30")
async def test_viewer_response_sees_what_viewer_request_set(javascript: JavaScript) -> None:
    """Headers of the changed request, not of the viewer's."""
    sets = """
    function handler(event) {
        event.request.headers['x-group'] = { value: 'blue' };
        delete event.request.headers['x-gone'];
        return event.request;
    }
    """
    shows = """
    function handler(event) {
        const seen = event.request.headers;
        event.response.headers['x-seen'] = {
            value: seen['x-group'].value + ' ' + !!seen['x-gone']
        };
        return event.response;
    }
    """
    async with javascript.serving(sets, shows) as world:
        answer = await world.get("/a", x_gone="1")

        assert answer.headers.get("x-seen") == "blue false"


# --- what they see ------------------------------------------------------------------------------

ECHOES = """
function handler(event) {
    return { statusCode: 200, body: JSON.stringify(event) };
}
"""


@pytest.mark.conformance("CFF-2", "CFF-5", "CFF-6", "CF-93")
async def test_the_event_of_a_post(javascript: JavaScript) -> None:
    """No body; header names in lower case; cookies apart from headers."""
    async with javascript.serving(ECHOES, allowed_methods=ALL_METHODS) as world:
        delivery = await world.ask(
            "/form?a=1", "POST", b"name=x", Cookie="s=1; t=2", **{"X-MiXeD": "1"}
        )
        assert isinstance(delivery.body, bytes)
        event = json.loads(delivery.body)

        assert set(event) == {"version", "context", "viewer", "request"}
        request = event["request"]
        assert set(request) == {"method", "uri", "querystring", "headers", "cookies"}
        assert request["method"] == "POST"
        assert all(name == name.lower() for name in request["headers"])
        assert "cookie" not in request["headers"]
        assert request["headers"]["x-mixed"] == {"value": "1"}
        assert request["cookies"] == {"s": {"value": "1"}, "t": {"value": "2"}}


@pytest.mark.conformance("CFF-62", "CF-102")
@pytest.mark.parametrize(
    ("target", "expected"),
    [("/a?x=%20&&y", "string x=%20&&y"), ("/a?", "string "), ("/a", "undefined undefined")],
)
async def test_the_raw_query_string_of_a_real_request_line(
    javascript: JavaScript, wire: Wire, target: str, expected: str
) -> None:
    """Text, an empty text behind a bare `?`, undefined without one."""
    code = """
    function handler(event) {
        const raw = event.request.rawQueryString();
        return { statusCode: 200, body: typeof raw + ' ' + raw };
    }
    """
    async with javascript.serving(code) as world:
        _, body = head_and_body(await wire(world, get(target)))

        assert body.decode() == expected


@pytest.mark.conformance("CFF-61", "CF-100")
async def test_the_edge_location_is_there_at_viewer_request_only(javascript: JavaScript) -> None:
    """Name, address and Region of the place that the viewer reached; nothing on the way back."""
    request = CF + (
        "function handler(event) { event.request.headers['x-at'] ="
        " { value: JSON.stringify(cf.edgeLocation) }; return event.request; }"
    )
    response = CF + (
        "function handler(event) { event.response.headers['x-at'] = { value:"
        " event.request.headers['x-at'].value + JSON.stringify(cf.edgeLocation) };"
        " return event.response; }"
    )
    async with javascript.serving(request, response) as world:
        answer = await world.get("/a", x_localpop_viewer="NRT/fibre")
        seen, empty = answer.headers.get("x-at").removesuffix("{}"), answer.headers.get("x-at")[-2:]
        location = json.loads(seen)

        assert (location["name"], location["region"]) == ("NRT", "ap-northeast-1")
        assert location["serverIp"]
        assert empty == "{}"


@pytest.mark.conformance("CFF-52", "CFF-53", "CF-95")
async def test_a_missing_key_rejects(javascript: JavaScript) -> None:
    """`Error: KeyNotFound`; exists says false; a present one is read."""
    javascript.items["here"] = "value"
    code = (
        CF
        + """
    async function handler() {
        const store = cf.kvs();
        const seen = { has: await store.exists('here'), lacks: await store.exists('gone') };
        seen.value = await store.get('here');
        try { await store.get('gone'); } catch (error) { seen.error = String(error); }
        return { statusCode: 200, body: JSON.stringify(seen) };
    }
    """
    )

    assert await javascript.answer(code) == {
        "has": True,
        "lacks": False,
        "value": "value",
        "error": "Error: KeyNotFound",
    }


# --- what becomes of requests -------------------------------------------------------------------


@pytest.mark.conformance("CFF-11", "CF-94")
@pytest.mark.parametrize(
    ("change", "sent"),
    [
        ("", "/a?c=1&c=2&d=3"),
        ("entry.value = '9';", "/a?c=9&c=2&d=3"),
        ("entry.multiValue[1].value = '9';", "/a?c=1&c=9&d=3"),
        (
            "entry.value = '7'; entry.multiValue = [{ value: '8' }, { value: '9' }];",
            "/a?c=8&c=9&d=3",
        ),
    ],
    ids=["unchanged", "value", "multiValue", "both"],
)
async def test_a_changed_multi_value_wins(javascript: JavaScript, change: str, sent: str) -> None:
    """A change to value alone replaces the first; the origin sees the outcome."""
    code = f"""
    function handler(event) {{
        const entry = event.request.querystring.c;
        {change}
        return event.request;
    }}
    """
    async with javascript.serving(code, origin_request_policy=ALL_VIEWER) as world:
        await world.get("/a?c=1&c=2&d=3")

        assert world.origin.paths == [sent]


@pytest.mark.conformance("CFF-13")
async def test_a_query_string_may_be_text(javascript: JavaScript) -> None:
    """It is what the origin gets, and what the cache knows the object by."""
    code = """
    function handler(event) {
        const raw = event.request.rawQueryString() || '';
        event.request.querystring = raw.split('&').sort().join('&');
        return event.request;
    }
    """
    async with javascript.serving(code, cache=policy(query_strings=ALL_QUERIES)) as world:
        results = [(await world.get(f"/a?{one}")).x_cache for one in ("b=2&a=1", "a=1&b=2", "a=2")]

        assert results == ["Miss", "Hit", "Miss"]
        assert world.origin.paths == ["/a?a=1&b=2", "/a?a=2"]


# --- origins ------------------------------------------------------------------------------------

TO_SECOND = (
    CF
    + """
function handler(event) {
    if (event.request.headers['x-to']) cf.updateRequestOrigin({ domainName: 'b.example.com' });
    return event.request;
}
"""
)


def updates(properties: str) -> str:
    """A function that changes the origin of every request."""
    return CF + (
        f"function handler(event) {{ cf.updateRequestOrigin({properties}); return event.request; }}"
    )


@pytest.mark.conformance("CFF-29")
async def test_the_chosen_origin_is_not_in_the_cache_key(javascript: JavaScript) -> None:
    """The next viewer gets the other origin's body, until the header is in the cache policy."""
    headers = Names(Selection.WHITELIST, frozenset({"x-to"}))
    bodies = []
    for cache in (policy(), policy(headers=headers)):
        async with javascript.serving(TO_SECOND, cache=cache) as world:
            first = await world.get("/a", x_to="second")
            then = await world.get("/a")
            bodies.append((first.body, then.body, then.x_cache))

    assert bodies == [(b"second", b"second", "Hit"), (b"second", b"hello", "Miss")]


KEY = Origin("Api", "api.example.com", custom_headers=(("x-origin-key", "secret"),), path="/v1")


@pytest.mark.conformance("CFF-56")
@pytest.mark.parametrize(
    ("properties", "path", "key"),
    [
        ("{ domainName: 'b.example.com' }", "/v1/a", "secret"),
        ("{ domainName: 'b.example.com', originPath: '/v2' }", "/v2/a", "secret"),
        ("{ domainName: 'b.example.com', customHeaders: {} }", "/v1/a", None),
        ("{ domainName: 'b.example.com', customHeaders: {'x-origin-key': 'n'} }", "/v1/a", "n"),
    ],
    ids=["inherits", "path", "clears", "replaces"],
)
async def test_what_is_not_set_is_taken_over(
    javascript: JavaScript, properties: str, path: str, key: str | None
) -> None:
    """Custom headers and path of the behavior's own origin; the Host is the new domain."""
    async with javascript.serving(updates(properties), origins=(KEY,)) as world:
        answer = await world.get("/a")
        (seen,) = world.second.seen

        assert (answer.body, world.origin.seen) == (b"second", [])
        assert world.second.paths == [path]
        assert seen.headers["host"] == "b.example.com"
        assert seen.headers.get("x-origin-key") == key


async def hang(asked: Asked) -> Sent:
    """Never answer."""
    await asyncio.Event().wait()
    return Sent()


@pytest.mark.conformance("CFF-56")
@pytest.mark.parametrize(
    ("origin_s", "properties"),
    [
        (0.2, "{ domainName: 'b.example.com' }"),
        (60, "{ domainName: 'b.example.com', timeouts: { readTimeout: 1 } }"),
        (60, "{ timeouts: { readTimeout: 1 } }"),
    ],
    ids=["inherited", "set", "set for the same domain"],
)
async def test_time_outs_are_taken_over_or_set(
    javascript: JavaScript, origin_s: float, properties: str
) -> None:
    """504 after the behavior's origin's patience, or after the function's."""
    origin = Origin("Api", "api.example.com", read_timeout_s=origin_s, connection_attempts=1)
    async with javascript.serving(
        updates(properties), origins=(origin,), read_timeout_s=60
    ) as world:
        world.origin.script = world.second.script = hang
        answer = await asyncio.wait_for(world.get("/a"), 20)

        assert answer.status == 504


@pytest.mark.conformance("CFF-57")
@pytest.mark.parametrize(
    "properties",
    [
        "{ domainName: 'b.example.com:80' }",
        "{ domainName: '192.0.2.1' }",
        "{ domainName: 'B.com' }",
    ],
)
async def test_a_wrong_origin_is_a_502(javascript: JavaScript, properties: str) -> None:
    """A validation error with the sentence seen on CloudFront; no origin is asked."""
    async with javascript.serving(updates(properties)) as world:
        answer = await world.get("/a")

        assert (answer.status, answer.x_cache) == (502, "FunctionValidationError")
        assert INVALID_ORIGIN in answer.body
        assert world.origin.seen == []


@pytest.mark.conformance("CFF-58")
async def test_an_origin_is_selected_by_its_id(javascript: JavaScript) -> None:
    """With all of its own settings; an id of nobody is a validation error."""
    other = Origin("Second", "b.example.com", custom_headers=(("x-mine", "2"),), path="/own")
    code = (
        CF
        + """
    function handler(event) {
        cf.selectRequestOriginById(event.request.uri.slice(1));
        return event.request;
    }
    """
    )
    async with javascript.serving(code, origins=(other,)) as world:
        known, unknown = await world.get("/Second"), await world.get("/Elsewhere")
        (seen,) = world.second.seen

        assert known.body == b"second"
        assert (world.second.paths, seen.headers["x-mine"]) == (["/own/Second"], "2")
        assert seen.headers["host"] == "b.example.com"
        assert (unknown.status, unknown.x_cache) == (502, "FunctionValidationError")
        assert INVALID_ORIGIN in unknown.body
        assert world.origin.seen == []


@pytest.mark.conformance("CFF-59")
async def test_a_created_group_fails_over_without_another_run(javascript: JavaScript) -> None:
    """On the listed statuses only; the function has run once for each request."""
    code = (
        CF
        + """
    function handler(event) {
        console.log('ran');
        cf.createRequestOriginGroup({
            originIds: ['Api', { originId: 'Second', originOverrides: { hostHeader: 'h.test' } }],
            failoverCriteria: { statusCodes: [503] }
        });
        return event.request;
    }
    """
    )
    async with javascript.serving(code) as world:
        statuses = iter([503, 500])
        world.origin.script = lambda asked: Sent(b"no", next(statuses))
        failed_over, kept = await world.get("/a"), await world.get("/b")
        (seen,) = world.second.seen

        assert (failed_over.status, failed_over.body) == (200, b"second")
        assert (kept.status, len(world.origin.seen)) == (500, 2)
        assert seen.headers["host"] == "h.test"
        lines = [line.message for _, line in javascript.logs.lines(after=0, count=99)]
        assert sum(line.endswith(" ran") for line in lines) == 2


@pytest.mark.conformance("CFF-59")
@pytest.mark.parametrize(
    "group",
    [
        "{ originIds: ['Api'], failoverCriteria: { statusCodes: [500] } }",
        "{ originIds: ['Api', 'Second'] }",
        "{ originIds: ['Api', 'Nobody'], failoverCriteria: { statusCodes: [500] } }",
    ],
    ids=["one id", "no criteria", "unknown id"],
)
async def test_half_a_group_is_a_502(javascript: JavaScript, group: str) -> None:
    """Two ids of this distribution, and statuses."""
    code = CF + (
        f"function handler(event) {{ cf.createRequestOriginGroup({group}); return event.request; }}"
    )
    async with javascript.serving(code) as world:
        answer = await world.get("/a")

        assert (answer.status, answer.x_cache) == (502, "FunctionValidationError")
        assert world.origin.seen == []


@pytest.mark.conformance("CFF-60")
async def test_in_an_origin_group_only_the_primary_is_changed(javascript: JavaScript) -> None:
    """The secondary gets the request as it would have without the function."""
    groups = {"Group": OriginGroup("Group", "Api", "Second", frozenset({500}))}
    code = updates("{ originPath: '/new', customHeaders: {'x-new': '1'} }")
    async with javascript.serving(code, origin_groups=groups, target_origin_id="Group") as world:
        world.origin.script = says("broken", 500)
        answer = await world.get("/a")

        assert answer.body == b"second"
        assert (world.origin.paths, world.second.paths) == (["/new/a"], ["/a"])
        assert world.origin.seen[0].headers["x-new"] == "1"
        assert "x-new" not in world.second.seen[0].headers


# --- failures -----------------------------------------------------------------------------------


@pytest.mark.conformance("CFF-32", "CFF-74", "CF-88")
async def test_a_throw_is_a_503(javascript: JavaScript, wire: Wire) -> None:
    """CloudFront's page with its sentence; the cause is in the Trace only."""
    code = "function handler(event) { return event.response.headers; }"
    async with javascript.serving(code) as world:
        lines, page = head_and_body(await wire(world, get()))
        (trace,) = world.edge.latest_traces(1)

        assert lines[0] == "HTTP/1.1 503 Service Unavailable"
        assert "X-Cache: FunctionExecutionError from cloudfront" in lines
        assert NOT_RUN in page
        assert b"headers" not in page
        assert 'cannot get property "headers" of undefined' in (trace.failure or "")
        assert world.origin.seen == []


@pytest.mark.conformance("CFF-16", "CFF-17", "CF-89")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("headers.host.value = 'other.example.com'", b"read-only"),
        ("delete headers.host", b"read-only"),
        ("headers.via = { value: '1.1 me' }", b"read-only"),
        ("headers['x-amz-cf-mine'] = { value: '1' }", b"disallowed header"),
        ("headers['x-forwarded-proto'] = { value: 'http' }", b"disallowed header"),
    ],
)
async def test_a_header_that_is_not_its_own_is_a_502(
    javascript: JavaScript, change: str, sentence: bytes
) -> None:
    """Read-only or disallowed; no origin is asked."""
    code = (
        f"function handler(e) {{ const headers = e.request.headers; {change}; return e.request; }}"
    )
    async with javascript.serving(code) as world:
        answer = await world.get("/a")

        assert (answer.status, answer.x_cache) == (502, "FunctionValidationError")
        assert sentence in answer.body
        assert world.origin.seen == []


@pytest.mark.conformance("CFF-34", "CF-101")
async def test_a_function_over_its_time_is_stopped_and_then_throttled(
    javascript: JavaScript,
) -> None:
    """503 for each request: at first it ran too long, then it is not run any more."""
    async with javascript.serving("function handler() { for (;;) {} }") as world:
        results = [(await world.get("/a")) for _ in range(12)]

        assert {one.status for one in results} == {503}
        assert [one.x_cache for one in results] == [
            *["FunctionExecutionError"] * 10,
            *["FunctionThrottledError"] * 2,
        ]
        assert world.origin.seen == []


@pytest.mark.conformance("CFF-24")
async def test_a_status_of_its_own_shows_no_custom_error_page(javascript: JavaScript) -> None:
    """viewer-response turns 200 into 404, and the page for 404 stays where it is."""
    code = "function handler(e) { e.response.statusCode = 404; return e.response; }"
    page = CustomErrorResponse(404, response_page_path="/page.html", response_code=200)
    async with javascript.serving(response=code, custom_errors={404: page}) as world:
        answer = await world.get("/a")

        assert (answer.status, answer.body) == (404, b"hello")
        assert world.origin.paths == ["/a"]


# --- bytes at the viewer ------------------------------------------------------------------------


@pytest.mark.conformance("CFF-14")
@pytest.mark.parametrize("at_response", [False, True], ids=["generated", "viewer-response"])
async def test_added_names_leave_with_capitals(
    javascript: JavaScript, wire: Wire, at_response: bool
) -> None:
    """`x-a-b` is `X-A-B` over HTTP/1.1; what the origin wrote stays as it wrote it."""
    added = "{ 'x-a-b': { value: '1' }, 'etag-of-mine': { value: '2' } }"
    request = f"function handler() {{ return {{ statusCode: 200, headers: {added} }}; }}"
    response = (
        "function handler(e) {"
        f" e.response.headers = Object.assign(e.response.headers, {added}); return e.response; }}"
    )
    codes = ("", response) if at_response else (request, "")
    async with javascript.serving(*codes) as world:
        world.origin.script = says("x", 200, x_from_origin="3")
        lines, _ = head_and_body(await wire(world, get()))

        assert {"X-A-B: 1", "Etag-Of-Mine: 2"} < set(lines)
        assert ("x-from-origin: 3" in lines) is at_response


@pytest.mark.conformance("CFF-12")
async def test_cookie_attributes_come_and_go_as_one_text(
    javascript: JavaScript, wire: Wire
) -> None:
    """Untouched lines keep their bytes, changed ones are written anew, new ones follow."""
    code = """
    function handler(event) {
        const cookies = event.response.cookies;
        const seen = cookies.session.attributes;
        cookies.session.value = 'two';
        cookies.added = { value: 'v', attributes: 'Path=/; Secure' };
        event.response.headers['x-seen'] = { value: seen };
        return event.response;
    }
    """
    kept = "kept=1;Path=/;  HttpOnly"

    def script(asked: Asked) -> Sent:
        sent = Sent(b"x")
        sent.headers.append("set-cookie", kept)
        sent.headers.append("set-cookie", "session=one; Path=/; Domain=example.com; Max-Age=60")
        return sent

    async with javascript.serving(response=code, origin_request_policy=ALL_VIEWER) as world:
        world.origin.script = script
        lines, _ = head_and_body(await wire(world, get()))
        cookies = [line for line in lines if line.lower().startswith("set-cookie")]

        assert [line.partition(": ")[2] for line in cookies] == [
            kept,
            "session=two; Path=/; Domain=example.com; Max-Age=60",
            "added=v; Path=/; Secure",
        ]
        assert "X-Seen: Path=/; Domain=example.com; Max-Age=60" in lines


@pytest.mark.conformance("CFF-18")
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("headers.via = { value: '1.1 me' }", 502),
        ("headers.warning = { value: '199 - old' }", 502),
        ("delete headers.warning", 502),
        ("headers['content-encoding'] = { value: 'identity' }", 200),
        ("headers['content-length'] = { value: '5' }", 200),
        ("delete headers['content-encoding']", 200),
    ],
)
async def test_what_viewer_response_may_change(
    javascript: JavaScript, wire: Wire, change: str, status: int
) -> None:
    """Warning and Via are read-only; length and encoding are not, and the body stays whole."""
    code = (
        "function handler(event) { const headers = event.response.headers;"
        f" {change}; return event.response; }}"
    )
    async with javascript.serving(response=code) as world:
        world.origin.script = says(b"hello", 200, warning="110 - stale", content_encoding="x-own")
        lines, body = head_and_body(await wire(world, get()))

        assert lines[0].split()[1] == str(status)
        if status == 200:
            assert body == b"hello"
            assert "Content-Length: 5" in {line.title() for line in lines}
            encoding = [line for line in lines if line.lower().startswith("content-encoding")]
            if "identity" in change:
                assert encoding[0].endswith(": identity")
            assert bool(encoding) is not change.startswith("delete")
        else:
            assert "X-Cache: FunctionValidationError from cloudfront" in lines


EVERY_BYTE = bytes(range(256)) * 300


@pytest.mark.conformance("CFF-23")
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_omitted_body_is_the_origins(
    javascript: JavaScript, wire: Wire, streamed: bool
) -> None:
    """Byte for byte, with a length or in chunks; the function never saw it."""
    code = """
    function handler(event) {
        event.response.headers['x-body'] = { value: String(event.response.body) };
        return event.response;
    }
    """

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(EVERY_BYTE), 10_000):
            yield EVERY_BYTE[start : start + 10_000]

    async with javascript.serving(response=code) as world:
        world.origin.script = (
            (lambda asked: StreamingResponse(pieces())) if streamed else says(EVERY_BYTE)
        )
        lines, body = head_and_body(await wire(world, get()))

        assert "X-Body: undefined" in lines
        assert (_unchunked(body) if streamed else body) == EVERY_BYTE


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return whole


@pytest.mark.conformance("CFF-22")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("'plain é'", "plain é".encode()),
        ("{ encoding: 'text', data: 'text é' }", "text é".encode()),
        (
            f"{{ encoding: 'base64', data: '{base64.b64encode(EVERY_BYTE[:256]).decode()}' }}",
            EVERY_BYTE[:256],
        ),
        ("''", b""),
    ],
    ids=["string", "text", "base64", "empty"],
)
@pytest.mark.parametrize("at_response", [False, True], ids=["generated", "viewer-response"])
async def test_bodies_as_bytes(
    javascript: JavaScript, wire: Wire, body: str, expected: bytes, at_response: bool
) -> None:
    """Three ways to say a body, with the right length; an empty one removes the origin's."""
    request = f"function handler() {{ return {{ statusCode: 200, body: {body} }}; }}"
    response = f"function handler(e) {{ e.response.body = {body}; return e.response; }}"
    codes = ("", response) if at_response else (request, "")
    async with javascript.serving(*codes) as world:
        lines, sent = head_and_body(await wire(world, get()))

        assert sent == expected
        assert f"Content-Length: {len(expected)}" in {line.title() for line in lines}


# --- logs ---------------------------------------------------------------------------------------


@pytest.mark.conformance("CFF-51", "CF-99")
async def test_log_lines_carry_the_request_id(javascript: JavaScript) -> None:
    """START, what it wrote, END, each behind the id that the viewer got; nothing without a line."""
    code = """
    function handler(event) {
        if (event.request.uri !== '/quiet') console.log('at ' + event.request.uri);
        return event.request;
    }
    """
    async with javascript.serving(code) as world:
        loud = await world.get("/loud")
        await world.get("/quiet")
        request_id = loud.headers.get("x-amz-cf-id")
        lines = [line for _, line in javascript.logs.lines(after=0, count=99)]

        assert [line.message for line in lines] == [
            f"{request_id} START DistributionID: E1",
            f"{request_id} at /loud",
            f"{request_id} END",
        ]
        assert {line.group for line in lines} == {"/aws/cloudfront/function/on-request"}
