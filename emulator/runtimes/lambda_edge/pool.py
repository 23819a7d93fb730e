"""How many environments there are, and who gets one.

AWS starts one for each invocation that finds none idle, up to 1,000 at work in a Region. This
machine cannot, so three numbers bound it: how many are started at once (a start is pure CPU), how
many are at work at once, and how many are kept in all (beyond it, the one that has been idle
longest ends). Whoever finds no place waits for whichever comes first: an idle environment of the
same function in the same Region, or the permission to start one. The function with the fewest at
work goes first, and then whoever came first: a function that is asked for hundreds of times must
not keep waiting one that is asked for once. The wait is counted and reported. An idle environment
costs memory only.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from emulator.runtimes.lambda_edge.environment import Environment, Outcome, Reply
from emulator.runtimes.lambda_edge.processes import SandboxStartError

_CLOSED: Final = "the emulator is stopping"


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


@dataclass(eq=False, slots=True)
class _Waiter:
    """One invocation that wants an environment: it gets an idle one, or None to start its own."""

    key: Hashable
    turn: asyncio.Future[Environment | None]


class EnvironmentPool:
    """All environments of one emulator.

    Args:
        at_work_max: How many may be at work at once.
        kept_max: How many may be alive in all; at least `at_work_max`.
        starting_max: How many may be starting at once.
        now_ms: The clock.
        stretch_max: How many more may be at work when somebody has waited for a while: functions
            that wait for one another would otherwise wait for ever.
        patience_s: How long that while is, in real time, as sandboxes' deadlines are.
    """

    def __init__(
        self,
        at_work_max: int,
        kept_max: int,
        starting_max: int,
        now_ms: Callable[[], float],
        *,
        stretch_max: int = 0,
        patience_s: float = 2.0,
    ) -> None:
        self._at_work_max, self._starting_max = at_work_max, starting_max
        self._stretch_max, self._patience_s, self._stretched = stretch_max, patience_s, 0
        self._kept_max, self._now_ms = max(at_work_max, kept_max), now_ms
        # Each key's idle ones, newest last; the keys' own order is that of their last use.
        self._idle: OrderedDict[Hashable, list[Environment]] = OrderedDict()
        self._alive: set[Environment] = set()
        self._waiters: list[_Waiter] = []
        self._retired: set[Hashable] = set()
        self._at_work_of: Counter[Hashable] = Counter()
        self._starting = self._started = self._queued = 0
        self._queued_ms = 0.0
        self._closed = False

    @property
    def occupancy(self) -> Occupancy:
        """The pool's figures."""
        return Occupancy(
            self._at_work_of.total(),
            sum(one.alive for idle in self._idle.values() for one in idle),
            len(self._waiters),
            self._started,
            self._queued,
            self._queued_ms,
        )

    async def take(
        self, key: Hashable, make: Callable[[Callable[[Environment], None]], Environment]
    ) -> Taken:
        """An environment for one invocation, as soon as there is one.

        Args:
            key: The function in its Region.
            make: Makes an environment, given what to call when its invocation has ended.

        Raises:
            SandboxStartError: The operating system refused to start one.
        """
        queued_ms = 0.0
        if self._closed:
            raise SandboxStartError(_CLOSED)
        if not self._may_work():
            environment, queued_ms = await self._wait(key)
        else:
            environment = self._idle_one(key)
            if environment is not None:
                self._at_work_of[key] += 1
            elif self._may_start():
                self._reserve_start(key)
            else:
                environment, queued_ms = await self._wait(key)
        if environment is not None:
            return Taken(environment, queued_ms)
        return await self._start(key, make, queued_ms)

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
        """End every environment; whoever waits for one, or comes later, is refused."""
        self._closed = True
        for waiter in self._waiters:
            if not waiter.turn.done():
                waiter.turn.set_exception(SandboxStartError(_CLOSED))
        self._waiters.clear()
        alive = list(self._alive)
        for environment in alive:
            self._end(environment)
        self._idle.clear()
        for environment in alive:
            await environment.gone()

    # --- Waiting ---------------------------------------------------------------------------------
    async def _wait(self, key: Hashable) -> tuple[Environment | None, float]:
        waiter = _Waiter(key, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._queued += 1
        since_ms = self._now_ms()
        loop = asyncio.get_running_loop()
        stretching = loop.call_later(self._patience_s, self._stretch) if self._stretch_max else None
        try:
            environment = await waiter.turn
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise
        finally:
            if stretching is not None:
                stretching.cancel()
        queued_ms = self._now_ms() - since_ms
        self._queued_ms += queued_ms
        return environment, queued_ms

    def _give_up(self, waiter: _Waiter) -> None:
        """A waiter has left; what it was just given goes to the next."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif not waiter.turn.cancelled() and waiter.turn.exception() is None:
            environment = waiter.turn.result()
            if environment is not None:
                self._give_back(environment)
            else:
                self._starting -= 1
                self._leaves_work(waiter.key)
                self._serve_waiters()

    def _serve_waiters(self) -> None:
        """Give every waiter its turn that can have one now."""
        while self._may_work() and (waiter := self._next_waiter()) is not None:
            self._waiters.remove(waiter)
            environment = self._idle_one(waiter.key)
            if environment is None:
                self._reserve_start(waiter.key)
            else:
                self._at_work_of[waiter.key] += 1
            waiter.turn.set_result(environment)

    def _next_waiter(self) -> _Waiter | None:
        """Of those who can have a turn, the first of the function with the fewest at work."""
        self._waiters = [waiter for waiter in self._waiters if not waiter.turn.done()]
        able = [one for one in self._waiters if self._may_start() or self._has_idle(one.key)]
        return min(able, key=lambda one: self._at_work_of[one.key], default=None)

    def _has_idle(self, key: Hashable) -> bool:
        return any(environment.alive for environment in self._idle.get(key, ()))

    def _leaves_work(self, key: Hashable) -> None:
        self._at_work_of[key] -= 1
        if not self._at_work_of[key]:
            del self._at_work_of[key]
        if self._stretched and self._at_work_of.total() < self._at_work_max:
            self._stretched = 0

    def _may_work(self) -> bool:
        return self._at_work_of.total() < self._at_work_max + self._stretched

    def _stretch(self) -> None:
        """Somebody has waited long enough."""
        if not self._may_work() and self._stretched < self._stretch_max:
            self._stretched += 1
            self._serve_waiters()

    def _may_start(self) -> bool:
        return self._starting < self._starting_max

    def _reserve_start(self, key: Hashable) -> None:
        self._starting += 1
        self._at_work_of[key] += 1

    # --- Starting --------------------------------------------------------------------------------
    async def _start(
        self,
        key: Hashable,
        make: Callable[[Callable[[Environment], None]], Environment],
        queued_ms: float,
    ) -> Taken:
        started_ms = self._now_ms()
        environment = make(self._give_back)
        environment.key = key
        self._make_room()
        self._alive.add(environment)
        self._started += 1
        try:
            reply = await environment.start()
        except BaseException:
            self._starting -= 1
            self._drop(environment)
            raise
        init_ms = max(self._now_ms() - started_ms, 0.001)
        self._starting -= 1
        if reply.outcome is Outcome.READY:
            self._serve_waiters()
            return Taken(environment, queued_ms, init_ms, init_logs=reply.logs)
        self._drop(environment)
        return Taken(environment, queued_ms, init_ms, failure=reply)

    def _make_room(self) -> None:
        while len(self._alive) >= self._kept_max and self._idle:
            key, idle = next(iter(self._idle.items()))
            if idle:
                self._end(idle.pop(0))
            if not idle:
                del self._idle[key]

    # --- Giving back -----------------------------------------------------------------------------
    def _idle_one(self, key: Hashable) -> Environment | None:
        idle = self._idle.get(key, [])
        while idle:
            environment = idle.pop()
            if environment.alive:
                return environment
            self._alive.discard(environment)
        self._idle.pop(key, None)
        return None

    def _give_back(self, environment: Environment) -> None:
        """An invocation has ended."""
        if not environment.alive or environment.key in self._retired:
            self._drop(environment)
            return
        self._leaves_work(environment.key)
        self._keep(environment)
        self._serve_waiters()

    def _keep(self, environment: Environment) -> None:
        self._idle.setdefault(environment.key, []).append(environment)
        self._idle.move_to_end(environment.key)

    def _drop(self, environment: Environment) -> None:
        self._end(environment)
        self._leaves_work(environment.key)
        self._serve_waiters()

    def _end(self, environment: Environment) -> None:
        environment.kill()
        self._alive.discard(environment)
