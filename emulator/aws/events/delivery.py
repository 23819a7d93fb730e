"""Bringing events to their targets: retried, then dead letters; nobody waits for anybody.

AWS: "Event retry policy and using dead-letter queues",
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html and eb-rule-retry-policy,
read 2026-11-21. The spacing of retries is not documented beyond "exponential back off and jitter";
ours begins at half a second and doubles up to ten minutes.

Each target has a lane of its own, so that a slow or failing one delays no other. The lanes hold a
bounded number of deliveries together; beyond it `has_room` says no, and PutEvents refuses entries
as AWS does when it throttles. A journal keeps every delivery until its end, so that the next start
goes on with what an end or a kill has interrupted: at least once, as at AWS.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from emulator import quotas
from emulator.clock import Clock
from emulator.errors import ApiError, NotEmulated
from emulator.stores.journal import Journal

_KEY: Final = "delivery "
_PENDING_MAX: Final = 20_000
_AT_ONCE_PER_TARGET: Final = 64
_BACK_OFF_MS: Final = 500.0
_BACK_OFF_MAX_MS: Final = 600_000.0
_CLOSING_PATIENCE_S: Final = 5.0

_log = logging.getLogger(__name__)


class DeliveryError(Exception):
    """A target did not take an event.

    Args:
        code: As the dead letter's ERROR_CODE has it.
        message: As its ERROR_MESSAGE has it.
        retry: Whether another attempt may help.
    """

    def __init__(self, code: str, message: str, *, retry: bool) -> None:
        self.code, self.message, self.retry = code, message, retry
        super().__init__(f"{code}: {message}")


@dataclass(slots=True)
class Delivery:
    """One event on its way to one target.

    Args:
        id: Unique; a retry has the same.
        source_arn: The rule or schedule that sends it.
        target: As PutTargets has it.
        text: What the target gets.
        event: The event itself, for the dead letter.
        began_ms: When it was accepted, epoch ms.
        attempts: How often it has been tried.
        hops: How many buses it has come through.
        source_kind: `RULE_ARN` or `SCHEDULE_ARN`, for the dead letter.
    """

    id: str
    source_arn: str
    target: Mapping[str, Any]
    text: str
    event: str
    began_ms: float
    attempts: int = 0
    hops: int = 0
    source_kind: str = "RULE_ARN"

    @property
    def lane(self) -> str:
        """What must not wait for anything else."""
        return f"{self.source_arn} {self.target.get('Id', '')} {self.target['Arn']}"

    def dump(self) -> dict[str, Any]:
        """Its members, as JSON has them; `dataclasses.asdict` would copy the target as well."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class _Lane:
    waiting: deque[Delivery] = field(default_factory=deque)
    running: int = 0


@dataclass(slots=True)
class Tally:
    """What became of deliveries so far."""

    delivered: int = 0
    retried: int = 0
    dead_letters: int = 0
    dropped: int = 0


