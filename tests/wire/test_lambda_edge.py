from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import EdgeFunctionError, FailureKind
from emulator.rules import lambda_edge_result as rules
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.lambda_edge import (
    Handling,
    LambdaCustomOrigin,
    LambdaEdgeSwitches,
    LambdaOrigin,
    LambdaS3Origin,
)
from emulator.values.messages import Request, Response
from emulator.wire.lambda_edge import EventShape, ExposedBody, dump_event
from emulator.wire.lambda_edge_result import LambdaResult, parse_result

VIEWER_HEADERS = Headers(
    [
        ("Host", "d111111abcdef8.cloudfront.net"),
        ("User-Agent", "curl/7.66.0"),
        ("accept", "*/*"),
    ]
)
ORIGIN_HEADERS = Headers(
    [
        ("X-Forwarded-For", "203.0.113.178"),
        ("User-Agent", "Amazon CloudFront"),
        ("Via", "2.0 2afae0d44e2540f472c0635ab62c232b.cloudfront.net (CloudFront)"),
        ("Host", "example.org"),
        ("Cache-Control", "no-cache"),
        ("Accept-Encoding", "br,gzip"),
    ]
)
RESPONSE_HEADERS = Headers(
    [
        ("Content-Type", "text/html; charset=UTF-8"),
        ("Transfer-Encoding", "chunked"),
        ("Via", "1.1 origin"),
        ("X-Cache", "Miss from cloudfront"),
    ]
)
CUSTOM = LambdaCustomOrigin("example.org", ssl_protocols=("TLSv1", "TLSv1.1", "TLSv1.2"))
S3 = LambdaS3Origin("bucket.s3.us-east-1.amazonaws.com")


def make_event(
    event_type: EventType = EventType.VIEWER_REQUEST,
    *,
    request: Request | None = None,
    response: Response | None = None,
) -> FunctionEvent:
    """An event like those of AWS's page."""
    if request is None:
        headers = VIEWER_HEADERS if event_type.is_viewer else ORIGIN_HEADERS
        request = Request("GET", "/", headers=headers, client_ip="203.0.113.178")
    if response is None and not event_type.is_request:
        response = Response(200, "OK", RESPONSE_HEADERS, b"origin's body")
    return FunctionEvent(
        event_type,
        "EDFDVBD6EXAMPLE",
        "d111111abcdef8.cloudfront.net",
        "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
        EdgeLocation("NRT", "192.0.2.1", "ap-northeast-1"),
        request,
        response,
    )


def shown_request(event: FunctionEvent, **more: Any) -> dict[str, Any]:
    """A copy of `cf.request` that a test may change like a handler would."""
    shape = dump_event(event, **more)
    copy: dict[str, Any] = json.loads(json.dumps(shape["Records"][0]["cf"]["request"]))
    return copy


def shown_response(event: FunctionEvent) -> dict[str, Any]:
    """A copy of `cf.response` that a test may change like a handler would."""
    copy: dict[str, Any] = json.loads(json.dumps(dump_event(event)["Records"][0]["cf"]["response"]))
    return copy


def parse(
    event: FunctionEvent,
    returned: object,
    *,
    origin: LambdaOrigin | None = None,
    body: ExposedBody | None = None,
    switches: LambdaEdgeSwitches | None = None,
) -> LambdaResult:
    """What comes of a returned value."""
    switches = switches or LambdaEdgeSwitches()
    shown: EventShape = dump_event(event, origin=origin, body=body, switches=switches)
    raw = returned if isinstance(returned, bytes) else orjson.dumps(returned)
    return parse_result(raw, event, shown, switches=switches)


def refusal(event: FunctionEvent, returned: object, **more: Any) -> EdgeFunctionError:
    """The refusal of a returned value; every one is a 502 LambdaValidationError."""
    with pytest.raises(EdgeFunctionError) as caught:
        parse(event, returned, **more)

    assert caught.value.kind is FailureKind.LAMBDA_VALIDATION
    assert caught.value.kind.status == 502
    return caught.value


