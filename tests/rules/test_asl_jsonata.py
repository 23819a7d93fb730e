"""JSONata in states: values, AWS's own functions, and failures."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from emulator.rules.asl_errors import StateFailure
from emulator.rules.asl_jsonata import evaluated, filled, problem

INPUT = {"prices": [1, 2, 3], "name": 'a "b"', "nothing": None, "empty": []}
BINDINGS = {"states": {"input": INPUT}, "rate": 2}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$states.input.prices", [1, 2, 3]),
        ("$sum($states.input.prices) * $rate", 12),
        ("$states.input.name & '!'", 'a "b"!'),
        ("$states.input.nothing", None),
        ("null", None),
        ("$states.input.empty", []),
        ("$states.input.prices[$ > 1]", [2, 3]),
        ("{'a': $states.input.nothing}", {"a": None}),
        ("$partition($states.input.prices, 2)", [[1, 2], [3]]),
        ("$range(0, 6, 3)", [0, 3, 6]),
        ("$hash('a', 'MD5')", "0cc175b9c0f1b6a831c399e269772661"),
        ("$parse('[1]')", [1]),
        ("$exists($states.input.nope)", False),
        ("$random(5) = $random(5)", True),
    ],
)
def test_what_an_expression_gives(expression: str, value: Any) -> None:
    """Plain JSON; null is a value, nothing is not."""
    assert evaluated(f"{{% {expression} %}}", BINDINGS, random.Random(1), "Output") == value


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("$states.input.nope", "returned nothing"),
        ("1 +", "threw an error"),
        ("$nobody()", "threw an error"),
        ("function($x) { $x }", "unsupported result type"),
        ("($f := function($n) { 1 + $f($n) }; $f(1))", "threw an error"),
        ("($f := function($n) { $f($n) }; $f(1))", "threw an error"),
    ],
)
def test_failures_name_the_field(expression: str, words: str) -> None:
    """States.QueryEvaluationError, which Catch can catch."""
    with pytest.raises(StateFailure) as failed:
        evaluated(f"{{% {expression} %}}", BINDINGS, random.Random(1), "Output/x")

    assert failed.value.error == "States.QueryEvaluationError"
    assert words in str(failed.value.cause)
    assert "'Output/x'" in str(failed.value.cause)


def test_only_whole_texts_are_expressions() -> None:
    """At any depth; everything else stays as it is."""
    template = {"a": ["{% 1 + 1 %}", "x {% 1 %}"], "b": 3}

    assert filled(template, {}, random.Random(1), "Output") == {"a": [2, "x {% 1 %}"], "b": 3}


def test_every_uuid_is_another() -> None:
    """From the chance that is handed in."""
    made = [evaluated("{% $uuid() %}", {}, random.Random(seed), "x") for seed in (1, 1, 2)]

    assert made[0] == made[1] != made[2]
    assert re.fullmatch(r"[0-9a-f-]{36}", made[0])


def test_a_text_that_is_no_expression_is_found_before() -> None:
    """The parser's own words."""
    assert problem("{% $x( %}")
    assert not problem("{% $x %}")
