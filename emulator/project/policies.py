"""Cache, origin request and response headers policies, and what came before them.

Shapes: facts/cloudfront.md 4.4, 5.3, 14.5 (botocore's model) in CloudFormation's form.
"""

from __future__ import annotations

from typing import Any, Final

from emulator.project.reading import Section
from emulator.values.distribution import (
    CachePolicy,
    CorsConfig,
    Names,
    OriginAccessControl,
    OriginRequestPolicy,
    PolicyHeader,
    ResponseHeadersPolicy,
    Selection,
    SigningBehavior,
)

LEGACY_NAME: Final = "ForwardedValues"
_DAY_S, _YEAR_S = 86_400, 31_536_000
_PLURALS: Final = {"Header": "Headers", "Cookie": "Cookies", "QueryString": "QueryStrings"}
_WILD: Final = frozenset("*?")


def read_cache_policy(config: Section) -> CachePolicy:
    """A CachePolicyConfig."""
    keyed = config.section("ParametersInCacheKeyAndForwardedToOrigin")
    min_ttl_s = config.whole("MinTTL", 0)
    return CachePolicy(
        config.text("Name"),
        min_ttl_s,
        # API reference, CachePolicyConfig: 86400, or MinTTL when that is more; MaxTTL likewise.
        config.whole("DefaultTTL", max(_DAY_S, min_ttl_s)),
        config.whole("MaxTTL", max(_YEAR_S, min_ttl_s)),
        _names(keyed, "HeadersConfig", "Header"),
        _names(keyed, "CookiesConfig", "Cookie"),
        _names(keyed, "QueryStringsConfig", "QueryString"),
        keyed.truth("EnableAcceptEncodingGzip"),
        keyed.truth("EnableAcceptEncodingBrotli"),
    )


def read_origin_request_policy(config: Section) -> OriginRequestPolicy:
    """An OriginRequestPolicyConfig."""
    return OriginRequestPolicy(
        config.text("Name"),
        _names(config, "HeadersConfig", "Header"),
        _names(config, "CookiesConfig", "Cookie"),
        _names(config, "QueryStringsConfig", "QueryString"),
    )


def _names(holder: Section, name: str, kind: str) -> Names:
    """A policy's `…Behavior` and its list of names."""
    config = holder.section(name)
    selection = config.one_of(f"{kind}Behavior", Selection, Selection.NONE, f"{kind}Behavior")
    listed = config.texts(_PLURALS[kind])
    return Names(
        selection, frozenset(name.lower() if kind == "Header" else name for name in listed)
    )


# --- before policies ----------------------------------------------------------------------------


def read_forwarded_values(behavior: Section) -> tuple[CachePolicy, OriginRequestPolicy]:
    """Legacy ForwardedValues, as the pair of policies that do the same.

    "DG downloaddistvaluescachebehavior" (facts/cloudfront.md 4.5): all query strings go to the
    origin even when only some are in the key; the header `*` forwards all and ends caching; gzip is
    always part of the key, brotli never.
    """
    forwarded = behavior.section("ForwardedValues")
    headers = [name.lower() for name in forwarded.texts("Headers")]
    everything = "*" in headers
    keys = forwarded.texts("QueryStringCacheKeys")
    all_queries = Names(Selection.ALL) if forwarded.truth("QueryString") else Names()
    keyed = all_queries
    if keys and forwarded.truth("QueryString"):
        keyed = Names(Selection.WHITELIST, frozenset(keys))
    cookies = _legacy_cookies(forwarded.section("Cookies"))
    min_ttl_s = behavior.whole("MinTTL", 0)
    cache = CachePolicy(
        LEGACY_NAME,
        0 if everything else min_ttl_s,
        0 if everything else behavior.whole("DefaultTTL", max(_DAY_S, min_ttl_s)),
        0 if everything else behavior.whole("MaxTTL", max(_YEAR_S, min_ttl_s)),
        Names(Selection.WHITELIST, frozenset(headers)) if headers and not everything else Names(),
        cookies,
        keyed,
        gzip=True,
    )
    sent = Names(Selection.ALL_VIEWER) if everything else cache.headers
    return cache, OriginRequestPolicy(LEGACY_NAME, sent, cookies, all_queries)


