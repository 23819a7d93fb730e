from __future__ import annotations

import copy
from typing import Any, cast

import pytest

from emulator.errors import ConfigError
from emulator.values.functions import EventType
from emulator.wire.lambda_edge import ExposedBody, dump_event
from emulator.wire.lambda_edge_event import Example, example_event, read_event


@pytest.mark.parametrize("event_type", EventType)
def test_an_example_reads_back_as_it_was_written(event_type: EventType) -> None:
    """`dump(read(example)) == example`, at every trigger, with body and odd headers."""
    example = example_event(
        Example(
            event_type,
            "/é?a=1&b",
            "POST",
            [("cookie", "a=1"), ("Cookie", "b=2"), ("host", "example.com")],
            body=b"\x00data",
            status=404,
        )
    )
    written = read_event(example, where="event.json")
    cf = example["Records"][0]["cf"]
    body = ExposedBody(b"\x00data") if "body" in cf["request"] else None
    again = dump_event(written.event, body=body)
    if "origin" in cf["request"]:
        again["Records"][0]["cf"]["request"]["origin"] = cf["request"]["origin"]

    assert written.shown == example
    assert again == example


@pytest.mark.conformance("LAE-18", "LAE-24", "LAE-25", "LAE-27")
def test_examples_differ_by_trigger_as_awss_do() -> None:
    """Origin in origin events, response in response events, CloudFront's own request headers."""
    shapes = {one: example_event(Example(one))["Records"][0]["cf"] for one in EventType}
    origin_request = shapes[EventType.ORIGIN_REQUEST]["request"]

    assert [one.value for one in EventType if "origin" in shapes[one]["request"]] == [
        "origin-request",
        "origin-response",
    ]
    assert [one.value for one in EventType if "response" in shapes[one]] == [
        "origin-response",
        "viewer-response",
    ]
    assert shapes[EventType.VIEWER_RESPONSE]["response"]["status"] == "200"
    assert origin_request["headers"]["user-agent"][0]["value"] == "Amazon CloudFront"
    assert origin_request["headers"]["host"][0]["value"] == "example.org"


def test_the_trigger_can_be_another() -> None:
    """And is what the function sees."""
    written = read_event(
        example_event(Example(EventType.VIEWER_REQUEST)),
        where="event.json",
        event_type=EventType.ORIGIN_REQUEST,
    )

    assert written.event.event_type is EventType.ORIGIN_REQUEST
    assert written.shown["Records"][0]["cf"]["config"]["eventType"] == "origin-request"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["Records"], [], "Records"),
        (["Records", 0, "cf", "config", "eventType"], "viewer", "viewer-request, origin-request"),
        (["Records", 0, "cf", "request"], None, "request is missing"),
        (["Records", 0, "cf", "request", "headers", "host"], "x", "list of objects"),
        (["Records", 0, "cf", "request", "body"], {"data": "?"}, "not base64"),
        (["Records", 0, "cf", "response", "status"], "ok", "no number"),
    ],
)
def test_what_is_no_event_says_where(path: list[Any], value: object, message: str) -> None:
    """One sentence with the place and the remedy."""
    raw = cast("Any", copy.deepcopy(example_event(Example(EventType.VIEWER_RESPONSE))))
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value

    with pytest.raises(ConfigError, match=message) as caught:
        read_event(raw, where="event.json")

    assert "[event.json]" in str(caught.value)
