"""Event source mappings: Lambda functions that are fed from queues.

AWS: "Using Lambda with Amazon SQS" and its pages on polling, batching, scaling, error handling and
filtering, https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, read 2026-11-21.

- A batch that the function processed is deleted. When it fails, its messages come back after the
  queue's visibility time-out; with ReportBatchItemFailures only those that the function named.
- A FIFO queue's message groups are each in one batch at a time, in order.
- A throttled invocation is tried again as long as the batch is hidden, and costs no receive.
- Five batches run at once, the number with which AWS begins, or MaximumConcurrency.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from emulator.aws.cloudfront.control_plane import ACCOUNT_ID, Operation, Shape
from emulator.aws.in_process import InProcess
from emulator.aws.sqs.api import system_attributes
from emulator.clock import Clock
from emulator.errors import ApiError, NotEmulated
from emulator.rules.event_pattern import EventPattern, InvalidPattern, compile_pattern
from emulator.stores.account import Account
from emulator.stores.queues import Message, Queue, Queues
from emulator.values.account import Kind

_REGION: Final = "us-east-1"
_CONCURRENCY: Final = 5
_BATCH_DEFAULT: Final = 10
_STANDARD_BATCH_MAX: Final = 10_000
_FIFO_BATCH_MAX: Final = 10
_WINDOW_MAX_S: Final = 300
_LOOK_MS: Final = 1_000.0
_WINDOW_LOOK_MS: Final = 20.0
_THROTTLED_MS: Final = 200.0
_CLOSING_PATIENCE_S: Final = 5.0
_KEPT: Final = (
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "FunctionResponseTypes",
    "ScalingConfig",
    "FilterCriteria",
)
_NOT_FOR_SQS: Final = (
    "StartingPosition",
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "TumblingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "SelfManagedEventSource",
    "ProvisionedPollerConfig",
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Poller:
    """What runs for one mapping."""

    document: Mapping[str, Any]
    filters: tuple[EventPattern, ...]
    room: asyncio.Semaphore
    task: asyncio.Task[None] | None = None
    batches: set[asyncio.Task[None]] = field(default_factory=set)
    result: str = "No records processed"


class EventSourceMappings:
    """Every event source mapping of the account; its operations belong to Lambda's API.

    Args:
        queues: The account's queues.
        account: Where mappings made through the API are kept.
        clock: Counts windows.
        in_process: Invokes functions.
    """

    def __init__(
        self, queues: Queues, account: Account, clock: Clock, in_process: InProcess
    ) -> None:
        self._queues, self._account, self._clock = queues, account, clock
        self._call = in_process.call
        self._declared: dict[str, Mapping[str, Any]] = {}
        self._pollers: dict[str, _Poller] = {}
        self._started = False
        self.operations: Mapping[str, Operation] = {
            "CreateEventSourceMapping": self._create,
            "GetEventSourceMapping": self._get,
            "ListEventSourceMappings": self._list,
            "UpdateEventSourceMapping": self._update,
            "DeleteEventSourceMapping": self._delete,
        }

    # --- from the template, start and end ---------------------------------------------------

    def check(self, given: Shape) -> None:
        """Refuse a mapping that Lambda refuses.

        Raises:
            ApiError: Says why.
            NotEmulated: Its source is none that localpop polls.
        """
        _require(given)

    async def declare(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        """Run the template's mappings instead of those that it declared before.

        Args:
            declared: Properties by UUID, checked.
        """
        before = self._declared
        self._declared = {
            name: _document(name, given, self._clock.epoch_ms()) for name, given in declared.items()
        }
        for name in before.keys() - self._declared.keys():
            await self._stop(name)
        for name, document in self._declared.items():
            if name not in before or _content(before[name]) != _content(document):
                await self._restart(name, document)

    async def start(self) -> None:
        """Begin to poll."""
        self._started = True
        for document in self._all():
            await self._restart(document["UUID"], document)

    async def close(self) -> None:
        """Stop polling; batches under way may finish, the rest stays in its queue."""
        self._started = False
        batches = [task for poller in self._pollers.values() for task in poller.batches]
        for poller in self._pollers.values():
            if poller.task is not None:
                poller.task.cancel()
        if batches:
            await asyncio.wait(batches, timeout=_CLOSING_PATIENCE_S)
        for name in list(self._pollers):
            await self._stop(name)

    async def reset(self) -> None:
        """Stop all of it."""
        for name in list(self._pollers):
            await self._stop(name)
        self._declared = {}

    async def _restart(self, name: str, document: Mapping[str, Any]) -> None:
        await self._stop(name)
        if not self._started or document["State"] != "Enabled":
            return
        most = (document.get("ScalingConfig") or {}).get("MaximumConcurrency") or _CONCURRENCY
        poller = _Poller(document, _filters(document), asyncio.Semaphore(most))
        self._pollers[name] = poller
        poller.task = asyncio.create_task(self._poll(poller), name=f"mapping {name}")

    async def _stop(self, name: str) -> None:
        poller = self._pollers.pop(name, None)
        if poller is None:
            return
        tasks = [*poller.batches, *([poller.task] if poller.task is not None else [])]
        if poller.task is not None:
            poller.task.cancel()
        if self._started:
            # A batch under way ends by itself; only the polling stops.
            tasks = tasks[-1:]
        else:
            for task in poller.batches:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # --- polling ----------------------------------------------------------------------------

    async def _poll(self, poller: _Poller) -> None:
        arn = poller.document["EventSourceArn"]
        while True:
            await poller.room.acquire()
            try:
                messages = await self._batch(poller, arn)
            except Exception:
                poller.room.release()
                _log.exception("polling %s failed", arn)
                await self._clock.sleep_ms(_LOOK_MS)
                continue
            if not messages:
                poller.room.release()
                continue
            task = asyncio.create_task(self._process(poller, arn, messages))
            poller.batches.add(task)
            task.add_done_callback(poller.batches.discard)

    async def _batch(self, poller: _Poller, arn: str) -> list[Message]:
        queue = self._queues.find(arn)
        if queue is None:
            await self._clock.sleep_ms(_LOOK_MS)
            return []
        if not await queue.wait_for_message(self._clock.now_ms() + 20 * _LOOK_MS):
            return []
        size = poller.document["BatchSize"]
        window_s = poller.document.get("MaximumBatchingWindowInSeconds") or 0
        end_ms = self._clock.now_ms() + window_s * 1_000
        while self._clock.now_ms() < end_ms and queue.counts()[0] < size:
            await self._clock.sleep_ms(min(_WINDOW_LOOK_MS, end_ms - self._clock.now_ms()))
        taken = queue.take(size, queue.whole("VisibilityTimeout") * 1_000.0)
        return _filtered(queue, taken, poller.filters)

    async def _process(self, poller: _Poller, arn: str, messages: Sequence[Message]) -> None:
        try:
            queue = self._queues.find(arn)
            if queue is None:
                return
            problem, failed = await self._invoked(poller, queue, messages)
            for message in messages:
                if message.id in failed:
                    queue.note_reason(message.id, problem)
                else:
                    queue.delete(message.receipt)
            poller.result = "OK" if not failed else f"PROBLEM: {problem}"
        except Exception:
            # The messages come back after their time-out.
            _log.exception("a batch of %s failed", arn)
        finally:
            poller.room.release()

    async def _invoked(
        self, poller: _Poller, queue: Queue, messages: Sequence[Message]
    ) -> tuple[str, frozenset[str]]:
        """Why a batch failed, and the ids of the messages that did."""
        everything = frozenset(message.id for message in messages)
        event = {"Records": [_record(queue, message) for message in messages]}
        params = {
            "FunctionName": poller.document["FunctionArn"],
            "Payload": orjson.dumps(event),
        }
        hidden_until_ms = min(message.visible_at_ms for message in messages)
        while True:
            try:
                output = await self._call("lambda", "Invoke", params)
                break
            except ApiError as error:
                throttled = error.status == 429
                left_ms = hidden_until_ms - self._clock.now_ms()
                if not throttled or left_ms < 2 * _THROTTLED_MS:
                    return f"{error.code}: {error.message}", everything
                await self._clock.sleep_ms(_THROTTLED_MS)
            except NotEmulated as error:
                return str(error), everything
        if output.get("FunctionError"):
            return f"Function call failed: {_error_words(output['Payload'])}", everything
        if "ReportBatchItemFailures" not in (poller.document.get("FunctionResponseTypes") or ()):
            return "", frozenset()
        return _reported(output["Payload"], queue, messages)

    # --- operations -------------------------------------------------------------------------

    async def _create(self, given: Shape) -> dict[str, Any]:
        _require(given)
        arn = given["EventSourceArn"]
        queue = self._queue(arn)
        function = await self._function(given["FunctionName"], queue)
        for other in self._all():
            if (other["EventSourceArn"], other["FunctionArn"]) == (arn, function):
                raise ApiError(
                    409,
                    "ResourceConflictException",
                    f'An event source mapping with SQS arn (" {arn} ") and function '
                    f'(" {given["FunctionName"]} ") already exists. Please update or delete the '
                    f"existing mapping with UUID {other['UUID']}",
                )
        name = str(uuid.uuid4())
        document = _document(name, {**given, "FunctionName": function}, self._clock.epoch_ms())
        await self._account.save(self._account.new(Kind.EVENT_SOURCE_MAPPING, name, document))
        await self._restart(name, document)
        return {**document, "State": "Creating"}

    def _queue(self, arn: str) -> Queue:
        queue = self._queues.find(arn)
        if queue is None:
            raise _invalid(
                "Error occurred while ReceiveMessage. SQS Error Code: "
                "AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue "
                "does not exist."
            )
        return queue

    async def _function(self, name: str, queue: Queue) -> str:
        """A function's ARN; its time-out must fit into the queue's visibility time-out."""
        found = await self._call("lambda", "GetFunctionConfiguration", {"FunctionName": name})
        visibility_s = queue.whole("VisibilityTimeout")
        if visibility_s < found["Timeout"]:
            raise _invalid(
                f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: "
                f"{found['Timeout']} seconds"
            )
        arn: str = found["FunctionArn"]
        return arn

    async def _get(self, given: Shape) -> dict[str, Any]:
        return self._shape(self._find(given["UUID"]))

    async def _list(self, given: Shape) -> dict[str, Any]:
        source, function = given.get("EventSourceArn"), given.get("FunctionName")
        found = [
            self._shape(document)
            for document in self._all()
            if source in (None, document["EventSourceArn"])
            and (function is None or _same_function(document["FunctionArn"], function))
        ]
        start = int(given.get("Marker") or 0)
        most = int(given.get("MaxItems") or 100)
        output: dict[str, Any] = {"EventSourceMappings": found[start : start + most]}
        if start + most < len(found):
            output["NextMarker"] = str(start + most)
        return output

    async def _update(self, given: Shape) -> dict[str, Any]:
        found = self._find(given["UUID"])
        changed = {**found, **{key: given[key] for key in _KEPT if key in given}}
        if "FunctionName" in given:
            queue = self._queue(found["EventSourceArn"])
            changed["FunctionArn"] = await self._function(given["FunctionName"], queue)
        if "Enabled" in given:
            changed["State"] = "Enabled" if given["Enabled"] else "Disabled"
        changed["LastModified"] = self._clock.epoch_ms()
        _require({**changed, "FunctionName": changed["FunctionArn"]})
        await self._save(changed)
        await self._restart(found["UUID"], changed)
        return {**self._shape(changed), "State": "Updating"}

    async def _delete(self, given: Shape) -> dict[str, Any]:
        found = self._find(given["UUID"])
        await self._stop(found["UUID"])
        if self._declared.pop(found["UUID"], None) is None:
            await self._account.save(deletes=[(Kind.EVENT_SOURCE_MAPPING, found["UUID"])])
        return {**found, "State": "Deleting"}

    async def _save(self, document: Mapping[str, Any]) -> None:
        if document["UUID"] in self._declared:
            self._declared[document["UUID"]] = document
            return
        record = self._account.new(Kind.EVENT_SOURCE_MAPPING, document["UUID"], document)
        await self._account.save(record)

    def _all(self) -> list[Mapping[str, Any]]:
        kept = [one.document for one in self._account.all(Kind.EVENT_SOURCE_MAPPING)]
        return [*self._declared.values(), *kept]

    def _find(self, name: str) -> Mapping[str, Any]:
        for document in self._all():
            if document["UUID"] == name:
                return document
        raise ApiError(
            404, "ResourceNotFoundException", "The resource you requested does not exist."
        )

    def _shape(self, document: Mapping[str, Any]) -> dict[str, Any]:
        poller = self._pollers.get(document["UUID"])
        result = poller.result if poller is not None else "No records processed"
        return {**document, "LastProcessingResult": result}


# --- rules --------------------------------------------------------------------------------------


def _require(given: Shape) -> None:
    arn = str(given.get("EventSourceArn") or "")
    if not arn.startswith("arn:aws:sqs:"):
        raise NotEmulated(f"An event source mapping of {arn or 'anything but an SQS queue'}")
    for name in _NOT_FOR_SQS:
        if given.get(name):
            raise _invalid(f"{name} is not supported for SQS event source mappings.")
    is_fifo = arn.endswith(".fifo")
    size = given.get("BatchSize") or _BATCH_DEFAULT
    window_s = given.get("MaximumBatchingWindowInSeconds") or 0
    most = _FIFO_BATCH_MAX if is_fifo else _STANDARD_BATCH_MAX
    if not 1 <= size <= most:
        raise _invalid(f"Batch size must be between 1 and {most} for this queue.")
    if not 0 <= window_s <= _WINDOW_MAX_S:
        raise _invalid("Maximum batch window in seconds must be between 0 and 300.")
    if is_fifo and window_s:
        raise _invalid("Batching window is not supported for FIFO queues.")
    if size > 10 and not window_s:
        raise _invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            "greater than 10"
        )
    concurrency = (given.get("ScalingConfig") or {}).get("MaximumConcurrency")
    if concurrency is not None and not 2 <= concurrency <= 1_000:
        raise _invalid("MaximumConcurrency must be between 2 and 1000.")
    try:
        _filters(given)
    except InvalidPattern as error:
        raise _invalid(f"Invalid filter pattern definition. {error}") from None


def _document(name: str, given: Shape, now_ms: float) -> dict[str, Any]:
    function = str(given["FunctionName"])
    if not function.startswith("arn:"):
        function = f"arn:aws:lambda:{_REGION}:{ACCOUNT_ID}:function:{function.rpartition(':')[2]}"
    return {
        "UUID": name,
        "EventSourceMappingArn": (
            f"arn:aws:lambda:{_REGION}:{ACCOUNT_ID}:event-source-mapping:{name}"
        ),
        "EventSourceArn": given["EventSourceArn"],
        "FunctionArn": function,
        "BatchSize": _BATCH_DEFAULT,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "State": "Disabled" if given.get("Enabled") is False else "Enabled",
        "StateTransitionReason": "USER_INITIATED",
        "LastModified": now_ms,
        **{key: given[key] for key in _KEPT if given.get(key) is not None},
    }


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "LastModified"}


def _filters(given: Shape) -> tuple[EventPattern, ...]:
    filters = (given.get("FilterCriteria") or {}).get("Filters") or ()
    return tuple(compile_pattern(one["Pattern"]) for one in filters if one.get("Pattern"))


def _filtered(
    queue: Queue, messages: Sequence[Message], filters: Sequence[EventPattern]
) -> list[Message]:
    """What the filters let through; all else is deleted, as Lambda does."""
    if not filters:
        return list(messages)
    kept = []
    for message in messages:
        record = _record(queue, message)
        with contextlib.suppress(orjson.JSONDecodeError):
            record["body"] = orjson.loads(message.body)
        if any(one.matches(record) for one in filters):
            kept.append(message)
        else:
            queue.delete(message.receipt)
    return kept


def _record(queue: Queue, message: Message) -> dict[str, Any]:
    """One message as a function sees it."""
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": system_attributes(queue, message),
        "messageAttributes": {
            name: _attribute(attribute) for name, attribute in message.attributes.items()
        },
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": _REGION,
    }


def _attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": attribute["DataType"],
    }
    if attribute.get("BinaryValue") is not None:
        shape["binaryValue"] = base64.b64encode(attribute["BinaryValue"]).decode()
    else:
        shape["stringValue"] = attribute.get("StringValue", "")
    return shape


def _reported(
    payload: bytes, queue: Queue, messages: Sequence[Message]
) -> tuple[str, frozenset[str]]:
    """What a function that reports batch item failures said.

    Lambda DG services-sqs-errorhandling: an empty or absent list is a success; a malformed answer
    or an unknown id fails the whole batch. After a FIFO failure the function is to name all that
    follow; what it does not name is deleted.
    """
    everything = frozenset(message.id for message in messages)
    try:
        answer = orjson.loads(payload or b"null")
    except orjson.JSONDecodeError:
        return "the function's answer is not JSON", everything
    if answer is None or answer == {}:
        return "", frozenset()
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if failures is None and isinstance(answer, dict):
        return "", frozenset()
    if not isinstance(failures, list):
        return "batchItemFailures is not a list", everything
    named = [one.get("itemIdentifier") if isinstance(one, dict) else None for one in failures]
    if any(name not in everything for name in named):
        return "batchItemFailures names an unknown message", everything
    reasons = [str(one["reason"]) for one in failures if one.get("reason")]
    return "; ".join(reasons) or "the function reported it as failed", frozenset(map(str, named))


def _error_words(payload: bytes) -> str:
    try:
        error = orjson.loads(payload)
        return f"{error.get('errorType', 'Error')}: {error.get('errorMessage', '')}"
    except (orjson.JSONDecodeError, AttributeError):
        return payload[:200].decode(errors="replace")


def _same_function(arn: str, given: str) -> bool:
    return arn == given or arn.partition(":function:")[2] == given


def _invalid(message: str) -> ApiError:
    return ApiError(400, "InvalidParameterValueException", message)
