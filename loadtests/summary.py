"""From samples to figures: one row per path and place, one per path, and the headline.

`as_document` is what `results.json` holds; `docs/results.md` explains every field of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.samples import FALLBACKS, HITS, DeliveryPath, Recording, Sample
from loadtests.statistics import bootstrap_interval, compare_ranks, percentile, percentile_interval

FEW_SAMPLES = 50
"""Below this a cell's percentiles are marked: a p95 then rests on its two or three worst values."""

LATE_MS = 1.0
"""A first byte counts as late when it missed the simulated time by more than this; a timer's own
jitter, a tenth of a millisecond, is not what anybody means by late."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Three percentiles of one measure, in milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % confidence intervals of a Spread; an end is None where samples are too few for it."""

    p50: tuple[float | None, float | None]
    p95: tuple[float | None, float | None]
    p99: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where the mean answer's milliseconds went; the four parts add up to the mean whole answer.

    Attributes:
        simulated_ms: Simulated time to first byte; real waiting for the origin is part of it.
        late_ms: By how much the emulator's first byte missed that.
        generator_ms: The rest until the first byte: the load generator, its lag, the loopback.
        body_ms: From the first byte to the end of the answer.
    """

    simulated_ms: float
    late_ms: float
    generator_ms: float
    body_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one path, at one place or (place None) at all of them.

    Percentiles are over good samples only; `requests` counts all, `errors` those that failed.
    A measure that no sample has, such as simulated times of real CloudFront, is None.
    """

    path: DeliveryPath
    place: str | None
    requests: int
    errors: int
    few: bool
    simulated_ms: Spread | None
    first_byte_ms: Spread | None
    first_token_ms: Spread | None
    whole_ms: Spread | None
    whole_ci95_ms: Intervals | None
    whole_bootstrap95_ms: Intervals | None
    overhead_ms: Spread | None
    late: int
    mean: Breakdown | None


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the headline.

    Attributes:
        requests: Good answers on this side.
        share: Their share of all requests, errors included.
        first_token_p50_ms: Median time until there was something to read. Of the fallbacks only
            the streamed ones count, the best that a fallback can do; None when none was streamed.
        whole_p50_ms: Median time until the answer was whole.
    """

    requests: int
    share: float
    first_token_p50_ms: float | None
    whole_p50_ms: float


@dataclass(frozen=True, slots=True)
class Headline:
    """Edge hit against fallback.

    Attributes:
        hit: Answers from the edge, whoever gave them.
        fallback: Answers from the origin, streamed or not.
        times_faster: The fallback's median whole answer over the hit's.
        times_faster_by_path: The same for each path that hit.
        times_faster_first_token: The same for the first thing to read, None without streams.
        mann_whitney_p: Probability of ranks this far apart if both paths were equally fast.
        cliffs_delta: -1 when every hit was faster than every fallback.
    """

    hit: Side
    fallback: Side
    times_faster: float
    times_faster_by_path: Mapping[DeliveryPath, float]
    times_faster_first_token: float | None
    mann_whitney_p: float
    cliffs_delta: float


@dataclass(frozen=True, slots=True)
class Generator:
    """How well the load generator held its own schedule.

    Attributes:
        arrivals: Requests of the whole run, warm-up included.
        lag_p50_ms: Median lag after the warm-up.
        lag_p99_ms: Its 99th percentile.
        lag_max_ms: Its worst.
        max_lag_ms: The 99th percentile that was allowed; None when the run did not say.
        missing: Samples that workers sent and that never came.
        void: The lag was above that, or samples are missing: the figures must not be used.
        unfinished: Requests given up because the run was over.
        stopped_early: Somebody ended the run before its time.
    """

    arrivals: int
    lag_p50_ms: float
    lag_p99_ms: float
    lag_max_ms: float
    max_lag_ms: float | None
    missing: int
    void: bool
    unfinished: int
    stopped_early: bool

    @property
    def lagged(self) -> bool:
        """Whether the generator was later than allowed."""
        return self.max_lag_ms is not None and self.lag_p99_ms > self.max_lag_ms

    @property
    def void_reason(self) -> str:
        """Why no figure may be used; empty when they may."""
        reasons = []
        if self.lagged:
            reasons.append(
                f"the load generator itself was {self.lag_p99_ms:.3g} ms late at p99, and "
                f"{self.max_lag_ms:g} ms were allowed"
            )
        if (self.void and not self.lagged) or self.missing:
            count = f"{self.missing:,} " if self.missing else ""
            reasons.append(f"{count}samples of its workers are missing")
        return "; ".join(reasons)


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything the table, the page and `results.json` say."""

    run: Mapping[str, Any]
    generator: Generator
    requests: int
    errors: int
    error_share: float
    error_kinds: Mapping[str, int]
    headline: Headline | None
    paths: tuple[Row, ...]
    cells: tuple[Row, ...]


