"""Deadlines that are kept to a fraction of a millisecond.

asyncio's and uvloop's own timers round to whole milliseconds (uvloop may be a whole one early), so
on Linux one timerfd wakes the loop shortly before the earliest deadline and a short spin covers the
rest; elsewhere `call_later` wakes it 1.5 ms early and the spin does the same.
Measured in facts/engines.md section 6.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import itertools
import os
import sys
import time

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_TIMER_ABSTIME = 1
# A wake-up through the loop takes about this long; the spin covers the rest.
_SPIN_MS = 0.15
# Without a timerfd the loop may wake us up to a millisecond late or early.
_PORTABLE_SPIN_MS = 1.5
# Longer waits end within the loop's own accuracy, and a spin would only burn CPU.
_SPIN_ONLY_BELOW_MS = 250.0


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
        self._armed_ms = float("inf")

    async def wait_until_ms(self, deadline_ms: float) -> None:
        """Return once `time.perf_counter` has reached the deadline; never earlier."""
        loop = asyncio.get_running_loop()
        self._bind(loop)
        lead_ms = self._lead_ms(deadline_ms - _now_ms())
        if deadline_ms - lead_ms > _now_ms():
            future: asyncio.Future[None] = loop.create_future()
            wake_ms = deadline_ms - lead_ms
            heapq.heappush(self._heap, (wake_ms, next(self._order), future))
            if wake_ms < self._armed_ms:
                self._arm(wake_ms)
            await future
        while _now_ms() < deadline_ms:  # noqa: ASYNC110 - a spin is meant
            # Zero is the one sleep whose length the loop cannot get wrong.
            await asyncio.sleep(0)

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        self._loop, self._heap, self._armed_ms = loop, [], float("inf")
        if sys.platform == "linux":
            if self._timerfd is not None:
                os.close(self._timerfd.fd)
            self._timerfd = _TimerFd()
            loop.add_reader(self._timerfd.fd, self._fired)

    def _lead_ms(self, wait_ms: float) -> float:
        if self._timerfd is None:
            return _PORTABLE_SPIN_MS
        return _SPIN_MS if wait_ms < _SPIN_ONLY_BELOW_MS else 0.0

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
        self._armed_ms = float("inf")
        now_ms = _now_ms()
        while self._heap and self._heap[0][0] <= now_ms:
            _, _, future = heapq.heappop(self._heap)
            if not future.done():
                future.set_result(None)
        if self._heap:
            self._arm(self._heap[0][0])
