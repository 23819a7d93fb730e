"""Which countries are refused."""

from __future__ import annotations

import pytest

from emulator.rules.geo_restriction import COUNTRY_BLOCKED, geo_refusal, is_blocked
from emulator.values.distribution import Distribution, GeoRestriction


@pytest.mark.parametrize(
    ("restriction", "country", "blocked"),
    [
        (GeoRestriction.NONE, "JP", False),
        (GeoRestriction.ALLOW, "JP", False),
        (GeoRestriction.ALLOW, "US", True),
        (GeoRestriction.ALLOW, "", True),
        (GeoRestriction.BLOCK, "JP", True),
        (GeoRestriction.BLOCK, "jp", True),
        (GeoRestriction.BLOCK, "US", False),
        (GeoRestriction.BLOCK, "", False),
    ],
)
def test_allow_lists_and_block_lists(
    restriction: GeoRestriction, country: str, blocked: bool
) -> None:
    """A country on the list, or not on it."""
    site = Distribution(
        "E1", "d", (), {}, geo_restriction=restriction, geo_locations=frozenset({"JP", "DE"})
    )

    assert is_blocked(site, country) is blocked


def test_the_page_says_why() -> None:
    """403 with CloudFront's sentence; 903 bytes and the sentence."""
    site = Distribution(
        "E1", "d", (), {}, geo_restriction=GeoRestriction.BLOCK, geo_locations=frozenset({"JP"})
    )
    page = geo_refusal(site, "JP", "x" * 54 + "==")

    assert geo_refusal(site, "US", "id") is None
    assert page is not None
    assert page.status == 403
    assert isinstance(page.body, bytes)
    assert len(page.body) == 903 + len(COUNTRY_BLOCKED)
