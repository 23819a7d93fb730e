"""Executions: started, watched, stopped; the newest are kept to be asked about."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.runtimes.state_machine import History
from emulator.stores.journal import Journal
from emulator.values.function_logs import FunctionLogLine
from emulator.values.state_machines import (
    ExecutionOutcome,
    ExecutionStart,
    ExecutionStatus,
    MachineType,
    StateMachine,
)
from emulator.wire.sdk_integration import compact

ENDED_KEPT: Final = 1_000
"""So many executions that have ended can still be described; at AWS those of 90 days."""
# Ours: at AWS a million standard executions may be open.
_RUNNING_MAX: Final = 10_000
# Who presses Ctrl-C does not want to wait longer.
_DRAIN_MS: Final = 3_000.0
_KEY: Final = "execution:"

_log = logging.getLogger(__name__)


Tell: TypeAlias = Callable[[Callable[[], Mapping[str, Any]]], None]
"""Told of a change, with what DescribeExecution would say, for who wants to know."""


class Runner(Protocol):
    """What runs an execution."""

    async def run(self, start: ExecutionStart, history: History) -> ExecutionOutcome:
        """Run it to its end."""
        ...


@dataclass(eq=False, slots=True)
class Execution:
    """One execution.

    Args:
        start: What it began with.
        history: Its events.
        outcome: How it ended; None while it runs.
        ended_ms: When, in epoch milliseconds.
        done: Set when it has ended.
    """

    start: ExecutionStart
    history: History
    outcome: ExecutionOutcome | None = None
    ended_ms: float | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    stopped: ExecutionOutcome | None = None

    @property
    def status(self) -> ExecutionStatus:
        """What has become of it."""
        return ExecutionStatus.RUNNING if self.outcome is None else self.outcome.status


class Executions:
    """All executions.

    Args:
        clock: Dates them.
        runner: Runs them.
        chance: Where names come from that nobody gave.
        log: Gets a line when one begins, and one when it ends.
        tell: Told of each change of a standard one's status, with what describes it.
        journal: Keeps standard ones under way, over a restart and a kill; None: nothing does.
        ended_kept: How many of those that have ended can still be described.
    """

    def __init__(
        self,
        clock: Clock,
        runner: Runner,
        chance: random.Random,
        log: Callable[[FunctionLogLine], None] | None,
        tell: Tell = lambda describe: None,
        journal: Journal | None = None,
        ended_kept: int = ENDED_KEPT,
    ) -> None:
        self._clock, self.runner, self._chance, self._log = clock, runner, chance, log
        self._kept, self._tell, self._journal = ended_kept, tell, journal
        self._closing = False
        self._all: dict[str, Execution] = {}
        self._ended: deque[str] = deque()
        self._running = 0

    def start(self, machine: StateMachine, value: Any, name: str) -> Execution:
        """Begin one; it runs by itself.

        Args:
            machine: What it runs.
            value: Its input.
            name: Its name; empty for one that is made up.

        Raises:
            ApiError: 400 ExecutionAlreadyExists, ThrottlingException.
        """
        if self._running >= _RUNNING_MAX:
            # A limit of ours: a word that SDKs and EventBridge take for "later".
            raise ApiError(400, "ThrottlingException", "Rate exceeded")
        name = name or str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        arn = execution_arn(machine, name)
        if machine.kind is MachineType.EXPRESS:
            arn = f"{arn}:{uuid.UUID(int=self._chance.getrandbits(128), version=4)}"
        before = self._all.get(arn)
        if before is not None:
            if before.status is ExecutionStatus.RUNNING and before.start.value == value:
                return before
            raise ApiError(400, "ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
        history = History(self._clock, kept=machine.kind is MachineType.STANDARD)
        start = ExecutionStart(arn, name, machine, value, self._clock.epoch_ms())
        execution = Execution(start, history)
        if self._journal is not None and machine.kind is MachineType.STANDARD:
            document = {"machine": machine.name, "name": name, "input": compact(value)}
            self._journal.put(f"{_KEY}{arn}", document)
        self._all[arn] = execution
        self._running += 1
        execution.task = asyncio.create_task(self._run(execution))
        return execution

    async def _run(self, execution: Execution) -> None:
        start, is_kept = execution.start, False
        self._say(execution, f"ExecutionStarted {start.name}")
        self._tell_status(execution)
        try:
            outcome = await self.runner.run(start, execution.history)
        except asyncio.CancelledError:
            is_kept = self._closing and execution.stopped is None
            outcome = execution.stopped or ExecutionOutcome(ExecutionStatus.ABORTED)
            details = {"error": outcome.error, "cause": outcome.cause}
            execution.history.add("ExecutionAborted", 0, "executionAbortedEventDetails", details)
        except Exception as error:
            _log.exception("The execution %s failed inside of localpop", start.arn)
            cause = f"localpop failed; its log has the reason: {error}"
            outcome = ExecutionOutcome(ExecutionStatus.FAILED, None, "States.Runtime", cause)
        execution.outcome, execution.ended_ms = outcome, self._clock.epoch_ms()
        self._running -= 1
        if self._journal is not None and not is_kept:
            self._journal.drop(f"{_KEY}{start.arn}")
        took_ms = execution.ended_ms - start.started_ms
        why = f": {outcome.error}: {outcome.cause}" if outcome.error or outcome.cause else ""
        self._say(
            execution, f"Execution{_WORDS[outcome.status]} {start.name} {took_ms:.0f} ms{why}"
        )
        self._ended.append(start.arn)
        while len(self._ended) > self._kept:
            self._all.pop(self._ended.popleft(), None)
        self._tell_status(execution)
        execution.done.set()

    def resume(self, find: Callable[[str], StateMachine | None]) -> None:
        """Begin again what had not ended when localpop did, from its first state.

        At AWS an execution goes on where it was; here its states are not kept, so that a task may
        be done a second time.

        Args:
            find: A state machine by its name.
        """
        kept = self._journal.all() if self._journal is not None else {}
        for key, document in kept.items():
            if not key.startswith(_KEY):
                continue
            machine = find(document["machine"])
            if machine is None:
                _log.warning("the state machine of %s is gone, and so is it", key)
            else:
                self.start(machine, json.loads(document["input"]), document["name"])
                continue
            assert self._journal is not None
            self._journal.drop(key)

    def stop(self, execution: Execution, error: str | None, cause: str | None) -> None:
        """Abort one that still runs."""
        if execution.outcome is None and execution.task is not None:
            execution.stopped = ExecutionOutcome(ExecutionStatus.ABORTED, None, error, cause)
            execution.task.cancel()

    def find(self, arn: str) -> Execution:
        """One execution.

        Raises:
            ApiError: 400 ExecutionDoesNotExist.
        """
        found = self._all.get(arn)
        if found is None:
            raise ApiError(400, "ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return found

    async def finished(self, arn: str) -> Mapping[str, Any]:
        """What DescribeExecution says, once the execution has ended."""
        execution = self.find(arn)
        await execution.done.wait()
        return describe(execution)

    def of(self, machine: StateMachine, status: str | None) -> Iterator[Execution]:
        """A machine's executions, the newest first."""
        for execution in reversed(self._all.values()):
            if execution.start.machine.name == machine.name and status in (
                None,
                execution.status,
            ):
                yield execution

    async def drain(self) -> None:
        """Let what runs come to its end, for a moment."""
        running = {one.task for one in self._all.values() if one.task and not one.task.done()}
        if not running:
            return
        _log.info("%d executions of state machines are given a moment to end", len(running))
        timer = asyncio.create_task(self._clock.sleep_ms(_DRAIN_MS))
        while running and not timer.done():
            await asyncio.wait({timer, *running}, return_when=asyncio.FIRST_COMPLETED)
            running = {task for task in running if not task.done()}
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)

    async def close(self) -> None:
        """Abort everything that still runs; standard ones begin again at the next start."""
        self._closing = True
        running = [one.task for one in self._all.values() if one.task and not one.task.done()]
        if running:
            _log.warning("%d executions of state machines end with localpop", len(running))
        await _cancelled(running)

    async def clear(self) -> None:
        """Abort and forget all of them."""
        await _cancelled([one.task for one in self._all.values() if one.task])
        self._all.clear()
        self._ended.clear()

    def _tell_status(self, execution: Execution) -> None:
        if execution.start.machine.kind is MachineType.STANDARD:
            self._tell(lambda: describe(execution))

    def _say(self, execution: Execution, message: str) -> None:
        if self._log is not None:
            name = execution.start.machine.name
            group = f"/aws/vendedlogs/states/{name}-Logs"
            self._log(
                FunctionLogLine(
                    group, execution.start.name, "us-east-1", self._clock.epoch_ms(), message, name
                )
            )


