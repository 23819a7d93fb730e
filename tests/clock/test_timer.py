"""The real clock's waits, and the virtual clock's."""

from __future__ import annotations

import asyncio

import pytest

from emulator.clock.real import RealClock
from emulator.clock.virtual import VirtualClock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("duration_ms", [0.2, 1.0, 7.5, 30.0, 260.0])
async def test_a_wait_never_ends_early(duration_ms: float) -> None:
    """Simulated latency may be late on a busy machine, but never early."""
    clock = RealClock()
    deadline_ms = clock.now_ms() + duration_ms

    await clock.sleep_until_ms(deadline_ms)

    assert clock.now_ms() >= deadline_ms


async def test_waits_end_in_the_order_of_their_deadlines() -> None:
    """A later call with an earlier deadline overtakes."""
    clock = RealClock()
    ended: list[int] = []

    async def wait(duration_ms: int) -> None:
        await clock.sleep_ms(duration_ms)
        ended.append(duration_ms)

    await asyncio.gather(*(wait(duration) for duration in (60, 20, 40)))

    assert ended == [20, 40, 60]


async def test_a_passed_deadline_returns_at_once() -> None:
    """Nothing waits for the past."""
    clock = RealClock()

    await clock.sleep_until_ms(clock.now_ms() - 1_000)


async def test_a_cancelled_wait_disturbs_no_other() -> None:
    """A viewer that leaves takes only its own deadline with it."""
    clock = RealClock()
    leaver = asyncio.create_task(clock.sleep_ms(20))
    stayer = asyncio.create_task(clock.sleep_ms(40))
    await clock.sleep_ms(1)

    leaver.cancel()
    await stayer

    assert leaver.cancelled()


def test_one_clock_serves_several_event_loops() -> None:
    """The timer follows to the loop that runs now."""
    clock = RealClock()

    for _ in range(2):
        asyncio.run(clock.sleep_ms(1))


async def test_a_virtual_wait_moves_time_on_without_passing_it() -> None:
    """An hour is over at once."""
    clock = VirtualClock()
    before_ms = clock.epoch_ms()

    await clock.sleep_ms(3_600_000)

    assert clock.epoch_ms() - before_ms == 3_600_000
