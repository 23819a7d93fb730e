"""Which origin is asked, after what a CloudFront Function decided about it.

AWS: "Helper methods for origin modification",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/helper-functions-origin-modification.html,
read 2026-11-20 (facts/cloudfront-functions.md 6.2 to 6.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

from emulator.errors import EdgeFunctionError, FailureKind
from emulator.values.distribution import CacheBehavior, Distribution, Origin, OriginGroup
from emulator.values.origin_changes import (
    CreatedOriginGroup,
    OriginChange,
    OriginProperties,
    SelectedOrigin,
)

INVALID_REWRITE = "The CloudFront function returned an invalid value for origin rewrite."


@dataclass(frozen=True, slots=True)
class Route:
    """The origins of one request, in the order they are asked.

    Args:
        primary: The first one.
        secondary: Asked when the first one fails; None outside an origin group.
        group: Says what counts as failing.
    """

    primary: Origin
    secondary: Origin | None = None
    group: OriginGroup | None = None


def route(
    distribution: Distribution, behavior: CacheBehavior, change: OriginChange | None
) -> Route:
    """The origins that a request goes to.

    `updateRequestOrigin` changes only the primary of an origin group, and failover still applies.

    Raises:
        EdgeFunctionError: 502: the function named an origin that the distribution does not have.
    """
    match change:
        case None:
            return _configured(distribution, behavior)
        case OriginProperties():
            usual = _configured(distribution, behavior)
            return replace(usual, primary=changed_origin(usual.primary, change))
        case SelectedOrigin():
            return Route(_selected(distribution, change))
        case CreatedOriginGroup():
            group = OriginGroup(
                "created by the function",
                change.primary.origin_id,
                change.secondary.origin_id,
                frozenset(change.status_codes),
            )
            primary = _selected(distribution, change.primary)
            return Route(primary, _selected(distribution, change.secondary), group)


def _configured(distribution: Distribution, behavior: CacheBehavior) -> Route:
    group = distribution.origin_groups.get(behavior.target_origin_id)
    if group is None:
        return Route(distribution.origins[behavior.target_origin_id])
    origins = distribution.origins
    return Route(origins[group.primary], origins[group.secondary], group)


def _selected(distribution: Distribution, selected: SelectedOrigin) -> Origin:
    origin = distribution.origins.get(selected.origin_id)
    if origin is None:
        _refuse(f"the distribution has no origin {selected.origin_id!r}")
    return changed_origin(origin, selected.overrides)


def changed_origin(origin: Origin, change: OriginProperties) -> Origin:
    """The origin with what the function set; everything else is taken over from it.

    Custom headers and access control are taken over too, unless set.
    """
    values: dict[str, object] = {
        "domain_name": change.domain_name,
        "host_header": change.host_header,
        "path": change.path,
        "custom_headers": change.custom_headers,
        "connection_attempts": change.connection_attempts,
        "shield_region": change.shield_region,
        "read_timeout_s": change.read_timeout_s,
        "response_completion_timeout_s": change.response_completion_timeout_s,
        "keepalive_timeout_s": change.keepalive_timeout_s,
        "connection_timeout_s": change.connection_timeout_s,
        "port": change.port,
        "https": change.https,
    }
    named = {name: value for name, value in values.items() if value is not None}
    if dict(change.access_control or ()).get("enabled") == "false":
        named["access_control"] = None
    return replace(origin, **named)  # type: ignore[arg-type]


def _refuse(detail: str) -> NoReturn:
    raise EdgeFunctionError(FailureKind.FUNCTION_VALIDATION, INVALID_REWRITE, detail)
