"""Which targets of rules and schedules localpop can call. Pure."""

from __future__ import annotations

from typing import Final

_SERVICES: Final = frozenset({"lambda", "states", "sqs"})


def target_kind(arn: str) -> str:
    """What an ARN names, such as `sqs` or `events:event-bus`; empty when it is no ARN."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return ""
    service, resource = parts[2], parts[5]
    if service in _SERVICES:
        return service
    return f"{service}:{resource.partition('/')[0].partition(':')[0]}"


def is_callable(kind: str) -> bool:
    """Whether localpop can bring an event to a target of this kind."""
    return kind in _SERVICES or kind in (
        "events:event-bus",
        "events:api-destination",
        "logs:log-group",
    )
