"""A clock for tests: a wait moves time on instead of passing it."""

from __future__ import annotations


class VirtualClock:
    """Starts at zero and moves only when someone sleeps or `advance_ms` is called."""

    def __init__(self, *, epoch_ms: float = 1_800_000_000_000.0) -> None:
        self._now_ms = 0.0
        self._epoch_ms = epoch_ms

    def now_ms(self) -> float:
        """Virtual milliseconds since the clock was made."""
        return self._now_ms

    def epoch_ms(self) -> float:
        """The virtual date."""
        return self._epoch_ms + self._now_ms

    def advance_ms(self, duration_ms: float) -> None:
        """Move time on."""
        self._now_ms += duration_ms

    async def sleep_until_ms(self, deadline_ms: float) -> None:
        """Move time to the deadline, unless it has passed."""
        self._now_ms = max(self._now_ms, deadline_ms)

    async def sleep_ms(self, duration_ms: float) -> None:
        """Move time on by the duration."""
        self.advance_ms(duration_ms)
