"""Which events a rule wants."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.event_pattern import InvalidPattern, compile_pattern

EVENT: dict[str, Any] = {
    "source": "localpop.backend",
    "detail-type": "UserLoggedIn",
    "resources": ["arn:a", "arn:b"],
    "detail": {
        "user": "user-001",
        "empty": "",
        "nothing": None,
        "yes": True,
        "count": 5,
        "price": 2.5,
        "ip": "10.0.0.7",
        "file": "dir/a*b.PNG",
        "tags": ["red", "green"],
        "none": [],
        "items": [{"kind": "a", "n": 1}, {"kind": "b", "n": 2}],
        "nested": [[{"deep": "x"}]],
    },
}


def matches(pattern: Any, event: Any = EVENT) -> bool:
    """Whether an event is wanted."""
    return compile_pattern(json.dumps(pattern)).matches(event)


def detail(**fields: Any) -> dict[str, Any]:
    """A pattern for the detail."""
    return {"detail": fields}


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        pytest.param({"source": ["localpop.backend"]}, True, id="exact"),
        pytest.param({"source": ["a", "localpop.backend"]}, True, id="one of several"),
        pytest.param({"source": ["localpop"]}, False, id="not a prefix by itself"),
        pytest.param({"source": ["localpop.backend"], "account": ["1"]}, False, id="and"),
        pytest.param({"resources": ["arn:b"]}, True, id="an element of an array"),
        pytest.param(detail(nothing=[None]), True, id="null"),
        pytest.param(detail(user=[None]), False, id="null is not a text"),
        pytest.param(detail(empty=[""]), True, id="empty text"),
        pytest.param(detail(nothing=[""]), False, id="empty text is not null"),
        pytest.param(detail(yes=[True]), True, id="true"),
        pytest.param(detail(yes=[1]), False, id="true is not one"),
        pytest.param(detail(count=[5]), True, id="number"),
        pytest.param(detail(count=[5.0]), True, id="numbers are compared by value"),
        pytest.param(detail(count=["5"]), False, id="a number is not a text"),
        pytest.param(detail(user=[{"prefix": "user-"}]), True, id="prefix"),
        pytest.param(detail(user=[{"prefix": "USER-"}]), False, id="prefix has a case"),
        pytest.param(
            detail(user=[{"prefix": {"equals-ignore-case": "USER-"}}]), True, id="prefix, any case"
        ),
        pytest.param(detail(file=[{"suffix": ".PNG"}]), True, id="suffix"),
        pytest.param(
            detail(file=[{"suffix": {"equals-ignore-case": ".png"}}]), True, id="suffix, any case"
        ),
        pytest.param(detail(user=[{"equals-ignore-case": "USER-001"}]), True, id="ignore case"),
        pytest.param(detail(file=[{"wildcard": "dir/*.PNG"}]), True, id="wildcard"),
        pytest.param(detail(file=[{"wildcard": "*a\\*b*"}]), True, id="an escaped star"),
        pytest.param(detail(user=[{"wildcard": "user-?01"}]), False, id="? is itself"),
        pytest.param(detail(user=[{"anything-but": "root"}]), True, id="anything but"),
        pytest.param(detail(user=[{"anything-but": ["root", "user-001"]}]), False, id="a list"),
        pytest.param(detail(count=[{"anything-but": [4, 5]}]), False, id="numbers"),
        pytest.param(detail(gone=[{"anything-but": "x"}]), False, id="a field must be there"),
        pytest.param(detail(user=[{"anything-but": {"prefix": "user"}}]), False, id="but prefix"),
        pytest.param(
            detail(user=[{"anything-but": {"prefix": ["a", "b"]}}]), True, id="but prefixes"
        ),
        pytest.param(detail(file=[{"anything-but": {"suffix": ".gif"}}]), True, id="but suffix"),
        pytest.param(
            detail(user=[{"anything-but": {"equals-ignore-case": ["USER-001"]}}]),
            False,
            id="but ignoring case",
        ),
        pytest.param(detail(file=[{"anything-but": {"wildcard": "dir/*"}}]), False, id="but wild"),
        pytest.param(detail(tags=[{"anything-but": "red"}]), True, id="another element is enough"),
        pytest.param(detail(count=[{"numeric": ["=", 5]}]), True, id="numeric"),
        pytest.param(detail(count=[{"numeric": [">", 0, "<=", 5]}]), True, id="range"),
        pytest.param(detail(count=[{"numeric": [">", 5]}]), False, id="outside"),
        pytest.param(detail(user=[{"numeric": [">", 0]}]), False, id="a text is no number"),
        pytest.param(detail(yes=[{"numeric": ["=", 1]}]), False, id="true is no number"),
        pytest.param(detail(user=[{"exists": True}]), True, id="exists"),
        pytest.param(detail(nothing=[{"exists": True}]), True, id="null exists"),
        pytest.param(detail(gone=[{"exists": False}]), True, id="absent"),
        pytest.param(detail(gone=[{"exists": False}, "x"]), True, id="absent, or a value"),
        pytest.param(detail(none=[{"exists": False}]), True, id="an empty array has no field"),
        pytest.param(detail(items=[{"exists": True}]), False, id="exists works on leaves"),
        pytest.param(detail(gone={"deeper": [{"exists": False}]}), True, id="absent, deeper"),
        pytest.param(detail(ip=[{"cidr": "10.0.0.0/24"}]), True, id="address"),
        pytest.param(detail(ip=[{"cidr": "10.0.1.0/24"}]), False, id="another network"),
        pytest.param(detail(user=[{"cidr": "10.0.1.0/24"}]), False, id="no address"),
        pytest.param(detail(tags=["green"]), True, id="array in the event"),
        pytest.param(detail(items={"kind": ["b"], "n": [2]}), True, id="array of objects"),
        pytest.param(detail(items={"kind": ["a"], "n": [2]}), False, id="within one element"),
        pytest.param(detail(nested={"deep": ["x"]}), True, id="arrays of arrays"),
        pytest.param(
            {"$or": [{"source": ["x"]}, {"detail-type": ["UserLoggedIn"]}]}, True, id="$or"
        ),
        pytest.param(
            {"$or": [{"source": ["x"]}, {"detail-type": ["y"]}]}, False, id="neither of $or"
        ),
        pytest.param(
            detail(**{"$or": [{"count": [{"numeric": [">", 9]}]}, {"user": ["user-001"]}]}),
            True,
            id="$or below",
        ),
    ],
)
def test_patterns(pattern: Any, wanted: bool) -> None:
    """The operators of AWS's page, and where they end."""
    assert matches(pattern) is wanted


