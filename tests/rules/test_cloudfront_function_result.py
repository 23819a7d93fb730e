"""The laws for what a CloudFront Function returns, one table each."""

from __future__ import annotations

import pytest

from emulator.errors import EdgeFunctionError, FailureKind
from emulator.rules import cloudfront_function_result as laws
from emulator.values.functions import EventType


@pytest.mark.parametrize("status", [200, 204, 302, 404, 503, 599, 200.0])
def test_statuses(status: float) -> None:
    """A status is an integer from 200 to 599."""
    assert laws.check_status(status) == int(status)


@pytest.mark.parametrize("status", ["200", 200.5, True, None, 199, 600, -1, [200]])
def test_refused_statuses(status: object) -> None:
    """Anything else is not."""
    with pytest.raises(EdgeFunctionError, match="statusCode"):
        laws.check_status(status)


@pytest.mark.conformance("CFF-31")
@pytest.mark.parametrize("uri", ["/", "/a/b.html", "/%20", "/é", "//x"])
def test_paths(uri: str) -> None:
    """A path begins with a slash."""
    assert laws.check_uri(uri) == uri


@pytest.mark.parametrize("uri", ["", "a", "?", "/a b", "/a\n", "/#", "/?", None, 1])
def test_refused_paths(uri: object) -> None:
    """No space, control character, question mark or fragment."""
    with pytest.raises(EdgeFunctionError, match=r"request\.uri"):
        laws.check_uri(uri)


def test_uri_and_query_have_less_than_8192_characters() -> None:
    """One character less passes."""
    laws.check_querystring("/", "x" * 8190)
    with pytest.raises(EdgeFunctionError, match="8192"):
        laws.check_querystring("/", "x" * 8191)


@pytest.mark.conformance("CFF-22")
@pytest.mark.parametrize(
    ("body", "data"),
    [
        ("text", b"text"),
        ("", b""),
        ({"encoding": "text", "data": "é"}, "é".encode()),
        ({"encoding": "base64", "data": "aGk="}, b"hi"),
        ({"encoding": "base64", "data": ""}, b""),
    ],
)
def test_bodies(body: object, data: bytes) -> None:
    """A body is text, or data with its encoding."""
    assert laws.decode_body(body) == data


@pytest.mark.conformance("CFF-22")
@pytest.mark.parametrize(
    "body",
    [
        5,
        [],
        {},
        {"encoding": "text"},
        {"encoding": "gzip", "data": ""},
        {"encoding": "base64", "data": "aGk"},
        {"encoding": "base64", "data": "a\nGk="},
        {"encoding": "base64", "data": "*"},
    ],
)
def test_refused_bodies(body: object) -> None:
    """Broken base64 and unknown encodings are errors."""
    with pytest.raises(EdgeFunctionError, match=r"response\.body") as caught:
        laws.decode_body(body)
    assert caught.value.kind is FailureKind.FUNCTION_VALIDATION


@pytest.mark.parametrize(
    ("shown", "value", "multi", "values"),
    [
        ((), "a", None, ("a",)),
        (("a",), "b", None, ("b",)),
        (("a", "b"), "c", ("a", "b"), ("c", "b")),
        (("a", "b"), "c", ("x",), ("x",)),
        (("a", "b"), "c", None, ("c",)),
        (("a",), "c", ("x", "y"), ("x", "y")),
    ],
    ids=[
        "new",
        "changed",
        "first replaced",
        "multiValue wins",
        "multiValue gone",
        "multiValue new",
    ],
)
@pytest.mark.conformance("CFF-11")
def test_changed_values(
    shown: tuple[str, ...], value: str, multi: tuple[str, ...] | None, values: tuple[str, ...]
) -> None:
    """Which of value and multiValue counts."""
    assert laws.changed_values(shown, value, multi) == values


@pytest.mark.parametrize("name", ["x y", "", "a:b", "é", "a\r\nb"])
def test_refused_names(name: str) -> None:
    """A header's name is made of letters, digits and a few signs."""
    with pytest.raises(EdgeFunctionError):
        laws.check_name("response.headers", name)


def test_a_header_change_names_the_deed() -> None:
    """The detail says whether the header was added or changed."""
    with pytest.raises(EdgeFunctionError, match="was added"):
        laws.check_header_change("request.headers", "host", EventType.VIEWER_REQUEST, existed=False)
    with pytest.raises(EdgeFunctionError, match="was changed or deleted"):
        laws.check_header_change("request.headers", "via", EventType.VIEWER_REQUEST, existed=True)
