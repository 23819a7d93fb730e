"""Partial requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.ranges import (
    ByteRange,
    ContentRange,
    RangeOutcome,
    cut_part,
    decide_range,
    parse_content_range,
    partial,
    resolve_range,
    sends_whole_object,
    too_large_to_cache,
)
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

BODY = bytes(range(200)) * 5
STORED = Response(
    200,
    headers=Headers(
        [
            ("Content-Type", "video/mp4"),
            ("Content-Length", "1000"),
            ("ETag", '"v1"'),
            ("Last-Modified", "Sat, 21 Nov 2026 11:00:00 GMT"),
        ]
    ),
    body=BODY,
)


def asks(value: str, *lines: tuple[str, str], method: str = "GET") -> Request:
    """A viewer's range request."""
    return Request(method, "/", headers=Headers([("Range", value), *lines]))


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        pytest.param("bytes=0-99", [(0, 99)], id="the first hundred"),
        pytest.param("bytes=900-", [(900, 999)], id="from there on"),
        pytest.param("bytes=-100", [(900, 999)], id="the last hundred"),
        pytest.param("bytes=-5000", [(0, 999)], id="a suffix over the length"),
        pytest.param("bytes=990-5000", [(990, 999)], id="an end over the length"),
        pytest.param("Bytes = 0-0", [(0, 0)], id="unit without case"),
        pytest.param("bytes=0-9, 20-29", [(0, 9), (20, 29)], id="two"),
        pytest.param("bytes=0-9,-10", [(0, 9), (990, 999)], id="one and a suffix"),
        pytest.param("bytes=0-9,2000-", [(0, 9)], id="one behind the end is passed over"),
    ],
)
def test_satisfiable_ranges(value: str, ranges: list[tuple[int, int]]) -> None:
    """RFC 9110's forms."""
    decided = resolve_range(value, 1000)

    assert decided.outcome is RangeOutcome.PARTIAL
    assert [(one.first, one.last) for one in decided.ranges] == ranges


@pytest.mark.parametrize(
    "value",
    [
        "bytes=300-400,100-200",
        "bytes=100-200,150-250",
        "bytes=100-200,200-250",
        "bytes=0-,500-600",
        "bytes=200-100",
        "bytes=--5",
        "bytes=-1-5",
        "bytes=a-b",
        "bytes=-",
        "bytes=",
        "bytes",
        "items=0-5",
        "bytes=0-5,",
        "bytes=0-" + "9" * 30,
        "bytes=٣-٤",
        "",
    ],
)
def test_whatever_is_not_ascending_apart_and_valid_gets_the_whole_object(value: str) -> None:
    """200, not 416 and not 400."""
    assert resolve_range(value, 1000).outcome is RangeOutcome.WHOLE