_WORDS: Final = {
    ExecutionStatus.SUCCEEDED: "Succeeded",
    ExecutionStatus.FAILED: "Failed",
    ExecutionStatus.TIMED_OUT: "TimedOut",
    ExecutionStatus.ABORTED: "Aborted",
}


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    waiting: Awaitable[Any] = asyncio.gather(*tasks, return_exceptions=True)
    await waiting


def execution_arn(machine: StateMachine, name: str) -> str:
    """An execution's ARN; an express workflow's has one more part behind it."""
    kind = "express" if machine.kind is MachineType.EXPRESS else "execution"
    return machine.arn.replace(":stateMachine:", f":{kind}:", 1) + f":{name}"


def describe(execution: Execution) -> dict[str, Any]:
    """What DescribeExecution says; dates are epoch ms."""
    start, outcome = execution.start, execution.outcome
    shape: dict[str, Any] = {
        "executionArn": start.arn,
        "stateMachineArn": start.machine.arn,
        "name": start.name,
        "status": str(execution.status),
        "startDate": start.started_ms,
        "input": compact(start.value),
        "inputDetails": {"included": True},
        "redriveCount": 0,
        "redriveStatus": "NOT_REDRIVABLE",
    }
    if execution.ended_ms is not None:
        shape["stopDate"] = execution.ended_ms
    if outcome is not None:
        if outcome.status is ExecutionStatus.SUCCEEDED:
            shape |= {"output": compact(outcome.output), "outputDetails": {"included": True}}
        if outcome.error is not None:
            shape["error"] = outcome.error
        if outcome.cause is not None:
            shape["cause"] = outcome.cause
    return shape
