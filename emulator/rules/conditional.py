"""Conditional requests: viewers' against a stored object, and CloudFront's own to the origin.

AWS: "Request and response behavior for custom origins", conditional requests, and "Cache content
based on cookies", both read 2026-11-20 (facts/cloudfront.md 10.2). Where AWS only says that
CloudFront does it, RFC 9110 section 13 and RFC 9111 section 4.3.4 say how.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from emulator.rules.freshness import Freshness, http_date_s
from emulator.rules.viewer_response import forwards_cookies
from emulator.values.distribution import READ_METHODS, CacheBehavior
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

VIEWER_CONDITIONS: Final = (
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
)
"""A request that fills the cache goes without them: their answer would not be the object."""

_OF_THE_BODY: Final = (
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "transfer-encoding",
)


def is_not_modified(request: Request, stored: Response) -> bool:
    """Whether the viewer already has the stored object, so that 304 answers it.

    If-None-Match decides alone where it is present; tags are compared weakly.
    """
    if request.method not in READ_METHODS or stored.status != 200:
        return False
    tags = request.headers.get_all("if-none-match")
    if tags:
        return _names_tag(", ".join(tags), stored.headers.get("etag"))
    if "if-modified-since" not in request.headers:
        return False
    since_s = http_date_s(request.headers.get("if-modified-since"))
    changed_s = http_date_s(stored.headers.get("last-modified"))
    return since_s is not None and changed_s is not None and changed_s <= since_s


def not_modified(stored: Response) -> Response:
    """The 304 for a stored object: its headers but for those that describe a body.

    Which headers survive at AWS is UNVERIFIED; RFC 9110 15.4.5 names the ones that must.
    """
    return Response(304, headers=stored.headers.without(*_OF_THE_BODY))


def revalidation_headers(
    stored: Response, kept: Freshness, behavior: CacheBehavior
) -> tuple[tuple[str, str], ...]:
    """The headers that ask the origin whether an expired object changed; none for a full refetch.

    Not when cookies are forwarded, not for `Vary: *`, not for errors.
    """
    if not kept.revalidates or stored.status >= 400 or forwards_cookies(behavior):
        return ()
    asked = (
        ("If-None-Match", stored.headers.get("etag")),
        ("If-Modified-Since", stored.headers.get("last-modified")),
    )
    return tuple(line for line in asked if line[1])


def merge_not_modified(stored: Response, answered: Response) -> Response:
    """The stored object after the origin's 304: its body, with the newer headers (RFC 9111 3.2).

    The headers that describe the stored body stay, and so does a tag that is the same but for
    its weakness: compression made it weak.
    """
    newer: dict[str, list[tuple[str, str]]] = {}
    for name, value in answered.headers:
        newer.setdefault(name.lower(), []).append((name, value))
    for name in _OF_THE_BODY:
        newer.pop(name, None)
    if _opaque(answered.headers.get("etag")) == _opaque(stored.headers.get("etag")):
        newer.pop("etag", None)
    lines = []
    for name, value in stored.headers:
        if name.lower() not in newer:
            lines.append((name, value))
    lines += [line for group in newer.values() for line in group]
    return replace(stored, headers=Headers(lines))


def _names_tag(value: str, tag: str) -> bool:
    """Whether an If-None-Match value is `*` or lists the tag."""
    if value.strip() == "*":
        return True
    return bool(tag) and _opaque(tag) in {_opaque(one) for one in _entity_tags(value)}


def _entity_tags(value: str) -> list[str]:
    """The tags of a list; a comma inside quotes belongs to its tag."""
    tags, start, quoted = [], 0, False
    for position, char in enumerate(value):
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            tags.append(value[start:position])
            start = position + 1
    tags.append(value[start:])
    return [tag.strip() for tag in tags]


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")
