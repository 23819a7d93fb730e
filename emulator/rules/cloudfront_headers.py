"""The CloudFront-… request headers: which a behavior asks for, and what they say of a viewer.

AWS: "Add CloudFront request headers",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html,
read 2026-11-20 (facts/cloudfront.md section 7).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from emulator.quotas import VIEWER_HEADER_ORDER_MAX_CHARS
from emulator.rules.managed_policies import CLOUDFRONT_VIEWER_HEADERS
from emulator.values.distribution import CacheBehavior, Names, Selection
from emulator.values.functions import EventType, FunctionKind
from emulator.values.headers import Headers
from emulator.values.messages import Request
from emulator.values.viewers import TlsConnection, ViewerLocation

PREFIX: Final = "cloudfront-"

NOT_IN_CACHE_POLICY: Final = frozenset(
    {
        "cloudfront-viewer-address",
        "cloudfront-viewer-asn",
        "cloudfront-viewer-ja3-fingerprint",
        "cloudfront-viewer-ja4-fingerprint",
        "cloudfront-viewer-tls",
    }
)
"""Allowed in an origin request policy only."""

ALL_EXCEPT_HOST: Final = "AllViewerExceptHostHeader"
"""The one policy whose prose promises the headers while its settings do not (facts 5.1)."""


@dataclass(frozen=True, slots=True)
class ViewerFacts:
    """All that the headers are made of.

    Args:
        request: The viewer's request, as it came.
        location: Where the viewer is.
        tls: Its TLS connection; None for HTTP.
        ja3: The JA3 fingerprint; empty when it is not known.
        ja4: The JA4 fingerprint; empty when it is not known.
    """

    request: Request
    location: ViewerLocation = field(default_factory=ViewerLocation)
    tls: TlsConnection | None = None
    ja3: str = ""
    ja4: str = ""


def wanted_headers(
    behavior: CacheBehavior, *, all_except_host_sends_them: bool = True
) -> frozenset[str]:
    """The CloudFront-… headers that a behavior's policies ask for, lower case.

    They are sent only when a policy lists them: "all viewer headers" does not include them.

    Args:
        behavior: The behavior.
        all_except_host_sends_them: Whether the managed policy AllViewerExceptHostHeader sends the
            21 headers of AllViewerAndCloudFrontHeaders-2022-06: AWS's page contradicts itself, the
            facts' default is to send them.
    """
    wanted = _listed(behavior.cache_policy.headers) - NOT_IN_CACHE_POLICY
    policy = behavior.origin_request_policy
    if policy is None:
        return wanted
    if policy.name == ALL_EXCEPT_HOST and all_except_host_sends_them:
        return wanted | CLOUDFRONT_VIEWER_HEADERS
    return wanted | _listed(policy.headers)


def _listed(names: Names) -> frozenset[str]:
    if names.selection not in (
        Selection.WHITELIST,
        Selection.ALL_VIEWER_AND_WHITELIST_CLOUDFRONT,
    ):
        return frozenset()
    return frozenset(name for name in names.names if name.startswith(PREFIX))


def with_cloudfront_headers(
    request: Request, wanted: frozenset[str], facts: ViewerFacts
) -> Request:
    """The request with the wanted headers; a viewer's own lines of these names are overwritten.

    A header whose value is not known is left out, and the viewer's with it.
    """
    if not wanted:
        return request
    lines = [pair for pair in request.headers.pairs if pair[0].lower() not in wanted]
    return replace(request, headers=Headers([*lines, *cloudfront_headers(wanted, facts)]))


def cloudfront_headers(wanted: frozenset[str], facts: ViewerFacts) -> list[tuple[str, str]]:
    """The wanted headers with their values, in the page's order; non-ASCII percent-encoded."""
    lines = []
    for name, value_of in _VALUES.items():
        if name.lower() in wanted and (value := value_of(facts)):
            lines.append((name, value if value.isascii() else _ascii(value)))
    return lines


def visible_at(kind: FunctionKind, event: EventType) -> bool:
    """Whether a function sees the headers at an event.

    AWS: "Restrictions on Lambda@Edge": they are added after the viewer-request event, and are
    there for origin-request and origin-response. A CloudFront Function sees them at once.
    """
    if kind is FunctionKind.CLOUDFRONT_FUNCTION:
        return True
    return event in (EventType.ORIGIN_REQUEST, EventType.ORIGIN_RESPONSE)


def error_page_headers(uri: str, querystring: str) -> tuple[tuple[str, str], ...]:
    """CloudFront-Error-Uri and -Error-Args of a request for a custom error page."""
    return (("CloudFront-Error-Uri", uri), ("CloudFront-Error-Args", querystring))


# --- Devices ------------------------------------------------------------------------------------

