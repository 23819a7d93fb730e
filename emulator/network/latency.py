"""The latency model: which stage of a request takes how long on AWS.

Every stage is a named leg; its median and spread are a switch of `settings.py`, where each number's
source stands. All of it is **simulated** and labelled so wherever it is shown.

Each request has draws of its own: its generator is seeded by the seed, the viewer's place, and how
many requests came from there before. So the same requests in the same order draw the same numbers,
however they overlap and whatever happens at other places.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from emulator.network.distance import (
    pop_to_pop_rtt_ms,
    pop_to_region_rtt_ms,
    region_to_region_rtt_ms,
)
from emulator.network.draws import Spread, draw_ms
from emulator.network.settings import (
    HANDSHAKE_RTTS,
    ApiFront,
    ConnectionMode,
    Handshake,
    LatencySettings,
)
from emulator.network.transfer import Transfer, retransmission_ms
from emulator.values.places import ViewerPlace

__all__ = ["ApiFront", "LatencyModel", "LatencySettings", "Leg", "RequestLatency"]

_T = TypeVar("_T")

_BACKBONE_FLOOR = 0.9
# Inside one metro, section 5: what is measured between two endpoints there is mostly the endpoints.
_SAME_METRO_MS = 1.0


class Leg(NamedTuple):
    """One named part of a request's time.

    Args:
        name: As the Trace shows it.
        ms: Its simulated time.
    """

    name: str
    ms: float


class RequestLatency:
    """The simulated time of each leg of one request, ms.

    Args:
        settings: The model's switches.
        place: Where the viewer is.
        chance: The request's own.
        number: How many requests came from this place before.
        loss_share: The share of packets that the access link loses.
    """

    __slots__ = ("_backbone", "_settings", "chance", "loss_share", "number", "place")

    def __init__(
        self,
        settings: LatencySettings,
        place: ViewerPlace,
        chance: random.Random,
        *,
        number: int = 0,
        loss_share: float = 0.0,
    ) -> None:
        self._settings, self._backbone = settings, _backbone(settings)
        self.place, self.chance, self.number = place, chance, number
        self.loss_share = loss_share

    # --- the viewer's side --------------------------------------------------------------------

    def viewer_setup(self, *, is_new: bool) -> tuple[Leg, ...]:
        """DNS, TCP and TLS before the request; empty for a warm connection.

        Args:
            is_new: Whether this is the first request on its real connection.
        """
        settings = self._settings
        mode = settings.viewer_connections
        if not settings.enabled or mode is ConnectionMode.WARM:
            return ()
        if mode is ConnectionMode.ACTUAL and not is_new:
            return ()
        tcp, tls = HANDSHAKE_RTTS[settings.viewer_handshake]
        quic = settings.viewer_handshake in (Handshake.QUIC, Handshake.QUIC_RESUMED)
        legs = []
        if settings.dns_ms:
            legs.append(Leg("viewer DNS", self.constant_ms(settings.dns_ms)))
        if tcp:
            legs.append(Leg("viewer TCP", tcp * self._access_ms(connecting=True)))
        if tls:
            shown = "QUIC" if quic else "TLS 1.2" if tls == 2 else "TLS 1.3"
            legs.append(Leg(f"viewer {shown}", tls * self._access_ms()))
        return tuple(legs)

    def viewer_rtt_ms(self) -> float:
        """Viewer to the point of presence that serves it, and back."""
        return self._access_ms()

    def transfer(self) -> Transfer:
        """How the answer's bytes reach the viewer."""
        settings = self._settings
        if not settings.enabled or not settings.body_transfer:
            return Transfer.instant()
        link = settings.access[self.place.access]
        rtt_ms = link.rtt_ms + self._to_other_metro_ms()
        return Transfer(link.bytes_per_ms, rtt_ms, settings.time_scale)

    # --- the edge -----------------------------------------------------------------------------

    def cache_lookup_ms(self) -> float:
        """One look into one cache."""
        return self.constant_ms(self._settings.cache_lookup_ms)

    def cloudfront_function_ms(self, store_reads: int) -> float:
        """A CloudFront Function's visible overhead, and its key value store reads.

        Reads add up: awaiting them together gains nothing at AWS.
        """
        settings = self._settings
        cold_share = settings.cff_cold_share
        if cold_share > 0 and self.chance.random() < cold_share:
            own_ms = self._draw(settings.cff_cold_ms, Spread(settings.cff_cold_sigma))
        else:
            own_ms = self._draw(settings.cff_ms, Spread(settings.cff_sigma))
        return own_ms + self.store_reads_ms(store_reads)

    def store_reads_ms(self, store_reads: int) -> float:
        """The key value store's part of that."""
        return self.constant_ms(self._settings.kvs_read_ms * store_reads)

    def lambda_overhead_ms(self, *, cold_start: bool) -> float:
        """Invoking a Lambda@Edge function in a Region close by, and starting it when cold.

        The handler's own time is real and comes on top.
        """
        settings = self._settings
        if cold_start:
            return self._draw(settings.lambda_cold_ms, Spread(settings.lambda_cold_sigma))
        return self._draw(settings.lambda_warm_ms, Spread(settings.lambda_warm_sigma))

    # --- beyond it ----------------------------------------------------------------------------

    def pop_to_region_ms(self, region: str) -> float:
        """Point of presence to a Region and back, over AWS's backbone."""
        return self._draw(pop_to_region_rtt_ms(self.place.pop.code, region), self._backbone)

    def region_to_region_ms(self, a: str, b: str) -> float:
        """One Region to another and back."""
        median_ms = _SAME_METRO_MS if a == b else region_to_region_rtt_ms(a, b)
        return self._draw(median_ms, self._backbone)

    def origin_setup(self, rtt_ms: float) -> tuple[Leg, ...]:
        """TCP and TLS of a new origin connection.

        Args:
            rtt_ms: The round trip to the origin, as drawn.
        """
        rtts = self._settings.origin_handshake_rtts
        tcp, tls = min(rtts, 1.0), max(0.0, rtts - 1.0)
        legs = [Leg("origin TCP", tcp * rtt_ms)] if tcp and rtt_ms else []
        if tls and rtt_ms:
            legs.append(Leg("origin TLS", tls * rtt_ms))
        return tuple(legs)

    def api_front_ms(self, front: ApiFront) -> float:
        """What API Gateway adds before the origin's own code."""
        settings = self._settings
        if front is ApiFront.NONE:
            return 0.0
        rest = front is ApiFront.REST_API
        median_ms = settings.rest_api_ms if rest else settings.http_api_ms
        return self._draw(median_ms, Spread(settings.api_sigma))

    # --- parts --------------------------------------------------------------------------------

    def constant_ms(self, duration_ms: float) -> float:
        """A duration without jitter."""
        settings = self._settings
        return duration_ms * settings.time_scale if settings.enabled else 0.0

    def choose(self, choices: Sequence[_T]) -> _T:
        """One of them, all alike; the request's own choice."""
        return self.chance.choice(choices)

    def _access_ms(self, *, connecting: bool = False) -> float:
        settings = self._settings
        if not settings.enabled:
            return 0.0
        link = settings.access[self.place.access]
        rtt_ms = draw_ms(link.rtt_ms, link.spread, self.chance, link.shape or settings.shape)
        rtt_ms += draw_ms(self._to_other_metro_ms(), self._backbone, self.chance, settings.shape)
        if self.loss_share:
            rtt_ms += retransmission_ms(rtt_ms, self.loss_share, self.chance, connecting=connecting)
        return rtt_ms * settings.time_scale

    def _to_other_metro_ms(self) -> float:
        metro = self.place.metro
        return 0.0 if metro is None else pop_to_pop_rtt_ms(metro.code, self.place.pop.code)

    def _draw(self, median_ms: float, spread: Spread) -> float:
        settings = self._settings
        if not settings.enabled:
            return 0.0
        return draw_ms(median_ms, spread, self.chance, settings.shape) * settings.time_scale


