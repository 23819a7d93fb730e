"""Edge functions as the edge runs them: one face for both kinds, and what a run costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from emulator.clock import Clock
from emulator.edge.journey import Journey
from emulator.errors import EdgeFunctionError, FailureKind
from emulator.network.faults import NO_FAULTS, ActiveFaults
from emulator.network.lambda_fleet import Invocation, LambdaFleet
from emulator.network.latency import RequestLatency
from emulator.runtimes.lambda_edge import LambdaFunctionError
from emulator.runtimes.lambda_edge.functions import THROTTLED
from emulator.values.distribution import FunctionAssociation
from emulator.values.functions import EdgeLocation, FunctionEvent, FunctionKind, FunctionRun
from emulator.values.key_values import StoreSnapshot
from emulator.values.lambda_edge import LambdaOrigin, LambdaRun
from emulator.values.messages import Request, Response
from emulator.values.origin_changes import OriginChange
from emulator.values.trace import Component

StoreCopies = Callable[[str, EdgeLocation], StoreSnapshot]
"""The version of a key value store (by ARN) that one edge server holds now."""


class _LoadedFunction(Protocol):
    async def run(self, event: FunctionEvent, snapshot: StoreSnapshot | None) -> FunctionRun: ...


class _LoadedLambda(Protocol):
    async def run(
        self,
        event: FunctionEvent,
        *,
        include_body: bool = False,
        origin: LambdaOrigin | None = None,
    ) -> FunctionRun: ...


class EdgeFunction(Protocol):
    """Anything that can be associated with an event of a cache behavior."""

    @property
    def name(self) -> str:
        """The function's name, for the Trace."""
        ...

    async def run(
        self, event: FunctionEvent, *, include_body: bool, origin: LambdaOrigin | None = None
    ) -> FunctionRun:
        """Run once.

        Args:
            event: What it is about.
            include_body: Whether the function sees the request's body.
            origin: Origin events: the origin that is about to be asked.

        Raises:
            EdgeFunctionError: It failed, or returned what CloudFront refuses.
        """
        ...


@dataclass(frozen=True, slots=True)
class CloudFrontFunction:
    """A CloudFront Function with the one store it may read.

    Args:
        name: Its name.
        loaded: The runtime's handle.
        store_arn: The associated key value store; empty when there is none.
        copies: Where the edge's versions of stores are.
    """

    name: str
    loaded: _LoadedFunction
    store_arn: str
    copies: StoreCopies

    async def run(
        self, event: FunctionEvent, *, include_body: bool, origin: LambdaOrigin | None = None
    ) -> FunctionRun:
        """Run with the version of the store that this edge server holds; it never sees a body."""
        snapshot = self.copies(self.store_arn, event.location) if self.store_arn else None
        return await self.loaded.run(event, snapshot)


@dataclass(frozen=True, slots=True)
class LambdaFunction:
    """A Lambda@Edge function's numbered version.

    Args:
        name: Its name.
        loaded: The runtime's handle.
    """

    name: str
    loaded: _LoadedLambda

    async def run(
        self, event: FunctionEvent, *, include_body: bool, origin: LambdaOrigin | None = None
    ) -> FunctionRun:
        """Run in an execution environment of its own."""
        return await self.loaded.run(event, include_body=include_body, origin=origin)


@dataclass(frozen=True, slots=True)
class FunctionOutcome:
    """What a function made of an event.

    Args:
        result: The request to go on with, or the response to send or to go on with.
        origin: The origin that an origin-request function chose; None when it kept the old one.
        origin_change: What a CloudFront Function decided about the origin.
    """

    result: Request | Response
    origin: LambdaOrigin | None = None
    origin_change: OriginChange | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """What a function's run takes at AWS.

    Args:
        legs: The request's draws.
        fleet: Lambda@Edge's execution environments: who starts cold.
        faults: What the request meets on purpose.
    """

    legs: RequestLatency
    fleet: LambdaFleet
    faults: ActiveFaults = NO_FAULTS


async def run_function(
    function: EdgeFunction,
    association: FunctionAssociation,
    event: FunctionEvent,
    journey: Journey,
    costs: Costs,
    clock: Clock,
    origin: LambdaOrigin | None = None,
) -> FunctionOutcome:
    """Run a function and note what it cost.

    A CloudFront Function's cost is simulated. A Lambda@Edge handler's own time is real (it may call
    services), and what it takes to reach and start it is simulated.

    Raises:
        EdgeFunctionError: It failed; the time it took is noted all the same.
    """
    started_ms = clock.now_ms()
    label = f"{association.kind} {function.name} ({event.event_type})"
    invocation = None
    if association.kind is FunctionKind.LAMBDA_AT_EDGE:
        invocation = _reach_lambda(association, event, journey, costs)
    try:
        run = await function.run(event, include_body=association.include_body, origin=origin)
    except EdgeFunctionError as error:
        journey.logs += error.logs
        if isinstance(error, LambdaFunctionError):
            journey.waited(label, error.billed_ms, Component.FUNCTION, detail=error.kind)
        else:
            cost_ms = costs.legs.cloudfront_function_ms(0)
            took_ms = clock.now_ms() - started_ms
            journey.takes(label, cost_ms, Component.FUNCTION, real_ms=took_ms, detail=error.kind)
        if invocation is not None:
            costs.fleet.end(invocation, journey.deadline_ms)
        raise
    journey.logs += run.logs
    answered = event.event_type.is_request and isinstance(run.result, Response)
    detail = "answered" if answered else "passed on"
    if association.kind is FunctionKind.CLOUDFRONT_FUNCTION:
        cost_ms = costs.legs.cloudfront_function_ms(run.store_reads)
        journey.takes(label, cost_ms, Component.FUNCTION, real_ms=run.duration_ms, detail=detail)
        if run.store_reads:
            store_ms = costs.legs.store_reads_ms(run.store_reads)
            journey.spent(store_ms, Component.STORE, within=Component.FUNCTION)
        return FunctionOutcome(run.result, origin_change=run.origin_change)
    assert invocation is not None
    start = "cold start" if invocation.cold_start else "warm"
    overhead_ms = costs.legs.lambda_overhead_ms(cold_start=invocation.cold_start)
    reaching_ms = max(0.0, run.duration_ms - run.billed_ms)
    journey.takes(
        f"Lambda@Edge invocation ({start})", overhead_ms, Component.FUNCTION, real_ms=reaching_ms
    )
    journey.waited(label, run.billed_ms, Component.FUNCTION, detail=detail)
    costs.fleet.end(invocation, journey.deadline_ms)
    return FunctionOutcome(run.result, run.origin if isinstance(run, LambdaRun) else None)


def _reach_lambda(
    association: FunctionAssociation, event: FunctionEvent, journey: Journey, costs: Costs
) -> Invocation:
    """The way to the function's Region, and an execution environment there.

    Raises:
        EdgeFunctionError: The Region has no concurrency left.
    """
    region = event.location.region
    journey.takes(
        f"{event.location.name} to Lambda in {region}",
        costs.legs.pop_to_region_ms(region),
        Component.NETWORK,
    )
    if costs.faults.lambda_exhausted(region):
        raise EdgeFunctionError(
            FailureKind.LAMBDA_LIMIT, THROTTLED, f"fault: no concurrency left in {region}."
        )
    invocation = costs.fleet.begin(association.arn, region, journey.deadline_ms)
    if invocation.throttled:
        raise EdgeFunctionError(
            FailureKind.LAMBDA_LIMIT,
            THROTTLED,
            f"{costs.fleet.settings.lambda_concurrency} concurrent executions in {region}.",
        )
    return invocation
