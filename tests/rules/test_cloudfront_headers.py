"""The CloudFront-… request headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.cloudfront_headers import (
    ViewerFacts,
    cloudfront_headers,
    device_of,
    error_page_headers,
    visible_at,
    wanted_headers,
    with_cloudfront_headers,
)
from emulator.rules.managed_policies import (
    CLOUDFRONT_VIEWER_HEADERS,
    MANAGED_CACHE_POLICIES,
    MANAGED_ORIGIN_REQUEST_POLICIES,
)
from emulator.values.distribution import (
    CacheBehavior,
    CachePolicy,
    Names,
    OriginRequestPolicy,
    Selection,
)
from emulator.values.functions import EventType, FunctionKind
from emulator.values.headers import Headers
from emulator.values.messages import Request
from emulator.values.viewers import Handshake, TlsConnection, ViewerLocation

CACHE = {policy.name: policy for policy in MANAGED_CACHE_POLICIES.values()}
ORIGIN = {policy.name: policy for policy in MANAGED_ORIGIN_REQUEST_POLICIES.values()}
TOKYO = ViewerLocation(
    "JP", "Japan", "13", "Tōkyō", "Tōkyō", "100-0001", "", 35.6895, 139.6917, "Asia/Tokyo", 2516
)
VIEWER = Request(
    "GET",
    "/",
    headers=Headers([("Host", "d1.cloudfront.net"), ("User-Agent", "curl/8"), ("X-A", "1")]),
    client_ip="198.51.100.10",
    client_port=46532,
    secure=True,
)
FACTS = ViewerFacts(
    VIEWER,
    TOKYO,
    TlsConnection("TLSv1.3", "TLS_AES_128_GCM_SHA256", Handshake.SESSION_RESUMED),
    ja3="abc",
    ja4="def",
)


def listed(*names: str) -> Names:
    """An allow list."""
    return Names(Selection.WHITELIST, frozenset(names))


def behavior(cached: Names = Names(), asked: OriginRequestPolicy | None = None) -> CacheBehavior:  # noqa: B008
    """A behavior with these policies."""
    return CacheBehavior("*", "O", CachePolicy("c", 0, 1, 2, cached), asked)


@pytest.mark.parametrize(
    ("of", "wanted"),
    [
        pytest.param(behavior(), set(), id="no policy lists any"),
        pytest.param(
            behavior(listed("cloudfront-viewer-country", "x-a")),
            {"cloudfront-viewer-country"},
            id="the cache policy",
        ),
        pytest.param(
            behavior(listed("cloudfront-viewer-tls")), set(), id="not allowed in a cache policy"
        ),
        pytest.param(
            behavior(asked=OriginRequestPolicy("o", listed("cloudfront-viewer-tls"))),
            {"cloudfront-viewer-tls"},
            id="the origin request policy",
        ),
        pytest.param(behavior(asked=ORIGIN["AllViewer"]), set(), id="AllViewer has none"),
        pytest.param(
            behavior(asked=ORIGIN["AllViewerAndCloudFrontHeaders-2022-06"]),
            set(CLOUDFRONT_VIEWER_HEADERS),
            id="the 21",
        ),
        pytest.param(
            behavior(asked=ORIGIN["AllViewerExceptHostHeader"]),
            set(CLOUDFRONT_VIEWER_HEADERS),
            id="as AllViewerExceptHostHeader's prose says",
        ),
    ],
)
def test_only_what_a_policy_lists(of: CacheBehavior, wanted: set[str]) -> None:
    """A policy for all viewer headers does not include CloudFront's."""
    assert wanted_headers(of) == wanted


def test_the_contradiction_of_all_viewer_except_host_header_is_a_switch() -> None:
    """Its settings list names viewer headers only."""
    of = behavior(asked=ORIGIN["AllViewerExceptHostHeader"])

    assert wanted_headers(of, all_except_host_sends_them=False) == frozenset()


def test_every_value() -> None:
    """In AWS's forms; non-ASCII percent-encoded, what is not known left out."""
    everything = frozenset(
        {
            *CLOUDFRONT_VIEWER_HEADERS,
            "cloudfront-viewer-header-order",
            "cloudfront-viewer-header-count",
            "cloudfront-viewer-ja3-fingerprint",
            "cloudfront-viewer-ja4-fingerprint",
        }
    )

    assert dict(cloudfront_headers(everything, FACTS)) == {
        "CloudFront-Is-Android-Viewer": "false",
        "CloudFront-Is-Desktop-Viewer": "true",
        "CloudFront-Is-IOS-Viewer": "false",
        "CloudFront-Is-Mobile-Viewer": "false",
        "CloudFront-Is-SmartTV-Viewer": "false",
        "CloudFront-Is-Tablet-Viewer": "false",
        "CloudFront-Viewer-Address": "198.51.100.10:46532",
        "CloudFront-Viewer-ASN": "2516",
        "CloudFront-Viewer-Country": "JP",
        "CloudFront-Viewer-City": "T%C5%8Dky%C5%8D",
        "CloudFront-Viewer-Country-Name": "Japan",
        "CloudFront-Viewer-Country-Region": "13",
        "CloudFront-Viewer-Country-Region-Name": "T%C5%8Dky%C5%8D",
        "CloudFront-Viewer-Latitude": "35.68950",
        "CloudFront-Viewer-Longitude": "139.69170",
        "CloudFront-Viewer-Postal-Code": "100-0001",
        "CloudFront-Viewer-Time-Zone": "Asia/Tokyo",
        "CloudFront-Viewer-Header-Order": "Host:User-Agent:X-A",
        "CloudFront-Viewer-Header-Count": "3",
        "CloudFront-Viewer-JA3-Fingerprint": "abc",
        "CloudFront-Viewer-JA4-Fingerprint": "def",
        "CloudFront-Viewer-TLS": "TLSv1.3:TLS_AES_128_GCM_SHA256:sessionResumed",
        "CloudFront-Forwarded-Proto": "https",
        "CloudFront-Viewer-Http-Version": "1.1",
    }


