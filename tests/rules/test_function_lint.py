"""AWS's rules for edge functions."""

from __future__ import annotations

from datetime import date

import pytest

from emulator.rules.edge_associations import LambdaConfiguration
from emulator.rules.function_lint import (
    check_function,
    check_function_count,
    check_lambda,
    check_runtime,
)
from emulator.values.functions import EventType

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
VIEWER = frozenset({EventType.VIEWER_REQUEST})
ORIGIN = frozenset({EventType.ORIGIN_REQUEST})


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("f", "", None),
        ("f" * 65, "", "must be 1 to 64 letters"),
        ("f.g", "", "must be 1 to 64 letters"),
        ("f", "é" * 5_121, "10242 bytes; a CloudFront Function has at most 10240"),
    ],
)
def test_cloudfront_functions(name: str, code: str, words: str | None) -> None:
    """Name and size, in bytes."""
    found = check_function(name, "cloudfront-js-2.0", code, 0, "")

    assert [words in one.what for one in found if words] == ([True] if words else [])


def test_a_hundred_functions() -> None:
    """The quota of an account."""
    assert not check_function_count(100, "")
    assert check_function_count(101, "")


@pytest.mark.parametrize(
    ("memory_mb", "events", "severities"),
    [
        (128, VIEWER, []),
        (129, VIEWER, ["warning"]),
        (10_240, ORIGIN, []),
        (64, ORIGIN, ["error"]),
        (10_241, ORIGIN, ["error"]),
    ],
)
def test_memory(memory_mb: int, events: frozenset[EventType], severities: list[str]) -> None:
    """At viewer events AWS's pages disagree, so that is a warning."""
    configuration = LambdaConfiguration(ARN, "nodejs22.x", 3, memory_mb, 0)
    found = check_lambda(configuration, events, None, "", "")

    assert [str(one.severity) for one in found] == severities


@pytest.mark.parametrize(
    ("runtime", "today", "words"),
    [
        ("nodejs20.x", date(2026, 4, 29), None),
        ("nodejs20.x", date(2026, 4, 30), "on 2026-04-30: no new function from 2027-02-01"),
        ("python3.13", date(2026, 11, 21), None),
        ("python3.9", date(2026, 11, 21), "on 2025-12-15"),
        ("java21", date(2026, 11, 21), None),
    ],
)
def test_runtimes_end(runtime: str, today: date, words: str | None) -> None:
    """From the day of deprecation on; another language is another rule's error."""
    found = check_runtime(runtime, today, "")

    assert [words in one.what for one in found if words] == ([True] if words else [])
    assert bool(found) is bool(words)