def test_or_may_be_the_name_of_a_field() -> None:
    """With a list of values behind it, it is no relationship."""
    assert matches({"$or": [{"prefix": "a"}, {"prefix": "b"}]}, {"$or": "bc"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("[]", "Filter is not an object", id="no object"),
        pytest.param("{}", "Empty objects are not allowed", id="empty"),
        pytest.param('{"a": {}}', "Empty objects are not allowed", id="empty below"),
        pytest.param('{"a": []}', "Empty arrays are not allowed", id="empty array"),
        pytest.param('{"a": "b"}', '"a" must be an object or an array', id="bare value"),
        pytest.param(
            '{"a": [["b"]]}',
            "Match value must be String, number, true, false, or null",
            id="array in an array",
        ),
        pytest.param('{"a": [{}]}', "Match expression name not found", id="empty expression"),
        pytest.param('{"a": [{"like": "b"}]}', "Unrecognized match type like", id="unknown"),
        pytest.param(
            '{"a": [{"prefix": "b", "suffix": "c"}]}',
            "Only one key allowed in match expression",
            id="two operators",
        ),
        pytest.param('{"a": [{"prefix": 1}]}', "prefix match pattern must be a string", id="1"),
        pytest.param(
            '{"a": [{"exists": 1}]}',
            "exists match pattern must be either true or false.",
            id="exists",
        ),
        pytest.param(
            '{"a": [{"wildcard": "a**"}]}', "Consecutive wildcard characters at pos 2", id="stars"
        ),
        pytest.param(
            '{"a": [{"wildcard": "a\\\\b"}]}', "Invalid escape character at pos 1", id="escape"
        ),
        pytest.param('{"a": [{"numeric": 1}]}', "Value of numeric must be an array.", id="numeric"),
        pytest.param(
            '{"a": [{"numeric": ["~", 1]}]}', "Unrecognized numeric range operator: ~", id="~"
        ),
        pytest.param(
            '{"a": [{"numeric": [">", 5, "<", 4]}]}', "Bottom must be less than top", id="range"
        ),
        pytest.param(
            '{"a": [{"numeric": ["=", 6000000000]}]}',
            "Value must be between -5.0E9 and 5.0E9, inclusive",
            id="too large",
        ),
        pytest.param(
            '{"a": [{"anything-but": ["b", 1]}]}',
            "Inside anything but list, either all values are number or string, "
            "mixed type is not supported",
            id="mixed",
        ),
        pytest.param(
            '{"a": [{"anything-but": {"cidr": "b"}}]}',
            "Unsupported anything-but pattern: cidr",
            id="anything but cidr",
        ),
        pytest.param(
            '{"a": [{"anything-but": {"prefix": ""}}]}',
            "Null prefix/suffix not allowed",
            id="anything but nothing",
        ),
        pytest.param('{"a": [{"cidr": "b"}]}', "Malformed CIDR, one '/' required: b", id="cidr"),
        pytest.param(
            '{"$or": [{"a": ["b"]}]}',
            "There must have at least 2 Objects in $or relationship.",
            id="one alternative",
        ),
        pytest.param(
            '{"$or": {"a": ["b"]}}', "It must be an Array followed with $or.", id="$or object"
        ),
        pytest.param('{"a":' * 150 + "1" + "}" * 150, "Nested deeper than 100 levels", id="deep"),
    ],
)
def test_what_awss_matcher_refuses(text: str, reason: str) -> None:
    """With its words."""
    with pytest.raises(InvalidPattern) as caught:
        compile_pattern(text)

    assert str(caught.value) == f"Event pattern is not valid. Reason: {reason}"