# --- The event ------------------------------------------------------------------------------------
@pytest.mark.conformance("LAE-18", "LAE-19", "LAE-21", "LAE-22")
def test_viewer_request_event_is_awss_documented_example() -> None:
    """The example of a viewer request event on AWS's page comes out word for word."""
    assert dump_event(make_event()) == {
        "Records": [
            {
                "cf": {
                    "config": {
                        "distributionDomainName": "d111111abcdef8.cloudfront.net",
                        "distributionId": "EDFDVBD6EXAMPLE",
                        "eventType": "viewer-request",
                        "requestId": "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
                    },
                    "request": {
                        "clientIp": "203.0.113.178",
                        "headers": {
                            "host": [{"key": "Host", "value": "d111111abcdef8.cloudfront.net"}],
                            "user-agent": [{"key": "User-Agent", "value": "curl/7.66.0"}],
                            "accept": [{"key": "accept", "value": "*/*"}],
                        },
                        "method": "GET",
                        "querystring": "",
                        "uri": "/",
                    },
                }
            }
        ]
    }


@pytest.mark.conformance("LAE-32")
def test_origin_request_event_shows_a_custom_origin_like_awss_example() -> None:
    """`request.origin.custom` has the eight fields of AWS's example."""
    shape = dump_event(make_event(EventType.ORIGIN_REQUEST), origin=CUSTOM)

    assert shape["Records"][0]["cf"]["request"]["origin"] == {
        "custom": {
            "customHeaders": {},
            "domainName": "example.org",
            "keepaliveTimeout": 5,
            "path": "",
            "port": 443,
            "protocol": "https",
            "readTimeout": 30,
            "sslProtocols": ["TLSv1", "TLSv1.1", "TLSv1.2"],
        }
    }


@pytest.mark.conformance("LAE-32")
def test_an_s3_origin_shows_its_five_fields() -> None:
    """`request.origin.s3` has the fields of a captured event."""
    origin = shown_request(make_event(EventType.ORIGIN_REQUEST), origin=S3)["origin"]

    assert sorted(origin["s3"]) == ["authMethod", "customHeaders", "domainName", "path", "region"]


@pytest.mark.conformance("LAE-24", "LAE-27")
@pytest.mark.parametrize("event_type", list(EventType))
def test_only_origin_events_show_the_origin(event_type: EventType) -> None:
    """`request.origin` is there in origin events and nowhere else."""
    request = shown_request(make_event(event_type), origin=CUSTOM)

    assert ("origin" in request) == (not event_type.is_viewer)


@pytest.mark.conformance("LAE-25", "LAE-26")
@pytest.mark.parametrize("event_type", [EventType.ORIGIN_RESPONSE, EventType.VIEWER_RESPONSE])
def test_a_response_has_its_status_as_a_string_and_no_body(event_type: EventType) -> None:
    """`cf.response` is status, statusDescription and headers; the body is never shown."""
    response = shown_response(make_event(event_type))

    assert response == {
        "status": "200",
        "statusDescription": "OK",
        "headers": {
            "content-type": [{"key": "Content-Type", "value": "text/html; charset=UTF-8"}],
            "transfer-encoding": [{"key": "Transfer-Encoding", "value": "chunked"}],
            "via": [{"key": "Via", "value": "1.1 origin"}],
        },
    }


@pytest.mark.conformance("LAE-23")
def test_each_cookie_line_is_an_entry_of_its_own() -> None:
    """Two Cookie lines give two elements; nothing is folded."""
    headers = Headers([("Cookie", "a=1; b=2"), ("Host", "x"), ("cookie", "c=3")])
    request = shown_request(make_event(request=Request("GET", "/", headers=headers)))

    assert request["headers"]["cookie"] == [
        {"key": "Cookie", "value": "a=1; b=2"},
        {"key": "cookie", "value": "c=3"},
    ]


@pytest.mark.conformance("LAE-31")
@pytest.mark.parametrize(
    "name", ["Connection", "X-Forwarded-Proto", "x-amz-cf-id", "Upgrade", "X-Edge-Anything"]
)
def test_disallowed_headers_are_hidden_and_survive(name: str) -> None:
    """A function does not see them, and what it returns does not take them away."""
    headers = Headers([("Host", "x"), (name, "secret")])
    event = make_event(request=Request("GET", "/", headers=headers))
    returned = shown_request(event)
    assert name.lower() not in returned["headers"]
    returned["headers"]["x-new"] = [{"value": "1"}]

    result = parse(event, returned).outcome

    assert result.headers.get(name) == "secret"
    assert result.headers.get("x-new") == "1"


