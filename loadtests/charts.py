"""Charts as inline SVG that fits any width.

Every horizontal position is a percentage and nothing has a viewBox, so a chart stretches with the
page while its text, dots and lines keep their size; what must not stretch is HTML around it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from loadtests.table import duration

BINS = 72


@dataclass(frozen=True, slots=True)
class LogAxis:
    """A logarithmic axis of milliseconds, from `low_ms` at 0 % to `high_ms` at 100 %."""

    low_ms: float
    high_ms: float

    @classmethod
    def around(cls, values_ms: Iterable[float]) -> LogAxis:
        """The axis that holds all values, its ends rounded outwards to 1, 2 or 5 times a decade."""
        # A microsecond is the finest a sample can tell, and zero has no logarithm.
        values = [max(value, 0.001) for value in values_ms] or [1.0]
        return cls(_rounded_down(min(values)), _rounded_up(max(values)))

    def percent(self, value_ms: float) -> float:
        """Where a value lies, from 0 to 100; what is outside lies on the end."""
        ratio = math.log(max(value_ms, 1e-9) / self.low_ms) / math.log(self.high_ms / self.low_ms)
        return 100 * min(1.0, max(0.0, ratio))

    def decades(self) -> Iterator[float]:
        """1, 10, 100 ... as far as they are on the axis."""
        exponent = math.ceil(math.log10(self.low_ms) - 1e-9)
        while 10.0**exponent <= self.high_ms * (1 + 1e-9):
            yield 10.0**exponent
            exponent += 1


def grid(axis: LogAxis) -> str:
    """Vertical lines at the decades, for the background of a chart."""
    return "".join(
        f'<line class="grid" x1="{_pc(axis.percent(tick))}" x2="{_pc(axis.percent(tick))}" '
        'y1="0" y2="100%"/>'
        for tick in axis.decades()
    )


def scale(axis: LogAxis) -> str:
    """The axis' own labels, as a chart of one line's height."""
    labels = "".join(
        f'<text x="{_pc(axis.percent(tick))}" y="13" text-anchor="{_anchor(axis.percent(tick))}">'
        f"{_tick(tick)}</text>"
        for tick in axis.decades()
    )
    return f'<svg class="scale" height="18" aria-hidden="true">{labels}</svg>'


def histogram(axis: LogAxis, values_ms: Sequence[float], css_class: str, height: int = 64) -> str:
    """How often each latency was seen, on a logarithmic axis, as high as the fullest bin."""
    counts = [0] * BINS
    for value in values_ms:
        counts[min(BINS - 1, int(axis.percent(value) / 100 * BINS))] += 1
    highest = max(counts, default=0) or 1
    width = 100 / BINS
    bars = "".join(
        f'<rect class="{css_class}" x="{_pc(index * width)}" width="{_pc(width)}" '
        f'y="{height - _tall(count, highest, height):.1f}" '
        f'height="{_tall(count, highest, height):.1f}">'
        f"<title>{_bin_title(axis, index, count)}</title></rect>"
        for index, count in enumerate(counts)
        if count
    )
    return grid(axis) + bars


def peaks(
    axis: LogAxis, values_ms: Sequence[float], css_class: str, height: int, bins: int = 36
) -> str:
    """A small histogram without words, as high as its own fullest bin."""
    counts = [0] * bins
    for value in values_ms:
        counts[min(bins - 1, int(axis.percent(value) / 100 * bins))] += 1
    highest = max(counts, default=0) or 1
    return "".join(
        f'<rect class="{css_class}" x="{_pc(100 * index / bins)}" width="{_pc(100 / bins)}" '
        f'y="{height - _tall(count, highest, height):.1f}" '
        f'height="{_tall(count, highest, height):.1f}"/>'
        for index, count in enumerate(counts)
        if count
    )


def marker(axis: LogAxis, value_ms: float, css_class: str, title: str) -> str:
    """A vertical line across a chart's whole height."""
    x = _pc(axis.percent(value_ms))
    return (
        f'<line class="{css_class}" x1="{x}" x2="{x}" y1="0" y2="100%">'
        f"<title>{escape(title)}</title></line>"
    )


def span(
    axis: LogAxis, p50_ms: float, p95_ms: float, p99_ms: float, y: float, css_class: str, title: str
) -> str:
    """A dot at the median, a bar to p95 and a thin line to p99."""
    x50, x95, x99 = (_pc(axis.percent(value)) for value in (p50_ms, p95_ms, p99_ms))
    return (
        f'<g class="span {css_class}"><title>{escape(title)}</title>'
        f'<line class="thin" x1="{x50}" x2="{x99}" y1="{y:g}" y2="{y:g}"/>'
        f'<line class="thick" x1="{x50}" x2="{x95}" y1="{y:g}" y2="{y:g}"/>'
        f'<circle cx="{x50}" cy="{y:g}" r="4.5"/></g>'
    )


def ring(axis: LogAxis, value_ms: float, y: float, css_class: str, title: str) -> str:
    """A hollow dot, for a second median on a row."""
    return (
        f'<circle class="ring {css_class}" cx="{_pc(axis.percent(value_ms))}" cy="{y:g}" r="4">'
        f"<title>{escape(title)}</title></circle>"
    )


def stacked(parts: Sequence[tuple[float, str, str]], height: int) -> str:
    """One bar of a whole: (size, CSS class, title) side by side; sizes may be of any unit."""
    total = sum(size for size, _, _ in parts) or 1
    position, bars = 0.0, []
    for size, css_class, title in parts:
        width = 100 * size / total
        if width > 0:
            bars.append(
                f'<rect class="{css_class}" x="{_pc(position)}" width="{_pc(width)}" y="0" '
                f'height="{height}"><title>{escape(title)}</title></rect>'
            )
        position += width
    return "".join(bars)


def chart(content: str, height: int, label: str) -> str:
    """Wrap shapes into one image with a name that a screen reader can say."""
    return f'<svg height="{height}" role="img" aria-label="{escape(label)}">{content}</svg>'


def _tall(count: int, highest: int, height: int) -> float:
    # A single sample stays visible beside a bin of thousands.
    return max(2.0, (height - 4) * count / highest)


def _bin_title(axis: LogAxis, index: int, count: int) -> str:
    step = math.log(axis.high_ms / axis.low_ms) / BINS
    low, high = (axis.low_ms * math.exp(step * edge) for edge in (index, index + 1))
    return f"{count} between {duration(low)} and {duration(high)}"


def _tick(value_ms: float) -> str:
    return f"{value_ms / 1000:g} s" if value_ms >= 1000 else f"{value_ms:g} ms"


def _anchor(percent: float) -> str:
    if percent < 4:
        return "start"
    return "end" if percent > 96 else "middle"


def _pc(percent: float) -> str:
    return f"{percent:.2f}%"


def _rounded_down(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    return max(step * decade for step in (1, 2, 5) if step * decade <= value * (1 + 1e-9))


def _rounded_up(value: float) -> float:
    # Strictly above, so that an axis has a length even around a single value.
    decade = 10.0 ** math.floor(math.log10(value))
    return min(step * decade for step in (1, 2, 5, 10) if step * decade > value * (1 + 1e-9))
