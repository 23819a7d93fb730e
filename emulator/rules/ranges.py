"""Partial requests: when 206, when the whole object, when 416.

AWS: "How CloudFront processes partial requests for an object (range GETs)",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RangeGETs.html, read 2026-11-20
(facts/cloudfront.md 10.3). CloudFront follows RFC 9110 section 14 but for ranges that are not
ascending, overlap or are invalid: those get 200 with the whole object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from emulator.quotas import CACHEABLE_MAX_BYTES
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

_SPEC: Final = re.compile(r"[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.ASCII)
_CONTENT_RANGE: Final = re.compile(
    r"[ \t]*bytes[ \t]+([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)[ \t]*",
    re.ASCII | re.IGNORECASE,
)
_DIGITS_MAX: Final = 19
_ANY_LENGTH: Final = 10**20


class RangeOutcome(StrEnum):
    """What a Range header leads to."""

    WHOLE = "200"
    PARTIAL = "206"
    UNSATISFIABLE = "416"


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes of an object, both ends included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes it is."""
        return self.last - self.first + 1

    def covers(self, other: ByteRange) -> bool:
        """Whether every byte of the other range is in this one."""
        return self.first <= other.first and other.last <= self.last


@dataclass(frozen=True, slots=True)
class RangeDecision:
    """What to send for a Range header.

    Args:
        outcome: The whole object, parts of it, or a refusal.
        ranges: The parts, ascending; more than one makes multipart/byteranges.
    """

    outcome: RangeOutcome
    ranges: tuple[ByteRange, ...] = ()


WHOLE: Final = RangeDecision(RangeOutcome.WHOLE)


def decide_range(request: Request, stored: Response, length: int) -> RangeDecision:
    """What a stored whole object of so many bytes answers to a request.

    Only a GET for a 200 can have a part; If-Range that does not hold asks for the whole.
    """
    lines = request.headers.get_all("range")
    if len(lines) != 1 or request.method != "GET" or stored.status != 200:
        return WHOLE
    if not if_range_holds(request, stored):
        return WHOLE
    return resolve_range(lines[0], length)


def resolve_range(value: str, length: int) -> RangeDecision:
    """Read a Range value against an object of so many bytes.

    A range that begins behind the end is passed over; when that is every one, 416.
    """
    unit, equals, listed = value.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return WHOLE
    wanted: list[ByteRange] = []
    for part in listed.split(","):
        spec = _SPEC.fullmatch(part)
        if spec is None or not (spec[1] or spec[2]) or _too_long(spec[1], spec[2]):
            return WHOLE
        if spec[1] and spec[2] and int(spec[1]) > int(spec[2]):
            return WHOLE
        one = _within(spec[1], spec[2], length)
        if one is None:
            continue
        if wanted and one.first <= wanted[-1].last:
            # Not ascending, or overlapping.
            return WHOLE
        wanted.append(one)
    if not wanted:
        return RangeDecision(RangeOutcome.UNSATISFIABLE)
    return RangeDecision(RangeOutcome.PARTIAL, tuple(wanted))


def _too_long(first: str, last: str) -> bool:
    return len(first) > _DIGITS_MAX or len(last) > _DIGITS_MAX


def _within(first: str, last: str, length: int) -> ByteRange | None:
    """A range of the object; None when no byte of the object is in it."""
    if not first:
        suffix = min(int(last), length)
        return ByteRange(length - suffix, length - 1) if suffix else None
    start = int(first)
    if start >= length:
        return None
    return ByteRange(start, min(int(last), length - 1) if last else length - 1)


def if_range_holds(request: Request, stored: Response) -> bool:
    """Whether If-Range lets a part be sent: absent, or exactly the object's validator.

    A weak tag never matches (RFC 9110, 13.1.5), so compressed objects give the whole.
    """
    validator = request.headers.get("if-range").strip()
    if not validator:
        return True
    if validator.startswith('"'):
        return validator == stored.headers.get("etag")
    return not validator.startswith("W/") and validator == stored.headers.get("last-modified")


def partial(stored: Response, body: bytes, decision: RangeDecision, boundary: str) -> Response:
    """The answer from a stored whole object.

    Args:
        stored: The object; its headers go along.
        body: Its bytes as stored: a range counts compressed bytes.
        decision: From `decide_range`.
        boundary: Sets the parts of several ranges apart.
    """
    if decision.outcome is RangeOutcome.WHOLE:
        return stored
    headers = stored.headers.without("content-length", "content-range", "transfer-encoding")
    if decision.outcome is RangeOutcome.UNSATISFIABLE:
        # Nothing is said of CloudFront's own 416; RFC 9110 15.5.17 asks for the length.
        lines = [("Content-Range", f"bytes */{len(body)}"), ("Content-Length", "0")]
        return Response(416, headers=Headers(lines))
    if len(decision.ranges) > 1:
        return _multipart(stored, headers, body, decision.ranges, boundary)
    only = decision.ranges[0]
    part = body[only.first : only.last + 1]
    lines = [
        *headers,
        ("Content-Range", f"bytes {only.first}-{only.last}/{len(body)}"),
        ("Content-Length", str(only.length)),
    ]
    return replace(stored, status=206, reason="", headers=Headers(lines), body=part)


