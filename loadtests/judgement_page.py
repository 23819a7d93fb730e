"""The report's sections on judging, and where the simulated milliseconds went; and their JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from loadtests.charts import chart, stacked
from loadtests.comparison import (
    BaselineComparison,
    CellChange,
    Judgement,
    is_within_chance,
)
from loadtests.objectives import ObjectiveResult, Status
from loadtests.regression import Rise
from loadtests.samples import PARTS, DeliveryPath, Sample
from loadtests.table import duration

_DASH = "–"
_WORDS = {Status.MET: "met", Status.MISSED: "missed", Status.UNKNOWN: "too few answers"}
_PART_WORDS = {
    "connection": "setting up connections",
    "viewer": "viewer's round trip",
    "network": "AWS's network",
    "function": "edge function",
    "store": "key value store",
    "cache": "caches",
    "gateway": "API Gateway",
    "origin": "origin",
    "model": "model",
    "fault": "faults on purpose",
    "other": "other",
}


def judgement_sections(judgement: Judgement | None) -> str:
    """Health targets, objectives, the comparison with the baseline; empty without a judgement."""
    if judgement is None:
        return ""
    parts = []
    if judgement.baseline is not None:
        parts.append(_baseline_section(judgement.baseline))
    if judgement.slo:
        parts.append(
            _section(
                "Objectives",
                "What was asked of this run with --slo; a missed one is its exit code.",
                _objectives(judgement.slo),
            )
        )
    if judgement.health:
        parts.append(
            _section(
                "Health targets",
                "What a healthy run looks like. The value is the worst one where several were "
                "judged; an objective that too few answers stand for is neither met nor missed.",
                _objectives(judgement.health),
            )
        )
    return "".join(parts)


def parts_section(samples: Sequence[Sample]) -> str:
    """Where the simulated time to the first byte went, a stacked bar per path."""
    means = mean_parts(samples)
    if not means:
        return ""
    longest = max(sum(parts.values()) for parts in means.values())
    used = [part for part in PARTS if any(parts.get(part, 0) > 0 for parts in means.values())]
    legend = "".join(
        f'<li class="component-{part}"><i class="square"></i>{_PART_WORDS[part]}</li>'
        for part in used
    )
    rows = "".join(_parts_row(path, means[path], longest) for path in DeliveryPath if path in means)
    body = "".join(
        f"<tr><td>{path.label}</td>"
        + "".join(f"<td>{_figure(means[path].get(part))}</td>" for part in used)
        + "</tr>"
        for path in DeliveryPath
        if path in means
    )
    head = "".join(f"<th>{_PART_WORDS[part]}</th>" for part in used)
    return _section(
        "What the first byte waited for",
        "The mean simulated time to the first byte, by what it was spent on. Upper bars compare "
        "the paths on one scale; lower bars show the shares of each path by itself. The store of "
        "Lambda@Edge and the model are what they say of themselves (Server-Timing).",
        f'<ul class="legend">{legend}</ul>{rows}<details><summary>As a table, ms</summary>'
        f'<div class="scroll"><table><thead><tr><th>path</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>",
    )


def mean_parts(samples: Sequence[Sample]) -> dict[DeliveryPath, dict[str, float]]:
    """The mean milliseconds of each part, per path; good answers that have parts."""
    found: dict[DeliveryPath, dict[str, float]] = {}
    for path in DeliveryPath:
        mine = [
            one.parts_ms for one in samples if one.path is path and one.is_good and one.parts_ms
        ]
        if mine:
            found[path] = {
                part: sum(parts.get(part, 0.0) for parts in mine) / len(mine) for part in PARTS
            }
    return found


def judgement_document(judgement: Judgement | None) -> dict[str, Any]:
    """`judgement` in `results.json`."""
    if judgement is None:
        return {"health": [], "slo": [], "baseline": None}
    baseline = judgement.baseline
    return {
        "health": [_objective_document(result) for result in judgement.health],
        "slo": [_objective_document(result) for result in judgement.slo],
        "baseline": baseline
        and {
            "runs": baseline.runs,
            "days": baseline.days,
            "severity": baseline.severity.label,
            "errors": _change_document(baseline.errors) if baseline.errors else None,
            "paths": [_change_document(change) for change in baseline.paths],
            "cells": [_change_document(change) for change in baseline.cells],
        },
    }


def _objective_document(result: ObjectiveResult) -> dict[str, Any]:
    objective = result.objective
    return {
        "name": objective.name,
        "measure": objective.measure,
        "limit": objective.limit,
        "status": result.status,
        "value": result.value,
        "where": result.where,
        "samples": result.samples,
    }


def _change_document(change: CellChange) -> dict[str, Any]:
    return {
        **asdict(change),
        "severity": change.severity.label,
        "p95": _rise_document(change.p95),
        "first_token_p95": _rise_document(change.first_token_p95),
        "error_rate": _rise_document(change.error_rate),
    }


def _rise_document(rise: Rise | None) -> dict[str, float | None] | None:
    if rise is None:
        return None
    return {
        "old": rise.old,
        "new": rise.new,
        "change": rise.change,
        "low": rise.low,
        "high": rise.high,
    }


def _parts_row(path: DeliveryPath, parts: dict[str, float], longest: float) -> str:
    whole = sum(parts.values())
    shapes = [
        (parts.get(part, 0.0), f"component-{part}", f"{_PART_WORDS[part]}: {duration(ms)}")
        for part in PARTS
        if (ms := parts.get(part, 0.0)) > 0
    ]
    label = f"{path.label}: " + ", ".join(title for _, _, title in shapes)
    scaled = chart(stacked(shapes, 10), 10, label)
    shares = chart(stacked(shapes, 22), 22, f"{path.label}, as shares")
    top = sorted(shapes, reverse=True)[:2]
    width = 100 * whole / (longest or 1)
    return (
        f'<div class="row"><div><h3>{path.label}</h3><div>{duration(whole)} on average</div></div>'
        f'<div class="bars"><div style="width:{max(width, 0.3):.2f}%;margin-bottom:3px">{scaled}'
        f'</div>{shares}</div><div class="figures">'
        + "<br>".join(escape(title) for _, _, title in top)
        + "</div></div>"
    )


def _baseline_section(baseline: BaselineComparison) -> str:
    if not baseline.runs:
        return _section(
            "Compared with before",
            f"No run of this load in the last {baseline.days:g} days: this one begins the "
            "baseline.",
            "",
        )
    word = baseline.severity.label if baseline.severity else "no regression"
    runs = "one run" if baseline.runs == 1 else f"{baseline.runs} runs"
    shown = [*baseline.paths, *(one for one in baseline.cells if one.severity)]
    errors = baseline.errors
    error_row = ""
    if errors and errors.error_rate:
        rate = errors.error_rate
        error_row = (
            f"<tr><td>requests that failed</td>{_severity(errors)}<td>{rate.old:.2%}</td>"
            f"<td>{rate.new:.2%}</td><td>{rate.change * 100:+.2f} points</td>"
            f"<td>{_interval(rate, 'points')}</td><td>{_DASH}</td></tr>"
        )
    head = "".join(
        f"<th>{title}</th>"
        for title in ("p95, whole answer", "", "then", "now", "change", "interval", "Cliff's δ")
    )
    return _section(
        f"Compared with before: {word}",
        f"Against {runs} of the same load in the last {baseline.days:g} days. A rise counts when "
        "it is large enough (+10 %, +25 %, +50 %: SEV-3, SEV-2, SEV-1), when its interval lies "
        "above zero, and when it is above what the baseline's own runs do among themselves. "
        "Places are listed where they got worse.",
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>'
        + "".join(_change_row(change) for change in shown)
        + f"{error_row}</tbody></table></div>",
    )


def _change_row(change: CellChange) -> str:
    name = f"{change.path.label}, {change.place}" if change.place else change.path.label
    delta = _DASH if change.cliffs_delta is None else f"{change.cliffs_delta:+.2f}"
    rise = change.p95
    if rise is None:
        figures = f'<td colspan="4">too few answers</td><td>{delta}</td>'
    else:
        figures = (
            f"<td>{duration(rise.old)}</td><td>{duration(rise.new)}</td>"
            f"<td>{rise.change:+.0%}</td><td>{_interval(rise, '%')}</td><td>{delta}</td>"
        )
    return f"<tr><td>{escape(name)}</td>{_severity(change)}{figures}</tr>"


def _severity(change: CellChange) -> str:
    if not change.severity:
        return f'<td class="unknown">{"within chance" if is_within_chance(change) else ""}</td>'
    words = f"{change.severity.label}: {change.reason}"
    return f'<td class="missed">{escape(words)}</td>'


def _interval(rise: Rise, unit: str) -> str:
    digits = 0 if unit == "%" else 2
    ends = ("open" if end is None else f"{end * 100:+.{digits}f}" for end in (rise.low, rise.high))
    return f"{' to '.join(ends)} {unit}"


def _objectives(results: Sequence[ObjectiveResult]) -> str:
    head = "".join(f"<th>{title}</th>" for title in ("", "", "wanted", "was", "where"))
    return (
        f'<div class="scroll"><table class="objectives"><thead><tr>{head}</tr></thead><tbody>'
        + "".join(map(_objective_row, results))
        + "</tbody></table></div>"
    )


def _objective_row(result: ObjectiveResult) -> str:
    objective = result.objective
    return (
        f'<tr><td>{escape(objective.name)}</td><td class="{result.status}">'
        f"{_WORDS[result.status]}</td><td>{escape(objective.limit)}</td>"
        f"<td>{objective.show(result.value)}</td><td>{escape(result.where) or _DASH}</td></tr>"
    )


def _figure(ms: float | None) -> str:
    return _DASH if not ms else f"{ms:.3g}" if ms < 100 else f"{ms:.0f}"


def _section(heading: str, text: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2><p>{text}</p>{content}</section>"
