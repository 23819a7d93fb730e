"""Paths, payload templates and results' places."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from emulator.rules.asl_errors import StateFailure
from emulator.rules.asl_paths import PathError, Scope, filled, parse_path, placed, selected

VALUE = {"a": {"b": [1, {"c": None}]}, "odd name": {"x-y": 2}, "l": [{"p": 1}, {"p": 2}], "é": 3}
CONTEXT = {"State": {"Name": "A"}}
SCOPE = Scope(VALUE, CONTEXT, {"v": {"w": [7]}})


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param("$", VALUE, id="everything"),
        pytest.param("$.a.b[0]", 1, id="names and an index"),
        pytest.param("$.a.b[-1].c", None, id="from the end; null is a value"),
        pytest.param("$['odd name']['x-y']", 2, id="names in quotes"),
        pytest.param('$["odd name"].x-y', 2, id="double quotes, a hyphen"),
        pytest.param("$.é", 3, id="any letter"),
        pytest.param("$.l[*].p", [1, 2], id="all of a list"),
        pytest.param("$..p", [1, 2], id="at any depth"),
        pytest.param("$.l[0:1].p", [1], id="a slice is a list"),
        pytest.param("$.l[?(@.p > 1)].p", [2], id="a filter"),
        pytest.param("$.l[?(@.p > 9)]", [], id="a filter that finds nothing"),
        pytest.param("$$.State.Name", "A", id="the context object"),
        pytest.param("$v.w[0]", 7, id="a variable"),
    ],
)
def test_what_a_path_means(path: str, found: Any) -> None:
    """A definite path gives the value, any other a list."""
    assert parse_path(path).find(SCOPE) == found


@pytest.mark.parametrize("path", ["$.nope", "$.a.b[9]", "$.a[0]", "$.l.p", "$nobody", "$$.x"])
def test_a_definite_path_that_finds_nothing(path: str) -> None:
    """It fails; it never gives null."""
    with pytest.raises(PathError):
        parse_path(path).find(SCOPE)


@pytest.mark.parametrize("text", ["", "a.b", "$.", "$[", "$.a[", "$.a..", "$.a[x"])
def test_what_is_no_path(text: str) -> None:
    """It is refused when it is read."""
    with pytest.raises(PathError):
        parse_path(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="'\\"), min_size=1), max_size=4
    ),
)
def test_a_result_is_found_where_it_was_put(value: Any, names: list[str]) -> None:
    """Whatever was there before, and without changing it."""
    path = "$" + "".join(f"['{name}']" for name in names)
    before = repr(value)
    try:
        made = placed(path, value, {"r": 1})
    except StateFailure as failure:
        # Some values cannot hold a name.
        assume(failure.error != "States.ResultPathMatchFailure")
        raise

    assert parse_path(path).find(Scope(made)) == {"r": 1}
    assert repr(value) == before


def test_a_template_is_filled_in() -> None:
    """Only members whose names end in `.$`; at any depth, in lists too."""
    template = {"a.$": "$.l[0].p", "b": ["$.l", {"c.$": "$$.State.Name"}], "d": "States.UUID()"}

    assert filled(template, SCOPE) == {"a": 1, "b": ["$.l", {"c": "A"}], "d": "States.UUID()"}


def test_failures_are_in_awss_words() -> None:
    """The path, the field and what was looked in."""
    with pytest.raises(StateFailure) as of_parameters:
        filled({"x.$": "$.nope"}, Scope({"a": 1}))
    with pytest.raises(StateFailure) as of_input:
        selected("$.nope", SCOPE)

    assert of_parameters.value.cause == (
        "The JSONPath '$.nope' specified for the field 'x.$' could not be found in the input "
        "'{\"a\": 1}'"
    )
    assert of_input.value.cause == "Invalid path '$.nope' : No results for path: $['nope']"
    assert of_input.value.error == "States.Runtime"
    assert selected(None, SCOPE) == {}
