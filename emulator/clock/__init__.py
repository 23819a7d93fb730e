"""Time as an argument.

Everything that needs the time, or needs to wait, is handed a `Clock`. The real one holds a
deadline to a fraction of a millisecond (`timer.py` tells how); the virtual one waits for nothing.
Chance is handed in the same way, as a seeded `random.Random`.
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """What a stage may know about time. All values are milliseconds."""

    def now_ms(self) -> float:
        """Monotonic milliseconds; only differences mean anything."""
        ...

    def epoch_ms(self) -> float:
        """Milliseconds since 1970-01-01 UTC."""
        ...

    async def sleep_until_ms(self, deadline_ms: float) -> None:
        """Return when `now_ms()` has reached the deadline; at once if it has passed."""
        ...

    async def sleep_ms(self, duration_ms: float) -> None:
        """Return after this many milliseconds."""
        ...
