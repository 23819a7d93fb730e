"""One request's way: behavior, viewer-request function, origin, viewer."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from emulator.clock import Clock
from emulator.edge.access_log import AccessLog, access_record
from emulator.edge.journey import Journey, PackedTrace, unpack
from emulator.edge.locations import EdgeServer, edge_servers, new_request_id, new_trace_id
from emulator.edge.objects import Answer, Objects
from emulator.edge.passage import Passage, World
from emulator.edge.site import Site
from emulator.errors import (
    ConfigError,
    EdgeFunctionError,
    FailureKind,
    LocalpopError,
    NotEmulated,
    OriginError,
)
from emulator.network.carrying import carried
from emulator.network.faults import ActiveFaults
from emulator.network.geography import viewer_geography
from emulator.network.latency import LatencyModel, RequestLatency
from emulator.network.places import parse_place
from emulator.network.viewers import Arrivals, PlaceMix
from emulator.rules.cloudfront_headers import (
    ViewerFacts,
    visible_at,
    wanted_headers,
    with_cloudfront_headers,
)
from emulator.rules.custom_errors import ErrorSource, error_page_for, replaced
from emulator.rules.error_pages import (
    BAD_REQUEST,
    error_page,
    function_error_page,
    origin_error_page,
)
from emulator.rules.geo_restriction import geo_refusal
from emulator.rules.invalidation import invalidation_paths
from emulator.rules.path_pattern import select_behavior
from emulator.rules.response_headers_policy import apply_policy
from emulator.rules.server_timing import (
    CacheOutcome,
    Layer,
    TimingMetrics,
    wants_server_timing,
    with_server_timing,
)
from emulator.rules.signed_urls import refusal as signature_refusal
from emulator.rules.signed_urls import refusal_page, without_signing_parameters
from emulator.rules.viewer_request import behavior_refusal
from emulator.rules.viewer_response import EdgeIdentity, for_viewer, generated_at_edge
from emulator.rules.viewer_response_event import runs_viewer_response
from emulator.values.functions import EventType, FunctionKind
from emulator.values.headers import Headers
from emulator.values.messages import Body, Request, Response, close_body
from emulator.values.places import ViewerPlace
from emulator.values.trace import Component, Trace

PLACE_HEADER: Final = "x-localpop-viewer"
TRACE_HEADER: Final = "X-Localpop-Trace"
_TRACES_KEPT: Final = 10_000

_GENERATED: Final = {
    FunctionKind.CLOUDFRONT_FUNCTION: "FunctionGeneratedResponse",
    FunctionKind.LAMBDA_AT_EDGE: "LambdaGeneratedResponse",
}


_TIMING_OUTCOMES: Final = {
    "Hit": CacheOutcome.HIT,
    "RefreshHit": CacheOutcome.REFRESH,
}


class Viewer:
    """Who asks: one connection to the viewers' port.

    Args:
        ip: The peer's address.
        port: The peer's port.
        secure: Whether the connection is HTTPS.
    """

    __slots__ = ("_met", "ip", "place", "port", "secure")

    def __init__(self, ip: str, port: int, *, secure: bool = False) -> None:
        self.ip, self.port, self.secure = ip, port, secure
        self.place: ViewerPlace | None = None
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
        journey: Close it with `finished` when the last byte has left; its `closes` says that the
            connection ends with this answer.
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
        https_port: Where redirects to HTTPS lead; 443 at AWS.
    """

    default_place: ViewerPlace
    trace_header: bool = True
    seed: int = 1
    https_port: int = 443


