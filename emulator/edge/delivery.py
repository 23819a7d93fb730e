"""One request's way: behavior, viewer-request function, origin, viewer."""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final

from emulator.clock import Clock
from emulator.edge.fetching import Fetcher
from emulator.edge.journey import Journey
from emulator.edge.locations import EdgeServer, edge_servers, new_request_id, new_trace_id
from emulator.edge.passage import Passage, World
from emulator.edge.site import Site
from emulator.errors import ConfigError, EdgeFunctionError, NotEmulated, OriginError
from emulator.network.latency import LatencyModel
from emulator.network.places import parse_place
from emulator.rules.error_pages import (
    BAD_REQUEST,
    error_page,
    function_error_page,
    origin_error_page,
)
from emulator.rules.path_pattern import select_behavior
from emulator.rules.viewer_request import behavior_refusal
from emulator.rules.viewer_response import EdgeIdentity, for_viewer, generated_at_edge
from emulator.values.functions import EventType, FunctionKind
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

    world: World
    settings: EdgeSettings
    site: Site = field(default_factory=Site)
    _fetcher: Fetcher = field(default_factory=Fetcher)
    _journeys: OrderedDict[str, Journey] = field(default_factory=OrderedDict)
    _chance: random.Random = field(init=False)
    # Ids must differ from one start to the next: logs and traces are told apart by them.
    _ids: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.settings.seed}:edge")

    @property
    def clock(self) -> Clock:
        """The edge's clock."""
        return self.world.clock

    @property
    def latency(self) -> LatencyModel:
        """The edge's latency model."""
        return self.world.latency

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
        passage = Passage(self.world, site, distribution, behavior, server, journey)
        try:
            return await self._answer(request, passage)
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

    async def _answer(self, request: Request, passage: Passage) -> Response:
        """The story of one request between its behavior and its answer."""
        outcome = await passage.run(EventType.VIEWER_REQUEST, request)
        if isinstance(outcome.result, Response):
            # Its answer is final: no cache, no origin, no viewer-response function.
            kind = _kind_at(passage, EventType.VIEWER_REQUEST)
            return self._own(outcome.result, _GENERATED[kind], passage.journey)
        return await self._fetch(outcome.result, passage)

    async def _fetch(self, request: Request, passage: Passage) -> Response:
        """Get the answer from the origin; its body is passed on as it arrives."""
        journey = passage.journey
        fetched = await self._fetcher.fetch(request, passage, journey.place.pop.code)
        journey.status = fetched.response.status
        journey.x_cache = "Error" if fetched.response.status >= 400 else "Miss"
        return fetched.response

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

    # --- what it remembers ------------------------------------------------------------------

    def trace(self, trace_id: str) -> Trace | None:
        """The Trace of one of the latest 10,000 requests."""
        journey = self._journeys.get(trace_id)
        return journey.trace() if journey else None

    def latest_traces(self, count: int) -> list[Trace]:
        """The newest traces, newest first."""
        newest = list(self._journeys.values())[-count:] if count > 0 else []
        return [journey.trace() for journey in reversed(newest)]


def _kind_at(passage: Passage, event_type: EventType) -> FunctionKind:
    association = passage.function_at(event_type)
    assert association is not None
    return association.kind


def _summary(journey: Journey) -> str:
    """The value of X-Localpop-Trace: the trace's id and its figures, ms."""
    return (
        f"{journey.trace_id}; place={journey.place}; simulated_ms={journey.simulated_ms:.2f}; "
        f"overhead_ms={journey.overhead_ms:.2f}; late_ms={journey.late_ms:.2f}"
    )
