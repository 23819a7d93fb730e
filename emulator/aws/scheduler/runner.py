"""What is due when, on a clock that can be moved forward.

The runner fires what became due since it looked last. It begins with the moment it is started: what
was due while localpop was not running is not made up for.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.rules.schedule_expression import Schedule

_FIRINGS_MAX: Final = 10_000
_REST_MAX_S: Final = 3_600.0
_FIRST_YEAR_2200_MS: Final = 7_258_118_400_000.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timed:
    """Something that is due again and again.

    Args:
        key: Unique, such as the schedule's ARN.
        schedule: When.
        anchor_ms: When it began to count, epoch ms.
        fire: Does it; gets the time it was due, epoch ms.
        start_ms: Not due before.
        end_ms: Not due after.
        done: Awaited when it will never be due again.
    """

    key: str
    schedule: Schedule
    anchor_ms: float
    fire: Callable[[float], Awaitable[None]]
    start_ms: float = 0.0
    end_ms: float = _FIRST_YEAR_2200_MS
    done: Callable[[], Awaitable[None]] | None = None

    def next_after(self, moment_ms: float) -> float | None:
        """When it is due next, epoch ms; None when never again."""
        # A start date is itself a time at which it may be due.
        moment_ms = max(moment_ms, self.start_ms - 1)
        due = self.schedule.next_after(_moment(moment_ms), _moment(self.anchor_ms))
        if due is None or due.timestamp() * 1_000 > self.end_ms:
            return None
        return due.timestamp() * 1_000


@dataclass(frozen=True, slots=True)
class Fired:
    """Something that was due.

    Args:
        key: What.
        due_ms: When, epoch ms.
    """

    key: str
    due_ms: float


class Schedules:
    """Fires whatever is due.

    Args:
        clock: The machine's time.
        timed: Everything there is to fire now; asked anew after `changed`.
    """

    def __init__(self, clock: Clock, timed: Callable[[], Sequence[Timed]]) -> None:
        self._clock, self._timed = clock, timed
        self._ahead_ms = 0.0
        self._looked_ms = clock.epoch_ms()
        self._changed = asyncio.Event()
        self._firing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def ahead_ms(self) -> float:
        """How far the schedules' clock is ahead of the machine's."""
        return self._ahead_ms

    def now_ms(self) -> float:
        """The schedules' date, epoch ms."""
        return self._clock.epoch_ms() + self._ahead_ms

    def changed(self) -> None:
        """Something was made, changed or deleted."""
        self._changed.set()

    def start(self) -> None:
        """Begin to fire."""
        self._looked_ms = self.now_ms()
        self._task = asyncio.create_task(self._run(), name="schedules")

    async def close(self) -> None:
        """Stop firing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def advance(self, forward_ms: float) -> list[Fired]:
        """Move the schedules' clock forward and fire what is due on the way, in order.

        Raises:
            ApiError: 400; it would fire more than 10,000 times, so nothing has moved.
        """
        async with self._firing:
            target_ms = self.now_ms() + forward_ms
            self._require_bounded(target_ms)
            self._ahead_ms += forward_ms
            fired = await self._fire_until(target_ms)
        self.changed()
        return fired

    async def fire_due(self) -> list[Fired]:
        """Fire what is due by now."""
        async with self._firing:
            return await self._fire_until(self.now_ms())

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self.fire_due()
                rest_s = self._rest_s()
            except Exception:
                _log.exception("the schedules failed")
                rest_s = 1.0
            try:
                async with asyncio.timeout(rest_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _rest_s(self) -> float | None:
        """Until something is due; None when nothing is."""
        dues = [due for one in self._timed() if (due := one.next_after(self._looked_ms))]
        if not dues:
            return None
        return min(_REST_MAX_S, max(0.0, (min(dues) - self.now_ms()) / 1_000) + 0.001)

    def _require_bounded(self, until_ms: float) -> None:
        count = 0
        for one in self._timed():
            due = one.next_after(self._looked_ms)
            while due is not None and due <= until_ms:
                count += 1
                if count > _FIRINGS_MAX:
                    raise ApiError(
                        400,
                        "ValidationException",
                        f"More than {_FIRINGS_MAX} schedules would fire on the way. Move the clock "
                        "in smaller steps.",
                    )
                due = one.next_after(due)

    async def _fire_until(self, until_ms: float) -> list[Fired]:
        known: Mapping[str, Timed] = {one.key: one for one in self._timed()}
        heap = [
            (due, key)
            for key, one in known.items()
            if (due := one.next_after(self._looked_ms)) is not None
        ]
        heapq.heapify(heap)
        fired: list[Fired] = []
        while heap and heap[0][0] <= until_ms:
            due_ms, key = heapq.heappop(heap)
            one = known[key]
            try:
                await one.fire(due_ms)
            except Exception:
                _log.exception("%s failed to fire", key)
            fired.append(Fired(key, due_ms))
            following = one.next_after(due_ms)
            if following is not None:
                heapq.heappush(heap, (following, key))
            elif one.done is not None:
                await one.done()
        self._looked_ms = max(self._looked_ms, until_ms)
        return fired


def _moment(epoch_ms: float) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1_000, UTC)
