"""Warming caches: the popular requests of the log once more, through the distribution.

Only what is nobody's own is asked for: an answer belongs to one user and is never cached. What the
edge has already costs it a hit; what it has not is there for the next viewer.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_TIMEOUT_S = 5.0
# After so many failures in a row, the distribution is not there.
_GIVE_UP_AFTER = 3


class WarmingError(Exception):
    """The distribution's address is none."""


@dataclass(slots=True)
class Warmed:
    """What came of it.

    Attributes:
        asked: Requests sent.
        hits: Answered from a cache.
        misses: Fetched from the origin, and in the cache now if its headers allow it.
        failed: Not answered, or with an error.
    """

    asked: int = 0
    hits: int = 0
    misses: int = 0
    failed: int = 0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object, **more: object) -> None:
        """Follow nothing: only the distribution itself is to be warmed."""


def warm(
    base_url: str,
    paths: Sequence[str],
    *,
    rate_per_s: float,
    time_left_s: Callable[[], float],
    sleep: Callable[[float], object] = time.sleep,
) -> Warmed:
    """Ask for each path once.

    Args:
        base_url: The distribution, such as https://d111111abcdef8.cloudfront.net.
        paths: Paths with their queries.
        rate_per_s: How many a second, so that no origin is surprised.
        time_left_s: How much time there is; with less than one request may take, it is over.
        sleep: Waits that many seconds.

    Raises:
        WarmingError: The address is none.
    """
    if urlsplit(base_url).scheme not in {"http", "https"} or not urlsplit(base_url).hostname:
        raise WarmingError(f"{base_url!r} is no address of a distribution (https://…)")
    opener = urllib.request.build_opener(_NoRedirects)
    warmed = Warmed()
    in_a_row = 0
    for path in paths:
        if time_left_s() < _TIMEOUT_S or in_a_row == _GIVE_UP_AFTER:
            break
        if warmed.asked:
            sleep(1 / rate_per_s)
        warmed.asked += 1
        request = urllib.request.Request(
            base_url.rstrip("/") + quote(path, safe="/?&=%:@!$'()*+,;~-._"),
            headers={"user-agent": "answer-cycle warming", "accept-encoding": "gzip"},
        )
        try:
            with opener.open(request, timeout=_TIMEOUT_S) as response:
                response.read()
                is_hit = "hit" in (response.headers.get("x-cache") or "").lower()
        except (urllib.error.URLError, OSError, ValueError):
            warmed.failed += 1
            in_a_row += 1
            continue
        in_a_row = 0
        if is_hit:
            warmed.hits += 1
        else:
            warmed.misses += 1
    return warmed
