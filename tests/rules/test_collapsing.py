"""When requests for one object wait for each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.rules.collapsing import collapses, releases_waiters
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.values.distribution import CacheBehavior, CachePolicy, Names, Selection
from emulator.values.headers import Headers
from emulator.values.messages import Response

CACHE = {policy.name: policy for policy in MANAGED_CACHE_POLICIES.values()}
ORIGIN = {policy.name: policy for policy in MANAGED_ORIGIN_REQUEST_POLICIES.values()}
OPTIMIZED = CacheBehavior("*", "O", CACHE["CachingOptimized"])


@pytest.mark.parametrize(
    ("behavior", "method", "collapsed"),
    [
        pytest.param(OPTIMIZED, "GET", True, id="GET"),
        pytest.param(OPTIMIZED, "POST", False, id="POST"),
        pytest.param(
            replace(OPTIMIZED, cache_policy=CACHE["CachingDisabled"]), "GET", False, id="no caching"
        ),
        pytest.param(
            replace(OPTIMIZED, cache_policy=CACHE["UseOriginCacheControlHeaders"]),
            "GET",
            False,
            id="cookies in the key",
        ),
        pytest.param(
            replace(OPTIMIZED, origin_request_policy=ORIGIN["AllViewerExceptHostHeader"]),
            "GET",
            False,
            id="cookies to the origin",
        ),
        pytest.param(
            replace(OPTIMIZED, origin_request_policy=ORIGIN["HostHeaderOnly"]),
            "GET",
            True,
            id="headers alone",
        ),
        pytest.param(
            replace(
                OPTIMIZED,
                cache_policy=replace(
                    CACHE["CachingOptimized"], cookies=Names(Selection.WHITELIST, frozenset("a"))
                ),
            ),
            "GET",
            False,
            id="one cookie",
        ),
    ],
)
def test_what_switches_collapsing_off(
    behavior: CacheBehavior, method: str, collapsed: bool
) -> None:
    """Cookies forwarded by either policy, or nothing cached."""
    assert collapses(behavior, method) is collapsed


@pytest.mark.parametrize(
    ("directives", "least_s", "released"),
    [
        ("private", 0, True),
        ("no-store", 0, True),
        ("no-cache", 0, True),
        ("max-age=0", 0, True),
        ("s-maxage=0, max-age=60", 0, True),
        ("max-age=0, s-maxage=60", 0, False),
        ("max-age=60", 0, False),
        ("", 0, False),
        ("no-store", 1, False),
    ],
)
def test_what_sends_those_who_waited_on(directives: str, least_s: int, released: bool) -> None:
    """An answer that is not for sharing, with minimum TTL 0."""
    response = Response(200, headers=Headers({"Cache-Control": directives}))

    assert releases_waiters(response, CachePolicy("c", least_s, 60, 3600)) is released
