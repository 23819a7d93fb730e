"""Compression: whether CloudFront compresses an object, and what that changes.

AWS: "Serve compressed files",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/ServingCompressedFiles.html, read
2026-11-20 (facts/cloudfront.md section 11).
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import brotli

from emulator.quotas import COMPRESSIBLE_MAX_BYTES, COMPRESSIBLE_MIN_BYTES
from emulator.rules.origin_request import normalised_encodings
from emulator.values.distribution import CacheBehavior
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response


def _under(kind: str, *subtypes: str) -> frozenset[str]:
    return frozenset(f"{kind}/{subtype}" for subtype in subtypes)


COMPRESSIBLE_TYPES: Final = (
    _under(
        "application",
        "dash+xml",
        "eot",
        "font",
        "font-sfnt",
        "javascript",
        "json",
        "opentype",
        "otf",
        "pdf",
        "pkcs7-mime",
        "protobuf",
        "rss+xml",
        "truetype",
        "ttf",
        "vnd.apple.mpegurl",
        "vnd.mapbox-vector-tile",
        "vnd.ms-fontobject",
        "wasm",
        "xhtml+xml",
        "xml",
        "x-font-opentype",
        "x-font-truetype",
        "x-font-ttf",
        "x-httpd-cgi",
        "x-javascript",
        "x-mpegurl",
        "x-opentype",
        "x-otf",
        "x-perl",
        "x-ttf",
    )
    | _under("font", "eot", "opentype", "otf", "ttf")
    | _under("image", "svg+xml")
    | _under(
        "text",
        "css",
        "csv",
        "html",
        "javascript",
        "js",
        "plain",
        "richtext",
        "tab-separated-values",
        "xml",
        "x-component",
        "x-java-source",
        "x-script",
    )
    | {"vnd.apple.mpegurl"}
)
COMPRESSED_STATUSES: Final = frozenset({200, 403, 404})

# AWS names no levels: quick ones, because an edge compresses while viewers wait.
_GZIP_LEVEL: Final = 6
_BROTLI_QUALITY: Final = 5
_GZIP_WINDOW: Final = 31
"""zlib's way to ask for a gzip frame; its header has no time in it."""


class Format(StrEnum):
    """A Content-Encoding that CloudFront can make."""

    BROTLI = "br"
    GZIP = "gzip"


@dataclass(frozen=True, slots=True)
class Compression:
    """Whether an object is compressed.

    Args:
        format: The format; None leaves the object as it is.
        reason: Why, for the Trace.
    """

    format: Format | None
    reason: str


def decide_compression(
    request: Request, response: Response, behavior: CacheBehavior
) -> Compression:
    """Whether CloudFront compresses the origin's answer to this viewer; every condition must hold.

    Brotli is preferred when both are on. CloudFront may also skip it under load; localpop never
    does.
    """
    obstacle = _obstacle(request, response, behavior)
    if obstacle:
        return Compression(None, obstacle)
    policy = behavior.cache_policy
    offered = ", ".join(request.headers.get_all("accept-encoding"))
    formats = normalised_encodings(offered, policy.gzip, policy.brotli)
    if not formats:
        return Compression(None, "the viewer accepts no format that the cache policy enables")
    chosen = Format(formats.partition(",")[0])
    return Compression(chosen, f"compressed as {chosen}")


def _obstacle(request: Request, response: Response, behavior: CacheBehavior) -> str:
    """The first condition that does not hold, in words; empty when all do."""
    policy = behavior.cache_policy
    if not behavior.compress:
        return "the cache behavior does not compress"
    if not (policy.gzip or policy.brotli):
        return "the cache policy enables neither gzip nor brotli"
    if policy.caching_disabled:
        return "the cache policy's TTLs are zero"
    if request.http_version in ("0.9", "1.0"):
        return "the viewer speaks HTTP/1.0"
    return _obstacle_in_response(request, response)


def _obstacle_in_response(request: Request, response: Response) -> str:
    headers = response.headers
    if response.status not in COMPRESSED_STATUSES:
        return f"the status is {response.status}"
    if request.method == "HEAD" or response.body == b"":
        return "there is no body"
    if "content-encoding" in headers:
        return "the origin has encoded it"
    if not is_compressible_type(headers.get("content-type")):
        return "its content type is not compressed"
    length = _content_length(headers)
    if length is None:
        return "there is no valid Content-Length"
    if not COMPRESSIBLE_MIN_BYTES <= length <= COMPRESSIBLE_MAX_BYTES:
        return f"{length} bytes are not between 1,000 and 10,000,000"
    return ""


def is_compressible_type(content_type: str) -> bool:
    """Whether the type is in AWS's list; parameters do not matter (UNVERIFIED, practice)."""
    return content_type.partition(";")[0].strip().lower() in COMPRESSIBLE_TYPES


def _content_length(headers: Headers) -> int | None:
    lines = headers.get_all("content-length")
    if len(lines) != 1 or not (lines[0].isascii() and lines[0].isdigit()):
        return None
    return int(lines[0][:20])


def compressed_headers(headers: Headers, chosen: Format) -> Headers:
    """The headers of the compressed object.

    Content-Encoding and Vary come, Content-Length goes (UNVERIFIED in the guide, seen in
    practice); the ETag turns weak.
    """
    changed = headers.without("content-length").with_set("Content-Encoding", chosen)
    vary = [token.strip() for line in headers.get_all("vary") for token in line.split(",")]
    if not any(token.lower() in ("accept-encoding", "*") for token in vary):
        names = [token for token in vary if token]
        changed = changed.without("vary").with_added("Vary", ",".join([*names, "Accept-Encoding"]))
    if "etag" not in headers:
        return changed
    tag = compressed_etag(headers.get("etag"))
    return changed.without("etag") if tag is None else changed.with_set("ETag", tag)


def compressed_etag(tag: str) -> str | None:
    """The ETag of a compressed object: a strong one turns weak, a malformed one goes (None)."""
    if tag.startswith('"'):
        return f"W/{tag}"
    return tag if tag.startswith("W/") else None


def compress(chosen: Format, body: bytes) -> bytes:
    """The compressed body; the same bytes for the same body."""
    if chosen is Format.GZIP:
        return gzip.compress(body, _GZIP_LEVEL, mtime=0)
    packed: bytes = brotli.compress(body, quality=_BROTLI_QUALITY)
    return packed


class StreamCompressor:
    """Compresses a body that arrives piece by piece.

    Args:
        chosen: The format.
    """

    __slots__ = ("_brotli", "_gzip")

    def __init__(self, chosen: Format) -> None:
        self._brotli = (
            brotli.Compressor(quality=_BROTLI_QUALITY) if chosen is Format.BROTLI else None
        )
        self._gzip = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)

    def feed(self, piece: bytes) -> bytes:
        """What of the compressed body is ready now; may be empty."""
        if self._brotli is not None:
            ready: bytes = self._brotli.process(piece)
            return ready
        return self._gzip.compress(piece)

    def finish(self) -> bytes:
        """The rest of the compressed body."""
        if self._brotli is not None:
            rest: bytes = self._brotli.finish()
            return rest
        return self._gzip.flush()
