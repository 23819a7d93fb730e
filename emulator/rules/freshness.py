"""How long an object is fresh, and what may still be done with it afterwards.

AWS: "Manage how long content stays in the cache (expiration)",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Expiration.html, and "How
CloudFront caches HTTP 4xx and 5xx status codes", …/HTTPStatusCodes.html, both read 2026-11-20
(facts/cloudfront.md sections 8 and 9.1).

All times are seconds on one clock; nothing here reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

from emulator.quotas import ERROR_CACHING_MIN_TTL_S, MAX_AGE_MAX_S
from emulator.values.distribution import CachePolicy, OriginKind
from emulator.values.messages import Response

ALWAYS_CACHED_ERRORS: Final = frozenset({404, 414, 500, 501, 502, 503, 504})
CACHED_IF_TOLD_ERRORS: Final = frozenset({400, 403, 405, 412, 415})
"""Cached only when the response has max-age or s-maxage. Every other error never is."""

# --- Cache-Control ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CacheControl:
    """The directives of a response's Cache-Control that CloudFront heeds.

    `must-revalidate` and `proxy-revalidate` are not among them (UNVERIFIED, facts 8.1). A number
    that is none, or negative, counts as absent (ours: AWS does not say).

    Args:
        max_age_s: max-age.
        s_maxage_s: s-maxage.
        no_store: no-store.
        no_cache: no-cache for the whole response.
        no_cache_fields: The headers that a qualified no-cache names, lower case.
        private: private, qualified or not.
        stale_while_revalidate_s: stale-while-revalidate.
        stale_if_error_s: stale-if-error.
    """

    max_age_s: int | None = None
    s_maxage_s: int | None = None
    no_store: bool = False
    no_cache: bool = False
    no_cache_fields: tuple[str, ...] = ()
    private: bool = False
    stale_while_revalidate_s: int | None = None
    stale_if_error_s: int | None = None

    @property
    def forbids_caching(self) -> bool:
        """no-cache, no-store or private."""
        return self.no_store or self.no_cache or self.private

    @property
    def shared_age_s(self) -> int | None:
        """s-maxage, else max-age: s-maxage beats max-age."""
        return self.max_age_s if self.s_maxage_s is None else self.s_maxage_s


def parse_cache_control(lines: Iterable[str]) -> CacheControl:
    """Read Cache-Control lines; whatever cannot be understood is passed over."""
    return _parsed(", ".join(lines))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> CacheControl:
    told: dict[str, str | None] = {}
    for name, value in _directives(text):
        told.setdefault(name, value)
    no_cache_fields = _field_names(told.get("no-cache"))
    return CacheControl(
        max_age_s=_delta_seconds(told.get("max-age")),
        s_maxage_s=_delta_seconds(told.get("s-maxage")),
        no_store="no-store" in told,
        no_cache="no-cache" in told and not no_cache_fields,
        no_cache_fields=no_cache_fields,
        private="private" in told,
        stale_while_revalidate_s=_delta_seconds(told.get("stale-while-revalidate")),
        stale_if_error_s=_delta_seconds(told.get("stale-if-error")),
    )


def _directives(text: str) -> Iterable[tuple[str, str | None]]:
    """Each directive and its argument, None for none; commas inside quotes do not separate."""
    for part in _split_unquoted(text):
        name, equals, value = part.partition("=")
        if name.strip():
            yield name.strip().lower(), _unquoted(value.strip()) if equals else None


def _split_unquoted(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    parts, start, quoted, escaped = [], 0, False, False
    for position, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return parts


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value


def _delta_seconds(value: str | None) -> int | None:
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    # Beyond ten digits it is over the limit anyway, and int() of a huge text would be slow.
    return MAX_AGE_MAX_S if len(value) > 10 else min(int(value), MAX_AGE_MAX_S)


def _field_names(value: str | None) -> tuple[str, ...]:
    return tuple(name for part in (value or "").split(",") if (name := part.strip().lower()))


# --- How long -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Freshness:
    """What may be done with a response, and for how long.

    Args:
        ttl_s: Seconds from its fetch during which it is served without asking.
        must_not_store: It is not kept at all.
        max_ttl_s: The policy's maximum TTL: stale directives reach no further than this age.
        stale_while_revalidate_s: Stale that long after expiry it is served and refreshed.
        stale_if_error_s: Stale that long after expiry it stands in for an error; None when the
            origin did not say (then there is no end, facts 8.3); 0 switches it off.
        vary_all: `Vary: *` with minimum TTL 0: kept, but every request goes to the origin.
        revalidates: Whether an expired one is asked after with conditional headers.
        no_cache_set_cookie: Set-Cookie is left out of what is kept.
    """

    ttl_s: int
    must_not_store: bool = False
    max_ttl_s: int = 0
    stale_while_revalidate_s: int = 0
    stale_if_error_s: int | None = None
    vary_all: bool = False
    revalidates: bool = True
    no_cache_set_cookie: bool = False


NOT_STORED: Final = Freshness(0, must_not_store=True, stale_if_error_s=0, revalidates=False)


def freshness(response: Response, policy: CachePolicy, epoch_s: float) -> Freshness:
    """The freshness of a response that is no error (facts 8.1, the TTL table).

    Args:
        response: As it came from the origin, or from an origin-request function.
        policy: The behavior's cache policy; it sets minimum (m), default and maximum (M) TTL.
        epoch_s: When it came, epoch seconds; `Expires` is compared with it.
    """
    if policy.caching_disabled:
        return NOT_STORED
    headers = response.headers
    control = parse_cache_control(headers.get_all("cache-control"))
    if control.forbids_caching and policy.min_ttl_s == 0:
        return NOT_STORED
    vary_all = policy.min_ttl_s == 0 and any(
        token.strip() == "*" for line in headers.get_all("vary") for token in line.split(",")
    )
    return Freshness(
        ttl_s=_ttl_s(control, headers.get_all("expires"), policy, epoch_s),
        max_ttl_s=policy.max_ttl_s,
        stale_while_revalidate_s=control.stale_while_revalidate_s or 0,
        stale_if_error_s=control.stale_if_error_s,
        vary_all=vary_all,
        revalidates=not vary_all,
        no_cache_set_cookie="set-cookie" in control.no_cache_fields,
    )


def _ttl_s(
    control: CacheControl, expires: tuple[str, ...], policy: CachePolicy, epoch_s: float
) -> int:
    if control.forbids_caching:
        return policy.min_ttl_s
    told_s = control.shared_age_s
    if told_s is None and expires:
        told_s = _expires_in_s(expires[0], epoch_s)
    if told_s is None:
        # The maximum TTL is ignored when the origin says nothing.
        return max(policy.min_ttl_s, policy.default_ttl_s)
    return max(policy.min_ttl_s, min(told_s, policy.max_ttl_s))


def _expires_in_s(value: str, epoch_s: float) -> int:
    """Seconds until an Expires date; a date that is none has passed (RFC 9111, 5.3)."""
    date_s = http_date_s(value)
    return 0 if date_s is None else max(0, math.floor(date_s - epoch_s))


@lru_cache(maxsize=1024)
def http_date_s(value: str) -> float | None:
    """An HTTP date as epoch seconds; None for what is not one."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def storable(response: Response, kept: Freshness) -> Response:
    """The response as it goes into the cache.

    `Cache-Control: no-cache="Set-Cookie"` keeps that header out of the cache and nothing else
    (AWS: "Cache content based on cookies").
    """
    if not kept.no_cache_set_cookie:
        return response
    headers = response.headers.without("set-cookie")
    return Response(response.status, response.reason, headers, response.body)


