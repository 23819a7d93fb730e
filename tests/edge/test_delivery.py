"""A request's way through the edge, with a real origin and a virtual clock where time matters."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as OriginSide
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from emulator.app.servers import Listener, bind, port_of
from emulator.clock.real import RealClock
from emulator.edge.delivery import Delivery, Edge, EdgeSettings, Viewer
from emulator.edge.passage import World
from emulator.edge.site import OriginTarget, Site
from emulator.errors import EdgeFunctionError, FailureKind
from emulator.network.latency import ApiFront, LatencyModel, LatencySettings
from emulator.network.origins import OriginAddress, OriginClient, OriginTimeouts
from emulator.network.places import parse_place
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.values.distribution import (
    ALL_METHODS,
    READ_METHODS,
    CacheBehavior,
    Distribution,
    FunctionAssociation,
    Origin,
)
from emulator.values.functions import EventType, FunctionEvent, FunctionKind, FunctionRun
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaEdgeSwitches, LambdaOrigin
from emulator.values.messages import Request, Response

pytestmark = pytest.mark.anyio
CACHE = {policy.name: policy for policy in MANAGED_CACHE_POLICIES.values()}
ORIGIN = {policy.name: policy for policy in MANAGED_ORIGIN_REQUEST_POLICIES.values()}


@dataclass
class Answering:
    """An edge function of the test: does what it was told to."""

    outcome: Response | Request | EdgeFunctionError
    name: str = "answering"
    events: list[FunctionEvent] = field(default_factory=list)

    async def run(
        self, event: FunctionEvent, *, include_body: bool, origin: LambdaOrigin | None = None
    ) -> FunctionRun:
        """Give the outcome."""
        self.events.append(event)
        if isinstance(self.outcome, EdgeFunctionError):
            raise self.outcome
        return FunctionRun(self.outcome, logs=("said",), duration_ms=0.1, store_reads=1)


async def echo(request: OriginSide) -> PlainTextResponse:
    """What the origin saw."""
    body = await request.body()
    return PlainTextResponse(
        f"{request.method} {request.url.path}?{request.url.query} {request.headers.get('host')} "
        f"{len(body)}",
        headers={"Set-Cookie": "a=1", "X-Own": "yes"},
    )


async def teapot(request: OriginSide) -> PlainTextResponse:
    """An origin's own error."""
    return PlainTextResponse("no", 404)


async def drip(request: OriginSide) -> StreamingResponse:
    """Three pieces, 400 ms apart: far more than a busy machine makes an event loop late."""
    clock = RealClock()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"piece {number}\n".encode()
            await clock.sleep_ms(400)

    return StreamingResponse(pieces(), media_type="text/event-stream")


@contextlib.asynccontextmanager
async def an_edge(
    function: Answering | None = None,
    *,
    latency: LatencySettings | None = None,
    origin_up: bool = True,
    kind: FunctionKind = FunctionKind.CLOUDFRONT_FUNCTION,
) -> AsyncIterator[Edge]:
    """An edge with one distribution in front of a real origin."""
    clock = RealClock()
    routes = [Route("/drip", drip), Route("/404", teapot)]
    routes.append(Route("/{rest:path}", echo, methods=["GET", "POST", "HEAD"]))
    listener = bind("127.0.0.1", 0, "viewer")
    port = port_of(listener)
    server = Listener(listener, Starlette(routes=routes))
    if origin_up:
        await server.start(clock)
    else:
        listener.close()
    association = FunctionAssociation(EventType.VIEWER_REQUEST, kind, "arn:function")
    policies = (CACHE["CachingDisabled"], ORIGIN["AllViewerExceptHostHeader"])
    behaviors = (
        CacheBehavior("/f/*", "Api", *policies, functions=(association,) if function else ()),
        CacheBehavior("/read/*", "Api", *policies, allowed_methods=READ_METHODS),
        CacheBehavior("*", "Api", *policies, allowed_methods=ALL_METHODS),
    )
    distribution = Distribution(
        "E1", "d1.cloudfront.net", behaviors, {"Api": Origin("Api", "api.example.com")}
    )
    target = OriginTarget(
        OriginAddress("127.0.0.1", port), "us-east-1", ApiFront.NONE, OriginTimeouts(3, 2, 2, 5)
    )
    async with OriginClient(clock) as client:
        model = LatencyModel(latency or LatencySettings(enabled=False))
        world = World(clock, model, client, LambdaEdgeSwitches())
        edge = Edge(world, EdgeSettings(parse_place("LHR/fibre")))
        edge.site = Site(
            (distribution,),
            {"arn:function": function} if function else {},
            {("E1", "Api"): target},
        )
        yield edge
    if origin_up:
        await server.close()


