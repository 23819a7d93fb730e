"""Geographic restriction: which countries a distribution refuses.

AWS: "Restrict the geographic distribution of your content",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/georestrictions.html; the page is
a real capture (facts/cloudfront.md 13.2).
"""

from __future__ import annotations

from typing import Final

from emulator.rules.error_pages import error_page
from emulator.values.distribution import Distribution, GeoRestriction
from emulator.values.messages import Response

COUNTRY_BLOCKED: Final = (
    "The Amazon CloudFront distribution is configured to block access from your country."
)


def is_blocked(distribution: Distribution, country: str) -> bool:
    """Whether viewers from a country get 403.

    A country that is not known is not on the list, whichever list it is.
    """
    listed = country.upper() in distribution.geo_locations
    match distribution.geo_restriction:
        case GeoRestriction.NONE:
            return False
        case GeoRestriction.ALLOW:
            return not listed
        case GeoRestriction.BLOCK:
            return listed


def geo_refusal(distribution: Distribution, country: str, request_id: str) -> Response | None:
    """The 403 page for a viewer from a country, or None to go on."""
    if not is_blocked(distribution, country):
        return None
    return error_page(403, COUNTRY_BLOCKED, request_id)
