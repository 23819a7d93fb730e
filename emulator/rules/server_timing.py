"""The Server-Timing header of a response headers policy.

AWS: "Understand response headers policies", Server-Timing header,
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-response-headers-policies.html,
read 2026-11-20 (facts/cloudfront.md 14.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from emulator.values.distribution import ResponseHeadersPolicy
from emulator.values.headers import Headers
from emulator.values.messages import Request


class CacheOutcome(StrEnum):
    """The metric that says what the cache did."""

    HIT = "cdn-cache-hit"
    REFRESH = "cdn-cache-refresh"
    MISS = "cdn-cache-miss"


class Layer(StrEnum):
    """Which part of CloudFront had the object, or asked the origin."""

    EDGE = "EDGE"
    REC = "REC"
    ORIGIN_SHIELD = "Origin Shield"


@dataclass(frozen=True, slots=True)
class TimingMetrics:
    """What Server-Timing tells; milliseconds.

    Args:
        outcome: What the cache did.
        layer: The layer that hit, or that asked the origin.
        pop: X-Amz-Cf-Pop.
        request_id: X-Amz-Cf-Id.
        downstream_fbl_ms: Request received at the edge to first byte sent.
        upstream_dns_ms: Finding the origin's address; 0 for a reused connection.
        upstream_connect_ms: Connecting to the origin; 0 for a reused connection.
        upstream_fbl_ms: Request sent to the origin to its first byte.
    """

    outcome: CacheOutcome
    layer: Layer
    pop: str
    request_id: str
    downstream_fbl_ms: float
    upstream_dns_ms: float = 0.0
    upstream_connect_ms: float = 0.0
    upstream_fbl_ms: float = 0.0


def wants_server_timing(
    policy: ResponseHeadersPolicy | None, request: Request, drawn_percent: float
) -> bool:
    """Whether this response gets the header.

    Args:
        policy: The behavior's policy; it must have the header enabled.
        request: `Pragma: server-timing` forces the header, whatever the rate.
        drawn_percent: A chance from 0 up to, not including, 100.
    """
    if policy is None or policy.server_timing_rate is None:
        return False
    pragma = ",".join(request.headers.get_all("pragma")).lower()
    if "server-timing" in (token.strip() for token in pragma.split(",")):
        return True
    return drawn_percent < policy.server_timing_rate


def server_timing(metrics: TimingMetrics, origin_value: str = "") -> str:
    """The header's value, metrics in the order of AWS's examples.

    Args:
        metrics: What CloudFront measured.
        origin_value: The origin's own header: it goes along on a miss (at the end, one of the two
            places that AWS names), and is dropped on a hit.
    """
    named = [f'cdn-pop;desc="{metrics.pop}"', f'cdn-rid;desc="{metrics.request_id}"']
    last = f"cdn-downstream-fbl;dur={round(metrics.downstream_fbl_ms)}"
    if metrics.outcome is CacheOutcome.HIT:
        layer = f'cdn-hit-layer;desc="{metrics.layer}"'
        return ",".join([metrics.outcome, *named, layer, last])
    upstream = [
        f"cdn-upstream-dns;dur={round(metrics.upstream_dns_ms)}",
        f"cdn-upstream-connect;dur={round(metrics.upstream_connect_ms)}",
        f"cdn-upstream-fbl;dur={round(metrics.upstream_fbl_ms)}",
    ]
    if metrics.outcome is CacheOutcome.MISS:
        # "When CloudFront requests the full object": so not for a refresh.
        upstream.insert(0, f'cdn-upstream-layer;desc="{metrics.layer}"')
    own = [*upstream, metrics.outcome, *named, last]
    if origin_value and metrics.outcome is CacheOutcome.MISS:
        own.append(origin_value)
    return ",".join(own)


def with_server_timing(headers: Headers, metrics: TimingMetrics) -> Headers:
    """The response's headers with the one Server-Timing header that viewers see."""
    value = server_timing(metrics, ",".join(headers.get_all("server-timing")))
    return headers.with_set("Server-Timing", value)
