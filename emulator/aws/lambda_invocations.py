"""Invocations of Lambda functions: who may run, what is answered, what becomes of events.

AWS: "Invoking a function" and "Asynchronous invocation", Lambda guide (lambda-invocation,
invocation-async-error-handling, invocation-async-retain-records), read 2026-11-21. An event that
nobody waits for is tried again when the function fails: after one minute, then after two. What
still fails goes to the dead-letter queue, and a record of it to the destination of failures.
"""

from __future__ import annotations

import base64
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import orjson

from emulator import quotas
from emulator.aws.in_process import FUNCTION_ARN
from emulator.clock import Clock
from emulator.errors import ApiError, LocalpopError, NotEmulated
from emulator.project.declarations import EventInvokeConfig
from emulator.runtimes.lambda_edge import LoadedLambda
from emulator.runtimes.lambda_edge.functions import PlainRun
from emulator.stores.journal import Journal

CallService: TypeAlias = Callable[[str, str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Another service of the endpoint: (service, operation, input) to output."""

RETRY_MS: Final = (60_000.0, 120_000.0)
"""How long Lambda waits before each further try of an event."""
# Throttled events: "from 1 second after the first attempt up to a maximum of 5 minutes".
_BACK_OFF_MS: Final = (1_000.0, 300_000.0)
_SYNCHRONOUS_MAX_BYTES: Final = 6_291_456
_ERROR_MESSAGE_MAX_BYTES: Final = 1_024
# Ours: AWS's queue of events has no such end, this machine's memory has.
_WAITING_MAX: Final = 10_000
INVOCATION_KEY: Final = "invocation:"
"""What the journal's keys of events under way begin with."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Invokable:
    """A function as an invocation finds it.

    Args:
        name: Its name.
        arn: Its ARN, with the qualifier if it has one.
        version: The version that runs.
        loaded: What runs it.
        reserved_concurrency: How many executions it has for itself, and at most; None for none.
        dead_letter_arn: Where events go that failed; empty for nowhere.
        asynchronous: What happens to events.
    """

    name: str
    arn: str
    version: str
    loaded: LoadedLambda
    reserved_concurrency: int | None = None
    dead_letter_arn: str = ""
    asynchronous: EventInvokeConfig = field(default_factory=EventInvokeConfig)

    @property
    def reserves(self) -> bool:
        """Whether it has executions of its own; 0 of them stop it."""
        return self.reserved_concurrency is not None


class Invocations:
    """Runs functions for Lambda's API.

    Args:
        clock: Where the time between two tries comes from.
        call: The other services, for dead letters and destinations.
        background: Does what no caller waits for.
        journal: Keeps events under way, over a restart and a kill; None: nothing does.
        retry_ms: The time before each further try.
    """

    def __init__(
        self,
        clock: Clock,
        call: CallService,
        background: Callable[[Coroutine[Any, Any, Any]], None],
        *,
        journal: Journal | None = None,
        retry_ms: tuple[float, ...] = RETRY_MS,
    ) -> None:
        self._clock, self._call, self._background = clock, call, background
        self._journal, self._retry_ms = journal, retry_ms
        self._at_work: Counter[str] = Counter()
        self._waiting = 0

    async def invoke(self, function: Invokable, given: Mapping[str, Any]) -> dict[str, Any]:
        """Do what Invoke is asked.

        Args:
            function: The function.
            given: Invoke's input.

        Returns:
            Invoke's output; `Payload` is bytes.

        Raises:
            ApiError: The payload is none, or too large; or 429, no execution is free.
        """
        kind = given.get("InvocationType") or "RequestResponse"
        event = _event(bytes(given.get("Payload") or b"{}"), kind)
        if kind == "DryRun":
            return {"StatusCode": 204, "Payload": b""}
        output: dict[str, Any] = {"ExecutedVersion": function.version}
        if kind == "Event":
            self._accept(function, event)
            return {**output, "StatusCode": 202, "Payload": b""}
        run = await self._run(function, event, "")
        output |= {"StatusCode": 200, "Payload": run.payload}
        if run.failed:
            output["FunctionError"] = "Unhandled"
        if given.get("LogType") == "Tail":
            tail = "\n".join(run.logs).encode()[-4 * quotas.KB :]
            output["LogResult"] = base64.b64encode(tail).decode()
        return output

    async def _run(self, function: Invokable, event: Any, request_id: str) -> PlainRun:
        limit, reserved = function.reserved_concurrency or 0, function.reserves
        # What reserves nothing shares the account's quota.
        whose = function.name if reserved else ""
        if self._at_work[whose] >= (limit if reserved else quotas.LAMBDA_CONCURRENCY_PER_REGION):
            raise _throttled(reserved=reserved)
        self._at_work[whose] += 1
        try:
            return await function.loaded.invoke(event, request_id=request_id)
        finally:
            self._at_work[whose] -= 1

    # --- events that nobody waits for -----------------------------------------------------------

    def _accept(self, function: Invokable, event: Any) -> None:
        if self._waiting >= _WAITING_MAX:
            raise ApiError(429, "TooManyRequestsException", "Rate Exceeded.")
        self._waiting += 1
        queued = _Queued(function, event, self._clock.now_ms())
        if self._journal is not None:
            document = {"function": function.arn, "payload": orjson.dumps(event).decode()}
            self._journal.put(f"{INVOCATION_KEY}{queued.request_id}", document)
        self._background(self._handle(queued))

    async def _handle(self, queued: _Queued) -> None:
        try:
            await self._until_done(queued)
        except LocalpopError as error:
            _log.error("An event of the function %s is lost: %s", queued.function.name, error)
        finally:
            self._waiting -= 1
        # Not reached by who is cancelled: that event is for the next start.
        if self._journal is not None:
            self._journal.drop(f"{INVOCATION_KEY}{queued.request_id}")

    async def _until_done(self, queued: _Queued) -> None:
        function, config = queued.function, queued.function.asynchronous
        back_off_ms, longest_ms = _BACK_OFF_MS
        while True:
            if self._clock.now_ms() - queued.since_ms > config.max_age_s * 1_000:
                await self._give_up(queued, "EventAgeExceeded")
                return
            try:
                queued.run = await self._run(function, queued.event, queued.request_id)
            except ApiError:
                if function.reserved_concurrency == 0:
                    # "Set reserved concurrency to 0": sent to the dead letters without a retry.
                    await self._give_up(queued, "ZeroReservedConcurrency")
                    return
                await self._clock.sleep_ms(back_off_ms)
                back_off_ms = min(2 * back_off_ms, longest_ms)
                continue
            queued.tries += 1
            if not queued.run.failed:
                await self._tell(config.on_success, queued, "Success")
                return
            if queued.tries > config.retries:
                await self._give_up(queued, "RetriesExhausted")
                return
            await self._clock.sleep_ms(self._retry_ms[min(queued.tries, len(self._retry_ms)) - 1])

    async def _give_up(self, queued: _Queued, condition: str) -> None:
        function = queued.function
        if function.dead_letter_arn:
            await self._send(
                function.dead_letter_arn, queued.event, queued.attributes(), function.arn
            )
        await self._tell(function.asynchronous.on_failure, queued, condition)

    async def _tell(self, arn: str, queued: _Queued, condition: str) -> None:
        if not arn:
            return
        record = queued.record(condition, self._clock.epoch_ms())
        if ":lambda:" in arn:
            payload = orjson.dumps(record)
            given = {"FunctionName": arn, "InvocationType": "Event", "Payload": payload}
            await self._call("lambda", "Invoke", given)
        elif ":events:" in arn:
            succeeded = condition == "Success"
            entry = {
                "Source": "lambda",
                "DetailType": "Lambda Function Invocation Result - "
                + ("Success" if succeeded else "Failure"),
                "Detail": orjson.dumps(record).decode(),
                "EventBusName": arn,
                "Resources": [arn, record["requestContext"]["functionArn"]],
            }
            await self._call("events", "PutEvents", {"Entries": [entry]})
        else:
            await self._send(arn, record, {})

    async def _send(
        self, arn: str, message: Any, attributes: Mapping[str, Any], function_arn: str = ""
    ) -> None:
        """Put a message into a queue or onto a topic."""
        body = orjson.dumps(message).decode()
        if ":sqs:" in arn:
            given = {"QueueUrl": queue_url(arn), "MessageBody": body, FUNCTION_ARN: function_arn}
            await self._call("sqs", "SendMessage", {**given, "MessageAttributes": attributes})
        elif ":sns:" in arn:
            given = {"TopicArn": arn, "Message": body}
            await self._call("sns", "Publish", {**given, "MessageAttributes": attributes})
        else:
            raise NotEmulated(f"The Lambda destination {arn}")


@dataclass(slots=True)
class _Queued:
    """An event on its way."""

    function: Invokable
    event: Any
    since_ms: float
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tries: int = 0
    run: PlainRun | None = None

    def attributes(self) -> dict[str, Any]:
        """A dead letter's attributes ("Adding a dead-letter queue", invocation-async-retain)."""
        said = _said(self.run) or "Rate Exceeded."
        message = said.encode()[:_ERROR_MESSAGE_MAX_BYTES].decode(errors="ignore")
        return {
            "RequestID": {"DataType": "String", "StringValue": self.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200" if self.run else "429"},
            "ErrorMessage": {"DataType": "String", "StringValue": message},
        }

    def record(self, condition: str, epoch_ms: float) -> dict[str, Any]:
        """What a destination gets."""
        moment = datetime.fromtimestamp(epoch_ms / 1_000, UTC)
        arn = self.function.arn
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": arn if arn.count(":") > 6 else f"{arn}:{self.function.version}",
                "condition": condition,
                "approximateInvokeCount": self.tries,
            },
            "requestPayload": self.event,
        }
        if self.run is not None:
            context = {"statusCode": 200, "executedVersion": self.function.version}
            if self.run.failed:
                context["functionError"] = "Unhandled"
            record["responseContext"] = context
            record["responsePayload"] = orjson.loads(self.run.payload or b"null")
        return record


def queue_url(arn: str) -> str:
    """A queue's URL; only its last part says something to the endpoint."""
    _, _, _, region, account, name = arn.split(":", 5)
    return f"https://sqs.{region}.amazonaws.com/{account}/{name}"


def _said(run: PlainRun | None) -> str:
    if run is None:
        return ""
    try:
        shape = orjson.loads(run.payload)
    except orjson.JSONDecodeError:
        return ""
    return str(shape.get("errorMessage", "")) if isinstance(shape, dict) else ""


def _event(payload: bytes, kind: str) -> Any:
    limit = quotas.LAMBDA_EVENT_PAYLOAD_MAX_BYTES if kind == "Event" else _SYNCHRONOUS_MAX_BYTES
    if len(payload) > limit:
        raise ApiError(
            413,
            "RequestTooLargeException",
            f"{len(payload)} byte payload is too large for the {kind} invocation type "
            f"(limit {limit} bytes)",
        )
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ApiError(
            400,
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
        ) from None


def _throttled(*, reserved: bool) -> ApiError:
    which = "ReservedFunctionConcurrent" if reserved else "Concurrent"
    return ApiError(
        429,
        "TooManyRequestsException",
        "Rate Exceeded.",
        more={"Reason": f"{which}InvocationLimitExceeded", "Type": "User"},
    )
