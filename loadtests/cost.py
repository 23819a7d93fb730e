"""What a run would cost at AWS, whether answering ahead of time pays, and when to turn back.

    edge hit     = HTTPS request + CloudFront Function + store reads + bytes to the viewer
                   (with Lambda@Edge: its request, its time, and its calls of the store's API
                   instead of the function and its reads)
    fallback     = edge hit + bytes to the origin + API + function + its waiting + tokens
    precomputed  = tokens at the batch price + the write into the store, once for each answer
    break-even   = (batch + storage) / (real-time - serve), uses of an answer until it pays

Prices come from a dated file (`prices.py`), sizes and waiting times from the run itself.
`docs/report.md` tells what is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from typing import Any

from loadtests.prices import Assumptions, Prices
from loadtests.samples import FALLBACKS, HITS, DeliveryPath, Recording, Sample

LEAST_HIT_RATE = 0.60
"""Below this the first reversal trigger is pulled; the founding documents give the figure."""

MILLION = 1_000_000
_GB = 1e9
_MIN_REQUESTS = 50


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """US dollars for one answer.

    Attributes:
        edge_function: An edge hit by a CloudFront Function; a cache hit costs the same.
        edge_lambda: An edge hit by Lambda@Edge.
        fallback: The origin's answer while the viewer waits.
        model: The tokens in that.
        batch: The same tokens in batch.
        storage: Writing an answer into its store.
    """

    edge_function: float
    edge_lambda: float
    fallback: float
    model: float
    batch: float
    storage: float

    @property
    def precomputed(self) -> float:
        """An answer made ahead of time, once."""
        return self.batch + self.storage

    def of(self, path: DeliveryPath) -> float:
        """An answer that came this way; an error is billed as an edge hit at least."""
        if path in FALLBACKS:
            return self.fallback
        return self.edge_lambda if path is DeliveryPath.EDGE_LAMBDA else self.edge_function

    def break_even_uses(self, serve: float) -> float | None:
        """How often an answer must be used until it pays; None when it never does."""
        saved = self.fallback - serve
        return self.precomputed / saved if saved > 0 else None


def unit_costs(prices: Prices, assumed: Assumptions) -> UnitCosts:
    """The cost of one answer of each kind."""
    each, model = prices.each, prices.models[assumed.model]
    common = each["https_request"] + assumed.answer_bytes / _GB * each["gb_to_viewers"]
    edge_gb_s = assumed.edge_lambda_memory_mb / 1024 * assumed.edge_lambda_ms / 1000
    edge_function = common + each["cloudfront_function"] + assumed.store_reads * each["store_read"]
    tokens = (
        assumed.input_tokens * model.input_usd + assumed.output_tokens * model.output_usd
    ) / MILLION
    origin = (
        assumed.request_bytes / _GB * each["gb_to_origin"]
        + each[assumed.api]
        + each["lambda_request"]
        + assumed.origin_memory_mb / 1024 * assumed.origin_wait_s * each["lambda_gb_s"]
    )
    by_batch = each["store_call"] / assumed.answers_per_write
    return UnitCosts(
        edge_function=edge_function,
        edge_lambda=common
        + each["edge_lambda_request"]
        + edge_gb_s * each["edge_lambda_gb_s"]
        + assumed.edge_lambda_store_calls * each["store_call"],
        fallback=edge_function + origin + tokens,
        model=tokens,
        batch=tokens * prices.batch_factor,
        storage=by_batch if assumed.storage == "kvs" else each["s3_put"],
    )


class State(StrEnum):
    """Whether a reversal trigger is pulled."""

    PULLED = "pulled"
    CLEAR = "clear"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A reason to turn back.

    Attributes:
        name: What it watches.
        limit: When it is pulled, in words.
        value: What the run had, in words.
        state: Whether it is pulled.
        action: What to do when it is.
    """

    name: str
    limit: str
    value: str
    state: State
    action: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """Users x actions x bytes against the quotas of a key value store.

    Attributes:
        users: Viewers of the run.
        actions: Actions that were answered at the edge.
        answer_bytes: Mean body of such an answer.
        largest_bytes: The largest one.
        total_bytes: All answers with their keys.
        store_bytes: The quota of a store.
        value_bytes: The quota of a value.
        room_for_users: How many users' answers fit into one store.
    """

    users: int
    actions: int
    answer_bytes: float
    largest_bytes: int
    total_bytes: float
    store_bytes: int
    value_bytes: int
    room_for_users: int

    @property
    def share(self) -> float:
        """Of one store's quota."""
        return self.total_bytes / self.store_bytes

    @property
    def stores(self) -> int:
        """How many stores it takes."""
        return max(1, ceil(self.share))