@pytest.mark.conformance("LAE-30")
def test_a_cloudfront_header_that_the_viewer_sent_is_visible_at_viewer_request() -> None:
    """Nothing is added there, and the viewer's own value is shown."""
    headers = Headers([("Host", "x"), ("CloudFront-Viewer-Country", "JP")])
    shown = shown_request(make_event(request=Request("GET", "/", headers=headers)))["headers"]

    assert shown["cloudfront-viewer-country"] == [
        {"key": "CloudFront-Viewer-Country", "value": "JP"}
    ]
    assert sorted(shown) == ["cloudfront-viewer-country", "host"]


def test_bytes_are_shown_as_utf_8_else_as_iso_8859_1() -> None:
    """UTF-8 passes unchanged, anything else is converted from ISO-8859-1."""
    headers = Headers([("X-A", "grün".encode().decode("latin-1")), ("X-B", "gr\xfcn")])
    shown = shown_request(make_event(request=Request("GET", "/", headers=headers)))["headers"]

    assert [shown["x-a"][0]["value"], shown["x-b"][0]["value"]] == ["grün", "grün"]


@pytest.mark.conformance("LAE-66")
@pytest.mark.parametrize(
    ("event_type", "limit"),
    [(EventType.VIEWER_REQUEST, 40 * 1024), (EventType.ORIGIN_REQUEST, 1024 * 1024)],
)
def test_an_exposed_body_is_base64_and_cut_at_the_events_limit(
    event_type: EventType, limit: int
) -> None:
    """One byte over the limit is cut off and said so; the limit itself is not."""
    event = make_event(event_type)
    whole = shown_request(event, body=ExposedBody.of(b"x" * limit, event_type))["body"]
    cut = shown_request(event, body=ExposedBody.of(b"x" * (limit + 1), event_type))["body"]

    assert (whole["inputTruncated"], cut["inputTruncated"]) == (False, True)
    assert base64.b64decode(whole["data"]) == base64.b64decode(cut["data"]) == b"x" * limit
    assert (cut["action"], cut["encoding"]) == ("read-only", "base64")


@pytest.mark.conformance("LAE-66")
def test_without_include_body_there_is_no_body() -> None:
    """The body object is there with IncludeBody only."""
    assert "body" not in shown_request(make_event(request=Request("POST", "/", body=b"x")))


def test_an_empty_bodys_shape_is_a_switch() -> None:
    """By default it is an object with empty data."""
    empty = ExposedBody(b"")
    absent = LambdaEdgeSwitches(empty_body_object=False)

    assert shown_request(make_event(), body=empty)["body"]["data"] == ""
    assert "body" not in shown_request(make_event(), body=empty, switches=absent)


# --- Returned requests ----------------------------------------------------------------------------
_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"))
_NAMES = st.sampled_from(["Host", "X-A", "x-b", "Cookie", "cookie", "Via", "Connection", "Accept"])
_HEADERS = st.lists(st.tuples(_NAMES, _TEXT), max_size=8).map(Headers)


@pytest.mark.conformance("LAE-33")
@given(headers=_HEADERS, querystring=_TEXT, uri=_TEXT)
def test_a_request_that_comes_back_unchanged_is_the_very_same(
    headers: Headers, querystring: str, uri: str
) -> None:
    """parse(dump(x)) is x, whatever bytes the viewer sent."""
    request = Request("GET", "/" + uri, querystring, headers)
    event = make_event(request=request)

    assert parse(event, shown_request(event)).outcome is request


@given(headers=_HEADERS)
def test_changing_the_uri_alone_keeps_every_header_line(headers: Headers) -> None:
    """Headers that the function left alone are the viewer's own."""
    event = make_event(request=Request("GET", "/a", headers=headers))
    outcome = parse(event, {**shown_request(event), "uri": "/b"}).outcome

    assert isinstance(outcome, Request)
    assert (outcome.uri, outcome.headers) == ("/b", headers)


_FIELDS = ("status", "headers", "body", "uri", "origin", "custom", "s3", "host", "value")
_MORE_FIELDS = ("key", "action", "data", "encoding", "bodyEncoding", "querystring", "port")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*_FIELDS, *_MORE_FIELDS]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    changes=st.dictionaries(
        st.sampled_from(["status", "headers", "body", "uri", "origin", "querystring", "method"]),
        _JSON,
    ),
    event_type=st.sampled_from(list(EventType)),
)
def test_whatever_a_function_returns_is_taken_or_refused(
    changes: dict[str, Any], event_type: EventType
) -> None:
    """No returned JSON makes the parser fail in any other way."""
    event = make_event(event_type)
    base = shown_request(event, origin=CUSTOM) if event_type.is_request else shown_response(event)
    try:
        outcome: object = parse(event, {**base, **changes}, origin=CUSTOM).outcome
    except EdgeFunctionError as error:
        outcome = error.kind

    assert outcome is FailureKind.LAMBDA_VALIDATION or isinstance(outcome, Request | Response)


