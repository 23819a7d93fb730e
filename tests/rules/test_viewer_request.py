"""What CloudFront checks first."""

from __future__ import annotations

import pytest

from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES
from emulator.rules.viewer_request import behavior_refusal, serves_host, size_refusal
from emulator.values.distribution import (
    ALL_METHODS,
    READ_METHODS,
    CacheBehavior,
    Distribution,
    Origin,
    ViewerProtocolPolicy,
)
from emulator.values.headers import Headers
from emulator.values.messages import Request

POLICY = next(iter(MANAGED_CACHE_POLICIES.values()))


def behavior(
    policy: ViewerProtocolPolicy = ViewerProtocolPolicy.ALLOW_ALL,
    methods: frozenset[str] = ALL_METHODS,
) -> CacheBehavior:
    """A behavior with this protocol policy and these methods."""
    return CacheBehavior("*", "O", POLICY, viewer_protocol_policy=policy, allowed_methods=methods)


def refusal_status(behavior_: CacheBehavior, request: Request) -> int:
    """The status of the refusal, 0 for none."""
    refused = behavior_refusal(behavior_, request, "id")
    return refused.status if refused else 0


@pytest.mark.parametrize(
    ("method", "version", "status"),
    [("GET", "1.1", 301), ("HEAD", "1.1", 301), ("POST", "1.1", 307), ("POST", "1.0", 403)],
)
@pytest.mark.conformance("CF-12", "CF-13")
def test_redirect_to_https(method: str, version: str, status: int) -> None:
    """GET and HEAD get 301, others 307, and 403 below HTTP/1.1."""
    request = Request(method, "/a", "b=1", Headers([("Host", "h")]), http_version=version)
    refused = behavior_refusal(behavior(ViewerProtocolPolicy.REDIRECT_TO_HTTPS), request, "id")

    assert refused is not None
    assert refused.status == status
    assert refused.headers.get("location") == ("https://h/a?b=1" if status != 403 else "")


@pytest.mark.conformance("CF-14")
def test_https_only_refuses_plain_http() -> None:
    """403 for HTTP, nothing for HTTPS."""
    only = behavior(ViewerProtocolPolicy.HTTPS_ONLY)

    assert refusal_status(only, Request("GET", "/")) == 403
    assert refusal_status(only, Request("GET", "/", secure=True)) == 0


def test_a_method_that_is_not_allowed_is_refused() -> None:
    """POST on a GET, HEAD behavior gets 403."""
    assert refusal_status(behavior(methods=READ_METHODS), Request("POST", "/")) == 403
    assert refusal_status(behavior(methods=READ_METHODS), Request("GET", "/")) == 0


@pytest.mark.conformance("CF-18")
def test_get_with_a_body_is_refused() -> None:
    """CloudFront answers 403 to a GET that has a body."""
    assert refusal_status(behavior(), Request("GET", "/", body=b"x")) == 403
    assert refusal_status(behavior(), Request("POST", "/", body=b"x")) == 0


def test_sizes() -> None:
    """A URL of 8,193 bytes is 414, headers over 32,768 are 494."""
    assert size_refusal(Request("GET", "/" + "a" * 8191), 100) == 0
    assert size_refusal(Request("GET", "/" + "a" * 8192), 100) == 414
    assert size_refusal(Request("GET", "/"), 32_768) == 0
    assert size_refusal(Request("GET", "/"), 32_769) == 494


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("d1.cloudfront.net", True),
        ("D1.CloudFront.net:8080", True),
        ("d1.cloudfront.net.", True),
        ("www.example.com", True),
        ("a.wild.example.com", True),
        ("a.b.wild.example.com", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_a_distribution_answers_to_its_names_only(host: str, served: bool) -> None:
    """Domain name and aliases, without case, port and trailing dot."""
    site = Distribution(
        "E1",
        "d1.cloudfront.net",
        (behavior(),),
        {"O": Origin("O", "o")},
        aliases=("www.example.com", "*.wild.example.com"),
    )

    assert serves_host(site, host) is served
