"""One request to the AWS endpoint, as a service sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope

from emulator.errors import ApiError


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request whose path is still percent-encoded, so that `%2F` in a name stays a name.

    Args:
        method: The HTTP method.
        path: The raw path as ISO-8859-1 text, without the prefixes of the endpoint's URL.
        query: The raw query string.
        headers: Names in lower case; of a repeated name the first value.
        scope: The ASGI scope.
        receive: ASGI's channel for the body and for the client's hanging up.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    scope: Scope
    receive: Receive

    def query_value(self, name: str) -> str | None:
        """The first value of a query parameter, percent-decoded."""
        if not self.query:
            return None
        for key, value in parse_qsl(self.query, keep_blank_values=True):
            if key == name:
                return value
        return None

    async def body(self, max_bytes: int, too_large: Callable[[], ApiError]) -> bytes:
        """The whole body, unless it is larger than any valid one.

        A body that announces its size is refused before a byte of it is read.

        Args:
            max_bytes: The most that is read into memory.
            too_large: Makes the error for more than that.

        Raises:
            ApiError: What `too_large` made.
            ClientDisconnect: The client went away in the middle.
        """
        if int(self.headers.get("content-length", "0")) > max_bytes:
            raise too_large()
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > max_bytes:
                raise too_large()
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


class Service(Protocol):
    """An AWS service of the endpoint."""

    def __call__(self, call: ApiCall) -> Awaitable[ASGIApp]:
        """Answer a call; the answer is an ASGI application, so that it may stream.

        Raises:
            ApiError: The service refuses, in AWS's words.
            NotEmulated: The service does not know the operation.
        """
        ...


def call_from(scope: Scope, receive: Receive) -> ApiCall:
    """The call that an ASGI scope describes."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return ApiCall(
        method=scope["method"],
        path=_origin_form(scope.get("raw_path") or scope["path"].encode()),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        scope=scope,
        receive=receive,
    )


def decode_segment(segment: str) -> str:
    """One path segment, percent-decoded once.

    Raises:
        UnicodeDecodeError: The bytes are not UTF-8.
    """
    return unquote_to_bytes(segment.encode("latin-1")).decode()


def _origin_form(raw_path: bytes) -> str:
    """The path of a request target; a proxy's client sends the absolute form (facts/kvs.md 1.8)."""
    target = raw_path.decode("latin-1").partition("?")[0]
    scheme, found, rest = target.partition("://")
    if found and scheme.lower() in ("http", "https"):
        _, slash, path = rest.partition("/")
        return slash + path or "/"
    return target
