"""The event and the result of a CloudFront Function: AWS's shapes against our values."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import EdgeFunctionError, FailureKind
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response
from emulator.wire.cloudfront_functions import (
    dump_event,
    dump_output,
    parse_event,
    parse_result,
)

REQUEST = Request(
    "GET",
    "/media/index%20a.mpd",
    "ID=42&Exp=1619740800&TTL=1440&NoValue=&querymv=val1&querymv=val2,val3&Bare",
    Headers(
        [
            ("Host", "video.example.com"),
            ("User-Agent", "Gecko/20100101 Firefox/68.0"),
            ("accept", "application/json"),
            ("Accept", "application/xml"),
            ("X-List", "a, b"),
            ("Connection", "keep-alive"),
            ("X-Real-IP", "1.2.3.4"),
            ("X-Cache", "x"),
            ("X-Amz-Cf-Id", "x"),
            ("X-Edge-Own", "x"),
            ("X-Forwarded-Proto", "http"),
            ("X-Utf8", "\xc3\xa9"),
            ("X-Latin", "\xe9"),
            ("Cookie", "id=CookieIdValue; loggedIn=false"),
            ("Cookie", "id=second; flag"),
        ]
    ),
    client_ip="1.2.3.4",
)
RESPONSE = Response(
    200,
    "OK",
    Headers(
        [
            ("Content-Type", "text/plain"),
            ("Via", "1.1 origin"),
            ("Warning", "199"),
            ("Content-Length", "4"),
            ("X-Cache", "Hit"),
            ("Set-Cookie", "id=1; Secure; Path=/; Domain=example.com"),
            ("Set-Cookie", "plain=2"),
            ("Set-Cookie", "id=3; HttpOnly"),
        ]
    ),
    b"body",
)


def event_of(request: Request = REQUEST, response: Response | None = None) -> FunctionEvent:
    """An event of our example distribution."""
    kind = EventType.VIEWER_REQUEST if response is None else EventType.VIEWER_RESPONSE
    location = EdgeLocation("NRT", "192.0.2.1", "ap-northeast-1")
    return FunctionEvent(
        kind, "EDFDVBD6EXAMPLE", "d1.cloudfront.net", "id==", location, request, response
    )


def returned(event: FunctionEvent) -> dict[str, Any]:
    """What a handler has in hand: the shown request or response, free to change."""
    part = "request" if event.event_type is EventType.VIEWER_REQUEST else "response"
    shown: dict[str, Any] = copy.deepcopy(dict(dump_event(event)))
    changed: dict[str, Any] = shown[part]
    return changed


def parsed_request(event: FunctionEvent, raw: object) -> Request:
    """Parse a result that must be a request."""
    result = parse_result(raw, event)
    assert isinstance(result, Request)
    return result


def parsed_response(event: FunctionEvent, raw: object) -> Response:
    """Parse a result that must be a response."""
    result = parse_result(raw, event)
    assert isinstance(result, Response)
    return result


@pytest.mark.conformance("CFF-1", "CFF-2", "CFF-3", "CFF-4", "CFF-5", "CFF-6", "CFF-8", "CFF-9")
@pytest.mark.conformance("CFF-10", "CFF-19")
def test_the_request_as_the_function_sees_it() -> None:
    """Lower-case names, repeated ones in multiValue, cookies apart, disallowed headers gone."""
    assert dump_event(event_of()) == {
        "version": "1.0",
        "context": {
            "distributionDomainName": "d1.cloudfront.net",
            "distributionId": "EDFDVBD6EXAMPLE",
            "eventType": "viewer-request",
            "requestId": "id==",
        },
        "viewer": {"ip": "1.2.3.4"},
        "request": {
            "method": "GET",
            "uri": "/media/index%20a.mpd",
            "querystring": {
                "ID": {"value": "42"},
                "Exp": {"value": "1619740800"},
                "TTL": {"value": "1440"},
                "NoValue": {"value": ""},
                "querymv": {
                    "value": "val1",
                    "multiValue": [{"value": "val1"}, {"value": "val2,val3"}],
                },
                "Bare": {"value": ""},
            },
            "headers": {
                "host": {"value": "video.example.com"},
                "user-agent": {"value": "Gecko/20100101 Firefox/68.0"},
                "accept": {
                    "value": "application/json",
                    "multiValue": [{"value": "application/json"}, {"value": "application/xml"}],
                },
                "x-list": {"value": "a, b"},
                "x-utf8": {"value": "é"},
                "x-latin": {"value": "é"},
            },
            "cookies": {
                "id": {
                    "value": "CookieIdValue",
                    "multiValue": [{"value": "CookieIdValue"}, {"value": "second"}],
                },
                "loggedIn": {"value": "false"},
                "flag": {"value": ""},
            },
        },
    }


@pytest.mark.conformance("CFF-2", "CFF-6", "CFF-12", "CFF-30")
def test_the_response_as_the_function_sees_it() -> None:
    """Set-Cookie lines become cookies with one string of attributes; the request is there, too."""
    shape = dump_event(event_of(response=RESPONSE))

    assert shape["request"]["headers"]["host"] == {"value": "video.example.com"}
    assert shape["response"] == {
        "statusCode": 200,
        "statusDescription": "OK",
        "headers": {
            "content-type": {"value": "text/plain"},
            "via": {"value": "1.1 origin"},
            "warning": {"value": "199"},
            "content-length": {"value": "4"},
        },
        "cookies": {
            "id": {
                "value": "1",
                "attributes": "Secure; Path=/; Domain=example.com",
                "multiValue": [
                    {"value": "1", "attributes": "Secure; Path=/; Domain=example.com"},
                    {"value": "3", "attributes": "HttpOnly"},
                ],
            },
            "plain": {"value": "2", "attributes": ""},
        },
    }


@pytest.mark.conformance("CFF-7")
def test_no_query() -> None:
    """Without a query, querystring is there and empty."""
    assert dump_event(event_of(Request("GET", "/")))["request"]["querystring"] == {}


def test_what_is_unchanged_stays_as_it_was_on_the_wire() -> None:
    """A result equal to what was shown is the very same message."""
    request, response = event_of(), event_of(response=RESPONSE)

    assert parse_result(returned(request), request) is REQUEST
    assert parse_result(returned(response), response) is RESPONSE


@pytest.mark.conformance("CFF-14")
def test_headers_are_added_changed_and_removed() -> None:
    """A new header's words get capitals; a changed one keeps place and name; hidden ones stay."""
    event = event_of()
    raw = returned(event)
    raw["headers"]["x-a-b"] = {"value": "é"}
    raw["headers"]["user-agent"] = {"value": "new"}
    del raw["headers"]["x-list"]
    result = parsed_request(event, raw)

    assert result.headers.get_all("x-a-b") == ("\xc3\xa9",)
    assert result.headers.pairs[-1][0] == "X-A-B"
    assert result.headers.pairs[1] == ("User-Agent", "new")
    assert "x-list" not in result.headers
    assert result.headers.get("x-latin") == "\xe9"
    assert result.headers.get("connection") == "keep-alive"
    assert result.headers.get("x-forwarded-proto") == "http"