def summarize(recording: Recording) -> Summary:
    """Compute every figure of a run; the warm-up is left out."""
    warmup_s = float(recording.run.get("warmup_s", 0.0))
    counted = [sample for sample in recording.samples if sample.intended_s >= warmup_s]
    errors = [sample for sample in counted if not sample.is_good]
    return Summary(
        run=recording.run,
        generator=_generator(recording, counted),
        requests=len(counted),
        errors=len(errors),
        error_share=len(errors) / len(counted) if counted else 0.0,
        error_kinds=_error_kinds(errors),
        headline=_headline(counted),
        paths=_rows(counted, lambda sample: None),
        cells=_rows(counted, lambda sample: sample.place),
    )


def as_document(summary: Summary) -> dict[str, Any]:
    """The content of `results.json`, in the order of `docs/results.md`."""
    return {"format": 1, **asdict(summary)}


def good_values(samples: Iterable[Sample], measure: str) -> list[float]:
    """One measure of all good samples that have it, in ascending order."""
    values = (getattr(sample, measure) for sample in samples if sample.is_good)
    return sorted(value for value in values if value is not None)


def _rows(samples: Iterable[Sample], place_of: Callable[[Sample], str | None]) -> tuple[Row, ...]:
    """A row per path and place, in the order of `DeliveryPath` and then of places."""
    groups: dict[tuple[DeliveryPath, str | None], list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.path, place_of(sample)].append(sample)
    order = list(DeliveryPath)
    keys = sorted(groups, key=lambda key: (order.index(key[0]), key[1] or ""))
    return tuple(_row(path, place, groups[path, place]) for path, place in keys)


def _row(path: DeliveryPath, place: str | None, samples: Sequence[Sample]) -> Row:
    good = sum(sample.is_good for sample in samples)
    whole = good_values(samples, "total_ms")
    return Row(
        path=path,
        place=place,
        requests=len(samples),
        errors=len(samples) - good,
        few=good < FEW_SAMPLES,
        simulated_ms=_spread(good_values(samples, "simulated_ms")),
        first_byte_ms=_spread(good_values(samples, "ttfb_ms")),
        first_token_ms=_spread(good_values(samples, "first_token_ms")),
        whole_ms=_spread(whole),
        whole_ci95_ms=_intervals(whole),
        whole_bootstrap95_ms=_bootstrap(whole),
        overhead_ms=_spread(good_values(samples, "overhead_ms")),
        late=sum(value > LATE_MS for value in good_values(samples, "late_ms")),
        mean=_breakdown(samples),
    )


def _spread(ordered: Sequence[float]) -> Spread | None:
    if not ordered:
        return None
    return Spread(*(percentile(ordered, q) for q in (0.5, 0.95, 0.99)))


def _intervals(ordered: Sequence[float]) -> Intervals | None:
    if not ordered:
        return None
    return Intervals(*(percentile_interval(ordered, q) for q in (0.5, 0.95, 0.99)))


def _bootstrap(ordered: Sequence[float]) -> Intervals | None:
    ends = [bootstrap_interval(ordered, q) for q in (0.5, 0.95, 0.99)]
    found = [pair for pair in ends if pair is not None]
    return Intervals(*found) if found else None


