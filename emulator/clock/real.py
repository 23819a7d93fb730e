"""The machine's own clock, with waits that end on time."""

from __future__ import annotations

import time

from emulator.clock.timer import DeadlineTimer


class RealClock:
    """Monotonic time from the machine; waits through a `DeadlineTimer`."""

    def __init__(self) -> None:
        self._timer = DeadlineTimer()

    def now_ms(self) -> float:
        """Monotonic milliseconds."""
        return time.perf_counter_ns() / 1e6

    def epoch_ms(self) -> float:
        """Milliseconds since 1970-01-01 UTC."""
        return time.time_ns() / 1e6

    async def sleep_until_ms(self, deadline_ms: float) -> None:
        """Return when the deadline has been reached, never before it."""
        if deadline_ms > self.now_ms():
            await self._timer.wait_until_ms(deadline_ms)

    async def sleep_ms(self, duration_ms: float) -> None:
        """Return after this many milliseconds."""
        await self.sleep_until_ms(self.now_ms() + duration_ms)