@pytest.mark.conformance("CFF-11")
@pytest.mark.parametrize(
    ("entry", "values"),
    [
        ({"value": "x", "multiValue": [{"value": "1"}, {"value": "2"}]}, ("1", "2")),
        (
            {
                "value": "x",
                "multiValue": [{"value": "application/json"}, {"value": "application/xml"}],
            },
            ("x", "application/xml"),
        ),
        ({"value": "only"}, ("only",)),
        ({"multiValue": [{"value": "1"}]}, ("1",)),
        ({"multiValue": []}, ()),
    ],
    ids=["changed multiValue", "changed value", "multiValue gone", "multiValue alone", "empty"],
)
def test_multi_value(entry: dict[str, Any], values: tuple[str, ...]) -> None:
    """A changed multiValue wins; else a changed value replaces the first."""
    event = event_of()
    raw = returned(event)
    raw["headers"]["accept"] = entry

    assert parsed_request(event, raw).headers.get_all("accept") == values


@pytest.mark.conformance("CFF-11", "CFF-13")
@pytest.mark.parametrize(
    ("change", "querystring"),
    [
        ("b=2&a=1", "b=2&a=1"),
        ("", ""),
        ({}, ""),
        ({"ID": {"value": "42"}, "new": {"value": "x"}}, "ID=42&new=x"),
        ({"Bare": {"value": ""}}, "Bare"),
        ({"a": {"value": "1", "multiValue": [{"value": "1"}, {"value": "2"}]}}, "a=1&a=2"),
    ],
    ids=["text", "empty text", "empty", "object", "as it was", "repeated"],
)
def test_query_strings(change: object, querystring: str) -> None:
    """A query string may be returned as an object or as plain text."""
    event = event_of()
    result = parsed_request(event, {**returned(event), "querystring": change})

    assert result.querystring == querystring
    assert result.has_query == bool(querystring)


