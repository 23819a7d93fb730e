"""One request's passage through one cache behavior: where its edge functions run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from emulator.clock import Clock
from emulator.edge.functions import Costs, EdgeFunction, FunctionOutcome, run_function
from emulator.edge.journey import Journey
from emulator.edge.locations import EdgeServer
from emulator.edge.site import Site
from emulator.errors import ConfigError
from emulator.network.faults import NO_FAULTS, ActiveFaults, FaultPlan
from emulator.network.lambda_fleet import LambdaFleet
from emulator.network.latency import LatencyModel, RequestLatency
from emulator.network.origins import OriginClient
from emulator.values.distribution import CacheBehavior, Distribution, FunctionAssociation
from emulator.values.functions import EventType, FunctionEvent
from emulator.values.lambda_edge import LambdaEdgeSwitches, LambdaOrigin
from emulator.values.messages import Request, Response
from emulator.values.origin_changes import OriginChange


@dataclass(frozen=True, slots=True)
class World:
    """What an edge is handed: time, distance, origins, and the open questions' answers."""

    clock: Clock
    latency: LatencyModel
    client: OriginClient
    switches: LambdaEdgeSwitches
    faults: FaultPlan = field(default_factory=FaultPlan)
    fleet: LambdaFleet = field(default_factory=LambdaFleet)


@dataclass(frozen=True, slots=True)
class Passage:
    """Everything that stays the same while one request is answered.

    Args:
        world: The edge's own.
        site: What was deployed when the request arrived; a reload changes nothing for it.
        distribution: The one its Host names.
        behavior: Chosen once, by the viewer's own path.
        server: The edge server.
        journey: Collects what happens.
        legs: How long each leg of it takes on AWS.
        faults: What it meets on purpose.
        origin_change: What the viewer-request function decided about the origin.
    """

    world: World
    site: Site
    distribution: Distribution
    behavior: CacheBehavior
    server: EdgeServer
    journey: Journey
    legs: RequestLatency
    faults: ActiveFaults = NO_FAULTS
    origin_change: OriginChange | None = None

    def function_at(self, event_type: EventType) -> FunctionAssociation | None:
        """The function associated with an event of this behavior."""
        return self.behavior.function_at(event_type)

    async def run(
        self,
        event_type: EventType,
        request: Request,
        response: Response | None = None,
        origin: LambdaOrigin | None = None,
    ) -> FunctionOutcome:
        """Run the behavior's function for an event; without one, everything stays as it is.

        Raises:
            EdgeFunctionError: It failed, or returned what CloudFront refuses.
        """
        association = self.behavior.function_at(event_type)
        if association is None:
            return FunctionOutcome(response or request)
        event = FunctionEvent(
            event_type,
            self.distribution.id,
            self.distribution.domain_name,
            self.journey.request_id,
            self.server.location,
            request,
            response,
        )
        return await run_function(
            self._function(association),
            association,
            event,
            self.journey,
            Costs(self.legs, self.world.fleet, self.faults),
            self.world.clock,
            origin,
        )

    def _function(self, association: FunctionAssociation) -> EdgeFunction:
        function = self.site.functions.get(association.arn)
        if function is None:
            raise ConfigError(f"no function {association.arn}", mend="Deploy it.")
        return function

    def through(self, behavior: CacheBehavior) -> Passage:
        """The same passage through another behavior: a custom error page's own."""
        return replace(self, behavior=behavior)
