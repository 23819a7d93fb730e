"""Round trips: the model against the published tables."""

from __future__ import annotations

import pytest

from emulator.errors import ConfigError
from emulator.network.distance import (
    great_circle_km,
    nearest_regional_edge_cache,
    pop_to_region_rtt_ms,
    region_to_region_rtt_ms,
)
from emulator.network.places import measured_rtt_ms, parse_place, points_of_presence, regions
from emulator.values.places import Access

# Rows of facts/latency.md section 2: nearest REC, RTT to it, to us-east-1, eu-central-1,
# ap-southeast-1. The matrix there is rounded to integers, hence the tolerance.
TABLE = """
IAD us-east-1 1 1 94 221
LAX us-west-2 21 72 162 178
GRU sa-east-1 1 117 206 329
LHR eu-west-2 1 79 19 171
FRA eu-central-1 1 94 1 162
DXB me-central-1 1 196 118 92
JNB eu-west-2 170 246 175 334
CPT eu-west-2 151 227 156 315
BOM ap-south-1 1 191 130 65
SIN ap-southeast-1 1 220 162 1
NRT ap-northeast-1 2 151 230 73
SYD ap-southeast-2 1 201 253 96
AKL ap-southeast-2 33 233 285 128
"""


@pytest.mark.parametrize("row", TABLE.split("\n")[1:-1], ids=lambda row: row[:3])
def test_the_waypoint_model_gives_the_published_round_trips(row: str) -> None:
    """Within 2 ms of the table, whose own inputs were rounded."""
    code, cache, *rtts_ms = row.split()
    to = (cache, "us-east-1", "eu-central-1", "ap-southeast-1")

    assert nearest_regional_edge_cache(code) == cache
    for region, rtt_ms in zip(to, rtts_ms, strict=True):
        assert pop_to_region_rtt_ms(code, region) == pytest.approx(float(rtt_ms), abs=2)


def test_every_place_is_there() -> None:
    """44 points of presence on six continents, 33 Regions with a whole matrix."""
    assert len(points_of_presence()) == 44
    assert len(regions()) == 33
    assert len(measured_rtt_ms()) == 33 * 33


def test_no_round_trip_beats_light() -> None:
    """Light in fibre takes 1 ms for 100 km there and back; the measured matrix obeys."""
    for a, place_a in regions().items():
        for b, place_b in regions().items():
            floor_ms = great_circle_km(place_a, place_b) / 100
            assert region_to_region_rtt_ms(a, b) >= floor_ms * 0.99


def test_a_place_is_read_from_its_header_form() -> None:
    """Point of presence and access type; fibre when it is not said."""
    assert str(parse_place("nrt/4g")) == "NRT/4g"
    assert parse_place("LHR").access is Access.FIBRE


@pytest.mark.parametrize("text", ["XXX/fibre", "LHR/carrier-pigeon", ""])
def test_an_unknown_place_names_the_known_ones(text: str) -> None:
    """The error is enough to mend it."""
    with pytest.raises(ConfigError, match="Known: "):
        parse_place(text)
