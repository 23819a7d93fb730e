"""AWS's managed cache and origin request policies, with AWS's ids.

AWS: "Use managed cache policies" and "Use managed origin request policies",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
and …/using-managed-origin-request-policies.html, read 2026-11-20.
"""

from __future__ import annotations

from typing import Final

from emulator.values.distribution import CachePolicy, Names, OriginRequestPolicy, Selection

_ALL: Final = Names(Selection.ALL)
_DAY: Final = 86_400
_YEAR: Final = 31_536_000
_OVERRIDE_HEADERS: Final = (
    "host",
    "origin",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
)


def _listed(*names: str) -> Names:
    return Names(Selection.WHITELIST, frozenset(names))


MANAGED_CACHE_POLICIES: Final[dict[str, CachePolicy]] = {
    "658327ea-f89d-4fab-a63d-7e88639e58f6": CachePolicy(
        "CachingOptimized", 1, _DAY, _YEAR, gzip=True, brotli=True
    ),
    "b2884449-e4de-46a7-ac36-70bc7f1ddd6d": CachePolicy(
        "CachingOptimizedForUncompressedObjects", 1, _DAY, _YEAR
    ),
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad": CachePolicy("CachingDisabled", 0, 0, 0),
    "83da9c7e-98b4-4e11-a168-04f0df8e2c65": CachePolicy(
        "UseOriginCacheControlHeaders",
        0,
        0,
        _YEAR,
        headers=_listed(*_OVERRIDE_HEADERS),
        cookies=_ALL,
        gzip=True,
        brotli=True,
    ),
    "4cc15a8a-d715-48a4-82b8-cc0b614638fe": CachePolicy(
        "UseOriginCacheControlHeaders-QueryStrings",
        0,
        0,
        _YEAR,
        headers=_listed(*_OVERRIDE_HEADERS),
        cookies=_ALL,
        query_strings=_ALL,
        gzip=True,
        brotli=True,
    ),
    "08627262-05a9-4f76-9ded-b50ca2e3a84f": CachePolicy(
        "Elemental-MediaPackage",
        0,
        _DAY,
        _YEAR,
        headers=_listed("origin"),
        query_strings=_listed("aws.manifestfilter", "start", "end", "m"),
        gzip=True,
    ),
    "2e54312d-136d-493c-8eb9-b001f22f67d2": CachePolicy(
        "Amplify",
        2,
        2,
        600,
        headers=_listed("authorization", "cloudfront-viewer-country", "host"),
        cookies=_ALL,
        query_strings=_ALL,
        gzip=True,
        brotli=True,
    ),
}
"""By id. The Amplify-… variants have no published ids."""

_CORS: Final = ("origin", "access-control-request-headers", "access-control-request-method")

CLOUDFRONT_VIEWER_HEADERS: Final = frozenset(
    {
        "cloudfront-forwarded-proto",
        "cloudfront-is-android-viewer",
        "cloudfront-is-desktop-viewer",
        "cloudfront-is-ios-viewer",
        "cloudfront-is-mobile-viewer",
        "cloudfront-is-smarttv-viewer",
        "cloudfront-is-tablet-viewer",
        "cloudfront-viewer-address",
        "cloudfront-viewer-asn",
        "cloudfront-viewer-city",
        "cloudfront-viewer-country",
        "cloudfront-viewer-country-name",
        "cloudfront-viewer-country-region",
        "cloudfront-viewer-country-region-name",
        "cloudfront-viewer-http-version",
        "cloudfront-viewer-latitude",
        "cloudfront-viewer-longitude",
        "cloudfront-viewer-metro-code",
        "cloudfront-viewer-postal-code",
        "cloudfront-viewer-time-zone",
        "cloudfront-viewer-tls",
    }
)
"""The 21 headers of AllViewerAndCloudFrontHeaders-2022-06."""

MANAGED_ORIGIN_REQUEST_POLICIES: Final[dict[str, OriginRequestPolicy]] = {
    "216adef6-5c7f-47e4-b989-5492eafa07d3": OriginRequestPolicy(
        "AllViewer", Names(Selection.ALL_VIEWER), _ALL, _ALL
    ),
    "b689b0a8-53d0-40ab-baf2-68738e2966ac": OriginRequestPolicy(
        "AllViewerExceptHostHeader",
        Names(Selection.ALL_EXCEPT, frozenset({"host"})),
        _ALL,
        _ALL,
    ),
    "33f36d7e-f396-46d9-90e0-52428a34d9dc": OriginRequestPolicy(
        "AllViewerAndCloudFrontHeaders-2022-06",
        Names(Selection.ALL_VIEWER_AND_WHITELIST_CLOUDFRONT, CLOUDFRONT_VIEWER_HEADERS),
        _ALL,
        _ALL,
    ),
    "59781a5b-3903-41f3-afcb-af62929ccde1": OriginRequestPolicy(
        "CORS-CustomOrigin", _listed("origin")
    ),
    "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf": OriginRequestPolicy("CORS-S3Origin", _listed(*_CORS)),
    "775133bc-15f2-49f9-abea-afb2e0bf67d2": OriginRequestPolicy(
        "Elemental-MediaTailor-PersonalizedManifests",
        _listed(*_CORS, "user-agent", "x-forwarded-for"),
        query_strings=_ALL,
    ),
    "bf0718e1-ba1e-49d1-88b1-f726733018ae": OriginRequestPolicy("HostHeaderOnly", _listed("host")),
    "acba4595-bd28-49b8-b9fe-13317c0390fa": OriginRequestPolicy(
        "UserAgentRefererHeaders", _listed("user-agent", "referer")
    ),
}
"""By id. AllViewerExceptHostHeader's prose also promises CloudFront headers, its settings list does
not (facts/cloudfront.md 5.1); the settings list is what stands here."""
