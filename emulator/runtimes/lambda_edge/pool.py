"""How many environments there are, and who gets one.

AWS starts as many as are asked for, up to 1,000 at work in a Region. This machine cannot, so two
numbers bound it: how many may be at work at once (the others wait in order, and the wait is
counted) and how many are kept in all (beyond it, the one that has been idle longest is ended). An
idle environment costs memory only; each function has its own in each Region.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from emulator.runtimes.lambda_edge.environment import Environment, Outcome, Reply


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What the pool holds now, and what it has done so far.

    Args:
        at_work: Environments with an invocation, or starting.
        idle: Environments that wait for one.
        waiting: Invocations that wait for a place.
        started: Environments started since the beginning.
        queued: Invocations that had to wait since the beginning.
        queued_ms: How long they waited, together.
    """

    at_work: int
    idle: int
    waiting: int
    started: int
    queued: int
    queued_ms: float


@dataclass(frozen=True, slots=True)
class Taken:
    """An environment for one invocation.

    Args:
        environment: Ready, unless `failure` says otherwise.
        queued_ms: How long it was waited for, without the start.
        init_ms: How long the start took; 0 for one that was there.
        failure: What went wrong at the start.
        init_logs: What the handler's module wrote while it was loaded.
    """

    environment: Environment
    queued_ms: float = 0.0
    init_ms: float = 0.0
    failure: Reply | None = None
    init_logs: tuple[str, ...] = ()

    @property
    def cold_start(self) -> bool:
        """Whether the environment was started for this invocation."""
        return self.init_ms > 0


class EnvironmentPool:
    """All environments of one emulator.

    Args:
        at_work_max: How many may be at work at once.
        kept_max: How many may be alive in all; at least `at_work_max`.
        now_ms: The clock.
    """

    def __init__(self, at_work_max: int, kept_max: int, now_ms: Callable[[], float]) -> None:
        self._places = asyncio.Semaphore(at_work_max)
        self._kept_max, self._now_ms = max(at_work_max, kept_max), now_ms
        # Each key's idle ones, newest last; the keys' own order is that of their last use.
        self._idle: OrderedDict[Hashable, list[Environment]] = OrderedDict()
        self._alive: set[Environment] = set()
        self._at_work = self._waiting = self._started = self._queued = 0
        self._queued_ms = 0.0
        self._retired: set[Hashable] = set()

    @property
    def occupancy(self) -> Occupancy:
        """The pool's figures."""
        return Occupancy(
            self._at_work,
            sum(one.alive for idle in self._idle.values() for one in idle),
            self._waiting,
            self._started,
            self._queued,
            self._queued_ms,
        )

    async def take(
        self, key: Hashable, make: Callable[[Callable[[Environment], None]], Environment]
    ) -> Taken:
        """An environment for one invocation, as soon as there is a place for it.

        Args:
            key: The function in its Region.
            make: Makes an environment, given what to call when its invocation has ended.

        Raises:
            SandboxStartError: The operating system refused to start one.
        """
        queued_ms = await self._wait_for_place()
        environment = self._idle_one(key)
        if environment is not None:
            return Taken(environment, queued_ms)
        started_ms = self._now_ms()
        environment = make(self._give_back)
        environment.key = key
        self._make_room()
        self._alive.add(environment)
        self._started += 1
        try:
            reply = await environment.start()
        except BaseException:
            self._drop(environment)
            raise
        init_ms = max(self._now_ms() - started_ms, 0.001)
        if reply.outcome is Outcome.READY:
            return Taken(environment, queued_ms, init_ms, init_logs=reply.logs)
        self._drop(environment)
        return Taken(environment, queued_ms, init_ms, failure=reply)

    def retire(self, is_retired: Callable[[Hashable], bool]) -> None:
        """End the environments of these keys: idle ones now, others after their invocation."""
        for environment in list(self._alive):
            if is_retired(environment.key):
                self._retired.add(environment.key)
        for key in list(self._idle):
            if is_retired(key):
                for environment in self._idle.pop(key):
                    self._end(environment)

    async def close(self) -> None:
        """End every environment."""
        alive = list(self._alive)
        for environment in alive:
            self._end(environment)
        self._idle.clear()
        for environment in alive:
            await environment.gone()

    async def _wait_for_place(self) -> float:
        queued_ms = 0.0
        if self._places.locked():
            self._waiting += 1
            self._queued += 1
            since_ms = self._now_ms()
            try:
                await self._places.acquire()
            finally:
                self._waiting -= 1
                queued_ms = self._now_ms() - since_ms
                self._queued_ms += queued_ms
        else:
            await self._places.acquire()
        self._at_work += 1
        return queued_ms

    def _idle_one(self, key: Hashable) -> Environment | None:
        idle = self._idle.get(key, [])
        while idle:
            environment = idle.pop()
            if environment.alive:
                return environment
            self._alive.discard(environment)
        self._idle.pop(key, None)
        return None

    def _make_room(self) -> None:
        while len(self._alive) >= self._kept_max and self._idle:
            key, idle = next(iter(self._idle.items()))
            if idle:
                self._end(idle.pop(0))
            if not idle:
                del self._idle[key]

    def _give_back(self, environment: Environment) -> None:
        """An invocation has ended."""
        key = environment.key
        if not environment.alive or key in self._retired:
            self._drop(environment)
            return
        self._idle.setdefault(key, []).append(environment)
        self._idle.move_to_end(key)
        self._free_place()

    def _drop(self, environment: Environment) -> None:
        self._end(environment)
        self._free_place()

    def _end(self, environment: Environment) -> None:
        environment.kill()
        self._alive.discard(environment)

    def _free_place(self) -> None:
        self._at_work -= 1
        self._places.release()
