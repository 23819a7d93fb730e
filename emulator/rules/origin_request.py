"""What the origin receives.

AWS: "Control origin requests with a policy",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/controlling-origin-requests.html,
"Understand how origin request policies and cache policies work together", and "Request and response
behavior for custom origins" (header table), all read 2026-11-20.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from emulator.rules.function_url import signature_lines, takes_over_authorization
from emulator.rules.s3_origin import authorization
from emulator.values.distribution import (
    READ_METHODS,
    CacheBehavior,
    CachePolicy,
    Origin,
    OriginKind,
    OriginRequestPolicy,
    Selection,
)
from emulator.values.headers import Headers
from emulator.values.messages import Request

_NEVER_FORWARDED: Final = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "x-forwarded-proto",
        "x-http-method-override",
        "x-real-ip",
    }
)
_NEVER_FORWARDED_PREFIXES: Final = ("x-edge-", "x-amz-cf-")
_BODY_HEADERS: Final = ("content-length", "content-md5", "content-type", "content-encoding")
_REMOVED_UNLESS_LISTED: Final = frozenset(
    {"accept", "accept-charset", "accept-language", "referer"}
)
"""Legacy ForwardedValues forward every header but these (facts/cloudfront.md 6.2)."""
_SET_BY_CLOUDFRONT: Final = frozenset(
    {"host", "user-agent", "via", "x-forwarded-for", "cookie", "accept-encoding", "authorization"}
)


def origin_request(
    request: Request, behavior: CacheBehavior, origin: Origin, request_id: str, via: str
) -> Request:
    """The request that CloudFront sends to the origin for this viewer request.

    The body goes on as it is; so does the raw path, behind the origin's own path.
    """
    headers = origin_headers(request, behavior, origin, request_id, via)
    querystring = forwarded_query(
        request.querystring, behavior.cache_policy, behavior.origin_request_policy
    )
    return Request(
        method=request.method,
        uri=origin.path + request.uri,
        querystring=querystring,
        headers=headers,
        body=request.body,
        client_ip=request.client_ip,
        client_port=request.client_port,
    )


def origin_headers(
    request: Request, behavior: CacheBehavior, origin: Origin, request_id: str, via: str
) -> Headers:
    """The headers that the origin sees: chosen by the policies, then CloudFront's own.

    Under policies only what a policy names goes through, beside the headers of the body (which
    others survive is UNVERIFIED, facts/cloudfront.md 6.2; this is its default).
    """
    own = _signature_lines(request, behavior, origin)
    taken = {name.lower() for name, _ in own}
    if origin.kind is OriginKind.S3 or takes_over_authorization(origin):
        taken.add("authorization")
    chosen = [
        (name, value)
        for name, value in request.headers
        if _is_forwarded(name.lower(), request.method, behavior) and name.lower() not in taken
    ]
    custom = {name.lower() for name, _ in origin.custom_headers}
    lines = [
        ("Host", _host(request, behavior, origin)),
        ("User-Agent", _user_agent(request, behavior)),
        *(pair for pair in chosen if pair[0].lower() not in custom),
        *_cookie_line(request, behavior),
        *own,
        *_accept_encoding_line(request, behavior),
        *origin.custom_headers,
        ("X-Amz-Cf-Id", request_id),
        ("Via", f"{request.http_version} {via}"),
        ("X-Forwarded-For", _forwarded_for(request)),
        ("Connection", "Keep-Alive"),
    ]
    return Headers(lines)


def _signature_lines(
    request: Request, behavior: CacheBehavior, origin: Origin
) -> list[tuple[str, str]]:
    """CloudFront's own Authorization for an origin with origin access control."""
    if origin.kind is not OriginKind.S3:
        return signature_lines(request.method, request.headers, origin)
    named = behavior.cache_policy.headers.takes("authorization")
    viewers = request.headers.get("authorization") if named else ""
    signature = authorization(origin, viewers)
    return [("Authorization", signature)] if signature else []


def forwarded_query(
    querystring: str, cache_policy: CachePolicy, policy: OriginRequestPolicy | None
) -> str:
    """The query string that the origin sees: what either policy takes, order kept."""
    cached, sent = cache_policy.query_strings, policy.query_strings if policy else None
    if cached.selection is Selection.ALL or (sent and sent.selection is Selection.ALL):
        return querystring
    return "&".join(
        part
        for part in querystring.split("&")
        if part
        and (
            cached.takes(_query_name(part)) or (sent is not None and sent.takes(_query_name(part)))
        )
    )


