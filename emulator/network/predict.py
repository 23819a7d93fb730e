"""What the model says a request should take, before anybody asks: percentiles per place and path.

Monte Carlo over the very legs that the edge charges, with a seed of its own, so a prediction is the
same at every call. What is real in the emulator (the handler's own time, the origin's) is an
assumption here and stands in `Workload`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from emulator.network.distance import nearest_regional_edge_cache
from emulator.network.draws import Spread, draw_ms
from emulator.network.latency import RequestLatency
from emulator.network.settings import ApiFront, LatencySettings
from emulator.values.places import ViewerPlace

DRAWS: Final = 4_000
"""Enough for 2 % at p50 and about 6 % at p99 of the widest leg."""


class PathKind(StrEnum):
    """A request's way; spelled as the load test spells it."""

    EDGE_FUNCTION = "edge-function"
    EDGE_LAMBDA = "edge-lambda"
    CACHE = "cache"
    FALLBACK_STREAMED = "fallback-streamed"
    FALLBACK_BUFFERED = "fallback-buffered"


@dataclass(frozen=True, slots=True)
class Workload:
    """What the model cannot know: what stands behind the edge, and what is asked of it.

    Args:
        origin_region: The origin's Region.
        front: What stands before it.
        origin_ms: The origin's own time before it asks the model; section 12 counts 10 ms.
        first_token_ms: The model's time to first token, median; haiku class, section 11.
        first_token_sigma: Its spread.
        tokens_per_s: The model's rate, median; section 11.
        rate_sigma: Its spread.
        answer_tokens: Tokens of an answer.
        model_scale: Multiplies the model's times; 0 for one that answers at once.
        store_reads: Key value store reads of a CloudFront Function.
        handler_ms: The Lambda@Edge handler's own computing.
        api_calls: KeyValueStore data API calls of one invocation, one after the other.
        lambda_share: The share of fallbacks that passed through Lambda@Edge, the rest through a
            CloudFront Function.
        cold_start_share: The share of Lambda@Edge invocations that start cold.
        new_connection_share: The share of requests that pay for a viewer connection.
        new_origin_connection_share: The share of fallbacks that pay for an origin connection.
    """

    origin_region: str = "us-east-1"
    front: ApiFront = ApiFront.NONE
    origin_ms: float = 10.0
    first_token_ms: float = 600.0
    first_token_sigma: float = 0.5
    tokens_per_s: float = 75.0
    rate_sigma: float = 0.25
    answer_tokens: int = 300
    model_scale: float = 1.0
    store_reads: int = 1
    handler_ms: float = 2.0
    api_calls: float = 1.0
    lambda_share: float = 0.0
    cold_start_share: float = 0.0
    new_connection_share: float = 0.0
    new_origin_connection_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """First byte of one path from one place, ms.

    Args:
        place: Such as `NRT/fibre`.
        path: The way.
        p50_ms: The median.
        p95_ms: The 95th percentile.
        p99_ms: The 99th percentile.
        mean_by_leg_ms: The mean of each leg; together the mean.
    """

    place: str
    path: PathKind
    p50_ms: float
    p95_ms: float
    p99_ms: float
    mean_by_leg_ms: Mapping[str, float]


def predict(
    settings: LatencySettings,
    place: ViewerPlace,
    path: PathKind,
    workload: Workload | None = None,
    *,
    draws: int = DRAWS,
) -> Prediction:
    """When the first byte of a path reaches a viewer.

    For a buffered fallback that is the whole answer's generation.

    Args:
        settings: The model's switches; `enabled = False` leaves the real parts only.
        place: Where the viewer is.
        path: The request's way.
        workload: What the model cannot know.
        draws: How many requests are drawn.
    """
    chance = random.Random(f"predict:{place}:{path}")
    drawing = _Drawing(settings, RequestLatency(settings, place, chance), workload or Workload())
    way = _WAYS[path]
    totals, sums = [], dict[str, float]()
    for _ in range(draws):
        legs = drawing.viewer() | way(drawing)
        totals.append(sum(legs.values()))
        for name, ms in legs.items():
            sums[name] = sums.get(name, 0.0) + ms
    totals.sort()
    p50_ms, p95_ms, p99_ms = (round(_percentile(totals, share), 3) for share in (0.5, 0.95, 0.99))
    means = {name: round(total / draws, 3) for name, total in sums.items()}
    return Prediction(str(place), path, p50_ms, p95_ms, p99_ms, means)


