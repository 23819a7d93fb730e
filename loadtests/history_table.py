"""The history on the terminal: a line per run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from loadtests.history import PastRun


def history_table(runs: Iterable[PastRun]) -> str:
    """Runs, one a line, as they are handed in."""
    head = (
        f"{'run':>5}  {'started':<17}{'load':<20}{'requests':>8}{'errors':>7}{'hits':>6}"
        f"{'hit p50':>8}{'p95':>7}{'miss p50':>9}{'p95':>8}  verdict"
    )
    note = "times in ms; * is part of the baseline of later runs (--accept RUN, --exclude RUN)"
    return "\n".join([head, *map(_line, runs), note])


def _line(run: PastRun) -> str:
    facts = run.facts
    load = f"{facts.get('profile', '?')} {facts.get('rate_per_s', 0):g}/s"
    if facts.get("closed_loop"):
        load = f"closed loop of {facts['closed_loop']}"
    figures = (run.hit_p50_ms, run.hit_p95_ms, run.fallback_p50_ms, run.fallback_p95_ms)
    times = "".join(
        f"{'-' if value is None else f'{value:,.1f}':>{width}}"
        for value, width in zip(figures, (8, 7, 9, 8), strict=True)
    )
    started = f"{datetime.fromtimestamp(run.started_s, UTC).astimezone():%Y-%m-%d %H:%M}"
    share = run.errors / run.requests if run.requests else 0.0
    return (
        f"{run.id:>5}{'*' if run.in_baseline else ' '} {started:<17}{load[:19]:<20}"
        f"{run.requests:>8}{share:>7.1%}{run.hit_share:>6.0%}{times}  {run.severity}"
    )
