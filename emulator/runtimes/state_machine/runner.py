"""The native runner: an execution is one coroutine over the definition as it was written.

The way of a state's data is that of the Step Functions guide ("Processing input and output"):
InputPath, Parameters, the work, ResultSelector, ResultPath (on the raw input), OutputPath; with
JSONata Arguments, the work, Output. Assign sets variables that later states see; branches and
iterations see them too, and keep their own to themselves.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson

from emulator.clock import Clock
from emulator.rules import asl_choices, asl_jsonata
from emulator.rules.asl_definition import Integration, parse_resource
from emulator.rules.asl_errors import (
    DATA_LIMIT_EXCEEDED,
    HEARTBEAT_TIMEOUT,
    NO_CHOICE_MATCHED,
    QUERY_EVALUATION,
    RUNTIME,
    TIMEOUT,
    TOLERATED_FAILURE,
    StateFailure,
    find_match,
    retry_delay_s,
)
from emulator.rules.asl_paths import Scope, evaluated, filled, placed, selected
from emulator.runtimes.state_machine.history import History
from emulator.runtimes.state_machine.tasks import CallService, Finished, run_task
from emulator.runtimes.state_machine.tokens import TaskTokens
from emulator.values.state_machines import ExecutionOutcome, ExecutionStart, ExecutionStatus

DATA_MAX_BYTES: Final = 262_144
"""Step Functions quotas: "256 KiB of data as a UTF-8 encoded string"."""
# MaxConcurrency 0: as many as AWS runs at once for an inline Map state.
_CONCURRENCY_MAX: Final = 40
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where states run: a machine, a branch, or an iteration.

    Args:
        context: The context object without `State` and `Task`.
        variables: What Assign has set; this frame's own.
        language: The query language.
    """

    context: Mapping[str, Any]
    variables: dict[str, Any]
    language: str


@dataclass(slots=True)
class _Entered:
    """A state while it runs.

    Args:
        name: Its name.
        state: Its definition.
        raw: Its input as it came.
        frame: Where it runs.
        entered: The number of the event that entered it.
        last: The number of the last event of it.
        context: The context object.
    """

    name: str
    state: Mapping[str, Any]
    raw: Any
    frame: _Frame
    entered: int
    last: int
    context: dict[str, Any]

    @property
    def is_jsonata(self) -> bool:
        """Whether its query language is JSONata."""
        return bool(self.state.get("QueryLanguage", self.frame.language) == "JSONata")


class StateMachineRunner:
    """Runs executions.

    Args:
        clock: Waits, time-outs, retries.
        call: The other services.
        finished: Waits for another execution's end.
        tokens: Those of tasks that wait.
        chance: Jitter, and functions that draw.
    """

    def __init__(
        self,
        clock: Clock,
        call: CallService,
        finished: Finished,
        tokens: TaskTokens,
        chance: random.Random,
    ) -> None:
        self.clock, self.call, self.finished = clock, call, finished
        self.tokens, self.chance = tokens, chance

    async def run(self, start: ExecutionStart, history: History) -> ExecutionOutcome:
        """Run an execution to its end; whatever it does, there is an outcome."""
        return await _Run(self, start, history).outcome()


