"""What a function wrote, and the lines that Lambda writes around it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from datetime import UTC, datetime
from typing import Final

# A handler may print for ever; one invocation keeps this much and counts the rest.
LOG_MAX_BYTES: Final = 1_048_576
_READ_BYTES: Final = 65_536


class LogPipe:
    """The pipe behind a sandbox's stdout and stderr: emptied as it fills, handed out per run."""

    def __init__(self, fd: int, loop: asyncio.AbstractEventLoop) -> None:
        self._fd, self._loop = fd, loop
        self._kept = bytearray()
        self._dropped_bytes = 0
        self._open = True
        loop.add_reader(fd, self._read_once)

    def take(self) -> list[str]:
        """Every line written so far; the next call begins after them."""
        while self._open and self._read_once():
            pass
        if not self._kept:
            return []
        lines = self._kept.decode(errors="replace").splitlines()
        if self._dropped_bytes:
            lines.append(f"[localpop] {self._dropped_bytes} bytes more were written and left out.")
        self._kept.clear()
        self._dropped_bytes = 0
        return lines

    def close(self) -> None:
        """Stop reading."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._fd)
            os.close(self._fd)

    def _read_once(self) -> bool:
        try:
            piece = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""
        if not piece:
            # Closed by the other side; reading on would wake the loop for ever.
            with contextlib.suppress(OSError):
                self._loop.remove_reader(self._fd)
            return False
        room = LOG_MAX_BYTES - len(self._kept)
        self._kept += piece[:room]
        self._dropped_bytes += max(0, len(piece) - room)
        return True


def start_line(request_id: str, version: str) -> str:
    """Lambda's line before an invocation."""
    return f"START RequestId: {request_id} Version: {version}"


def end_line(request_id: str) -> str:
    """Lambda's line after an invocation."""
    return f"END RequestId: {request_id}"


def report_line(
    request_id: str,
    *,
    duration_ms: float,
    memory_mb: int,
    max_memory_mb: int,
    init_ms: float = 0.0,
    status: str = "",
) -> str:
    """Lambda's account of an invocation; billed in whole milliseconds."""
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {duration_ms:.2f} ms",
        f"Billed Duration: {math.ceil(duration_ms)} ms",
        f"Memory Size: {memory_mb} MB",
        f"Max Memory Used: {max_memory_mb} MB",
    ]
    if init_ms:
        fields.append(f"Init Duration: {init_ms:.2f} ms")
    if status:
        fields.append(f"Status: {status}")
    return "\t".join(fields)


def timestamp(epoch_ms: float) -> str:
    """Such as `2026-11-21T10:00:00.000Z`."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
