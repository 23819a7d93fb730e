"""When a key value store's new version reaches the servers of a point of presence. No I/O.

AWS says "a few seconds" (launch blog, 2023-11-21) and documents nothing. Measured: first visible
after about 40 s and everywhere after 47 s at one point of presence, 21 to 26 s at another, with
different servers of one point of presence holding different versions (facts/kvs.md 5.3, 5.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_DRAW_BYTES = 6
_BATCH_MS: Final = 250.0
"""Ours: versions of one quarter of a second travel together, so that a busy writer does not leave
thousands of versions under way."""


class Propagation(StrEnum):
    """How long a write takes to the edge (facts/kvs.md 5.4)."""

    INSTANT = "instant"
    """At once; for tests and for everybody who does not study propagation."""
    DOCS = "docs"
    """1 to 5 s, each server by itself: AWS's "a few seconds"."""
    OBSERVED = "observed"
    """20 to 43 s to a point of presence, and up to 7 s more to each of its servers."""


@dataclass(frozen=True, slots=True)
class _Profile:
    pop_least_ms: float
    pop_spread_ms: float
    server_spread_ms: float


_PROFILES: Final = {
    Propagation.INSTANT: _Profile(0, 0, 0),
    Propagation.DOCS: _Profile(1_000, 0, 4_000),
    Propagation.OBSERVED: _Profile(20_000, 23_000, 7_000),
}


def delay_ms(
    propagation: Propagation, seed: int, store: str, version: int, pop: str, server: int
) -> float:
    """How long one version takes to one server; the same for the same arguments, at every start.

    Args:
        propagation: The profile.
        seed: The emulator's seed.
        store: The store's ARN.
        version: The version's number.
        pop: The point of presence.
        server: The server's number in it.
    """
    profile = _PROFILES[propagation]
    written = f"{seed}:{store}:{version}:{pop}"
    return (
        profile.pop_least_ms
        + profile.pop_spread_ms * _draw(written)
        + profile.server_spread_ms * _draw(f"{written}:{server}")
    )


def longest_delay_ms(propagation: Propagation) -> float:
    """After so long every server has a version."""
    profile = _PROFILES[propagation]
    return profile.pop_least_ms + profile.pop_spread_ms + profile.server_spread_ms


def batch(written_ms: float) -> int:
    """The batch in which a version travels; of one batch only the last version does."""
    return int(written_ms // _BATCH_MS)


def shown(arrivals_ms: Sequence[float], now_ms: float) -> tuple[int, float]:
    """Which version a server shows, and when that may change next.

    A server never goes back: of the versions that have arrived it shows the newest, even when an
    older one arrives after it.

    Args:
        arrivals_ms: When each version arrives, oldest version first; the first one has always been
            there.
        now_ms: Now.

    Returns:
        The number of the version in `arrivals_ms`, and the moment of the next change, infinite
        when there is none.
    """
    newest = max(
        (number for number, arrival_ms in enumerate(arrivals_ms) if arrival_ms <= now_ms), default=0
    )
    later: float = min(arrivals_ms[newest + 1 :], default=float("inf"))
    return newest, later


def _draw(text: str) -> float:
    """A number from 0 to 1 that follows from the text."""
    digest = hashlib.blake2b(text.encode(), digest_size=_DRAW_BYTES).digest()
    return float(int.from_bytes(digest) / 256**_DRAW_BYTES)
