"""The standard access log, in a file: `tail -f .localpop/access.log`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from emulator.clock import Clock
from emulator.rules.access_log import STANDARD_HEADER, standard_line
from emulator.values.access_log import AccessRecord

_FLUSH_EVERY_MS = 500.0


class AccessLogFile:
    """Appends to a file; lines wait in memory for up to half a second, so no request does.

    A line is made when its request has been answered, one at a time: a thread that makes many holds
    Python's lock for milliseconds, and every request waits for it at each of its system calls.

    Args:
        path: The file; its folder must be there.
        clock: When to write.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        is_new = not path.exists() or path.stat().st_size == 0
        self._file: TextIO = path.open("a", encoding="utf-8")
        if is_new:
            self._file.write(STANDARD_HEADER)
        self._lines: list[str] = []
        self._writing: asyncio.Task[None] | None = None
        self._flushing = asyncio.create_task(self._flush())

    def write(self, record: AccessRecord) -> None:
        """Append one record."""
        self._lines.append(standard_line(record))

    async def _flush(self) -> None:
        while True:
            await self._clock.sleep_ms(_FLUSH_EVERY_MS)
            if self._lines:
                lines, self._lines = self._lines, []
                self._writing = asyncio.create_task(asyncio.to_thread(self._append, lines))
                # A thread cannot be cancelled: `close` waits for it.
                await asyncio.shield(self._writing)

    def _append(self, lines: Sequence[str]) -> None:
        self._file.write("".join(lines))
        self._file.flush()

    async def close(self) -> None:
        """Write what is left."""
        self._flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._flushing
        if self._writing is not None:
            await self._writing
        self._append(self._lines)
        self._file.close()
