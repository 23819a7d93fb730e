"""What a run is worth: void or valid, healthy or not, worse than before or not; and its exit code.

| code | meaning |
| --- | --- |
| 0 | fine |
| 1 | more errors than --max-error-share, or no answer at all |
| 2 | bad input: an option, a file, the host |
| 3 | void: the load generator lagged, or samples of a worker are missing |
| 4 | an objective of --slo was missed |
| 11, 12, 13 | SEV-1, SEV-2, SEV-3: worse than the baseline of --history |
| 130 | Ctrl-C |

When several hold, the first of 3, 1, 11, 12, 13, 4 is the exit code; all of them are said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from loadtests.baseline import compare_with_baseline
from loadtests.comparison import (
    BaselineComparison,
    CellChange,
    Judgement,
    is_within_chance,
)
from loadtests.history import History, cells_of, counted
from loadtests.objectives import (
    HEALTH,
    ObjectiveFile,
    ObjectiveResult,
    Status,
    evaluate,
    read_objectives,
)
from loadtests.regression import Rise, Severity, Thresholds
from loadtests.samples import Recording
from loadtests.summary import Summary

FINE: Final = 0
TOO_MANY_ERRORS: Final = 1
BAD_INPUT: Final = 2
VOID: Final = 3
OBJECTIVE_MISSED: Final = 4
INTERRUPTED: Final = 130
BY_SEVERITY: Final = {Severity.SEV_1: 11, Severity.SEV_2: 12, Severity.SEV_3: 13}

WIDTH: Final = 100
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run's exit code is, and why.

    Attributes:
        code: The exit code.
        reasons: What is wrong, the reason of the code first; empty when all is fine.
    """

    code: int
    reasons: tuple[str, ...] = ()


def judge_recording(
    recording: Recording, history: History | None = None, slo: ObjectiveFile | None = None
) -> Judgement:
    """Hold a run against the health targets, its own objectives and its baseline.

    Raises:
        BadInputError: The history cannot be read.
    """
    samples = counted(recording)
    thresholds = slo.thresholds if slo else Thresholds()
    baseline = None
    if history is not None:
        past = history.baseline(recording.run)
        baseline = compare_with_baseline(cells_of(samples), past, thresholds)
    return Judgement(
        health=tuple(evaluate(read_objectives(HEALTH).objectives, samples)),
        slo=tuple(evaluate(slo.objectives, samples)) if slo else (),
        baseline=baseline,
    )


def verdict(
    summary: Summary, recording: Recording, judgement: Judgement, max_error_share: float
) -> Verdict:
    """The exit code, and everything that is wrong."""
    found = list(_wrong(summary, recording, judgement, max_error_share))
    return Verdict(found[0][0], tuple(words for _, words in found)) if found else Verdict(FINE)


def is_void(summary: Summary) -> bool:
    """Whether no figure of a run may be used."""
    return summary.generator.void


def tell(judgement: Judgement) -> Iterator[str]:
    """What the judgement says, for the terminal."""
    if judgement.health:
        yield from _objectives("health targets", judgement.health)
    if judgement.slo:
        # Those that were missed are said at the end, as the reason of the exit code.
        yield next(_objectives("objectives of --slo", judgement.slo))
    if judgement.baseline:
        yield from _baseline(judgement.baseline)


