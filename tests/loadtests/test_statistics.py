"""Statistics in plain Python, held to scipy and numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from loadtests.statistics import bootstrap_interval, compare_ranks, percentile, percentile_interval

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


@pytest.mark.parametrize("n", [60, 400, 2_000])
@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_the_bootstraps_ranks_are_scipys_binomial(n: int, q: float) -> None:
    """The exact distribution of a resample's percentile, rank by rank."""
    values = [float(rank) for rank in range(1, n + 1)]
    k = round(q * n + 0.4999999)
    shares = STATS.binom.sf(k - 1, n, numpy.arange(1, n + 1) / n)
    expected = [float(numpy.argmax(shares >= share)) + 1 for share in (0.025, 0.975)]

    assert bootstrap_interval(values, q) == tuple(expected)


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_the_bootstrap_is_scipys_with_ever_more_resamples(q: float) -> None:
    """Its percentile method on the same statistic, from 9,999 resamples."""
    random = numpy.random.default_rng(5)
    values = numpy.sort(random.lognormal(3, 0.5, 300))
    interval = STATS.bootstrap(
        (values,),
        lambda x, axis: numpy.quantile(x, q, axis=axis, method="inverted_cdf"),
        method="percentile",
        n_resamples=9_999,
        vectorized=True,
        rng=random,
    ).confidence_interval
    ours = bootstrap_interval(values.tolist(), q)

    assert ours is not None
    for mine, theirs in zip(ours, (interval.low, interval.high), strict=True):
        assert abs(numpy.searchsorted(values, mine) - numpy.searchsorted(values, theirs)) <= 1


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_both_intervals_cover_the_truth(q: float) -> None:
    """95 % of 400 seeded samples of 300, give or take chance."""
    random = numpy.random.default_rng(6)
    truth = float(STATS.lognorm.ppf(q, 0.5))
    covered = [0, 0]
    for _ in range(400):
        values = sorted(random.lognormal(0, 0.5, 300).tolist())
        for index, interval in enumerate((percentile_interval, bootstrap_interval)):
            found = interval(values, q)
            assert found is not None
            low, high = found
            covered[index] += (low or 0) <= truth <= (high or math.inf)

    assert all(368 <= count <= 396 for count in covered)


def test_too_few_values_have_no_end() -> None:
    """The 99th percentile of 50 values has no upper end."""
    assert percentile_interval([float(n) for n in range(50)], 0.99)[1] is None
    assert percentile_interval([], 0.5) == (None, None)
    assert bootstrap_interval([float(n) for n in range(50)], 0.99) == (46.0, 49.0)
    assert bootstrap_interval([], 0.5) is None
    assert bootstrap_interval([7.0], 0.99) == (7.0, 7.0)


def test_nothing_to_say_is_an_error() -> None:
    """No values, or no share."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], 95)
    with pytest.raises(ValueError, match="both sides"):
        compare_ranks([], [1.0])
