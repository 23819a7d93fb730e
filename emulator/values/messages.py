"""What travels: the viewer's request, and the response to it."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass, field

from emulator.values.headers import Headers

Body = bytes | AsyncIterable[bytes]
"""Whole, or arriving piece by piece; the latter must be closed with `close_body`."""


async def close_body(body: Body) -> None:
    """Leave the rest of a body unread; whoever sends it is told at once."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()


@dataclass(frozen=True, slots=True)
class Request:
    """One request as CloudFront holds it between two stages.

    Args:
        method: The HTTP method, upper case.
        uri: The path as received, percent-escapes kept; starts with `/`.
        querystring: The raw query string without `?`; empty when there is none.
        headers: As on the wire.
        body: Whole or streamed; empty bytes when the request has none.
        client_ip: The peer's address.
        client_port: The peer's port.
        http_version: `1.0` or `1.1`.
        has_query: Whether the target had a `?` at all.
        secure: Whether the viewer's connection is HTTPS.
    """

    method: str
    uri: str
    querystring: str = ""
    headers: Headers = field(default_factory=Headers)
    body: Body = b""
    client_ip: str = "127.0.0.1"
    client_port: int = 0
    http_version: str = "1.1"
    has_query: bool = False
    secure: bool = False

    @property
    def target(self) -> str:
        """Path and query, as they stand in a request line."""
        return f"{self.uri}?{self.querystring}" if self.querystring or self.has_query else self.uri


@dataclass(frozen=True, slots=True)
class Response:
    """One response as CloudFront holds it between two stages.

    Args:
        status: The HTTP status.
        reason: The status description; empty means the usual one.
        headers: As on the wire.
        body: Whole or streamed.
    """

    status: int
    reason: str = ""
    headers: Headers = field(default_factory=Headers)
    body: Body = b""
