"""The latency model: which stage of a request takes how long on AWS.

Medians and spreads are those of facts/latency.md (published tables; the section stands beside each
number). All of it is **simulated** and labelled so wherever it is shown.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from emulator.network.distance import (
    nearest_regional_edge_cache,
    pop_to_region_rtt_ms,
    region_to_region_rtt_ms,
)
from emulator.network.draws import BACKBONE, Shape, Spread, draw_ms
from emulator.values.places import Access, ViewerPlace

ACCESS_RTT_MS: Final[dict[Access, float]] = {
    Access.FIBRE: 6.0,
    Access.CABLE: 16.0,
    Access.FIVE_G: 25.0,
    Access.FOUR_G: 50.0,
    Access.THREE_G: 200.0,
    Access.STARLINK: 40.0,
    Access.GEO: 600.0,
}
"""Median round trip to a point of presence in the viewer's own metro, ms (section 6)."""

_WIRED: Final = Spread(0.07, floor=0.9)
_MOBILE: Final = Spread(0.35, floor=0.5, spike_share=0.02)
ACCESS_SPREAD: Final[dict[Access, Spread]] = {
    Access.FIBRE: _WIRED,
    Access.CABLE: Spread(0.10, floor=0.9),
    Access.FIVE_G: _MOBILE,
    Access.FOUR_G: _MOBILE,
    Access.THREE_G: _MOBILE,
    Access.STARLINK: Spread(0.20, floor=0.7),
    Access.GEO: _WIRED,
}
"""Jitter of the access link: wired 0.05 to 0.10, mobile 0.35 with 2 % spikes (section 7)."""


class ApiFront(StrEnum):
    """What stands before the origin's own code, and takes time of its own."""

    NONE = "none"
    HTTP_API = "http-api"
    REST_API = "rest-api"


API_FRONT_MS: Final[dict[ApiFront, tuple[float, Spread]]] = {
    ApiFront.NONE: (0.0, Spread(0.0)),
    ApiFront.HTTP_API: (8.0, Spread(0.4)),
    ApiFront.REST_API: (15.0, Spread(0.4)),
}
"""API Gateway's overhead (section 10, INFERRED)."""


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """The switches of the model; `[latency]` in localpop.toml.

    Args:
        enabled: Off: every simulated time is zero.
        seed: Fixes every draw, per place and request order.
        shape: The jitter's shape.
        viewer_handshake_rtts: Round trips before the request on a new viewer connection: 2 for TCP
            and TLS 1.3, 3 for TLS 1.2 (section 1).
        dns_ms: Name look-up on a new viewer connection.
        origin_handshake_rtts: The same for a new origin connection.
        cff_cold_share: Share of CloudFront Function runs in the sparse-traffic mode, median 35 ms
            (section 8: 0.27 was seen at low request rates).
        kvs_api_region: Where the KeyValueStore data API answers from; AWS publishes no place
            (UNVERIFIED, the global service's control plane lives in us-east-1).
    """

    enabled: bool = True
    seed: int = 1
    shape: Shape = Shape.LOGNORMAL
    viewer_handshake_rtts: float = 2.0
    dns_ms: float = 0.0
    origin_handshake_rtts: float = 2.0
    cff_cold_share: float = 0.0
    kvs_api_region: str = "us-east-1"


_CFF_WARM: Final = (1.3, Spread(0.75))
_CFF_COLD: Final = (35.0, Spread(0.31))
_LAMBDA_WARM: Final = (30.0, Spread(0.36))
_LAMBDA_COLD: Final = (330.0, Spread(0.25))
_STORE_READ_MS: Final = 0.1
_CACHE_LOOKUP_MS: Final = 0.3


@dataclass(slots=True)
class LatencyModel:
    """Draws the simulated time of each stage, ms.

    Draws come from one generator for each place, so two runs with the same seed and the same
    order of requests per place draw the same numbers, whatever happens elsewhere.
    """

    settings: LatencySettings = field(default_factory=LatencySettings)
    _chances: dict[str, random.Random] = field(default_factory=dict)

    def viewer_rtt_ms(self, place: ViewerPlace) -> float:
        """Viewer to point of presence and back."""
        return self._draw(place, ACCESS_RTT_MS[place.access], ACCESS_SPREAD[place.access])

    def viewer_handshake_ms(self, place: ViewerPlace) -> float:
        """DNS, TCP and TLS of a new viewer connection, before its first request."""
        settings = self.settings
        rtts_ms = settings.viewer_handshake_rtts * self.viewer_rtt_ms(place)
        return settings.dns_ms + rtts_ms if settings.enabled else 0.0

    def cloudfront_function_ms(self, place: ViewerPlace, store_reads: int) -> float:
        """A CloudFront Function's visible overhead, and its key value store reads (section 9)."""
        cold_share = self.settings.cff_cold_share
        cold = cold_share > 0 and self._chance(place).random() < cold_share
        median_ms, spread = _CFF_COLD if cold else _CFF_WARM
        return self._draw(place, median_ms, spread) + self.constant_ms(_STORE_READ_MS * store_reads)

    def lambda_overhead_ms(self, place: ViewerPlace, *, cold_start: bool) -> float:
        """Getting to a Lambda@Edge function in a Region close by, and starting it when cold.

        The handler's own time is real and comes on top.
        """
        median_ms, spread = _LAMBDA_COLD if cold_start else _LAMBDA_WARM
        return self._draw(place, median_ms, spread)

    def pop_to_region_ms(self, place: ViewerPlace, region: str) -> float:
        """Point of presence to a Region and back, over AWS's backbone."""
        return self._draw(place, pop_to_region_rtt_ms(place.pop.code, region), BACKBONE)

    def region_to_region_ms(self, place: ViewerPlace, a: str, b: str) -> float:
        """One Region to another and back; inside one metro 1 ms (section 5)."""
        return self._draw(place, 1.0 if a == b else region_to_region_rtt_ms(a, b), BACKBONE)

    def api_front_ms(self, place: ViewerPlace, front: ApiFront) -> float:
        """What API Gateway adds before the origin's own code."""
        median_ms, spread = API_FRONT_MS[front]
        return self._draw(place, median_ms, spread)

    def cache_lookup_ms(self) -> float:
        """One look into one cache (section 1, UNVERIFIED)."""
        return self.constant_ms(_CACHE_LOOKUP_MS)

    def kvs_api_distance_ms(self, region: str) -> float:
        """A call from this Region to the KeyValueStore data API and back."""
        if not self.settings.enabled:
            return 0.0
        chance = self._chances.setdefault(
            f"kvs-api:{region}", random.Random(f"{self.settings.seed}:kvs-api:{region}")
        )
        median_ms = region_to_region_rtt_ms(region, self.settings.kvs_api_region)
        return draw_ms(median_ms, BACKBONE, chance, self.settings.shape)

    def regional_edge_cache(self, place: ViewerPlace) -> str:
        """The Region of the regional edge cache that serves this place."""
        return nearest_regional_edge_cache(place.pop.code)

    def constant_ms(self, duration_ms: float) -> float:
        """A duration without jitter; zero when the model is off."""
        return duration_ms if self.settings.enabled else 0.0

    def _draw(self, place: ViewerPlace, median_ms: float, spread: Spread) -> float:
        if not self.settings.enabled:
            return 0.0
        return draw_ms(median_ms, spread, self._chance(place), self.settings.shape)

    def _chance(self, place: ViewerPlace) -> random.Random:
        key = f"{place.pop.code}/{place.access.value}"
        chance = self._chances.get(key)
        if chance is None:
            chance = self._chances[key] = random.Random(f"{self.settings.seed}:{key}")
        return chance