def test_plain_http_has_no_tls_headers() -> None:
    """Neither TLS nor fingerprints, even when they are listed."""
    wanted = frozenset({"cloudfront-viewer-tls", "cloudfront-viewer-ja3-fingerprint"})

    assert cloudfront_headers(wanted, ViewerFacts(VIEWER, ja3="abc")) == []


def test_a_viewers_own_line_is_overwritten() -> None:
    """Nobody can claim another country; what is not wanted passes as it is."""
    spoofed = Request(
        "GET",
        "/",
        headers=Headers(
            [("cloudfront-viewer-country", "US"), ("CloudFront-Viewer-City", "x"), ("X-A", "1")]
        ),
    )
    wanted = frozenset({"cloudfront-viewer-country"})
    request = with_cloudfront_headers(spoofed, wanted, ViewerFacts(spoofed, TOKYO))

    assert request.headers.get_all("cloudfront-viewer-country") == ("JP",)
    assert request.headers.get("cloudfront-viewer-city") == "x"
    unknown = with_cloudfront_headers(spoofed, wanted, ViewerFacts(spoofed))
    assert "cloudfront-viewer-country" not in unknown.headers
    assert with_cloudfront_headers(spoofed, frozenset(), FACTS) is spoofed


def test_the_header_order_is_cut() -> None:
    """At 7,680 characters."""
    many = Request("GET", "/", headers=Headers([(f"X-{number:05}", "") for number in range(2000)]))
    order = cloudfront_headers(frozenset({"cloudfront-viewer-header-order"}), ViewerFacts(many))

    assert len(order[0][1]) == 7_680


@pytest.mark.parametrize(
    ("kind", "event", "visible"),
    [
        (FunctionKind.CLOUDFRONT_FUNCTION, EventType.VIEWER_REQUEST, True),
        (FunctionKind.LAMBDA_AT_EDGE, EventType.VIEWER_REQUEST, False),
        (FunctionKind.LAMBDA_AT_EDGE, EventType.ORIGIN_REQUEST, True),
        (FunctionKind.LAMBDA_AT_EDGE, EventType.ORIGIN_RESPONSE, True),
        (FunctionKind.LAMBDA_AT_EDGE, EventType.VIEWER_RESPONSE, False),
    ],
)
def test_where_functions_see_them(kind: FunctionKind, event: EventType, visible: bool) -> None:
    """CloudFront Functions at once, Lambda@Edge at the origin's side."""
    assert visible_at(kind, event) is visible


SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0"


@pytest.mark.parametrize(
    ("user_agent", "kinds"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0", {"desktop"}),
        ("curl/8.4.0", {"desktop"}),
        ("", {"desktop"}),
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) {SAFARI} Mobile/15E148", {"ios", "mobile"}),
        (f"Mozilla/5.0 (iPad; CPU OS 16_0) {SAFARI} Mobile/15E", {"ios", "mobile", "tablet"}),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/120 Mobile", {"android", "mobile"}),
        ("Mozilla/5.0 (Linux; Android 13; SM-X900) Chrome/120", {"android", "mobile", "tablet"}),
        ("Mozilla/5.0 (Linux; Android 9; AFTM) Silk/90 AppleWebKit", {"android", "smart_tv"}),
        ("Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) TV Safari/537", {"smart_tv"}),
        ("Mozilla/5.0 (Web0S; Linux/SmartTV) Chrome/79", {"smart_tv"}),
    ],
)
def test_devices(user_agent: str, kinds: set[str]) -> None:
    """Several may be true; tablets are mobile too."""
    device = device_of(user_agent)

    assert {kind for kind in device.__slots__ if getattr(device, kind)} == kinds


@given(st.text())
def test_every_user_agent_is_some_device(user_agent: str) -> None:
    """Desktop, mobile or television."""
    device = device_of(user_agent)

    assert device.desktop or device.mobile or device.smart_tv
    assert not (device.desktop and (device.mobile or device.smart_tv))


def test_error_page_headers() -> None:
    """The original URI and query."""
    assert dict(error_page_headers("/a", "x=1")) == {
        "CloudFront-Error-Uri": "/a",
        "CloudFront-Error-Args": "x=1",
    }
