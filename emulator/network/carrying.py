"""A body on the viewer's link: its bytes arrive no faster than the link carries them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from emulator.clock import Clock
from emulator.network.transfer import Transfer
from emulator.values.messages import Body, close_body

# Small enough for a page to build up on a slow link, large enough to cost little on a fast one.
_PIECE_BYTES: Final = 16 * 1024


def carried(body: Body, transfer: Transfer, first_byte_ms: float, clock: Clock) -> Body:
    """The body as it reaches the viewer.

    A whole body that fits the first flight, and any body on a link that takes no time, stay as they
    are.

    Args:
        body: Whole or streamed.
        transfer: The viewer's link.
        first_byte_ms: When the first byte is due, by the clock.
        clock: Where the waiting is done.
    """
    if transfer.is_instant:
        return body
    if isinstance(body, bytes) and transfer.ms_until(len(body)) == 0:
        return body
    return CarriedBody(body, transfer, first_byte_ms, clock)


class CarriedBody:
    """A body's pieces, each when the link has carried it. Iterate once; close it in any case.

    Args:
        body: Whole or streamed.
        transfer: The viewer's link.
        first_byte_ms: When the first byte is due, by the clock.
        clock: Where the waiting is done.
    """

    __slots__ = ("_body", "_clock", "_first_byte_ms", "_pieces", "_transfer", "sent_bytes")

    def __init__(self, body: Body, transfer: Transfer, first_byte_ms: float, clock: Clock) -> None:
        self._body, self._transfer, self._clock = body, transfer, clock
        self._first_byte_ms = first_byte_ms
        self._pieces = _pieces_of(body)
        self.sent_bytes = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next piece, when the link has carried its last byte."""
        piece = await anext(self._pieces)
        self.sent_bytes += len(piece)
        carried_ms = self._transfer.ms_until(self.sent_bytes)
        if carried_ms:
            await self._clock.sleep_until_ms(self._first_byte_ms + carried_ms)
        return piece

    async def aclose(self) -> None:
        """Whoever sends the rest is told at once."""
        await self._pieces.aclose()
        await close_body(self._body)


async def _pieces_of(body: Body) -> AsyncGenerator[bytes, None]:
    if not isinstance(body, bytes):
        async for piece in body:
            for start in range(0, len(piece), _PIECE_BYTES):
                yield piece[start : start + _PIECE_BYTES]
        return
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]
