"""How paths are told apart, and the samples file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import BadInputError
from loadtests.samples import (
    DeliveryPath,
    Sample,
    SampleWriter,
    ServerTrace,
    classify,
    is_expired,
    join_parts,
    parse_server_timing,
    parse_trace,
    read_recording,
)


@pytest.mark.parametrize(
    ("status", "x_cache", "content_type", "path"),
    [
        (200, "FunctionGeneratedResponse from cloudfront", "application/json", "edge-function"),
        (200, "LambdaGeneratedResponse from cloudfront", "application/json", "edge-lambda"),
        (200, "Hit from cloudfront", "text/html", "cache"),
        (200, "RefreshHit from cloudfront", "text/html", "cache"),
        (200, "Miss from cloudfront", "application/json", "fallback-buffered"),
        (200, "Miss from cloudfront", "text/event-stream; charset=utf-8", "fallback-streamed"),
        (403, "FunctionGeneratedResponse from cloudfront", "text/html", "error"),
        (503, "Error from cloudfront", "text/html", "error"),
        (200, None, "application/json", "error"),
        (0, None, None, "error"),
    ],
)
def test_headers_alone_tell_the_path(
    status: int, x_cache: str | None, content_type: str | None, path: str
) -> None:
    """What CloudFront writes is enough, so the same file runs against the real one."""
    assert classify(status, x_cache, content_type) == path


def test_the_trace_header() -> None:
    """Its id and its figures."""
    header = "6f96; place=NRT/fibre; simulated_ms=7.41; overhead_ms=0.31; late_ms=0.00"

    assert parse_trace(header) == ServerTrace("6f96", 7.41, 0.31, 0.0)
    assert parse_trace(None) == ServerTrace()


@given(st.text(max_size=60))
def test_no_trace_header_ends_a_run(header: str) -> None:
    """Whatever a server writes there."""
    parse_trace(header)


def sample(**changes: object) -> Sample:
    """A good sample, changed."""
    values: dict[str, object] = {
        "intended_s": 1.0,
        "lag_ms": 0.5,
        "place": "LHR/fibre",
        "path": DeliveryPath.EDGE_FUNCTION,
        "target": "/answers/x",
        "status": 200,
        "error": None,
        "ttfb_ms": 9.0,
        "first_token_ms": 9.5,
        "total_ms": 10.0,
        "bytes": 100,
        "simulated_ms": 8.0,
        "overhead_ms": 0.4,
        "late_ms": 0.0,
        "trace_id": "t",
        "parts_ms": {"viewer": 7.5, "function": 0.5},
    }
    return Sample(**{**values, **changes})  # type: ignore[arg-type]


def test_a_recording_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Run, samples, end."""
    writer = SampleWriter(tmp_path / "s.jsonl", {"seed": 1})
    samples = (sample(), sample(path=DeliveryPath.ERROR, error="HTTP 503", ttfb_ms=None))
    for one in samples:
        writer.add(one)
    writer.close({"unfinished": 0})
    writer.close({"unfinished": 9})

    recording = read_recording(tmp_path / "s.jsonl")
    assert recording.samples == samples
    assert (recording.run, recording.end) == ({"seed": 1}, {"unfinished": 0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "line 1: not JSON"),
        ("[1]", "line 1: expected an object"),
        ('{"run": {}}\n{"x": 1}', "line 2: not a sample"),
        ('{"path": "nowhere"}', "line 1: not a sample"),
    ],
)
def test_a_broken_file_says_which_line(tmp_path: Path, text: str, message: str) -> None:
    """And what would be right."""
    (tmp_path / "s.jsonl").write_text(text)

    with pytest.raises(BadInputError, match=message):
        read_recording(tmp_path / "s.jsonl")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(BadInputError, match=r"nothing\.jsonl"):
        read_recording(tmp_path / "nothing.jsonl")


def test_the_parts_of_the_simulated_time() -> None:
    """The header names them; what the origin says of its model is taken out of the origin's."""
    trace = parse_trace("6f96; simulated_ms=900.00; parts=viewer:7.00,origin:893.00,bad:x")

    parts = join_parts(trace, parse_server_timing('cdn-cache-miss, model;dur=850.5;desc="m"'))

    assert parts == {"viewer": 7.0, "origin": 42.5, "model": 850.5}
    assert sum(parts.values()) == trace.simulated_ms
    assert join_parts(parse_trace(None), {"model": 3.0}) is None


def test_no_part_takes_more_than_there_was() -> None:
    """A server that says too much does not make a part negative."""
    trace = parse_trace("6f96; parts=origin:10.00")

    assert join_parts(trace, {"model": 50.0, "store": 2.0}) == {"origin": 0.0, "model": 10.0}


@given(st.text(max_size=60))
def test_no_server_timing_header_ends_a_run(header: str) -> None:
    """Whatever a server writes there."""
    parse_server_timing(header)


@pytest.mark.parametrize(
    ("changes", "is_timeout"),
    [
        ({}, False),
        ({"status": 504, "error": "HTTP 504, X-Cache: Error from cloudfront"}, True),
        ({"error": "no whole answer in 60 s"}, True),
        ({"error": "the stream broke off"}, False),
    ],
)
def test_what_counts_as_a_timeout(changes: dict[str, object], is_timeout: bool) -> None:
    """The viewer's patience, or CloudFront's 504."""
    assert sample(**changes).is_timeout is is_timeout


@pytest.mark.parametrize(
    ("expires", "date", "expected"),
    [
        ("Sat, 21 Nov 2026 12:00:00 GMT", "Sat, 21 Nov 2026 12:00:01 GMT", True),
        ("Sat, 21 Nov 2026 12:00:00 GMT", "Sat, 21 Nov 2026 12:00:00 GMT", False),
        ("Thu, 01 Jan 1970 00:00:59 GMT", None, True),
        ("Thu, 01 Jan 1970 00:01:00 GMT", None, False),
        (None, "Sat, 21 Nov 2026 12:00:01 GMT", None),
        ("soon", None, None),
    ],
    ids=["past", "in its last second", "own clock, past", "own clock", "never", "unreadable"],
)
def test_a_stale_answer_is_told_by_its_headers(
    expires: str | None, date: str | None, expected: bool | None
) -> None:
    """X-Answer-Expires against the server's Date, else against our own clock."""
    assert is_expired(expires, date, now_s=60.5) is expected
