"""Custom headers that CloudFront refuses to add to origin requests.

AWS: "Add custom headers to origin requests",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/add-origin-custom-headers.html,
read 2026-11-20.
"""

from __future__ import annotations

from typing import Final

REFUSED_CUSTOM_HEADERS: Final = frozenset(
    {
        "cache-control",
        "connection",
        "content-length",
        "cookie",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "request-range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-real-ip",
    }
)
"""Lower case."""

REFUSED_CUSTOM_HEADER_PREFIXES: Final = ("x-amz-", "x-edge-")


def is_refused_custom_header(name: str) -> bool:
    """Whether CloudFront refuses a custom header of this name, in any case."""
    lowered = name.lower()
    return lowered in REFUSED_CUSTOM_HEADERS or lowered.startswith(REFUSED_CUSTOM_HEADER_PREFIXES)
