"""Custom error responses: which errors get another page, and how.

AWS: "Generate custom error responses",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/GeneratingCustomErrorResponses.html
and "How CloudFront processes HTTP 4xx and 5xx status codes", both read 2026-11-20
(facts/cloudfront.md 9.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from emulator.quotas import ERROR_CACHING_MIN_TTL_S
from emulator.rules.freshness import parse_cache_control
from emulator.values.distribution import Distribution
from emulator.values.messages import Response

MATCHABLE_STATUSES: Final = frozenset({400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504})
"""412, 415 and all others cannot have a page."""

CLOSES_CONNECTION: Final = frozenset({400, 405, 414, 416, 500, 501})
"""With a custom page, `Connection: close`; on the other ones `keep-alive`."""


class ErrorSource(StrEnum):
    """Who made an error."""

    ORIGIN = "the origin"
    CLOUDFRONT = "CloudFront"
    FUNCTION = "an edge function that answered a viewer request"
    CAPACITY = "CloudFront, out of capacity or over a limit"
    UNSAFE_REQUEST = "CloudFront, about a request that is unsafe to process"


_NO_PAGE_FROM: Final = frozenset(
    {ErrorSource.FUNCTION, ErrorSource.CAPACITY, ErrorSource.UNSAFE_REQUEST}
)


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What stands in for an error.

    Args:
        path: Where the page is: fetched through the first behavior whose pattern matches, without
            any viewer function.
        status: What viewers see instead; the error's own status when the setting names none.
        connection: The Connection header.
    """

    path: str
    status: int
    connection: str


def error_page_for(
    distribution: Distribution, status: int, source: ErrorSource
) -> ErrorPage | None:
    """The page that replaces an error; None to send the error as it is."""
    if status not in MATCHABLE_STATUSES or source in _NO_PAGE_FROM:
        return None
    setting = distribution.custom_errors.get(status)
    if setting is None or not setting.response_page_path:
        return None
    return ErrorPage(
        setting.response_page_path,
        setting.response_code or status,
        "close" if status in CLOSES_CONNECTION else "keep-alive",
    )


def replaced(page: Response, instead: ErrorPage) -> Response:
    """The page with the status that viewers see; a page that failed keeps its own."""
    return page if page.status >= 400 else replace(page, status=instead.status, reason="")


def error_caching_min_ttl_s(distribution: Distribution, status: int) -> int:
    """The error caching minimum TTL for a status: 10 s unless the distribution says otherwise.

    The CloudFormation schema's text says 300; the guide wins (facts section 22, 8).
    """
    setting = distribution.custom_errors.get(status)
    return ERROR_CACHING_MIN_TTL_S if setting is None else setting.error_caching_min_ttl_s


def error_page_ttl_s(distribution: Distribution, error: Response) -> int:
    """How long the page stands in for the error, when no behavior matches the page's path.

    The greater of the error caching minimum TTL and the error's own max-age or s-maxage.
    """
    told_s = parse_cache_control(error.headers.get_all("cache-control")).shared_age_s
    return max(error_caching_min_ttl_s(distribution, error.status), told_s or 0)