# --- Errors -------------------------------------------------------------------------------------


def error_ttl_s(
    status: int,
    response: Response,
    policy: CachePolicy,
    error_caching_min_ttl_s: int = ERROR_CACHING_MIN_TTL_S,
    origin_kind: OriginKind = OriginKind.CUSTOM,
) -> int | None:
    """How long an error is cached; None when it is not (facts 9.1).

    Args:
        status: 400 or more.
        response: The error, as it came from the origin.
        policy: The behavior's cache policy.
        error_caching_min_ttl_s: The distribution's setting for this status, 10 by default.
        origin_kind: S3's 501 with no-cache, no-store or private is never cached.
    """
    if policy.caching_disabled:
        return None
    control = parse_cache_control(response.headers.get_all("cache-control"))
    told_s = control.shared_age_s
    if status in ALWAYS_CACHED_ERRORS:
        if status == 501 and origin_kind is OriginKind.S3 and control.forbids_caching:
            return None
        return max(error_caching_min_ttl_s, told_s or 0)
    if status in CACHED_IF_TOLD_ERRORS and told_s is not None:
        return max(error_caching_min_ttl_s, told_s)
    return None


def error_freshness(
    response: Response,
    policy: CachePolicy,
    error_caching_min_ttl_s: int = ERROR_CACHING_MIN_TTL_S,
    origin_kind: OriginKind = OriginKind.CUSTOM,
) -> Freshness:
    """The freshness of an error: kept or not, never stale, never revalidated."""
    ttl_s = error_ttl_s(response.status, response, policy, error_caching_min_ttl_s, origin_kind)
    if ttl_s is None:
        return NOT_STORED
    return Freshness(ttl_s, stale_if_error_s=0, revalidates=False)


