"""The edge servers of a point of presence, and the ids that CloudFront makes up.

Forms as captured (facts/cloudfront.md 14.2): X-Amz-Cf-Pop `NRT57-P1`, Via 32 hexadecimal digits,
X-Amz-Cf-Id 56 characters of URL-safe base64 that end in `==`.
"""

from __future__ import annotations

import base64
import hashlib
import random
from dataclasses import dataclass
from functools import cache
from typing import Final

from emulator.network.distance import nearest_regional_edge_cache
from emulator.values.functions import EdgeLocation

SERVERS_PER_POP: Final = 4
"""A point of presence is several servers, each with its own copy of things (facts/kvs.md 5.4)."""


@dataclass(frozen=True, slots=True)
class EdgeServer:
    """One server of a point of presence.

    Args:
        pop: X-Amz-Cf-Pop.
        via: What follows the HTTP version in its Via header.
        location: What a function learns of it.
    """

    pop: str
    via: str
    location: EdgeLocation


@cache
def edge_servers(code: str) -> tuple[EdgeServer, ...]:
    """The servers of a point of presence; the same at every start."""
    digest = hashlib.sha256(code.encode()).digest()
    pop = f"{code}{50 + digest[0] % 13}-{'CP'[digest[1] % 2]}{1 + digest[2] % 4}"
    region = nearest_regional_edge_cache(code)
    return tuple(_server(code, pop, region, number) for number in range(SERVERS_PER_POP))


def _server(code: str, pop: str, region: str, number: int) -> EdgeServer:
    digest = hashlib.md5(f"{pop}:{number}".encode(), usedforsecurity=False).hexdigest()
    # 203.0.113.0/24 is set aside for documentation (RFC 5737): no real server has it.
    location = EdgeLocation(code, f"203.0.113.{number + 1}", region, number)
    return EdgeServer(pop, f"{digest}.cloudfront.net (CloudFront)", location)


def new_request_id(chance: random.Random) -> str:
    """A value for X-Amz-Cf-Id."""
    return base64.urlsafe_b64encode(chance.randbytes(40)).decode()


def new_trace_id(chance: random.Random) -> str:
    """16 hexadecimal digits."""
    return f"{chance.getrandbits(64):016x}"
