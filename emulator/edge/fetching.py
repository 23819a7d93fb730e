"""From the caches to an origin and back: distance, origin functions, failover.

AWS: "Optimize high availability with CloudFront origin failover",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/high_availability_origin_failover.html,
and "CloudFront events that can trigger a Lambda@Edge function", both read 2026-11-20.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from emulator.clock import Clock
from emulator.edge.journey import Journey
from emulator.edge.passage import Passage
from emulator.edge.site import OriginTarget
from emulator.errors import OriginError, OriginFailure
from emulator.network.connections import KeptConnections
from emulator.network.origins import OriginBody, OriginResponse, OriginTimeouts
from emulator.rules.failover import (
    failover_reason,
    fails_over_on_failure,
    fails_over_on_status,
    response_tries,
)
from emulator.rules.origin_change import route
from emulator.rules.origin_request import origin_request
from emulator.rules.s3_origin import access_denied
from emulator.rules.viewer_response import from_origin
from emulator.rules.websocket import wants_websocket, with_handshake
from emulator.values.distribution import Origin
from emulator.values.functions import EventType
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaCustomOrigin, LambdaOrigin
from emulator.values.messages import Request, Response, close_body
from emulator.values.trace import Component


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back from beyond the caches.

    Args:
        response: After origin-response; its body is streamed, or whole when a function made it.
        origin_status: The status that the origin itself sent; 0 when origin-request answered.
        generated: Whether an origin-request function answered.
    """

    response: Response
    origin_status: int
    generated: bool = False