def test_request_cookies() -> None:
    """Changed cookies leave in one Cookie header; none leave none."""
    event = event_of()
    raw = returned(event)
    raw["cookies"]["new"] = {"value": "x"}
    cookies = parsed_request(event, raw).headers.get_all("cookie")

    assert cookies == ("id=CookieIdValue; id=second; loggedIn=false; flag=; new=x",)
    assert "cookie" not in parsed_request(event, {**raw, "cookies": {}}).headers


@pytest.mark.conformance("CFF-31")
@pytest.mark.parametrize(
    "change",
    [
        {"uri": "index.html"},
        {"uri": "https://example.com/"},
        {"uri": "/a b"},
        {"uri": "/a#b"},
        {"uri": "/a?b"},
        {"uri": 5},
        {"method": "POST"},
        {"querystring": "a b"},
        {"querystring": "a#b"},
        {"querystring": "a=" + "x" * 8192},
        {"querystring": 5},
        {"headers": []},
        {"cookies": "a=1"},
    ],
    ids=lambda change: next(f"{k}={str(v)[:20]}" for k, v in change.items()),
)
def test_a_request_that_is_refused(change: dict[str, object]) -> None:
    """Path, query and method have their laws; breaking one is a validation error."""
    event = event_of()
    with pytest.raises(EdgeFunctionError) as caught:
        parse_result({**returned(event), **change}, event)

    assert caught.value.kind is FailureKind.FUNCTION_VALIDATION


def test_a_changed_uri() -> None:
    """The path may change; what is not ASCII leaves as UTF-8."""
    event = event_of()
    result = parsed_request(event, {**returned(event), "uri": "/é"})

    assert (result.uri, result.querystring) == ("/\xc3\xa9", REQUEST.querystring)


@pytest.mark.conformance("CFF-17")
@pytest.mark.parametrize("name", ["host", "via", "content-length", "transfer-encoding", "cdn-loop"])
@pytest.mark.parametrize("deed", ["add", "change", "delete"])
def test_read_only_request_headers(name: str, deed: str) -> None:
    """Five request headers may not be added, changed or deleted."""
    lines = [] if deed == "add" else [(name, "1")]
    event = event_of(Request("GET", "/", headers=Headers(lines)))
    raw = returned(event)
    if deed == "delete":
        del raw["headers"][name]
    else:
        raw["headers"][name] = {"value": "2"}
    with pytest.raises(EdgeFunctionError) as caught:
        parse_result(raw, event)

    assert "read-only" in caught.value.sentence
    assert name in caught.value.detail


