"""Response headers policies: what CloudFront takes from and adds to a response.

AWS: "Understand response headers policies",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-response-headers-policies.html
and "Use managed response headers policies", both read 2026-11-20 (facts/cloudfront.md 14.5). A
policy is applied after the cache and before the viewer-response function, also to CloudFront's own
error pages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from emulator.rules.header_permissions import is_disallowed
from emulator.rules.viewer_response import http_date
from emulator.values.distribution import CorsConfig, PolicyHeader, ResponseHeadersPolicy
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

ALL_CORS_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""What `ALL` stands for in a policy."""

_SIMPLE: Final = CorsConfig(allow_origins=("*",))
_PREFLIGHT: Final = CorsConfig(
    allow_origins=("*",), allow_methods=ALL_CORS_METHODS, expose_headers=("*",)
)
_SECURITY: Final = (
    PolicyHeader("Referrer-Policy", "strict-origin-when-cross-origin", override=False),
    PolicyHeader("Strict-Transport-Security", "max-age=31536000", override=False),
    PolicyHeader("X-Content-Type-Options", "nosniff", override=True),
    PolicyHeader("X-Frame-Options", "SAMEORIGIN", override=False),
    PolicyHeader("X-XSS-Protection", "1; mode=block", override=False),
)

MANAGED_RESPONSE_HEADERS_POLICIES: Final[dict[str, ResponseHeadersPolicy]] = {
    "60669652-455b-4ae9-85a4-c4c02393f86c": ResponseHeadersPolicy("SimpleCORS", _SIMPLE),
    "5cc3b908-e619-4b99-88e5-2cf7f45965bd": ResponseHeadersPolicy(
        "CORS-With-Preflight", _PREFLIGHT
    ),
    "67f7725c-6f97-4210-82d7-5512b31e9d03": ResponseHeadersPolicy(
        "SecurityHeadersPolicy", headers=_SECURITY
    ),
    "e61eb60c-9c35-4d20-a928-2b84e02af89c": ResponseHeadersPolicy(
        "CORS-and-SecurityHeadersPolicy", _SIMPLE, _SECURITY
    ),
    "eaab4381-ed33-4a86-88ca-d9558dc6cd63": ResponseHeadersPolicy(
        "CORS-with-preflight-and-SecurityHeadersPolicy", _PREFLIGHT, _SECURITY
    ),
}
"""By id."""

_EXPOSES_ON_PREFLIGHT_ONLY: Final = frozenset(
    {"CORS-With-Preflight", "CORS-with-preflight-and-SecurityHeadersPolicy"}
)
"""AWS contradicts itself: of these two, the managed page says that simple requests get only
Access-Control-Allow-Origin; of any policy, the other page says that Access-Control-Expose-Headers
goes to CORS requests of all kinds. Each page is followed where it speaks."""

_UNREMOVABLE: Final = frozenset(
    {"content-encoding", "content-length", "host", "transfer-encoding", "via", "warning"}
)


def is_unremovable(name: str) -> bool:
    """Whether AWS refuses a policy that removes this header.

    The page's list is the headers that no function may see, and six more.
    """
    return name.lower() in _UNREMOVABLE or is_disallowed(name)


def apply_policy(
    policy: ResponseHeadersPolicy, request: Request, response: Response, epoch_ms: float
) -> Response:
    """The response as the policy leaves it: removals first, then CORS, security, custom headers.

    Args:
        policy: The behavior's policy.
        request: The viewer's request: CORS headers answer its Origin.
        response: From the cache, the origin, or CloudFront itself.
        epoch_ms: Now: a `Date` that is removed is replaced by CloudFront's own, as is `Server`.
    """
    headers = _removed(policy, response.headers, epoch_ms)
    if policy.cors is not None:
        for name, value in _cors_lines(policy, policy.cors, request):
            headers = _added(headers, PolicyHeader(name, value, policy.cors.origin_override))
    for header in policy.headers:
        headers = _added(headers, header)
    return replace(response, headers=headers)


def _removed(policy: ResponseHeadersPolicy, headers: Headers, epoch_ms: float) -> Headers:
    gone = {name.lower() for name in policy.remove if not is_unremovable(name)}
    if not gone:
        return headers
    left = headers.without(*gone)
    if "server" in gone:
        left = left.with_added("Server", "CloudFront")
    return left.with_added("Date", http_date(epoch_ms)) if "date" in gone else left


def _added(headers: Headers, header: PolicyHeader) -> Headers:
    """The origin's value stays unless the policy overrides it."""
    if header.name not in headers:
        return headers.with_added(header.name, header.value)
    return headers.with_set(header.name, header.value) if header.override else headers


def _cors_lines(
    policy: ResponseHeadersPolicy, cors: CorsConfig, request: Request
) -> list[tuple[str, str]]:
    """The CORS headers for this request; none when it has no Origin, or one not allowed."""
    allowed = allowed_origin(cors, request.headers.get("origin"))
    if not allowed:
        return []
    preflight = request.method == "OPTIONS"
    lines = [("Access-Control-Allow-Origin", allowed)]
    if cors.allow_credentials:
        lines.append(("Access-Control-Allow-Credentials", "true"))
    if cors.expose_headers and (preflight or policy.name not in _EXPOSES_ON_PREFLIGHT_ONLY):
        lines.append(("Access-Control-Expose-Headers", ", ".join(cors.expose_headers)))
    if preflight:
        lines += _preflight_lines(cors)
    return lines


def _preflight_lines(cors: CorsConfig) -> list[tuple[str, str]]:
    lines = []
    if cors.allow_methods:
        methods = ALL_CORS_METHODS if "ALL" in cors.allow_methods else cors.allow_methods
        lines.append(("Access-Control-Allow-Methods", ", ".join(methods)))
    if cors.allow_headers:
        lines.append(("Access-Control-Allow-Headers", ", ".join(cors.allow_headers)))
    if cors.max_age_s is not None:
        lines.append(("Access-Control-Max-Age", str(cors.max_age_s)))
    return lines


def allowed_origin(cors: CorsConfig, origin: str) -> str:
    """The value of Access-Control-Allow-Origin for a viewer's Origin; empty for none.

    A policy's origin is `*`, exact, or has a wildcard as leftmost label (`*.example.org`,
    `https://*.example.org`).
    """
    if not origin:
        return ""
    if "*" in cors.allow_origins:
        return "*"
    return origin if any(_is_origin(listed, origin) for listed in cors.allow_origins) else ""


def _is_origin(listed: str, origin: str) -> bool:
    if "://" not in listed:
        origin = origin.partition("://")[2]
    if "*" not in listed:
        return origin == listed
    start, _, end = listed.partition("*")
    return (
        origin.startswith(start)
        and origin.endswith(end)
        and len(origin) > len(start) + len(end)
        and "/" not in origin[len(start) : len(origin) - len(end)]
    )