@dataclass(slots=True)
class Fetcher:
    """Fetches from origins."""

    connections: KeptConnections = field(default_factory=KeptConnections)

    async def fetch(
        self, request: Request, passage: Passage, source: str, conditions: Headers | None = None
    ) -> Fetched:
        """Ask the behavior's origin, and its group's second one when the first fails.

        Args:
            request: The viewer's request after the viewer-request function.
            passage: Its passage.
            source: Where the asking cache is: a point of presence's code, or a Region.
            conditions: If-None-Match and If-Modified-Since, to revalidate a stored object.

        Raises:
            OriginError: No origin answered.
            EdgeFunctionError: An origin function failed.
        """
        behavior = passage.behavior
        chosen = route(passage.distribution, behavior, passage.origin_change)
        if chosen.secondary is None or chosen.group is None:
            return await self._ask(request, passage, chosen.primary, source, conditions)
        method = request.method
        try:
            fetched = await self._ask(request, passage, chosen.primary, source, conditions)
            status = fetched.origin_status
            if not fails_over_on_status(chosen.group, behavior, method, status):
                return fetched
            await close_body(fetched.response.body)
            passage.journey.failover_reason = failover_reason(status)
        except OriginError as error:
            if not fails_over_on_failure(
                chosen.group, behavior, method, error.failure, connecting=error.connecting
            ):
                raise
            # The log has no status for an origin that sent none; its failure stands for it.
            passage.journey.failover_reason = f"Failover:{error.failure}"
        # The secondary gets the same request, and origin-request runs for it once more.
        return await self._ask(request, passage, chosen.secondary, source, conditions)

    async def _ask(
        self,
        request: Request,
        passage: Passage,
        origin: Origin,
        source: str,
        conditions: Headers | None,
    ) -> Fetched:
        """One origin: origin-request, the origin itself, origin-response."""
        journey = passage.journey
        asked = origin_request(
            request, passage.behavior, origin, journey.request_id, passage.server.via
        )
        if conditions is not None:
            asked = replace(asked, headers=Headers((*asked.headers, *conditions)))
        shown = LambdaCustomOrigin.of(origin)
        if passage.function_at(EventType.ORIGIN_REQUEST) is not None:
            # The name is looked up first: when that fails, the function is not run
            # (AWS: "Restrictions on Lambda@Edge", read 2026-11-20).
            target, _ = self._target(passage, origin, None)
            await passage.world.client.resolve(target.address)
        # The function sees the viewer's path; the origin's own path is put before it afterwards.
        event_request = replace(asked, uri=request.uri)
        outcome = await passage.run(EventType.ORIGIN_REQUEST, event_request, origin=shown)
        if isinstance(outcome.result, Response):
            journey.asked_origin_function = True
            return Fetched(_measured(outcome.result), 0, generated=True)
        target, path = self._target(passage, origin, outcome.origin)
        sent = replace(outcome.result, uri=path + outcome.result.uri)
        if wants_websocket(request):
            sent = replace(sent, headers=with_handshake(sent.headers))
        answered = await self._exchange(sent, target, origin, passage, source)
        response = from_origin(answered.response, passage.behavior, passage.world.clock.epoch_ms())
        if isinstance(response.body, OriginBody):
            shift_ms = max(0.0, journey.deadline_ms - answered.first_byte_ms)
            cap_s = origin.response_completion_timeout_s
            ends_ms = None if cap_s is None else answered.sent_ms + cap_s * 1_000
            body = PacedBody(response.body, shift_ms, journey, passage.world.clock, ends_ms)
            response = replace(response, body=body)
        status = response.status
        if passage.function_at(EventType.ORIGIN_RESPONSE) is not None:
            response = await self._origin_response(event_request, response, shown, passage)
        return Fetched(response, status)

    async def _origin_response(
        self, request: Request, response: Response, origin: LambdaOrigin, passage: Passage
    ) -> Response:
        """Run origin-response; a body that the function set takes the origin's place."""
        outcome = await passage.run(EventType.ORIGIN_RESPONSE, request, response, origin)
        assert isinstance(outcome.result, Response)
        if outcome.result.body is not response.body:
            await close_body(response.body)
        return outcome.result

    def _target(
        self, passage: Passage, origin: Origin, chosen: LambdaOrigin | None
    ) -> tuple[OriginTarget, str]:
        """Where the request goes, and the origin's own path."""
        configured = passage.distribution.origins.get(origin.id)
        if chosen is None and configured and configured.domain_name == origin.domain_name:
            target = passage.site.origins[passage.distribution.id, origin.id]
            return _with_changed_timeouts(target, origin, passage), origin.path
        elsewhere = chosen or LambdaCustomOrigin.of(origin)
        found = passage.site.target_of(elsewhere)
        if found is None:
            raise OriginError(
                OriginFailure.DNS,
                f"the function chose {elsewhere.domain_name}, and where that is on this machine "
                f'is not said; add to localpop.toml: [origins."{elsewhere.domain_name}"] '
                'url = "http://127.0.0.1:8081"',
            )
        if chosen is None:
            # A CloudFront Function took over the origin's time-outs, or set its own.
            found = _with_changed_timeouts(found, origin, passage)
        return found, elsewhere.path

    async def _exchange(
        self,
        request: Request,
        target: OriginTarget,
        origin: Origin,
        passage: Passage,
        source: str,
    ) -> OriginResponse:
        """Send a request over the simulated distance to the real origin."""
        self._charge_way(target, passage, source)
        journey = passage.journey
        journey.origin_host = request.headers.get("host")
        self._meet_faults(origin, target, passage)
        front_ms = passage.legs.api_front_ms(target.front)
        if front_ms:
            journey.takes(f"API Gateway ({target.front})", front_ms, Component.GATEWAY)
        answered = await self._try(request, target, origin, passage)
        waited_ms = answered.first_byte_ms - answered.sent_ms
        journey.origin_first_byte_ms = waited_ms
        if target.hides_missing and answered.response.status == 404:
            await close_body(answered.response.body)
            denied = access_denied(journey.request_id)
            answered = replace(answered, response=denied)
        detail = f"origin {answered.response.status}"
        journey.waited(f"origin {origin.id}", waited_ms, Component.ORIGIN, detail=detail)
        # A streamed body holds its connection longer; that is not simulated.
        self.connections.give_back(_way(source, target), journey.deadline_ms)
        return answered

    def _meet_faults(self, origin: Origin, target: OriginTarget, passage: Passage) -> None:
        """An origin that is down or slow on purpose."""
        down = passage.faults.origin_down(origin.id, target.region)
        if down is not None:
            passage.journey.origin_failure = OriginFailure.CONNECT
            raise OriginError(OriginFailure.CONNECT, f"fault: {down}", connecting=True)
        slow_ms = passage.faults.origin_slow_ms(origin.id, target.region)
        if slow_ms:
            passage.journey.takes("fault: origin-slow", slow_ms, Component.FAULT)

    async def _try(
        self, request: Request, target: OriginTarget, origin: Origin, passage: Passage
    ) -> OriginResponse:
        """Ask as often as CloudFront asks a silent origin; only GET and HEAD are asked again."""
        world = passage.world
        tries = response_tries(origin, request.method)
        for attempt in range(1, tries + 1):
            started_ms = world.clock.now_ms()
            try:
                async with _within(origin.response_completion_timeout_s):
                    return await world.client.fetch(target.address, request, target.timeouts)
            except OriginError as error:
                took_ms = world.clock.now_ms() - started_ms
                name = f"origin {origin.id}"
                passage.journey.waited(name, took_ms, Component.ORIGIN, detail=str(error.failure))
                passage.journey.origin_failure = error.failure
                silent = error.failure is OriginFailure.TIMEOUT and not error.connecting
                if not silent or attempt == tries:
                    raise
        raise AssertionError("an origin is tried at least once")

    def _charge_way(self, target: OriginTarget, passage: Passage, source: str) -> None:
        """The distance to the origin, and what it takes to have a connection there."""
        journey, legs = passage.journey, passage.legs
        if source == journey.place.pop.code:
            rtt_ms = legs.pop_to_region_ms(target.region)
        else:
            rtt_ms = legs.region_to_region_ms(source, target.region)
        keepalive_s = target.timeouts.keepalive_timeout_s
        if not self.connections.take(_way(source, target), keepalive_s, journey.deadline_ms):
            for leg in legs.origin_setup(rtt_ms):
                journey.takes(leg.name, leg.ms, Component.CONNECTION)
                journey.connect_ms += leg.ms
        journey.takes(f"{source} to {target.region}", rtt_ms, Component.NETWORK)


