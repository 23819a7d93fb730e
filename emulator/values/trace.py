"""The Trace: the one record of what happened to one request.

Every stage carries two times. **Simulated** is what the latency model says the stage takes on AWS.
**Real** is what passed on this machine. Time that someone else took (the origin, the function's own
code) is waited for in earnest and counts on both sides; what is left of the real time is the
emulator's own work, its **overhead**. The response leaves at `arrival + simulated`; when the
emulator's own work did not fit, the difference is **late**, never hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Component(StrEnum):
    """What a stage's simulated milliseconds were spent on; `X-Localpop-Trace` adds them up."""

    CONNECTION = "connection"
    """Setting up connections: the viewer's and the origin's."""
    VIEWER = "viewer"
    """The round trip between the viewer and its point of presence."""
    NETWORK = "network"
    """AWS's own network: to a Region, to a regional edge cache, to the origin."""
    FUNCTION = "function"
    """Edge functions: reaching, starting and running them; a Lambda's own API calls too."""
    STORE = "store"
    """A CloudFront Function's key value store reads."""
    CACHE = "cache"
    """Cache look-ups, and waiting for another request's answer."""
    GATEWAY = "gateway"
    """API Gateway before the origin."""
    ORIGIN = "origin"
    """Waiting for the origin, which is real."""
    FAULT = "fault"
    """Faults made on purpose."""
    OTHER = "other"
    """Everything else."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a request.

    Args:
        name: What happened, such as `viewer to NRT`.
        simulated_ms: Its simulated time.
        real_ms: What passed on this machine; 0 for a stage that is pure distance.
        detail: What came of it, in a few words.
        component: What the time was spent on.
    """

    name: str
    simulated_ms: float
    real_ms: float = 0.0
    detail: str = ""
    component: str = Component.OTHER


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened to one request.

    Args:
        id: 16 hexadecimal digits; the value of X-Localpop-Trace begins with it.
        request_id: The value of X-Amz-Cf-Id.
        started_ms: Arrival, epoch ms.
        place: The viewer's place, such as `NRT/fibre`.
        pop: The edge server, such as `NRT57-P1`.
        method: The viewer's method.
        target: The viewer's path and query.
        status: The status sent.
        x_cache: The X-Cache value, without ` from cloudfront`.
        stages: In the order they happened.
        simulated_ms: Arrival to first byte, as simulated.
        overhead_ms: The emulator's own work until the first byte.
        late_ms: By how much the first byte missed its deadline.
        total_ms: Arrival to last byte, real; 0 while the body is under way.
        body_bytes: Bytes of body sent.
        failure: Why it failed, for the developer; empty when it did not.
        logs: What edge functions wrote.
    """

    id: str
    request_id: str
    started_ms: float
    place: str
    pop: str
    method: str
    target: str
    status: int
    x_cache: str
    stages: tuple[Stage, ...]
    simulated_ms: float
    overhead_ms: float
    late_ms: float
    total_ms: float = 0.0
    body_bytes: int = 0
    failure: str = ""
    logs: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One readable line, such as `NRT57-P1 Miss > origin 200 (812 ms)`."""
        way = " > ".join(stage.detail for stage in self.stages if stage.detail)
        return (
            f"{self.pop} {self.x_cache} {self.status}: {way} ({self.simulated_ms:.0f} ms simulated)"
        )
