"""Whether CloudFront compresses, and what that changes."""

from __future__ import annotations

import gzip
from dataclasses import replace

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.compression import (
    COMPRESSIBLE_TYPES,
    Format,
    StreamCompressor,
    compress,
    compressed_etag,
    compressed_headers,
    decide_compression,
    is_compressible_type,
)
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES
from emulator.values.distribution import CacheBehavior, CachePolicy
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

CACHE = {policy.name: policy for policy in MANAGED_CACHE_POLICIES.values()}
BEHAVIOR = CacheBehavior("*", "O", CACHE["CachingOptimized"], compress=True)
VIEWER = Request("GET", "/", headers=Headers({"Accept-Encoding": "gzip, deflate, br"}))
JSON = Response(
    200,
    headers=Headers({"Content-Type": "application/json", "Content-Length": "2000"}),
    body=b" " * 2000,
)


def chosen(
    request: Request = VIEWER, response: Response = JSON, behavior: CacheBehavior = BEHAVIOR
) -> Format | None:
    """The format that CloudFront takes."""
    return decide_compression(request, response, behavior).format


def header(name: str, value: str, status: int = 200) -> Response:
    """The JSON with one header changed."""
    return replace(JSON, status=status, headers=JSON.headers.with_set(name, value))


def accepts(offered: str) -> Request:
    """A viewer with this Accept-Encoding."""
    return replace(VIEWER, headers=Headers({"Accept-Encoding": offered}))


def cached_by(policy: CachePolicy) -> CacheBehavior:
    """The behavior with another cache policy."""
    return replace(BEHAVIOR, cache_policy=policy)


@pytest.mark.parametrize(
    ("offered", "policy", "expected"),
    [
        ("gzip, br", CACHE["CachingOptimized"], Format.BROTLI),
        ("gzip", CACHE["CachingOptimized"], Format.GZIP),
        ("br", CACHE["Elemental-MediaPackage"], None),
        ("gzip, br", CACHE["Elemental-MediaPackage"], Format.GZIP),
        ("deflate", CACHE["CachingOptimized"], None),
        ("", CACHE["CachingOptimized"], None),
        ("gzip", CACHE["CachingOptimizedForUncompressedObjects"], None),
        ("gzip", replace(CACHE["CachingDisabled"], gzip=True), None),
    ],
)
def test_the_format(offered: str, policy: CachePolicy, expected: Format | None) -> None:
    """What the viewer accepts and the policy enables; brotli before gzip."""
    assert chosen(accepts(offered), behavior=cached_by(policy)) is expected


@pytest.mark.parametrize(
    ("response", "compressed"),
    [
        pytest.param(header("Content-Length", "1000"), True, id="1,000 bytes"),
        pytest.param(header("Content-Length", "999"), False, id="999 bytes"),
        pytest.param(header("Content-Length", "10000000"), True, id="10,000,000 bytes"),
        pytest.param(header("Content-Length", "10000001"), False, id="10,000,001 bytes"),
        pytest.param(header("Content-Length", "2k"), False, id="an invalid length"),
        pytest.param(
            replace(JSON, headers=JSON.headers.without("content-length")), False, id="no length"
        ),
        pytest.param(
            replace(JSON, headers=JSON.headers.with_added("Content-Length", "2000")),
            False,
            id="two lengths",
        ),
        pytest.param(header("Content-Encoding", "identity"), False, id="any encoding"),
        pytest.param(header("Content-Type", "image/png"), False, id="a picture"),
        pytest.param(header("Content-Type", "text/event-stream"), False, id="SSE"),
        pytest.param(header("Content-Type", "TEXT/HTML; charset=utf-8"), True, id="parameters"),
        pytest.param(header("X", "", 404), True, id="404"),
        pytest.param(header("X", "", 403), True, id="403"),
        pytest.param(header("X", "", 500), False, id="500"),
        pytest.param(header("X", "", 206), False, id="206"),
        pytest.param(replace(JSON, body=b""), False, id="no body"),
    ],
)
def test_the_conditions(response: Response, compressed: bool) -> None:
    """Status, body, length, encoding and type must all be right."""
    assert (chosen(response=response) is not None) is compressed


def test_viewer_and_behavior_must_want_it() -> None:
    """HTTP/1.0, HEAD, or Compress off: nothing; the reason says which."""
    assert chosen(replace(VIEWER, http_version="1.0")) is None
    assert chosen(replace(VIEWER, method="HEAD")) is None
    assert chosen(behavior=replace(BEHAVIOR, compress=False)) is None
    assert decide_compression(VIEWER, header("X", "", 500), BEHAVIOR).reason == "the status is 500"


@pytest.mark.parametrize(
    ("tag", "left"),
    [('"v1"', 'W/"v1"'), ('W/"v1"', 'W/"v1"'), ("v1", None), ("", None)],
)
@pytest.mark.conformance("CF-65")
def test_the_etag_of_a_compressed_object(tag: str, left: str | None) -> None:
    """A strong one turns weak, a weak one stays, a malformed one goes."""
    headers = compressed_headers(Headers({"ETag": tag}), Format.GZIP)

    assert compressed_etag(tag) == left
    assert headers.get_all("etag") == (() if left is None else (left,))


@pytest.mark.parametrize(
    ("vary", "left"),
    [
        ((), ("Accept-Encoding",)),
        (("Origin",), ("Origin,Accept-Encoding",)),
        (("accept-encoding, Origin",), ("accept-encoding, Origin",)),
        (("*",), ("*",)),
    ],
)
def test_the_headers_of_a_compressed_object(vary: tuple[str, ...], left: tuple[str, ...]) -> None:
    """Content-Encoding and Vary come, Content-Length goes."""
    lines = [("Content-Length", "2000"), *(("Vary", value) for value in vary)]
    headers = compressed_headers(Headers(lines), Format.BROTLI)

    assert headers.get("content-encoding") == "br"
    assert "content-length" not in headers
    assert headers.get_all("vary") == left


def test_awss_list_of_types() -> None:
    """48 of them, the odd `vnd.apple.mpegurl` included."""
    assert len(COMPRESSIBLE_TYPES) == 48
    assert is_compressible_type("image/svg+xml")
    assert not is_compressible_type("")


@given(st.binary(max_size=3000), st.sampled_from(Format), st.integers(1, 700))
def test_what_is_compressed_can_be_read_again(body: bytes, form: Format, size: int) -> None:
    """At once or piece by piece, and the same bytes each time."""
    read = gzip.decompress if form is Format.GZIP else brotli.decompress
    stream = StreamCompressor(form)
    pieces = [stream.feed(body[start : start + size]) for start in range(0, len(body), size)]

    assert read(compress(form, body)) == body
    assert compress(form, body) == compress(form, body)
    assert read(b"".join([*pieces, stream.finish()])) == body