# --- What now -----------------------------------------------------------------------------------


class Verdict(StrEnum):
    """What to do about a stored object."""

    FRESH = "serve"
    STALE_SERVE_AND_REFRESH = "serve, refresh in the background"
    STALE_SERVE = "serve, the origin is left alone for now"
    REVALIDATE = "ask the origin whether it changed"
    REFETCH = "fetch it again"


@dataclass(frozen=True, slots=True)
class Standing:
    """What to do about a stored object now, and if the origin then fails.

    Args:
        verdict: What to do.
        stale_on_error_until_s: Until when it may stand in for an error, on the caller's clock;
            infinite without directives, minus infinite when it may not.
    """

    verdict: Verdict
    stale_on_error_until_s: float

    def serves_on_error(self, now_s: float) -> bool:
        """Whether it stands in for an error at this time."""
        return now_s < self.stale_on_error_until_s


def standing(
    kept: Freshness, fetched_s: float, now_s: float, quiet_until_s: float = -math.inf
) -> Standing:
    """What to do about a stored object at a time.

    The maximum TTL is counted from the fetch (facts 8.2: "the text reads as age").

    Args:
        kept: The object's freshness.
        fetched_s: When the origin answered; a copy from another cache tier keeps that time.
        now_s: The time, on the same clock.
        quiet_until_s: Until when the origin is not asked again, because it has just failed.
    """
    age_s = now_s - fetched_s
    until_s = _stale_on_error_until_s(kept, fetched_s)
    if kept.vary_all:
        return Standing(Verdict.REFETCH, until_s)
    if age_s < kept.ttl_s:
        return Standing(Verdict.FRESH, until_s)
    if now_s < quiet_until_s and now_s < until_s:
        return Standing(Verdict.STALE_SERVE, until_s)
    if age_s < _stale_age_s(kept, kept.stale_while_revalidate_s):
        return Standing(Verdict.STALE_SERVE_AND_REFRESH, until_s)
    return Standing(Verdict.REVALIDATE if kept.revalidates else Verdict.REFETCH, until_s)


def _stale_age_s(kept: Freshness, directive_s: int) -> int:
    """The age at which a stale directive ends: the lesser of it and the maximum TTL."""
    return min(kept.ttl_s + directive_s, kept.max_ttl_s)


def _stale_on_error_until_s(kept: Freshness, fetched_s: float) -> float:
    if kept.must_not_store or kept.stale_if_error_s == 0:
        return -math.inf
    if kept.stale_if_error_s is None:
        return math.inf
    return fetched_s + _stale_age_s(kept, kept.stale_if_error_s)


def stale_stands_in_for(status: int) -> bool:
    """Whether a stale object is served in place of this status.

    500 to 599 yes (a time-out or an unreachable origin counts as one), 4xx never (facts 8.3).
    """
    return 500 <= status <= 599


def quiet_until_s(failed_s: float, error_caching_min_ttl_s: int = ERROR_CACHING_MIN_TTL_S) -> float:
    """Until when a failed origin is left alone while a stale object is served."""
    return failed_s + error_caching_min_ttl_s


def age_s(fetched_s: float, now_s: float) -> int:
    """The Age header of a hit: whole seconds since the fetch; `Date` stays as it was (14.2)."""
    return max(0, math.floor(now_s - fetched_s))