def _breakdown(samples: Iterable[Sample]) -> Breakdown | None:
    parts = [
        (sample.simulated_ms, sample.late_ms or 0.0, sample.ttfb_ms, sample.total_ms)
        for sample in samples
        if sample.is_good and sample.simulated_ms is not None and sample.ttfb_ms is not None
    ]
    if not parts:
        return None
    simulated, late, first_byte, whole = (
        sum(column) / len(parts) for column in zip(*parts, strict=True)
    )
    return Breakdown(
        simulated_ms=simulated,
        late_ms=late,
        # Never below zero: the two clocks are two processes', read a few microseconds apart.
        generator_ms=max(0.0, first_byte - simulated - late),
        body_ms=whole - first_byte,
    )


def _headline(samples: Sequence[Sample]) -> Headline | None:
    hits = [sample for sample in samples if sample.is_good and sample.path in HITS]
    fallbacks = [sample for sample in samples if sample.is_good and sample.path in FALLBACKS]
    if not hits or not fallbacks:
        return None
    streams = [sample for sample in fallbacks if sample.path is DeliveryPath.FALLBACK_STREAMED]
    hit, fallback = _side(hits, hits, len(samples)), _side(fallbacks, streams, len(samples))
    ranks = compare_ranks(good_values(hits, "total_ms"), good_values(fallbacks, "total_ms"))
    return Headline(
        hit=hit,
        fallback=fallback,
        times_faster=_ratio(fallback.whole_p50_ms, hit.whole_p50_ms),
        times_faster_by_path={
            path: _ratio(fallback.whole_p50_ms, median)
            for path in HITS
            if (median := _median(hits, path)) is not None
        },
        times_faster_first_token=(
            _ratio(fallback.first_token_p50_ms, hit.first_token_p50_ms)
            if fallback.first_token_p50_ms is not None and hit.first_token_p50_ms is not None
            else None
        ),
        mann_whitney_p=ranks.p,
        cliffs_delta=ranks.cliffs_delta,
    )


def _side(samples: Sequence[Sample], readable: Sequence[Sample], all_requests: int) -> Side:
    first_tokens = good_values(readable, "first_token_ms")
    return Side(
        requests=len(samples),
        share=len(samples) / all_requests,
        first_token_p50_ms=percentile(first_tokens, 0.5) if first_tokens else None,
        whole_p50_ms=percentile(good_values(samples, "total_ms"), 0.5),
    )


def _median(samples: Iterable[Sample], path: DeliveryPath) -> float | None:
    whole = good_values((sample for sample in samples if sample.path is path), "total_ms")
    return percentile(whole, 0.5) if whole else None


def _ratio(slow: float, fast: float) -> float:
    # A microsecond is the samples' own resolution.
    return slow / max(fast, 0.001)


def _generator(recording: Recording, counted: Sequence[Sample]) -> Generator:
    # Sorted over all samples: a request that failed was sent late all the same.
    lags = sorted(sample.lag_ms for sample in counted) or [0.0]
    max_lag_ms = recording.run.get("max_lag_ms")
    p99 = percentile(lags, 0.99)
    return Generator(
        arrivals=len(recording.samples),
        lag_p50_ms=percentile(lags, 0.5),
        lag_p99_ms=p99,
        lag_max_ms=lags[-1],
        max_lag_ms=max_lag_ms,
        missing=_missing(recording),
        void=(max_lag_ms is not None and p99 > max_lag_ms) or bool(recording.end.get("incomplete")),
        unfinished=int(recording.end.get("unfinished", 0)),
        # A run that was killed has no end at all.
        stopped_early=bool(recording.end.get("stopped_early", True)),
    )


def _missing(recording: Recording) -> int:
    # A worker that died did not say how many it sent.
    return sum(
        max(0, (worker.get("sent") or 0) - (worker.get("received") or 0))
        for worker in recording.end.get("workers", ())
    )


def _error_kinds(errors: Iterable[Sample]) -> dict[str, int]:
    kinds: dict[str, int] = defaultdict(int)
    for sample in errors:
        kinds[sample.error or f"HTTP {sample.status}"] += 1
    return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))
