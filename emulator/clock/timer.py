"""Deadlines that are kept to a fraction of a millisecond.

asyncio's and uvloop's own timers round to whole milliseconds (uvloop may be a whole one early), so
on Linux one timerfd wakes the loop shortly before the earliest deadline and a short spin covers the
rest; elsewhere `call_later` wakes it 1.5 ms early and the spin does the same. One spin serves every
waiter, and the loop goes on serving others between two of its turns.

How early to wake is learnt: a sleeping machine takes 0.1 ms and more to come back, a busy one a few
microseconds, and what is not needed would only be spun away.
Measured in facts/engines.md section 6 and by benchmarks/latency_accuracy.py.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import itertools
import os
import sys
import time
from typing import Final

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_TIMER_ABSTIME = 1
# The learnt lead stays between these; more would be the neighbours' fault, and only burn CPU.
_LEAD_MIN_MS: Final = 0.02
_LEAD_MAX_MS: Final = 0.25
# So often a wake-up should be in time for its deadline; each one moves the lead by a step.
_IN_TIME_SHARE: Final = 0.9
_LEAD_STEP_MS: Final = 0.01
# Without a timerfd the loop may wake us up to a millisecond late or early.
_PORTABLE_LEAD_MS: Final = 1.5
# A waiter is told so early, because telling it takes about as long.
_HAND_OVER_MS: Final = 0.03
_NEVER: Final = float("inf")


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class _TimerFd:
    """One Linux timer that becomes readable at an absolute monotonic time.

    `os.timerfd_create` exists only from Python 3.13 on, hence libc.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def set_ns(self, at_ns: int) -> None:
        """Fire at this time of CLOCK_MONOTONIC; a time that has passed fires at once."""
        at_ns = max(1, at_ns)
        spec = _TimerSpec(_Timespec(0, 0), _Timespec(at_ns // 1_000_000_000, at_ns % 1_000_000_000))
        self._libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None)

    def clear(self) -> None:
        """Take the readiness away."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return


def _now_ms() -> float:
    # perf_counter is CLOCK_MONOTONIC on Linux, so its times suit the timerfd.
    return time.perf_counter_ns() / 1e6


class DeadlineTimer:
    """A heap of deadlines on the running event loop; one wake-up source for all of them."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timerfd: _TimerFd | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._armed_ms = _NEVER
        self._spinning = False
        self._lead_ms = _PORTABLE_LEAD_MS

    async def wait_until_ms(self, deadline_ms: float) -> None:
        """Return once `time.perf_counter` has reached the deadline; never earlier."""
        loop = asyncio.get_running_loop()
        self._bind(loop)
        future: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._heap, (deadline_ms, next(self._order), future))
        if self._heap[0][2] is future and not self._spinning:
            self._wake_for(deadline_ms)
        await future
        while _now_ms() < deadline_ms:  # noqa: ASYNC110 - a spin is meant
            # Zero is the one sleep whose length the loop cannot get wrong.
            await asyncio.sleep(0)

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        self._loop, self._heap, self._armed_ms = loop, [], _NEVER
        self._spinning = False
        if sys.platform == "linux":
            if self._timerfd is not None:
                os.close(self._timerfd.fd)
            self._timerfd = _TimerFd()
            self._lead_ms = _LEAD_MAX_MS
            loop.add_reader(self._timerfd.fd, self._fired)

    def _wake_for(self, deadline_ms: float) -> None:
        """Have the loop woken in time for the earliest deadline, or begin to spin for it."""
        assert self._loop is not None
        wake_ms = deadline_ms - self._lead_ms
        if wake_ms <= _now_ms():
            self._spinning = True
            self._loop.call_soon(self._spin)
        elif wake_ms < self._armed_ms:
            self._arm(wake_ms)

    def _arm(self, wake_ms: float) -> None:
        self._armed_ms = wake_ms
        if self._timerfd is not None:
            self._timerfd.set_ns(int(wake_ms * 1e6))
            return
        assert self._loop is not None
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(max(0.0, (wake_ms - _now_ms()) / 1e3), self._fired)

    def _fired(self) -> None:
        if self._timerfd is not None:
            self._timerfd.clear()
            self._learn(_now_ms() - self._armed_ms)
        self._armed_ms = _NEVER
        if not self._spinning:
            self._spin()

    def _learn(self, took_ms: float) -> None:
        """Move the lead towards what nine wake-ups in ten need."""
        missed = took_ms > self._lead_ms
        step_ms = _LEAD_STEP_MS * (_IN_TIME_SHARE if missed else _IN_TIME_SHARE - 1)
        self._lead_ms = min(_LEAD_MAX_MS, max(_LEAD_MIN_MS, self._lead_ms + step_ms))

    def _spin(self) -> None:
        """One turn: end what is due, then turn again, sleep until the next, or rest."""
        heap, now_ms = self._heap, _now_ms() + _HAND_OVER_MS
        while heap and (heap[0][0] <= now_ms or heap[0][2].done()):
            _, _, future = heapq.heappop(heap)
            if not future.done():
                future.set_result(None)
        self._spinning = False
        if heap:
            self._wake_for(heap[0][0])