@dataclass(slots=True)
class LatencyModel:
    """Hands each request its own draws; the same at every start with the same seed."""

    settings: LatencySettings = field(default_factory=LatencySettings)
    _numbers: dict[str, int] = field(default_factory=dict)
    _seeds: dict[str, int] = field(default_factory=dict)
    _chances: dict[str, random.Random] = field(default_factory=dict)

    def request(self, place: ViewerPlace, *, loss_share: float = 0.0) -> RequestLatency:
        """The legs of the next request from this place.

        Args:
            place: Where the viewer is; its requests are counted by metro and access type.
            loss_share: The share of packets that its access link loses.
        """
        key = str(place)
        number = self._numbers.get(key, 0)
        self._numbers[key] = number + 1
        if self.settings.enabled:
            chance = random.Random(self._seed_of(key) + number)
        else:
            # Nothing is drawn but servers; a generator of its own is a tenth of a hit's cost.
            chance = self._chances.get(key) or self._chances.setdefault(
                key, random.Random(self._seed_of(key))
            )
        return RequestLatency(self.settings, place, chance, number=number, loss_share=loss_share)

    def kvs_api_distance_ms(self, region: str) -> float:
        """A call from this Region to the KeyValueStore data API and back."""
        settings = self.settings
        if not settings.enabled:
            return 0.0
        key = f"kvs-api:{region}"
        chance = self._chances.get(key)
        if chance is None:
            chance = self._chances[key] = random.Random(f"{settings.seed}:{key}")
        median_ms = region_to_region_rtt_ms(region, settings.kvs_api_region)
        return draw_ms(median_ms, _backbone(settings), chance, settings.shape) * settings.time_scale

    def _seed_of(self, key: str) -> int:
        seed = self._seeds.get(key)
        if seed is None:
            digest = hashlib.sha256(f"{self.settings.seed}:{key}".encode()).digest()
            # Places are 2^64 apart or more, so no two of them ever share a request's seed.
            seed = self._seeds[key] = int.from_bytes(digest[:16]) << 64
        return seed


def _backbone(settings: LatencySettings) -> Spread:
    return Spread(settings.backbone_sigma, floor=_BACKBONE_FLOOR)
