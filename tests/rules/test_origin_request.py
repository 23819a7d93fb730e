"""What the origin receives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.rules.origin_request import forwarded_query, origin_request
from emulator.values.distribution import (
    CacheBehavior,
    CachePolicy,
    Names,
    Origin,
    OriginRequestPolicy,
    Selection,
)
from emulator.values.headers import Headers
from emulator.values.messages import Request

CACHE = {policy.name: policy for policy in MANAGED_CACHE_POLICIES.values()}
ORIGIN = {policy.name: policy for policy in MANAGED_ORIGIN_REQUEST_POLICIES.values()}
API = Origin("Api", "api.example.com", path="/v1", custom_headers=(("X-Key", "ours"),))
VIEWER = Headers(
    [
        ("Host", "d1.cloudfront.net"),
        ("User-Agent", "curl/8"),
        ("Accept", "text/html"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Authorization", "Bearer x"),
        ("Cookie", "b=2; $v=1; a=1"),
        ("X-Key", "theirs"),
        ("X-Forwarded-Proto", "https"),
        ("Connection", "close"),
    ]
)


def sent(behavior: CacheBehavior, method: str = "GET", headers: Headers = VIEWER) -> Headers:
    """The headers of the origin request."""
    request = Request(method, "/a", "x=1", headers, client_ip="198.51.100.7")
    return origin_request(request, behavior, API, "id==", "abc.cloudfront.net (CloudFront)").headers


def bare(**changes: object) -> CacheBehavior:
    """CachingDisabled without an origin request policy."""
    made = CacheBehavior("*", "Api", CACHE["CachingDisabled"])
    return replace(made, **changes)  # type: ignore[arg-type]


def test_without_a_policy_only_cloudfronts_own_headers_go_through() -> None:
    """Host, User-Agent, X-Amz-Cf-Id, Via, X-Forwarded-For, Connection and custom headers."""
    assert [name for name, _ in sent(bare())] == [
        "Host",
        "User-Agent",
        "X-Key",
        "X-Amz-Cf-Id",
        "Via",
        "X-Forwarded-For",
        "Connection",
    ]
    assert sent(bare()).get("user-agent") == "Amazon CloudFront"


@pytest.mark.conformance("CF-80")
def test_all_viewer_except_host_header() -> None:
    """Everything but Host, with the origin's own name in its place."""
    headers = sent(bare(origin_request_policy=ORIGIN["AllViewerExceptHostHeader"]))

    assert headers.get("host") == "api.example.com"
    assert headers.get("accept") == "text/html"
    assert headers.get("cookie") == "a=1; b=2"
    assert headers.get("user-agent") == "curl/8"
    assert "x-forwarded-proto" not in headers
    assert headers.get_all("connection") == ("Keep-Alive",)


@pytest.mark.conformance("CF-79")
def test_authorization_is_dropped_on_get_and_kept_on_post() -> None:
    """No policy names it."""
    assert "authorization" not in sent(bare())
    assert sent(bare(), "POST").get("authorization") == "Bearer x"


@pytest.mark.conformance("CF-81", "CF-82")
def test_via_and_forwarded_for() -> None:
    """Via carries the viewer's HTTP version; the viewer's address is appended."""
    headers = sent(bare(), headers=Headers([("Host", "h"), ("X-Forwarded-For", "203.0.113.9")]))

    assert headers.get("via") == "1.1 abc.cloudfront.net (CloudFront)"
    assert headers.get("x-forwarded-for") == "203.0.113.9, 198.51.100.7"


@pytest.mark.conformance("CF-77")
def test_a_custom_header_overwrites_the_viewers() -> None:
    """The viewer cannot spoof it."""
    headers = sent(bare(origin_request_policy=ORIGIN["AllViewerExceptHostHeader"]))

    assert headers.get_all("x-key") == ("ours",)


@pytest.mark.conformance("CF-78")
def test_the_origin_path_goes_first() -> None:
    """Domain, origin path, request path."""
    request = Request("GET", "/a/../b", headers=Headers([("Host", "h")]))

    assert origin_request(request, bare(), API, "id", "via").uri == "/v1/a/../b"


@pytest.mark.parametrize(
    ("offered", "forwarded"),
    [("gzip, deflate, br", "br,gzip"), ("gzip;q=0.5", "gzip"), ("deflate", "identity")],
)
@pytest.mark.conformance("CF-24")
def test_accept_encoding_is_normalised(offered: str, forwarded: str) -> None:
    """To what the cache policy enables, in CloudFront's spelling."""
    behavior = bare(cache_policy=CACHE["CachingOptimized"])

    assert (
        sent(behavior, headers=Headers([("Accept-Encoding", offered)])).get("accept-encoding")
        == forwarded
    )


@pytest.mark.parametrize(
    ("cached", "asked", "left"),
    [
        pytest.param(Names(), Names(), "", id="none, none"),
        pytest.param(Names(), Names(Selection.ALL), "a=1&b=2&c", id="none, all"),
        pytest.param(
            Names(Selection.WHITELIST, frozenset("a")),
            Names(Selection.WHITELIST, frozenset("c")),
            "a=1&c",
            id="allow lists are joined",
        ),
        pytest.param(
            Names(Selection.WHITELIST, frozenset("a")),
            Names(Selection.ALL_EXCEPT, frozenset("ab")),
            "a=1&c",
            id="the cache policy's items stay",
        ),
        pytest.param(
            Names(Selection.ALL), Names(Selection.ALL_EXCEPT, frozenset("a")), "a=1&b=2&c", id="all"
        ),
    ],
)
def test_query_strings_of_both_policies(cached: Names, asked: Names, left: str) -> None:
    """The origin gets the union, order kept."""
    policy = CachePolicy("c", 0, 0, 0, query_strings=cached)

    assert (
        forwarded_query("a=1&b=2&c", policy, OriginRequestPolicy("o", query_strings=asked)) == left
    )
