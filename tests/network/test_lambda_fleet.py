"""Cold starts as AWS would have them."""

from __future__ import annotations

import pytest

from emulator.network.lambda_fleet import LambdaFleet
from emulator.network.settings import LatencySettings

FUNCTION, REGION = "arn:aws:lambda:us-east-1:123456789012:function:look-up:1", "eu-west-2"


def fleet(**changes: int | float) -> LambdaFleet:
    """A fleet with other switches."""
    return LambdaFleet(LatencySettings(**changes))  # type: ignore[arg-type]


def test_the_first_invocation_is_cold_and_the_next_one_warm() -> None:
    """An environment is kept."""
    one = fleet()
    first = one.begin(FUNCTION, REGION, 0)
    one.end(first, 50)

    assert first.cold_start
    assert not one.begin(FUNCTION, REGION, 60).cold_start


def test_each_invocation_at_once_needs_an_environment_of_its_own() -> None:
    """A new concurrency slot is a cold start."""
    one = fleet()

    starts = [one.begin(FUNCTION, REGION, 0).cold_start for _ in range(3)]

    assert starts == [True, True, True]
    assert one.in_use(REGION, 1) == 3


@pytest.mark.parametrize(("idle_s", "cold"), [(290, False), (910, True)])
def test_an_idle_environment_ends_after_5_to_15_minutes(idle_s: float, cold: bool) -> None:
    """UNVERIFIED, hence a switch; the moment between the two is drawn."""
    one = fleet()
    one.end(one.begin(FUNCTION, REGION, 0), 10)

    assert one.begin(FUNCTION, REGION, 10 + 1_000 * idle_s).cold_start is cold


def test_an_environment_takes_ten_requests_per_second() -> None:
    """The eleventh within the second starts another one, however short they are."""
    one = fleet()
    colds = []
    for number in range(21):
        invocation = one.begin(FUNCTION, REGION, 10.0 * number)
        one.end(invocation, 10.0 * number + 1)
        colds.append(invocation.cold_start)

    assert [number for number, cold in enumerate(colds) if cold] == [0, 10, 20]


def test_a_regions_concurrency_is_shared_and_limited() -> None:
    """Beyond it CloudFront answers 503, LambdaLimitExceeded; other Regions have their own."""
    one = fleet(lambda_concurrency=2)
    one.begin(FUNCTION, REGION, 0)
    one.begin("another", REGION, 0)

    assert one.begin(FUNCTION, REGION, 0).throttled
    assert not one.begin(FUNCTION, "us-east-1", 0).throttled


def test_regions_and_versions_share_no_environment() -> None:
    """Each Region runs a replica of its own."""
    one = fleet()
    one.end(one.begin(FUNCTION, REGION, 0), 1)

    assert one.begin(FUNCTION, "us-east-1", 5).cold_start
    assert one.begin(FUNCTION.replace(":1", ":2"), REGION, 5).cold_start


def test_a_new_deployment_starts_cold() -> None:
    """Its old environments are gone."""
    one = fleet()
    one.end(one.begin(FUNCTION, REGION, 0), 1)
    one.forget(FUNCTION)

    assert one.begin(FUNCTION, REGION, 5).cold_start


def test_a_busy_environment_is_not_free_before_its_simulated_end() -> None:
    """Requests' simulated times may run ahead of each other."""
    one = fleet()
    one.end(one.begin(FUNCTION, REGION, 0), 400)

    assert one.begin(FUNCTION, REGION, 200).cold_start
