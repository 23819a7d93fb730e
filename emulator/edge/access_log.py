"""What the access logs are told of one finished request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from emulator.edge.journey import Journey
from emulator.edge.passage import Passage
from emulator.rules.websocket import wants_websocket
from emulator.values.access_log import AccessRecord
from emulator.values.headers import Headers
from emulator.values.messages import Request

AccessLog = Callable[[AccessRecord], None]
"""Where records go; it must not block."""

# The log says more than X-Cache does of an answer that origin-request made
# (AWS: "Standard logging reference", x-edge-detailed-result-type, read 2026-11-20).
_DETAILED: Final = {"LambdaGeneratedResponse": "MissGeneratedResponse"}


def access_record(
    journey: Journey, passage: Passage, headers: Headers, head_bytes: int
) -> AccessRecord:
    """The record of a request whose last byte has left.

    Args:
        journey: The request's journey.
        passage: Its passage.
        headers: The headers sent.
        head_bytes: Bytes of status line and headers sent.
    """
    request = journey.request
    distribution = passage.distribution
    result = journey.x_cache
    detailed = result
    if journey.origin_failure:
        detailed = journey.origin_failure
    elif journey.asked_origin_function:
        detailed = _DETAILED.get(result, result)
    body_bytes = len(request.body) if isinstance(request.body, bytes) else 0
    request_head = sum(len(name) + len(value) + 4 for name, value in request.headers)
    return AccessRecord(
        finished_ms=journey.started_ms + journey.total_ms,
        edge_location=journey.pop,
        request_id=journey.request_id,
        method=request.method,
        protocol=_protocol(request),
        http_version=request.http_version,
        uri=request.uri,
        query=request.querystring,
        headers=request.headers,
        client_ip=request.client_ip,
        client_port=request.client_port,
        request_bytes=len(request.method) + len(request.target) + 13 + request_head + body_bytes,
        status=journey.status,
        response_headers=headers,
        response_bytes=head_bytes + journey.body_bytes,
        result_type=result,
        response_result_type=result,
        detailed_result_type=detailed,
        time_taken_ms=journey.total_ms,
        first_byte_ms=journey.simulated_ms,
        distribution_id=distribution.id,
        distribution_domain=distribution.domain_name,
        path_pattern=passage.behavior.path_pattern,
        country=journey.place.pop.country,
        server_ip=passage.server.location.server_ip,
        origin_host=journey.origin_host,
        origin_first_byte_ms=journey.origin_first_byte_ms,
        origin_last_byte_ms=journey.origin_first_byte_ms,
        failover_reason=journey.failover_reason,
        logs_cookies=distribution.logs_cookies,
    )


def _protocol(request: Request) -> str:
    """cs-protocol: http, https, ws or wss."""
    name = "ws" if wants_websocket(request) else "http"
    return f"{name}s" if request.secure else name