def test_what_is_no_json_is_refused() -> None:
    """Before anything else."""
    with pytest.raises(InvalidPattern, match="Event pattern is not valid"):
        compile_pattern("{")


SCALARS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=5)
NAMES = st.text("abc$", min_size=1, max_size=2).filter(lambda name: name != "$or")
EVENTS = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
ANY_JSON = st.recursive(
    SCALARS | st.sampled_from(["prefix", "exists", "numeric", "anything-but"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            NAMES | st.sampled_from(["$or", "prefix", "exists", "numeric", "anything-but", "cidr"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, ANY_JSON, max_size=3), EVENTS)
def test_any_pattern_is_refused_or_gives_an_answer(pattern: Any, event: Any) -> None:
    """Nothing else ever comes out: no crash, whatever the pattern and the event."""
    try:
        compiled = compile_pattern(json.dumps(pattern))
    except InvalidPattern:
        return

    assert compiled.matches(event) in (True, False)


@given(EVENTS)
def test_an_event_matches_the_pattern_of_its_own_values(event: Any) -> None:
    """Every scalar field, wanted exactly as it is, or as existing; wanted absent it never is."""
    fields = {name: one for name, one in event.items() if not isinstance(one, list | dict)}
    if fields:
        assert matches({name: [one] for name, one in fields.items()}, event)
        assert matches({name: [{"exists": True}] for name in fields}, event)
    for name in fields:
        assert not matches({name: [{"exists": False}]}, event)


@given(st.text(max_size=20), st.text(max_size=20))
def test_anything_but_is_the_opposite(text: str, wanted: str) -> None:
    """For a field with one value."""
    event = {"a": text}

    assert matches({"a": [wanted]}, event) is not matches({"a": [{"anything-but": wanted}]}, event)


@given(st.text(max_size=20), st.text(max_size=20))
def test_prefix_and_wildcard_agree(text: str, prefix: str) -> None:
    """`prefix` and the same text before a star."""
    escaped = prefix.replace("\\", "\\\\").replace("*", "\\*")
    event = {"a": text}

    assert matches({"a": [{"prefix": prefix}]}, event) is matches(
        {"a": [{"wildcard": f"{escaped}*"}]}, event
    )