_TV: Final = re.compile(
    r"smart-?tv|appletv|apple tv|googletv|google tv|hbbtv|netcast|web0s|webos\.tv|tizen.*tv"
    r"|\btv safari|bravia|viera|roku|crkey|aft[a-z]\b|\bdtv\b|android tv",
    re.IGNORECASE,
)
_TABLET: Final = re.compile(r"ipad|tablet|kindle|silk/|playbook|nexus (?:7|9|10)\b", re.IGNORECASE)
_IOS: Final = re.compile(r"iphone|ipad|ipod")
_PHONE: Final = re.compile(
    r"iphone|ipod|mobile|windows phone|blackberry|bb10|opera mini|opera mobi|iemobile",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Device:
    """What a User-Agent says of its device; several may be true."""

    android: bool
    desktop: bool
    ios: bool
    mobile: bool
    smart_tv: bool
    tablet: bool


def device_of(user_agent: str) -> Device:
    """Guess a device from its User-Agent.

    AWS publishes no rules but that several may be true and that tablets are Mobile and Tablet;
    these are ours. Whatever is no mobile device and no television counts as a desktop.
    """
    smart_tv = _TV.search(user_agent) is not None
    android = "Android" in user_agent
    # An Android that is not called mobile is a tablet (Google's own rule), unless it is a TV.
    tablet = not smart_tv and (
        _TABLET.search(user_agent) is not None or (android and "Mobile" not in user_agent)
    )
    mobile = not smart_tv and (tablet or _PHONE.search(user_agent) is not None)
    return Device(
        android=android,
        desktop=not (mobile or smart_tv),
        ios=_IOS.search(user_agent.lower()) is not None,
        mobile=mobile,
        smart_tv=smart_tv,
        tablet=tablet,
    )


# --- Values -------------------------------------------------------------------------------------


def _flag(is_so: bool) -> str:
    return "true" if is_so else "false"


def _device(facts: ViewerFacts) -> Device:
    return device_of(facts.request.headers.get("user-agent"))


def _degrees(value: float | None) -> str:
    # Five decimals in AWS's sample requests.
    return "" if value is None else f"{value:.5f}"


def _address(facts: ViewerFacts) -> str:
    return f"{facts.request.client_ip}:{facts.request.client_port}"


def _header_order(facts: ViewerFacts) -> str:
    return ":".join(name for name, _ in facts.request.headers)[:VIEWER_HEADER_ORDER_MAX_CHARS]


def _tls(facts: ViewerFacts) -> str:
    tls = facts.tls
    return f"{tls.version}:{tls.cipher}:{tls.handshake}" if tls else ""


def _asn(facts: ViewerFacts) -> str:
    return "" if facts.location.asn is None else str(facts.location.asn)


def _ascii(value: str) -> str:
    """Non-ASCII characters percent-encoded as UTF-8 (RFC 3986), everything else as it is."""
    return "".join(char if char.isascii() else quote(char) for char in value)


_VALUES: Final[dict[str, Callable[[ViewerFacts], str]]] = {
    "CloudFront-Is-Android-Viewer": lambda facts: _flag(_device(facts).android),
    "CloudFront-Is-Desktop-Viewer": lambda facts: _flag(_device(facts).desktop),
    "CloudFront-Is-IOS-Viewer": lambda facts: _flag(_device(facts).ios),
    "CloudFront-Is-Mobile-Viewer": lambda facts: _flag(_device(facts).mobile),
    "CloudFront-Is-SmartTV-Viewer": lambda facts: _flag(_device(facts).smart_tv),
    "CloudFront-Is-Tablet-Viewer": lambda facts: _flag(_device(facts).tablet),
    "CloudFront-Viewer-Address": _address,
    "CloudFront-Viewer-ASN": _asn,
    "CloudFront-Viewer-Country": lambda facts: facts.location.country,
    "CloudFront-Viewer-City": lambda facts: facts.location.city,
    "CloudFront-Viewer-Country-Name": lambda facts: facts.location.country_name,
    "CloudFront-Viewer-Country-Region": lambda facts: facts.location.region,
    "CloudFront-Viewer-Country-Region-Name": lambda facts: facts.location.region_name,
    "CloudFront-Viewer-Latitude": lambda facts: _degrees(facts.location.latitude),
    "CloudFront-Viewer-Longitude": lambda facts: _degrees(facts.location.longitude),
    "CloudFront-Viewer-Metro-Code": lambda facts: facts.location.metro_code,
    "CloudFront-Viewer-Postal-Code": lambda facts: facts.location.postal_code,
    "CloudFront-Viewer-Time-Zone": lambda facts: facts.location.time_zone,
    "CloudFront-Viewer-Header-Order": _header_order,
    "CloudFront-Viewer-Header-Count": lambda facts: str(len(facts.request.headers)),
    "CloudFront-Viewer-JA3-Fingerprint": lambda facts: facts.ja3 if facts.tls else "",
    "CloudFront-Viewer-JA4-Fingerprint": lambda facts: facts.ja4 if facts.tls else "",
    "CloudFront-Viewer-TLS": _tls,
    "CloudFront-Forwarded-Proto": lambda facts: "https" if facts.request.secure else "http",
    "CloudFront-Viewer-Http-Version": lambda facts: facts.request.http_version,
}
"""Spelled as on the wire, in the order of the page."""
