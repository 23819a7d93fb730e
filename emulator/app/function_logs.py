"""The logs of edge functions: the newest lines, for the dashboard and `localpop logs`.

Lambda@Edge's lines come from its runtime with START, END and REPORT. A CloudFront Function's are
written here, each behind the request's id (facts/cloudfront-functions.md 7).
"""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from emulator.clock import Clock
from emulator.errors import EdgeFunctionError
from emulator.values.function_logs import FunctionLogLine
from emulator.values.functions import FunctionEvent, FunctionRun
from emulator.values.key_values import StoreSnapshot

_LINES_KEPT: Final = 20_000


class LoadedFunction(Protocol):
    """A CloudFront Function that can run."""

    async def run(self, event: FunctionEvent, snapshot: StoreSnapshot | None) -> FunctionRun:
        """Run it for an event."""
        ...


class FunctionLogs:
    """The newest lines of all functions, numbered from 1 on.

    Args:
        clock: Dates the lines of CloudFront Functions.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: deque[tuple[int, FunctionLogLine]] = deque(maxlen=_LINES_KEPT)
        self._count = 0
        self._stream_id = uuid.uuid4()

    def add(self, line: FunctionLogLine) -> None:
        """Keep one more line; the oldest makes room."""
        self._count += 1
        self._lines.append((self._count, line))

    def lines(
        self, *, after: int, count: int, function: str = ""
    ) -> list[tuple[int, FunctionLogLine]]:
        """Lines with their numbers, oldest first: the newest `count` of those behind `after`."""
        found: list[tuple[int, FunctionLogLine]] = []
        for number, line in reversed(self._lines):
            if number <= after or len(found) >= count:
                break
            if function in ("", line.function):
                found.append((number, line))
        return found[::-1]

    def logged(self, name: str, loaded: LoadedFunction) -> LoadedFunction:
        """A CloudFront Function whose lines are kept."""
        return _Logged(name, loaded, self)

    def add_run(self, name: str, event: FunctionEvent, lines: tuple[str, ...]) -> None:
        """Keep what one run of a CloudFront Function wrote; no line at all when it wrote nothing.

        AWS: "Edge function logs", DG edge-functions-logs, read 2026-11-20.
        """
        if not lines:
            return
        epoch_ms = self._clock.epoch_ms()
        day = datetime.fromtimestamp(epoch_ms / 1000, UTC)
        group = f"/aws/cloudfront/function/{name}"
        stream = f"{day.year}/{day.month}/{day.day}/{self._stream_id}"
        for line in (f"START DistributionID: {event.distribution_id}", *lines, "END"):
            message = f"{event.request_id} {line}"
            self.add(FunctionLogLine(group, stream, "us-east-1", epoch_ms, message, name))


@dataclass(frozen=True, slots=True)
class _Logged:
    name: str
    loaded: LoadedFunction
    logs: FunctionLogs

    async def run(self, event: FunctionEvent, snapshot: StoreSnapshot | None) -> FunctionRun:
        try:
            run = await self.loaded.run(event, snapshot)
        except EdgeFunctionError as error:
            self.logs.add_run(self.name, event, error.logs)
            raise
        self.logs.add_run(self.name, event, run.logs)
        return run
