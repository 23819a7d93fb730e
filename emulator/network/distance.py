"""Round trips between two places on AWS's network.

Two Regions: measured. A point of presence and a Region: the waypoint model B of facts/latency.md
section 5 (leave-one-out mean error 11 ms, against 30 ms for any straight line). Two points of
presence: the same model at both ends.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import cache
from typing import Final

from emulator.network.places import (
    REGIONAL_EDGE_CACHE_REGIONS,
    measured_rtt_ms,
    points_of_presence,
    regions,
)
from emulator.values.places import PointOfPresence, Region, ViewerPlace

_EARTH_RADIUS_KM: Final = 6_371.0
_METRO_RTT_MS: Final = 1.0
_MS_PER_1000_KM: Final = 15.0
_WAYPOINTS: Final = 4
_WAYPOINT_REACH_KM: Final = 3_500.0
# Closer than this, other waypoints would only invent short cuts.
_SAME_METRO_KM: Final = 150.0


def great_circle_km(a: PointOfPresence | Region, b: PointOfPresence | Region) -> float:
    """Kilometres along the earth's surface."""
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    half_lat = (lat_b - lat_a) / 2
    half_lon = math.radians(b.longitude - a.longitude) / 2
    h = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(h))


def waypoint_rtt_ms(
    place: PointOfPresence | Region,
    region: str,
    known: Mapping[str, Region],
    measured_ms: Mapping[tuple[str, str], float],
) -> float:
    """The median round trip between a place and a Region, ms: model B.

    The least, over the four nearest measured Regions within 3,500 km, of the way there
    (1 ms + 15 ms per 1,000 km) and the measured round trip from there. A Region within 150 km is
    the only way.

    Args:
        place: Anywhere.
        region: The Region's name; it need not be among the known ones.
        known: The Regions that may be a waypoint.
        measured_ms: Round trips between Regions.
    """
    return min(
        to_ms + (0.0 if name == region else measured_ms[name, region])
        for to_ms, name in _waypoints(place, known)
    )


def _waypoints(
    place: PointOfPresence | Region, known: Mapping[str, Region]
) -> list[tuple[float, str]]:
    """The Regions that a packet may go through first, with the round trip to each, ms."""
    by_distance = sorted((great_circle_km(place, region), name) for name, region in known.items())
    near = [entry for entry in by_distance[:_WAYPOINTS] if entry[0] <= _WAYPOINT_REACH_KM]
    chosen = near or by_distance[:1]
    if chosen[0][0] <= _SAME_METRO_KM:
        chosen = chosen[:1]
    return [(_haul_ms(km), name) for km, name in chosen]


def _haul_ms(km: float) -> float:
    return _METRO_RTT_MS + _MS_PER_1000_KM * km / 1_000


@cache
def pop_to_region_rtt_ms(pop_code: str, region: str) -> float:
    """The median round trip between a point of presence and a Region, ms."""
    return waypoint_rtt_ms(points_of_presence()[pop_code], region, regions(), measured_rtt_ms())


@cache
def pop_to_pop_rtt_ms(a: str, b: str) -> float:
    """The median round trip between two points of presence, ms; 0 from one to itself.

    The least of the direct haul, when it is short enough for the model (3,500 km), and the ways
    through the waypoints of both (INFERRED: nobody measured these).
    """
    if a == b:
        return 0.0
    pops = points_of_presence()
    km = great_circle_km(pops[a], pops[b])
    direct = [_haul_ms(km)] if km <= _WAYPOINT_REACH_KM else []
    through = [
        to_ms + (0.0 if here == there else measured_rtt_ms()[here, there]) + from_ms
        for to_ms, here in _waypoints(pops[a], regions())
        for from_ms, there in _waypoints(pops[b], regions())
    ]
    return min(direct + through)


def serving_place(place: ViewerPlace, down: Collection[str]) -> ViewerPlace:
    """Where a viewer is served while some points of presence are down.

    DNS sends it to the next one by round trip; its own metro stays what it is, and the way from
    there is added to each of its round trips (facts/latency.md section 6).

    Args:
        place: Where the viewer is.
        down: Codes of points of presence that answer nobody.

    Returns:
        The same place when its point of presence is up, or when all are down.
    """
    home = place.home
    if not down:
        return place
    up = [code for code in points_of_presence() if code not in down]
    if home.code in up or not up:
        return ViewerPlace(home, place.access)
    nearest = min(up, key=lambda code: pop_to_pop_rtt_ms(home.code, code))
    return ViewerPlace(points_of_presence()[nearest], place.access, home)


@cache
def region_to_region_rtt_ms(a: str, b: str) -> float:
    """The measured median round trip between two Regions, ms; inside one Region a few ms."""
    return measured_rtt_ms()[a, b]


@cache
def nearest_regional_edge_cache(pop_code: str) -> str:
    """The Region of the regional edge cache with the shortest round trip.

    AWS does not publish the assignment (INFERRED, facts/latency.md section 2).
    """
    return min(
        REGIONAL_EDGE_CACHE_REGIONS, key=lambda region: pop_to_region_rtt_ms(pop_code, region)
    )
