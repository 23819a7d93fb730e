"""One request as a service sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from emulator.aws.call import ApiCall, call_from, decode_segment
from emulator.errors import ApiError


def _call(
    *,
    raw_path: bytes = b"/",
    query: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    messages: Sequence[Message] = (),
) -> ApiCall:
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/decoded",
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers,
    }
    return call_from(scope, receive)


@pytest.mark.conformance("KVS-3", "KVS-13", "KVS-14")
@pytest.mark.parametrize(
    ("raw_path", "path"),
    [
        (b"/a%2Fb/..", "/a%2Fb/.."),
        (b"http://host:80/a%2Fb?x=1", "/a%2Fb"),
        (b"HTTPS://host", "/"),
        (b"/http://x", "/http://x"),
        (b"", "/decoded"),
    ],
)
def test_the_raw_path_is_kept(raw_path: bytes, path: str) -> None:
    """Escapes and dots stay; an absolute form loses its authority."""
    assert _call(raw_path=raw_path).path == path


def test_query_values_are_decoded_once() -> None:
    """The first of a name counts; an absent one is None, an empty one is empty."""
    call = _call(query=b"NextToken=tok%3D%3D&Empty=&NextToken=second")

    assert call.query_value("NextToken") == "tok=="
    assert call.query_value("Empty") == ""
    assert call.query_value("Absent") is None
    assert _call().query_value("Any") is None


def test_of_a_repeated_header_the_first_counts() -> None:
    """Names are lower case."""
    call = _call(headers=[(b"If-Match", b"one"), (b"if-match", b"two")])

    assert call.headers["if-match"] == "one"


def test_a_segment_is_decoded_once() -> None:
    """`%252F` is the text `%2F`."""
    assert decode_segment("a%2Fb%20c%2Bd+%25%C3%A9%252F") == "a/b c+d+%é%2F"


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def _too_large() -> ApiError:
    return ApiError(413, "TooLarge", "")


def test_bodies_are_read_up_to_their_limit() -> None:
    """In parts; the limit itself passes, one byte more does not, told or untold."""
    whole = _call(messages=[_part(b"abc", more=True), _part(b"de", more=False)])
    told = _call(headers=[(b"content-length", b"6")])
    untold = _call(messages=[_part(b"abc", more=True), _part(b"def", more=True)])

    assert asyncio.run(whole.body(5, _too_large)) == b"abcde"
    for call in (told, untold):
        with pytest.raises(ApiError, match="TooLarge"):
            asyncio.run(call.body(5, _too_large))


def test_a_client_that_leaves_in_the_middle() -> None:
    """Half a body is no body."""
    call = _call(messages=[_part(b"abc", more=True), {"type": "http.disconnect"}])

    with pytest.raises(ClientDisconnect):
        asyncio.run(call.body(5, _too_large))
