"""What predictions would have brought on a log: hits, and what nobody asked for.

The log is replayed. After each request the model's predictions are made, unless the same answer of
the same session is still there; one is used when its action is asked for within its five minutes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from origin.followup.transitions import Transitions
from origin.request_log import LoggedRequest, RequestLog
from origin.tasks import FOLLOW_UP_TTL_S


@dataclass(slots=True)
class Pattern:
    """One step, such as `deployment-summary > incident-timeline`.

    Attributes:
        last: The action after which it was predicted.
        action: What was predicted.
        made: How many answers were generated for it.
        used: How many of them were asked for in time.
    """

    last: str
    action: str
    made: int = 0
    used: int = 0

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.last} > {self.action}"

    @property
    def hit_rate(self) -> float:
        """Which part of what was made was used."""
        return self.used / self.made if self.made else 0.0

    @property
    def wasted(self) -> int:
        """How many answers nobody asked for in time."""
        return self.made - self.used


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of all patterns.

    Attributes:
        patterns: Those that made something, the most made first.
        steps: Requests that followed another one of their session.
        steps_hit: Those whose answer a prediction had made.
    """

    patterns: tuple[Pattern, ...]
    steps: int
    steps_hit: int

    @property
    def made(self) -> int:
        """Answers generated in all."""
        return sum(one.made for one in self.patterns)

    @property
    def wasted(self) -> int:
        """Answers that nobody asked for in time."""
        return sum(one.wasted for one in self.patterns)


def evaluate(
    log: RequestLog,
    model: Transitions,
    *,
    at_least: float,
    predictable: Collection[str] | None = None,
    ttl_s: float = FOLLOW_UP_TTL_S,
) -> Evaluation:
    """Replay a log.

    Args:
        log: What was asked, best another one than the model has learned from.
        model: Who predicts.
        at_least: Predictions less likely are not made.
        predictable: The actions that are made as follow-ups; all when None.
        ttl_s: How long a follow-up lives.
    """
    patterns: dict[tuple[str, str], Pattern] = defaultdict(lambda: Pattern("", ""))
    steps = steps_hit = 0
    for visit in log.visits():
        steps += len(visit) - 1
        steps_hit += _replay(visit, model, at_least, predictable, ttl_s, patterns)
    in_order = sorted(patterns.values(), key=lambda one: (-one.made, one.name))
    return Evaluation(tuple(in_order), steps, steps_hit)


def _replay(
    visit: Sequence[LoggedRequest],
    model: Transitions,
    at_least: float,
    predictable: Collection[str] | None,
    ttl_s: float,
    patterns: dict[tuple[str, str], Pattern],
) -> int:
    hits = 0
    # What lies at the edge for this session: until when, and which pattern's it is until used.
    there: dict[str, tuple[float, Pattern | None]] = {}
    for request in visit:
        until_s, pattern = there.get(request.action, (0.0, None))
        if until_s > request.at_s:
            hits += 1
            if pattern is not None:
                pattern.used += 1
                there[request.action] = (until_s, None)
        for one in model.predict(request.action, at_least=at_least):
            if predictable is not None and one.action not in predictable:
                continue
            if there.get(one.action, (0.0, None))[0] > request.at_s:
                continue
            made = patterns[request.action, one.action]
            made.last, made.action = request.action, one.action
            made.made += 1
            there[one.action] = (request.at_s + ttl_s, made)
    return hits


def format_evaluation(found: Evaluation, *, usd_each: float) -> str:
    """The report for people.

    Args:
        found: What came of the replay.
        usd_each: What one answer costs.
    """
    lines = [f"{'pattern':44} {'made':>7} {'used':>7} {'hit rate':>9} {'wasted':>7} {'waste':>9}"]
    lines += [
        f"{one.name:44} {one.made:7} {one.used:7} {one.hit_rate:9.1%} {one.wasted:7} "
        f"{one.wasted * usd_each:7.3f} $"
        for one in found.patterns
    ]
    share = found.steps_hit / found.steps if found.steps else 0.0
    lines.append(
        f"{found.steps_hit} of {found.steps} following requests ({share:.1%}) found their answer "
        f"made; {found.wasted} of {found.made} answers were for nothing "
        f"({found.wasted * usd_each:.3f} $)"
    )
    return "\n".join(lines)
