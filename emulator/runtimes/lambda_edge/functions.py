"""Lambda@Edge functions as the edge sees them: load one, run it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from emulator import quotas
from emulator.clock import Clock
from emulator.errors import EdgeFunctionError, FailureKind, NotEmulated
from emulator.rules.lambda_edge_result import NOT_PARSABLE, exposed_body_limit
from emulator.rules.websocket import wants_websocket
from emulator.runtimes.lambda_edge import logs
from emulator.runtimes.lambda_edge.debugging import DEBUG_PATIENCE_S, DebugSpawner
from emulator.runtimes.lambda_edge.declarations import Runnable, prepare
from emulator.runtimes.lambda_edge.environment import (
    Environment,
    EnvironmentSpec,
    Outcome,
    Reply,
)
from emulator.runtimes.lambda_edge.pool import EnvironmentPool, Occupancy, Taken
from emulator.runtimes.lambda_edge.processes import (
    ForkServerSpawner,
    FreshSpawner,
    SandboxStartError,
    Spawner,
)
from emulator.runtimes.lambda_edge.runtime_api import RuntimeApiEnvironment, require_awslambdaric
from emulator.values.function_logs import FunctionLogLine
from emulator.values.functions import FunctionEvent
from emulator.values.lambda_edge import (
    LambdaDeclaration,
    LambdaEdgeSwitches,
    LambdaOrigin,
    LambdaRun,
)
from emulator.values.messages import Body
from emulator.wire.lambda_edge import EventShape, ExposedBody, dump_event
from emulator.wire.lambda_edge_result import parse_result

# CloudFront's own sentences (facts/lambda-at-edge.md 5.2).
NOT_RUN: Final = (
    "The Lambda function associated with the CloudFront distribution is invalid "
    "or doesn't have the required permissions."
)
THROTTLED: Final = "The Lambda function associated with the CloudFront distribution was throttled."
# Threads' stacks and the code of shared libraries: address space that Lambda does not count.
_HEADROOM_BYTES: Final = 128 * quotas.MB
_ACCOUNT_ID: Final = "123456789012"
_SAID_BY_THE_RUNTIME: Final = (Outcome.FAILED, Outcome.FAILED_AND_ENDED)


class LambdaFunctionError(EdgeFunctionError):
    """A Lambda@Edge function failed; carries what the run had given by then.

    Args:
        error: The failure.
        logs: The function's log lines.
        duration_ms: Real milliseconds from hand-over to the failure.
        billed_ms: The handler's own time.
        cold_start: Whether a new execution environment was started.
        queued_ms: As in `LambdaRun`.
    """

    def __init__(
        self,
        error: EdgeFunctionError,
        *,
        logs: tuple[str, ...] = (),
        duration_ms: float = 0.0,
        billed_ms: float = 0.0,
        cold_start: bool = False,
        queued_ms: float = 0.0,
    ) -> None:
        super().__init__(error.kind, error.sentence, error.detail, logs=logs)
        self.duration_ms, self.billed_ms = duration_ms, billed_ms
        self.cold_start, self.queued_ms = cold_start, queued_ms


class LambdaFunctions:
    """Every Lambda@Edge function of one emulator, and the sandboxes they share.

    Args:
        clock: For durations and dates.
        endpoint_url: The AWS endpoint that a function in this Region is told of; asked with an
            empty text for a function that runs beside the endpoint. None for none.
        max_environments: How many environments may be at work at once on this machine; further
            invocations wait in order, which AWS's would not (`LambdaRun.queued_ms`). So many
            runs of 100 ms each are done in a second, times ten.
        max_kept: How many environments may be alive in all, idle ones included; each holds some
            20 MB of its own when it has a boto3 client.
        max_regional: As `max_environments`, for functions that run in a Region: apart, because
            those wait for models and queues, and viewers must never wait for them.
        max_starting: How many may be starting at once; a start is pure CPU. The machine's cores
            when not given.
        concurrency_per_region: AWS's quota of concurrent executions; beyond it, throttled.
        switches: The open questions.
        log: Gets every log line, also those of runs that fail.
        fork: Whether sandboxes come from a fork server; elsewhere than on Linux they cannot.
        awslambdaric: Whether Python functions run under AWS's own runtime interface client.
        declared_python: Whether a function declared for another Python version runs on that
            interpreter, where it is installed.
        debug: The name of a Python function that runs in this very process, for a debugger.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        endpoint_url: Callable[[str], str] | None,
        max_environments: int = 16,
        max_kept: int = 32,
        max_regional: int = 32,
        max_starting: int | None = None,
        concurrency_per_region: int = quotas.LAMBDA_CONCURRENCY_PER_REGION,
        switches: LambdaEdgeSwitches | None = None,
        log: Callable[[FunctionLogLine], None] | None = None,
        fork: bool = sys.platform == "linux",
        awslambdaric: bool = False,
        declared_python: bool = False,
        debug: str = "",
    ) -> None:
        self.clock, self.endpoint_url = clock, endpoint_url
        self.switches = switches or LambdaEdgeSwitches()
        self.concurrency_per_region = concurrency_per_region
        self.in_flight: Counter[str] = Counter()
        if awslambdaric:
            require_awslambdaric()
        self.awslambdaric, self.debug = awslambdaric, debug
        self._declared_python = declared_python
        self._log, self._fork = log, fork
        self._temp: Path | None = None
        self._spawners: dict[tuple[str, ...], Spawner] = {}
        self._debugging: list[DebugSpawner] = []
        self._environments = 0
        starting = max_starting or os.cpu_count() or 1
        self.pool = EnvironmentPool(max_environments, max_kept, starting, clock.now_ms)
        self.regional_pool = EnvironmentPool(
            max_regional,
            max_regional + 16,
            starting,
            clock.now_ms,
            stretch_max=max(32, max_regional),
        )

    @property
    def occupancy(self) -> Occupancy:
        """How many environments there are, and how much was waited for one."""
        return self.pool.occupancy

    @property
    def temp(self) -> Path:
        """The folder of all sandboxes' own folders."""
        if self._temp is None:
            self._temp = Path(tempfile.mkdtemp(prefix="localpop-lambda-"))
        return self._temp

    async def start(self) -> None:
        """Get the fork servers ready for every function loaded so far."""
        await asyncio.gather(*(spawner.start() for spawner in self._spawners.values()))

    async def close(self) -> None:
        """End every sandbox."""
        await asyncio.gather(self.pool.close(), self.regional_pool.close())
        spawners = [*self._spawners.values(), *self._debugging]
        await asyncio.gather(*(spawner.close() for spawner in spawners))
        self._spawners.clear()
        if self._temp is not None:
            shutil.rmtree(self._temp, ignore_errors=True)
            self._temp = None

    def load(self, declaration: LambdaDeclaration) -> LoadedLambda:
        """Check a function and make it ready to run; starts nothing.

        Raises:
            ConfigError: Its folder, handler or configuration cannot be; or there is no Node.js.
            NotEmulated: On Windows, whose processes cannot be handed a channel.
        """
        if sys.platform == "win32":
            raise NotEmulated("Lambda@Edge on Windows (use WSL)", where=declaration.name)
        runnable = prepare(declaration, self.switches, declared_python=self._declared_python)
        return LoadedLambda(self, runnable, self._spawner(runnable))

    def unload(self, function: LoadedLambda) -> None:
        """End a function's environments; invocations at work end first."""
        for pool in (self.pool, self.regional_pool):
            pool.retire(lambda key: isinstance(key, tuple) and key[0] is function)
        self._debugging = [one for one in self._debugging if one is not function.spawner]

    def write_log(
        self, group: str, stream: str, region: str, lines: tuple[str, ...], function: str
    ) -> None:
        """Hand lines over to whoever collects them."""
        if self._log is not None:
            epoch_ms = self.clock.epoch_ms()
            for line in lines:
                self._log(FunctionLogLine(group, stream, region, epoch_ms, line, function))

    def next_environment(self) -> int:
        """A number for a new environment's own folder."""
        self._environments += 1
        return self._environments

    def _spawner(self, runnable: Runnable) -> Spawner:
        if runnable.declaration.name == self.debug:
            # Never shared: its modules live and die with this one function.
            self._debugging.append(DebugSpawner(runnable))
            return self._debugging[-1]
        if runnable.preload not in self._spawners:
            self._spawners[runnable.preload] = (
                ForkServerSpawner(self.temp, runnable.preload) if self._fork else FreshSpawner()
            )
        return self._spawners[runnable.preload]


