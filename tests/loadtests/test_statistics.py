"""Statistics in plain Python, held to scipy and numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from loadtests.statistics import compare_ranks, percentile, percentile_interval

VALUES = st.lists(st.floats(0.001, 1e6, allow_nan=False), min_size=1, max_size=80)
TIED = st.lists(st.integers(0, 20).map(float), min_size=8, max_size=60)
STATS: Any = scipy.stats


@given(VALUES, st.floats(0, 1))
def test_a_percentile_is_numpys_inverted_cdf(values: list[float], q: float) -> None:
    """Always a value that somebody had."""
    expected = numpy.percentile(values, 100 * q, method="inverted_cdf")

    # Rounding of q * n may move either of us by one rank; the neighbours are as good.
    ordered = sorted(values)
    found = percentile(ordered, q)
    assert abs(ordered.index(found) - ordered.index(float(expected))) <= 1
    assert found in values


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_exact_ranks(q: float) -> None:
    """The 95th percentile of 1 to 100 is 95."""
    assert percentile([float(n) for n in range(1, 101)], q) == 100 * q


@given(TIED, TIED)
def test_ranks_are_compared_as_scipy_compares_them(
    first: Sequence[float], second: Sequence[float]
) -> None:
    """U and p, with ties and continuity."""
    ours = compare_ranks(first, second)
    if len({*first, *second}) == 1:
        assert ours.p == 1.0
        return
    theirs = STATS.mannwhitneyu(first, second, method="asymptotic", use_continuity=True)

    assert ours.u == theirs.statistic
    assert ours.p == pytest.approx(theirs.pvalue, abs=1e-12)
    assert ours.cliffs_delta == pytest.approx(2 * ours.u / (len(first) * len(second)) - 1)


def test_cliffs_delta_at_its_ends() -> None:
    """-1 when every value of the first is smaller."""
    assert compare_ranks([1.0, 2.0], [3.0, 4.0]).cliffs_delta == -1
    assert compare_ranks([3.0, 4.0], [1.0, 2.0]).cliffs_delta == 1
    assert compare_ranks([1.0, 1.0], [1.0, 1.0]).cliffs_delta == 0


@pytest.mark.parametrize("n", [60, 500, 5_000])
@pytest.mark.parametrize("q", [0.5, 0.95])
def test_an_interval_is_scipys_quantile_test(n: int, q: float) -> None:
    """Two order statistics that bracket the percentile with 95 % confidence."""
    values = sorted(numpy.random.default_rng(n).lognormal(3, 0.5, n).tolist())
    low, high = percentile_interval(values, q)
    interval = STATS.quantile_test(values, q=0, p=q).confidence_interval(0.95)

    assert low is not None
    assert values.index(low) == pytest.approx(values.index(interval.low), abs=1)
    if high is not None:
        assert values.index(high) == pytest.approx(values.index(interval.high), abs=1)


def test_too_few_values_have_no_end() -> None:
    """The 99th percentile of 50 values has no upper end."""
    assert percentile_interval([float(n) for n in range(50)], 0.99)[1] is None
    assert percentile_interval([], 0.5) == (None, None)


def test_nothing_to_say_is_an_error() -> None:
    """No values, or no share."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], 95)
    with pytest.raises(ValueError, match="both sides"):
        compare_ranks([], [1.0])
