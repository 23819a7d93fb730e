"""Intervals of a rise: rates held to scipy, percentiles to simulation."""

from __future__ import annotations

import random

import pytest
from scipy import stats

from loadtests.regression import (
    Rise,
    Severity,
    percentile_rise,
    rate_rise,
    severity_of,
    wilson_interval,
)
from loadtests.statistics import percentile

P95 = (0.10, 0.25, 0.50)


@pytest.mark.parametrize(("events", "n"), [(0, 30), (1, 50), (7, 500), (50, 50), (3, 20_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_the_interval_of_a_rate_is_scipys(events: int, n: int, confidence: float) -> None:
    """Wilson's score interval."""
    wanted = stats.binomtest(events, n).proportion_ci(confidence, method="wilson")

    low, high = wilson_interval(events, n, confidence)

    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_newcombes_own_example() -> None:
    """Table II, example (a), method 10: 56/70 against 48/80, 0.0524 to 0.3339."""
    rise = rate_rise((56, 70), (48, 80), [], 0.95)

    assert (rise.low, rise.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert rise.change == pytest.approx(0.2)


def test_the_interval_of_a_percentiles_rise_holds_what_it_promises() -> None:
    """True rise 20 %: at least 93 of 100 intervals of 95 % hold it, and none is endless."""
    rng = random.Random(5)
    held = 0
    for _ in range(100):
        new = sorted(1.2 * rng.lognormvariate(3, 0.6) for _ in range(400))
        old = sorted(rng.lognormvariate(3, 0.6) for _ in range(900))
        rise = percentile_rise(new, old, [], 0.95, 0.95)
        assert rise.low is not None
        assert rise.high is not None
        held += rise.low <= 0.2 <= rise.high

    assert held >= 93


def test_too_few_values_have_no_interval() -> None:
    """The 99.9 % interval of p95 of 60 values has no upper end; then nothing is decided."""
    values = [float(value) for value in range(1, 61)]
    rise = percentile_rise([value * 9 for value in values], values, [], 0.95, 0.999)

    assert rise.low is None
    assert not rise.is_real
    assert severity_of(rise, P95) is Severity.NONE
    assert rise.change == pytest.approx(8)
    assert rise.new == percentile([value * 9 for value in values], 0.95)


@pytest.mark.parametrize(
    ("change", "severity"),
    [
        (0.05, Severity.NONE),
        (0.10, Severity.SEV_3),
        (0.30, Severity.SEV_2),
        (0.50, Severity.SEV_1),
        (-0.9, Severity.NONE),
    ],
)
def test_the_severity_goes_by_the_size_of_the_rise(change: float, severity: Severity) -> None:
    """10, 25 and 50 %."""
    rise = Rise(100, 100 * (1 + change), change, low=0.01, high=1, highest_run=90)

    assert severity_of(rise, P95) is severity


@pytest.mark.parametrize(
    "rise",
    [
        Rise(100, 130, 0.3, low=-0.01, high=0.6, highest_run=110),
        Rise(100, 130, 0.3, low=0.1, high=0.6, highest_run=131),
        Rise(1, 1.3, 0.3, low=0.1, high=0.6, highest_run=1.1),
    ],
    ids=["within chance", "within the baseline's own spread", "0.3 ms"],
)
def test_what_is_no_regression_for_all_its_per_cent(rise: Rise) -> None:
    """30 % more, and still nothing."""
    assert severity_of(rise, P95, least=2.0) is Severity.NONE


def test_severities_as_people_write_them() -> None:
    """And the worst is the greatest."""
    assert [one.label for one in Severity] == ["-", "SEV-3", "SEV-2", "SEV-1"]
    assert max(Severity) is Severity.SEV_1
