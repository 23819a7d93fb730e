"""A run beside its baseline, as values: `baseline.py` fills them, report and terminal show them."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.objectives import ObjectiveResult
from loadtests.regression import Rise, Severity, Thresholds
from loadtests.samples import DeliveryPath
from loadtests.summary import Spread


@dataclass(frozen=True, slots=True)
class CellChange:
    """One path, at one place or (place None) at all of them, then and now.

    Attributes:
        path: The way.
        place: Where; None for all places together.
        requests: In this run.
        baseline_requests: In the baseline, all its runs together.
        old_ms: The baseline's whole answer; None without good answers on one of the sides.
        new_ms: This run's.
        p95: How much its p95 rose, with the interval; None when there is nothing to compare.
        first_token_p95: The same for the first token.
        error_rate: The same for the share of requests that failed; `change` is a difference.
        cliffs_delta: Effect size over all whole answers, from -1 (all faster than before) to 1.
        mann_whitney_p: Probability of ranks this far apart if nothing had changed; decides nothing.
        severity: The worst of the three rises.
        reason: What made it so, such as `p95 +31 %`; empty without severity.
    """

    path: DeliveryPath
    place: str | None
    requests: int
    baseline_requests: int
    old_ms: Spread | None
    new_ms: Spread | None
    p95: Rise | None
    first_token_p95: Rise | None
    error_rate: Rise | None
    cliffs_delta: float | None
    mann_whitney_p: float | None
    severity: Severity
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BaselineComparison:
    """A run against the runs of the same load in the last days.

    Attributes:
        runs: How many runs the baseline has; 0 when this is the first one.
        days: How far back it reaches.
        errors: The error rate of the whole run; None without a baseline.
        paths: One for each path, all places together.
        cells: One for each path and place.
        severity: The worst of all.
    """

    runs: int
    days: float
    errors: CellChange | None
    paths: tuple[CellChange, ...]
    cells: tuple[CellChange, ...]
    severity: Severity


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a run is held against, and what came of it.

    Attributes:
        health: The health targets, which every run is held against.
        slo: The objectives of `--slo`; empty without.
        baseline: The comparison with the history; None without one.
    """

    health: tuple[ObjectiveResult, ...] = ()
    slo: tuple[ObjectiveResult, ...] = ()
    baseline: BaselineComparison | None = None


def is_within_chance(change: CellChange) -> bool:
    """Whether a p95 rose by enough to matter, and yet the run cannot tell it from chance."""
    rise = change.p95
    return not change.severity and rise is not None and rise.change >= Thresholds().p95[0]
