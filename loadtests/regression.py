"""Did it get worse? A percentile or an error rate against a baseline, by effect size and interval.

At tens of thousands of samples a shift of 0.7 % has p = 3e-9, so no p-value decides here. A rise
counts when all of this holds:

1. it is large enough to matter: the thresholds of its severity, in per cent and in milliseconds;
2. it is outside of chance: the interval of the rise lies above zero, and all intervals of one run
   together hold with 95 % (Bonferroni; half for the paths, half for their places);
3. it is outside of what the baseline's own runs do among themselves: above 95 % of their values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist

from loadtests.statistics import percentile, percentile_interval

RUNS_BELOW = 0.95
"""The share of the baseline's own runs that a rise must be above."""


class Severity(IntEnum):
    """How bad a regression is; a larger number is worse."""

    NONE = 0
    SEV_3 = 1
    SEV_2 = 2
    SEV_1 = 3

    @property
    def label(self) -> str:
        """As people write it; `-` for none."""
        return f"SEV-{4 - self}" if self else "-"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which rise on a regression has which severity: SEV-3, SEV-2, SEV-1.

    Attributes:
        p95: Rises of the whole answer's p95, as shares.
        first_token_p95: The same for the first token.
        error_rate: Rises of the error rate, as shares of all requests (0.01 is one point).
        min_rise_ms: Smaller rises do not count, however many per cent they are.
        confidence: Of all intervals of one run together.
    """

    p95: tuple[float, float, float] = (0.10, 0.25, 0.50)
    first_token_p95: tuple[float, float, float] = (0.10, 0.25, 0.50)
    error_rate: tuple[float, float, float] = (0.005, 0.01, 0.05)
    min_rise_ms: float = 2.0
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Rise:
    """A figure then and now.

    Attributes:
        old: In the baseline.
        new: In this run.
        change: The rise: a share of `old` for times, a difference for error rates.
        low: The lower end of its interval; None when samples are too few for one.
        high: The upper end.
        highest_run: What 95 % of the baseline's runs do not exceed.
    """

    old: float
    new: float
    change: float
    low: float | None
    high: float | None
    highest_run: float

    @property
    def is_real(self) -> bool:
        """Whether chance and the baseline's own spread are ruled out."""
        return self.low is not None and self.low > 0 and self.new > self.highest_run


def severity_of(rise: Rise | None, thresholds: Sequence[float], least: float = 0.0) -> Severity:
    """The severity of a rise.

    Args:
        rise: What rose; None when there is nothing to compare.
        thresholds: SEV-3, SEV-2, SEV-1.
        least: The smallest difference between new and old that counts.
    """
    if rise is None or not rise.is_real or rise.new - rise.old < least:
        return Severity.NONE
    return Severity(sum(rise.change >= threshold for threshold in thresholds))


def percentile_rise(
    new: Sequence[float],
    baseline: Sequence[float],
    runs: Sequence[float],
    q: float,
    confidence: float,
) -> Rise:
    """How much a percentile rose, with an interval that assumes nothing of the distribution.

    The order-statistic intervals of both sides are put together on the logarithm by MOVER (Zou and
    Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27,
    2008), which keeps their skew.

    Args:
        new: This run's values in ascending order; at least one.
        baseline: The baseline's values, all runs together, in ascending order; at least one.
        runs: The same percentile of each run of the baseline.
        q: Which percentile, as a share.
        confidence: Of this one interval.
    """
    now, then = percentile(new, q), percentile(baseline, q)
    low, high = _mover(
        (now, *percentile_interval(new, q, confidence)),
        (then, *percentile_interval(baseline, q, confidence)),
    )
    return Rise(
        old=then,
        new=now,
        change=math.expm1(_log(now, then)),
        low=None if low is None else math.expm1(low),
        high=None if high is None else math.expm1(high),
        highest_run=_highest(runs),
    )


def rate_rise(
    new: tuple[int, int], baseline: tuple[int, int], runs: Sequence[float], confidence: float
) -> Rise:
    """How much a rate rose: Newcombe's interval of the difference (method 10).

    Newcombe, "Interval estimation for the difference between independent proportions", Statistics
    in Medicine 17, 1998.

    Args:
        new: This run's events and requests; at least one request.
        baseline: The baseline's.
        runs: The rate of each run of the baseline.
        confidence: Of this one interval.
    """
    now, then = new[0] / new[1], baseline[0] / baseline[1]
    now_low, now_high = wilson_interval(*new, confidence)
    then_low, then_high = wilson_interval(*baseline, confidence)
    change = now - then
    return Rise(
        old=then,
        new=now,
        change=change,
        low=change - math.hypot(now - now_low, then_high - then),
        high=change + math.hypot(now_high - now, then - then_low),
        highest_run=_highest(runs),
    )


def wilson_interval(events: int, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a rate.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = events / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


_Bracket = tuple[float, float | None, float | None]


def _mover(now: _Bracket, then: _Bracket) -> tuple[float | None, float | None]:
    change = _log(now[0], then[0])
    low = high = None
    if now[1] is not None and then[2] is not None:
        low = change - math.hypot(_log(now[0], now[1]), _log(then[2], then[0]))
    if now[2] is not None and then[1] is not None:
        high = change + math.hypot(_log(now[2], now[0]), _log(then[0], then[1]))
    return low, high


def _log(value: float, reference: float) -> float:
    # A microsecond is the samples' own resolution.
    return math.log(max(value, 0.001) / max(reference, 0.001))


def _highest(runs: Sequence[float]) -> float:
    return percentile(sorted(runs), RUNS_BELOW) if runs else -math.inf
