"""Which headers edge functions may see and change.

AWS: "Restrictions on all edge functions",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-function-restrictions-all.html,
read 2026-11-20.
"""

from __future__ import annotations

from typing import Final

from emulator.values.functions import EventType, FunctionKind

DISALLOWED: Final = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "upgrade",
        "x-accel-buffering",
        "x-accel-charset",
        "x-accel-limit-rate",
        "x-accel-redirect",
        "x-amzn-auth",
        "x-amzn-cf-billing",
        "x-amzn-cf-id",
        "x-amzn-cf-xff",
        "x-amzn-errortype",
        "x-amzn-fle-profile",
        "x-amzn-header-count",
        "x-amzn-header-order",
        "x-amzn-lambda-integration-tag",
        "x-amzn-requestid",
        "x-cache",
        "x-forwarded-proto",
        "x-real-ip",
    }
)
"""Never shown to a function; adding one fails validation. Lower case."""

DISALLOWED_PREFIXES: Final = ("x-amz-cf-", "x-edge-")

READ_ONLY: Final[dict[EventType, frozenset[str]]] = {
    EventType.VIEWER_REQUEST: frozenset(
        {"cdn-loop", "content-length", "host", "transfer-encoding", "via"}
    ),
    EventType.ORIGIN_REQUEST: frozenset(
        {
            "accept-encoding",
            "cdn-loop",
            "content-length",
            "if-modified-since",
            "if-none-match",
            "if-range",
            "if-unmodified-since",
            "transfer-encoding",
            "via",
        }
    ),
    EventType.ORIGIN_RESPONSE: frozenset({"transfer-encoding", "via"}),
    EventType.VIEWER_RESPONSE: frozenset({"warning", "via"}),
}
"""Shown, but adding, changing or deleting one fails validation; for both kinds of function."""

READ_ONLY_FOR_LAMBDA: Final[dict[EventType, frozenset[str]]] = {
    **READ_ONLY,
    EventType.VIEWER_RESPONSE: READ_ONLY[EventType.VIEWER_RESPONSE]
    | {"content-length", "content-encoding", "transfer-encoding"},
}
"""A Lambda@Edge viewer-response function has three read-only headers more."""


def is_disallowed(name: str) -> bool:
    """Whether functions neither see nor may add this header; the case does not matter."""
    lowered = name.lower()
    return lowered in DISALLOWED or lowered.startswith(DISALLOWED_PREFIXES)


def read_only_headers(kind: FunctionKind, event: EventType) -> frozenset[str]:
    """The lower-case names that this kind of function may not touch at this event."""
    table = READ_ONLY_FOR_LAMBDA if kind is FunctionKind.LAMBDA_AT_EDGE else READ_ONLY
    return table[event]


def title_case(name: str) -> str:
    """The wire form of a header that a function named: each word with a capital."""
    return "-".join(part[:1].upper() + part[1:] for part in name.lower().split("-"))