def test_uri_and_query_string_can_be_changed() -> None:
    """The request goes on with the new ones."""
    event = make_event()
    outcome = parse(event, {**shown_request(event), "uri": "/new", "querystring": "a=1&b"}).outcome

    assert isinstance(outcome, Request)
    assert outcome.target == "/new?a=1&b"


@pytest.mark.conformance("LAE-37", "LAE-38", "LAE-39")
@pytest.mark.parametrize(
    "changes",
    [
        {"uri": "no-slash"},
        {"uri": "/a b"},
        {"uri": 7},
        {"uri": None},
        {"querystring": "a b"},
        {"querystring": "a#b"},
        {"querystring": "a\nb"},
        {"uri": "/" + "x" * 4095, "querystring": "y" * 4096},
    ],
)
def test_an_invalid_uri_or_query_string_is_refused(changes: dict[str, Any]) -> None:
    """The rules of "Restrictions on all edge functions"."""
    event = make_event()

    assert refusal(event, {**shown_request(event), **changes}).sentence == rules.BAD_URI


@pytest.mark.conformance("LAE-39")
def test_8191_characters_of_uri_and_query_are_accepted() -> None:
    """Less than 8,192, together."""
    event = make_event()
    changed = {**shown_request(event), "uri": "/" + "x" * 4095, "querystring": "y" * 4095}

    assert isinstance(parse(event, changed).outcome, Request)


@pytest.mark.conformance("LAE-40")
def test_adding_a_disallowed_header_is_refused_in_cloudfronts_words() -> None:
    """Connection may not be set."""
    event = make_event()
    returned = shown_request(event)
    returned["headers"]["connection"] = [{"key": "Connection", "value": "close"}]

    assert refusal(event, returned).sentence == (
        "The Lambda function result failed validation: "
        "The function tried to add a blacklisted header."
    )


@pytest.mark.conformance("LAE-41", "LAE-42", "LAE-43", "LAE-44")
@pytest.mark.parametrize(
    ("event_type", "name", "verb", "value"),
    [
        (EventType.VIEWER_REQUEST, "host", "change", "evil.example"),
        (EventType.VIEWER_REQUEST, "host", "delete", None),
        (EventType.VIEWER_REQUEST, "via", "add", "me"),
        (EventType.ORIGIN_REQUEST, "accept-encoding", "change", "zstd"),
        (EventType.ORIGIN_REQUEST, "if-none-match", "add", '"x"'),
        (EventType.ORIGIN_RESPONSE, "transfer-encoding", "delete", None),
        (EventType.VIEWER_RESPONSE, "content-length", "add", "3"),
        (EventType.VIEWER_RESPONSE, "warning", "add", "x"),
    ],
)
def test_touching_a_read_only_header_is_refused(
    event_type: EventType, name: str, verb: str, value: str | None
) -> None:
    """Adding, changing and deleting alike; the log line says which."""
    event = make_event(event_type)
    returned = shown_request(event) if event_type.is_request else shown_response(event)
    returned["headers"].pop(name, None)
    if value is not None:
        returned["headers"][name] = [{"value": value}]
    error = refusal(event, returned)

    assert error.sentence == rules.READ_ONLY_HEADER
    assert f"tried to {verb} read-only header, headerName : {name.title()}" in error.detail


@pytest.mark.conformance("LAE-43")
def test_the_log_line_of_a_deleted_read_only_header_is_the_captured_one() -> None:
    """Word for word as in a public report of real CloudFront."""
    event = make_event(EventType.ORIGIN_RESPONSE)
    returned = shown_response(event)
    del returned["headers"]["transfer-encoding"]

    assert refusal(event, returned).detail == (
        "Lambda function result failed validation, the function tried to delete read-only header, "
        "headerName : Transfer-Encoding."
    )


@pytest.mark.conformance("LAE-41")
def test_host_can_be_changed_at_origin_request() -> None:
    """Editable there, and reaches the origin."""
    event = make_event(EventType.ORIGIN_REQUEST)
    returned = shown_request(event, origin=CUSTOM)
    returned["headers"]["host"] = [{"key": "Host", "value": "other.example"}]

    assert parse(event, returned, origin=CUSTOM).outcome.headers.get("host") == "other.example"