def asked(path: str, method: str = "GET", **headers: str) -> Request:
    """A viewer's request."""
    lines = [("Host", headers.pop("host", "d1.cloudfront.net"))]
    lines += [(name.replace("_", "-"), value) for name, value in headers.items()]
    uri, question, query = path.partition("?")
    return Request(method, uri, query, Headers(lines), has_query=bool(question))


async def whole(delivery: Delivery) -> bytes:
    """The whole body."""
    if isinstance(delivery.body, bytes):
        return delivery.body
    return b"".join([piece async for piece in delivery.body])


def viewer() -> Viewer:
    """A new connection."""
    return Viewer("127.0.0.1", 50_000)


async def test_a_miss_goes_to_the_origin_and_back() -> None:
    """Path, query and policy headers go on; X-Cache says Miss."""
    async with an_edge() as edge:
        delivery = await edge.deliver(asked("/a/b?x=1"), viewer())

        assert delivery.status == 200
        assert await whole(delivery) == b"GET /a/b?x=1 api.example.com 0"
        assert delivery.headers.get("x-cache") == "Miss from cloudfront"
        assert delivery.headers.get("set-cookie") == "a=1"
        assert delivery.headers.get("x-amz-cf-pop").startswith("LHR")
        assert len(delivery.headers.get("x-amz-cf-id")) == 56
        assert "origin 200" in str(edge.trace(delivery.journey.trace_id))


@pytest.mark.conformance("CFF-20", "CFF-74", "LAE-75")
@pytest.mark.parametrize(
    ("kind", "x_cache"),
    [
        (FunctionKind.CLOUDFRONT_FUNCTION, "FunctionGeneratedResponse from cloudfront"),
        (FunctionKind.LAMBDA_AT_EDGE, "LambdaGeneratedResponse from cloudfront"),
    ],
)
async def test_a_function_answers_without_the_origin(kind: FunctionKind, x_cache: str) -> None:
    """A hit needs no origin at all; the request id is the function's too."""
    function = Answering(Response(200, headers=Headers([("X-A", "1")]), body=b"ours"))
    async with an_edge(function, origin_up=False, kind=kind) as edge:
        delivery = await edge.deliver(asked("/f/x"), viewer())

        assert (delivery.status, await whole(delivery)) == (200, b"ours")
        assert delivery.headers.get("x-cache") == x_cache
        assert delivery.headers.pairs[0] == ("Server", "CloudFront")
        assert function.events[0].request_id == delivery.headers.get("x-amz-cf-id")
        assert "said" in delivery.journey.trace().logs


@pytest.mark.conformance("CF-9", "LAE-36")
async def test_a_rewritten_uri_keeps_behavior_and_origin() -> None:
    """Changing the URI changes the object, never the behavior nor the origin."""
    function = Answering(Request("GET", "/read/rewritten", headers=asked("/").headers))
    async with an_edge(function) as edge:
        delivery = await edge.deliver(asked("/f/x"), viewer())

        assert await whole(delivery) == b"GET /read/rewritten? api.example.com 0"
        assert len(function.events) == 1


@pytest.mark.conformance("CFF-74")
@pytest.mark.parametrize(
    ("kind", "status"),
    [(FailureKind.FUNCTION_EXECUTION, 503), (FailureKind.FUNCTION_VALIDATION, 502)],
)
async def test_a_failing_function_gives_cloudfronts_page(kind: FailureKind, status: int) -> None:
    """The viewer sees the sentence; the cause is in the Trace only."""
    function = Answering(EdgeFunctionError(kind, "The sentence.", "line 3: boom"))
    async with an_edge(function, origin_up=False) as edge:
        delivery = await edge.deliver(asked("/f/x"), viewer())
        page = await whole(delivery)

        assert delivery.status == status
        assert delivery.headers.get("x-cache") == f"{kind} from cloudfront"
        assert b"The sentence." in page
        assert b"boom" not in page
        assert delivery.journey.trace().failure == "line 3: boom"


async def test_an_origin_that_is_down_is_a_502() -> None:
    """CloudFront's page with its sentence."""
    async with an_edge(origin_up=False) as edge:
        delivery = await edge.deliver(asked("/a"), viewer())

        assert delivery.status == 502
        assert b"CloudFront wasn't able to connect to the origin." in await whole(delivery)
        assert delivery.headers.get("x-cache") == "Error from cloudfront"


