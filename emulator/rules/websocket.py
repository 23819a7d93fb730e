"""WebSocket connections through CloudFront.

AWS: "Use WebSockets with CloudFront distributions",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/distribution-working-with-websockets.html,
read 2026-11-20 (facts/cloudfront.md 10.6). On for every distribution, over HTTP/1.1 only. The
origin needs `Sec-WebSocket-Key` and `-Version`, which a policy must forward.
"""

from __future__ import annotations

from typing import Final

from emulator.values.headers import Headers
from emulator.values.messages import Request

SWITCHING_PROTOCOLS: Final = 101
HANDSHAKE: Final = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
"""The hop-by-hop headers that are CloudFront's own on either side."""


def wants_websocket(request: Request) -> bool:
    """Whether a viewer asks to go on as a WebSocket."""
    if request.method != "GET" or request.http_version != "1.1":
        return False
    headers = request.headers
    if "upgrade" not in headers or headers.get("upgrade").strip().lower() != "websocket":
        return False
    return "upgrade" in (word.strip() for word in headers.get("connection").lower().split(","))


def with_handshake(headers: Headers) -> Headers:
    """The headers with Connection and Upgrade as a handshake has them."""
    return Headers([*headers.without("connection", "upgrade"), *HANDSHAKE])
