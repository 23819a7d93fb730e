"""Edge functions as nouns: events, what a run was told, what a run gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from emulator.values.messages import Request, Response
from emulator.values.origin_changes import OriginChange


class EventType(StrEnum):
    """The four events that can run an edge function, spelled as on the wire."""

    VIEWER_REQUEST = "viewer-request"
    ORIGIN_REQUEST = "origin-request"
    ORIGIN_RESPONSE = "origin-response"
    VIEWER_RESPONSE = "viewer-response"

    @property
    def is_request(self) -> bool:
        """Whether the function sees a request that has no response yet."""
        return self in (EventType.VIEWER_REQUEST, EventType.ORIGIN_REQUEST)

    @property
    def is_viewer(self) -> bool:
        """Whether the event is on the viewers' side of the cache."""
        return self in (EventType.VIEWER_REQUEST, EventType.VIEWER_RESPONSE)


class FunctionKind(StrEnum):
    """The two kinds of edge function, and the one that runs in a Region."""

    CLOUDFRONT_FUNCTION = "CloudFront Function"
    LAMBDA_AT_EDGE = "Lambda@Edge"
    LAMBDA = "Lambda function"


@dataclass(frozen=True, slots=True)
class EdgeLocation:
    """Where CloudFront runs a function: `cf.edgeLocation`, and a Lambda replica's Region.

    Args:
        name: The point of presence's code, such as `NRT`.
        server_ip: The address of the edge server.
        region: The expected regional edge cache's Region.
        server: The number of the edge server within its point of presence.
    """

    name: str
    server_ip: str
    region: str
    server: int = 0


@dataclass(frozen=True, slots=True)
class FunctionEvent:
    """What one run of an edge function is about.

    Args:
        event_type: The event.
        distribution_id: Such as `EDFDVBD6EXAMPLE`.
        distribution_domain_name: Such as `d111111abcdef8.cloudfront.net`.
        request_id: The value of X-Amz-Cf-Id.
        location: Where it runs.
        request: The request as the function sees it.
        response: The response; only in response events.
    """

    event_type: EventType
    distribution_id: str
    distribution_domain_name: str
    request_id: str
    location: EdgeLocation
    request: Request
    response: Response | None = None


@dataclass(frozen=True, slots=True)
class FunctionRun:
    """What one run gave.

    Args:
        result: The request to go on with, or the response to send.
        logs: Lines the function wrote, without the request id.
        duration_ms: Real milliseconds from hand-over to result, by the emulator's clock.
        billed_ms: Real milliseconds the function itself took inside its process.
        compute_utilization: CloudFront Functions: 0 to 100; Lambda@Edge: None.
        cold_start: Lambda@Edge: whether a new execution environment was started.
        store_reads: CloudFront Functions: how many key value store reads it made.
        warnings: What real CloudFront may treat differently (documented switches).
        custom_log_data: CloudFront Functions: what `cf.logCustomData` left, URL-encoded and cut;
            empty when it was not called.
        origin_change: CloudFront Functions: the origin that the function chose, if it did.
    """

    result: Request | Response
    logs: tuple[str, ...] = ()
    duration_ms: float = 0.0
    billed_ms: float = 0.0
    compute_utilization: int | None = None
    cold_start: bool = False
    store_reads: int = 0
    warnings: tuple[str, ...] = field(default=())
    custom_log_data: str = ""
    origin_change: OriginChange | None = None
