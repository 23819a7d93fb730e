"""Compares a run with its baseline: the runs of the same load in the last days."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtests.comparison import BaselineComparison, CellChange
from loadtests.history import BASELINE_DAYS, Cell
from loadtests.regression import (
    Rise,
    Severity,
    Thresholds,
    percentile_rise,
    rate_rise,
    severity_of,
)
from loadtests.samples import DeliveryPath
from loadtests.statistics import compare_ranks, percentile
from loadtests.summary import FEW_SAMPLES, Spread

_RISES_PER_CELL = 3
"""The p95, the first token's p95 and the error rate."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One cell, or several together."""

    requests: int
    errors: int
    whole_ms: Sequence[float]
    first_token_ms: Sequence[float]


_Key = tuple[DeliveryPath | None, str | None]


def compare_with_baseline(
    run: Sequence[Cell],
    baseline: Sequence[Sequence[Cell]],
    thresholds: Thresholds | None = None,
    days: float = BASELINE_DAYS,
) -> BaselineComparison:
    """Set a run's cells beside those of the baseline's runs.

    Args:
        run: The run's cells.
        baseline: The cells of each run of the baseline.
        thresholds: From which rise on a regression is how severe.
        days: How far back the baseline reaches.
    """
    thresholds = thresholds or Thresholds()
    if not baseline:
        return BaselineComparison(0, days, None, (), (), Severity.NONE)
    # All errors in one place: one without an answer has no path that it could be counted on.
    errors = _changes([(None, None)], run, baseline, thresholds, 1)[0]
    good = [cell for cell in run if cell.path is not DeliveryPath.ERROR]
    path_keys: list[_Key] = _ordered({(cell.path, None) for cell in good})
    cell_keys: list[_Key] = _ordered({(cell.path, cell.place) for cell in good})
    paths = _changes(path_keys, run, baseline, thresholds, 2 * len(path_keys))
    cells = _changes(cell_keys, run, baseline, thresholds, 2 * len(cell_keys))
    return BaselineComparison(
        runs=len(baseline),
        days=days,
        errors=errors,
        paths=paths,
        cells=cells,
        severity=max(one.severity for one in (errors, *paths, *cells)),
    )


def _ordered(keys: Iterable[_Key]) -> list[_Key]:
    order = list(DeliveryPath)
    return sorted(keys, key=lambda key: (order.index(key[0]) if key[0] else -1, key[1] or ""))


def _changes(
    keys: Sequence[_Key],
    run: Sequence[Cell],
    baseline: Sequence[Sequence[Cell]],
    thresholds: Thresholds,
    family: int,
) -> tuple[CellChange, ...]:
    """The changes of some cells, whose intervals share the error that is allowed for all."""
    tail = (1 - thresholds.confidence) / (family * _RISES_PER_CELL)
    found = []
    for key in keys:
        befores = [side for cells in baseline if (side := _side(key, cells)) is not None]
        side = _side(key, run)
        if side is not None and befores:
            found.append(_change(key, side, befores, thresholds, 1 - tail))
    return tuple(found)


def _side(key: _Key, cells: Sequence[Cell]) -> _Side | None:
    path, place = key
    chosen = [cell for cell in cells if path in (None, cell.path) and place in (None, cell.place)]
    if not chosen:
        return None
    return _joined(
        [_Side(one.requests, one.errors, one.whole_ms, one.first_token_ms) for one in chosen]
    )


def _joined(sides: Sequence[_Side]) -> _Side:
    if len(sides) == 1:
        return sides[0]
    return _Side(
        requests=sum(side.requests for side in sides),
        errors=sum(side.errors for side in sides),
        whole_ms=list(heapq.merge(*(side.whole_ms for side in sides))),
        first_token_ms=list(heapq.merge(*(side.first_token_ms for side in sides))),
    )


def _change(
    key: _Key, new: _Side, befores: Sequence[_Side], thresholds: Thresholds, confidence: float
) -> CellChange:
    old = _joined(befores)
    path, place = key
    is_total = path is None
    # Times of different paths do not mix; the total is there for its errors.
    p95 = (
        None
        if is_total
        else _p95(new.whole_ms, old.whole_ms, [side.whole_ms for side in befores], confidence)
    )
    first = (
        None
        if is_total
        else _p95(
            new.first_token_ms,
            old.first_token_ms,
            [side.first_token_ms for side in befores],
            confidence,
        )
    )
    errors = rate_rise(
        (new.errors, new.requests),
        (old.errors, old.requests),
        [side.errors / side.requests for side in befores],
        confidence,
    )
    least = thresholds.min_rise_ms
    severity, reason = max(
        (
            (severity_of(p95, thresholds.p95, least), f"p95 {_percent(p95)}"),
            (
                severity_of(first, thresholds.first_token_p95, least),
                f"first token p95 {_percent(first)}",
            ),
            (
                severity_of(errors, thresholds.error_rate),
                f"error rate {errors.old:.2%} to {errors.new:.2%}",
            ),
        ),
        key=lambda one: one[0],
    )
    ranks = None
    if new.whole_ms and old.whole_ms and not is_total:
        ranks = compare_ranks(new.whole_ms, old.whole_ms)
    return CellChange(
        path=path or DeliveryPath.ERROR,
        place=place,
        requests=new.requests,
        baseline_requests=old.requests,
        old_ms=None if is_total else _spread(old.whole_ms),
        new_ms=None if is_total else _spread(new.whole_ms),
        p95=p95,
        first_token_p95=first,
        error_rate=errors,
        cliffs_delta=ranks.cliffs_delta if ranks else None,
        mann_whitney_p=ranks.p if ranks else None,
        severity=severity,
        reason=reason if severity else "",
    )


def _p95(
    new: Sequence[float], old: Sequence[float], runs: Sequence[Sequence[float]], confidence: float
) -> Rise | None:
    if len(new) < FEW_SAMPLES or len(old) < FEW_SAMPLES:
        return None
    of_runs = [percentile(values, 0.95) for values in runs if len(values) >= FEW_SAMPLES]
    return percentile_rise(new, old, of_runs, 0.95, confidence)


def _spread(ordered: Sequence[float]) -> Spread | None:
    return Spread(*(percentile(ordered, q) for q in (0.5, 0.95, 0.99))) if ordered else None


def _percent(rise: Rise | None) -> str:
    return f"{rise.change:+.0%}" if rise else ""