@pytest.mark.conformance("LAE-45")
@pytest.mark.parametrize(
    ("name", "entry", "wire"),
    [
        ("x-foo", {"value": "1"}, "X-Foo"),
        ("x-foo", {"key": "x-FOO", "value": "1"}, "x-FOO"),
        ("X-foo", {"value": "1"}, "X-Foo"),
    ],
)
def test_a_header_entrys_key_is_its_wire_form(name: str, entry: Any, wire: str) -> None:
    """A missing key is made from the object's own, each word with a capital."""
    event = make_event()
    returned = shown_request(event)
    returned["headers"][name] = [entry]

    assert (wire, "1") in parse(event, returned).outcome.headers.pairs


@pytest.mark.conformance("LAE-46")
@pytest.mark.parametrize(
    "entries",
    [
        [{"value": 1}],
        [{"value": True}],
        [{"value": None}],
        [{"key": "X-A"}],
        [["v"]],
        {"value": "1"},
        "1",
        None,
    ],
)
def test_a_header_value_that_is_no_string_is_refused(entries: Any) -> None:
    """In the words of a captured log line."""
    event = make_event()
    returned = shown_request(event)
    returned["headers"]["x-a"] = entries

    assert "header :x-a has one or more entries whose value is neither" in (
        refusal(event, returned).detail
    )


@pytest.mark.conformance("LAE-47")
@pytest.mark.parametrize(("character", "escape"), [("\r", "%0D"), ("\n", "%0A"), ("\0", "%00")])
def test_a_control_character_in_a_header_value_is_refused(character: str, escape: str) -> None:
    """In the words of a captured log line."""
    error = refusal(
        make_event(),
        {"status": "302", "headers": {"location": [{"value": f"/a{character}b"}]}},
    )

    assert error.detail == (
        "Lambda function result validation failed, the function returned an invalid header, "
        f"invalid character : '{escape}' in header value, headerName : Location."
    )


@pytest.mark.conformance("LAE-68")
def test_only_cloudfront_viewer_country_may_not_be_added_at_viewer_request() -> None:
    """Other CloudFront-* headers may."""
    event = make_event()
    country, city = shown_request(event), shown_request(event)
    country["headers"]["cloudfront-viewer-country"] = [{"value": "JP"}]
    city["headers"]["cloudfront-viewer-city"] = [{"value": "Tokyo"}]

    assert refusal(event, country).sentence == rules.DISALLOWED_HEADER
    assert "cloudfront-viewer-city" in parse(event, city).outcome.headers


@pytest.mark.parametrize("field", ["method", "clientIp"])
def test_a_changed_read_only_field_is_ignored_with_a_warning_or_refused(field: str) -> None:
    """Open question 3, as a switch."""
    event = make_event()
    returned = {**shown_request(event), field: "POST"}
    result = parse(event, returned)
    strict = LambdaEdgeSwitches(method=Handling.REFUSE, read_only_fields=Handling.REFUSE)

    assert result.outcome == event.request
    assert field in result.warnings[0]
    assert field in refusal(event, returned, switches=strict).detail


# --- Request bodies -------------------------------------------------------------------------------
POST = Request("POST", "/", headers=VIEWER_HEADERS.with_added("Content-Length", "3"), body=b"abc")


@pytest.mark.conformance("LAE-64")
def test_a_read_only_body_goes_on_whole_even_when_it_was_truncated() -> None:
    """Any change to its data is ignored."""
    request = replace(POST, body=b"x" * 100_000)
    event = make_event(request=request)
    exposed = ExposedBody.of(b"x" * 100_000, event.event_type)
    returned = shown_request(event, body=exposed)
    assert returned["body"]["inputTruncated"]
    returned["body"]["data"] = "changed"

    outcome = parse(event, returned, body=exposed).outcome

    assert outcome.body == request.body


@pytest.mark.conformance("LAE-65")
@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"action": "replace", "encoding": "text", "data": "grün"}, "grün".encode()),
        ({"action": "replace", "encoding": "base64", "data": "AAH/"}, b"\x00\x01\xff"),
        ({"action": "replace", "data": "AAH/"}, b"\x00\x01\xff"),
        ({"action": "replace", "encoding": "text", "data": ""}, b""),
    ],
)
def test_a_replaced_body_is_sent_and_framed_anew(body: dict[str, str], sent: bytes) -> None:
    """Text goes as it is, base64 decoded; Content-Length is CloudFront's to mend."""
    event = make_event(request=POST)
    outcome = parse(event, {**shown_request(event), "body": body}).outcome

    assert outcome.body == sent
    assert outcome.headers.get("content-length") == str(len(sent))


