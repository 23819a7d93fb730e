"""One request's way: behavior, viewer-request function, origin, viewer."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Final

from emulator.clock import Clock
from emulator.edge.functions import run_function
from emulator.edge.journey import Journey
from emulator.edge.locations import EdgeServer, edge_servers, new_request_id, new_trace_id
from emulator.edge.site import OriginTarget, Site
from emulator.errors import ConfigError, EdgeFunctionError, NotEmulated, OriginError
from emulator.network.latency import LatencyModel
from emulator.network.origins import OriginBody, OriginClient
from emulator.network.places import parse_place
from emulator.rules.error_pages import (
    BAD_REQUEST,
    error_page,
    function_error_page,
    origin_error_page,
)
from emulator.rules.origin_request import origin_request
from emulator.rules.path_pattern import select_behavior
from emulator.rules.viewer_request import behavior_refusal
from emulator.rules.viewer_response import EdgeIdentity, for_viewer, from_origin, generated_at_edge
from emulator.values.distribution import CacheBehavior, Distribution, Origin
from emulator.values.functions import EventType, FunctionEvent, FunctionKind
from emulator.values.headers import Headers
from emulator.values.messages import Body, Request, Response
from emulator.values.places import ViewerPlace
from emulator.values.trace import Trace

PLACE_HEADER: Final = "x-localpop-viewer"
TRACE_HEADER: Final = "X-Localpop-Trace"
_TRACES_KEPT: Final = 10_000

_GENERATED: Final = {
    FunctionKind.CLOUDFRONT_FUNCTION: "FunctionGeneratedResponse",
    FunctionKind.LAMBDA_AT_EDGE: "LambdaGeneratedResponse",
}


class Viewer:
    """Who asks: one connection to the viewers' port.

    Args:
        ip: The peer's address.
        port: The peer's port.
        secure: Whether the connection is HTTPS.
    """

    __slots__ = ("_met", "ip", "port", "secure")

    def __init__(self, ip: str, port: int, *, secure: bool = False) -> None:
        self.ip, self.port, self.secure = ip, port, secure
        self._met: set[str] = set()

    def is_new_at(self, place: ViewerPlace) -> bool:
        """Whether this is the connection's first request from this place.

        One connection that speaks for several places stands for one connection from each.
        """
        key = place.pop.code + place.access
        if key in self._met:
            return False
        self._met.add(key)
        return True


@dataclass(frozen=True, slots=True)
class Delivery:
    """What leaves for the viewer; its head is due now.

    Args:
        status: The HTTP status.
        reason: The status description; empty for the usual one.
        headers: Complete but for `Connection` and framing.
        body: Whole or streamed; pieces come when they are due.
        journey: Close it with `finished` when the last byte has left.
    """

    status: int
    reason: str
    headers: Headers
    body: Body
    journey: Journey


@dataclass(slots=True)
class EdgeSettings:
    """What is local about an edge.

    Args:
        default_place: Where a viewer is that does not say.
        trace_header: Whether responses carry X-Localpop-Trace.
        seed: Fixes the choice of edge servers.
    """

    default_place: ViewerPlace
    trace_header: bool = True
    seed: int = 1


@dataclass(slots=True)
class Edge:
    """Delivers requests; `site` may be replaced between two of them."""

    clock: Clock
    latency: LatencyModel
    client: OriginClient
    settings: EdgeSettings
    site: Site = field(default_factory=Site)
    _journeys: OrderedDict[str, Journey] = field(default_factory=OrderedDict)
    _origin_used_ms: dict[tuple[str, str, str], float] = field(default_factory=dict)
    _chance: random.Random = field(init=False)
    # Ids must differ from one start to the next: logs and traces are told apart by them.
    _ids: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.settings.seed}:edge")

    # --- the story --------------------------------------------------------------------------

    async def deliver(self, request: Request, viewer: Viewer) -> Delivery:
        """Answer one viewer request; returns when the response's first byte is due."""
        arrived_ms = self.clock.now_ms()
        try:
            request, place = self._place_of(request)
        except ConfigError as error:
            return self._refuse_place(request, error, arrived_ms)
        server = self._chance.choice(edge_servers(place.pop.code))
        journey = self._begin(request, place, server, arrived_ms)
        if viewer.is_new_at(place):
            setup_ms = self.latency.viewer_handshake_ms(place)
            journey.takes("viewer connection set-up", setup_ms)
        journey.takes(f"viewer to {place.pop.code}", self.latency.viewer_rtt_ms(place))

        response = await self._serve(request, server, journey)

        return await self._leave(response, server, journey)

    async def _serve(self, request: Request, server: EdgeServer, journey: Journey) -> Response:
        site = self.site
        distribution = site.distribution_for(request.headers.get("host"))
        if distribution is None:
            journey.failure = f"no distribution answers to Host {request.headers.get('host')!r}"
            return self._own(error_page(403, BAD_REQUEST, journey.request_id), "Error", journey)
        behavior = select_behavior(distribution, request.uri)
        refused = behavior_refusal(behavior, request, journey.request_id)
        if refused is not None:
            x_cache = "Redirect" if refused.status < 400 else "Error"
            return self._own(refused, x_cache, journey)
        try:
            outcome = await self._viewer_request(
                request, behavior, distribution, site, server, journey
            )
            if isinstance(outcome, Response):
                return outcome
            return await self._fetch(outcome, behavior, distribution, site, server, journey)
        except EdgeFunctionError as error:
            journey.failure = error.detail
            page = function_error_page(error, journey.request_id)
            return self._own(page, error.kind, journey)
        except OriginError as error:
            journey.failure = str(error)
            return self._own(origin_error_page(error, journey.request_id), "Error", journey)
        except NotEmulated as error:
            # Ours, not CloudFront's: said aloud, in words that CloudFront never uses.
            journey.failure = str(error)
            headers = Headers([("Content-Type", "text/plain; charset=utf-8")])
            said = Response(501, headers=headers, body=f"localpop: {error}\n".encode())
            return self._own(said, "Error", journey)

    async def _viewer_request(
        self,
        request: Request,
        behavior: CacheBehavior,
        distribution: Distribution,
        site: Site,
        server: EdgeServer,
        journey: Journey,
    ) -> Request | Response:
        """Run the viewer-request function, if any; its answer is final (nothing else runs)."""
        association = behavior.function_at(EventType.VIEWER_REQUEST)
        if association is None:
            return request
        event = FunctionEvent(
            EventType.VIEWER_REQUEST,
            distribution.id,
            distribution.domain_name,
            journey.request_id,
            server.location,
            request,
        )
        function = site.functions[association.arn]
        outcome = await run_function(
            function, association, event, journey, self.latency, self.clock
        )
        if isinstance(outcome, Response):
            return self._own(outcome, _GENERATED[association.kind], journey)
        return outcome

    async def _fetch(
        self,
        request: Request,
        behavior: CacheBehavior,
        distribution: Distribution,
        site: Site,
        server: EdgeServer,
        journey: Journey,
    ) -> Response:
        """Get the answer from the origin; its body is passed on as it arrives."""
        origin = distribution.origins[behavior.target_origin_id]
        target = site.origins[distribution.id, origin.id]
        self._charge_way_to(origin, target, distribution, journey)
        asked = origin_request(request, behavior, origin, journey.request_id, server.via)
        started_ms = self.clock.now_ms()
        try:
            answered = await self.client.fetch(target.address, asked, target.timeouts)
        except OriginError as error:
            took_ms = self.clock.now_ms() - started_ms
            journey.waited(f"origin {origin.id}", took_ms, detail=str(error.failure))
            raise
        waited_ms = answered.first_byte_ms - answered.sent_ms
        status = answered.response.status
        journey.waited(f"origin {origin.id}", waited_ms, detail=f"origin {status}")
        journey.status = status
        journey.x_cache = "Error" if status >= 400 else "Miss"
        response = from_origin(answered.response, behavior, self.clock.epoch_ms())
        if isinstance(response.body, OriginBody):
            shift_ms = journey.deadline_ms - answered.first_byte_ms
            return replace(response, body=self._paced(response.body, max(0.0, shift_ms), journey))
        return response

    async def _leave(self, response: Response, server: EdgeServer, journey: Journey) -> Delivery:
        """Put CloudFront's own headers on, and wait for the deadline."""
        identity = EdgeIdentity(server.pop, server.via, journey.request_id)
        headers = for_viewer(response, journey.x_cache, identity)
        journey.ready()
        if self.settings.trace_header:
            headers = headers.with_added(TRACE_HEADER, _summary(journey))
        await self.clock.sleep_until_ms(journey.deadline_ms)
        return Delivery(response.status, response.reason, headers, response.body, journey)

    # --- its parts --------------------------------------------------------------------------

    def _place_of(self, request: Request) -> tuple[Request, ViewerPlace]:
        """The viewer's place, and the request without the header that told it."""
        named = request.headers.get(PLACE_HEADER)
        if not named:
            return request, self.settings.default_place
        return replace(request, headers=request.headers.without(PLACE_HEADER)), parse_place(named)

    def _begin(
        self, request: Request, place: ViewerPlace, server: EdgeServer, arrived_ms: float
    ) -> Journey:
        journey = Journey(
            self.clock,
            trace_id=new_trace_id(self._ids),
            request_id=new_request_id(self._ids),
            request=request,
            place=place,
            pop=server.pop,
            arrived_ms=arrived_ms,
        )
        self._journeys[journey.trace_id] = journey
        if len(self._journeys) > _TRACES_KEPT:
            self._journeys.popitem(last=False)
        return journey

    def _own(self, response: Response, x_cache: str, journey: Journey) -> Response:
        """A response that the edge made, noted in the journey."""
        journey.status, journey.x_cache = response.status, x_cache
        return generated_at_edge(response, self.clock.epoch_ms())

    def _refuse_place(self, request: Request, error: ConfigError, arrived_ms: float) -> Delivery:
        place = self.settings.default_place
        server = edge_servers(place.pop.code)[0]
        journey = self._begin(request, place, server, arrived_ms)
        journey.status, journey.x_cache, journey.failure = 400, "Error", str(error)
        body = f"X-Localpop-Viewer: {error}\n".encode()
        headers = Headers([("Content-Type", "text/plain; charset=utf-8")])
        return Delivery(400, "", headers, body, journey)

    def _charge_way_to(
        self, origin: Origin, target: OriginTarget, distribution: Distribution, journey: Journey
    ) -> None:
        """The distance to the origin, and what it takes to have a connection there.

        Requests that are never cached go from the point of presence to the origin directly
        (AWS: "How CloudFront delivers content", read 2026-11-20).
        """
        code = journey.place.pop.code
        key = (code, distribution.id, origin.id)
        now_ms = self.clock.now_ms()
        idle_ms = now_ms - self._origin_used_ms.get(key, float("-inf"))
        self._origin_used_ms[key] = now_ms
        rtt_ms = self.latency.pop_to_region_ms(journey.place, target.region)
        if idle_ms > target.timeouts.keepalive_timeout_s * 1_000:
            setup_ms = self.latency.settings.origin_handshake_rtts * rtt_ms
            journey.takes("origin connection set-up", setup_ms)
        journey.takes(f"{code} to {target.region}", rtt_ms)
        front_ms = self.latency.api_front_ms(journey.place, target.front)
        if front_ms:
            journey.takes(f"API Gateway ({target.front})", front_ms)

    async def _paced(
        self, body: OriginBody, shift_ms: float, journey: Journey
    ) -> AsyncIterator[bytes]:
        """Pieces as the viewer gets them: each as much later as the first one is.

        So a stream keeps its token spacing, whatever the distance.
        """
        try:
            async for piece in body:
                await self.clock.sleep_until_ms(body.received_ms + shift_ms)
                yield piece
        except OriginError as error:
            # Status and headers have left: the connection is cut (facts/cloudfront.md 10.5).
            journey.failure = str(error)
            raise
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await body.aclose()

    # --- what it remembers ------------------------------------------------------------------

    def trace(self, trace_id: str) -> Trace | None:
        """The Trace of one of the latest 10,000 requests."""
        journey = self._journeys.get(trace_id)
        return journey.trace() if journey else None

    def latest_traces(self, count: int) -> list[Trace]:
        """The newest traces, newest first."""
        newest = list(self._journeys.values())[-count:] if count > 0 else []
        return [journey.trace() for journey in reversed(newest)]


def _summary(journey: Journey) -> str:
    """The value of X-Localpop-Trace: the trace's id and its figures, ms."""
    return (
        f"{journey.trace_id}; place={journey.place}; simulated_ms={journey.simulated_ms:.2f}; "
        f"overhead_ms={journey.overhead_ms:.2f}; late_ms={journey.late_ms:.2f}"
    )
