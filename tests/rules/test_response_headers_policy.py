"""What response headers policies take and add."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.response_headers_policy import (
    MANAGED_RESPONSE_HEADERS_POLICIES,
    allowed_origin,
    apply_policy,
    is_unremovable,
)
from emulator.values.distribution import CorsConfig, PolicyHeader, ResponseHeadersPolicy
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

MANAGED = {policy.name: policy for policy in MANAGED_RESPONSE_HEADERS_POLICIES.values()}
PLAIN = Request("GET", "/")
SIMPLE = Request("GET", "/", headers=Headers({"Origin": "https://app.example.com"}))
PREFLIGHT = Request("OPTIONS", "/", headers=Headers({"Origin": "https://app.example.com"}))
EPOCH_MS = 1_795_258_800_000.0


def applied(
    policy: ResponseHeadersPolicy, request: Request, *lines: tuple[str, str]
) -> dict[str, str]:
    """The headers after the policy, by lower-case name."""
    response = apply_policy(policy, request, Response(200, headers=Headers(lines)), EPOCH_MS)
    return {name.lower(): value for name, value in response.headers}


@pytest.mark.conformance("CF-106")
def test_security_headers_policy() -> None:
    """The origin's X-Frame-Options is kept, X-Content-Type-Options is forced."""
    headers = applied(
        MANAGED["SecurityHeadersPolicy"],
        PLAIN,
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "other"),
    )

    assert headers == {
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "strict-origin-when-cross-origin",
        "strict-transport-security": "max-age=31536000",
        "x-xss-protection": "1; mode=block",
    }


@pytest.mark.parametrize(
    ("policy", "request_", "names"),
    [
        ("SimpleCORS", PLAIN, set()),
        ("SimpleCORS", SIMPLE, {"allow-origin"}),
        ("SimpleCORS", PREFLIGHT, {"allow-origin"}),
        ("CORS-With-Preflight", SIMPLE, {"allow-origin"}),
        ("CORS-With-Preflight", PREFLIGHT, {"allow-origin", "allow-methods", "expose-headers"}),
        ("CORS-with-preflight-and-SecurityHeadersPolicy", SIMPLE, {"allow-origin"}),
        ("CORS-and-SecurityHeadersPolicy", PLAIN, set()),
    ],
)
def test_cors_headers_answer_cors_requests_only(
    policy: str, request_: Request, names: set[str]
) -> None:
    """Nothing without an Origin; all three of the managed policy on a preflight."""
    headers = applied(MANAGED[policy], request_)

    assert {
        name.removeprefix("access-control-")
        for name in headers
        if name.startswith("access-control-")
    } == names


def test_a_custom_cors_configuration() -> None:
    """Each header where AWS's page puts it."""
    cors = CorsConfig(
        ("https://app.example.com",),
        allow_headers=("X-A", "X-B"),
        allow_methods=("ALL",),
        expose_headers=("X-C",),
        allow_credentials=True,
        max_age_s=600,
    )
    policy = ResponseHeadersPolicy("mine", cors)

    assert applied(policy, SIMPLE) == {
        "access-control-allow-origin": "https://app.example.com",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "X-C",
    }
    assert applied(policy, PREFLIGHT) == applied(policy, SIMPLE) | {
        "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
        "access-control-allow-headers": "X-A, X-B",
        "access-control-max-age": "600",
    }


@pytest.mark.parametrize(("override", "value"), [(False, "https://origin"), (True, "*")])
def test_one_override_flag_covers_the_cors_headers(override: bool, value: str) -> None:
    """Off, the origin's own value stays."""
    policy = ResponseHeadersPolicy("mine", CorsConfig(("*",), origin_override=override))
    headers = applied(policy, SIMPLE, ("Access-Control-Allow-Origin", "https://origin"))

    assert headers["access-control-allow-origin"] == value


@pytest.mark.parametrize(
    ("listed", "origin", "value"),
    [
        (("*",), "https://any.example", "*"),
        (("https://a.example",), "https://a.example", "https://a.example"),
        (("https://a.example",), "http://a.example", ""),
        (("a.example",), "http://a.example", "http://a.example"),
        (("*.example.org",), "https://www.example.org", "https://www.example.org"),
        (("*.example.org",), "https://example.org", ""),
        (("https://*.example.org",), "https://a.b.example.org", "https://a.b.example.org"),
        (("https://*.example.org",), "https://evil.test/.example.org", ""),
        (("https://*.example.org",), "https://.example.org", ""),
        (("*",), "", ""),
    ],
)
def test_allowed_origins(listed: tuple[str, ...], origin: str, value: str) -> None:
    """Any, exact, or a wildcard as the leftmost label."""
    assert allowed_origin(CorsConfig(listed), origin) == value


def test_removal_comes_first() -> None:
    """A header that is removed and added is there, with the policy's value."""
    policy = ResponseHeadersPolicy(
        "mine", headers=(PolicyHeader("X-A", "ours", override=False),), remove=("x-a", "x-b")
    )

    assert applied(policy, PLAIN, ("X-A", "theirs"), ("X-B", "1"), ("X-C", "2")) == {
        "x-a": "ours",
        "x-c": "2",
    }


@pytest.mark.conformance("CF-107")
def test_removed_server_and_date_are_replaced_by_cloudfronts() -> None:
    """`Server: CloudFront`, and a Date of its own."""
    policy = ResponseHeadersPolicy("mine", remove=("server", "date"))
    headers = applied(policy, PLAIN, ("Server", "nginx"), ("Date", "yesterday"))

    assert headers == {"server": "CloudFront", "date": "Sat, 21 Nov 2026 11:00:00 GMT"}


@pytest.mark.parametrize(
    "name", ["Content-Length", "Via", "x-amz-cf-id", "X-Cache", "X-Edge-Foo", "x-real-ip"]
)
def test_what_cannot_be_removed(name: str) -> None:
    """AWS refuses such a policy; here it removes nothing."""
    assert is_unremovable(name)
    assert applied(ResponseHeadersPolicy("mine", remove=(name.lower(),)), PLAIN, (name, "1"))
    assert not is_unremovable("Server")


def test_the_managed_ids() -> None:
    """AWS's own."""
    assert MANAGED_RESPONSE_HEADERS_POLICIES["67f7725c-6f97-4210-82d7-5512b31e9d03"].name == (
        "SecurityHeadersPolicy"
    )
    assert len(MANAGED_RESPONSE_HEADERS_POLICIES) == 5


LINES = st.lists(st.tuples(st.sampled_from(["X-A", "x-b", "Vary", "Server"]), st.text(max_size=3)))


@given(LINES, st.sampled_from(sorted(MANAGED)), st.sampled_from([PLAIN, SIMPLE, PREFLIGHT]))
def test_a_policy_touches_only_its_own_headers(
    lines: list[tuple[str, str]], name: str, request_: Request
) -> None:
    """The origin's other headers keep order, case and repetition."""
    response = Response(200, headers=Headers(lines))

    assert list(apply_policy(MANAGED[name], request_, response, EPOCH_MS).headers)[
        : len(lines)
    ] == list(response.headers)
