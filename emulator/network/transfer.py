"""Bytes on the viewer's link: how long a body takes, and what a lost packet costs. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Self

_UNLIMITED: Final = float("inf")
SEGMENT_BYTES: Final = 1_460
INITIAL_WINDOW_SEGMENTS: Final = 10
"""RFC 6928: so much is sent before the first acknowledgement, about 14 KB."""

_CONNECT_RTO_MS: Final = 1_000.0
"""RFC 6298, 2.1: the first retransmission of a SYN waits a second."""
_LEAST_RTO_MS: Final = 200.0
"""Linux's least retransmission time-out (the RFC recommends a second; nobody obeys)."""
_RETRANSMISSIONS_MAX: Final = 6
"""Linux gives a SYN up after six (tcp_syn_retries)."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """How one answer's bytes reach its viewer.

    Args:
        bytes_per_ms: The link's rate; infinite: bytes take no time.
        rtt_ms: The round trip, which paces slow start.
        time_scale: Multiplies what comes out.
    """

    bytes_per_ms: float
    rtt_ms: float
    time_scale: float = 1.0

    @classmethod
    def instant(cls) -> Self:
        """One that takes no time."""
        return cls(_UNLIMITED, 0.0)

    @property
    def is_instant(self) -> bool:
        """Whether bytes take no time at all."""
        return self.bytes_per_ms == _UNLIMITED or self.time_scale == 0

    def ms_until(self, body_bytes: int) -> float:
        """When the last of so many bytes is there, ms after the first one.

        For a stream, the sum so far: a piece that ends at byte n is due no earlier than this.
        """
        if self.is_instant or body_bytes <= INITIAL_WINDOW_SEGMENTS * SEGMENT_BYTES:
            return 0.0
        return time_for_bytes(body_bytes, self.bytes_per_ms, self.rtt_ms) * self.time_scale


def time_for_bytes(body_bytes: int, bytes_per_ms: float, rtt_ms: float) -> float:
    """First byte to last byte of an answer on a fresh congestion window, ms.

    The first ten segments are free: they travel together, right behind the first byte. After them
    the window doubles with each round trip (slow start) until it covers the link, which then
    carries its full rate. Losses are not part of it.

    Args:
        body_bytes: The body's size.
        bytes_per_ms: The link's rate towards the viewer.
        rtt_ms: The round trip.
    """
    window_bytes = float(INITIAL_WINDOW_SEGMENTS * SEGMENT_BYTES)
    left_bytes = body_bytes - window_bytes
    if left_bytes <= 0:
        return 0.0
    passed_ms = 0.0
    while window_bytes < bytes_per_ms * rtt_ms:
        # The next flight, twice as large, leaves when this one is acknowledged.
        passed_ms += rtt_ms
        window_bytes *= 2
        if left_bytes <= window_bytes:
            break
        if window_bytes < bytes_per_ms * rtt_ms:
            left_bytes -= window_bytes
    # From here on the link is full, or the last flight is under way.
    return passed_ms + left_bytes / bytes_per_ms


def retransmission_ms(
    rtt_ms: float, loss_share: float, chance: random.Random, *, connecting: bool = False
) -> float:
    """What losses add to one round trip of small packets, ms; 0 when nothing was lost.

    Each attempt needs two packets to arrive, one each way. A lost one is repeated after the
    retransmission time-out, which doubles each time (RFC 6298, 5.5).

    Args:
        rtt_ms: The round trip without loss.
        loss_share: The share of packets that get lost, each way.
        chance: Where the losses come from.
        connecting: Whether it is a handshake's first packet, for which no round trip is known yet.
    """
    lost_share = 1 - (1 - loss_share) ** 2
    timeout_ms = _CONNECT_RTO_MS if connecting else max(_LEAST_RTO_MS, 2 * rtt_ms)
    added_ms = 0.0
    for _ in range(_RETRANSMISSIONS_MAX):
        if chance.random() >= lost_share:
            break
        added_ms += timeout_ms
        timeout_ms *= 2
    return added_ms
