"""A run for other tools: `samples.csv`, `results.csv`, and `report.md` for a pull request."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from loadtests.comparison import BaselineComparison, Judgement
from loadtests.cost import Cost, State, capacity_line, per_million
from loadtests.objectives import Status
from loadtests.samples import PARTS, DeliveryPath, Recording, Sample
from loadtests.summary import Row, Spread, Summary
from loadtests.table import duration, times

_SAMPLE_FIELDS = tuple(field.name for field in fields(Sample) if field.name != "parts_ms")
_MEASURES = ("simulated_ms", "first_byte_ms", "first_token_ms", "whole_ms", "overhead_ms")


def samples_csv(recording: Recording) -> str:
    """Every sample, the warm-up's too (`is_warmup`), a column for each field and each part."""
    warmup_s = float(recording.run.get("warmup_s", 0.0))
    head = ["is_warmup", *_SAMPLE_FIELDS, *(f"part_{part}_ms" for part in PARTS)]
    return _csv(head, (_sample_cells(one, warmup_s) for one in recording.samples))


def results_csv(summary: Summary) -> str:
    """A line for each path, and for each path at each place; percentiles in milliseconds."""
    head = ["path", "place", "requests", "errors", "few_answers", "late"]
    head += [f"{measure.removesuffix('_ms')}_{name}_ms" for measure in _MEASURES for name in _NAMES]
    return _csv(head, (_row_cells(row) for row in (*summary.paths, *summary.cells)))


def markdown(summary: Summary, judgement: Judgement | None = None, cost: Cost | None = None) -> str:
    """The run in a few lines of Markdown."""
    return "\n".join(_markdown(summary, judgement, cost)) + "\n"


_NAMES = ("p50", "p95", "p99")


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return file.getvalue()


def _sample_cells(sample: Sample, warmup_s: float) -> list[Any]:
    parts = sample.parts_ms
    return [
        sample.intended_s < warmup_s,
        *(getattr(sample, name) for name in _SAMPLE_FIELDS),
        *(parts.get(part, 0.0) if parts is not None else None for part in PARTS),
    ]


def _row_cells(row: Row) -> list[Any]:
    cells: list[Any] = [row.path, row.place, row.requests, row.errors, row.few, row.late]
    for measure in _MEASURES:
        spread: Spread | None = getattr(row, measure)
        cells += [getattr(spread, name) if spread else None for name in _NAMES]
    return cells


def _markdown(summary: Summary, judgement: Judgement | None, cost: Cost | None) -> Iterator[str]:
    run, headline = summary.run, summary.headline
    yield f"### {headline_words(summary)}"
    yield ""
    if summary.generator.void:
        yield f"**This run is void: {summary.generator.void_reason}.** Do not use these figures."
        yield ""
    if headline:
        yield (
            f"{headline.hit.share:.0%} of {summary.requests:,} requests were answered at the edge, "
            f"in {duration(headline.hit.whole_p50_ms)} at the median; the other "
            f"{headline.fallback.share:.0%} fell back and waited "
            f"{duration(headline.fallback.whole_p50_ms)}."
        )
        yield ""
    yield "| path | requests | errors | p50 | p95 | p99 | first token p95 |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in summary.paths:
        yield _markdown_row(row)
    yield ""
    if judgement is not None:
        yield from _judged(judgement)
    if cost is not None:
        yield from _costs(cost)
    yield (
        f"<sub>{run.get('host', '?')}, {run.get('rate_per_s', '?')} requests/s for "
        f"{run.get('run_time_s', '?')} s, seed {run.get('seed', '?')}, {run.get('started', '?')}. "
        f"Whole answers, exact; the generator's own lag was "
        f"{summary.generator.lag_p99_ms:.3g} ms at p99.</sub>"
    )


def headline_words(summary: Summary) -> str:
    """The headline: how many times faster, for which share of requests."""
    if summary.headline is None:
        return "Load test: edge and fallback cannot be compared, the run has only one of them"
    return (
        f"The edge is {times(summary.headline.times_faster)} times faster for "
        f"{summary.headline.hit.share:.0%} of requests"
    )


def _markdown_row(row: Row) -> str:
    whole = row.whole_ms
    figures = [duration(value) for value in (whole.p50, whole.p95, whole.p99)] if whole else []
    first = duration(row.first_token_ms.p95) if row.first_token_ms else "–"
    cells = [row.path.label, f"{row.requests:,}", f"{row.errors:,}", *(figures or ["–"] * 3), first]
    mark = " (few answers)" if row.few and row.path is not DeliveryPath.ERROR else ""
    return f"| {cells[0]}{mark} | " + " | ".join(cells[1:]) + " |"


def _judged(judgement: Judgement) -> Iterator[str]:
    for title, results in (("Objectives", judgement.slo), ("Health targets", judgement.health)):
        judged = [one for one in results if one.status is not Status.UNKNOWN]
        missed = [one for one in judged if one.status is Status.MISSED]
        if results:
            yield f"- {title}: {len(judged) - len(missed)} of {len(judged)} met"
        for one in missed:
            where = f" ({one.where})" if one.where else ""
            objective = one.objective
            yield (
                f"  - missed: {objective.name}: {objective.show(one.value)}{where}, wanted "
                f"{objective.limit}"
            )
    if judgement.baseline is not None:
        yield _baseline(judgement.baseline)


def _baseline(baseline: BaselineComparison) -> str:
    if not baseline.runs:
        return "- Baseline: none yet, this run begins it"
    runs = "one run" if baseline.runs == 1 else f"{baseline.runs} runs"
    if not baseline.severity:
        return f"- Baseline of {runs}: no regression"
    changes = (baseline.errors, *baseline.paths, *baseline.cells)
    worst = [one for one in changes if one and one.severity is baseline.severity]
    named = "; ".join(
        f"{one.path.label}{f', {one.place}' if one.place else ''}: {one.reason}"
        for one in worst[:3]
    )
    return f"- **{baseline.severity.label}** against the baseline of {runs}: {named}"


def _costs(cost: Cost) -> Iterator[str]:
    yield (
        f"- Cost of a million answers ({cost.assumptions.model}, prices of {cost.prices.dated}): "
        f"hit {per_million(cost.units.of(cost.serve))}, fallback "
        f"{per_million(cost.units.fallback)}, made ahead of time "
        f"{per_million(cost.units.precomputed)}"
    )
    if cost.wasted is not None:
        yield f"- Wasted generations: {cost.wasted:,} of {cost.generated:,}"
    for trigger in cost.triggers:
        if trigger.state is State.PULLED:
            yield f"- **Turn back**: {trigger.name}: {trigger.value}. {trigger.action}"
    if cost.capacity is not None:
        yield f"- Capacity: {capacity_line(cost.capacity)}"
    yield ""
