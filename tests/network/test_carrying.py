"""Bodies on the viewer's link."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from emulator.clock.virtual import VirtualClock
from emulator.network.carrying import CarriedBody, carried
from emulator.network.transfer import Transfer

pytestmark = pytest.mark.anyio
FOUR_G = Transfer(20 * 125.0, 50.0)


class Source:
    """A stream of pieces, 100 ms apart, that knows when it was closed."""

    def __init__(self, clock: VirtualClock, *pieces: bytes) -> None:
        self.closed = False
        self._clock, self._pieces = clock, pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
            await self._clock.sleep_ms(100)

    async def aclose(self) -> None:
        """Note it."""
        self.closed = True


async def test_a_small_body_stays_what_it_is() -> None:
    """An answer of 1 KB costs nothing, not even a wrapper."""
    assert carried(b"x" * 1_000, FOUR_G, 0.0, VirtualClock()) == b"x" * 1_000
    assert carried(b"x" * 10**6, Transfer.instant(), 0.0, VirtualClock()) == b"x" * 10**6


async def test_a_large_body_takes_its_time() -> None:
    """1 MB over 4G: its last byte is due when the link has carried it."""
    clock = VirtualClock()
    body = carried(b"x" * 10**6, FOUR_G, 80.0, clock)
    assert isinstance(body, CarriedBody)

    arrived = b"".join([piece async for piece in body])

    assert len(arrived) == body.sent_bytes == 10**6
    assert clock.now_ms() == pytest.approx(80 + FOUR_G.ms_until(10**6))


async def test_a_slow_stream_keeps_its_spacing() -> None:
    """Tokens are far slower than the link: nothing is added."""
    clock = VirtualClock()
    source = Source(clock, b"one ", b"two ", b"three")
    body = carried(source, FOUR_G, 0.0, clock)
    assert not isinstance(body, bytes)

    times = [(piece, clock.now_ms()) async for piece in body]

    assert times == [(b"one ", 0), (b"two ", 100), (b"three", 200)]


async def test_closing_closes_the_source() -> None:
    """A viewer that leaves ends the stream behind it."""
    clock = VirtualClock()
    source = Source(clock, b"one")
    body = carried(source, FOUR_G, 0.0, clock)
    assert isinstance(body, CarriedBody)

    await body.aclose()

    assert source.closed
