"""The cache key: what makes two requests the same object.

AWS: "Understand the cache key",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-the-cache-key.html,
"Understand cache policies", "Cache content based on cookies" and "Cache content based on query
string parameters", all read 2026-11-20 (facts/cloudfront.md section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from emulator.rules.origin_request import forwarded_query, normalised_encodings
from emulator.values.distribution import (
    READ_METHODS,
    CacheBehavior,
    CachePolicy,
    Distribution,
    Names,
    Selection,
)
from emulator.values.messages import Request


class CacheKey(NamedTuple):
    """The key of a cached object (a tuple, because it is made and hashed for every request).

    Args:
        domain_name: The distribution's own domain name, whatever alias the viewer used.
        path: The path as the cache sees it: rewritten by functions, default root object in place.
        query: The part of the query string that the cache policy takes, order and case kept.
        headers: (lower-case name, value) of each listed header that the request has; a missing one
            is a variant of its own (INFERRED, facts/cloudfront.md 4.1).
        cookies: (name, value) of each taken cookie, sorted by name.
        accept_encoding: `br,gzip`, one of them, or empty.
        options: Whether it is an OPTIONS request; GET and HEAD share a key.
    """

    domain_name: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    cookies: tuple[tuple[str, str], ...]
    accept_encoding: str
    options: bool


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """What a behavior's cache keys are made of, looked up once for all its requests.

    Args:
        domain_name: The distribution's domain name.
        root_path: What `/` stands for.
        policy: The cache policy.
        read_names: The header lines that matter, lower case; `cookie` and `accept-encoding` are
            among them when cookies, or compressed variants, are told apart.
        compression: Whether Accept-Encoding is normalised into the key.
    """

    domain_name: str
    root_path: str
    policy: CachePolicy
    read_names: frozenset[str]
    compression: bool

    def key(self, request: Request) -> CacheKey:
        """The request's cache key."""
        policy, read_names, uri = self.policy, self.read_names, request.uri
        lines = []
        if read_names:
            for name, value in request.headers.pairs:
                lowered = name.lower()
                if lowered in read_names:
                    lines.append((lowered, value))
        headers, cookies, encodings = self._header_parts(lines) if lines else ((), (), "")
        return CacheKey(
            self.domain_name,
            self.root_path if uri == "/" else uri,
            _query_part(request.querystring, policy) if request.querystring else "",
            headers,
            cookies,
            encodings,
            request.method == "OPTIONS",
        )

    def _header_parts(
        self, lines: list[tuple[str, str]]
    ) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...], str]:
        """Listed headers, cookies and normalised encodings out of the lines that matter."""
        policy = self.policy
        listed = policy.headers.names
        found: dict[str, str] = {}
        cookie_lines: list[str] = []
        offered = ""
        for name, value in lines:
            if name == "cookie":
                cookie_lines.append(value)
            if name == "accept-encoding" and self.compression:
                # Listed or not, its normalised form is what counts (4.2).
                offered = f"{offered}, {value}" if offered else value
            elif name in listed:
                found[name] = f"{found[name]}, {value}" if name in found else value
        return (
            tuple(sorted(found.items())) if found else (),
            chosen_cookies(cookie_lines, policy.cookies) if cookie_lines else (),
            normalised_encodings(offered, policy.gzip, policy.brotli) if offered else "",
        )


def key_plan(distribution: Distribution, behavior: CacheBehavior) -> KeyPlan:
    """Everything about a behavior's keys that does not change from request to request."""
    policy = behavior.cache_policy
    compression = policy.gzip or policy.brotli
    # A cache policy lists headers or takes none (CloudFront API 2020-05-31, HeaderBehavior).
    read_names = set(policy.headers.names)
    if policy.cookies.selection is not Selection.NONE:
        read_names.add("cookie")
    if compression:
        read_names.add("accept-encoding")
    return KeyPlan(
        distribution.domain_name,
        object_path(distribution, "/"),
        policy,
        frozenset(read_names),
        compression,
    )


def cache_key(distribution: Distribution, behavior: CacheBehavior, request: Request) -> CacheKey:
    """The cache key of a request; `key_plan` does the constant half ahead of time."""
    return key_plan(distribution, behavior).key(request)


def chosen_cookies(lines: list[str], names: Names) -> tuple[tuple[str, str], ...]:
    """The cookies that a policy takes, sorted by name.

    Names that begin with `$` and whatever is not name=value are dropped (4.1).
    """
    if not lines or names.selection is Selection.NONE:
        return ()
    crumbs = []
    for line in lines:
        for crumb in line.split(";"):
            name, equals, value = crumb.strip().partition("=")
            if equals and name and not name.startswith("$") and names.takes(name):
                crumbs.append((name, value))
    crumbs.sort(key=lambda crumb: crumb[0])
    return tuple(crumbs)


def uses_cache(behavior: CacheBehavior, method: str) -> bool:
    """Whether a request with this method may be answered from cache, and its answer be kept.

    GET and HEAD always; OPTIONS only when it is in CachedMethods; other methods never (AWS: "Cache
    behavior settings", facts/cloudfront.md 3.3). A policy with all three TTLs zero caches nothing,
    and neither do legacy settings that forward all headers (4.5).
    """
    policy = behavior.cache_policy
    if policy.caching_disabled or policy.headers.selection is Selection.ALL:
        return False
    return method in READ_METHODS or (method == "OPTIONS" and method in behavior.cached_methods)


def object_path(distribution: Distribution, uri: str) -> str:
    """The path of the object: the default root object stands in for `/`, and only for it.

    AWS: "Specify a default root object", read 2026-11-20. Viewer-request functions still see `/`
    (UNVERIFIED, facts/cloudfront.md 3.2; this is its default).
    """
    root = distribution.default_root_object
    return f"/{root}" if uri == "/" and root else uri


def _query_part(querystring: str, policy: CachePolicy) -> str:
    selection = policy.query_strings.selection
    if selection is Selection.NONE:
        return ""
    return querystring if selection is Selection.ALL else forwarded_query(querystring, policy, None)
