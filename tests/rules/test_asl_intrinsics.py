"""Intrinsic functions: AWS's own examples, and what they refuse."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.asl_errors import StateFailure
from emulator.rules.asl_intrinsics import IntrinsicError, call_intrinsic, parse_intrinsic
from emulator.rules.asl_paths import PathError, Scope

SCOPE = Scope({"list": [1, 2, 3], "name": "Foo", "a": {"x": 1}}, chance=random.Random(1))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("States.Format('Hello, {}. {}', $.name, 5)", "Hello, Foo. 5", id="format"),
        pytest.param(r"States.Format('\{\} \' \\ {}', 1)", "{} ' \\ 1", id="escapes"),
        pytest.param("States.Format('{}', $.a)", '{"x":1}', id="an object in a text"),
        pytest.param("States.Array()", [], id="an empty array"),
        pytest.param("States.Array(1.5, 'it', true, null)", [1.5, "it", True, None], id="values"),
        pytest.param("States.ArrayLength(States.ArrayRange(1, 9, 2))", 5, id="one inside another"),
        pytest.param("States.ArrayGetItem($.list, 2)", 3, id="an item"),
        pytest.param("States.ArrayRange(3, 1, -1)", [3, 2, 1], id="a falling range"),
        pytest.param("States.ArrayUnique(States.Array(1, 1, '1'))", [1, "1"], id="types differ"),
        pytest.param("States.Base64Decode('w6k=')", "é", id="UTF-8"),
        pytest.param(
            "States.Hash('input', 'SHA-1')", "140f86aae51ab9e1cda9b4254fe98a74eb54c1a1", id="hash"
        ),
        pytest.param("States.StringSplit('1,2.3', ',.')", ["1", "2", "3"], id="several separators"),
        pytest.param("States.MathAdd(111, -1)", 110, id="a negative number"),
        pytest.param("States.StringToJson('[1, null]')", [1, None], id="JSON"),
        pytest.param("States.ArrayContains($['list'], 4)", False, id="a path in brackets"),
    ],
)
def test_what_they_give(text: str, value: Any) -> None:
    """As the guide's examples have it."""
    assert call_intrinsic(text, SCOPE) == value


@pytest.mark.parametrize(
    "text",
    [
        "States.Nope()",
        "States.Format('{}'",
        "States.Format('{)",
        "States.Array(1 2)",
        "States.Array(nope)",
        "States.UUID() x",
        "States.Array(" * 11 + ")" * 11,
    ],
)
def test_what_is_no_call(text: str) -> None:
    """Refused when it is read, and so when the machine is made."""
    with pytest.raises(IntrinsicError):
        parse_intrinsic(text)


@pytest.mark.parametrize(
    "text",
    [
        "States.Format('{} {}', 1)",
        "States.Format('{}', 1, 2)",
        "States.ArrayGetItem($.list, 9)",
        "States.ArrayRange(1, 2, 0)",
        "States.ArrayRange(1, 9999, 1)",
        "States.ArrayPartition($.list, 0)",
        "States.StringToJson('{')",
        "States.JsonMerge($.a, $.a, true)",
        "States.Hash('x', 'CRC')",
        "States.Base64Decode('#')",
        "States.MathAdd('1', 2)",
        "States.ArrayLength('x')",
    ],
)
def test_what_they_refuse(text: str) -> None:
    """States.IntrinsicFailure, which Catch can catch."""
    with pytest.raises(StateFailure) as failed:
        call_intrinsic(text, SCOPE)

    assert failed.value.error == "States.IntrinsicFailure"


def test_chance_is_handed_in() -> None:
    """The same seed, the same numbers; a UUID is one."""
    first = call_intrinsic("States.MathRandom(1, 1000)", Scope(None, chance=random.Random(5)))
    again = call_intrinsic("States.MathRandom(1, 1000)", Scope(None, chance=random.Random(5)))
    seeded = call_intrinsic("States.MathRandom(1, 1000, 3)", SCOPE)

    assert first == again
    assert seeded == call_intrinsic("States.MathRandom(1, 1000, 3)", SCOPE)
    assert re.fullmatch(r"[0-9a-f-]{36}", call_intrinsic("States.UUID()", SCOPE))


@given(st.text(max_size=40))
def test_reading_ends_for_every_text(text: str) -> None:
    """A call, or an error of ours; nothing else."""
    for given_text in (text, f"States.Format({text})", f"States.Array('{text}"):
        try:
            parse_intrinsic(given_text)
        except (IntrinsicError, PathError):
            continue
