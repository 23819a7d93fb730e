"""A planted regression is found, a planted 0 % change is not; on whole synthetic recordings."""

from __future__ import annotations

import random
from functools import cache

import pytest

from loadtests.baseline import compare_with_baseline
from loadtests.comparison import BaselineComparison
from loadtests.history import Cell, cells_of
from loadtests.regression import Severity
from loadtests.samples import DeliveryPath, Sample

PLACES = {"LHR/fibre": 12.0, "FRA/cable": 18.0, "NRT/5g": 45.0, "GRU/4g": 90.0}
PATHS = {
    DeliveryPath.EDGE_FUNCTION: (1.0, 0.35),
    DeliveryPath.EDGE_LAMBDA: (3.0, 0.35),
    DeliveryPath.FALLBACK_STREAMED: (60.0, 0.4),
}
RUNS = 5


def run_of(
    seed: int,
    *,
    slower: float = 1.0,
    errors: float = 0.002,
    only: tuple[DeliveryPath, str | None] | None = None,
    requests: int = 2_000,
) -> list[Cell]:
    """A run as the demo makes them: log-normal times, skewed, unlike from place to place.

    Args:
        seed: Of all that is drawn.
        slower: What is multiplied with the times ...
        errors: Share of requests that fail.
        only: ... of this path, at this place or at all; None for everything.
        requests: How many.
    """
    rng = random.Random(seed)
    samples = []
    for _ in range(requests):
        path, place = rng.choice(list(PATHS)), rng.choice(list(PLACES))
        factor, sigma = PATHS[path]
        ms = PLACES[place] * factor * rng.lognormvariate(0, sigma)
        if only is None or (only[0] is path and only[1] in (None, place)):
            ms *= slower
        failed = rng.random() < errors
        samples.append(
            Sample(
                intended_s=5.0,
                lag_ms=0.1,
                place=place,
                path=DeliveryPath.ERROR if failed else path,
                target="/answers/x",
                status=503 if failed else 200,
                error="HTTP 503" if failed else None,
                ttfb_ms=ms * 0.6,
                first_token_ms=None if failed else ms * 0.7,
                total_ms=ms,
                bytes=700,
            )
        )
    return cells_of(samples)


@cache
def baseline() -> list[list[Cell]]:
    """Five runs of an ordinary week."""
    return [run_of(1_000 + number) for number in range(RUNS)]


def judged(cells: list[Cell]) -> BaselineComparison:
    """Against that week."""
    return compare_with_baseline(cells, baseline())


def test_no_change_is_not_reported_in_19_of_20_runs() -> None:
    """Each run compares 5 + 15 figures three times; together they are wrong in 5 % at most."""
    reported = [seed for seed in range(20) if judged(run_of(seed)).severity]

    assert len(reported) <= 1


def test_a_regression_of_30_per_cent_is_found() -> None:
    """In every one of 20 runs, on 57 of its 60 paths or more, and called SEV-2 in most."""
    found = [judged(run_of(seed, slower=1.3)) for seed in range(20)]

    assert all(one.severity >= Severity.SEV_3 for one in found)
    assert sum(one.severity is Severity.SEV_2 for one in found) >= 12
    assert sum(bool(path.severity) for one in found for path in one.paths) >= 57


def test_a_regression_of_one_path_is_found_there() -> None:
    """The others are left in peace; the reason names the figure."""
    slow = DeliveryPath.EDGE_LAMBDA
    found = [judged(run_of(seed, slower=1.6, only=(slow, None))) for seed in range(5)]

    for one in found:
        by_path = {path.path: path for path in one.paths}
        assert by_path[slow].severity >= Severity.SEV_2
        assert "p95 +" in by_path[slow].reason
        assert not any(path.severity for name, path in by_path.items() if name is not slow)


def test_a_regression_at_one_place_is_found_there() -> None:
    """Tokyo twice as slow: its cell says so."""
    cell = (DeliveryPath.EDGE_FUNCTION, "NRT/5g")
    one = judged(run_of(3, slower=2.0, only=cell, requests=4_000))
    severe = {(found.path, found.place) for found in one.cells if found.severity}

    assert severe == {cell}
    assert one.severity is Severity.SEV_1


@pytest.mark.parametrize(
    ("errors", "severity"),
    [(0.002, Severity.NONE), (0.02, Severity.SEV_2), (0.12, Severity.SEV_1)],
)
def test_a_rise_of_the_error_rate(errors: float, severity: Severity) -> None:
    """In points: one is SEV-2, five are SEV-1."""
    one = judged(run_of(7, errors=errors))

    assert one.errors is not None
    assert one.errors.severity is severity
    assert one.severity is severity
    assert ("error rate" in one.errors.reason) is (severity is not Severity.NONE)


def test_faster_is_no_regression() -> None:
    """Only rises are."""
    one = judged(run_of(1, slower=0.5))

    assert one.severity is Severity.NONE
    assert all(path.p95 is not None and path.p95.change < -0.3 for path in one.paths)
    assert all(path.cliffs_delta is not None and path.cliffs_delta < -0.2 for path in one.paths)


def test_a_first_run_has_nothing_to_be_compared_with() -> None:
    """And is no regression."""
    one = compare_with_baseline(run_of(1), [])

    assert (one.runs, one.paths, one.severity) == (0, (), Severity.NONE)


def test_few_samples_decide_nothing() -> None:
    """Below 50 in a cell, or too few for an interval: no severity, however slow."""
    one = compare_with_baseline(run_of(1, slower=3, requests=100), baseline())

    assert all(cell.p95 is None for cell in one.cells)
    assert one.severity is Severity.NONE


def test_what_the_baseline_does_among_itself_is_no_regression() -> None:
    """Runs that differ by 40 % from day to day: one more such day is nothing new."""
    restless = [run_of(100 + day, slower=1 + 0.2 * (day % 3)) for day in range(6)]

    assert compare_with_baseline(run_of(1, slower=1.2), restless).severity is Severity.NONE
    assert compare_with_baseline(run_of(1, slower=2.2), restless).severity is Severity.SEV_1
