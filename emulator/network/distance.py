"""Round trips between two places on AWS's network.

Two Regions: measured. A point of presence and a Region: the waypoint model B of facts/latency.md
section 5 (leave-one-out mean error 11 ms, against 30 ms for any straight line).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

from emulator.network.places import (
    REGIONAL_EDGE_CACHE_REGIONS,
    measured_rtt_ms,
    points_of_presence,
    regions,
)
from emulator.values.places import PointOfPresence, Region

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


@cache
def pop_to_region_rtt_ms(pop_code: str, region: str) -> float:
    """The median round trip between a point of presence and a Region, ms.

    The least, over the four nearest measured Regions within 3,500 km, of the way there
    (1 ms + 15 ms per 1,000 km) and the measured round trip from there. A Region within 150 km is
    the only way.
    """
    pop = points_of_presence()[pop_code]
    by_distance = sorted((great_circle_km(pop, place), name) for name, place in regions().items())
    near = [entry for entry in by_distance[:_WAYPOINTS] if entry[0] <= _WAYPOINT_REACH_KM]
    waypoints = near or by_distance[:1]
    if waypoints[0][0] <= _SAME_METRO_KM:
        waypoints = waypoints[:1]
    return min(
        _METRO_RTT_MS
        + _MS_PER_1000_KM * km / 1_000
        + (0.0 if name == region else measured_rtt_ms()[name, region])
        for km, name in waypoints
    )


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