@pytest.mark.conformance("LAE-65", "LAE-67")
@pytest.mark.parametrize(
    "body",
    [
        {"action": "replace", "encoding": "base64", "data": "%%%"},
        {"action": "replace", "encoding": "gzip", "data": "x"},
        {"action": "replace", "encoding": "text", "data": 1},
        {"action": "remove"},
        {"action": "replace", "encoding": "text", "data": "x" * (40 * 1024 + 1)},
        {"action": "replace", "encoding": "base64", "data": "A" * 54_480},
        "text",
        None,
    ],
)
def test_an_invalid_replaced_body_is_refused(body: Any) -> None:
    """Invalid base64, an unknown encoding or action, no string, or over the quota."""
    event = make_event(request=POST)

    assert refusal(event, {**shown_request(event), "body": body}).sentence == rules.BAD_BODY


# --- Origins --------------------------------------------------------------------------------------
def test_an_untouched_origin_is_no_change() -> None:
    """Returning the request as it was leaves the configured origin."""
    event = make_event(EventType.ORIGIN_REQUEST)
    returned = {**shown_request(event, origin=CUSTOM), "uri": "/b"}

    assert parse(event, returned, origin=CUSTOM).origin is None


def test_a_changed_origin_is_taken() -> None:
    """Custom to custom, and custom to S3."""
    event = make_event(EventType.ORIGIN_REQUEST)
    custom = shown_request(event, origin=CUSTOM)
    custom["origin"]["custom"]["domainName"] = "other.example"
    custom["origin"]["custom"]["responseCompletionTimeout"] = 60
    s3 = shown_request(event, origin=CUSTOM)
    s3["origin"] = {"s3": {"domainName": "b.s3.amazonaws.com", "authMethod": "none", "path": "/a"}}

    changed = parse(event, custom, origin=CUSTOM).origin
    moved = parse(event, s3, origin=CUSTOM).origin

    assert changed == replace(CUSTOM, domain_name="other.example", response_completion_timeout_s=60)
    assert moved == LambdaS3Origin("b.s3.amazonaws.com", path="/a")