class _Run:
    """One execution."""

    def __init__(self, runner: StateMachineRunner, start: ExecutionStart, history: History) -> None:
        self._runner, self._start, self._history = runner, start, history
        self._clock, self._chance = runner.clock, runner.chance

    async def outcome(self) -> ExecutionOutcome:
        definition, history = self._start.machine.definition, self._history
        first = history.add(
            "ExecutionStarted",
            0,
            "executionStartedEventDetails",
            {"input": self._start.value, "roleArn": self._start.machine.role_arn},
        )
        frame = _Frame(self._context(), {}, definition.get("QueryLanguage", "JSONPath"))
        try:
            work = self._states(definition, self._start.value, frame, first)
            seconds = definition.get("TimeoutSeconds")
            output, last = await (self._within(seconds, work, _Late) if seconds else work)
        except _Late:
            history.add("ExecutionTimedOut", 0, "executionTimedOutEventDetails", {})
            return ExecutionOutcome(ExecutionStatus.TIMED_OUT)
        except StateFailure as failure:
            cause = _decorated(failure)
            history.add(
                "ExecutionFailed",
                0,
                "executionFailedEventDetails",
                {"error": failure.error, "cause": cause},
            )
            return ExecutionOutcome(ExecutionStatus.FAILED, None, failure.error, cause)
        except RecursionError:
            cause = "The definition or its data is nested too deeply"
            return ExecutionOutcome(ExecutionStatus.FAILED, None, RUNTIME, cause)
        history.add(
            "ExecutionSucceeded", last, "executionSucceededEventDetails", {"output": output}
        )
        return ExecutionOutcome(ExecutionStatus.SUCCEEDED, output)

    def _context(self) -> dict[str, Any]:
        start = self._start
        return {
            "Execution": {
                "Id": start.arn,
                "Input": start.value,
                "Name": start.name,
                "RoleArn": start.machine.role_arn,
                "StartTime": _moment(start.started_ms),
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": start.machine.arn, "Name": start.machine.name},
        }

    # --- the walk -----------------------------------------------------------------------------

    async def _states(
        self, machine: Mapping[str, Any], value: Any, frame: _Frame, last: int
    ) -> tuple[Any, int]:
        """From StartAt to an end; the output, and the last event."""
        name: str | None = machine["StartAt"]
        while name is not None:
            state = machine["States"][name]
            try:
                value, following, last = await self._state(name, state, value, frame, last)
            except RecursionError:
                raise StateFailure(RUNTIME, f"The data of {name} is nested too deeply") from None
            name = following
        return value, last

    async def _state(
        self, name: str, state: Mapping[str, Any], value: Any, frame: _Frame, last: int
    ) -> tuple[Any, str | None, int]:
        kind = state["Type"]
        history = self._history
        entered = history.add(
            f"{kind}StateEntered", last, "stateEnteredEventDetails", {"name": name, "input": value}
        )
        context = {
            **frame.context,
            "State": {"Name": name, "EnteredTime": _moment(self._clock.epoch_ms())},
        }
        one = _Entered(name, state, value, frame, entered, entered, context)
        try:
            output, following = await self._do(kind, one)
            self._require_size(output, name)
        except StateFailure as failure:
            if failure.place is None:
                failure.place = (name, entered)
            raise
        last = history.add(
            f"{kind}StateExited",
            one.last,
            "stateExitedEventDetails",
            {"name": name, "output": output},
        )
        return output, following, last

    async def _do(self, kind: str, one: _Entered) -> tuple[Any, str | None]:
        match kind:
            case "Pass":
                return self._pass(one), one.state.get("Next")
            case "Choice":
                return self._choice(one)
            case "Wait":
                return await self._wait(one), one.state.get("Next")
            case "Succeed":
                return self._output(one, self._input(one)), None
            case "Fail":
                raise self._fail(one)
            case _:
                return await self._with_handlers(kind, one)

    # --- simple states --------------------------------------------------------------------------

    def _pass(self, one: _Entered) -> Any:
        state = one.state
        if one.is_jsonata:
            return self._output(one, one.raw)
        value = self._input(one)
        result = (
            filled(state["Parameters"], self._scope(one, value))
            if ("Parameters" in state)
            else value
        )
        if "Result" in state:
            result = state["Result"]
        self._assign(one, result)
        placed_result = placed(state.get("ResultPath", "$"), one.raw, result)
        return selected(state.get("OutputPath", "$"), self._scope(one, placed_result))

    def _choice(self, one: _Entered) -> tuple[Any, str | None]:
        state, value = one.state, self._input(one)
        for rule in state["Choices"]:
            if self._holds(one, rule, value):
                return self._output(one, value, rule), rule["Next"]
        if "Default" not in state:
            raise StateFailure(NO_CHOICE_MATCHED, None)
        return self._output(one, value), state["Default"]

    def _holds(self, one: _Entered, rule: Mapping[str, Any], value: Any) -> bool:
        if not one.is_jsonata:
            return asl_choices.holds(rule, self._scope(one, value))
        condition = self._jsonata(one, rule["Condition"], "Condition")
        if not isinstance(condition, bool):
            raise StateFailure(
                QUERY_EVALUATION,
                f"The JSONata expression '{rule['Condition']}' specified for the field 'Condition' "
                "returned an unexpected result type. Expected 'boolean'.",
            )
        return condition

    async def _wait(self, one: _Entered) -> Any:
        state, value = one.state, self._input(one)
        moment = state.get("Timestamp")
        seconds = state.get("Seconds")
        if "SecondsPath" in state:
            seconds = selected(state["SecondsPath"], self._scope(one, value))
        if "TimestampPath" in state:
            moment = selected(state["TimestampPath"], self._scope(one, value))
        if one.is_jsonata:
            moment = self._jsonata(one, moment, "Timestamp")
            seconds = self._jsonata(one, seconds, "Seconds")
        if moment is not None:
            until = asl_choices.parse_timestamp(moment)
            if until is None:
                raise StateFailure(
                    RUNTIME,
                    "The Timestamp parameter does not reference a valid ISO-8601 extended offset "
                    f"date-time format string: {moment}",
                )
            await self._clock.sleep_ms(until.timestamp() * 1_000 - self._clock.epoch_ms())
        else:
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
                raise StateFailure(
                    RUNTIME,
                    f"The SecondsPath parameter does not reference a valid value: {seconds!r}",
                )
            await self._clock.sleep_ms(seconds * 1_000)
        return self._output(one, value)

    def _fail(self, one: _Entered) -> StateFailure:
        return StateFailure(self._words(one, "Error"), self._words(one, "Cause"))

    def _words(self, one: _Entered, name: str) -> str | None:
        """A Fail state's Error or Cause: a text, or none."""
        state = one.state
        if one.is_jsonata:
            found, failure = self._jsonata(one, state.get(name), name), QUERY_EVALUATION
        elif f"{name}Path" in state:
            scope = self._scope(one, one.raw)
            found, failure = evaluated(state[f"{name}Path"], scope, f"{name}Path"), RUNTIME
        else:
            found, failure = state.get(name), RUNTIME
        if found is not None and not isinstance(found, str):
            raise StateFailure(failure, f"The field '{name}' is not a string: {found!r}")
        return found

    # --- states that may fail and be tried again ------------------------------------------------

    async def _with_handlers(self, kind: str, one: _Entered) -> tuple[Any, str | None]:
        state, tries = one.state, 0
        used: dict[int, int] = {}
        while True:
            one.context["State"] = {**one.context["State"], "RetryCount": tries}
            try:
                return await self._once(kind, one), state.get("Next")
            except StateFailure as failure:
                retrier = find_match(failure, state.get("Retry") or ())
                delay_s = None
                if retrier is not None:
                    number, policy = retrier
                    delay_s = retry_delay_s(policy, used.get(number, 0), self._chance)
                    used[number] = used.get(number, 0) + 1
                if delay_s is not None:
                    tries += 1
                    await self._clock.sleep_ms(delay_s * 1_000)
                    continue
                catcher = find_match(failure, state.get("Catch") or ())
                if catcher is None:
                    raise
                return self._caught(one, catcher[1], failure), catcher[1]["Next"]

    async def _once(self, kind: str, one: _Entered) -> Any:
        value = self._input(one)
        seconds = self._seconds(one, value, "TimeoutSeconds")
        if kind == "Task":
            result = await self._task(one, value, seconds)
        elif kind == "Parallel":
            result = await self._parallel(one, value)
        else:
            result = await self._map(one, value)
        return self._result(one, result)

    def _caught(self, one: _Entered, catcher: Mapping[str, Any], failure: StateFailure) -> Any:
        output = failure.output
        if one.is_jsonata:
            self._assign(one, output, catcher, error=output)
            if "Output" in catcher:
                return self._jsonata(one, catcher["Output"], "Output", error=output)
            return output
        self._assign(one, output, catcher)
        return placed(catcher.get("ResultPath", "$"), one.raw, output)

    def _result(self, one: _Entered, result: Any) -> Any:
        state = one.state
        if one.is_jsonata:
            self._assign(one, result, result=result)
            if "Output" in state:
                return self._jsonata(one, state["Output"], "Output", result=result)
            return result
        scope = self._scope(one, result)
        self._assign(one, result)
        if "ResultSelector" in state:
            result = filled(state["ResultSelector"], scope)
        placed_result = placed(state.get("ResultPath", "$"), one.raw, result)
        return selected(state.get("OutputPath", "$"), self._scope(one, placed_result))

    # --- Task -----------------------------------------------------------------------------------

    async def _task(self, one: _Entered, value: Any, seconds: float | None) -> Any:
        integration = parse_resource(one.state["Resource"])
        assert integration is not None
        waits = integration.pattern == ".waitForTaskToken"
        waiting = self._runner.tokens.new() if waits else None
        if waiting is not None:
            one.context["Task"] = {"Token": waiting.token}
        try:
            parameters = self._parameters(one, value)
            heartbeat_s = self._seconds(one, value, "HeartbeatSeconds")
            scheduled = self._scheduled(one, integration, parameters, seconds)
            work = run_task(
                integration, parameters, one.context, self._runner.call, self._runner.finished
            )
            if waiting is not None:
                work = self._answered(waiting, work, heartbeat_s)
            result = await (self._within(seconds, work, _TaskLate) if seconds else work)
        except _TaskLate:
            raise self._failed(one, integration, StateFailure(TIMEOUT, None)) from None
        except StateFailure as failure:
            raise self._failed(one, integration, failure) from None
        finally:
            if waiting is not None:
                self._runner.tokens.forget(waiting)
        self._require_size(result, integration.function_arn or integration.service)
        self._succeeded(one, integration, scheduled, result)
        return result

    async def _answered(
        self, waiting: Any, work: Coroutine[Any, Any, Any], heartbeat_s: float | None
    ) -> Any:
        """Do the work, then wait for its token."""
        await work
        while heartbeat_s:
            beating = asyncio.ensure_future(waiting.heartbeat.wait())
            timer = asyncio.ensure_future(self._clock.sleep_ms(heartbeat_s * 1_000))
            try:
                await asyncio.wait(
                    {waiting.answer, beating, timer}, return_when=asyncio.FIRST_COMPLETED
                )
                if waiting.answer.done():
                    break
                if not beating.done():
                    raise StateFailure(HEARTBEAT_TIMEOUT, None)
                waiting.heartbeat.clear()
            finally:
                await _ended(beating, timer)
        return await waiting.answer

    def _parameters(self, one: _Entered, value: Any) -> Any:
        state = one.state
        if one.is_jsonata:
            if "Arguments" in state:
                return self._jsonata(one, state["Arguments"], "Arguments")
            return value
        if "Parameters" in state:
            return filled(state["Parameters"], self._scope(one, value))
        return value

    def _scheduled(
        self, one: _Entered, integration: Integration, parameters: Any, seconds: float | None
    ) -> int:
        history = self._history
        if integration.function_arn:
            one.last = history.add(
                "LambdaFunctionScheduled",
                one.last,
                "lambdaFunctionScheduledEventDetails",
                {
                    "resource": integration.function_arn,
                    "input": parameters,
                    "timeoutInSeconds": seconds,
                },
            )
            one.last = history.add("LambdaFunctionStarted", one.last)
            return one.last
        named = _named(integration)
        one.last = history.add(
            "TaskScheduled",
            one.last,
            "taskScheduledEventDetails",
            {
                **named,
                "region": "us-east-1",
                "parameters": parameters,
                "timeoutInSeconds": seconds,
            },
        )
        one.last = history.add("TaskStarted", one.last, "taskStartedEventDetails", named)
        return one.last

    def _succeeded(
        self, one: _Entered, integration: Integration, previous: int, result: Any
    ) -> None:
        kind, detail, named = "TaskSucceeded", "taskSucceededEventDetails", _named(integration)
        if integration.function_arn:
            kind, detail = "LambdaFunctionSucceeded", "lambdaFunctionSucceededEventDetails"
            named = {}
        one.last = self._history.add(kind, previous, detail, {**named, "output": result})

    def _failed(
        self, one: _Entered, integration: Integration, failure: StateFailure
    ) -> StateFailure:
        is_late = failure.error == TIMEOUT
        word = "TimedOut" if is_late else "Failed"
        kind, named = f"Task{word}", _named(integration)
        if integration.function_arn:
            kind, named = f"LambdaFunction{word}", {}
        detail = f"{kind[0].lower()}{kind[1:]}EventDetails"
        one.last = self._history.add(
            kind, one.last, detail, {**named, "error": failure.error, "cause": failure.cause}
        )
        return failure

    # --- Parallel and Map -----------------------------------------------------------------------

    async def _parallel(self, one: _Entered, value: Any) -> list[Any]:
        given = self._parameters(one, value)
        one.last = started = self._history.add("ParallelStateStarted", one.last)
        works = [
            self._states(branch, given, self._inside(one, one.context), started)
            for branch in one.state["Branches"]
        ]
        ended = await self._together(one, works)
        one.last = self._history.add("ParallelStateSucceeded", max(last for _, last in ended))
        return [output for output, _ in ended]

    async def _map(self, one: _Entered, value: Any) -> list[Any]:
        items = self._items(one, value)
        one.last = started = self._history.add(
            "MapStateStarted", one.last, "mapStateStartedEventDetails", {"length": len(items)}
        )
        limit = self._whole(one, value, "MaxConcurrency", 0) or _CONCURRENCY_MAX
        tolerated = self._tolerated(one, value, len(items))
        turns, failures = asyncio.Semaphore(limit), 0

        async def iterate(number: int, item: Any) -> tuple[Any, int]:
            nonlocal failures
            async with turns:
                try:
                    return await self._iteration(one, value, number, item, started)
                except StateFailure as failure:
                    failures += 1
                    if tolerated is None:
                        raise
                    if failures > tolerated:
                        raise StateFailure(
                            TOLERATED_FAILURE,
                            "The specified tolerated failure threshold was exceeded",
                        ) from None
                    return failure.output, started

        works = [iterate(number, item) for number, item in enumerate(items)]
        ended = await self._together(one, works) if works else []
        last = max((last for _, last in ended), default=started)
        one.last = self._history.add("MapStateSucceeded", last)
        return [output for output, _ in ended]

    async def _iteration(
        self, one: _Entered, value: Any, number: int, item: Any, started: int
    ) -> tuple[Any, int]:
        state = one.state
        context = {**one.context, "Map": {"Item": {"Index": number, "Value": item}}}
        named = {"name": one.name, "index": number}
        last = self._history.add(
            "MapIterationStarted", started, "mapIterationStartedEventDetails", named
        )
        selector = state.get("ItemSelector", state.get("Parameters"))
        given = item
        if selector is not None:
            inside = replace_context(one, context)
            if one.is_jsonata:
                given = self._jsonata(inside, selector, "ItemSelector")
            else:
                given = filled(selector, self._scope(inside, value))
        processor = state.get("ItemProcessor") or state["Iterator"]
        try:
            output, last = await self._states(processor, given, self._inside(one, context), last)
        except StateFailure:
            self._history.add("MapIterationFailed", last, "mapIterationFailedEventDetails", named)
            raise
        last = self._history.add(
            "MapIterationSucceeded", last, "mapIterationSucceededEventDetails", named
        )
        return output, last

    def _items(self, one: _Entered, value: Any) -> list[Any]:
        state = one.state
        if one.is_jsonata:
            items = self._jsonata(one, state["Items"], "Items") if "Items" in state else value
            problem = f"The JSONata expression '{state.get('Items')}' is no array"
            error = QUERY_EVALUATION
        else:
            path = state.get("ItemsPath", "$")
            items = selected(path, self._scope(one, value))
            problem, error = f'Reference path "{path}" must point to array.', RUNTIME
        if not isinstance(items, list):
            raise StateFailure(error, problem)
        return items

    def _tolerated(self, one: _Entered, value: Any, count: int) -> float | None:
        """How many iterations may fail; None when none may."""
        number = self._whole(one, value, "ToleratedFailureCount", None)
        percentage = self._whole(one, value, "ToleratedFailurePercentage", None)
        limits = [] if number is None else [float(number)]
        if percentage is not None:
            limits.append(count * percentage / 100)
        return min(limits) if limits else None

    async def _together(
        self, one: _Entered, works: Sequence[Coroutine[Any, Any, tuple[Any, int]]]
    ) -> list[tuple[Any, int]]:
        """All results; the first failure stops the others."""
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            return await asyncio.gather(*tasks)
        except StateFailure as failure:
            word = one.state["Type"]
            detail = {"error": failure.error, "cause": failure.cause}
            one.last = self._history.add(f"{word}StateFailed", one.last, "", detail)
            raise
        finally:
            await _ended(*tasks)

    def _inside(self, one: _Entered, context: Mapping[str, Any]) -> _Frame:
        inner = {key: item for key, item in context.items() if key not in ("State", "Task")}
        language = "JSONata" if one.is_jsonata else one.frame.language
        return _Frame(inner, dict(one.frame.variables), language)

    # --- data -----------------------------------------------------------------------------------

    def _scope(self, one: _Entered, value: Any) -> Scope:
        return Scope(value, one.context, one.frame.variables, self._chance)

    def _input(self, one: _Entered) -> Any:
        path = one.state.get("InputPath", "$")
        return one.raw if path == "$" else selected(path, self._scope(one, one.raw))

    def _output(self, one: _Entered, value: Any, rule: Mapping[str, Any] | None = None) -> Any:
        """What a state without a result hands on, with its Assign done; a Choice rule has both."""
        holder = one.state if rule is None else rule
        self._assign(one, value, holder)
        if one.is_jsonata:
            if "Output" in holder:
                return self._jsonata(one, holder["Output"], "Output")
            return value
        return selected(one.state.get("OutputPath", "$"), self._scope(one, value))

    def _assign(
        self,
        one: _Entered,
        value: Any,
        holder: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Set variables; all of them see what was there before."""
        template = (one.state if holder is None else holder).get("Assign")
        if not template:
            return
        if one.is_jsonata:
            found = self._jsonata(one, template, "Assign", **more)
        else:
            found = filled(template, self._scope(one, value))
        one.frame.variables.update(found)

    def _jsonata(self, one: _Entered, template: Any, shown: str, **more: Any) -> Any:
        states = {"input": one.raw, "context": one.context}
        if "result" in more:
            states["result"] = more["result"]
        if "error" in more:
            states["errorOutput"] = more["error"]
        bindings = {**one.frame.variables, "states": states}
        return asl_jsonata.filled(template, bindings, self._chance, shown)

    def _seconds(self, one: _Entered, value: Any, name: str) -> float | None:
        state = one.state
        if f"{name}Path" in state:
            found = selected(state[f"{name}Path"], self._scope(one, value))
        else:
            found = state.get(name)
            if one.is_jsonata:
                found = self._jsonata(one, found, name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, (int, float)) or found <= 0:
            raise StateFailure(RUNTIME, f"{name} is not a positive number: {found!r}")
        return found

    def _whole(self, one: _Entered, value: Any, name: str, default: int | None) -> int | None:
        state = one.state
        found = state.get(name, default)
        if f"{name}Path" in state:
            found = selected(state[f"{name}Path"], self._scope(one, value))
        elif one.is_jsonata:
            found = self._jsonata(one, found, name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, (int, float)) or found < 0:
            raise StateFailure(
                RUNTIME, f"Expected non-negative integer for {name}, got '{found}' instead."
            )
        return int(found)

    def _require_size(self, value: Any, of: str) -> None:
        try:
            size = len(orjson.dumps(value))
        except TypeError:
            # A number beyond 64 bits, say; nothing of that is large.
            return
        if size > DATA_MAX_BYTES:
            raise StateFailure(
                DATA_LIMIT_EXCEEDED,
                f"The state/task '{of}' returned a result with a size exceeding the maximum number "
                "of bytes service limit.",
            )

    async def _within(self, seconds: float, work: Awaitable[_T], late: type[Exception]) -> _T:
        """The work, unless it takes longer than so many seconds of the clock."""
        doing = asyncio.ensure_future(work)
        timer = asyncio.ensure_future(self._clock.sleep_ms(seconds * 1_000))
        try:
            await asyncio.wait({doing, timer}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise late
            return doing.result()
        finally:
            await _ended(doing, timer)


class _Late(Exception):  # noqa: N818 - never leaves this file
    """The whole execution took too long."""


class _TaskLate(Exception):  # noqa: N818 - never leaves this file
    """A task took too long."""


def replace_context(one: _Entered, context: dict[str, Any]) -> _Entered:
    """A state with another context object."""
    return replace(one, context=context)


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    """End what is still at work, and leave no exception unseen."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _named(integration: Integration) -> dict[str, Any]:
    return {
        "resourceType": integration.service,
        "resource": f"{integration.action}{integration.pattern}",
    }


def _decorated(failure: StateFailure) -> str | None:
    """The cause as the end of an execution shows it."""
    if failure.error in (RUNTIME, QUERY_EVALUATION) and failure.place and failure.cause:
        name, entered = failure.place
        return (
            f"An error occurred while executing the state '{name}' (entered at the event id "
            f"#{entered}). {failure.cause}"
        )
    return failure.cause


def _moment(epoch_ms: float) -> str:
    moment = datetime.fromtimestamp(epoch_ms / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
