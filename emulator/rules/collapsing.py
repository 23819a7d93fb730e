"""Request collapsing: when requests for one object wait for the first one's answer.

AWS: "Request and response behavior for custom origins", simultaneous requests for the same object
(request collapsing), read 2026-11-20 (facts/cloudfront.md 10.1).
"""

from __future__ import annotations

from emulator.rules.cache_key import uses_cache
from emulator.rules.freshness import parse_cache_control
from emulator.rules.viewer_response import forwards_cookies
from emulator.values.distribution import CacheBehavior, CachePolicy
from emulator.values.messages import Response


def collapses(behavior: CacheBehavior, method: str) -> bool:
    """Whether requests with one cache key wait for each other at a cache layer.

    Not when cookies are forwarded by either policy, and not when nothing is cached. The managed
    policies AllViewer and AllViewerExceptHostHeader forward cookies, so they switch it off
    (INFERRED from the cookie rule).
    """
    return uses_cache(behavior, method) and not forwards_cookies(behavior)


def releases_waiters(response: Response, policy: CachePolicy) -> bool:
    """Whether those who waited must each ask the origin after all.

    With minimum TTL 0 and private, no-store, no-cache, max-age=0 or s-maxage=0 (which beats
    max-age here as everywhere).
    """
    if policy.min_ttl_s > 0:
        return False
    control = parse_cache_control(response.headers.get_all("cache-control"))
    return control.forbids_caching or control.shared_age_s == 0