@dataclass(frozen=True, slots=True)
class PlainRun:
    """What an invocation through Lambda's API gave.

    Args:
        payload: The returned JSON; the error's JSON when it failed.
        failed: Whether the function did not run to its end.
        logs: START, the function's own lines, END and REPORT.
        request_id: Lambda's id of the invocation.
        billed_ms: The handler's own time.
        init_ms: Real milliseconds of a cold start; 0 when it was warm.
        max_memory_mb: The most memory the environment has used so far.
    """

    payload: bytes
    failed: bool
    logs: tuple[str, ...]
    request_id: str = ""
    billed_ms: float = 0.0
    init_ms: float = 0.0
    max_memory_mb: int = 0


@dataclass(slots=True)
class _Invocation:
    """One run on its way: what is known so far."""

    event: FunctionEvent | None
    shown: Any
    request_id: str
    region: str
    group: str
    started_ms: float = 0.0
    taken: Taken | None = None
    reply: Reply = Reply(Outcome.EXITED)  # noqa: RUF009 - frozen
    lines: tuple[str, ...] = ()


class LoadedLambda:
    """One function version, ready to run in any Region."""

    def __init__(self, functions: LambdaFunctions, runnable: Runnable, spawner: Spawner) -> None:
        self._functions, self._runnable, self.spawner = functions, runnable, spawner
        # What whoever looks at the next request should know, such as a save that was held back.
        self.notice = ""
        declaration = runnable.declaration
        if declaration.regional:
            self._name, self._pool = declaration.name, functions.regional_pool
            self._group = f"/aws/lambda/{declaration.name}"
        else:
            self._name = functions.switches.function_name_prefix + declaration.name
            self._pool = functions.pool
            # DG edge-functions-logs: the prefix is there in every Region.
            self._group = f"/aws/lambda/us-east-1.{declaration.name}"

    @property
    def declaration(self) -> LambdaDeclaration:
        """What was loaded."""
        return self._runnable.declaration

    @property
    def warnings(self) -> tuple[str, ...]:
        """What will be different on AWS; said once, when it is loaded."""
        return self._runnable.warnings

    async def run(
        self,
        event: FunctionEvent,
        *,
        include_body: bool = False,
        origin: LambdaOrigin | None = None,
    ) -> LambdaRun:
        """Run the function in a replica in the event's Region.

        Args:
            event: What it is about.
            include_body: Whether the association has IncludeBody.
            origin: Origin events: the chosen origin, as the function sees it.

        Raises:
            LambdaFunctionError: It failed, returned what CloudFront refuses, or was throttled.
        """
        body = None
        if (
            include_body
            and event.event_type.is_request
            # What follows a handshake has no end that one could wait for.
            and not wants_websocket(event.request)
        ):
            event, body = await _expose(event)
        shown = dump_event(event, body=body, origin=origin, switches=self._functions.switches)
        return await self.run_shown(event, shown)

    async def run_shown(self, event: FunctionEvent, shown: EventShape) -> LambdaRun:
        """Run the function with an event as somebody wrote it down.

        Args:
            event: What the result is judged against.
            shown: What the function is handed.

        Raises:
            LambdaFunctionError: As for `run`.
        """
        functions, region = self._functions, event.location.region
        invocation = _Invocation(event, shown, str(uuid.uuid4()), region, self._group)
        if functions.in_flight[region] >= functions.concurrency_per_region:
            raise LambdaFunctionError(
                EdgeFunctionError(
                    FailureKind.LAMBDA_LIMIT,
                    THROTTLED,
                    f"{functions.concurrency_per_region} concurrent executions in {region}.",
                )
            )
        functions.in_flight[region] += 1
        try:
            return await self._run(invocation)
        finally:
            functions.in_flight[region] -= 1

    async def invoke(
        self, payload: object, *, region: str = "us-east-1", request_id: str = ""
    ) -> PlainRun:
        """Run the function as Lambda's own API does: any event in, any JSON out.

        CloudFront's laws do not count here ("Testing and debugging Lambda@Edge functions").

        Args:
            payload: The event, as JSON has it.
            region: Where it runs.
            request_id: Lambda's id of the invocation, which retries of an event share; made up
                when not given.
        """
        invocation = _Invocation(
            None, payload, request_id or str(uuid.uuid4()), region, self._group
        )
        try:
            problem = await self._execute(invocation)
        except LambdaFunctionError as error:
            problem = error.detail
        failed, taken = problem is not None, invocation.taken
        return PlainRun(
            _error_payload(invocation, problem or "") if failed else invocation.reply.payload,
            failed,
            invocation.lines,
            invocation.request_id,
            self._billed_ms(invocation),
            taken.init_ms if taken is not None else 0.0,
            -(-invocation.reply.max_memory_kb // 1024),
        )

    async def _run(self, invocation: _Invocation) -> LambdaRun:
        problem = await self._execute(invocation)
        if problem is not None:
            raise self._failed(invocation, problem)
        return self._result(invocation)

    async def _execute(self, invocation: _Invocation) -> str | None:
        """Run the handler; why it did not run to its end, or None when it did."""
        functions, region = self._functions, invocation.region
        invocation.started_ms = functions.clock.now_ms()
        try:
            taken = await self._pool.take((self, region), self._maker(region))
        except SandboxStartError as error:
            raise self._failed(invocation, f"The sandbox could not be started: {error}") from error
        invocation.taken = taken
        if taken.failure is not None:
            invocation.reply = taken.failure
        else:
            message = self._message(invocation)
            timeout_s = self.declaration.timeout_s
            invocation.reply = await taken.environment.invoke(message, timeout_s)
        problem = self._problem(invocation)
        invocation.lines = self._lines(invocation, problem)
        functions.write_log(
            self._group,
            taken.environment.spec.log_stream,
            region,
            invocation.lines,
            self.declaration.name,
        )
        if self.notice:
            invocation.lines = (f"[localpop] {self.notice}", *invocation.lines)
        return problem

    def _message(self, invocation: _Invocation) -> bytes:
        digits = invocation.request_id.replace("-", "")
        return orjson.dumps(
            {
                "id": invocation.request_id,
                "timeout_ms": self.declaration.timeout_s * 1000,
                "trace": f"Root=1-{digits[:8]}-{digits[8:]};Sampled=0",
                "event": invocation.shown,
            }
        )

    # --- What came of it -------------------------------------------------------------------------
    def _problem(self, invocation: _Invocation) -> str | None:
        """Why the function did not run to its end, in Lambda's words; None when it did."""
        reply, taken = invocation.reply, invocation.taken
        assert taken is not None
        match reply.outcome:
            case Outcome.TIMED_OUT if taken.failure is not None:
                return "Init phase timed out after 10.00 seconds"
            case Outcome.TIMED_OUT:
                return f"Task timed out after {self.declaration.timeout_s:.2f} seconds"
            case Outcome.EXITED:
                return f"Error: Runtime exited {_exit_words(reply.status)} Runtime.ExitError"
            case Outcome.FAILED | Outcome.FAILED_AND_ENDED:
                error = reply.error()
                trace = f"\n{error['trace']}" if error["trace"] else ""
                return f"{error['errorType']}: {error['errorMessage']}{trace}"
        if reply.max_memory_kb > self.declaration.memory_mb * 1024:
            # Where the operating system did not stop it, Lambda would have.
            taken.environment.kill()
            return "Error: Runtime exited with error: signal: killed Runtime.OutOfMemory"
        return None

    def _lines(self, invocation: _Invocation, problem: str | None) -> tuple[str, ...]:
        reply, taken, request_id = invocation.reply, invocation.taken, invocation.request_id
        assert taken is not None
        timed_out = reply.outcome is Outcome.TIMED_OUT
        lines = [*taken.init_logs, logs.start_line(request_id, self.declaration.version)]
        lines.extend(reply.logs)
        if problem is not None and reply.outcome not in _SAID_BY_THE_RUNTIME:
            stamp = logs.timestamp(self._functions.clock.epoch_ms())
            prefix = f"{stamp} {request_id}" if timed_out else f"RequestId: {request_id}"
            lines.append(f"{prefix} {problem}")
        lines.append(logs.end_line(request_id))
        lines.append(
            logs.report_line(
                request_id,
                duration_ms=self._billed_ms(invocation),
                memory_mb=self.declaration.memory_mb,
                max_memory_mb=-(-reply.max_memory_kb // 1024),
                init_ms=taken.init_ms,
                status="timeout" if timed_out else "error" if problem is not None else "",
            )
        )
        return tuple(lines)

    def _billed_ms(self, invocation: _Invocation) -> float:
        outcome = invocation.reply.outcome
        if outcome is Outcome.TIMED_OUT:
            return self.declaration.timeout_s * 1000
        if outcome is Outcome.EXITED and invocation.taken is not None:
            # Nobody is left to tell its own time.
            return self._duration_ms(invocation) - invocation.taken.init_ms
        return invocation.reply.duration_ms

    def _result(self, invocation: _Invocation) -> LambdaRun:
        functions, reply, taken = self._functions, invocation.reply, invocation.taken
        assert taken is not None
        assert invocation.event is not None
        try:
            if reply.outcome is Outcome.RETURNED_BYTES:
                _bytes_must_be_json(reply.payload)
            result = parse_result(
                reply.payload, invocation.event, invocation.shown, switches=functions.switches
            )
        except EdgeFunctionError as error:
            self._log_validation_error(invocation, error)
            raise self._failed(invocation, error) from None
        return LambdaRun(
            result=result.outcome,
            logs=invocation.lines,
            duration_ms=self._duration_ms(invocation),
            billed_ms=reply.duration_ms,
            cold_start=taken.cold_start,
            warnings=result.warnings,
            origin=result.origin,
            queued_ms=taken.queued_ms,
            init_ms=taken.init_ms,
            max_memory_mb=-(-reply.max_memory_kb // 1024),
            aws_request_id=invocation.request_id,
        )

    def _log_validation_error(self, invocation: _Invocation, error: EdgeFunctionError) -> None:
        """Validation errors have a group of their own (DG lambda-edge-testing-debugging)."""
        event = invocation.event
        assert event is not None
        line = f"({event.request_id}) ERROR Validation error: {error.detail}"
        invocation.lines = (*invocation.lines, line)
        self._functions.write_log(
            f"/aws/cloudfront/LambdaEdge/{event.distribution_id}",
            event.distribution_id,
            invocation.region,
            (line,),
            self.declaration.name,
        )

    def _failed(
        self, invocation: _Invocation, problem: str | EdgeFunctionError
    ) -> LambdaFunctionError:
        taken = invocation.taken
        if isinstance(problem, str):
            timed_out = invocation.reply.outcome is Outcome.TIMED_OUT
            switched = self._functions.switches.timeout_failure
            kind = switched if timed_out else FailureKind.LAMBDA_EXECUTION
            sentence = THROTTLED if kind is FailureKind.LAMBDA_LIMIT else NOT_RUN
            problem = EdgeFunctionError(kind, sentence, problem)
        return LambdaFunctionError(
            problem,
            logs=invocation.lines,
            duration_ms=self._duration_ms(invocation),
            billed_ms=self._billed_ms(invocation),
            cold_start=taken is not None and taken.cold_start,
            queued_ms=taken.queued_ms if taken is not None else 0.0,
        )

    def _duration_ms(self, invocation: _Invocation) -> float:
        queued_ms = invocation.taken.queued_ms if invocation.taken is not None else 0.0
        return self._functions.clock.now_ms() - invocation.started_ms - queued_ms

    # --- How its environments are started --------------------------------------------------------
    def _maker(self, region: str) -> Callable[[Callable[[Environment], None]], Environment]:
        return lambda on_free: self._environment(region, on_free)

    def _environment(self, region: str, on_free: Callable[[Environment], None]) -> Environment:
        functions, spec = self._functions, self._spec(region)
        is_python = self.declaration.runtime.startswith("python")
        if functions.awslambdaric and is_python:
            return RuntimeApiEnvironment(spec, on_free, functions.clock)
        return Environment(spec, on_free)

    def _spec(self, region: str) -> EnvironmentSpec:
        functions, declaration = self._functions, self.declaration
        temp = functions.temp / str(functions.next_environment())
        date = logs.timestamp(functions.clock.epoch_ms())[:10].replace("-", "/")
        stream = f"{date}/[{declaration.version}]{uuid.uuid4().hex}"
        seen_region = region if functions.switches.region_of_replica else "us-east-1"
        names = {
            "function_name": self._name,
            "version": declaration.version,
            "memory_mb": str(declaration.memory_mb),
            "log_group": self._group,
            "log_stream": stream,
            "arn": f"arn:aws:lambda:{seen_region}:{_ACCOUNT_ID}:function:{self._name}"
            # What is invoked by its name alone has no version in its ARN.
            + ("" if declaration.version == "$LATEST" else f":{declaration.version}"),
        }
        config: dict[str, Any] = {
            "handler": declaration.handler,
            "task_root": str(self._runnable.package),
            "pycache": str(functions.temp / "pycache"),
            "allowed_modules": sorted(self._runnable.allowed_modules),
            "site_packages": list(self._runnable.site_packages),
            "environment": self._variables(names, seen_region, region, temp),
            "names": names,
            "memory_mb": declaration.memory_mb,
            "headroom_bytes": _HEADROOM_BYTES,
            "tmp_bytes": quotas.LAMBDA_TMP_MAX_BYTES,
            # awslambdaric keeps non-ASCII text as it is from Python 3.12 on.
            "ensure_ascii": declaration.runtime in ("python3.9", "python3.10", "python3.11"),
        }
        patience_s = DEBUG_PATIENCE_S if isinstance(self.spawner, DebugSpawner) else None
        return EnvironmentSpec(
            self.spawner, self._runnable.command, config, temp, stream, patience_s
        )

    def _variables(
        self, names: dict[str, str], seen_region: str, region: str, temp: Path
    ) -> dict[str, str]:
        """Lambda's variables (facts/lambda-at-edge.md 4.6), and the function's own.

        Those that Lambda lets a function set itself come first, reserved ones last.
        """
        declaration = self.declaration
        variables = {
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TZ": ":UTC",
            **declaration.environment,
            "_HANDLER": declaration.handler,
            "AWS_ACCESS_KEY_ID": "ASIALOCALPOPLOCALPOP",
            "AWS_SECRET_ACCESS_KEY": "localpop",
            "AWS_SESSION_TOKEN": "localpop",
            "AWS_REGION": seen_region,
            "AWS_DEFAULT_REGION": seen_region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{declaration.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": names["function_name"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": names["memory_mb"],
            "AWS_LAMBDA_FUNCTION_VERSION": names["version"],
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": names["log_group"],
            "AWS_LAMBDA_LOG_STREAM_NAME": names["log_stream"],
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
            "LAMBDA_TASK_ROOT": str(self._runnable.package),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            # Ours: a temporary folder of its own, and no configuration of this machine's user.
            "TMPDIR": str(temp),
            "HOME": str(temp),
        }
        if self._functions.endpoint_url is not None:
            # In its Region a function is as near to AWS's services as they are to one another.
            away = "" if declaration.regional else region
            variables["AWS_ENDPOINT_URL"] = self._functions.endpoint_url(away)
        return variables


def _error_payload(invocation: _Invocation, problem: str) -> bytes:
    """A failure as Lambda's API shows it."""
    if invocation.reply.outcome in _SAID_BY_THE_RUNTIME:
        error = invocation.reply.error()
        return orjson.dumps(
            {
                "errorMessage": error["errorMessage"],
                "errorType": error["errorType"],
                "requestId": invocation.request_id,
                "stackTrace": error["trace"].splitlines(),
            }
        )
    # The log has the type behind the sentence, the answer has it in a field of its own.
    sentence, _, error_type = problem.rpartition(" Runtime.")
    error_type = f"Runtime.{error_type}" if sentence else "Runtime.ExitError"
    sentence = sentence or problem
    if invocation.reply.outcome is Outcome.TIMED_OUT:
        error_type, sentence = "Sandbox.Timedout", f"Error: {problem}"
    return orjson.dumps(
        {
            "errorType": error_type,
            "errorMessage": f"RequestId: {invocation.request_id} {sentence}",
        }
    )


def _exit_words(status: int) -> str:
    if status == 0:
        return "without providing a reason"
    if status > 0:
        return f"with error: exit status {status}"
    return f"with error: signal: {(signal.strsignal(-status) or str(-status)).lower()}"


def _bytes_must_be_json(payload: bytes) -> None:
    """Awslambdaric passes bytes on as they are; what counts is whether they are JSON."""
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise EdgeFunctionError(
            FailureKind.LAMBDA_VALIDATION,
            NOT_PARSABLE,
            f"{NOT_PARSABLE} (The handler returned bytes.)",
        ) from None


async def _expose(event: FunctionEvent) -> tuple[FunctionEvent, ExposedBody]:
    """Look at the beginning of the request's body; the whole of it still goes on."""
    request = event.request
    if isinstance(request.body, bytes):
        return event, ExposedBody.of(request.body, event.event_type)
    limit = exposed_body_limit(event.event_type)
    source = aiter(request.body)
    first = bytearray()
    ended = False
    while len(first) <= limit and not ended:
        piece = await anext(source, None)
        ended = piece is None
        first += piece or b""
    whole = bytes(first)
    body: Body = whole if ended else _rejoined(whole, source)
    exposed = ExposedBody(whole[:limit], len(whole) > limit)
    return replace(event, request=replace(request, body=body)), exposed


async def _rejoined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
