"""The public face: an engine that loads CloudFront Functions and runs them for events."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import weakref
from dataclasses import dataclass
from typing import Any, Final

import orjson

from emulator import quotas
from emulator.clock import Clock
from emulator.errors import EdgeFunctionError, FailureKind, NotEmulated
from emulator.rules.cloudfront_function_result import NOT_RUN
from emulator.runtimes.cloudfront_functions.checker import Inspection, Problem, inspect_code
from emulator.runtimes.cloudfront_functions.frames import encode
from emulator.runtimes.cloudfront_functions.process import (
    Answer,
    Call,
    CallFailed,
    Code,
    WorkerProcess,
)
from emulator.runtimes.cloudfront_functions.throttling import (
    FAILURES_IN_A_ROW,
    PAUSE_MS,
    Throttle,
)
from emulator.values.functions import EventType, FunctionEvent, FunctionRun
from emulator.values.key_values import StoreSnapshot
from emulator.values.messages import Request, Response
from emulator.values.origin_changes import OriginChange
from emulator.wire.cloudfront_function_origin import parse_origin_change
from emulator.wire.cloudfront_functions import (
    dump_event,
    dump_output,
    parse_event,
    parse_result,
)

TIME_LIMIT_MS: Final = 50.0
"""CPU time after which a call is killed: far above the budget of 1 ms, because our engine and our
machine are not CloudFront's. Between the two a call ends well, with a utilization of 100."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handler gave, before anything was made of it.

    Args:
        result: The returned object as JSON has it; None when it returned nothing or failed.
        error: The engine's message when it failed; else empty.
        logs: The lines it wrote.
        compute_utilization: 0 to 100.
        cpu_ms: CPU time of the call, as measured here.
        store_reads: How often it read its key value store.
        effects: What helpers of the `cloudfront` module left.
        is_overrun: Whether it did not end in time, or did not even compile: what throttles.
    """

    result: Any
    error: str
    logs: tuple[str, ...]
    compute_utilization: int
    cpu_ms: float
    store_reads: int
    effects: dict[str, Any]
    is_overrun: bool = False


@dataclass(frozen=True, slots=True)
class TestResult:
    """What TestFunction answers (facts 8.8).

    Args:
        outcome: The run: utilization and logs.
        error_message: `FunctionErrorMessage`; empty on success.
        output: `FunctionOutput`, JSON text; empty on failure.
    """

    # Not a test, whatever pytest thinks of the name.
    __test__ = False

    outcome: Outcome
    error_message: str
    output: str


class CloudFrontFunctions:
    """The engine: worker processes that run CloudFront Functions.

    Args:
        clock: For `Date.now()` and durations.
        workers: How many processes; calls go to the one with the fewest in flight.
        time_limit_ms: CPU time after which a call is killed.
        seed: For `Math.random()`.
        throttle_memory_ms: How long a function stays throttled whatever code it gets; real
            CloudFront took 5 to 15 minutes. 0: mended code runs at once.
        changes_origins: Whether the caller acts on `FunctionRun.origin_change`; else a function
            that chooses an origin is refused.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        workers: int = 1,
        time_limit_ms: float = TIME_LIMIT_MS,
        seed: int = 0,
        throttle_memory_ms: float = 0.0,
        changes_origins: bool = False,
    ) -> None:
        self._clock = clock
        self.changes_origins = changes_origins
        self._remembers_names = throttle_memory_ms > 0
        self.throttle = Throttle(clock, throttle_memory_ms or PAUSE_MS)
        self._workers = [WorkerProcess(time_limit_ms) for _ in range(workers)]
        self._random = random.Random(seed)
        self._call_ids = itertools.count(1)
        self._code_ids = itertools.count(1)
        self._dropped: list[int] = []

    @property
    def worker_pids(self) -> list[int]:
        """The processes that are up."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def cpu_s(self) -> float | None:
        """CPU seconds that the workers have used; None where the system does not tell."""
        used = [worker.cpu_ns() for worker in self._workers]
        known = [each for each in used if each is not None]
        return sum(known) / 1e9 if len(known) == len(used) else None

    async def start(self) -> None:
        """Have every worker ready; else the first call starts one."""
        await asyncio.gather(*(worker.start() for worker in self._workers))

    async def close(self) -> None:
        """End every worker; calls in flight fail."""
        await asyncio.gather(*(worker.close() for worker in self._workers))

    def load(self, name: str, code: str, runtime: str) -> LoadedFunction:
        """Take in a function's code. Code that does not compile loads as well, and fails when run.

        Args:
            name: The function's name.
            code: Its JavaScript.
            runtime: `cloudfront-js-1.0` or `cloudfront-js-2.0`.
        """
        inspection = inspect_code(code, runtime)
        code_id = next(self._code_ids)
        imports = [[each.name, each.module] for each in inspection.imports]
        calls = [[each.start, each.end, each.member] for each in inspection.member_calls]
        frame = encode(
            ["load", code_id, runtime, imports, inspection.body, inspection.keeps_globals, calls]
        )
        loaded = LoadedFunction(self, name, runtime, inspection, Code(code_id, frame))
        # Workers are told at the next call: an object may be freed at any time, on any thread.
        weakref.finalize(loaded, self._dropped.append, code_id).atexit = False
        return loaded

    def throttle_key(self, name: str, code: Code) -> str:
        """What throttling is remembered by: the name, or this very code."""
        return name if self._remembers_names else str(code.id)

    def _drop_freed(self) -> None:
        while self._dropped:
            code_id = self._dropped.pop()
            self.throttle.forget(str(code_id))
            for worker in self._workers:
                worker.drop(code_id)

    async def call(
        self,
        code: Code,
        event_json: str,
        raw_query: str | None,
        edge_location_json: str,
        snapshot: StoreSnapshot | None,
    ) -> Outcome:
        """Run one handler."""
        self._drop_freed()
        workers = self._workers
        worker = workers[0] if len(workers) == 1 else min(workers, key=_in_flight)
        arguments = (
            raw_query,
            edge_location_json,
            float(int(self._clock.epoch_ms())),
            self._random.getrandbits(31),
        )
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        call = Call(next(self._call_ids), code, event_json, arguments, snapshot, future)
        worker.submit(call)
        try:
            answer = await future
        except CallFailed as failure:
            logs = tuple(call.logs)
            return Outcome(None, str(failure), logs, 100, 0.0, 0, {}, is_overrun=True)
        shape = _loads(answer.outcome)
        utilization = round(
            100 * answer.cpu_ms * worker.utilization_scale / quotas.FUNCTION_TIME_BUDGET_MS
        )
        return Outcome(
            shape.get("result"),
            _error_text(shape.get("error")),
            tuple(call.logs),
            min(100, utilization),
            answer.cpu_ms,
            answer.store_reads,
            shape["effects"],
        )

    def now_ms(self) -> float:
        """The engine's clock."""
        return self._clock.now_ms()


