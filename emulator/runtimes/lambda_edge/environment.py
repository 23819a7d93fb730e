"""One execution environment: a process that answers one invocation at a time.

Its life: started (cold), ready, at work, ready again, … and at last gone: killed at a deadline,
ended by the handler itself, or evicted. A process never comes back; the pool makes another.
A sandbox is a real process, so its deadlines are the machine's, whatever the clock says.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, cast

import orjson

from emulator.runtimes.lambda_edge.logs import LogPipe
from emulator.runtimes.lambda_edge.processes import SandboxProcess, SandboxStartError, Spawner

FRAME: Final = struct.Struct("!cIIdI")
HEAD: Final = struct.Struct("!II")
INIT_TIMEOUT_S: Final = 10.0
"""Lambda's init phase (facts/lambda-at-edge.md 4.2; UNVERIFIED for Lambda@Edge)."""
# Lambda's own limit is 6 MB; more can only be a handler that writes into our channel.
_FRAME_MAX_BYTES: Final = 8 * 1_048_576
# A process whose channel is closed has ended or is about to; then it is helped.
_END_GRACE_S: Final = 0.25


class Outcome(Enum):
    """How an invocation ended."""

    READY = b"I"
    RETURNED = b"R"
    RETURNED_BYTES = b"B"
    FAILED = b"E"
    FAILED_AND_ENDED = b"X"
    TIMED_OUT = b"timeout"
    EXITED = b"exit"


@dataclass(frozen=True, slots=True)
class Reply:
    """What an environment gave for one invocation.

    Args:
        outcome: How it ended.
        payload: The returned JSON or bytes, or the error's JSON.
        duration_ms: The handler's own time.
        max_memory_kb: The most memory the process has used so far.
        status: The process's exit status, for EXITED; negative for a signal.
        logs: What was written since the last reply.
    """

    outcome: Outcome
    payload: bytes = b""
    duration_ms: float = 0.0
    max_memory_kb: int = 0
    status: int = 0
    logs: tuple[str, ...] = ()

    def error(self) -> dict[str, str]:
        """The parts of a failed reply: errorType, errorMessage, trace."""
        return cast("dict[str, str]", orjson.loads(self.payload))


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """How to start an environment.

    Args:
        spawner: What starts the process.
        command: The runtime's command; empty for Python.
        config: The first frame.
        temp: Its own `/tmp`; removed at the end.
        log_stream: Its log stream.
        patience_s: In place of every deadline; None to keep them.
    """

    spawner: Spawner
    command: Sequence[str]
    config: dict[str, Any]
    temp: Path
    log_stream: str
    patience_s: float | None = None


_FAILURES: Final = (Outcome.FAILED, Outcome.FAILED_AND_ENDED)
_OF_FRAMES: Final = {
    one.value: one for one in (Outcome.READY, Outcome.RETURNED, Outcome.RETURNED_BYTES, *_FAILURES)
}