def _query_name(part: str) -> str:
    return unquote(part.partition("=")[0])


def _takes_header(name: str, behavior: CacheBehavior) -> bool:
    if behavior.cache_policy.headers.takes(name):
        return True
    policy = behavior.origin_request_policy
    return policy is not None and policy.headers.takes(name)


def _is_forwarded(name: str, method: str, behavior: CacheBehavior) -> bool:
    if name in _NEVER_FORWARDED or name.startswith(_NEVER_FORWARDED_PREFIXES):
        return False
    if name == "authorization":
        # Kept for methods that are never cached, else only by policy.
        return method not in READ_METHODS or _takes_header(name, behavior)
    if name in _SET_BY_CLOUDFRONT:
        return False
    if name in _BODY_HEADERS or name == "transfer-encoding":
        return method not in READ_METHODS
    if behavior.forwards_all_headers and name not in _REMOVED_UNLESS_LISTED:
        return True
    return _takes_header(name, behavior)


def _host(request: Request, behavior: CacheBehavior, origin: Origin) -> str:
    if _takes_header("host", behavior):
        return request.headers.get("host")
    if origin.host_header:
        return origin.host_header
    usual = 443 if origin.https else 80
    return origin.domain_name if origin.port == usual else f"{origin.domain_name}:{origin.port}"


def _user_agent(request: Request, behavior: CacheBehavior) -> str:
    if _takes_header("user-agent", behavior) and "user-agent" in request.headers:
        return request.headers.get("user-agent")
    return "Amazon CloudFront"


def _cookie_line(request: Request, behavior: CacheBehavior) -> list[tuple[str, str]]:
    """Cookies that a policy takes, sorted by name; names that begin with `$` are dropped.

    AWS: "Cache content based on cookies", read 2026-11-20.
    """
    policy = behavior.origin_request_policy
    crumbs = []
    for line in request.headers.get_all("cookie"):
        for crumb in line.split(";"):
            name, equals, value = crumb.strip().partition("=")
            taken = behavior.cache_policy.cookies.takes(name) or (
                policy is not None and policy.cookies.takes(name)
            )
            if equals and taken and not name.startswith("$"):
                crumbs.append((name, value))
    if not crumbs:
        return []
    crumbs.sort(key=lambda crumb: crumb[0])
    return [("Cookie", "; ".join(f"{name}={value}" for name, value in crumbs))]


def _accept_encoding_line(request: Request, behavior: CacheBehavior) -> list[tuple[str, str]]:
    normalised = normalise_accept_encoding(request.headers, behavior)
    return [] if normalised is None else [("Accept-Encoding", normalised)]


def normalise_accept_encoding(headers: Headers, behavior: CacheBehavior) -> str | None:
    """The Accept-Encoding that the origin sees; None for no header.

    AWS: "Understand cache policies", compression settings, read 2026-11-20: normalised to the
    formats that the policy enables, `identity` where none is left; untouched by CloudFront's own
    rule when both are off.
    """
    if "accept-encoding" not in headers:
        return None
    policy = behavior.cache_policy
    offered = ", ".join(headers.get_all("accept-encoding"))
    if not (policy.gzip or policy.brotli):
        return offered if _takes_header("accept-encoding", behavior) else None
    return normalised_encodings(offered, policy.gzip, policy.brotli) or "identity"


@lru_cache(maxsize=1024)
def normalised_encodings(offered: str, gzip: bool, brotli: bool) -> str:
    """What of an Accept-Encoding value counts: `br,gzip`, one of them, or nothing.

    The same for the cache key and for the origin (which gets `identity` for nothing).
    """
    names = {token.partition(";")[0].strip().lower() for token in offered.split(",")}
    kept = [name for name, on in (("br", brotli), ("gzip", gzip)) if on]
    return ",".join(name for name in kept if name in names)


def _forwarded_for(request: Request) -> str:
    earlier = ", ".join(request.headers.get_all("x-forwarded-for"))
    return f"{earlier}, {request.client_ip}" if earlier else request.client_ip
