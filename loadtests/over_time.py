"""Percentiles over the time of a run: hits and fallbacks, warm-up included and marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from loadtests.charts import LogAxis, chart
from loadtests.samples import FALLBACKS, HITS, DeliveryPath, Sample
from loadtests.statistics import percentile
from loadtests.table import duration

HEIGHT_PX = 240
LEAST = 8
"""Fewer answers than this in a slice of time are no percentile."""

_SLICES = 30
_SIDES: tuple[tuple[str, str, tuple[DeliveryPath, ...]], ...] = (
    ("hit", "edge", HITS),
    ("fallback", "fallback", FALLBACKS),
)


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of time: the median and p95 of the whole answer; None of too few answers."""

    start_s: float
    answers: int
    p50_ms: float | None
    p95_ms: float | None


def slices(samples: Sequence[Sample], length_s: float, width_s: float) -> tuple[Slice, ...]:
    """Percentiles for each slice, by the moment a request was meant to start."""
    values: list[list[float]] = [[] for _ in range(max(1, math.ceil(length_s / width_s)))]
    for sample in samples:
        if sample.is_good:
            values[min(len(values) - 1, int(sample.intended_s / width_s))].append(sample.total_ms)
    return tuple(_slice(index * width_s, sorted(found)) for index, found in enumerate(values))


def over_time_section(samples: Sequence[Sample], warmup_s: float) -> str:
    """Medians and p95 over time; empty when there are too few answers to draw a line."""
    if not samples:
        return ""
    length_s = max(sample.intended_s for sample in samples) + 0.001
    width_s = slice_width_s(length_s, len(samples))
    lines = [
        (css_class, word, slices([one for one in samples if one.path in paths], length_s, width_s))
        for css_class, word, paths in _SIDES
    ]
    drawn = [
        value
        for _, _, line in lines
        for one in line
        for value in (one.p50_ms, one.p95_ms)
        if value is not None
    ]
    if len(drawn) < 4:
        return ""
    axis = LogAxis.around(drawn)
    shapes = [_ground(axis, length_s, warmup_s)]
    for css_class, word, line in lines:
        for name in ("p95", "p50"):
            shapes.append(_line(axis, line, name, length_s, width_s, css_class, word))
    ticks = "".join(
        f'<span style="top:{_y(axis, tick):.1f}px">{duration(tick)}</span>'
        for tick in axis.decades()
    )
    picture = chart("".join(shapes), HEIGHT_PX, "p50 and p95 over the time of the run")
    keys = "".join(
        f'<li class="{css_class}"><i></i>{word}: median and, thin, p95</li>'
        for css_class, word, line in lines
        if any(one.p50_ms is not None for one in line)
    )
    return (
        '<section id="time"><h2>Over time</h2><p>The whole answer, in slices of '
        f"{width_s:g} s by the moment each request was meant to start; logarithmic. A slice of "
        f"fewer than {LEAST} answers is left out. Shaded: the warm-up, which no other figure "
        f'counts.</p><ul class="legend">{keys}</ul><div class="timed"><div class="ticks">{ticks}'
        f'</div>{picture}</div><div class="timed"><div></div>{_seconds(length_s)}</div>'
        f"{_table(lines)}</section>"
    )


def slice_width_s(length_s: float, answers: int) -> float:
    """A round width that gives about thirty slices, or fewer when answers are few."""
    wanted = max(2, min(_SLICES, answers // (4 * LEAST)))
    raw = length_s / wanted
    decade = 10.0 ** math.floor(math.log10(raw))
    return min(step * decade for step in (1, 2, 5, 10) if step * decade >= raw * (1 - 1e-9))


def _slice(start_s: float, ordered: Sequence[float]) -> Slice:
    if len(ordered) < LEAST:
        return Slice(start_s, len(ordered), None, None)
    return Slice(start_s, len(ordered), percentile(ordered, 0.5), percentile(ordered, 0.95))


def _ground(axis: LogAxis, length_s: float, warmup_s: float) -> str:
    warm = min(100.0, 100 * warmup_s / length_s)
    shade = f'<rect class="warmup" x="0" y="0" width="{warm:.2f}%" height="100%"/>'
    return shade + "".join(
        f'<line class="grid" x1="0" x2="100%" y1="{_y(axis, tick):.1f}" y2="{_y(axis, tick):.1f}"/>'
        for tick in axis.decades()
    )


def _line(
    axis: LogAxis,
    line: Sequence[Slice],
    name: str,
    length_s: float,
    width_s: float,
    css_class: str,
    word: str,
) -> str:
    points = []
    for one in line:
        value = one.p50_ms if name == "p50" else one.p95_ms
        if value is not None:
            middle_s = min(length_s, one.start_s + width_s / 2)
            points.append((100 * middle_s / length_s, _y(axis, value), value, one))
    # Lines, not a path: a path has no percentages, and nothing here has a fixed width.
    strokes = "".join(
        f'<line x1="{x1:.2f}%" y1="{y1:.1f}" x2="{x2:.2f}%" y2="{y2:.1f}"/>'
        for (x1, y1, _, _), (x2, y2, _, _) in pairwise(points)
    )
    dots = "".join(
        f'<circle cx="{x:.2f}%" cy="{y:.1f}" r="{3 if name == "p50" else 2}"><title>{word}, '
        f"{one.start_s:g} s: {name} {duration(value)} of {one.answers} answers</title></circle>"
        for x, y, value, one in points
    )
    return f'<g class="curve {css_class} {name}-line">{strokes}{dots}</g>'


def _seconds(length_s: float) -> str:
    step_s = slice_width_s(length_s, 6 * 4 * LEAST)
    marks = [step_s * number for number in range(int(length_s / step_s) + 1)]
    labels = "".join(
        f'<text x="{100 * mark / length_s:.2f}%" y="14" text-anchor="'
        f'{"start" if not mark else "end" if mark / length_s > 0.97 else "middle"}">{mark:g} s'
        "</text>"
        for mark in marks
    )
    return f'<svg class="scale" height="18" aria-hidden="true">{labels}</svg>'


def _table(lines: Sequence[tuple[str, str, tuple[Slice, ...]]]) -> str:
    head = "".join(f"<th>{word}</th><th>p50</th><th>p95</th>" for _, word, _ in lines)
    rows = "".join(
        f"<tr><td>{row[0].start_s:g} s</td>"
        + "".join(
            f"<td>{one.answers}</td><td>{_shown(one.p50_ms)}</td><td>{_shown(one.p95_ms)}</td>"
            for one in row
        )
        + "</tr>"
        for row in zip(*(line for _, _, line in lines), strict=True)
    )
    return (
        '<details><summary>As a table</summary><div class="scroll"><table><thead><tr><th>from</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _shown(value: float | None) -> str:
    return "–" if value is None else duration(value)


def _y(axis: LogAxis, value_ms: float) -> float:
    return 4 + (HEIGHT_PX - 8) * (1 - axis.percent(value_ms) / 100)