async def test_an_origins_own_error_passes_through() -> None:
    """Status and body are the origin's, X-Cache says Error."""
    async with an_edge() as edge:
        delivery = await edge.deliver(asked("/404"), viewer())

        assert (delivery.status, await whole(delivery)) == (404, b"no")
        assert delivery.headers.get("x-cache") == "Error from cloudfront"


@pytest.mark.conformance("CF-11")
async def test_an_unknown_host_is_refused() -> None:
    """403 `Bad request.`; the names of this machine stand for the first distribution."""
    async with an_edge() as edge:
        refused = await edge.deliver(asked("/a", host="evil.example.com"), viewer())
        local = await edge.deliver(asked("/a", host="localhost:8080"), viewer())

        assert refused.status == 403
        assert b"Bad request." in await whole(refused)
        assert local.status == 200


async def test_the_place_header_never_reaches_a_function_or_the_origin() -> None:
    """It is removed before CloudFront's first step."""
    function = Answering(Response(200))
    async with an_edge(function) as edge:
        delivery = await edge.deliver(asked("/f/x", X_Localpop_Viewer="NRT/4g"), viewer())

        assert "x-localpop-viewer" not in function.events[0].request.headers
        assert function.events[0].location.name == "NRT"
        assert delivery.headers.get("x-amz-cf-pop").startswith("NRT")


async def test_an_unknown_place_is_a_400_that_says_how_to_mend_it() -> None:
    """Our own header, our own words."""
    async with an_edge() as edge:
        delivery = await edge.deliver(asked("/a", X_Localpop_Viewer="XXX"), viewer())

        assert delivery.status == 400
        assert b"Known: IAD" in await whole(delivery)


async def test_the_first_byte_leaves_at_its_deadline() -> None:
    """Never before the simulated arrival; the emulator's own work is inside it."""
    function = Answering(Response(200, body=b"x"))
    async with an_edge(function, latency=LatencySettings()) as edge:
        started_ms = edge.clock.now_ms()
        delivery = await edge.deliver(asked("/f/x"), viewer())
        took_ms = edge.clock.now_ms() - started_ms
        trace = delivery.journey.trace()

        assert trace.simulated_ms == pytest.approx(
            sum(stage.simulated_ms for stage in trace.stages)
        )
        assert took_ms >= trace.simulated_ms


async def test_set_up_is_charged_once_for_each_place_of_a_connection() -> None:
    """A warm connection pays one round trip, a new one three."""
    function = Answering(Response(200))
    async with an_edge(function, latency=LatencySettings()) as edge:
        connection = viewer()
        names = []
        for place in ("NRT/fibre", "NRT/fibre", "LHR/fibre"):
            delivery = await edge.deliver(asked("/f/x", X_Localpop_Viewer=place), connection)
            names.append([stage.name for stage in delivery.journey.trace().stages])

        assert ["viewer TCP" in stages for stages in names] == [True, False, True]


async def test_a_stream_keeps_its_spacing_whatever_the_distance() -> None:
    """Each piece is as much later as the first one is."""
    async with an_edge(latency=LatencySettings(seed=3)) as edge:
        delivery = await edge.deliver(asked("/drip", X_Localpop_Viewer="SYD/4g"), viewer())
        assert not isinstance(delivery.body, bytes)
        times_ms = []
        async for _ in delivery.body:
            times_ms.append(edge.clock.now_ms())

        assert len(times_ms) == 3
        assert times_ms[2] - times_ms[0] >= 400


@pytest.mark.conformance("CF-17")
async def test_a_method_that_is_not_allowed_never_reaches_the_origin() -> None:
    """403 with the method sentence."""
    async with an_edge(origin_up=False) as edge:
        delivery = await edge.deliver(asked("/read/x", "POST"), viewer())

        assert delivery.status == 403
        assert len(await whole(delivery)) == 1053


async def test_the_trace_header_is_a_switch() -> None:
    """Without it every byte is CloudFront's."""
    async with an_edge(Answering(Response(200))) as edge:
        edge.settings.trace_header = False
        delivery = await edge.deliver(asked("/f/x"), viewer())

        assert "x-localpop-trace" not in delivery.headers


async def test_traces_are_kept_newest_first() -> None:
    """The dashboard reads them; an unknown id is None."""
    async with an_edge(Answering(Response(200))) as edge:
        for path in ("/f/1", "/f/2", "/f/3"):
            await edge.deliver(asked(path), viewer())

        assert [trace.target for trace in edge.latest_traces(2)] == ["/f/3", "/f/2"]
        assert edge.latest_traces(0) == []
        assert edge.trace("nothing") is None
