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
    """Appends to a file; records wait in memory for up to half a second, so no request does.

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
        self._records: list[AccessRecord] = []
        self._writing: asyncio.Task[None] | None = None
        self._flushing = asyncio.create_task(self._flush())

    def write(self, record: AccessRecord) -> None:
        """Append one record."""
        self._records.append(record)

    async def _flush(self) -> None:
        while True:
            await self._clock.sleep_ms(_FLUSH_EVERY_MS)
            if self._records:
                records, self._records = self._records, []
                self._writing = asyncio.create_task(asyncio.to_thread(self._append, records))
                # A thread cannot be cancelled: `close` waits for it.
                await asyncio.shield(self._writing)

    def _append(self, records: Sequence[AccessRecord]) -> None:
        self._file.writelines(map(standard_line, records))
        self._file.flush()

    async def close(self) -> None:
        """Write what is left."""
        self._flushing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._flushing
        if self._writing is not None:
            await self._writing
        self._append(self._records)
        self._file.close()
