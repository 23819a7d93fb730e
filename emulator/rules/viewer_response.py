"""The headers that viewers see, and their order.

Real captures (facts/cloudfront.md section 14) and AWS: "Request and response behavior for custom
origins", read 2026-11-20.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from emulator.values.distribution import CacheBehavior, Selection
from emulator.values.headers import Headers
from emulator.values.messages import Response

_FRAMING: Final = ("connection", "keep-alive", "transfer-encoding", "upgrade", "trailer", "via")
_FIRST: Final = ("content-type", "content-length")
_MOVED: Final = frozenset({*_FIRST, "age", "set-cookie"})


@dataclass(frozen=True, slots=True)
class EdgeIdentity:
    """What CloudFront says of itself in a response.

    Args:
        pop: X-Amz-Cf-Pop, such as `NRT57-P1`.
        via: `<32 hex>.cloudfront.net (CloudFront)`.
        request_id: X-Amz-Cf-Id, 56 characters.
    """

    pop: str
    via: str
    request_id: str


def http_date(epoch_ms: float) -> str:
    """A date as HTTP writes it."""
    return _http_date(int(epoch_ms / 1000))


@lru_cache(maxsize=64)
def _http_date(epoch_s: int) -> str:
    return formatdate(epoch_s, usegmt=True)


def generated_at_edge(response: Response, epoch_ms: float) -> Response:
    """A response that no origin made: `Server: CloudFront` and `Date` come first (14.3)."""
    rest = response.headers.without("server", "date")
    lines = [("Server", "CloudFront"), ("Date", http_date(epoch_ms)), *rest]
    return replace(response, headers=Headers(lines))


def from_origin(response: Response, behavior: CacheBehavior, epoch_ms: float) -> Response:
    """An origin's response as it enters CloudFront: hop-by-hop headers gone.

    `Set-Cookie` is dropped unless cookies are forwarded (14.4).
    """
    headers = response.headers.without(*_FRAMING)
    if not forwards_cookies(behavior):
        headers = headers.without("set-cookie")
    if "date" not in headers:
        headers = headers.with_added("Date", http_date(epoch_ms))
    return replace(response, headers=headers)


def forwards_cookies(behavior: CacheBehavior) -> bool:
    """Whether any cookie can reach the origin under the behavior's policies."""
    policy = behavior.origin_request_policy
    return behavior.cache_policy.cookies.selection is not Selection.NONE or (
        policy is not None and policy.cookies.selection is not Selection.NONE
    )


ALT_SVC: Final = ("Alt-Svc", 'h3=":443"; ma=86400')
"""What CloudFront says when HttpVersion includes HTTP/3 (14.2)."""


def for_viewer(
    response: Response, x_cache: str, identity: EdgeIdentity, *, http3: bool = False
) -> Headers:
    """The headers on the wire but for `Connection`, in the order of real captures (14.3)."""
    lines = list(response.headers.pairs)
    alt_svc = [ALT_SVC] if http3 else []
    cache = ("X-Cache", f"{x_cache} from cloudfront")
    via = ("Via", f"1.1 {identity.via}")
    pop, request_id = ("X-Amz-Cf-Pop", identity.pop), ("X-Amz-Cf-Id", identity.request_id)
    if lines and lines[0] == ("Server", "CloudFront"):
        # The edge made it: Server and Date lead.
        return Headers([*lines, cache, via, pop, *alt_svc, request_id])
    moved: dict[str, list[tuple[str, str]]] = {name: [] for name in _MOVED}
    rest: list[tuple[str, str]] = []
    for pair in lines:
        moved.get(pair[0].lower(), rest).append(pair)
    first = [pair for name in _FIRST for pair in moved[name]]
    age, cookies = moved["age"], moved["set-cookie"]
    return Headers([*first, *rest, via, *alt_svc, *age, *cookies, cache, pop, request_id])
