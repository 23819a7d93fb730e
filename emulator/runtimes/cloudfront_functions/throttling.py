"""When CloudFront stops running a function for a while: `FunctionThrottledError`.

AWS ("Viewing CloudFront and edge function metrics", read 2026-11-20) names the reasons: over the
time limit again and again, and compile errors; no number is given. On real CloudFront a throttled
function stayed so for 5 to 15 minutes after its mended code was published
(facts/cloudfront-functions.md 5.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emulator.clock import Clock

FAILURES_IN_A_ROW: Final = 10
"""Ours: "continuously" has no number."""
PAUSE_MS: Final = 1_000.0
"""Ours: how long a throttled function is left alone before one call may try it again."""


@dataclass(slots=True)
class _State:
    failures: int = 0
    throttled_until_ms: float = float("-inf")


class Throttle:
    """Remembers, for each key, how its last runs went.

    Args:
        clock: The engine's.
        pause_ms: How long a function is left alone.
    """

    def __init__(self, clock: Clock, pause_ms: float = PAUSE_MS) -> None:
        self._clock = clock
        self._pause_ms = pause_ms
        self._states: dict[str, _State] = {}

    def is_closed(self, key: str) -> bool:
        """Whether the function may not run now."""
        state = self._states.get(key)
        return state is not None and self._clock.now_ms() < state.throttled_until_ms

    def record(self, key: str, *, failed: bool) -> None:
        """Note a run; a good one clears the record."""
        if not failed:
            self._states.pop(key, None)
            return
        state = self._states.setdefault(key, _State())
        state.failures += 1
        if state.failures >= FAILURES_IN_A_ROW:
            state.throttled_until_ms = self._clock.now_ms() + self._pause_ms

    def forget(self, key: str) -> None:
        """The function is gone."""
        self._states.pop(key, None)
