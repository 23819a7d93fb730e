"""Retries, dead letters and lanes, on a clock that waits for nothing."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from emulator.aws.events.delivery import Deliveries, Delivery, DeliveryError
from emulator.clock.virtual import VirtualClock
from emulator.errors import ApiError, NotEmulated
from emulator.stores.journal import Journal

DEAD = "arn:aws:sqs:us-east-1:123456789012:dead"


class World:
    """Deliveries whose targets do what the test says."""

    def __init__(
        self,
        outcomes: Mapping[str, list[Exception | None]] | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.outcomes = {arn: list(found) for arn, found in (outcomes or {}).items()}
        self.tried: list[tuple[str, float]] = []
        self.buried: list[tuple[str, str, dict[str, str]]] = []
        self.gate: asyncio.Event | None = None
        self.deliveries = Deliveries(self.clock, self._send, self._bury, journal, random.Random(0))

    async def _send(self, delivery: Delivery) -> None:
        arn = delivery.target["Arn"]
        self.tried.append((delivery.id, self.clock.now_ms()))
        if self.gate is not None and arn == "slow":
            await self.gate.wait()
        outcomes = self.outcomes.get(arn)
        problem = outcomes.pop(0) if outcomes else None
        if problem is not None:
            raise problem

    async def _bury(self, queue: str, body: str, attributes: Mapping[str, str]) -> None:
        self.buried.append((queue, body, dict(attributes)))

    def submit(self, name: str, arn: str = "good", **target: Any) -> None:
        """Begin a delivery."""
        full = {"Id": "t", "Arn": arn, **target}
        self.deliveries.submit(Delivery(name, "rule", full, "text", "event", self.clock.epoch_ms()))

    async def until_quiet(self) -> None:
        """Wait until nothing is under way, retries included."""
        for _ in range(10_000):
            if not self.deliveries.pending:
                return
            await checkpoint()
        raise AssertionError(self.deliveries.pending)


THROTTLED = ApiError(429, "ThrottlingException", "slower")
BROKEN = ApiError(500, "InternalFailure", "broken")


@pytest.mark.anyio
async def test_a_failure_is_retried_with_growing_pauses() -> None:
    """Until it works; each pause is about twice the one before."""
    world = World({"shaky": [THROTTLED, BROKEN, BROKEN, None]})
    world.submit("a", "shaky")
    await world.until_quiet()
    times = [time for _, time in world.tried]
    pauses = [after - before for before, after in itertools.pairwise(times)]

    assert [name for name, _ in world.tried] == ["a"] * 4
    assert 250 <= pauses[0] <= 500 <= pauses[1] <= 1_000 <= pauses[2] <= 2_000
    assert world.deliveries.tally.delivered == 1
    assert world.buried == []


@pytest.mark.anyio
async def test_after_the_last_attempt_it_is_a_dead_letter() -> None:
    """With how often it was tried, and which limit ended it."""
    world = World({"down": [BROKEN] * 9})
    policy = {"MaximumRetryAttempts": 2}
    world.submit("a", "down", RetryPolicy=policy, DeadLetterConfig={"Arn": DEAD})
    await world.until_quiet()

    assert len(world.tried) == 3
    assert world.buried == [
        (
            DEAD,
            "event",
            {
                "RULE_ARN": "rule",
                "TARGET_ARN": "down",
                "ERROR_CODE": "INTERNAL_ERROR",
                "ERROR_MESSAGE": "broken",
                "RETRY_ATTEMPTS": "2",
                "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
            },
        )
    ]


@pytest.mark.anyio
async def test_an_event_grows_too_old() -> None:
    """MaximumEventAgeInSeconds ends the retries, too."""
    world = World({"down": [THROTTLED] * 99})
    policy = {"MaximumEventAgeInSeconds": 60}
    world.submit("a", "down", RetryPolicy=policy, DeadLetterConfig={"Arn": DEAD})
    await world.until_quiet()

    assert world.buried[0][2]["EXHAUSTED_RETRY_CONDITION"] == "MaximumEventAgeInSeconds"
    assert 60_000 <= world.tried[-1][1] <= 120_000


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("problem", "code"),
    [
        pytest.param(ApiError(404, "ResourceNotFoundException", "x"), "NO_RESOURCE", id="gone"),
        pytest.param(ApiError(400, "QueueDoesNotExist", "x"), "NO_RESOURCE", id="no queue"),
        pytest.param(ApiError(400, "ValidationException", "x"), "INVALID_PARAMETER", id="bad"),
        pytest.param(NotEmulated("that"), "NOT_EMULATED", id="nobody can"),
        pytest.param(DeliveryError("INVALID_JSON", "x", retry=False), "INVALID_JSON", id="json"),
    ],
)
async def test_what_cannot_get_better_is_not_retried(problem: Exception, code: str) -> None:
    """It is a dead letter at once."""
    world = World({"bad": [problem, None]})
    world.submit("a", "bad", DeadLetterConfig={"Arn": DEAD})
    await world.until_quiet()

    assert len(world.tried) == 1
    assert world.buried[0][2]["ERROR_CODE"] == code
    assert "RETRY_ATTEMPTS" not in world.buried[0][2]


@pytest.mark.anyio
async def test_without_a_dead_letter_queue_it_is_counted() -> None:
    """Dropped, as at AWS, and said in the log."""
    world = World({"bad": [ApiError(400, "ValidationException", "x")]})
    world.submit("a", "bad")
    await world.until_quiet()

    assert world.deliveries.tally.dropped == 1


@pytest.mark.anyio
async def test_a_slow_target_delays_no_other() -> None:
    """A hundred deliveries wait for it; another target has its own lane."""
    world = World()
    world.gate = asyncio.Event()
    for number in range(100):
        world.submit(f"slow-{number}", "slow")
    world.submit("good")
    for _ in range(100):
        await checkpoint()
    delivered = world.deliveries.tally.delivered
    world.gate.set()
    await world.until_quiet()

    assert delivered == 1
    assert world.deliveries.tally.delivered == 101


@pytest.mark.anyio
async def test_there_is_an_end_to_what_can_wait() -> None:
    """PutEvents is told before anything is lost."""
    world = World()
    world.gate = asyncio.Event()
    for number in range(20_000):
        world.submit(f"slow-{number}", "slow")

    assert not world.deliveries.has_room()
    world.gate.set()
    await world.until_quiet()
    assert world.deliveries.has_room()


@pytest.mark.anyio
async def test_what_waits_at_the_end_goes_on_at_the_next_start(tmp_path: Path) -> None:
    """Nothing is lost, nothing done twice."""
    journal = Journal.open(tmp_path / "journal")
    world = World({"down": [BROKEN] * 9}, journal)
    world.gate = asyncio.Event()
    for number in range(70):
        world.submit(f"slow-{number}", "slow")
    closing = asyncio.create_task(world.deliveries.close())
    await checkpoint()
    await checkpoint()
    world.gate.set()
    await closing
    journal.close()
    again = Journal.open(tmp_path / "journal")
    left = len(again.all())
    following = World(journal=again)
    following.deliveries.resume()
    await following.until_quiet()
    again.close()
    names = {name for name, _ in world.tried} | {name for name, _ in following.tried}

    assert left == 6
    assert world.deliveries.tally.delivered + left == 70
    assert following.deliveries.tally.delivered == left
    assert len(names) == 70
    assert again.all() == {}


@pytest.mark.anyio
async def test_a_reset_forgets_what_waits(tmp_path: Path) -> None:
    """And what rests between two attempts; the next start finds nothing."""
    journal = Journal.open(tmp_path / "journal")
    world = World(journal=journal)
    world.gate = asyncio.Event()
    for number in range(70):
        world.submit(f"slow-{number}", "slow")
    await checkpoint()
    world.deliveries.clear()
    world.gate.set()
    await world.until_quiet()
    journal.close()

    assert len(world.tried) == 64
    assert journal.all() == {}
