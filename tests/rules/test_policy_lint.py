"""AWS's rules for policies."""

from __future__ import annotations

import pytest

from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.rules.policy_lint import (
    check_cache_policy,
    check_origin_request_policy,
    check_policy_count,
    check_response_headers_policy,
)
from emulator.rules.response_headers_policy import MANAGED_RESPONSE_HEADERS_POLICIES
from emulator.values.distribution import (
    CachePolicy,
    Names,
    OriginRequestPolicy,
    ResponseHeadersPolicy,
    Selection,
)


def listed(*names: str) -> Names:
    """A white list."""
    return Names(Selection.WHITELIST, frozenset(names))


def test_aws_keeps_its_own_rules() -> None:
    """Every managed policy passes."""
    found = [
        *(one for p in MANAGED_CACHE_POLICIES.values() for one in check_cache_policy(p, "")),
        *(
            one
            for p in MANAGED_ORIGIN_REQUEST_POLICIES.values()
            # Its 21 CloudFront headers are more than a custom policy may list.
            if p.name != "AllViewerAndCloudFrontHeaders-2022-06"
            for one in check_origin_request_policy(p, "")
        ),
        *(
            one
            for p in MANAGED_RESPONSE_HEADERS_POLICIES.values()
            for one in check_response_headers_policy(p, 0, "")
        ),
    ]

    assert found == []


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (CachePolicy("a b", 0, 1, 2), "'a b' must be 1 to 128 letters"),
        (CachePolicy("p", 2, 1, 3), "must rise in this order"),
        (CachePolicy("p", 0, 5, 3), "must rise in this order"),
        (CachePolicy("p", 0, 1, 2, Names(Selection.ALL)), "cannot have HeaderBehavior all"),
        (CachePolicy("p", 0, 0, 0, gzip=True), "the cache key must be empty"),
        (CachePolicy("p", 0, 1, 2, listed("accept-encoding"), gzip=True), "has no effect"),
        (CachePolicy("p", 0, 1, 2, listed(*"abcdefghijk")), "at most 10 headers, not 11"),
        (CachePolicy("p", 0, 1, 2, cookies=listed("c" * 1_025)), "more than 1024 characters"),
    ],
)
def test_cache_policies(policy: CachePolicy, words: str) -> None:
    """Names, TTLs, lists."""
    assert [words in one.what for one in check_cache_policy(policy, "")] == [True]


def test_authorization_is_for_the_cache_policy() -> None:
    """An origin request policy cannot list it."""
    policy = OriginRequestPolicy("p", listed("authorization"))

    assert "Authorization" in check_origin_request_policy(policy, "")[0].what


@pytest.mark.parametrize(
    ("policy", "own", "words"),
    [
        (ResponseHeadersPolicy("p"), 11, "at most 10 custom headers, not 11"),
        (ResponseHeadersPolicy("p", remove=("via",)), 0, "does not remove the header via"),
        (ResponseHeadersPolicy("p", server_timing_rate=101), 0, "SamplingRate is 101"),
    ],
)
def test_response_headers_policies(policy: ResponseHeadersPolicy, own: int, words: str) -> None:
    """Counts, names that stay, the sampling rate."""
    assert [words in one.what for one in check_response_headers_policy(policy, own, "")] == [True]


@pytest.mark.parametrize(("count", "fine"), [(20, True), (21, False)])
def test_twenty_of_each_kind(count: int, fine: bool) -> None:
    """The quota of an account."""
    assert (check_policy_count("cache policies", count, "") == []) is fine
