"""What a target gets instead of the whole event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.event_input import InvalidInput, Matched, check_input, find, shape_input

EVENT: dict[str, Any] = {
    "id": "e1",
    "source": "s",
    "resources": ["arn:a", "arn:b"],
    "detail": {"user": 'u"1', "n": 5, "tags": [{"k": "a"}, {"k": "b"}], "a.b": {"c d": 1}},
}
MATCHED = Matched(EVENT, json.dumps(EVENT), "arn:rule", "name", "2026-11-21T13:00:00Z")


def transformed(template: str, **paths: str) -> str:
    """What an InputTransformer makes of the event."""
    transformer = {"InputPathsMap": paths, "InputTemplate": template}
    return shape_input({"Id": "a", "InputTransformer": transformer}, MATCHED)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.detail.n", 5),
        ("$.resources[1]", "arn:b"),
        ("$.resources[9]", None),
        ("$.detail.tags[*].k", ["a", "b"]),
        ("$['detail']['a.b'][\"c d\"]", 1),
        ("$.detail.gone.deeper", None),
        ("$.source.deeper", None),
    ],
)
def test_paths(path: str, found: Any) -> None:
    """Names, brackets, indices and `[*]`."""
    assert find(path, EVENT) == found


def test_without_anything_the_whole_event_goes() -> None:
    """So it does with the path `$`."""
    assert shape_input({"Id": "a"}, MATCHED) == MATCHED.text
    assert shape_input({"Id": "a", "InputPath": "$"}, MATCHED) == MATCHED.text


def test_a_constant_and_a_part() -> None:
    """Input and InputPath."""
    assert shape_input({"Id": "a", "Input": '{"a": 1}'}, MATCHED) == '{"a": 1}'
    assert shape_input({"Id": "a", "InputPath": "$.detail.tags[0]"}, MATCHED) == '{"k":"a"}'
    assert shape_input({"Id": "a", "InputPath": "$.gone"}, MATCHED) == "null"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param('{"user": <user>, "n": <n>}', {"user": 'u"1', "n": 5}, id="values"),
        pytest.param('{"said": "<user> has <n>"}', {"said": 'u"1 has 5'}, id="inside of quotes"),
        pytest.param('"a text with <n>"', "a text with 5", id="a text alone"),
        pytest.param('{"tags": <tags>}', {"tags": [{"k": "a"}, {"k": "b"}]}, id="an array"),
        pytest.param('{"tags": "<first>"}', {"tags": '{"k":"a"}'}, id="an object inside of quotes"),
        pytest.param('{"a": <gone>, "b": "<gone>"}', {"a": None, "b": ""}, id="nothing found"),
        pytest.param(
            '{"rule": <aws.events.rule-arn>, "by": "<aws.events.rule-name>"}',
            {"rule": "arn:rule", "by": "name"},
            id="the rule",
        ),
        pytest.param(
            '{"at": <aws.events.event.ingestion-time>}',
            {"at": "2026-11-21T13:00:00Z"},
            id="ingestion time",
        ),
        pytest.param('{"all": <aws.events.event.json>}', {"all": EVENT}, id="the whole event"),
        pytest.param(
            '{"all": <aws.events.event>}',
            {"all": {key: one for key, one in EVENT.items() if key != "detail"}},
            id="the event without its detail",
        ),
        pytest.param('{"a": "1 \\" < 2", "n": <n>}', {"a": '1 " < 2', "n": 5}, id="other brackets"),
    ],
)
def test_templates(template: str, expected: Any) -> None:
    """Variables and reserved variables, as JSON or inside of a text."""
    text = transformed(
        template,
        user="$.detail.user",
        n="$.detail.n",
        tags="$.detail.tags",
        first="$.detail.tags[0]",
        gone="$.detail.gone",
    )

    assert json.loads(text) == expected


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"Input": "{"}, "JSON syntax error in input for target a"),
        ({"Input": "{}", "InputPath": "$"}, "Only one of Input, InputPath, or InputTransformer"),
        ({"InputPath": "detail"}, "Invalid JsonPath"),
        ({"InputPath": "$..detail"}, "Invalid JsonPath"),
        ({"InputTransformer": {"InputTemplate": ""}}, "must not be empty"),
        ({"InputTransformer": {"InputTemplate": "<user>"}}, "placeholder user"),
        (
            {"InputTransformer": {"InputTemplate": "1", "InputPathsMap": {"aws.x": "$.id"}}},
            "is reserved",
        ),
    ],
)
def test_what_put_targets_refuses(target: dict[str, Any], words: str) -> None:
    """Says which part."""
    with pytest.raises(InvalidInput, match=words):
        check_input({"Id": "a", **target})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_value_makes_valid_json(value: Any) -> None:
    """Bare it is itself; inside of quotes it is a text."""
    matched = Matched({"detail": {"x": value}}, "{}")
    transformer = {"InputPathsMap": {"x": "$.detail.x"}, "InputTemplate": '{"a": <x>, "b": "<x>"}'}
    shaped = json.loads(shape_input({"Id": "a", "InputTransformer": transformer}, matched))

    assert shaped["a"] == value
    assert isinstance(shaped["b"], str)
    if isinstance(value, str):
        assert shaped["b"] == value