def _multipart(
    stored: Response, headers: Headers, body: bytes, ranges: tuple[ByteRange, ...], boundary: str
) -> Response:
    """multipart/byteranges, RFC 9110 14.6."""
    content_type = stored.headers.get("content-type")
    pieces = []
    for one in ranges:
        head = f"\r\n--{boundary}\r\n"
        if content_type:
            head += f"Content-Type: {content_type}\r\n"
        head += f"Content-Range: bytes {one.first}-{one.last}/{len(body)}\r\n\r\n"
        pieces += [head.encode("latin-1"), body[one.first : one.last + 1]]
    pieces.append(f"\r\n--{boundary}--\r\n".encode("latin-1"))
    whole = b"".join(pieces)
    lines = [
        ("Content-Type", f"multipart/byteranges; boundary={boundary}"),
        ("Content-Length", str(len(whole))),
        *headers.without("content-type"),
    ]
    return replace(stored, status=206, reason="", headers=Headers(lines), body=whole)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """What an origin's 206 holds.

    Args:
        range: The bytes in the body.
        total: The object's length; None when the origin does not know.
    """

    range: ByteRange
    total: int | None


def parse_content_range(value: str) -> ContentRange | None:
    """A Content-Range of one part; None for what is not one, or contradicts itself."""
    read = _CONTENT_RANGE.fullmatch(value)
    if read is None:
        return None
    first, last = int(read[1]), int(read[2])
    total = None if read[3] == "*" else int(read[3])
    if first > last or (total is not None and last >= total):
        return None
    return ContentRange(ByteRange(first, last), total)


def cut_part(body: bytes, held: ContentRange, wanted: ByteRange) -> bytes | None:
    """The wanted bytes out of a stored part; None when the part does not hold them all."""
    if not held.range.covers(wanted):
        return None
    start = wanted.first - held.range.first
    return body[start : start + wanted.length]


def asks_for_parts(request: Request) -> bool:
    """Whether a Range is one that CloudFront follows, whatever the object's length is.

    Anything else (out of order, overlapping, not in bytes) asks for the whole object, also of the
    origin.
    """
    lines = request.headers.get_all("range")
    if len(lines) != 1 or request.method != "GET":
        return False
    # A first byte of everything: only what is said decides.
    return resolve_range(lines[0], _ANY_LENGTH).outcome is not RangeOutcome.WHOLE


def is_one_part(answered: Response) -> bool:
    """Whether an origin's answer is one part of an object whose length it knows."""
    held = parse_content_range(answered.headers.get("content-range"))
    return answered.status == 206 and held is not None and held.total is not None


def cut_kept_part(request: Request, kept: Response) -> Response | None:
    """What a kept part answers to a request for a range; None when it does not hold all of it.

    Args:
        request: A GET with one Range.
        kept: A 206 of an origin, its body whole.
    """
    held = parse_content_range(kept.headers.get("content-range"))
    lines = request.headers.get_all("range")
    if held is None or held.total is None or len(lines) != 1 or request.method != "GET":
        return None
    decision = resolve_range(lines[0], held.total)
    if len(decision.ranges) != 1 or not if_range_holds(request, kept):
        return None
    only = decision.ranges[0]
    assert isinstance(kept.body, bytes)
    body = cut_part(kept.body, held, only)
    if body is None or len(body) != only.length:
        return None
    headers = kept.headers.with_set("Content-Range", f"bytes {only.first}-{only.last}/{held.total}")
    return replace(kept, headers=headers.with_set("Content-Length", str(len(body))), body=body)


def sends_whole_object(answered: Response) -> bool:
    """Whether the origin's answer to a range request goes to the viewer as the whole object.

    An origin that knows no ranges answers 200, and one that answers in chunks counts as such.
    """
    return answered.status != 206 or "transfer-encoding" in answered.headers


def too_large_to_cache(answered: Response) -> bool:
    """Whether the object is over 50 GB: with caching on, CloudFront closes the connection."""
    length = answered.headers.get("content-length")
    return length.isascii() and length.isdigit() and int(length[:20]) > CACHEABLE_MAX_BYTES