@pytest.mark.parametrize("value", ["bytes=1000-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_that_is_nowhere_in_the_object_is_refused(value: str) -> None:
    """416 with the object's length."""
    decided = decide_range(asks(value), STORED, 1000)
    refused = partial(STORED, BODY, decided, "b")

    assert decided.outcome is RangeOutcome.UNSATISFIABLE
    assert refused.status == 416
    assert refused.headers.get("content-range") == "bytes */1000"


@pytest.mark.parametrize(
    ("request_", "stored", "outcome"),
    [
        pytest.param(asks("bytes=0-1"), STORED, "206", id="GET"),
        pytest.param(asks("bytes=0-1", method="HEAD"), STORED, "200", id="HEAD"),
        pytest.param(asks("bytes=0-1"), replace(STORED, status=404), "200", id="an error"),
        pytest.param(asks("bytes=0-1", ("Range", "bytes=3-4")), STORED, "200", id="two headers"),
        pytest.param(asks("bytes=0-1", ("If-Range", '"v1"')), STORED, "206", id="same tag"),
        pytest.param(asks("bytes=0-1", ("If-Range", '"v2"')), STORED, "200", id="other tag"),
        pytest.param(asks("bytes=0-1", ("If-Range", 'W/"v1"')), STORED, "200", id="weak tag"),
        pytest.param(
            asks("bytes=0-1", ("If-Range", "Sat, 21 Nov 2026 11:00:00 GMT")),
            STORED,
            "206",
            id="same date",
        ),
        pytest.param(
            asks("bytes=0-1", ("If-Range", "Sat, 21 Nov 2026 11:00:01 GMT")),
            STORED,
            "200",
            id="other date",
        ),
    ],
)
def test_when_a_part_is_sent(request_: Request, stored: Response, outcome: str) -> None:
    """Only a GET for a 200 whose If-Range holds."""
    assert decide_range(request_, stored, 1000).outcome == outcome


def test_one_part() -> None:
    """206 with Content-Range and the part's own length."""
    answer = partial(STORED, BODY, decide_range(asks("bytes=10-19"), STORED, 1000), "b")

    assert answer.status == 206
    assert answer.body == BODY[10:20]
    assert answer.headers.get_all("content-length") == ("10",)
    assert answer.headers.get("content-range") == "bytes 10-19/1000"
    assert answer.headers.get("etag") == '"v1"'


def test_several_parts() -> None:
    """multipart/byteranges, each part with its type and place."""
    answer = partial(STORED, BODY, decide_range(asks("bytes=0-1,998-999"), STORED, 1000), "XYZ")

    assert answer.headers.get("content-type") == "multipart/byteranges; boundary=XYZ"
    assert answer.body == (
        b"\r\n--XYZ\r\nContent-Type: video/mp4\r\nContent-Range: bytes 0-1/1000\r\n\r\n\x00\x01"
        b"\r\n--XYZ\r\nContent-Type: video/mp4\r\nContent-Range: bytes 998-999/1000\r\n\r\n\xc6\xc7"
        b"\r\n--XYZ--\r\n"
    )
    assert answer.headers.get("content-length") == str(len(answer.body))


def test_the_whole_object_is_the_stored_one() -> None:
    """Nothing changes without a Range."""
    decided = decide_range(Request("GET", "/"), STORED, 1000)

    assert partial(STORED, BODY, decided, "b") is STORED


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("bytes 0-99/1000", ContentRange(ByteRange(0, 99), 1000)),
        ("bytes 0-99/*", ContentRange(ByteRange(0, 99), None)),
        ("bytes 99-0/1000", None),
        ("bytes 0-1000/1000", None),
        ("bytes */1000", None),
        ("", None),
    ],
)
def test_an_origins_content_range(value: str, read: ContentRange | None) -> None:
    """Parts that contradict themselves are none."""
    assert parse_content_range(value) == read


def test_a_stored_part_answers_what_lies_within_it() -> None:
    """Parts of an object are stored under its key."""
    held = ContentRange(ByteRange(100, 199), 1000)

    assert cut_part(BODY[100:200], held, ByteRange(150, 159)) == BODY[150:160]
    assert cut_part(BODY[100:200], held, ByteRange(150, 200)) is None


def test_an_origin_without_ranges_gives_the_whole() -> None:
    """A 200 or a chunked answer."""
    part = Response(206, headers=Headers([("Content-Range", "bytes 0-1/3")]))

    assert not sends_whole_object(part)
    assert sends_whole_object(Response(200))
    chunked = part.headers.with_added("Transfer-Encoding", "chunked")
    assert sends_whole_object(replace(part, headers=chunked))


def test_over_50_gb_is_not_fetched_into_the_cache() -> None:
    """Content-Length decides."""
    assert too_large_to_cache(Response(200, headers=Headers({"Content-Length": "60000000000"})))
    assert not too_large_to_cache(Response(200, headers=Headers({"Content-Length": "50000000000"})))
    assert not too_large_to_cache(Response(200))


@given(st.text("bytes=0123456789-, ", max_size=40) | st.text(), st.integers(0, 2000))
def test_any_range_can_be_read(value: str, length: int) -> None:
    """Parts are ascending, apart, and inside the object."""
    decided = resolve_range(value, length)
    ends = [end for one in decided.ranges for end in (one.first, one.last + 0.5)]

    assert ends == sorted(ends)
    assert all(0 <= one.first <= one.last < length for one in decided.ranges)
    assert bool(decided.ranges) is (decided.outcome is RangeOutcome.PARTIAL)


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(1, 50)), min_size=1, max_size=5))
def test_every_byte_of_a_part_is_the_objects(starts: list[tuple[int, int]]) -> None:
    """What is cut out is what stands there."""
    value = "bytes=" + ",".join(f"{start}-{start + size}" for start, size in starts)
    decided = resolve_range(value, len(BODY))
    answer = partial(STORED, BODY, decided, "bound")

    assert isinstance(answer.body, bytes)
    for one in decided.ranges:
        assert BODY[one.first : one.last + 1] in answer.body
