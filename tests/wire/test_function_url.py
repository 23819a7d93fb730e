"""A function URL's event and answers, against the examples of AWS's page."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.values.headers import Headers
from emulator.wire.function_url import (
    FAILED,
    UrlAnswer,
    UrlCall,
    dump_url_event,
    parse_url_result,
)

JSON = ("Content-Type", "application/json")
CALL = UrlCall(
    "POST",
    "/my/path",
    "parameter1=value1&parameter1=value2&parameter2=value",
    Headers(
        [
            ("Host", "abc.lambda-url.us-west-2.on.aws"),
            ("Header1", "value1"),
            ("header1", "value2"),
            ("Cookie", "cookie1=a; cookie2=b"),
            ("User-Agent", "agent"),
            ("Connection", "keep-alive"),
        ]
    ),
    b"Hello from client!",
    "192.0.2.1",
    "abc.lambda-url.us-west-2.on.aws",
    "123456789012",
    "id",
    "Root=1-2-3",
    1_583_348_638_390,
)


def test_the_event_is_that_of_the_page() -> None:
    """Payload format 2.0; the call is unsigned."""
    event = dump_url_event(CALL)
    context = event["requestContext"]

    assert (event["version"], event["routeKey"]) == ("2.0", "$default")
    assert (event["rawPath"], event["rawQueryString"]) == (CALL.path, CALL.querystring)
    assert event["cookies"] == ["cookie1=a", "cookie2=b"]
    assert event["queryStringParameters"] == {
        "parameter1": "value1,value2",
        "parameter2": "value",
    }
    assert event["headers"] == {
        "host": CALL.domain_name,
        "header1": "value1,value2",
        "user-agent": "agent",
        "x-amzn-trace-id": "Root=1-2-3",
        "x-forwarded-proto": "https",
        "x-forwarded-port": "443",
        "x-forwarded-for": "192.0.2.1",
    }
    assert (event["body"], event["isBase64Encoded"]) == ("Hello from client!", False)
    assert context["time"] == "04/Mar/2020:19:03:58 +0000"
    assert (context["timeEpoch"], context["accountId"]) == (1_583_348_638_390, "anonymous")
    assert context["http"] == {
        "method": "POST",
        "path": "/my/path",
        "protocol": "HTTP/1.1",
        "sourceIp": "192.0.2.1",
        "userAgent": "agent",
    }
    assert "authorizer" not in context


def test_a_signed_call_knows_who_signed() -> None:
    """Under requestContext.authorizer.iam."""
    context = dump_url_event(replace(CALL, signed=True))["requestContext"]

    assert context["accountId"] == "123456789012"
    assert context["authorizer"]["iam"]["callerId"] == "cloudfront.amazonaws.com"


@pytest.mark.parametrize(
    ("content_type", "body"), [("image/png", b"\x89PNG"), ("text/plain", b"\xff")]
)
def test_bytes_travel_as_base64(content_type: str, body: bytes) -> None:
    """By their type, and when they are no UTF-8."""
    call = replace(CALL, headers=Headers([("Content-Type", content_type)]), body=body)
    event = dump_url_event(call)

    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body


def test_nothing_stands_for_nothing() -> None:
    """No body, cookies or parameters: no members."""
    event = dump_url_event(replace(CALL, querystring="", headers=Headers([]), body=b""))

    assert {"body", "cookies", "queryStringParameters"} & set(event) == set()


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        pytest.param({"message": "hi"}, UrlAnswer(200, (JSON,), b'{"message": "hi"}'), id="object"),
        pytest.param("Hello, world!", UrlAnswer(200, (JSON,), b"Hello, world!"), id="text"),
        pytest.param(None, UrlAnswer(200, (JSON,), b"null"), id="null"),
        pytest.param({"statusCode": 204}, UrlAnswer(204, (JSON,), b""), id="status alone"),
        pytest.param(
            {
                "statusCode": 201,
                "headers": {"Content-Type": "text/html", "X-Count": 3, "X-On": True},
                "body": "<p>ä",
                "cookies": ["a=1; Secure", "b=2"],
            },
            UrlAnswer(
                201,
                (
                    ("Content-Type", "text/html"),
                    ("X-Count", "3"),
                    ("X-On", "true"),
                    ("Set-Cookie", "a=1; Secure"),
                    ("Set-Cookie", "b=2"),
                ),
                "<p>ä".encode(),
            ),
            id="everything",
        ),
        pytest.param(
            {"statusCode": 200, "body": "iVBORw==", "isBase64Encoded": True},
            UrlAnswer(200, (JSON,), b"\x89PNG"),
            id="bytes",
        ),
        pytest.param(
            {"statusCode": "200", "headers": {"Content-Length": "9", "Connection": "x"}},
            UrlAnswer(200, (JSON,), b""),
            id="framing is ours",
        ),
        pytest.param({"statusCode": "fine"}, FAILED, id="no status"),
        pytest.param({"statusCode": 700}, FAILED, id="no such status"),
        pytest.param({"statusCode": True}, FAILED, id="true is no status"),
        pytest.param({"statusCode": 200, "body": {"a": 1}}, FAILED, id="body is no text"),
        pytest.param({"statusCode": 200, "headers": {"A": ["b"]}}, FAILED, id="list as value"),
        pytest.param({"statusCode": 200, "headers": {"A": "b\r\nC: d"}}, FAILED, id="line break"),
        pytest.param({"statusCode": 200, "cookies": "a=1"}, FAILED, id="cookies are a list"),
        pytest.param(
            {"statusCode": 200, "body": "*", "isBase64Encoded": True}, FAILED, id="no Base64"
        ),
    ],
)
def test_what_a_result_becomes(result: Any, answer: UrlAnswer) -> None:
    """Inferred without statusCode; 502 for what is no response."""
    assert parse_url_result(json.dumps(result).encode()) == answer


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["statusCode", "headers", "body", "cookies", "isBase64Encoded", "x"]
                ),
                inner,
            )
        ),
        max_leaves=8,
    )
)
def test_no_result_breaks_it(result: Any) -> None:
    """Whatever a function returns is answered, with headers of one line each."""
    answer = parse_url_result(json.dumps(result).encode())

    assert 200 <= answer.status <= 599
    for name, value in answer.headers:
        assert "\n" not in name + value
        (name + value).encode("latin-1")
