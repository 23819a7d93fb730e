"""AWS's managed policies as the API shows them (facts/cloudfront.md 4.4, 5.3, 14.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from emulator.values.distribution import (
    CachePolicy,
    CorsConfig,
    Names,
    OriginRequestPolicy,
    PolicyHeader,
    ResponseHeadersPolicy,
    Selection,
)


def dump_cache_policy(policy: CachePolicy) -> dict[str, Any]:
    """A CachePolicyConfig."""
    return {
        "Comment": "",
        "Name": _managed(policy.name),
        "DefaultTTL": policy.default_ttl_s,
        "MaxTTL": policy.max_ttl_s,
        "MinTTL": policy.min_ttl_s,
        "ParametersInCacheKeyAndForwardedToOrigin": {
            "EnableAcceptEncodingGzip": policy.gzip,
            "EnableAcceptEncodingBrotli": policy.brotli,
            **_parameters(policy),
        },
    }


def dump_origin_request_policy(policy: OriginRequestPolicy) -> dict[str, Any]:
    """An OriginRequestPolicyConfig."""
    return {"Comment": "", "Name": _managed(policy.name), **_parameters(policy)}


def dump_response_headers_policy(policy: ResponseHeadersPolicy) -> dict[str, Any]:
    """A ResponseHeadersPolicyConfig."""
    shape: dict[str, Any] = {"Comment": "", "Name": _managed(policy.name)}
    if policy.cors is not None:
        shape["CorsConfig"] = _cors(policy.cors)
    security = {
        name: dump(header)
        for header in policy.headers
        if header.name in _SECURITY
        for name, dump in (_SECURITY[header.name],)
    }
    if security:
        shape["SecurityHeadersConfig"] = security
    return shape


def _managed(name: str) -> str:
    # The API says Managed-CachingOptimized where the guide says CachingOptimized.
    return f"Managed-{name}"


def _parameters(policy: CachePolicy | OriginRequestPolicy) -> dict[str, Any]:
    return {
        "HeadersConfig": _names("Header", policy.headers),
        "CookiesConfig": _names("Cookie", policy.cookies),
        "QueryStringsConfig": _names("QueryString", policy.query_strings),
    }


def _names(kind: str, names: Names) -> dict[str, Any]:
    shape: dict[str, Any] = {f"{kind}Behavior": names.selection.value}
    if names.selection not in (Selection.NONE, Selection.ALL, Selection.ALL_VIEWER):
        shape[f"{kind}s"] = _listed(sorted(names.names))
    return shape


def _cors(cors: CorsConfig) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "AccessControlAllowOrigins": _listed(cors.allow_origins),
        "AccessControlAllowHeaders": _listed(cors.allow_headers),
        "AccessControlAllowMethods": _listed(cors.allow_methods),
        "AccessControlAllowCredentials": cors.allow_credentials,
        "AccessControlExposeHeaders": _listed(cors.expose_headers),
        "OriginOverride": cors.origin_override,
    }
    if cors.max_age_s is not None:
        shape["AccessControlMaxAgeSec"] = cors.max_age_s
    return shape


def _frame_options(header: PolicyHeader) -> dict[str, Any]:
    return {"Override": header.override, "FrameOption": header.value}


def _referrer(header: PolicyHeader) -> dict[str, Any]:
    return {"Override": header.override, "ReferrerPolicy": header.value}


def _transport(header: PolicyHeader) -> dict[str, Any]:
    seconds = header.value.partition("max-age=")[2].partition(";")[0]
    return {"Override": header.override, "AccessControlMaxAgeSec": int(seconds)}


def _xss(header: PolicyHeader) -> dict[str, Any]:
    return {
        "Override": header.override,
        "Protection": header.value.startswith("1"),
        "ModeBlock": "mode=block" in header.value,
    }


def _content_type(header: PolicyHeader) -> dict[str, Any]:
    return {"Override": header.override}


_SECURITY: Final = {
    "X-Frame-Options": ("FrameOptions", _frame_options),
    "Referrer-Policy": ("ReferrerPolicy", _referrer),
    "Strict-Transport-Security": ("StrictTransportSecurity", _transport),
    "X-XSS-Protection": ("XSSProtection", _xss),
    "X-Content-Type-Options": ("ContentTypeOptions", _content_type),
}


def _listed(items: Iterable[str]) -> dict[str, Any]:
    listed = list(items)
    return {"Quantity": len(listed), "Items": listed}