@pytest.mark.conformance("LAE-48", "LAE-49", "LAE-50", "LAE-51", "LAE-52")
@pytest.mark.parametrize(
    "changes",
    [
        {"customHeaders": {"host": [{"value": "x"}]}},
        {"customHeaders": {"x-amz-thing": [{"value": "x"}]}},
        {"customHeaders": {"user-agent": [{"value": "also in the request"}]}},
        {"domainName": ""},
        {"domainName": "example.org:8080"},
        {"domainName": "192.0.2.7"},
        {"domainName": "2001:db8::1"},
        {"domainName": "a" * 254},
        {"domainName": None},
        {"path": "no-slash"},
        {"path": "/closing/"},
        {"path": "/" + "x" * 255},
        {"port": 22},
        {"port": 65536},
        {"port": "443"},
        {"port": True},
        {"protocol": "ftp"},
        {"keepaliveTimeout": 0},
        {"keepaliveTimeout": 121},
        {"readTimeout": 0},
        {"readTimeout": 121},
        {"responseCompletionTimeout": 29},
        {"sslProtocols": ["TLSv1.3"]},
        {"sslProtocols": "TLSv1.2"},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_an_invalid_custom_origin_is_refused(changes: dict[str, Any]) -> None:
    """The origin object's rules on AWS's page."""
    event = make_event(EventType.ORIGIN_REQUEST)
    returned = shown_request(event, origin=CUSTOM)
    returned["origin"]["custom"].update(changes)

    refusal(event, returned, origin=CUSTOM)


@pytest.mark.conformance("LAE-50", "LAE-51", "LAE-52")
@pytest.mark.parametrize(
    "changes",
    [
        {"port": 8080},
        {"port": 80},
        {"readTimeout": 1},
        {"readTimeout": 120},
        {"responseCompletionTimeout": 30},
        {"responseCompletionTimeout": 0},
        {"path": "/ok"},
        {"customHeaders": {"x-mine": [{"value": "x"}]}},
    ],
    ids=str,
)
def test_a_valid_custom_origin_is_taken(changes: dict[str, Any]) -> None:
    """The bounds themselves are inside."""
    event = make_event(EventType.ORIGIN_REQUEST)
    returned = shown_request(event, origin=CUSTOM)
    returned["origin"]["custom"].update(changes)

    assert parse(event, returned, origin=CUSTOM).outcome == event.request


@pytest.mark.conformance("LAE-53")
@pytest.mark.parametrize("origin", [{}, {"custom": {}, "s3": {}}, [], None, "x"], ids=str)
def test_an_origin_is_exactly_one_of_custom_and_s3(origin: Any) -> None:
    """Both, and neither, are refused."""
    event = make_event(EventType.ORIGIN_REQUEST)

    refusal(event, {**shown_request(event, origin=CUSTOM), "origin": origin}, origin=CUSTOM)


def test_an_origin_at_viewer_request_is_ignored_with_a_warning() -> None:
    """It is not in that event's schema; the default of an open question."""
    event = make_event()
    result = parse(event, {**shown_request(event), "origin": {"custom": {}}})

    assert result.origin is None
    assert "viewer-request" in result.warnings[0]


# --- Generated responses --------------------------------------------------------------------------
@pytest.mark.conformance("LAE-54", "LAE-55")
@pytest.mark.parametrize("status", ["302", 302])
def test_a_status_alone_is_a_response(status: object) -> None:
    """As a number or as text."""
    assert parse(make_event(), {"status": status}).outcome == Response(302)


@pytest.mark.conformance("LAE-54")
@pytest.mark.parametrize("returned", [{"statusCode": 200, "body": "x"}, {}])
def test_an_object_without_status_is_validated_as_a_request(returned: object) -> None:
    """API Gateway's `statusCode` is not CloudFront's."""
    assert refusal(make_event(), returned).sentence == rules.BAD_URI


@pytest.mark.conformance("LAE-55")
@pytest.mark.parametrize(
    "status",
    [199, "199", 600, "600", 100, "", "20", "2000", "abc", True, None, 200.0, [], "２００"],
)
def test_a_status_out_of_range_is_refused(status: object) -> None:
    """200 to 599."""
    refusal(make_event(), {"status": status})


@pytest.mark.conformance("LAE-56")
def test_204_with_a_body_is_refused_at_viewer_request_only() -> None:
    """An empty body is none."""
    refusal(make_event(), {"status": "204", "body": "x"})

    assert parse(make_event(), {"status": "204", "body": ""}).outcome == Response(204)
    origin_request = make_event(EventType.ORIGIN_REQUEST)
    assert parse(origin_request, {"status": "204", "body": "x"}).outcome.body == b"x"


@pytest.mark.conformance("LAE-57", "LAE-58", "LAE-59")
@pytest.mark.parametrize(
    "fields",
    [
        {"body": {"a": 1}},
        {"body": 1},
        {"body": None},
        {"body": "%%%", "bodyEncoding": "base64"},
        {"body": "x", "bodyEncoding": "gzip"},
        {"body": "x", "bodyEncoding": None},
    ],
)
def test_an_invalid_response_body_is_refused(fields: dict[str, Any]) -> None:
    """No string, an unknown encoding, or base64 that is none."""
    assert refusal(make_event(), {"status": "200", **fields}).sentence == rules.BAD_BODY


@pytest.mark.conformance("LAE-58")
def test_a_base64_body_is_decoded() -> None:
    """`bodyEncoding: base64`."""
    returned = {"status": "200", "body": "AAH/", "bodyEncoding": "base64"}

    assert parse(make_event(), returned).outcome.body == b"\x00\x01\xff"


@pytest.mark.conformance("LAE-60", "CF-91")
@pytest.mark.parametrize(
    ("event_type", "limit"),
    [(EventType.VIEWER_REQUEST, 40 * 1024), (EventType.ORIGIN_REQUEST, 1024 * 1024)],
)
def test_a_generated_response_over_its_quota_is_refused(event_type: EventType, limit: int) -> None:
    """Headers and body together."""
    headers = {"x-a": [{"value": "1"}]}
    room = limit - len("X-A: 1\r\n")
    event = make_event(event_type)
    fits = {"status": "200", "headers": headers, "body": "x" * room}

    assert parse(event, fits).outcome.body == b"x" * room
    refusal(event, {**fits, "body": "x" * (room + 1)})


def test_how_a_base64_body_is_measured_is_a_switch() -> None:
    """Decoded by default, with a warning where it matters."""
    data = base64.b64encode(b"x" * 40_000).decode()
    returned = {"status": "200", "body": data, "bodyEncoding": "base64"}
    encoded = LambdaEdgeSwitches(measure_encoded_body=True)

    assert "base64" in parse(make_event(), returned).warnings[0]
    refusal(make_event(), returned, switches=encoded)


@pytest.mark.parametrize("name", ["transfer-encoding", "via", "x-cache", "keep-alive"])
def test_a_generated_response_keeps_off_cloudfronts_own_headers(name: str) -> None:
    """Disallowed ones, Transfer-Encoding and Via."""
    refusal(make_event(), {"status": "200", "headers": {name: [{"value": "x"}]}})


def test_a_generated_responses_content_length_is_cloudfronts() -> None:
    """The function's own is dropped, with a warning."""
    returned = {"status": "200", "headers": {"content-length": [{"value": "99"}]}, "body": "x"}
    result = parse(make_event(), returned)

    assert "content-length" not in result.outcome.headers
    assert "Content-Length" in result.warnings[0]


@pytest.mark.conformance("LAE-71", "LAE-73")
@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"null", rules.NOT_AN_OBJECT),
        (b"[]", rules.NOT_AN_OBJECT),
        (b'"x"', rules.NOT_AN_OBJECT),
        (b"1", rules.NOT_AN_OBJECT),
        (b'{"status": NaN}', rules.NOT_PARSABLE),
        (b"", rules.NOT_PARSABLE),
        (b"{", rules.NOT_PARSABLE),
        (b'{"status": "\xff"}', rules.NOT_PARSABLE),
    ],
)
def test_what_is_no_json_object_is_refused_in_cloudfronts_words(raw: bytes, sentence: str) -> None:
    """Two sentences: not parsable, and not an object."""
    assert refusal(make_event(), raw).sentence == sentence


