"""Bodies on their way: shared by several viewers, kept when complete, compressed as they pass."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Final

from emulator.clock import Clock
from emulator.edge.journey import Journey
from emulator.errors import LocalpopError, OriginError, OriginFailure
from emulator.rules.compression import Format, StreamCompressor
from emulator.values.messages import close_body

# What is held for readers once an object is too large to be kept: reading waits beyond it.
_WINDOW_BYTES: Final = 1024 * 1024


class SharedBody:
    """One body that several viewers read while it arrives, and that is kept when it is whole.

    A task of its own reads the source, so a slow reader holds nobody up, until the body turns out
    too large to be kept; from then on only a window of it is held, and the slowest reader sets the
    pace. When the last reader leaves before the end, the source is closed.

    Args:
        source: The body.
        clock: Tells when each piece came.
        limit_bytes: The largest body that is kept.
        finished: Called once with the whole body, or with None when it is not to be kept.
    """

    def __init__(
        self,
        source: AsyncIterable[bytes],
        clock: Clock,
        limit_bytes: int,
        finished: Callable[[bytes | None], None],
    ) -> None:
        self._source, self.clock, self._limit_bytes = source, clock, limit_bytes
        self._finished: Callable[[bytes | None], None] | None = finished
        self._pieces: list[tuple[float, bytes]] = []
        self._dropped = 0
        self._held_bytes = 0
        self._complete = False
        self._too_large = False
        self._failure: LocalpopError | None = None
        self._readers: set[SharedReader] = set()
        self._changed = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    def open(self, shift_ms: float, journey: Journey) -> SharedReader:
        """A reader of the whole body; pieces come `shift_ms` after they arrived, or joined.

        A body that is too large to be kept has no beginning any more for those who come late.
        """
        reader = SharedReader(self, shift_ms, self.clock.now_ms(), journey)
        self._readers.add(reader)
        if self._pump is None:
            self._pump = asyncio.create_task(self._read())
        return reader

    @property
    def is_joinable(self) -> bool:
        """Whether a new reader still gets everything."""
        return not self._dropped and self._failure is None

    @property
    def is_finished(self) -> bool:
        """Whether it was told already what became of it."""
        return self._finished is None

    async def _read(self) -> None:
        try:
            async for piece in self._source:
                self._pieces.append((self.clock.now_ms(), piece))
                self._held_bytes += len(piece)
                self._wake()
                if self._held_bytes > self._limit_bytes:
                    self._too_large = True
                    self._tell(None)
                if self._too_large:
                    await self._make_room()
            self._complete = True
            if not self._too_large:
                self._tell(b"".join(piece for _, piece in self._pieces))
        except LocalpopError as error:
            self._failure = error
        finally:
            self._tell(None)
            self._wake()
            with contextlib.suppress(LocalpopError):
                await close_body(self._source)

    async def _make_room(self) -> None:
        """Drop what every reader has had; wait while the slowest one is too far behind."""
        while True:
            had = min((reader.position for reader in self._readers), default=self._dropped)
            gone = self._pieces[: had - self._dropped]
            self._held_bytes -= sum(len(piece) for _, piece in gone)
            del self._pieces[: len(gone)]
            self._dropped += len(gone)
            if self._held_bytes <= _WINDOW_BYTES:
                return
            self._changed.clear()
            await self._changed.wait()

    def _tell(self, body: bytes | None) -> None:
        if self._finished is not None:
            finished, self._finished = self._finished, None
            finished(body)

    def _wake(self) -> None:
        self._changed.set()

    async def piece(self, position: int) -> tuple[float, bytes] | None:
        """The piece at a position, once it is here; None behind the last one.

        Raises:
            OriginError: The body broke off.
        """
        while position >= self._dropped + len(self._pieces):
            if self._failure is not None:
                raise self._failure
            if self._complete:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._pieces[position - self._dropped]

    def moved(self) -> None:
        """A reader has had another piece."""
        if self._too_large:
            self._wake()

    def left(self, reader: SharedReader) -> None:
        """A reader needs no more."""
        self._readers.discard(reader)
        if not self._readers and not self._complete and self._pump is not None:
            # Nobody is left to deliver to, so it is not cached either (facts/cloudfront.md 10.5).
            self._failure = OriginError(OriginFailure.READ, "its last viewer left")
            self._tell(None)
            self._pump.cancel()
        elif self._too_large:
            self._wake()


class SharedReader:
    """One viewer's way through a `SharedBody`; close it in any case."""

    def __init__(
        self, shared: SharedBody, shift_ms: float, joined_ms: float, journey: Journey
    ) -> None:
        self._shared, self._shift_ms, self._joined_ms = shared, shift_ms, joined_ms
        self._journey = journey
        self.position = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next piece, when it is due at this viewer.

        Raises:
            OriginError: The body broke off; the viewer's connection is cut.
        """
        try:
            found = await self._shared.piece(self.position)
        except OriginError as error:
            self._journey.failure = str(error)
            raise
        if found is None:
            raise StopAsyncIteration
        arrived_ms, piece = found
        self.position += 1
        self._shared.moved()
        due_ms = max(arrived_ms, self._joined_ms) + self._shift_ms
        await self._shared.clock.sleep_until_ms(due_ms)
        return piece

    async def aclose(self) -> None:
        """Leave; the last reader to leave early ends the reading."""
        self._shared.left(self)


class CompressedBody:
    """A body compressed as it passes, piece by piece."""

    def __init__(self, source: AsyncIterable[bytes], chosen: Format) -> None:
        self._source = source
        self._pieces = aiter(source)
        self._compressor = StreamCompressor(chosen)
        self._ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next compressed piece."""
        while not self._ended:
            try:
                piece = await anext(self._pieces)
            except StopAsyncIteration:
                self._ended = True
                return self._compressor.finish()
            compressed = self._compressor.feed(piece)
            if compressed:
                return compressed
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close what it reads from."""
        await close_body(self._source)