class LoadedFunction:
    """One function, ready to run."""

    def __init__(
        self,
        engine: CloudFrontFunctions,
        name: str,
        runtime: str,
        inspection: Inspection,
        code: Code,
    ) -> None:
        self._engine = engine
        self._inspection = inspection
        self._code = code
        self._code_warnings = tuple(
            f"line {each.line}: {each.message}" for each in self.problems if each.is_warning
        )
        self._throttle_key = engine.throttle_key(name, code)
        self.name = name
        self.runtime = runtime

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What CloudFront would refuse in the code, or treat differently."""
        return self._inspection.problems

    async def run(self, event: FunctionEvent, snapshot: StoreSnapshot | None) -> FunctionRun:
        """Run the function for an event.

        Args:
            event: The event; the function is shown what it may see of it.
            snapshot: The one version of its key value store that this invocation reads, or None
                when the function has no store.

        Raises:
            EdgeFunctionError: It failed, did not end, or returned what CloudFront refuses.
            NotEmulated: It chose another origin, or used a helper that localpop lacks.
        """
        began_ms = self._engine.now_ms()
        shown = dump_event(event)
        request = event.request
        raw_query = request.querystring if request.has_query or request.querystring else None
        self._refuse_when_throttled()
        outcome = await self._execute(
            orjson.dumps(shown).decode(), raw_query, _location_json(event), snapshot
        )
        self._engine.throttle.record(self._throttle_key, failed=outcome.is_overrun)
        self._raise_error(outcome)
        missing = outcome.effects.get("notEmulated")
        if missing:
            raise NotEmulated(missing, where=self.name)
        try:
            result = parse_result(outcome.result, event, shown)
            origin_change = self._origin_change(outcome, result)
        except EdgeFunctionError as error:
            raise EdgeFunctionError(
                error.kind,
                error.sentence,
                f"{self.name}: {error.detail}",
                logs=outcome.logs,
            ) from None
        return FunctionRun(
            result,
            logs=outcome.logs,
            duration_ms=self._engine.now_ms() - began_ms,
            billed_ms=outcome.cpu_ms,
            compute_utilization=outcome.compute_utilization,
            store_reads=outcome.store_reads,
            warnings=self._warnings(outcome),
            custom_log_data=outcome.effects.get("customLogData", ""),
            origin_change=origin_change,
        )

    async def run_shown(
        self,
        event_json: str,
        raw_query: str | None = None,
        edge_location_json: str = "{}",
        snapshot: StoreSnapshot | None = None,
    ) -> Outcome:
        """Run the handler with an event as JSON; nothing is made of what it returns.

        Raises:
            EdgeFunctionError: It failed or did not end.
        """
        outcome = await self._execute(event_json, raw_query, edge_location_json, snapshot)
        self._raise_error(outcome)
        return outcome

    async def test(
        self, raw_event: dict[str, Any], snapshot: StoreSnapshot | None = None
    ) -> TestResult:
        """Run the function as TestFunction does: a failure is part of the answer.

        Args:
            raw_event: The event object; ids and host names may be left out.
            snapshot: What its key value store holds.

        Raises:
            EdgeFunctionError: The event object is not one.
        """
        event = parse_event(raw_event)
        # No page says what rawQueryString() gives within a test: here, what the event amounts to.
        raw_query = event.request.querystring if event.request.has_query else None
        outcome = await self._execute(orjson.dumps(raw_event).decode(), raw_query, "{}", snapshot)
        if outcome.error:
            # Seen on CloudFront: the sentence, "Error: ", the engine's message (facts 8.10).
            return TestResult(outcome, f"{NOT_RUN} Error: {outcome.error}", "")
        try:
            parse_result(outcome.result, event, checks_read_only=False)
        except EdgeFunctionError as error:
            return TestResult(outcome, error.sentence, "")
        return TestResult(outcome, "", orjson.dumps(dump_output(outcome.result)).decode())

    async def _execute(
        self,
        event_json: str,
        raw_query: str | None,
        edge_location_json: str,
        snapshot: StoreSnapshot | None,
    ) -> Outcome:
        broken = self._inspection.error
        if broken is not None:
            return Outcome(None, broken.engine_message, (), 0, 0.0, 0, {}, is_overrun=True)
        return await self._engine.call(
            self._code, event_json, raw_query, edge_location_json, snapshot
        )

    def _refuse_when_throttled(self) -> None:
        if self._engine.throttle.is_closed(self._throttle_key):
            raise EdgeFunctionError(
                FailureKind.FUNCTION_THROTTLED,
                NOT_RUN,
                f"{self.name} ({self.runtime}) is throttled: its last {FAILURES_IN_A_ROW} runs"
                " did not compile or did not end in time; mend it, or wait",
            )

    def _raise_error(self, outcome: Outcome) -> None:
        if not outcome.error:
            return
        raise EdgeFunctionError(
            FailureKind.FUNCTION_EXECUTION,
            NOT_RUN,
            f"{self.name} ({self.runtime}): {outcome.error}; mend the function",
            logs=outcome.logs,
            engine_message=outcome.error,
        )

    def _origin_change(self, outcome: Outcome, result: Request | Response) -> OriginChange | None:
        raw = outcome.effects.get("origin")
        if raw is None or isinstance(result, Response):
            return None
        change = parse_origin_change(raw["kind"], raw["args"], result.headers)
        if not self._engine.changes_origins:
            raise NotEmulated(f"cf.{raw['kind']}", where=self.name)
        return change

    def _warnings(self, outcome: Outcome) -> tuple[str, ...]:
        if outcome.compute_utilization < 100:
            return self._code_warnings
        return (
            *self._code_warnings,
            "the call used more than CloudFront's whole time budget; CloudFront may stop or"
            " throttle it",
        )


def _in_flight(worker: WorkerProcess) -> int:
    return worker.in_flight


def _loads(text: str) -> dict[str, Any]:
    try:
        shape = orjson.loads(text)
    except orjson.JSONDecodeError:
        # Half a surrogate pair, which JavaScript can write and UTF-8 cannot hold. njs's strings are
        # UTF-8, so there it is U+FFFD.
        whole = _LONE_SURROGATE.sub(r"\\ufffd", text)
        shape = json.loads(whole)
    assert isinstance(shape, dict)
    return shape


# An escape that belongs to no pair; a backslash before it would make it plain text.
_LONE_SURROGATE: Final = re.compile(
    r"(?<!\\)\\u(?:d[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2}\\u)d[c-f][0-9a-f]{2})"
)


def _error_text(error: dict[str, Any] | None) -> str:
    if error is None:
        return ""
    if error["memory"]:
        return (
            "MemoryError: the function used more than"
            f" {quotas.FUNCTION_MEMORY_MAX_BYTES // quotas.MB} MB of memory"
        )
    return str(error["text"])


def _location_json(event: FunctionEvent) -> str:
    # cf.edgeLocation is there at viewer-request only (facts 6.5).
    if event.event_type is not EventType.VIEWER_REQUEST:
        return "{}"
    location = event.location
    return orjson.dumps(
        {"name": location.name, "serverIp": location.server_ip, "region": location.region}
    ).decode()