@pytest.mark.conformance("CFF-16")
@pytest.mark.parametrize(
    "name", ["connection", "x-cache", "x-edge-location", "x-amz-cf-id", "x-forwarded-proto"]
)
def test_disallowed_headers(name: str) -> None:
    """A disallowed header may not be added, to requests or to responses."""
    event = event_of()
    raw = returned(event)
    raw["headers"][name] = {"value": "1"}
    for result in (raw, {"statusCode": 200, "headers": {name: {"value": "1"}}}):
        with pytest.raises(EdgeFunctionError) as caught:
            parse_result(result, event)
        assert caught.value.sentence == ("The CloudFront function tried to add a disallowed header")


@pytest.mark.conformance("CFF-15")
def test_upper_case_names() -> None:
    """An upper-case name fails with the sentence that was seen on CloudFront."""
    event = event_of(response=RESPONSE)
    raw = returned(event)
    raw["headers"]["Strict-Transport-Security"] = {"value": "x"}
    with pytest.raises(EdgeFunctionError) as caught:
        parse_result(raw, event)

    assert caught.value.sentence == (
        "The CloudFront function returned an invalid value: response.headers must have header names"
        " in lower case."
    )


@pytest.mark.conformance("CFF-18")
def test_viewer_response_headers() -> None:
    """Warning and Via are read-only; Content-Length and Content-Encoding are not."""
    event = event_of(response=RESPONSE)
    for name in ("via", "warning"):
        raw = returned(event)
        raw["headers"][name] = {"value": "new"}
        with pytest.raises(EdgeFunctionError):
            parse_result(raw, event)
    raw = returned(event)
    raw["headers"]["content-encoding"] = {"value": "gzip"}
    raw["headers"]["content-length"] = {"value": "5"}

    headers = parsed_response(event, raw).headers
    assert (headers.get("content-encoding"), headers.get("content-length")) == ("gzip", "5")
    assert headers.get("x-cache") == "Hit"


@pytest.mark.conformance("CFF-12")
def test_response_cookies() -> None:
    """Cookies go back to Set-Cookie lines with their attributes; the others stay as they were."""
    event = event_of(response=RESPONSE)
    raw = returned(event)
    raw["cookies"]["new"] = {"value": "x", "attributes": "Secure; Path=/"}
    del raw["cookies"]["plain"]

    assert parsed_response(event, raw).headers.get_all("set-cookie") == (
        "id=1; Secure; Path=/; Domain=example.com",
        "id=3; HttpOnly",
        "new=x; Secure; Path=/",
    )


@pytest.mark.conformance("CFF-23", "CFF-24")
@pytest.mark.parametrize(
    ("body", "bytes_"),
    [
        (None, b"body"),
        ("é", "é".encode()),
        ("", b""),
        ({"encoding": "text", "data": "x"}, b"x"),
        ({"encoding": "base64", "data": "AAE="}, b"\0\1"),
    ],
)
def test_response_bodies(body: object, bytes_: bytes) -> None:
    """Without body the original stays; with one it is replaced, and its length is right."""
    event = event_of(response=RESPONSE)
    raw = {**returned(event), "statusCode": 404}
    if body is not None:
        raw["body"] = body
    result = parsed_response(event, raw)

    assert (result.status, result.body) == (404, bytes_)
    assert result.headers.get("content-length") == str(len(bytes_))


def test_a_streamed_body_stays_a_stream() -> None:
    """Changing headers does not touch a body that is still arriving."""

    async def pieces() -> Any:
        yield b"piece"

    stream = pieces()
    event = event_of(response=Response(200, body=stream))
    raw = returned(event)
    raw["headers"]["x-new"] = {"value": "1"}

    assert parsed_response(event, raw).body is stream


def test_a_viewer_response_function_returns_a_response() -> None:
    """The request is no answer at viewer-response."""
    event = event_of(response=RESPONSE)
    with pytest.raises(EdgeFunctionError, match=r"returns event\.response"):
        parse_result(dump_event(event)["request"], event)


