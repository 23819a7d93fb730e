"""Origin groups and retries: what is tried again, and where.

AWS: "Optimize high availability with CloudFront origin failover",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/high_availability_origin_failover.html
and "Origin settings" (connection attempts, response timeout), both read 2026-11-20
(facts/cloudfront.md 12.1 and 12.2).
"""

from __future__ import annotations

from typing import Final

from emulator.errors import OriginFailure
from emulator.values.distribution import (
    READ_METHODS,
    CacheBehavior,
    Origin,
    OriginGroup,
    OriginKind,
)

FAILOVER_STATUSES: Final = frozenset({400, 403, 404, 416, 429, 500, 502, 503, 504})
"""What an origin group may list."""

_FAILURE_STATUS: Final[dict[OriginFailure, int]] = {
    OriginFailure.DNS: 503,
    OriginFailure.CONNECT: 503,
    OriginFailure.TIMEOUT: 504,
    OriginFailure.READ: 502,
    OriginFailure.WRITE: 502,
    OriginFailure.INVALID: 502,
    OriginFailure.HEADER_TOO_BIG: 502,
}
"""Which listed status each failure counts as: not connecting 503, silence 504 (facts section 22,
3); an answer that is none counts as the 502 that viewers would see."""


def may_fail_over(behavior: CacheBehavior, method: str) -> bool:
    """Whether requests with this method ever go to the second origin.

    GET and HEAD do, OPTIONS only when it is in CachedMethods; POST and the others never, nor gRPC.
    """
    if behavior.grpc:
        return False
    return method in READ_METHODS or (method == "OPTIONS" and method in behavior.cached_methods)


def fails_over_on_status(
    group: OriginGroup, behavior: CacheBehavior, method: str, status: int
) -> bool:
    """Whether the primary origin's status sends the request to the secondary."""
    return status in group.status_codes and may_fail_over(behavior, method)


def fails_over_on_failure(
    group: OriginGroup,
    behavior: CacheBehavior,
    method: str,
    failure: OriginFailure,
    *,
    connecting: bool = False,
) -> bool:
    """Whether the primary origin's failure sends the request to the secondary.

    Args:
        group: Lists 503 to fail over when it cannot be connected to, 504 for time-outs.
        behavior: The behavior.
        method: The viewer's method.
        failure: What failed.
        connecting: Whether a time-out was one of connecting: that counts as not connected.
    """
    status = 503 if connecting and failure is OriginFailure.TIMEOUT else _FAILURE_STATUS[failure]
    return fails_over_on_status(group, behavior, method, status)


def response_tries(origin: Origin, method: str) -> int:
    """How often a silent origin is asked in all before the viewer gets 504.

    GET and HEAD as often as the origin's connection attempts say, other methods once. AWS says so
    of custom origins only; a Lambda function URL is one.
    """
    if method not in READ_METHODS or origin.kind is OriginKind.S3:
        return 1
    return origin.connection_attempts


def time_left_s(origin: Origin, elapsed_s: float) -> float | None:
    """What is left of the response completion timeout, retries included; None for no cap."""
    cap_s = origin.response_completion_timeout_s
    return None if cap_s is None else max(0.0, cap_s - elapsed_s)


def failover_reason(status: int) -> str:
    """The real-time log's sr-reason for a failover, such as `Failover:502`."""
    return f"Failover:{status}"