# --- Updated responses ----------------------------------------------------------------------------
def test_an_unchanged_response_is_the_very_same() -> None:
    """Its body, streamed or not, is not touched."""
    for event_type in (EventType.ORIGIN_RESPONSE, EventType.VIEWER_RESPONSE):
        event = make_event(event_type)

        assert parse(event, shown_response(event)).outcome is event.response


@pytest.mark.conformance("LAE-62")
@pytest.mark.parametrize(
    ("fields", "body"),
    [({}, b"origin's body"), ({"body": "new"}, b"new"), ({"body": ""}, b"")],
)
def test_origin_response_replaces_the_body_only_when_it_sets_one(
    fields: dict[str, str], body: bytes
) -> None:
    """Left out keeps the origin's; an empty string empties it."""
    event = make_event(EventType.ORIGIN_RESPONSE)
    returned = {**shown_response(event), "status": 404, **fields}
    outcome = parse(event, returned).outcome

    assert isinstance(outcome, Response)
    assert (outcome.status, outcome.body) == (404, body)


@pytest.mark.conformance("LAE-63")
def test_viewer_response_cannot_change_the_status() -> None:
    """An attempt is ignored with a warning, or refused: open question 2."""
    event = make_event(EventType.VIEWER_RESPONSE)
    returned = {**shown_response(event), "status": "404"}
    result = parse(event, returned)
    strict = LambdaEdgeSwitches(viewer_response_status=Handling.REFUSE)

    assert isinstance(result.outcome, Response)
    assert result.outcome.status == 200
    assert "status" in result.warnings[0]
    refusal(event, returned, switches=strict)


def test_viewer_response_cannot_set_a_body() -> None:
    """Ignored with a warning: open question 2."""
    event = make_event(EventType.VIEWER_RESPONSE)
    result = parse(event, {**shown_response(event), "body": "new"})

    assert result.outcome.body == b"origin's body"
    assert "body" in result.warnings[0]


@pytest.mark.parametrize("event_type", [EventType.ORIGIN_RESPONSE, EventType.VIEWER_RESPONSE])
def test_a_response_event_wants_a_response_back(event_type: EventType) -> None:
    """Returning the request, or a response without status, is refused."""
    event = make_event(event_type)

    refusal(event, shown_request(event))


def test_response_headers_can_be_changed() -> None:
    """And the disallowed ones that the function did not see stay."""
    event = make_event(EventType.VIEWER_RESPONSE)
    returned = shown_response(event)
    returned["headers"]["set-cookie"] = [{"value": "a=1"}, {"value": "b=2"}]
    headers = parse(event, returned).outcome.headers

    assert headers.get_all("set-cookie") == ("a=1", "b=2")
    assert headers.get("x-cache") == "Miss from cloudfront"
