"""The request log in both forms, and what is read out of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.request_log import RequestLogError, read_log, read_log_bytes, read_log_file
from origin.session import issue

KEY = "a-session-key-of-more-than-32-bytes"
FIELDS = "#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query cs(User-Agent) cs(Cookie)"


def row(time: str, path: str, *, cookie: str = "-", ip: str = "192.0.2.1", query: str = "-") -> str:
    """A line of the access log."""
    return "\t".join(["2026-11-20", time, ip, "GET", path, query, "curl", cookie])


def test_json_lines() -> None:
    """Requests in the order of time, by session; the most active users first."""
    log = read_log(
        [
            '{"at": 3, "session": "b", "user_id": "user-002", "action": "ticket-digest"}',
            '{"at": 1, "session": "a", "user_id": "user-001", "action": "morning-briefing"}',
            '{"at": 2, "session": "b", "user_id": "user-002", "action": "morning-briefing"}',
            "",
            "garbage",
            "[" * 100_000,
            '{"at": "x", "session": "a", "action": "b"}',
            '{"at": 1, "session": "a", "action": "Not An Action"}',
        ]
    )

    assert log.unreadable == 4
    assert log.sessions() == [["morning-briefing"], ["morning-briefing", "ticket-digest"]]
    assert log.popular_users() == ["user-002", "user-001"]
    assert log.popular_actions("user-002")["ticket-digest"] == 1


def test_the_access_log() -> None:
    """The session cookie tells user and session; other paths are popular or not."""
    token = issue("user-007", KEY, now_s=1_763_719_200, ttl_s=60)
    log = read_log(
        [
            "#Version: 1.0",
            FIELDS,
            row("01:00:02", "/lambda-answers/ticket-digest", cookie=f"a=b;%20session={token}"),
            row("01:00:01", "/answers/morning-briefing", cookie=f"session={token}"),
            row("01:00:03", "/answers/weekly-review", ip="192.0.2.9"),
            row("01:00:04", "/"),
            row("01:00:05", "/list", query="page=2"),
            row("01:00:06", "/list", query="page=2"),
            row("01:00:07", "/answers/x", cookie="session=a.b.c"),
            "2026-11-20\t01:00:00\ttoo short",
        ]
    )

    assert log.unreadable == 1
    assert log.sessions()[0] == ["morning-briefing", "ticket-digest"]
    assert log.requests[0].session == "user-007/1763719200"
    assert log.popular_users() == ["user-007"]
    assert log.popular_paths() == ["/list?page=2", "/"]


def test_a_packed_file(tmp_path: Path) -> None:
    """CloudFront's files are packed by gzip; a broken one, or none, is said."""
    packed = gzip.compress(f"{FIELDS}\n{row('01:00:00', '/answers/ticket-digest')}\n".encode())
    (tmp_path / "log.gz").write_bytes(packed)

    assert read_log_file(tmp_path / "log.gz").sessions() == [["ticket-digest"]]
    with pytest.raises(RequestLogError, match="broken gzip"):
        read_log_bytes(packed[:20])
    with pytest.raises(RequestLogError, match="No such file"):
        read_log_file(tmp_path / "none")


@given(st.lists(st.text()), st.booleans())
def test_no_line_breaks_the_reading(lines: list[str], as_access_log: bool) -> None:
    """Whatever stands in a log, it is read to its end."""
    read_log([FIELDS, *lines] if as_access_log else lines)
