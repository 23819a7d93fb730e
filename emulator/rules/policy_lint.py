"""AWS's rules for cache, origin request and response headers policies.

DG = https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/, read 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from emulator.rules.response_headers_policy import is_unremovable
from emulator.values.distribution import (
    CachePolicy,
    OriginRequestPolicy,
    ResponseHeadersPolicy,
    Selection,
)
from emulator.values.findings import Finding, error, warning

# --- DG cloudfront-limits -------------------------------------------------------------------------
_POLICY_NAMES_MAX: Final = 10
_POLICY_NAMES_MAX_CHARS: Final = 1_024
_POLICIES_MAX: Final = 20
_RESPONSE_HEADERS_MAX: Final = 10
_POLICY_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


def check_cache_policy(policy: CachePolicy, where: str) -> list[Finding]:
    """What AWS would say to a cache policy."""
    found = list(_policy_name(policy.name, where))
    if not policy.min_ttl_s <= policy.default_ttl_s <= policy.max_ttl_s:
        found.append(
            error(
                f"MinTTL {policy.min_ttl_s}, DefaultTTL {policy.default_ttl_s} and MaxTTL"
                f" {policy.max_ttl_s} must rise in this order.",
                where,
                "Mend the values.",
            )
        )
    if policy.headers.selection not in (Selection.NONE, Selection.WHITELIST):
        found.append(
            error(
                f"A cache policy cannot have HeaderBehavior {policy.headers.selection}"
                " (it can have none, whitelist).",
                f"{where}.ParametersInCacheKeyAndForwardedToOrigin.HeadersConfig",
            )
        )
    keyed = bool(
        policy.headers.names
        or policy.cookies.selection is not Selection.NONE
        or policy.query_strings.selection is not Selection.NONE
        or policy.gzip
        or policy.brotli
    )
    if policy.max_ttl_s == 0 and keyed:
        # github.com/cloudtools/troposphere pull request 1796: CloudFront refuses it.
        found.append(
            error(
                "With MaxTTL 0 nothing is cached, and the cache key must be empty:"
                " no headers, cookies, query strings, gzip or brotli.",
                where,
                "Forward them with an origin request policy, or set MaxTTL to 1 at least.",
            )
        )
    if "accept-encoding" in policy.headers.names and (policy.gzip or policy.brotli):
        # DG cache-key-understand-cache-policy: CloudFront includes the header by itself then.
        found.append(
            warning(
                "Accept-Encoding is listed while EnableAcceptEncodingGzip or -Brotli is on, which"
                " has no effect.",
                where,
                "Take the header out of the list.",
            )
        )
    lists = (policy.headers.names, policy.cookies.names, policy.query_strings.names)
    return found + list(_policy_lists(lists, where))


def check_origin_request_policy(policy: OriginRequestPolicy, where: str) -> list[Finding]:
    """What AWS would say to an origin request policy."""
    found = list(_policy_name(policy.name, where))
    lists = (policy.headers.names, policy.cookies.names, policy.query_strings.names)
    # DG add-origin-custom-headers; the message in CloudFront's form.
    if "authorization" in policy.headers.names and policy.headers.selection is Selection.WHITELIST:
        found.append(
            error(
                "The parameter Headers contains Authorization that is not allowed.",
                where,
                "List it in the cache policy, or use allViewer.",
            )
        )
    return found + list(_policy_lists(lists, where))


def _policy_name(name: str, where: str) -> Iterator[Finding]:
    if not _POLICY_NAME.fullmatch(name):
        yield error(
            f"The policy's name {name!r} must be 1 to 128 letters, digits, - or _.",
            f"{where}.Name",
            "Mend the name.",
        )


def _policy_lists(lists: tuple[frozenset[str], ...], where: str) -> Iterator[Finding]:
    for what, names in zip(("headers", "cookies", "query strings"), lists, strict=True):
        if len(names) > _POLICY_NAMES_MAX:
            yield error(
                f"A policy lists at most {_POLICY_NAMES_MAX} {what}, not {len(names)}.",
                where,
                "Shorten the list, or ask AWS for a higher quota.",
            )
        if sum(map(len, names)) > _POLICY_NAMES_MAX_CHARS:
            yield error(
                f"The names of all {what} have more than {_POLICY_NAMES_MAX_CHARS} characters.",
                where,
            )


def check_policy_count(kind: str, count: int, where: str) -> list[Finding]:
    """Custom policies of one kind in an account; a template alone can have too many."""
    if count <= _POLICIES_MAX:
        return []
    return [error(f"An account has at most {_POLICIES_MAX} of {kind}, not {count}.", where)]


def check_response_headers_policy(
    policy: ResponseHeadersPolicy, custom_headers: int, where: str
) -> list[Finding]:
    """What AWS would say to a response headers policy.

    Args:
        policy: The policy.
        custom_headers: How many of its headers are custom ones.
        where: Its place.
    """
    found = list(_policy_name(policy.name, where))
    if custom_headers > _RESPONSE_HEADERS_MAX:
        found.append(
            error(
                f"A response headers policy has at most {_RESPONSE_HEADERS_MAX} custom headers,"
                f" not {custom_headers}.",
                f"{where}.CustomHeadersConfig",
            )
        )
    for name in policy.remove:
        if is_unremovable(name):
            found.append(
                error(
                    f"CloudFront does not remove the header {name}.",
                    f"{where}.RemoveHeadersConfig",
                    "Take it out of the list.",
                )
            )
    rate = policy.server_timing_rate
    if rate is not None and not 0 <= rate <= 100:
        found.append(
            error(
                f"SamplingRate is {rate:g}; it must be 0 to 100.",
                f"{where}.ServerTimingHeadersConfig.SamplingRate",
                "Mend the value.",
            )
        )
    return found