class Environment(asyncio.Protocol):
    """One process.

    Args:
        spec: How it is started.
        on_free: Called when an invocation has ended, whoever still waits for it.
    """

    def __init__(self, spec: EnvironmentSpec, on_free: Callable[[Environment], None]) -> None:
        self.spec, self._on_free = spec, on_free
        self.alive = False
        self.key: object = None
        self._received = bytearray()
        self._waiting: asyncio.Future[Reply] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._process: SandboxProcess | None = None
        self._transport: asyncio.Transport | None = None
        self._log: LogPipe | None = None
        self._timed_out = False
        self._is_invocation = False
        self._number = 0
        self._max_memory_kb = 0

    async def start(self) -> Reply:
        """Start the process and load the handler; the outcome is READY, or what went wrong.

        Raises:
            SandboxStartError: The operating system refused.
        """
        spec, loop = self.spec, asyncio.get_running_loop()
        spec.temp.mkdir(parents=True, exist_ok=True)
        try:
            self._process = await spec.spawner.spawn(
                spec.command, cast("dict[str, str]", spec.config["environment"])
            )
        except SandboxStartError:
            self._remove_temp()
            raise
        self.alive = True
        self._log = LogPipe(self._process.log_fd, loop)
        self._process.ended.add_done_callback(self._on_ended)
        await loop.create_connection(lambda: self, sock=self._process.channel)
        return await self._exchange(orjson.dumps(spec.config), INIT_TIMEOUT_S)

    def invoke(self, message: bytes, timeout_s: float) -> asyncio.Future[Reply]:
        """Hand an event over; the future's cancellation does not stop the handler, as at AWS."""
        self._is_invocation = True
        return self._exchange(message, timeout_s)

    def kill(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
        self.alive = False

    async def gone(self) -> None:
        """Return when the process has ended."""
        if self._process is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(self._process.ended)

    def _exchange(self, message: bytes, timeout_s: float) -> asyncio.Future[Reply]:
        loop = asyncio.get_running_loop()
        self._waiting = waiting = loop.create_future()
        self._number += 1
        self._deadline = loop.call_later(self.spec.patience_s or timeout_s, self._on_deadline)
        self._hand_over(message)
        return waiting

    def _hand_over(self, message: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(HEAD.pack(len(message), self._number) + message)

    # --- asyncio.Protocol --------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The channel is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A piece of a reply."""
        self._received += data
        if len(self._received) < FRAME.size or not self.alive:
            return
        kind, length, number, duration_ms, max_memory_kb = FRAME.unpack_from(self._received)
        outcome = _OF_FRAMES.get(kind)
        is_expected = self._waiting is not None and number == self._number
        if outcome is None or length > _FRAME_MAX_BYTES or not is_expected:
            # A handler wrote into the channel by itself, or forked and answered twice: nothing
            # from it can be believed, and no answer may reach another viewer.
            self.kill()
            return
        end = FRAME.size + length
        if len(self._received) < end:
            return
        payload = bytes(memoryview(self._received)[FRAME.size : end])
        del self._received[:end]
        if outcome in _FAILURES and not _is_error(payload):
            self.kill()
            return
        self._answered(outcome, payload, duration_ms, max_memory_kb)

    def _answered(
        self, outcome: Outcome, payload: bytes, duration_ms: float, max_memory_kb: int
    ) -> None:
        if outcome is Outcome.FAILED_AND_ENDED:
            # Nothing more may be handed to it while it is on its way out.
            self.kill()
        self._max_memory_kb = max_memory_kb
        self._finish(Reply(outcome, payload, duration_ms, max_memory_kb, logs=self._take_logs()))

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended, or closed its channel while it goes on."""
        self._transport = None
        if self._process is not None and not self._process.ended.done():
            asyncio.get_running_loop().call_later(_END_GRACE_S, self.kill)

    # --- Ends ----------------------------------------------------------------------------------
    def _on_deadline(self) -> None:
        self._timed_out = True
        self.kill()

    def _on_ended(self, ended: asyncio.Future[int]) -> None:
        self.alive = False
        status = -signal.SIGKILL if ended.cancelled() else ended.result()
        outcome = Outcome.TIMED_OUT if self._timed_out else Outcome.EXITED
        logs = self._take_logs()
        if self._log is not None:
            self._log.close()
        if self._transport is not None:
            self._transport.abort()
        self._remove_temp()
        memory_kb = self._max_memory_kb
        self._finish(Reply(outcome, max_memory_kb=memory_kb, status=status, logs=logs))

    def _finish(self, reply: Reply) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if self._is_invocation:
            self._on_free(self)
        if not waiting.done():
            waiting.set_result(reply)

    def _take_logs(self) -> tuple[str, ...]:
        return tuple(self._log.take()) if self._log is not None else ()

    def _remove_temp(self) -> None:
        shutil.rmtree(self.spec.temp, ignore_errors=True)


def _is_error(payload: bytes) -> bool:
    try:
        error = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    fields = ("errorType", "errorMessage", "trace")
    return isinstance(error, dict) and all(isinstance(error.get(field), str) for field in fields)