@dataclass(slots=True)
class Edge:
    """Delivers requests; `site` may be replaced between two of them."""

    world: World
    settings: EdgeSettings
    site: Site = field(default_factory=Site)
    access_log: AccessLog | None = None
    arrivals: Arrivals = field(init=False)
    _objects: Objects = field(default_factory=Objects)
    _journeys: OrderedDict[str, Journey | PackedTrace] = field(default_factory=OrderedDict)
    _chance: random.Random = field(init=False)
    # Ids must differ from one start to the next: logs and traces are told apart by them.
    _ids: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.settings.seed}:edge")
        self.arrivals = Arrivals(PlaceMix.of(self.settings.default_place), self.settings.seed)

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
            request, place = self._place_of(request, viewer)
        except ConfigError as error:
            return self._refuse_place(request, error, arrived_ms)
        plan = self.world.faults
        place = plan.serving(place, arrived_ms)
        legs = self.latency.request(place)
        met = plan.for_request(place, request.uri, legs.number, arrived_ms)
        legs.loss_share = met.loss_share
        server = legs.choose(edge_servers(place.pop.code))
        journey = self._begin(request, place, server, arrived_ms)
        for fault in met.faults:
            journey.takes(f"fault: {fault}", 0.0, Component.FAULT)
        for leg in legs.viewer_setup(is_new=viewer.is_new_at(place)):
            journey.takes(leg.name, leg.ms, Component.CONNECTION)
        journey.takes(f"viewer to {place.pop.code}", legs.viewer_rtt_ms(), Component.VIEWER)

        passage = self._passage(request, server, journey, legs, met)
        if passage is None:
            page = error_page(403, BAD_REQUEST, journey.request_id)
            return await self._leave(self._own(page, "Error", journey), server, journey, None)
        response = await self._serve(request, passage)

        return await self._leave(response, server, journey, passage)

    def _passage(
        self,
        request: Request,
        server: EdgeServer,
        journey: Journey,
        legs: RequestLatency,
        met: ActiveFaults,
    ) -> Passage | None:
        """Which distribution and behavior answer; None for a Host that nobody serves."""
        site, host = self.site, request.headers.get("host")
        distribution = site.distribution_for(host)
        if distribution is None:
            journey.failure = f"no distribution answers to Host {host!r}"
            return None
        behavior = select_behavior(distribution, request.uri)
        return Passage(self.world, site, distribution, behavior, server, journey, legs, met)

    async def _serve(self, request: Request, passage: Passage) -> Response:
        journey = passage.journey
        refused = self._refusal(request, passage)
        if refused is not None:
            x_cache = "Redirect" if refused.status < 400 else "Error"
            return self._with_policy(self._own(refused, x_cache, journey), request, passage)
        try:
            return await self._answer(without_signing_parameters(request), passage)
        except (EdgeFunctionError, OriginError, NotEmulated) as error:
            return self._with_policy(self._failure_page(error, journey), request, passage)

    async def _answer(self, request: Request, passage: Passage) -> Response:
        """The story of one request between its behavior and its answer.

        Raises:
            EdgeFunctionError: A function failed.
            OriginError: The object is in no cache, and no origin answered.
        """
        outcome, passage = await self._viewer_request(request, passage)
        if isinstance(outcome, Response):
            # Its answer is final: no cache, no origin, no viewer-response function.
            kind = _kind_at(passage, EventType.VIEWER_REQUEST)
            own = self._own(outcome, _GENERATED[kind], passage.journey)
            return self._with_policy(own, request, passage)
        answer = await self._object(outcome, passage)
        page = await self._custom_error_page(outcome, answer, passage)
        answer = page or answer
        journey = passage.journey
        response = answer.response
        if answer.origin_status == 0:
            response = generated_at_edge(response, self.clock.epoch_ms())
        response = self._with_policy(response, request, passage)
        if runs_viewer_response(
            answer.origin_status,
            response.status,
            has_error_page=page is not None,
            switches=self.world.switches,
        ):
            response = await self._viewer_response(outcome, response, passage)
        journey.status, journey.x_cache = response.status, answer.result
        journey.layer = answer.layer
        return response

    async def _leave(
        self, response: Response, server: EdgeServer, journey: Journey, passage: Passage | None
    ) -> Delivery:
        """Put CloudFront's own headers on, and wait for the deadline."""
        identity = EdgeIdentity(server.pop, server.via, journey.request_id)
        http3 = passage is not None and passage.distribution.http3
        headers = for_viewer(response, journey.x_cache, identity, http3=http3)
        journey.ready()
        if passage is not None:
            headers = self._with_server_timing(headers, passage)
            self._log_when_finished(journey, passage, headers)
        if self.settings.trace_header:
            headers = headers.with_added(TRACE_HEADER, _summary(journey))
        await self.clock.sleep_until_ms(journey.deadline_ms)
        body = response.body
        if passage is not None:
            body = carried(body, passage.legs.transfer(), journey.deadline_ms, self.clock)
        return Delivery(response.status, response.reason, headers, body, journey)

    def _with_server_timing(self, headers: Headers, passage: Passage) -> Headers:
        """Server-Timing, where the behavior's response headers policy wants it."""
        policy, journey = passage.behavior.response_headers_policy, passage.journey
        if policy is None or policy.server_timing_rate is None:
            return headers
        if not wants_server_timing(policy, journey.request, 100 * self._chance.random()):
            return headers
        metrics = TimingMetrics(
            _TIMING_OUTCOMES.get(journey.x_cache, CacheOutcome.MISS),
            Layer(journey.layer or Layer.EDGE),
            journey.pop,
            journey.request_id,
            downstream_fbl_ms=journey.simulated_ms,
            upstream_connect_ms=journey.connect_ms,
            upstream_fbl_ms=journey.origin_first_byte_ms or 0.0,
        )
        return with_server_timing(headers, metrics)

    def _log_when_finished(self, journey: Journey, passage: Passage, headers: Headers) -> None:
        access_log = self.access_log
        if access_log is None:
            return

        def write() -> None:
            access_log(access_record(journey, passage, headers, journey.head_bytes))

        journey.on_finished = write

    # --- its parts --------------------------------------------------------------------------

    def _refusal(self, request: Request, passage: Passage) -> Response | None:
        """What is answered before anything runs: geography, the behavior's rules, signatures."""
        journey = passage.journey
        country = journey.place.home.country
        blocked = geo_refusal(passage.distribution, country, journey.request_id)
        if blocked is not None:
            return blocked
        refused = behavior_refusal(
            passage.behavior, request, journey.request_id, self.settings.https_port
        )
        if refused is not None:
            return refused
        now_s = self.clock.epoch_ms() / 1_000
        unsigned = signature_refusal(passage.distribution, passage.behavior, request, now_s)
        return None if unsigned is None else refusal_page(unsigned)

    async def _viewer_request(
        self, request: Request, passage: Passage
    ) -> tuple[Request | Response, Passage]:
        """The viewer-request function, and CloudFront's own headers before or after it.

        A CloudFront Function sees the CloudFront-… headers that a policy asks for; a Lambda@Edge
        function sees what the viewer sent, and they are added behind it.
        """
        association = passage.function_at(EventType.VIEWER_REQUEST)
        wanted = wanted_headers(passage.behavior)
        facts = self._facts(request, passage)
        if association is None:
            return with_cloudfront_headers(request, wanted, facts), passage
        visible = visible_at(association.kind, EventType.VIEWER_REQUEST)
        if visible:
            request = with_cloudfront_headers(request, wanted, facts)
        outcome = await passage.run(EventType.VIEWER_REQUEST, request)
        result = outcome.result
        if isinstance(result, Response):
            return result, passage
        if outcome.origin_change is not None:
            passage = replace(passage, origin_change=outcome.origin_change)
        return (result if visible else with_cloudfront_headers(result, wanted, facts)), passage

    def _facts(self, request: Request, passage: Passage) -> ViewerFacts:
        return ViewerFacts(request, viewer_geography(passage.journey.place))

    async def _object(self, request: Request, passage: Passage) -> Answer:
        """The object, or CloudFront's own page in its place when the origin failed."""
        try:
            return await self._objects.get(request, passage)
        except (OriginError, EdgeFunctionError) as error:
            journey = passage.journey
            if not self._may_have_page(error, passage):
                raise
            page = self._failure_page(error, journey)
            # As if the origin had said so: a custom error page may stand in for it.
            return Answer(page, journey.x_cache, page.status)

    def _may_have_page(self, error: LocalpopError, passage: Passage) -> bool:
        if not passage.distribution.custom_errors:
            return False
        if isinstance(error, EdgeFunctionError):
            switches = self.world.switches
            return switches.custom_error_pages and error.kind is not FailureKind.LAMBDA_LIMIT
        return True

    async def _custom_error_page(
        self, request: Request, answer: Answer, passage: Passage
    ) -> Answer | None:
        """The page that the distribution shows in place of an error, if it has one."""
        error = answer.response
        if error.status < 400:
            return None
        instead = error_page_for(passage.distribution, error.status, ErrorSource.ORIGIN)
        if instead is None:
            return None
        await close_body(error.body)
        uri, _, querystring = instead.path.partition("?")
        asked = replace(request, method="GET", uri=uri, querystring=querystring, body=b"")
        behavior = select_behavior(passage.distribution, uri)
        page = await self._objects.get(asked, passage.through(behavior))
        passage.journey.closes = instead.connection == "close"
        return replace(page, response=replaced(page.response, instead), result="Error")

    async def _viewer_response(
        self, request: Request, response: Response, passage: Passage
    ) -> Response:
        """The viewer-response function; a body that it set takes the place of the old one."""
        if passage.function_at(EventType.VIEWER_RESPONSE) is None:
            return response
        try:
            outcome = await passage.run(EventType.VIEWER_RESPONSE, request, response)
        except EdgeFunctionError:
            await close_body(response.body)
            raise
        assert isinstance(outcome.result, Response)
        if outcome.result.body is not response.body:
            await close_body(response.body)
        return outcome.result

    def _with_policy(self, response: Response, request: Request, passage: Passage) -> Response:
        """The response headers policy applies to everything that a behavior answers."""
        policy = passage.behavior.response_headers_policy
        if policy is None:
            return response
        return apply_policy(policy, request, response, self.clock.epoch_ms())

    def _failure_page(self, error: LocalpopError, journey: Journey) -> Response:
        """What the viewer sees of a failure; its cause goes into the Trace."""
        if isinstance(error, EdgeFunctionError):
            journey.failure = error.detail
            page = function_error_page(error, journey.request_id)
            return self._own(page, error.kind, journey)
        journey.failure = str(error)
        if isinstance(error, OriginError):
            return self._own(origin_error_page(error, journey.request_id), "Error", journey)
        # Ours, not CloudFront's: said aloud, in words that CloudFront never uses.
        headers = Headers([("Content-Type", "text/plain; charset=utf-8")])
        said = Response(501, headers=headers, body=f"localpop: {error}\n".encode())
        return self._own(said, "Error", journey)

    def _place_of(self, request: Request, viewer: Viewer) -> tuple[Request, ViewerPlace]:
        """The viewer's place, and the request without the header that told it."""
        named = request.headers.get(PLACE_HEADER)
        if not named:
            if viewer.place is None:
                viewer.place = self.arrivals.next_place()
            return request, viewer.place
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
        journey.on_end = self._pack
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

    # --- its caches -------------------------------------------------------------------------

    def invalidate(self, distribution_id: str, paths: Iterable[str]) -> int:
        """Remove objects of one distribution from every cache; returns how many there were.

        Args:
            distribution_id: Its id; empty for every distribution.
            paths: As `CreateInvalidation` takes them.
        """
        covered = invalidation_paths(paths)
        return sum(
            self._objects.invalidate(covered, distribution.domain_name)
            for distribution in self.site.distributions
            if distribution_id in ("", distribution.id)
        )

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._objects.close()

    # --- what it remembers ------------------------------------------------------------------

    def trace(self, trace_id: str) -> Trace | None:
        """The Trace of one of the latest 10,000 requests."""
        journey = self._journeys.get(trace_id)
        return None if journey is None else _trace(journey)

    def latest_traces(self, count: int) -> list[Trace]:
        """The newest traces, newest first."""
        newest = list(self._journeys.values())[-count:] if count > 0 else []
        return [_trace(journey) for journey in reversed(newest)]

    def _pack(self, journey: Journey) -> None:
        if journey.trace_id in self._journeys:
            self._journeys[journey.trace_id] = journey.pack()


@dataclass(frozen=True, slots=True)
class PlacedEdge:
    """The same edge behind a listener of its own: where its silent viewers are.

    Args:
        edge: The edge.
        arrivals: Where viewers of this listener are.
    """

    edge: Edge
    arrivals: Arrivals

    async def deliver(self, request: Request, viewer: Viewer) -> Delivery:
        """Answer one viewer request."""
        if viewer.place is None:
            viewer.place = self.arrivals.next_place()
        return await self.edge.deliver(request, viewer)


def _kind_at(passage: Passage, event_type: EventType) -> FunctionKind:
    association = passage.function_at(event_type)
    assert association is not None
    return association.kind


def _trace(journey: Journey | PackedTrace) -> Trace:
    return journey.trace() if isinstance(journey, Journey) else unpack(journey)


def _summary(journey: Journey) -> str:
    """The value of X-Localpop-Trace: the trace's id and its figures, ms."""
    parts = ",".join(f"{name}:{ms:.2f}" for name, ms in journey.component_ms.items())
    return (
        f"{journey.trace_id}; place={journey.place}; simulated_ms={journey.simulated_ms:.2f}; "
        f"overhead_ms={journey.overhead_ms:.2f}; late_ms={journey.late_ms:.2f}; parts={parts}"
    )
