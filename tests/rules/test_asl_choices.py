"""Choice rules: every family of operators."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.rules.asl_choices import holds, operator_of
from emulator.rules.asl_errors import StateFailure
from emulator.rules.asl_paths import Scope

VALUE = {
    "s": "abc",
    "n": 5,
    "b": True,
    "t": "2026-01-01T00:00:00Z",
    "nothing": None,
    "star": "a*c",
    "later": "2026-01-01T01:00:00.5+00:30",
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"Variable": "$.s", "StringEquals": "abc"}, True),
        ({"Variable": "$.s", "StringLessThan": "abd"}, True),
        ({"Variable": "$.s", "StringGreaterThanEquals": "b"}, False),
        ({"Variable": "$.s", "StringEqualsPath": "$.star"}, False),
        ({"Variable": "$.s", "StringMatches": "a*"}, True),
        ({"Variable": "$.star", "StringMatches": r"a\*c"}, True),
        ({"Variable": "$.s", "StringMatches": r"a\*c"}, False),
        ({"Variable": "$.s", "StringMatches": "a.c"}, False),
        ({"Variable": "$.n", "NumericEquals": 5.0}, True),
        ({"Variable": "$.n", "NumericLessThanPath": "$.n"}, False),
        ({"Variable": "$.b", "NumericEquals": 1}, False),
        ({"Variable": "$.s", "NumericEquals": 5}, False),
        ({"Variable": "$.b", "BooleanEquals": True}, True),
        ({"Variable": "$.n", "BooleanEquals": True}, False),
        ({"Variable": "$.t", "TimestampEquals": "2026-01-01T01:00:00+01:00"}, True),
        ({"Variable": "$.t", "TimestampLessThanPath": "$.later"}, True),
        ({"Variable": "$.s", "TimestampEquals": "2026-01-01T00:00:00Z"}, False),
        ({"Variable": "$.nothing", "IsNull": True}, True),
        ({"Variable": "$.nothing", "IsPresent": True}, True),
        ({"Variable": "$.nope", "IsPresent": False}, True),
        ({"Variable": "$.b", "IsNumeric": True}, False),
        ({"Variable": "$.s", "IsString": False}, False),
        ({"Variable": "$.b", "IsBoolean": True}, True),
        ({"Variable": "$.t", "IsTimestamp": True}, True),
        ({"Variable": "$.s", "IsTimestamp": True}, False),
        ({"Not": {"Variable": "$.n", "NumericGreaterThan": 9}}, True),
        (
            {"And": [{"Variable": "$.n", "IsNumeric": True}, {"Variable": "$.b", "IsNull": True}]},
            False,
        ),
        (
            {"Or": [{"Variable": "$.n", "IsNull": True}, {"Variable": "$.b", "IsBoolean": True}]},
            True,
        ),
    ],
    ids=str,
)
def test_whether_a_rule_holds(rule: dict[str, Any], expected: bool) -> None:
    """Values of another type never hold; they are no mistake."""
    assert holds(rule, Scope(VALUE)) is expected


def test_a_variable_that_is_not_there_fails_the_state() -> None:
    """Only IsPresent may ask for it."""
    with pytest.raises(StateFailure) as failed:
        holds({"Variable": "$.nope", "IsNull": True}, Scope(VALUE))

    assert failed.value.error == "States.Runtime"


@pytest.mark.parametrize("name", ["BooleanLessThan", "StringMatchesPath", "NumericMatches", "Is"])
def test_operators_that_there_are_not(name: str) -> None:
    """They are no operators."""
    assert operator_of({"Variable": "$.a", name: 1}) is None
