"""What the CloudFront-Viewer-… headers say of a place."""

from __future__ import annotations

import unicodedata
import zoneinfo

import pytest

from emulator.network.distance import great_circle_km, serving_place
from emulator.network.geography import viewer_geography
from emulator.network.places import parse_place, points_of_presence
from emulator.rules.cloudfront_headers import ViewerFacts, cloudfront_headers
from emulator.values.headers import Headers
from emulator.values.messages import Request
from emulator.values.places import PointOfPresence


@pytest.mark.parametrize("code", list(points_of_presence()))
def test_every_place_has_a_geography_that_agrees_with_its_point_of_presence(code: str) -> None:
    """Country, a city nearby, a time zone that exists; metro codes in the United States only."""
    pop = points_of_presence()[code]
    where = viewer_geography(parse_place(code))

    assert where.country == pop.country
    assert _plain(where.city).startswith(_plain(pop.city))
    assert where.latitude is not None
    assert where.longitude is not None
    city = PointOfPresence(code, where.city, where.country, where.latitude, where.longitude)
    assert great_circle_km(city, pop) < 70
    assert where.time_zone in zoneinfo.available_timezones()
    assert len(where.region) <= 3
    assert bool(where.region) is bool(where.region_name)
    assert bool(where.metro_code) is (pop.country == "US")
    assert where.asn is None


def test_a_viewer_stays_where_it_is_when_another_place_serves_it() -> None:
    """Its geography is that of its own metro."""
    place = serving_place(parse_place("LHR/fibre"), {"LHR"})

    assert place.pop.code != "LHR"
    assert viewer_geography(place).city == "London"


def test_the_headers_say_what_the_place_says() -> None:
    """Names beyond ASCII are percent-encoded, and what nobody knows is absent."""
    request = Request("GET", "/", "", Headers([("Host", "d1.cloudfront.net")]))
    facts = ViewerFacts(request, viewer_geography(parse_place("GRU/4g")))
    wanted = frozenset(
        f"cloudfront-viewer-{name}"
        for name in ("country", "city", "country-region", "time-zone", "postal-code", "asn")
    )

    assert cloudfront_headers(wanted, facts) == [
        ("CloudFront-Viewer-Country", "BR"),
        ("CloudFront-Viewer-City", "S%C3%A3o Paulo"),
        ("CloudFront-Viewer-Country-Region", "SP"),
        ("CloudFront-Viewer-Time-Zone", "America/Sao_Paulo"),
    ]


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char))
