"""One worker process as its parent sees it: calls in flight, their deadline, and its successor.

Calls are sent as they come and answered in order; shared memory tells which one runs. When that one
has used up its time the process is killed: it fails, and the others are sent again to a new
process. Some may have run there, their answers not yet sent; a call changes nothing but its own log
lines, so to run it again does no harm.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from emulator.errors import LocalpopError
from emulator.runtimes.cloudfront_functions.frames import Decoder, encode
from emulator.runtimes.cloudfront_functions.progress import SIZE_BYTES, Progress
from emulator.runtimes.cloudfront_functions.snapshots import SnapshotShelf
from emulator.values.key_values import StoreSnapshot

_WORKER: Final = "emulator.runtimes.cloudfront_functions.worker"
_PACKAGE_ROOT: Final = Path(__file__).parents[3]
_WALL_FACTOR: Final = 100
"""A busy machine gives a worker a fraction of a core, so CPU time counts; but a process that
neither works nor answers for so many times the limit is lost."""
_WALL_FACTOR_ALONE: Final = 10
"""The same where CPU time cannot be read."""
_STOP_S: Final = 1.0
_NOT_STARTED: Final = (
    "the CloudFront Functions worker process did not start; its own message is on standard error"
)


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """A function as workers hold it: its number, and the frame that loads it."""

    id: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker says of a call that has ended.

    Args:
        outcome: The outcome as JSON.
        cpu_ms: CPU time of the call.
        store_reads: How often it read its store.
    """

    outcome: str
    cpu_ms: float
    store_reads: int


@dataclass(slots=True, eq=False)
class Call:
    """One invocation on its way.

    Args:
        id: Its number; a call that is sent again keeps it.
        code: The function.
        event_json: The event.
        arguments: What follows the function in the "run" frame, up to the store.
        snapshot: The store's version that the call sees.
        answer: Resolves when the call has ended, or fails with `CallFailed`.
        logs: The lines written so far.
    """

    id: int
    code: Code
    event_json: str
    arguments: Sequence[Any]
    snapshot: StoreSnapshot | None
    answer: asyncio.Future[Answer]
    logs: list[str] = field(default_factory=list)


class CallFailed(LocalpopError):  # noqa: N818 - reads as the sentence it is
    """The process ended under a call: it was killed at the deadline, or it died."""