def _legacy_cookies(cookies: Section) -> Names:
    match cookies.text("Forward", "none"):
        case "none":
            return Names()
        case "all":
            return Names(Selection.ALL)
        case "whitelist":
            listed = cookies.texts("WhitelistedNames")
            wild = [name for name in listed if _WILD & set(name)]
            # `[` means nothing to CloudFront; `[[]` is how fnmatch writes it.
            patterns = tuple(sorted(name.replace("[", "[[]") for name in wild))
            return Names(Selection.WHITELIST, frozenset(set(listed) - set(wild)), patterns)
        case other:
            cookies.notes.error(
                f"{other!r} is no way to forward cookies (known: none, whitelist, all).",
                cookies.place("Forward"),
                "Use one of them.",
            )
            return Names()


# --- response headers ---------------------------------------------------------------------------


def read_response_headers_policy(config: Section) -> ResponseHeadersPolicy:
    """A ResponseHeadersPolicyConfig."""
    timing = config.section("ServerTimingHeadersConfig")
    own = [
        PolicyHeader(one.text("Header"), one.text("Value"), one.truth("Override"))
        for one in config.section("CustomHeadersConfig").sections("Items")
    ]
    removed = config.section("RemoveHeadersConfig").sections("Items")
    return ResponseHeadersPolicy(
        config.text("Name"),
        _cors(config.section("CorsConfig")) if config.has("CorsConfig") else None,
        (*_security_headers(config.section("SecurityHeadersConfig")), *own),
        tuple(one.text("Header").lower() for one in removed),
        timing.number("SamplingRate", 0) if timing.truth("Enabled") else None,
    )


def _cors(cors: Section) -> CorsConfig:
    return CorsConfig(
        tuple(cors.texts("AccessControlAllowOrigins")),
        tuple(cors.texts("AccessControlAllowHeaders")),
        tuple(cors.texts("AccessControlAllowMethods")),
        tuple(cors.texts("AccessControlExposeHeaders")),
        cors.truth("AccessControlAllowCredentials"),
        cors.whole("AccessControlMaxAgeSec", 0) if cors.has("AccessControlMaxAgeSec") else None,
        cors.truth("OriginOverride"),
    )


def _security_headers(config: Section) -> list[PolicyHeader]:
    """The six security headers, spelled as on the wire, in the API's order."""
    values: dict[str, tuple[str, Any]] = {
        "XSSProtection": ("X-XSS-Protection", _xss_protection),
        "FrameOptions": ("X-Frame-Options", lambda one: one.text("FrameOption")),
        "ReferrerPolicy": ("Referrer-Policy", lambda one: one.text("ReferrerPolicy")),
        "ContentSecurityPolicy": (
            "Content-Security-Policy",
            lambda one: one.text("ContentSecurityPolicy"),
        ),
        "ContentTypeOptions": ("X-Content-Type-Options", lambda one: "nosniff"),
        "StrictTransportSecurity": ("Strict-Transport-Security", _transport_security),
    }
    return [
        PolicyHeader(
            header, value(config.section(name)), config.section(name).truth("Override", True)
        )
        for name, (header, value) in values.items()
        if config.has(name)
    ]


def _xss_protection(one: Section) -> str:
    if not one.truth("Protection"):
        return "0"
    report = f"; report={one.text('ReportUri')}" if one.has("ReportUri") else ""
    return "1" + ("; mode=block" if one.truth("ModeBlock") else "") + report


def _transport_security(one: Section) -> str:
    value = f"max-age={one.whole('AccessControlMaxAgeSec', 0)}"
    if one.truth("IncludeSubdomains"):
        value += "; includeSubDomains"
    return value + ("; preload" if one.truth("Preload") else "")


# --- access to origins --------------------------------------------------------------------------


def read_origin_access_control(config: Section, identity: str) -> OriginAccessControl:
    """An OriginAccessControlConfig.

    Args:
        config: The configuration, in either form: the type's name differs.
        identity: Its id.
    """
    return OriginAccessControl(
        identity,
        config.text("Name"),
        config.text("OriginAccessControlOriginType", "s3"),
        config.one_of(
            "SigningBehavior", SigningBehavior, SigningBehavior.ALWAYS, "signing behavior"
        ),
    )
