from __future__ import annotations

import collections
import datetime
import decimal
import enum
import http
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.runtimes.lambda_edge.sandbox.python_runtime import Context, encode

Pair = collections.namedtuple("Pair", "key value")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Colour(enum.Enum):
    """An enumeration that JSON knows nothing of."""

    RED = 1


@given(value=PLAIN, ensure_ascii=st.booleans())
def test_plain_values_come_out_as_the_standard_library_writes_them(
    value: object, ensure_ascii: bool
) -> None:
    """Bare NaN and Infinity included: that is what Lambda's runtime sends."""
    assert encode(value, ensure_ascii=ensure_ascii) == json.dumps(
        value, ensure_ascii=ensure_ascii
    ).encode("utf-8", "surrogatepass")


@given(value=PLAIN)
def test_the_slow_way_writes_the_same(value: object) -> None:
    """One Decimal makes the whole result take it."""
    plain = json.dumps([1, value], ensure_ascii=False)

    assert encode([decimal.Decimal(1), value], ensure_ascii=False) == plain.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (decimal.Decimal("1.10"), "1.10"),
        (decimal.Decimal("NaN"), "NaN"),
        ({"a": b"bytes"}, '{"a": "bytes"}'),
        (Pair("a", [Pair("b", 1)]), '{"key": "a", "value": [{"key": "b", "value": 1}]}'),
        ((1, 2), "[1, 2]"),
        (http.HTTPStatus.FOUND, "302"),
        ({None: 1, True: 2, 3: 4, 1.5: 6}, '{"null": 1, "true": 2, "3": 4, "1.5": 6}'),
        ({decimal.Decimal(1): 2, b"k": 3}, '{"1": 2, "k": 3}'),
        (10**30, "1" + "0" * 30),
        ("grün", '"grün"'),
    ],
)
def test_unusual_values_come_out_as_simplejson_writes_them(value: object, text: str) -> None:
    """Decimal as a number, namedtuples as objects, bytes inside as text."""
    assert encode(value, ensure_ascii=False) == text.encode()


def test_before_python_3_12_text_is_escaped() -> None:
    """As awslambdaric does for those runtimes."""
    assert encode({"a": "ü"}, ensure_ascii=True) == b'{"a": "\\u00fc"}'


def _cycle() -> list[Any]:
    cycle: list[Any] = [decimal.Decimal(1)]
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "Object of type object is not JSON serializable"),
        ({"a": {1}}, "Object of type set is not JSON serializable"),
        (uuid.UUID(int=1), "Object of type UUID is not JSON serializable"),
        (Colour.RED, "Object of type Colour is not JSON serializable"),
        (datetime.date(2026, 11, 21), "Object of type date is not JSON serializable"),
        ({(1, 2): 3}, "keys must be str, int, float, bool or None, not tuple"),
        ({"a": b"\xff"}, "'utf-8' codec can't decode"),
        (_cycle(), "Circular reference detected"),
    ],
)
def test_what_cannot_be_encoded_says_why(value: object, said: str) -> None:
    """Also what a quicker encoder would have let through."""
    with pytest.raises((TypeError, ValueError), match=said):
        encode(value, ensure_ascii=False)


def test_the_context_reads_as_lambdas() -> None:
    """Printing it shows its fields."""
    names = {"function_name": "f", "version": "1", "memory_mb": "128", "arn": "a"}
    context = Context({**names, "log_group": "g", "log_stream": "s"}, "id", 0.0)

    assert repr(context).startswith("LambdaContext([aws_request_id=id,log_group_name=g,")
    assert context.get_remaining_time_in_millis() == 0
