"""Conditional requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.conditional import (
    is_not_modified,
    merge_not_modified,
    not_modified,
    revalidation_headers,
)
from emulator.rules.freshness import Freshness
from emulator.values.distribution import CacheBehavior, CachePolicy, Names, Selection
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

BEFORE = "Sat, 21 Nov 2026 10:59:59 GMT"
CHANGED = "Sat, 21 Nov 2026 11:00:00 GMT"
AFTER = "Sat, 21 Nov 2026 11:00:01 GMT"
STORED = Response(
    200,
    headers=Headers(
        [
            ("Content-Type", "text/html"),
            ("Content-Length", "5"),
            ("ETag", '"v1"'),
            ("Last-Modified", CHANGED),
            ("Cache-Control", "max-age=60"),
        ]
    ),
    body=b"hello",
)
BEHAVIOR = CacheBehavior("*", "O", CachePolicy("c", 0, 60, 3600))
FRESH = Freshness(60)


def asks(*lines: tuple[str, str], method: str = "GET") -> Request:
    """A viewer's request with these headers."""
    return Request(method, "/", headers=Headers(lines))


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        pytest.param([], False, id="unconditional"),
        pytest.param([("If-None-Match", '"v1"')], True, id="same tag"),
        pytest.param([("If-None-Match", 'W/"v1"')], True, id="compared weakly"),
        pytest.param([("If-None-Match", '"v0", "v1"')], True, id="one of a list"),
        pytest.param([("If-None-Match", '"v0"'), ("If-None-Match", '"v1"')], True, id="two lines"),
        pytest.param([("If-None-Match", '"v0,"v1"')], False, id="a comma inside a tag"),
        pytest.param([("If-None-Match", "*")], True, id="star"),
        pytest.param([("If-None-Match", '"v2"')], False, id="other tag"),
        pytest.param([("If-Modified-Since", CHANGED)], True, id="same date"),
        pytest.param([("If-Modified-Since", AFTER)], True, id="later date"),
        pytest.param([("If-Modified-Since", BEFORE)], False, id="earlier date"),
        pytest.param([("If-Modified-Since", "yesterday")], False, id="no date"),
        pytest.param(
            [("If-None-Match", '"v2"'), ("If-Modified-Since", AFTER)], False, id="the tag decides"
        ),
    ],
)
def test_a_viewer_that_has_the_object_gets_304(lines: list[tuple[str, str]], same: bool) -> None:
    """If-None-Match before If-Modified-Since, as RFC 9110 orders them."""
    assert is_not_modified(asks(*lines), STORED) is same
    assert is_not_modified(asks(*lines, method="POST"), STORED) is False
    assert is_not_modified(asks(*lines), replace(STORED, status=404)) is False


def test_a_304_has_no_body_and_nothing_that_describes_one() -> None:
    """Tag, date and Cache-Control stay."""
    answer = not_modified(STORED)

    assert answer.status == 304
    assert answer.body == b""
    assert [name for name, _ in answer.headers] == ["ETag", "Last-Modified", "Cache-Control"]


def test_revalidation_asks_by_tag_and_by_date() -> None:
    """Whichever of them the object has."""
    assert revalidation_headers(STORED, FRESH, BEHAVIOR) == (
        ("If-None-Match", '"v1"'),
        ("If-Modified-Since", CHANGED),
    )
    bare = replace(STORED, headers=STORED.headers.without("etag"))
    assert revalidation_headers(bare, FRESH, BEHAVIOR) == (("If-Modified-Since", CHANGED),)


def test_no_conditions_when_cookies_are_forwarded() -> None:
    """AWS: a full refetch then; the same for `Vary: *` and for errors."""
    policy = replace(BEHAVIOR.cache_policy, cookies=Names(Selection.ALL))

    assert revalidation_headers(STORED, FRESH, replace(BEHAVIOR, cache_policy=policy)) == ()
    assert revalidation_headers(STORED, replace(FRESH, revalidates=False), BEHAVIOR) == ()
    assert revalidation_headers(replace(STORED, status=404), FRESH, BEHAVIOR) == ()


def test_a_304_renews_the_stored_headers() -> None:
    """Newer headers replace, the body and what describes it stay."""
    fresh = Response(
        304,
        headers=Headers(
            [
                ("Cache-Control", "max-age=90"),
                ("Content-Length", "0"),
                ("X-New", "1"),
                ("X-New", "2"),
                ("ETag", '"v1"'),
            ]
        ),
    )
    merged = merge_not_modified(STORED, fresh)

    assert (merged.status, merged.body) == (200, b"hello")
    assert merged.headers.get("content-length") == "5"
    assert merged.headers.get("cache-control") == "max-age=90"
    assert merged.headers.get_all("x-new") == ("1", "2")


def test_a_304_does_not_make_a_compressed_objects_tag_strong() -> None:
    """Compression made it weak; the origin still knows the strong one."""
    weak = replace(STORED, headers=STORED.headers.with_set("ETag", 'W/"v1"'))
    strong = Response(304, headers=Headers([("ETag", '"v1"')]))

    assert merge_not_modified(weak, strong).headers.get("etag") == 'W/"v1"'


@given(st.text(st.characters(max_codepoint=0xFF)), st.text(st.characters(max_codepoint=0xFF)))
def test_any_condition_can_be_read(tag: str, date: str) -> None:
    """Whatever a viewer writes, the answer is yes or no."""
    request = asks(("If-None-Match", tag), ("If-Modified-Since", date))

    assert is_not_modified(request, STORED) in (True, False)
