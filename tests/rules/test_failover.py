"""What is tried again, and where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.errors import OriginFailure
from emulator.rules.failover import (
    FAILOVER_STATUSES,
    failover_reason,
    fails_over_on_failure,
    fails_over_on_status,
    response_tries,
    time_left_s,
)
from emulator.values.distribution import (
    ALL_METHODS,
    CacheBehavior,
    CachePolicy,
    Origin,
    OriginGroup,
    OriginKind,
)

BEHAVIOR = CacheBehavior("*", "G", CachePolicy("c", 0, 60, 3600), allowed_methods=ALL_METHODS)
CACHES_OPTIONS = replace(BEHAVIOR, cached_methods=frozenset({"GET", "HEAD", "OPTIONS"}))


def group(*statuses: int) -> OriginGroup:
    """A group that lists these statuses."""
    return OriginGroup("G", "A", "B", frozenset(statuses))


@pytest.mark.parametrize(
    ("method", "behavior", "over"),
    [
        ("GET", BEHAVIOR, True),
        ("HEAD", BEHAVIOR, True),
        ("OPTIONS", BEHAVIOR, False),
        ("OPTIONS", CACHES_OPTIONS, True),
        ("POST", CACHES_OPTIONS, False),
        ("GET", replace(BEHAVIOR, grpc=True), False),
    ],
)
def test_methods_that_fail_over(method: str, behavior: CacheBehavior, over: bool) -> None:
    """GET, HEAD, and OPTIONS when it is cached; POST never, gRPC never."""
    assert fails_over_on_status(group(500), behavior, method, 500) is over
    assert fails_over_on_failure(group(503), behavior, method, OriginFailure.CONNECT) is over


def test_only_listed_statuses_fail_over() -> None:
    """An unlisted one goes to the viewer."""
    assert not fails_over_on_status(group(500, 502), BEHAVIOR, "GET", 503)


@pytest.mark.conformance("CF-75")
def test_429_can_be_listed() -> None:
    """It is new since 2023."""
    assert 429 in FAILOVER_STATUSES
    assert fails_over_on_status(group(429), BEHAVIOR, "GET", 429)


@pytest.mark.parametrize(
    ("failure", "connecting", "status"),
    [
        (OriginFailure.CONNECT, True, 503),
        (OriginFailure.DNS, True, 503),
        (OriginFailure.TIMEOUT, True, 503),
        (OriginFailure.TIMEOUT, False, 504),
        (OriginFailure.READ, False, 502),
        (OriginFailure.INVALID, False, 502),
    ],
)
def test_which_listed_status_a_failure_needs(
    failure: OriginFailure, connecting: bool, status: int
) -> None:
    """Refused needs 503, silence 504: [500, 502] alone sends neither to the secondary."""
    for listed in FAILOVER_STATUSES:
        over = fails_over_on_failure(group(listed), BEHAVIOR, "GET", failure, connecting=connecting)

        assert over is (listed == status)


@pytest.mark.parametrize(
    ("method", "kind", "tries"),
    [
        ("GET", OriginKind.CUSTOM, 2),
        ("HEAD", OriginKind.LAMBDA_URL, 2),
        ("GET", OriginKind.S3, 1),
        ("OPTIONS", OriginKind.CUSTOM, 1),
        ("POST", OriginKind.CUSTOM, 1),
    ],
)
def test_how_often_a_silent_origin_is_asked(method: str, kind: OriginKind, tries: int) -> None:
    """GET and HEAD as often as connection attempts are set, others once."""
    assert response_tries(Origin("O", "o", connection_attempts=2, kind=kind), method) == tries


def test_the_completion_timeout_covers_retries() -> None:
    """What is left of it, never less than nothing."""
    capped = Origin("O", "o", response_completion_timeout_s=5)

    assert time_left_s(capped, 3) == 2
    assert time_left_s(capped, 7) == 0
    assert time_left_s(Origin("O", "o"), 7) is None


def test_the_logs_word_for_it() -> None:
    """As the real-time log writes it."""
    assert failover_reason(502) == "Failover:502"