def predictions_document(predictions: Iterable[Prediction]) -> dict[str, Any]:
    """The same as JSON, for a load test's table and for the dashboard."""
    return {"format": 1, "predictions": [asdict(one) for one in predictions]}


@dataclass(frozen=True, slots=True)
class _Drawing:
    settings: LatencySettings
    latency: RequestLatency
    workload: Workload

    def viewer(self) -> dict[str, float]:
        latency = self.latency
        is_new = self._happens(self.workload.new_connection_share)
        legs = {leg.name: leg.ms for leg in latency.viewer_setup(is_new=is_new)}
        legs["viewer"] = latency.viewer_rtt_ms()
        return legs

    def edge_function(self) -> dict[str, float]:
        return {
            "CloudFront Function": self.latency.cloudfront_function_ms(self.workload.store_reads)
        }

    def edge_lambda(self) -> dict[str, float]:
        latency, workload = self.latency, self.workload
        region = nearest_regional_edge_cache(latency.place.pop.code)
        is_cold = self._happens(workload.cold_start_share)
        return {
            "to Lambda": latency.pop_to_region_ms(region),
            "Lambda@Edge": latency.lambda_overhead_ms(cold_start=is_cold),
            "handler": workload.handler_ms,
            "KeyValueStore API": workload.api_calls
            * latency.region_to_region_ms(region, self.settings.kvs_api_region),
        }

    def cache(self) -> dict[str, float]:
        return {"cache": self.latency.cache_lookup_ms()}

    def fallback_streamed(self) -> dict[str, float]:
        return self._fallback() | {"first token": self._first_token_ms()}

    def fallback_buffered(self) -> dict[str, float]:
        workload = self.workload
        rate_per_s = workload.tokens_per_s * math.exp(
            self.latency.chance.gauss(0.0, workload.rate_sigma)
        )
        rest_ms = 1_000 * max(0, workload.answer_tokens - 1) / rate_per_s * workload.model_scale
        return self._fallback() | {
            "first token": self._first_token_ms(),
            "other tokens": rest_ms,
        }

    def _fallback(self) -> dict[str, float]:
        latency, workload = self.latency, self.workload
        through_lambda = self._happens(workload.lambda_share)
        legs = self.edge_lambda() if through_lambda else self.edge_function()
        legs["to the origin"] = latency.pop_to_region_ms(workload.origin_region)
        if self._happens(workload.new_origin_connection_share):
            setup = latency.origin_setup(legs["to the origin"])
            legs |= {leg.name: leg.ms for leg in setup}
        legs["API Gateway"] = latency.api_front_ms(workload.front)
        legs["origin"] = workload.origin_ms
        return legs

    def _first_token_ms(self) -> float:
        workload = self.workload
        spread = Spread(workload.first_token_sigma)
        drawn_ms = draw_ms(workload.first_token_ms, spread, self.latency.chance)
        return drawn_ms * workload.model_scale

    def _happens(self, share: float) -> bool:
        return share > 0 and self.latency.chance.random() < share


_WAYS: Final[Mapping[PathKind, Callable[[_Drawing], dict[str, float]]]] = {
    PathKind.EDGE_FUNCTION: _Drawing.edge_function,
    PathKind.EDGE_LAMBDA: _Drawing.edge_lambda,
    PathKind.CACHE: _Drawing.cache,
    PathKind.FALLBACK_STREAMED: _Drawing.fallback_streamed,
    PathKind.FALLBACK_BUFFERED: _Drawing.fallback_buffered,
}


def _percentile(ordered: list[float], share: float) -> float:
    """Linear between the two nearest ranks."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])