def _way(source: str, target: OriginTarget) -> tuple[str, str, str]:
    return source, str(target.address), target.region


def _measured(response: Response) -> Response:
    """A function's answer with the length of its body, which CloudFront computes."""
    body = response.body
    if not isinstance(body, bytes) or "content-length" in response.headers:
        return response
    return replace(response, headers=response.headers.with_added("Content-Length", str(len(body))))


def _with_changed_timeouts(target: OriginTarget, origin: Origin, passage: Passage) -> OriginTarget:
    """The target with the origin's own time-outs, where a function decided about the origin."""
    if passage.origin_change is None:
        return target
    timeouts = OriginTimeouts(
        origin.connection_attempts,
        origin.connection_timeout_s,
        origin.read_timeout_s,
        origin.keepalive_timeout_s,
    )
    return replace(target, timeouts=timeouts)


@contextlib.asynccontextmanager
async def _within(cap_s: float | None) -> AsyncIterator[None]:
    """The response completion timeout, if the origin has one (facts/cloudfront.md section 2)."""
    try:
        async with asyncio.timeout(cap_s):
            yield
    except TimeoutError:
        detail = f"not complete within {cap_s:g} s (response completion timeout)"
        raise OriginError(OriginFailure.TIMEOUT, detail, connecting=True) from None


class PacedBody:
    """A body's pieces as the viewer gets them: each as much later as the first one is.

    So a stream keeps its token spacing, whatever the distance. Iterate once; close it in any case,
    read to its end or not.

    Args:
        body: The origin's.
        shift_ms: How much later than its arrival each piece is due.
        journey: Learns why a body broke off.
        clock: Where the waiting is done.
        ends_ms: When the response completion timeout cuts it, by the clock; None for never.
    """

    __slots__ = ("_body", "_clock", "_ends_ms", "_journey", "_shift_ms")

    def __init__(
        self,
        body: OriginBody,
        shift_ms: float,
        journey: Journey,
        clock: Clock,
        ends_ms: float | None = None,
    ) -> None:
        self._body, self._shift_ms, self._journey, self._clock = body, shift_ms, journey, clock
        self._ends_ms = ends_ms

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next piece, when it is due.

        Raises:
            OriginError: The body broke off; status and headers have left, so the connection is cut
                (facts/cloudfront.md 10.5).
        """
        try:
            async with _within(self._left_s()):
                piece = await anext(self._body)
        except OriginError as error:
            self._journey.failure = str(error)
            raise
        await self._clock.sleep_until_ms(self._body.received_ms + self._shift_ms)
        return piece

    def _left_s(self) -> float | None:
        if self._ends_ms is None:
            return None
        return max(0.0, (self._ends_ms - self._clock.now_ms()) / 1_000)

    async def aclose(self) -> None:
        """Give the origin's connection back, or cut it when there was more to read."""
        await self._body.aclose()