@dataclass(frozen=True, slots=True)
class PathCost:
    """What the answers of one path cost."""

    path: DeliveryPath
    requests: int
    each_usd: float

    @property
    def total_usd(self) -> float:
        """All of them."""
        return self.requests * self.each_usd


@dataclass(frozen=True, slots=True)
class Cost:
    """A run's bill, and what it says of answering ahead of time.

    Attributes:
        prices: The price file.
        assumptions: Its assumptions with the run's own figures in them.
        units: The cost of one answer of each kind.
        paths: What this run's answers cost, by path.
        hits: Answers from the edge.
        hit_rate: Their share of all requests.
        hit_usd: What one of them costs, by the run's mix of paths; None without hits.
        serve: The cheapest path that served hits, which break-even is reckoned with.
        break_even_uses: How often an answer must be used to pay; None when it never does.
        served: How many different answers were served, each user's counted by itself; None when
            the samples do not say whose they were.
        generated: How many were made ahead of time, as `--generated` says.
        stale: Stale answers that were served; None when no answer says when it expires.
        capacity: None without hits.
        triggers: Reasons to turn back.
    """

    prices: Prices
    assumptions: Assumptions
    units: UnitCosts
    paths: tuple[PathCost, ...]
    hits: int
    hit_rate: float
    hit_usd: float | None
    serve: DeliveryPath
    break_even_uses: float | None
    served: int | None
    generated: int | None
    stale: int | None
    capacity: Capacity | None
    triggers: tuple[Trigger, ...]

    @property
    def run_usd(self) -> float:
        """What the run's requests would have cost, without making answers ahead of time."""
        return sum(one.total_usd for one in self.paths)

    @property
    def wasted(self) -> int | None:
        """Answers that were made and never served."""
        if self.generated is None or self.served is None:
            return None
        return max(0, self.generated - self.served)

    @property
    def uses(self) -> float | None:
        """How often a generated answer was served, on average."""
        return self.hits / self.generated if self.generated else None

    @property
    def break_even_hits(self) -> int | None:
        """How many hits pay for all that was generated."""
        if self.generated is None or self.break_even_uses is None:
            return None
        return ceil(self.generated * self.break_even_uses)

    @property
    def served_usd(self) -> float | None:
        """A hit by the cheapest path, with its share of what generation cost.

        Without `--generated` it stands on the answers that were served, which is the least that it
        can be.
        """
        made = self.served if self.generated is None else self.generated
        if made is None or not self.hits:
            return None
        return self.units.of(self.serve) + self.units.precomputed * made / self.hits


def cost_of(recording: Recording, prices: Prices, generated: int | None = None) -> Cost:
    """What a run would cost, and whether it pays; the warm-up is left out of the bill.

    Args:
        recording: The run.
        prices: The price file.
        generated: How many answers were made ahead of time for those who were asked here.
    """
    warmup_s = float(recording.run.get("warmup_s", 0.0))
    counted = [sample for sample in recording.samples if sample.intended_s >= warmup_s]
    hits = [sample for sample in counted if sample.is_good and sample.path in HITS]
    assumed = _measured(prices.assumptions, counted, hits)
    units = unit_costs(prices, assumed)
    serve = min({hit.path for hit in hits} or {DeliveryPath.EDGE_FUNCTION}, key=units.of)
    hit_usd = sum(units.of(hit.path) for hit in hits) / len(hits) if hits else None
    cost = Cost(
        prices=prices,
        assumptions=assumed,
        units=units,
        paths=_by_path(counted, units),
        hits=len(hits),
        hit_rate=len(hits) / len(counted) if counted else 0.0,
        hit_usd=hit_usd,
        serve=serve,
        break_even_uses=units.break_even_uses(units.of(serve)),
        served=_served(recording.samples),
        generated=generated,
        stale=_stale(hits),
        capacity=_capacity(recording, hits, prices, assumed),
        triggers=(),
    )
    return replace(cost, triggers=_triggers(cost, len(counted)))


