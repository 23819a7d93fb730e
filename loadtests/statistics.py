"""Statistics for skewed distributions, in plain Python; tests hold each function to scipy.

Latency is skewed and heavy-tailed, so nothing here assumes a normal distribution: percentiles are
observed values, their intervals come from order statistics, and two paths are compared by ranks.
At tens of thousands of samples a 0.7 % shift has p = 3e-9, so judge by the effect size
(`cliffs_delta`) and the interval, never by p alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(ordered: Sequence[float], q: float) -> float:
    """The smallest value that at least the share `q` of all values does not exceed.

    This is the inverse of the empirical distribution (Hyndman and Fan's type 1, numpy's
    `inverted_cdf`): always a latency that some viewer really had, never a blend of two.

    Args:
        ordered: The values in ascending order; at least one.
        q: A share, from 0 to 1; 0.95 for the 95th percentile.

    Raises:
        ValueError: There are no values, or `q` is not a share.
    """
    if not ordered:
        raise ValueError("a percentile of no values")
    if not 0 <= q <= 1:
        raise ValueError(f"q is {q}, expected a share from 0 to 1")
    return ordered[max(0, _ceil(q * len(ordered)) - 1)]


def percentile_interval(
    ordered: Sequence[float], q: float, confidence: float = 0.95
) -> tuple[float | None, float | None]:
    """A confidence interval of a percentile from order statistics, free of assumptions.

    How many of n independent values lie below the true percentile is binomial(n, q), so two ranks
    of that distribution bracket it with at least the wanted confidence (Conover, "Practical
    Nonparametric Statistics", section 3.2; scipy's `quantile_test`).

    Returns:
        The two ends. None where the sample is too small to have an end on that side, such as the
        upper end of the 99th percentile of 50 values.
    """
    if not ordered:
        return (None, None)
    n = len(ordered)
    tail = (1 - confidence) / 2
    low = _binomial_quantile(n, q, tail)
    high = _binomial_quantile(n, q, 1 - tail) + 1
    return (
        ordered[low - 1] if low >= 1 else None,
        ordered[high - 1] if high <= n else None,
    )


def bootstrap_interval(
    ordered: Sequence[float], q: float, confidence: float = 0.95
) -> tuple[float, float] | None:
    """The percentile bootstrap's confidence interval of a percentile, without resampling.

    A resample's k-th value is at most the i-th observed one when at least k of its n draws are,
    which is binomial(n, i/n). So the interval that ever more resamples come near to is known
    exactly, costs milliseconds and needs no seed (Hutson and Ernst, "The exact bootstrap mean and
    variance of an L-estimator", JRSS B 62, 2000; scipy's `bootstrap(method="percentile")`).

    It never reaches beyond what was observed: where `percentile_interval` has no upper end, this
    one ends at the largest value and covers less than it promises.

    Returns:
        The two ends; None without values.
    """
    if not ordered:
        return None
    n = len(ordered)
    k = max(1, _ceil(q * n))
    tail = (1 - confidence) / 2
    low, high = (_bootstrap_rank(n, k, share) for share in (tail, 1 - tail))
    return ordered[low - 1], ordered[high - 1]


@dataclass(frozen=True, slots=True)
class RankComparison:
    """Two samples compared by their ranks.

    Attributes:
        u: Mann-Whitney's U of the first sample: in how many pairs its value is the larger one, a
            tie counting one half.
        p: Two-sided p-value.
        cliffs_delta: Effect size from -1 (every value of the first is smaller) to 1 (larger).
    """

    u: float
    p: float
    cliffs_delta: float


def compare_ranks(first: Sequence[float], second: Sequence[float]) -> RankComparison:
    """The Mann-Whitney U test, with correction for ties and for continuity, and Cliff's delta.

    The p-value is that of the normal approximation, as good as exact from about 20 values a side.

    Raises:
        ValueError: One of the samples is empty.
    """
    n, m = len(first), len(second)
    if not n or not m:
        raise ValueError("a comparison needs values on both sides")
    ranks, tie_term = _rank_sums(first, second)
    u = ranks - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * ((total + 1) - tie_term / (total * (total - 1)))
    # The distance is shortened by half a step because ranks move in steps (continuity).
    distance = abs(u - n * m / 2) - 0.5
    p = 1.0
    if variance > 0:
        p = min(1.0, math.erfc(distance / math.sqrt(2 * variance)))
    return RankComparison(u=u, p=p, cliffs_delta=2 * u / (n * m) - 1)


def _rank_sums(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """The sum of the first sample's mid-ranks, and the sum of t^3 - t over all groups of ties."""
    mine, all_values = Counter(first), Counter(first)
    all_values.update(second)
    below, rank_sum, tie_term = 0, 0.0, 0.0
    for value in sorted(all_values):
        count = all_values[value]
        rank_sum += mine[value] * (below + (count + 1) / 2)
        tie_term += count**3 - count
        below += count
    return rank_sum, tie_term


def _bootstrap_rank(n: int, k: int, share: float) -> int:
    """The smallest rank that a resample's k-th value does not exceed with this probability."""
    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        # At least k draws at or below the rank is at most n - k draws above it.
        if _binomial_share(n, 1 - middle / n, n - k) >= share:
            high = middle
        else:
            low = middle + 1
    return low


def _binomial_share(n: int, p: float, most: int) -> float:
    """The probability that binomial(n, p) is at most `most`."""
    if p <= 0 or p >= 1:
        return float(p <= 0 or most >= n)
    reach = 12 * math.sqrt(n * p * (1 - p)) + 12
    start, stop = max(0, int(n * p - reach)), min(n, int(n * p + reach))
    return math.fsum(_binomial(n, p, k) for k in range(start, min(most, stop) + 1))


def _binomial(n: int, p: float, k: int) -> float:
    choices = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(choices + k * math.log(p) + (n - k) * math.log1p(-p))


def _binomial_quantile(n: int, q: float, share: float) -> int:
    """The smallest k such that binomial(n, q) is at most k with probability `share` or more."""
    if q <= 0 or q >= 1:
        return 0 if q <= 0 else n
    # Twelve standard deviations hold everything a double can tell; the sum stays short for any n.
    reach = 12 * math.sqrt(n * q * (1 - q)) + 12
    start, stop = max(0, int(n * q - reach)), min(n, int(n * q + reach))
    cumulated = 0.0
    for k in range(start, stop + 1):
        cumulated += _binomial(n, q, k)
        if cumulated >= share:
            return k
    return stop


def _ceil(value: float) -> int:
    # 0.07 * 100 is 7.000000000000001; nobody means the eighth value by it.
    return math.ceil(round(value, 9))
