"""The table on the terminal: 120 columns, grouped by path, a line per place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from textwrap import wrap

from loadtests.samples import DeliveryPath
from loadtests.summary import FEW_SAMPLES, LATE_MS, Headline, Row, Spread, Summary

WIDTH = 120

_PLACE, _REQUESTS, _ERRORS, _FIGURE, _LATE = 15, 8, 7, 7, 5
_GAP = "  "


def table(summary: Summary) -> str:
    """Every path and place with its figures, what they mean, and the verdict."""
    lines = [*_header(), "-" * WIDTH]
    totals = {row.path: row for row in summary.paths}
    for path, cells in groupby(summary.cells, key=lambda row: row.path):
        lines += _group(totals[path], cells)
    lines[-1] = "-" * WIDTH
    for note in notes(summary):
        lines += wrap(note, WIDTH, subsequent_indent="  ")
    return "\n".join([*lines, "", *verdict(summary)])


def verdict(summary: Summary) -> Iterator[str]:
    """What the run says, in a few short lines."""
    if summary.headline:
        yield from _verdict(summary.headline)
    else:
        yield "No verdict: it takes answers from the edge and from the fallback."
    generator = summary.generator
    if generator.void:
        yield f"THIS RUN IS VOID: {generator.void_reason}."
        if generator.lagged:
            yield "Lower --rate or give the generator a core of its own."


def notes(summary: Summary) -> Iterator[str]:
    """How to read the figures, and what else must be known about them."""
    yield (
        "simulated: the emulator's model of distance and edge, to the first byte; waiting for the "
        "origin in it is real."
    )
    yield (
        "overhead: the emulator's own work to the first byte, hidden in the simulated time while "
        f"it fits; late: first bytes more than {LATE_MS:g} ms past it."
    )
    generator = summary.generator
    yield (
        "first byte, whole answer: measured from the moment each request was meant to start. The "
        f"generator's own lag in that: p50 {figure(generator.lag_p50_ms)}, "
        f"p99 {figure(generator.lag_p99_ms)}, max {figure(generator.lag_max_ms)} ms."
    )
    if any(is_marked(row) for row in summary.cells):
        yield f"*: fewer than {FEW_SAMPLES} answers; read p95 and p99 with care."
    for kind, count in list(summary.error_kinds.items())[:5]:
        yield f"error, {count} {'time' if count == 1 else 'times'}: {kind}"


def is_marked(row: Row) -> bool:
    """Whether a row's percentiles stand on too few answers; errors have none to begin with."""
    return row.few and row.path is not DeliveryPath.ERROR


def duration(milliseconds: float) -> str:
    """A duration as a person says it: `7.4 ms`, `812 ms`, `4.9 s`."""
    if milliseconds < 999.5:
        return f"{figure(milliseconds)} ms"
    return f"{milliseconds / 1000:.1f} s"


def times(ratio: float) -> str:
    """A ratio as a person says it: `3.4`, `512`."""
    return f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:,.0f}"


def figure(milliseconds: float) -> str:
    """A figure with the digits that matter: `0.31`, `7.4`, `812`."""
    if milliseconds < 0.995:
        return f"{milliseconds:.2f}"
    return f"{milliseconds:.1f}" if milliseconds < 99.95 else f"{milliseconds:.0f}"


def _header() -> Iterator[str]:
    three = _FIGURE * 3
    groups = (("simulated ms", three), ("first byte ms", three), ("whole answer ms", three))
    titles = [f"{f' {title} ':-^{width - 1}}".rjust(width) for title, width in groups]
    titles.append(f"{' overhead ms ':-^{_FIGURE * 2 - 1}}".rjust(_FIGURE * 2))
    yield " " * (_PLACE + _REQUESTS + _ERRORS) + _GAP.join(["", *titles]).rstrip()
    percentiles = "".join(f"{name:>{_FIGURE}}" for name in ("p50", "p95", "p99"))
    overhead = f"{'p50':>{_FIGURE}}{'p99':>{_FIGURE}}"
    counts = f"{'  place':<{_PLACE}}{'requests':>{_REQUESTS}}{'errors':>{_ERRORS}}"
    yield _GAP.join([counts, *[percentiles] * 3, overhead]) + f"{'late':>{_LATE}}"


def _group(total: Row, cells: Iterable[Row]) -> Iterator[str]:
    yield total.path.label
    rows = list(cells)
    yield from (_line(row, row.place or "") for row in rows)
    if len(rows) > 1:
        yield _line(total, "all places")
    yield ""


def _line(row: Row, place: str) -> str:
    # The mark stands right of the name, where it pushes nothing out of line.
    name = f"  {place}{'*' if is_marked(row) else ''}"
    counts = f"{name:<{_PLACE}}{row.requests:>{_REQUESTS}}{row.errors:>{_ERRORS}}"
    overhead = row.overhead_ms
    cost = _cells((overhead.p50, overhead.p99) if overhead else (None, None))
    late = "-" if overhead is None else str(row.late)
    spreads = (_spread(row.simulated_ms), _spread(row.first_byte_ms), _spread(row.whole_ms))
    return _GAP.join([counts, *spreads, cost]) + f"{late:>{_LATE}}"


def _spread(spread: Spread | None) -> str:
    return _cells((spread.p50, spread.p95, spread.p99) if spread else (None, None, None))


def _cells(values: Iterable[float | None]) -> str:
    return "".join(f"{'-' if value is None else figure(value):>{_FIGURE}}" for value in values)


def _verdict(headline: Headline) -> Iterator[str]:
    hit, fallback = headline.hit, headline.fallback
    first = fallback.first_token_p50_ms
    words = f", first words after {duration(first)} when streamed" if first is not None else ""
    yield (
        f"From the edge: {duration(hit.whole_p50_ms)} for {hit.share:.0%} of requests.  "
        f"Fallback: {duration(fallback.whole_p50_ms)} for {fallback.share:.0%}{words}."
    )
    by_path = ", ".join(
        f"{path.label} {times(ratio)}" for path, ratio in headline.times_faster_by_path.items()
    )
    yield f"The edge is {times(headline.times_faster)} times faster in the median ({by_path})."
