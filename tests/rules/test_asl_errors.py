"""Which failures Retry and Catch mean, and how long a retry waits."""

from __future__ import annotations

import random
from typing import Any

import pytest

from emulator.rules.asl_errors import StateFailure, find_match, matches, retry_delay_s


@pytest.mark.parametrize(
    ("error", "wanted", "is_of_task", "expected"),
    [
        ("E", "E", False, True),
        ("E", "F", False, False),
        ("E", "States.ALL", False, True),
        ("E", "States.TaskFailed", True, True),
        ("E", "States.TaskFailed", False, False),
        ("States.Timeout", "States.TaskFailed", True, False),
        ("States.Timeout", "States.ALL", False, True),
        ("States.HeartbeatTimeout", "States.Timeout", False, True),
        ("States.Runtime", "States.ALL", False, False),
        ("States.DataLimitExceeded", "States.ALL", True, False),
        ("States.DataLimitExceeded", "States.TaskFailed", True, False),
        ("States.Runtime", "States.Runtime", False, True),
    ],
)
def test_what_a_name_means(error: str, wanted: str, is_of_task: bool, expected: bool) -> None:
    """States.ALL and States.TaskFailed leave out what they cannot catch."""
    assert matches(StateFailure(error, None, is_of_task=is_of_task), [wanted]) is expected


def test_the_first_handler_counts() -> None:
    """In the order they are written."""
    handlers: list[dict[str, Any]] = [
        {"ErrorEquals": ["F"]},
        {"ErrorEquals": ["E", "G"]},
        {"ErrorEquals": ["States.ALL"]},
    ]

    assert find_match(StateFailure("E", None), handlers) == (1, handlers[1])
    assert find_match(StateFailure("X", None), handlers[:2]) is None


def test_delays_grow_up_to_a_limit() -> None:
    """IntervalSeconds, BackoffRate, MaxDelaySeconds; then no more tries."""
    retrier = {"IntervalSeconds": 3, "BackoffRate": 2, "MaxAttempts": 4, "MaxDelaySeconds": 10}
    delays = [retry_delay_s(retrier, attempt, random.Random()) for attempt in range(5)]

    assert delays == [3, 6, 10, 10, None]
    assert [retry_delay_s({}, attempt, random.Random()) for attempt in range(4)] == [1, 2, 4, None]


def test_full_jitter_draws_from_zero_to_the_delay() -> None:
    """With the chance that is handed in."""
    retrier = {"IntervalSeconds": 10, "JitterStrategy": "FULL"}
    drawn = [retry_delay_s(retrier, 0, random.Random(seed)) for seed in range(50)]

    assert all(delay is not None and 0 <= delay <= 10 for delay in drawn)
    assert len(set(drawn)) > 40
