"""Bytes on the viewer's link."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.network.transfer import Transfer, retransmission_ms, time_for_bytes

MBIT_PER_S = 125.0
SIZES = st.integers(0, 20_000_000)
RATES = st.floats(10.0, 100_000.0)
ROUND_TRIPS = st.floats(0.0, 700.0)


@pytest.mark.parametrize("body_bytes", [0, 700, 14_600])
def test_the_first_flight_is_free(body_bytes: int) -> None:
    """Ten segments travel right behind the first byte (RFC 6928)."""
    assert time_for_bytes(body_bytes, 20 * MBIT_PER_S, 50.0) == 0


def test_the_next_byte_waits_for_a_round_trip() -> None:
    """Slow start: the second flight leaves when the first is acknowledged."""
    assert time_for_bytes(14_601, 20 * MBIT_PER_S, 50.0) == pytest.approx(50, abs=0.01)


def test_a_large_body_takes_the_links_rate() -> None:
    """10 MB over 20 Mbit/s: 4 s, and a few round trips of slow start."""
    took_ms = time_for_bytes(10_000_000, 20 * MBIT_PER_S, 50.0)

    assert 4_000 <= took_ms <= 4_000 + 4 * 50


@given(size=SIZES, more=SIZES, rate=RATES, rtt_ms=ROUND_TRIPS)
def test_more_bytes_never_arrive_earlier(size: int, more: int, rate: float, rtt_ms: float) -> None:
    """So a stream's pieces keep their order."""
    assert time_for_bytes(size, rate, rtt_ms) <= time_for_bytes(size + more, rate, rtt_ms) + 1e-6


@given(size=SIZES, rate=RATES, rtt_ms=ROUND_TRIPS)
def test_no_body_beats_its_link(size: int, rate: float, rtt_ms: float) -> None:
    """Beyond the free flight nothing is faster than the rate."""
    assert time_for_bytes(size, rate, rtt_ms) >= (size - 14_600) / rate - 1e-6 or size <= 14_600 * 2


def test_a_transfer_that_takes_no_time() -> None:
    """Latency off."""
    assert Transfer.instant().ms_until(10**9) == 0


def test_a_clean_link_loses_nothing() -> None:
    """No loss, no delay."""
    assert retransmission_ms(20.0, 0.0, random.Random(1)) == 0


@pytest.mark.parametrize(
    ("rtt_ms", "connecting", "first_ms"),
    [(20.0, False, 200), (300.0, False, 600), (20.0, True, 1_000)],
)
def test_a_lost_packet_waits_for_its_time_out(
    rtt_ms: float, connecting: bool, first_ms: float
) -> None:
    """200 ms at least, two round trips on long links, a second for a handshake's first packet."""
    chance = random.Random(1)
    drawn = {retransmission_ms(rtt_ms, 0.2, chance, connecting=connecting) for _ in range(200)} - {
        0.0
    }

    assert min(drawn) == first_ms
    assert {first_ms, 3 * first_ms, 7 * first_ms} <= drawn


def test_a_dead_link_is_given_up() -> None:
    """Six retransmissions, doubling; then the caller would be told."""
    assert retransmission_ms(20.0, 1.0, random.Random(1)) == 200 * (2**6 - 1)