@pytest.mark.conformance("CFF-21", "CFF-22")
@pytest.mark.parametrize(
    ("body", "bytes_"),
    [
        (None, b""),
        ("x", b"x"),
        ({"encoding": "text", "data": "é"}, "é".encode()),
        ({"encoding": "base64", "data": "AAE="}, b"\0\1"),
        ({"data": "x"}, b"x"),
    ],
)
def test_generated_bodies(body: object, bytes_: bytes) -> None:
    """A generated response has the right Content-Length, 0 without a body."""
    raw: dict[str, object] = {"statusCode": 200, "headers": {"content-length": {"value": "99"}}}
    if body is not None:
        raw["body"] = body
    result = parsed_response(event_of(), raw)

    assert result.body == bytes_
    assert result.headers.pairs == (("Content-Length", str(len(bytes_))),)


@pytest.mark.parametrize("name", ["transfer-encoding", "via"])
def test_a_generated_response_cannot_break_its_framing(name: str) -> None:
    """Headers that would break the message are refused."""
    with pytest.raises(EdgeFunctionError):
        parse_result({"statusCode": 200, "headers": {name: {"value": "chunked"}}}, event_of())


@pytest.mark.parametrize("response", [None, RESPONSE], ids=["viewer-request", "viewer-response"])
@pytest.mark.conformance("CFF-71")
def test_an_event_that_somebody_wrote(response: Response | None) -> None:
    """Reading a shown event and showing it again gives the same event."""
    shown = dump_event(event_of(response=response))

    assert dump_event(parse_event(cast("dict[str, Any]", shown))) == shown


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"context": {"eventType": "origin-request"}},
        {"context": []},
        {"context": {"eventType": "viewer-request"}, "request": {"headers": {"Host": {}}}},
        {"context": {"eventType": "viewer-request"}, "request": {"headers": {"host": "x"}}},
        {"context": {"eventType": "viewer-response"}, "response": {"statusCode": "200"}},
    ],
)
def test_what_is_no_event(raw: dict[str, Any]) -> None:
    """The event type is needed, and header names are lower case."""
    with pytest.raises(EdgeFunctionError):
        parse_event(raw)


def test_function_output() -> None:
    """TestFunction's output names its part and always has cookies."""
    assert dump_output({"statusCode": 200, "headers": {}}) == {
        "response": {"statusCode": 200, "headers": {}, "cookies": {}}
    }
    assert list(dump_output({"method": "GET"})) == ["request"]


NAMES = st.text(
    st.characters(codec="latin-1", exclude_characters=":\r\n\0 "), min_size=1, max_size=9
)
VALUES = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=12)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), VALUES)
def test_any_request_survives_being_shown(lines: list[tuple[str, str]], query: str) -> None:
    """Whatever arrives, showing it and getting it back unchanged changes nothing."""
    request = Request("GET", "/", query, Headers(lines))
    event = event_of(request)

    assert parse_result(returned(event), event) is request


WORDS = (
    "statusCode headers cookies body value multiValue uri method data encoding querystring"
    " attributes host"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS.split()) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_any_result_is_a_message_or_an_error(raw: object, is_response: bool) -> None:
    """Whatever a function returns, it becomes a message or is refused; nothing else happens."""
    event = event_of(response=RESPONSE if is_response else None)
    try:
        result = parse_result(raw, event)
    except EdgeFunctionError as error:
        assert error.kind is FailureKind.FUNCTION_VALIDATION  # noqa: PT017
        return
    assert isinstance(result, Request | Response)


@given(JSON)
def test_any_changed_part_is_a_message_or_an_error(part: object) -> None:
    """The same for each part of a request that is otherwise as it was."""
    event = event_of()
    for name in ("headers", "cookies", "querystring", "uri"):
        try:
            result = parse_result({**returned(event), name: part}, event)
        except EdgeFunctionError:
            continue
        assert isinstance(result, Request | Response)