class _Connection(asyncio.Protocol):
    """One process and what it knows; its successor has one of its own."""

    def __init__(self, owner: WorkerProcess) -> None:
        self._owner = owner
        self._decoder = Decoder()
        self._known_codes: set[int] = set()
        self._shelf = SnapshotShelf()
        self._transport: asyncio.Transport | None = None
        self._outbox: list[bytes] = []
        self.is_ready = False
        ours, theirs = socket.socketpair()
        with theirs, tempfile.TemporaryFile() as shared:
            shared.truncate(SIZE_BYTES)
            self.progress = Progress(shared.fileno())
            fds = [theirs.fileno(), shared.fileno()]
            self.process = subprocess.Popen(
                [sys.executable, "-m", _WORKER, *map(str, fds)],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                # Nothing of ours is a function's business; its clock is UTC.
                env={"TZ": "UTC", "PYTHONPATH": str(_PACKAGE_ROOT), "LC_ALL": "C.UTF-8"},
            )
        ours.setblocking(False)
        self._opening = asyncio.get_running_loop().create_task(self._open(ours))

    async def _open(self, ours: socket.socket) -> None:
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours; the process may not be up yet."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Messages from the worker."""
        owner = self._owner
        for message in self._decoder.feed(data):
            match message:
                case ["done", call_id, cpu_ms, store_reads, outcome]:
                    owner.on_done(self, call_id, Answer(outcome, cpu_ms, store_reads))
                case ["log", call_id, line]:
                    owner.on_log(self, call_id, line)
                case ["again", call_id]:
                    owner.on_again(self, call_id)
                case ["ready", scale]:
                    self.is_ready = True
                    owner.on_ready(self, scale)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process is gone."""
        self._owner.on_lost(self)

    def send_call(self, call: Call) -> None:
        """Send a call, and before it whatever of its code and store the process lacks."""
        frames = self._outbox
        if not frames:
            # What one turn of the loop sends leaves together: each write wakes the worker.
            asyncio.get_running_loop().call_soon(self._flush)
        if call.code.id not in self._known_codes:
            self._known_codes.add(call.code.id)
            frames.append(call.code.frame)
        store: list[Any] | None = None
        if call.snapshot is not None:
            frames += self._shelf.frames_for(call.snapshot)
            store = [call.snapshot.arn, call.snapshot.version]
        message = ["run", call.id, call.code.id, *call.arguments, store]
        frames.append(encode(message, call.event_json))

    def _flush(self) -> None:
        frames, self._outbox = self._outbox, []
        assert self._transport is not None
        self._transport.write(b"".join(frames))

    def drop(self, code_id: int) -> None:
        """Let the process forget a function."""
        if code_id in self._known_codes:
            self._known_codes.discard(code_id)
            if not self._outbox:
                asyncio.get_running_loop().call_soon(self._flush)
            self._outbox.append(encode(["drop", code_id]))

    def cpu_ns(self) -> int | None:
        """CPU time that the process has used; None where the system does not tell."""
        if sys.platform != "linux":
            return None
        # clock_getcpuclockid(3): the inverted process id above three bits for "scheduled time".
        try:
            return time.clock_gettime_ns((~self.process.pid << 3) | 2)
        except OSError:
            return None

    async def end(self, *, kill: bool) -> None:
        """Close the socket, which ends the process, or kill it; return when it is gone."""
        if kill:
            self.process.kill()
        if self._transport is None:
            await self._opening
        assert self._transport is not None
        self._transport.abort()
        self.progress.close()
        await asyncio.get_running_loop().run_in_executor(None, _reap, self.process)


class WorkerProcess:
    """A worker that is started when it is needed and replaced when it is gone.

    Args:
        time_limit_ms: CPU time that one call may take.
    """

    def __init__(self, time_limit_ms: float) -> None:
        self._limit_ms = time_limit_ms
        self._calls: deque[Call] = deque()
        self._connection: _Connection | None = None
        self._ready: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._seen_call_id = 0
        self._seen_since_s = 0.0
        self._closed = False
        self.utilization_scale = 1.0

    @property
    def in_flight(self) -> int:
        """How many calls wait for an answer."""
        return len(self._calls)

    @property
    def pid(self) -> int | None:
        """The process's id, while there is one."""
        return self._connection.process.pid if self._connection is not None else None

    def cpu_ns(self) -> int | None:
        """CPU time of the present process; None where the system does not tell."""
        return self._connection.cpu_ns() if self._connection is not None else 0

    async def start(self) -> None:
        """Have a process that has said it is ready.

        Raises:
            LocalpopError: It ended before that.
        """
        if self._closed:
            raise LocalpopError("the CloudFront Functions engine is closed")
        if self._connection is None:
            self._spawn()
        assert self._ready is not None
        await asyncio.shield(self._ready)

    def submit(self, call: Call) -> None:
        """Send a call; the first one starts the process."""
        if self._closed:
            raise LocalpopError("the CloudFront Functions engine is closed")
        self._calls.append(call)
        if self._connection is None:
            self._spawn()
        elif self._connection.is_ready:
            self._connection.send_call(call)
            self._arm()

    def drop(self, code_id: int) -> None:
        """Let the process forget a function."""
        if self._connection is not None:
            self._connection.drop(code_id)

    async def close(self) -> None:
        """End the process; calls in flight fail."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        busy = bool(self._calls)
        self._fail_all("the engine was closed")
        if self._connection is not None:
            # One that runs a function may never look at its socket again.
            self._retire(kill=busy)
        if self._ending:
            await asyncio.gather(*self._ending)

    # -- The process --

    def _spawn(self) -> None:
        self._ready = asyncio.get_running_loop().create_future()
        # A failure is told to whoever waits; nobody may be waiting.
        self._ready.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._connection = _Connection(self)

    def _retire(self, *, kill: bool) -> None:
        assert self._connection is not None
        task = asyncio.get_running_loop().create_task(self._connection.end(kill=kill))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        self._connection = None

    def on_ready(self, connection: _Connection, scale: float) -> None:
        """The process is up: send what waits for it."""
        if connection is not self._connection:
            return
        self.utilization_scale = scale
        self._seen_call_id = 0
        for call in self._calls:
            call.logs.clear()
            connection.send_call(call)
        assert self._ready is not None
        self._ready.set_result(None)
        self._arm()

    def on_lost(self, connection: _Connection) -> None:
        """The process died by itself: the call that ran goes with it."""
        if connection is not self._connection:
            return
        running = self._running_call(connection)
        self._retire(kill=False)
        if not connection.is_ready:
            assert self._ready is not None
            self._ready.set_exception(LocalpopError(_NOT_STARTED))
            self._fail_all(_NOT_STARTED)
        elif running is not None:
            self._fail(running, "the worker process died under the call")
            if self._calls:
                self._spawn()

    # -- Calls --

    def _running_call(self, connection: _Connection) -> Call | None:
        """The call that the process is in; before it begins one, the call in front."""
        running_id, _ = connection.progress.read()
        for call in self._calls:
            if call.id == running_id:
                return call
        return self._calls[0] if self._calls else None

    def on_log(self, connection: _Connection, call_id: int, line: str) -> None:
        """A call wrote a line."""
        if connection is self._connection and self._calls[0].id == call_id:
            self._calls[0].logs.append(line)

    def on_again(self, connection: _Connection, call_id: int) -> None:
        """A call begins anew."""
        if connection is self._connection and self._calls[0].id == call_id:
            self._calls[0].logs.clear()

    def on_done(self, connection: _Connection, call_id: int, answer: Answer) -> None:
        """The call in front has ended."""
        if connection is not self._connection:
            return
        call = self._calls.popleft()
        assert call.id == call_id
        if not call.answer.done():
            call.answer.set_result(answer)

    def _fail(self, call: Call, reason: str) -> None:
        self._calls.remove(call)
        if not call.answer.done():
            call.answer.set_exception(CallFailed(reason))

    def _fail_all(self, reason: str) -> None:
        while self._calls:
            self._fail(self._calls[0], reason)

    # -- The deadline --

    def _arm(self) -> None:
        # One timer for all calls: it looks again as long as there are any.
        if self._timer is None and self._calls:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._limit_ms / 1e3, self._look)

    def _look(self) -> None:
        self._timer = None
        connection = self._connection
        if connection is None or not connection.is_ready or not self._calls:
            return
        call_id, began_cpu_ns = connection.progress.read()
        now_s = asyncio.get_running_loop().time()
        if call_id != self._seen_call_id:
            self._seen_call_id, self._seen_since_s = call_id, now_s
        call = self._running_call(connection)
        assert call is not None
        waited_ms = (now_s - self._seen_since_s) * 1e3
        began_ns = began_cpu_ns if call.id == call_id else None
        if self._is_over(connection, began_ns, waited_ms):
            self._fail(call, f"it did not end within {self._limit_ms:g} ms of CPU time")
            self._retire(kill=True)
            if self._calls:
                self._spawn()
        else:
            self._arm()

    def _is_over(self, connection: _Connection, began_cpu_ns: int | None, waited_ms: float) -> bool:
        """Whether the call that runs has used up its time.

        Args:
            connection: Its process.
            began_cpu_ns: The process's CPU time when it began; None for one that has not.
            waited_ms: For how long no other call has been seen to run.
        """
        cpu_ns = connection.cpu_ns()
        if cpu_ns is None:
            return waited_ms >= self._limit_ms * _WALL_FACTOR_ALONE
        if began_cpu_ns is not None and cpu_ns - began_cpu_ns >= self._limit_ms * 1e6:
            return True
        return waited_ms >= self._limit_ms * _WALL_FACTOR


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
