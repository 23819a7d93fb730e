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


async def test_many_waits_at_once_all_end_and_none_too_early() -> None:
    """One spin serves them all: streams beside requests, on one deadline or on many."""
    clock = RealClock()
    early: list[float] = []

    async def wait(duration_ms: float) -> None:
        deadline_ms = clock.now_ms() + duration_ms
        await clock.sleep_until_ms(deadline_ms)
        if clock.now_ms() < deadline_ms:
            early.append(duration_ms)

    await asyncio.gather(*(wait(0.1 * (number % 97)) for number in range(400)))

    assert early == []


async def test_an_earlier_deadline_overtakes_one_that_is_being_spun_for() -> None:
    """The spin always looks at the earliest one."""
    clock = RealClock()
    ended: list[str] = []

    async def wait(name: str, deadline_ms: float) -> None:
        await clock.sleep_until_ms(deadline_ms)
        ended.append(name)

    was_in_time = False
    while not was_in_time:
        ended.clear()
        now_ms = clock.now_ms()
        late = asyncio.create_task(wait("late", now_ms + 5))
        await clock.sleep_until_ms(now_ms + 4.9)
        others = [
            asyncio.create_task(wait("long past", now_ms)),
            asyncio.create_task(wait("soon", now_ms + 4.95)),
        ]
        # Both have asked by the next turn of the loop. On a machine that has stalled since, the
        # first one's time was over by then: once more.
        await asyncio.wait(others, timeout=0)
        was_in_time = clock.now_ms() < now_ms + 5
        await asyncio.gather(late, *others)

    assert ended.index("long past") < ended.index("late")
    assert sorted(ended) == ["late", "long past", "soon"]


async def test_a_cancelled_earliest_wait_holds_up_nobody() -> None:
    """What is left of it in the heap is passed over."""
    clock = RealClock()
    leavers = [asyncio.create_task(clock.sleep_ms(2 + number)) for number in range(20)]
    stayer = asyncio.create_task(clock.sleep_ms(30))
    await clock.sleep_ms(0.5)
    for leaver in leavers:
        leaver.cancel()

    await asyncio.wait_for(stayer, 5)
