"""What is due when, on a clock that waits for nothing."""

from __future__ import annotations

import pytest

from emulator.aws.scheduler.runner import Schedules, Timed
from emulator.clock.virtual import VirtualClock
from emulator.errors import ApiError
from emulator.rules.schedule_expression import parse_schedule

HOUR_MS = 3_600_000.0


class World:
    """Schedules that write down when they fired."""

    def __init__(self) -> None:
        # 2027-01-15 08:00 UTC, a Friday.
        self.clock = VirtualClock(epoch_ms=1_800_000_000_000.0)
        self.timed: list[Timed] = []
        self.seen: list[tuple[str, float]] = []
        self.ended: list[str] = []
        self.schedules = Schedules(self.clock, lambda: self.timed)

    def add(self, key: str, expression: str, *, fails: bool = False, end_h: float = 1e5) -> None:
        """Something to fire."""
        began_ms = self.clock.epoch_ms()

        async def fire(due_ms: float) -> None:
            self.seen.append((key, (due_ms - began_ms) / HOUR_MS))
            if fails:
                raise ValueError(key)

        async def done() -> None:
            self.ended.append(key)

        schedule = parse_schedule(expression)
        end_ms = began_ms + end_h * HOUR_MS
        self.timed.append(Timed(key, schedule, began_ms, fire, began_ms + 1, end_ms, done))


@pytest.mark.anyio
async def test_what_is_due_fires_in_order() -> None:
    """Several schedules, one line of time; nothing fires twice."""
    world = World()
    world.add("two", "rate(2 hours)")
    world.add("three", "rate(3 hours)")
    await world.schedules.advance(5 * HOUR_MS)
    await world.schedules.advance(0.5 * HOUR_MS)
    await world.schedules.advance(0.5 * HOUR_MS)

    assert world.seen == [("two", 2), ("three", 3), ("two", 4), ("three", 6), ("two", 6)]


@pytest.mark.anyio
async def test_time_that_passes_by_itself_counts() -> None:
    """The machine's clock moves on, and the schedules' with it."""
    world = World()
    world.add("one", "rate(1 hour)")
    await world.schedules.advance(1.5 * HOUR_MS)
    world.clock.advance_ms(1.5 * HOUR_MS)
    fired = await world.schedules.fire_due()

    assert [(one.key, one.due_ms) for one in fired] == [
        ("one", 1_800_000_000_000.0 + number * HOUR_MS) for number in (2, 3)
    ]
    assert world.schedules.now_ms() == 1_800_000_000_000.0 + 3 * HOUR_MS


@pytest.mark.anyio
async def test_one_that_fails_stops_no_other() -> None:
    """Nor itself, the next time."""
    world = World()
    world.add("broken", "rate(1 hour)", fails=True)
    world.add("sound", "rate(1 hour)")
    await world.schedules.advance(2 * HOUR_MS)

    assert [key for key, _ in world.seen] == ["broken", "sound"] * 2


@pytest.mark.anyio
async def test_the_last_time_is_told() -> None:
    """At the end date, and after at()."""
    world = World()
    world.add("bounded", "rate(1 hour)", end_h=2.5)
    world.add("once", "at(2027-01-15T09:30:00)")
    await world.schedules.advance(10 * HOUR_MS)

    assert world.seen == [("bounded", 1), ("once", 1.5), ("bounded", 2)]
    assert world.ended == ["once", "bounded"]


@pytest.mark.anyio
async def test_too_much_at_once_is_refused() -> None:
    """Before anything has moved."""
    world = World()
    world.add("often", "rate(1 minute)")
    with pytest.raises(ApiError, match="smaller steps"):
        await world.schedules.advance(200 * HOUR_MS)

    assert world.seen == []
    assert world.schedules.ahead_ms == 0