def _wrong(
    summary: Summary, recording: Recording, judgement: Judgement, max_error_share: float
) -> Iterator[tuple[int, str]]:
    """What is wrong, with its exit code, the most important first."""
    generator = summary.generator
    if generator.lagged:
        yield (
            VOID,
            f"THIS RUN IS VOID: the load generator itself was {generator.lag_p99_ms:.3g} ms late "
            "at p99. Lower --rate, give Locust a core of its own, or --processes 2.",
        )
    if recording.end.get("incomplete"):
        counts = ", ".join(
            f"worker {one['worker']} sent {one['sent'] if one['sent'] is not None else '?'}, "
            f"{one['received']} came"
            for one in recording.end.get("workers", [])
        )
        yield VOID, f"THIS RUN IS VOID: samples are missing ({counts})."
    if not summary.requests:
        yield TOO_MANY_ERRORS, "no request was counted"
    elif summary.error_share > max_error_share:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in summary.error_kinds.items())
        yield (
            TOO_MANY_ERRORS,
            f"{summary.error_share:.1%} of the requests failed ({max_error_share:.1%} allowed): "
            f"{kinds}",
        )
    baseline = judgement.baseline
    if baseline is not None and baseline.severity:
        worst = [one for one in _worst_first(baseline) if one.severity is baseline.severity]
        more = f", and {len(worst) - 3} more" if len(worst) > 3 else ""
        named = "; ".join(f"{_name(one)}: {one.reason}" for one in worst[:3])
        yield (
            BY_SEVERITY[baseline.severity],
            f"{baseline.severity.label}: worse than the baseline of {_runs(baseline.runs)}: "
            f"{named}{more}",
        )
    for result in judgement.slo:
        if result.status is Status.MISSED:
            yield OBJECTIVE_MISSED, f"missed: {_objective_words(result)}"


def _objectives(title: str, results: Sequence[ObjectiveResult]) -> Iterator[str]:
    met = sum(result.status is Status.MET for result in results)
    unknown = sum(result.status is Status.UNKNOWN for result in results)
    say_unknown = f", {unknown} without enough samples" if unknown else ""
    yield f"{title}: {met} of {len(results) - unknown} met{say_unknown}"
    for result in results:
        if result.status is Status.MISSED:
            lines = wrap(f"missed: {_objective_words(result)}", WIDTH - 2, subsequent_indent="  ")
            yield from (f"  {line}" for line in lines)


def _objective_words(result: ObjectiveResult) -> str:
    objective = result.objective
    where = f" ({result.where})" if result.where else ""
    return f"{objective.name}: {objective.show(result.value)}{where}, wanted {objective.limit}"


def _baseline(baseline: BaselineComparison) -> Iterator[str]:
    if not baseline.runs:
        yield (
            f"baseline: none yet; no run of this load in the last {baseline.days:g} days. This one "
            "begins it."
        )
        return
    word = baseline.severity.label if baseline.severity else "no regression"
    yield f"baseline of {_runs(baseline.runs)} in {baseline.days:g} days: {word}"
    yield (
        f"  {'whole answer, p95 in ms':<44}{'then':>9}{'now':>9}{'change':>8}"
        f"{'interval':>16}{'':>3}"
    )
    for change in [*baseline.paths, *_worst_cells(baseline)]:
        yield _change_line(change)
    if baseline.errors and baseline.errors.error_rate:
        rate = baseline.errors.error_rate
        label = baseline.errors.severity.label if baseline.errors.severity else ""
        yield f"  {'error rate':<44}{rate.old:>9.2%}{rate.new:>9.2%}{'':>24}  {label}".rstrip()


def _worst_cells(baseline: BaselineComparison) -> list[CellChange]:
    return [one for one in _worst_first(baseline) if one.place and one.severity][:_SHOWN]


def _worst_first(baseline: BaselineComparison) -> list[CellChange]:
    changes = [*baseline.paths, *baseline.cells]
    if baseline.errors:
        changes.insert(0, baseline.errors)
    return sorted(changes, key=lambda one: (-one.severity, one.place is not None))


def _change_line(change: CellChange) -> str:
    rise = change.p95
    label = change.severity.label if change.severity else ""
    if is_within_chance(change):
        label = "within chance"
    if rise is None:
        return f"  {_name(change):<44}{'too few answers':>42}  {label}".rstrip()
    return (
        f"  {_name(change):<44}{rise.old:>9.1f}{rise.new:>9.1f}{rise.change:>+8.0%}"
        f"{_interval(rise):>16}  {label}".rstrip()
    )


def _interval(rise: Rise) -> str:
    low, high = ("open" if end is None else f"{end:+.0%}" for end in (rise.low, rise.high))
    return f"{low} to {high}"


def _name(change: CellChange) -> str:
    if change.p95 is None and change.old_ms is None and change.place is None:
        return "all requests"
    return f"{change.path.label}, {change.place}" if change.place else change.path.label


def _runs(count: int) -> str:
    return "one run" if count == 1 else f"{count} runs"