class Deliveries:
    """Every delivery under way.

    Args:
        clock: Waits between attempts.
        send: Brings an event to its target; raises `DeliveryError`.
        bury: Sends a dead letter: queue ARN, body, attributes.
        journal: Keeps what is under way; None: nothing does.
        chance: Jitter.
    """

    def __init__(
        self,
        clock: Clock,
        send: Callable[[Delivery], Awaitable[None]],
        bury: Callable[[str, str, Mapping[str, str]], Awaitable[None]],
        journal: Journal | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._clock, self._send, self._bury, self._journal = clock, send, bury, journal
        self._chance = chance or random.Random()
        self._lanes: dict[str, _Lane] = {}
        self._resting: dict[str, Delivery] = {}
        self._running: dict[str, Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._waiting = 0
        self.tally = Tally()

    @property
    def pending(self) -> int:
        """How many have not come to their end."""
        return self._waiting + len(self._running) + len(self._resting)

    def has_room(self, count: int = 1) -> bool:
        """Whether so many more can be taken."""
        return self.pending + count <= _PENDING_MAX and not self._closing

    def submit(self, delivery: Delivery) -> None:
        """Begin; returns at once."""
        if self._journal is not None:
            self._journal.put(f"{_KEY}{delivery.id}", delivery.dump())
        lane = self._lanes.setdefault(delivery.lane, _Lane())
        lane.waiting.append(delivery)
        self._waiting += 1
        self._pump(delivery.lane)

    async def settle(self) -> None:
        """Wait until nothing is running or waiting; retries that rest are not waited for."""
        while self._running or self._waiting:
            tasks = [task for task in self._tasks if not task.done()]
            if not tasks:
                return
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=1.0)

    async def close(self) -> None:
        """End: attempts under way may finish; all the rest stays in the journal."""
        self._closing = True
        for lane in self._lanes.values():
            lane.waiting.clear()
        self._waiting = 0
        running = [task for task in self._tasks if task.get_name() in self._running]
        if running:
            await asyncio.wait(running, timeout=_CLOSING_PATIENCE_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def clear(self) -> None:
        """Forget what waits or rests; attempts under way end as they may."""
        for lane in self._lanes.values():
            for delivery in lane.waiting:
                self._end(delivery)
            lane.waiting.clear()
        self._waiting = 0
        for delivery in self._resting.values():
            self._end(delivery)
        self._resting.clear()

    def resume(self) -> None:
        """Go on with what the last run left in the journal."""
        kept = self._journal.all() if self._journal is not None else {}
        for key, shape in kept.items():
            if key.startswith(_KEY):
                self.submit(Delivery(**shape))

    # --- a delivery's way -------------------------------------------------------------------

    def _pump(self, name: str) -> None:
        lane = self._lanes[name]
        while lane.waiting and lane.running < _AT_ONCE_PER_TARGET and not self._closing:
            delivery = lane.waiting.popleft()
            self._waiting -= 1
            lane.running += 1
            self._running[delivery.id] = delivery
            self._start(self._attempt(delivery, name), delivery.id)
        if not lane.waiting and not lane.running:
            self._lanes.pop(name, None)

    def _start(self, work: Any, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, delivery: Delivery, name: str) -> None:
        try:
            problem = await self._tried(delivery)
            if problem is None:
                self.tally.delivered += 1
                self._end(delivery)
            elif exhausted := self._exhausted(delivery, problem):
                await self._give_up(delivery, problem, exhausted)
                self._end(delivery)
            else:
                self._rest(delivery)
        finally:
            # A cancelled attempt is none that came to an end.
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                self._running.pop(delivery.id, None)
            lane = self._lanes.get(name)
            if lane is not None:
                lane.running -= 1
                self._pump(name)

    def _end(self, delivery: Delivery) -> None:
        if self._journal is not None:
            self._journal.drop(f"{_KEY}{delivery.id}")

    async def _tried(self, delivery: Delivery) -> DeliveryError | None:
        delivery.attempts += 1
        try:
            await self._send(delivery)
        except DeliveryError as error:
            return error
        except ApiError as error:
            return from_api_error(error)
        except NotEmulated as error:
            _log.error("%s cannot be delivered: %s", delivery.target["Arn"], error)
            return DeliveryError("NOT_EMULATED", str(error), retry=False)
        except Exception as error:
            _log.exception("a delivery to %s failed", delivery.target["Arn"])
            return DeliveryError("INTERNAL_ERROR", repr(error), retry=True)
        return None

    def _exhausted(self, delivery: Delivery, problem: DeliveryError) -> str:
        """Why there is no other attempt; empty when there is one."""
        if not problem.retry:
            return "NotRetryable"
        policy = delivery.target.get("RetryPolicy") or {}
        most = policy.get("MaximumRetryAttempts", quotas.EVENTS_RETRY_ATTEMPTS_MAX)
        if delivery.attempts > most:
            return "MaximumRetryAttempts"
        oldest_s = policy.get("MaximumEventAgeInSeconds", quotas.EVENTS_EVENT_AGE_MAX_S)
        if self._clock.epoch_ms() - delivery.began_ms >= oldest_s * 1_000:
            return "MaximumEventAgeInSeconds"
        return ""

    def _rest(self, delivery: Delivery) -> None:
        self.tally.retried += 1
        self._resting[delivery.id] = delivery
        if self._closing:
            return
        longest_ms = min(_BACK_OFF_MAX_MS, _BACK_OFF_MS * 2 ** min(delivery.attempts - 1, 20))
        delay_ms = longest_ms * self._chance.uniform(0.5, 1.0)
        self._start(self._later(delivery, delay_ms), f"rest {delivery.id}")

    async def _later(self, delivery: Delivery, delay_ms: float) -> None:
        await self._clock.sleep_ms(delay_ms)
        if self._resting.pop(delivery.id, None) is not None:
            self.submit(delivery)

    async def _give_up(self, delivery: Delivery, problem: DeliveryError, exhausted: str) -> None:
        queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            self.tally.dropped += 1
            _log.warning(
                "an event of %s for %s is dropped after %d attempt(s), %s (it has no dead-letter "
                "queue)",
                delivery.source_arn,
                delivery.target["Arn"],
                delivery.attempts,
                problem,
            )
            return
        attributes = {
            delivery.source_kind: delivery.source_arn,
            "TARGET_ARN": delivery.target["Arn"],
            "ERROR_CODE": problem.code,
            "ERROR_MESSAGE": problem.message[:1_000] or problem.code,
        }
        if exhausted != "NotRetryable":
            attributes["RETRY_ATTEMPTS"] = str(delivery.attempts - 1)
            attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
        try:
            await self._bury(queue, delivery.event, attributes)
        except (ApiError, NotEmulated) as error:
            self.tally.dropped += 1
            _log.error("a dead letter of %s is lost: %s", delivery.source_arn, error)
        else:
            self.tally.dead_letters += 1


def from_api_error(error: ApiError) -> DeliveryError:
    """A service's refusal, in EventBridge's words."""
    throttled = error.status == 429 or "Throttl" in error.code or "TooManyRequests" in error.code
    if throttled:
        return DeliveryError("THROTTLING", str(error.message), retry=True)
    if error.status >= 500:
        return DeliveryError("INTERNAL_ERROR", error.message, retry=True)
    missing = "NotFound" in error.code or "DoesNotExist" in error.code
    code = "NO_RESOURCE" if missing else "INVALID_PARAMETER"
    return DeliveryError(code, error.message or error.code, retry=False)