def cost_document(cost: Cost) -> dict[str, Any]:
    """`cost` in `results.json`."""
    units, capacity = cost.units, cost.capacity
    return {
        "prices_dated": cost.prices.dated,
        "region": cost.prices.region,
        "model": cost.assumptions.model,
        "answer_bytes": cost.assumptions.answer_bytes,
        "origin_wait_s": cost.assumptions.origin_wait_s,
        "edge_function_usd": units.edge_function,
        "edge_lambda_usd": units.edge_lambda,
        "fallback_usd": units.fallback,
        "model_usd": units.model,
        "precomputed_usd": units.precomputed,
        "hit_usd": cost.hit_usd,
        "served_usd": cost.served_usd,
        "run_usd": cost.run_usd,
        "hit_rate": cost.hit_rate,
        "generated": cost.generated,
        "served": cost.served,
        "wasted": cost.wasted,
        "stale": cost.stale,
        "break_even_uses": cost.break_even_uses,
        "break_even_hits": cost.break_even_hits,
        "triggers": [
            {
                "name": one.name,
                "limit": one.limit,
                "value": one.value,
                "state": one.state,
                "action": one.action,
            }
            for one in cost.triggers
        ],
        "capacity": capacity
        and {
            "users": capacity.users,
            "actions": capacity.actions,
            "answer_bytes": capacity.answer_bytes,
            "largest_bytes": capacity.largest_bytes,
            "total_bytes": capacity.total_bytes,
            "store_share": capacity.share,
            "room_for_users": capacity.room_for_users,
        },
    }


def usd(amount: float) -> str:
    """Money as a person says it: `$0.000066`, `$0.04`, `$41.69`, `$1,905`."""
    if amount and abs(amount) < 0.005:
        digits = 1 - math.floor(math.log10(abs(amount)))
        return f"${amount:.{digits}f}"
    return f"${amount:,.2f}" if abs(amount) < 999.5 else f"${amount:,.0f}"


def per_million(each_usd: float) -> str:
    """What a million of something costs."""
    return usd(each_usd * MILLION)


def capacity_line(capacity: Capacity) -> str:
    """Users x actions x bytes against 5 MB and 1 KB, in a line."""
    fits = "fits" if capacity.largest_bytes <= capacity.value_bytes else "does NOT fit"
    return (
        f"{capacity.users:,} users x {capacity.actions} actions x {capacity.answer_bytes:,.0f} B "
        f"= {capacity.total_bytes / 1024:,.0f} KB, {capacity.share:.1%} of a store's "
        f"{capacity.store_bytes / 2**20:g} MB (room for {capacity.room_for_users:,} users); the "
        f"largest answer, {capacity.largest_bytes:,} B, {fits} a value's "
        f"{capacity.value_bytes / 1024:g} KB"
    )


def _measured(
    assumed: Assumptions, counted: Sequence[Sample], hits: Sequence[Sample]
) -> Assumptions:
    """The assumptions, with what the run knows better."""
    good = [sample.bytes for sample in counted if sample.is_good]
    waits_s = [
        sample.total_ms / 1000 for sample in counted if sample.is_good and sample.path in FALLBACKS
    ]
    # Without parts, as on real CloudFront, nobody tells how often the store was asked.
    stores_ms = [
        sample.parts_ms.get("store", 0.0)
        for sample in hits
        if sample.path is DeliveryPath.EDGE_LAMBDA and sample.parts_ms is not None
    ]
    return replace(
        assumed,
        answer_bytes=_mean(good, assumed.answer_bytes),
        origin_wait_s=_mean(waits_s, assumed.origin_wait_s),
        edge_lambda_ms=assumed.edge_lambda_ms + _mean(stores_ms, 0.0),
        # One call at least in each answer that waited for the store.
        edge_lambda_store_calls=_mean(
            [float(ms > 0) for ms in stores_ms], assumed.edge_lambda_store_calls
        ),
    )


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _by_path(counted: Iterable[Sample], units: UnitCosts) -> tuple[PathCost, ...]:
    paths = [sample.path for sample in counted]
    return tuple(
        PathCost(path, paths.count(path), units.of(path)) for path in DeliveryPath if path in paths
    )


def _served(samples: Iterable[Sample]) -> int | None:
    """Different answers from the edge; in the warm-up, too, an answer was not made in vain."""
    hits = [sample for sample in samples if sample.is_good and sample.path in HITS]
    if any(not sample.viewer for sample in hits):
        return None
    return len({(sample.viewer, _action(sample)) for sample in hits})


def _action(sample: Sample) -> str:
    # One answer may have several paths: /answers/x by a CloudFront Function, /lambda-answers/x.
    return sample.target.partition("?")[0].rpartition("/")[2]


def _stale(hits: Iterable[Sample]) -> int | None:
    told = [hit.is_stale for hit in hits if hit.is_stale is not None]
    return sum(told) if told else None


def _capacity(
    recording: Recording, hits: Sequence[Sample], prices: Prices, assumed: Assumptions
) -> Capacity | None:
    if not hits:
        return None
    users = int(recording.run.get("viewers") or len({hit.viewer for hit in hits}))
    actions = len({_action(hit) for hit in hits})
    mean_bytes = _mean([hit.bytes for hit in hits], 0.0)
    per_user = actions * (mean_bytes + assumed.key_bytes)
    return Capacity(
        users=users,
        actions=actions,
        answer_bytes=mean_bytes,
        largest_bytes=max(hit.bytes for hit in hits),
        total_bytes=users * per_user,
        store_bytes=prices.store_bytes,
        value_bytes=prices.value_bytes,
        room_for_users=int(prices.store_bytes / per_user) if per_user else 0,
    )


def _triggers(cost: Cost, requests: int) -> tuple[Trigger, ...]:
    found = [_hit_rate_trigger(cost, requests), _stale_trigger(cost), _batch_trigger(cost)]
    if any(one.path is DeliveryPath.EDGE_LAMBDA for one in cost.paths):
        found.append(_edge_lambda_trigger(cost))
    return tuple(found)


def _hit_rate_trigger(cost: Cost, requests: int) -> Trigger:
    state = State.PULLED if cost.hit_rate < LEAST_HIT_RATE else State.CLEAR
    return Trigger(
        name="hit rate",
        limit=f"under {LEAST_HIT_RATE:.0%}",
        value=f"{cost.hit_rate:.0%}",
        state=state if requests >= _MIN_REQUESTS else State.UNKNOWN,
        action="Make answers ahead of time only for the users and actions that are asked for most "
        "(raise the floor of the ranking); when two more cycles stay under it, stop the cycle and "
        "answer in real time, streamed.",
    )


def _stale_trigger(cost: Cost) -> Trigger:
    told = cost.stale is not None
    return Trigger(
        name="stale answers served",
        limit="more than 0",
        value=f"{cost.stale:,} of {cost.hits:,}" if told else "no answer says when it expires",
        state=State.UNKNOWN if not told else State.PULLED if cost.stale else State.CLEAR,
        action="Take the answers out of the store (the lookup then misses, and the origin "
        "answers); put them back when the cycle runs more often than they expire, or changes "
        "raise their scope's version.",
    )


def _batch_trigger(cost: Cost) -> Trigger:
    units, served_usd = cost.units, cost.served_usd
    if units.batch > units.model or (served_usd is not None and served_usd >= units.fallback):
        state = State.PULLED
    elif cost.generated is not None and served_usd is not None:
        state = State.CLEAR
    else:
        state = State.UNKNOWN
    value = "nothing was served"
    if served_usd is not None:
        least = "at least " if cost.generated is None else ""
        value = f"{least}{per_million(served_usd)} against {per_million(units.fallback)} a million"
        if state is State.UNKNOWN:
            value += "; --generated N tells"
    return Trigger(
        name="batch dearer than real time",
        limit="a hit with its share of generation costs a fallback or more",
        value=value,
        state=state,
        action="Make fewer answers: leave out the users and actions whose answers are used less "
        "often than the break-even says, or make them less often; the rest falls back in real "
        "time.",
    )


def _edge_lambda_trigger(cost: Cost) -> Trigger:
    units = cost.units
    return Trigger(
        name="Lambda@Edge hit dearer than real time",
        limit="it costs a fallback or more",
        value=f"{per_million(units.edge_lambda)} against {per_million(units.fallback)} a million",
        state=State.PULLED if units.edge_lambda >= units.fallback else State.CLEAR,
        action="Each read through the store's API is billed like a write. Answer with a "
        "CloudFront Function, or let Lambda@Edge remember answers for longer, or read them from "
        "S3.",
    )
