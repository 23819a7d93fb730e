"""Amazon SQS's API.

AWS: "Amazon Simple Queue Service API Reference", read 2026-11-21; the JSON protocol, which every
SDK of today speaks.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.types import ASGIApp

from emulator import quotas
from emulator.aws.answers import Answer
from emulator.aws.call import ApiCall
from emulator.aws.cloudfront.control_plane import ACCOUNT_ID, Operation, Shape
from emulator.aws.in_process import FUNCTION_ARN
from emulator.aws.models import LazyModel
from emulator.errors import ApiError, NotEmulated
from emulator.quotas import KB
from emulator.stores.account import Account
from emulator.stores.queues import Message, Queue, Queues
from emulator.values.account import Kind
from emulator.wire.service_model_words import ErrorWords

_BODY_MAX_BYTES: Final = 4 * quotas.SQS_MESSAGE_MAX_BYTES
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_GROUP = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
# API reference SendMessage: what XML 1.0 allows.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DEFAULTS: Final[Mapping[str, str]] = {
    "VisibilityTimeout": "30",
    "MaximumMessageSize": str(quotas.SQS_MESSAGE_MAX_BYTES),
    "MessageRetentionPeriod": "345600",
    "DelaySeconds": "0",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
}
_FIFO_DEFAULTS: Final[Mapping[str, str]] = {
    "FifoQueue": "true",
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}
_RANGES: Final = {
    "VisibilityTimeout": (0, quotas.SQS_VISIBILITY_MAX_S),
    "MaximumMessageSize": (KB, quotas.SQS_MESSAGE_MAX_BYTES),
    "MessageRetentionPeriod": (60, 1_209_600),
    "DelaySeconds": (0, quotas.SQS_DELAY_MAX_S),
    "ReceiveMessageWaitTimeSeconds": (0, quotas.SQS_WAIT_MAX_S),
}
_KNOWN_ATTRIBUTES: Final = frozenset(
    {
        *_DEFAULTS,
        *_FIFO_DEFAULTS,
        "Policy",
        "RedrivePolicy",
        "RedriveAllowPolicy",
        "KmsMasterKeyId",
        "KmsDataKeyReusePeriodSeconds",
    }
)
# The query protocol's names, which boto3 still shows as the error's code (awsQueryCompatible).
_QUERY_CODES: Final = {
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    "EmptyBatchRequest": "AWS.SimpleQueueService.EmptyBatchRequest",
    "TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    "BatchEntryIdsNotDistinct": "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
    "BatchRequestTooLong": "AWS.SimpleQueueService.BatchRequestTooLong",
    "InvalidBatchEntryId": "AWS.SimpleQueueService.InvalidBatchEntryId",
    "MessageNotInflight": "AWS.SimpleQueueService.MessageNotInflight",
    "UnsupportedOperation": "AWS.SimpleQueueService.UnsupportedOperation",
    "PurgeQueueInProgress": "AWS.SimpleQueueService.PurgeQueueInProgress",
}


def queue_arn(name: str, region: str = "us-east-1") -> str:
    """A queue's ARN."""
    return f"arn:aws:sqs:{region}:{ACCOUNT_ID}:{name}"


def queue_url(name: str, host: str = "") -> str:
    """A queue's URL: at AWS's own host, or at the endpoint's that the caller used."""
    base = f"http://{host}" if host else "https://sqs.us-east-1.amazonaws.com"
    return f"{base}/{ACCOUNT_ID}/{name}"


class SqsApi:
    """The service `sqs`.

    Args:
        queues: The account's queues.
        account: Where queues made through the API are kept; None: nowhere.
    """

    def __init__(self, queues: Queues, account: Account | None = None) -> None:
        self.queues, self._account = queues, account
        self._declared: set[str] = set()
        self._moves: dict[str, list[dict[str, Any]]] = {}
        self._model = LazyModel("sqs", ErrorWords("SerializationException", "ValidationException"))
        self._operations: Mapping[str, Operation] = {
            "CreateQueue": self._create,
            "DeleteQueue": self._delete_queue,
            "GetQueueUrl": self._get_url,
            "GetQueueAttributes": self._get_attributes,
            "SetQueueAttributes": self._set_attributes,
            "ListQueues": self._list,
            "ListDeadLetterSourceQueues": self._list_sources,
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
            "ReceiveMessage": self._receive,
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete_batch,
            "ChangeMessageVisibility": self._change_visibility,
            "ChangeMessageVisibilityBatch": self._change_visibility_batch,
            "PurgeQueue": self._purge,
            "TagQueue": self._tag,
            "UntagQueue": self._untag,
            "ListQueueTags": self._list_tags,
            "StartMessageMoveTask": self._start_move,
            "ListMessageMoveTasks": self._list_moves,
            "CancelMessageMoveTask": self._cancel_move,
            "AddPermission": self._accept,
            "RemovePermission": self._accept,
        }
        for record in account.all(Kind.QUEUE) if account is not None else ():
            self._make(record.id, record.document["Attributes"], record.document["Tags"])
        self._join_graves()

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            NotEmulated: An operation that is not there, by its name.
        """
        operation = call.headers.get("x-amz-target", "").rpartition(".")[2]
        if operation not in self._operations:
            raise NotEmulated(f"The AWS operation sqs:{operation or call.path}")
        try:
            body = await call.body(_BODY_MAX_BYTES, _too_large)
            model = await self._model.get()
            matched = model.named(operation)
            assert matched is not None
            body, names = _attribute_names(body)
            given = model.read_input(matched, "", call.headers, body)
            host = call.headers.get("host", "")
            output = await self.call(operation, {**given, **names, "_host": host})
        except ApiError as error:
            return _refusal(error)
        written = model.write_output(operation, output)
        return Answer(200, written.body or b"{}", content_type="application/x-amz-json-1.0")

    async def call(self, operation: str, given: Shape) -> dict[str, Any]:
        """Do an operation without HTTP (`in_process`).

        Raises:
            ApiError: Any of SQS's errors.
            NotEmulated: An operation that is not there.
        """
        known = self._operations.get(operation)
        if known is None:
            raise NotEmulated(f"The AWS operation sqs:{operation}")
        return await known(given)

    # --- from the template, and over restarts -----------------------------------------------

    def check(self, name: str, attributes: Mapping[str, str]) -> None:
        """Refuse a queue that SQS refuses.

        Raises:
            ApiError: Says why.
        """
        _require_attributes(name, attributes)

    async def declare(self, declared: Mapping[str, Mapping[str, str]]) -> None:
        """Make the template's queues; those that it declared before and no more are deleted.

        Messages stay in a queue that is declared again.

        Args:
            declared: Attributes by name, checked.
        """
        for name in self._declared - declared.keys():
            self.queues.delete(name)
        self._declared = set(declared)
        for name, attributes in declared.items():
            queue = self.queues.find(name)
            if queue is None:
                self._make(name, attributes, {})
            else:
                queue.attributes = _complete(name, attributes)
        self._join_graves()

    def _make(self, name: str, attributes: Mapping[str, str], tags: Mapping[str, str]) -> Queue:
        queue = self.queues.create(name, queue_arn(name), _complete(name, attributes))
        queue.tags = dict(tags)
        return queue

    def _join_graves(self) -> None:
        """Every queue learns its dead-letter queue, which may have been made after it."""
        for queue in self.queues.all():
            policy = queue.attributes.get("RedrivePolicy")
            queue.redrive_to = None
            if policy:
                redrive = _redrive(policy)
                grave = self.queues.find(str(redrive.get("deadLetterTargetArn")))
                if grave is not None:
                    queue.redrive_to = (grave, int(redrive.get("maxReceiveCount", 10)))

    async def _keep(self, queue: Queue) -> None:
        if self._account is None or queue.name in self._declared:
            return
        document = {"Attributes": queue.attributes, "Tags": queue.tags}
        await self._account.save(self._account.new(Kind.QUEUE, queue.name, document))

    # --- queues -----------------------------------------------------------------------------

    async def _create(self, given: Shape) -> dict[str, Any]:
        name, attributes = given["QueueName"], given.get("Attributes") or {}
        _require_attributes(name, attributes)
        found = self.queues.find(name)
        if found is not None:
            wanted = _complete(name, attributes)
            for key in attributes:
                if found.attributes.get(key) != wanted[key]:
                    raise ApiError(
                        400,
                        "QueueNameExists",
                        "A queue already exists with the same name and a different value for "
                        f"attribute {key}",
                    )
            return {"QueueUrl": queue_url(name, given.get("_host", ""))}
        if attributes.get("RedrivePolicy"):
            self._require_grave(attributes["RedrivePolicy"], name)
        queue = self._make(name, attributes, given.get("tags") or {})
        self._join_graves()
        await self._keep(queue)
        return {"QueueUrl": queue_url(name, given.get("_host", ""))}

    def _require_grave(self, policy: str, name: str) -> None:
        arn = str(_redrive(policy).get("deadLetterTargetArn"))
        grave = self.queues.find(arn)
        if grave is None:
            raise _invalid(
                f"Value {policy} for parameter RedrivePolicy is invalid. Reason: Dead letter "
                "target does not exist."
            )
        if grave.is_fifo != name.endswith(".fifo"):
            raise _invalid(
                f"Value {policy} for parameter RedrivePolicy is invalid. Reason: Dead-letter queue "
                "must be same type of queue as the source."
            )

    async def _delete_queue(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)
        self.queues.delete(queue.name)
        self._join_graves()
        if self._account is not None:
            await self._account.save(deletes=[(Kind.QUEUE, queue.name)])
        return {}

    async def _get_url(self, given: Shape) -> dict[str, Any]:
        queue = self._queue({"QueueUrl": given["QueueName"]})
        return {"QueueUrl": queue_url(queue.name, given.get("_host", ""))}

    async def _get_attributes(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)
        ready, in_flight, delayed = queue.counts()
        everything = {
            **queue.attributes,
            "QueueArn": queue.arn,
            "ApproximateNumberOfMessages": str(ready),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
            "CreatedTimestamp": str(int(queue.created_ms / 1_000)),
            "LastModifiedTimestamp": str(int(queue.modified_ms / 1_000)),
        }
        wanted = given.get("AttributeNames") or []
        for name in wanted:
            if name != "All" and name not in everything and name not in _KNOWN_ATTRIBUTES:
                raise ApiError(400, "InvalidAttributeName", f"Unknown Attribute {name}.")
        if "All" not in wanted:
            everything = {name: text for name, text in everything.items() if name in wanted}
        return {"Attributes": everything} if everything else {}

    async def _set_attributes(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)
        changed = {**queue.attributes, **given["Attributes"]}
        _require_attributes(queue.name, given["Attributes"])
        if given["Attributes"].get("RedrivePolicy"):
            self._require_grave(given["Attributes"]["RedrivePolicy"], queue.name)
        queue.attributes = {name: text for name, text in changed.items() if text != ""}
        queue.modified_ms = self.queues.clock.epoch_ms()
        self._join_graves()
        await self._keep(queue)
        return {}

    async def _list(self, given: Shape) -> dict[str, Any]:
        prefix = given.get("QueueNamePrefix") or ""
        names = [queue.name for queue in self.queues.all() if queue.name.startswith(prefix)]
        return _paged("QueueUrls", names, given)

    async def _list_sources(self, given: Shape) -> dict[str, Any]:
        sources = self.queues.sources_of(self._queue(given))
        output = _paged("queueUrls", [queue.name for queue in sources], given)
        return {"queueUrls": [], **output}

    async def _purge(self, given: Shape) -> dict[str, Any]:
        self._queue(given).purge()
        return {}

    async def _start_move(self, given: Shape) -> dict[str, Any]:
        """Dead letters go back to where they came from, or to one queue; all of them at once."""
        source = self.queues.find(given["SourceArn"])
        if source is None:
            raise _no_resource("The resource that you specified for the SourceArn parameter")
        if not self.queues.sources_of(source):
            raise _invalid("Source queue must be configured as a Dead Letter Queue.")
        named = given.get("DestinationArn")
        if named and self.queues.find(named) is None:
            raise _no_resource("The resource that you specified for the DestinationArn parameter")
        moved = 0
        for message in source.messages():
            destination = self.queues.find(named or message.source_arn)
            if destination is None or source.is_in_flight(message):
                # In flight, or of a queue that is gone: it stays.
                continue
            # First there, then gone from here: a kill in between doubles it, and loses nothing.
            destination.add(self.queues.again(message))
            source.remove(message)
            moved += 1
            self.queues.on_message(destination)
        task = {
            "TaskHandle": base64.b64encode(str(uuid.uuid4()).encode()).decode(),
            "Status": "COMPLETED",
            "SourceArn": source.arn,
            "ApproximateNumberOfMessagesMoved": moved,
            "ApproximateNumberOfMessagesToMove": moved,
            "StartedTimestamp": int(self.queues.clock.epoch_ms()),
            **({"DestinationArn": named} if named else {}),
        }
        self._moves.setdefault(source.arn, []).insert(0, task)
        return {"TaskHandle": task["TaskHandle"]}

    async def _list_moves(self, given: Shape) -> dict[str, Any]:
        found = self._moves.get(given["SourceArn"], [])[: given.get("MaxResults") or 1]
        # AWS shows the handle of running tasks only.
        return {"Results": [{k: v for k, v in one.items() if k != "TaskHandle"} for one in found]}

    async def _cancel_move(self, given: Shape) -> dict[str, Any]:
        raise ApiError(400, "UnsupportedOperation", "The task is not running: it is over at once.")

    async def _tag(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)
        queue.tags |= given["Tags"]
        await self._keep(queue)
        return {}

    async def _untag(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)
        queue.tags = {key: tag for key, tag in queue.tags.items() if key not in given["TagKeys"]}
        await self._keep(queue)
        return {}

    async def _list_tags(self, given: Shape) -> dict[str, Any]:
        tags = self._queue(given).tags
        return {"Tags": tags} if tags else {}

    async def _accept(self, given: Shape) -> dict[str, Any]:
        """Permissions are not checked here."""
        self._queue(given)
        return {}

    # --- messages ---------------------------------------------------------------------------

    async def _send(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)
        output = self._sent(queue, given)
        self.queues.on_message(queue)
        return output

    def _sent(self, queue: Queue, given: Shape) -> dict[str, Any]:
        body, attributes = given["MessageBody"], given.get("MessageAttributes") or {}
        _require_message(queue, body, attributes)
        delay_s = given.get("DelaySeconds")
        if delay_s is None:
            delay_s = queue.whole("DelaySeconds")
        elif queue.is_fifo and delay_s:
            raise _invalid(
                f"Value {delay_s} for parameter DelaySeconds is invalid. Reason: The request "
                "include parameter that is not valid for this queue type."
            )
        if not 0 <= delay_s <= quotas.SQS_DELAY_MAX_S:
            raise _invalid(
                f"Value {delay_s} for parameter DelaySeconds is invalid. Reason: DelaySeconds must "
                "be >= 0 and <= 900."
            )
        group_id = given.get("MessageGroupId") or ""
        deduplication_id = self._deduplication_id(queue, given, body)
        message = queue.duplicate(deduplication_id, group_id) if deduplication_id else None
        if message is None:
            system = given.get("MessageSystemAttributes") or {}
            message = self.queues.new_message(
                body,
                attributes=attributes,
                group_id=group_id,
                deduplication_id=deduplication_id,
                system_attributes={name: one["StringValue"] for name, one in system.items()},
                function_arn=given.get(FUNCTION_ARN) or "",
            )
            if deduplication_id:
                queue.remember(message)
            queue.add(message, delay_s * 1_000.0)
        output: dict[str, Any] = {
            "MessageId": message.id,
            "MD5OfMessageBody": message.md5_of_body,
        }
        if attributes:
            output["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
        if queue.is_fifo:
            output["SequenceNumber"] = message.sequence_number
        return output

    def _deduplication_id(self, queue: Queue, given: Shape, body: str) -> str:
        named = given.get("MessageDeduplicationId") or ""
        group_id = given.get("MessageGroupId") or ""
        if group_id and not _GROUP.fullmatch(group_id):
            raise _invalid(
                f"Value {group_id[:200]} for parameter MessageGroupId is invalid. Reason: "
                "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 "
                "in length."
            )
        if not queue.is_fifo:
            if named:
                raise _invalid(
                    f"Value {named} for parameter MessageDeduplicationId is invalid. Reason: The "
                    "request includes a parameter that is not valid for this queue type."
                )
            return ""
        if not group_id:
            raise ApiError(
                400,
                "MissingParameter",
                "The request must contain the parameter MessageGroupId.",
            )
        if named:
            return str(named)
        if queue.attributes.get("ContentBasedDeduplication") == "true":
            return hashlib.sha256(body.encode()).hexdigest()
        raise _invalid(
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly"
        )

    async def _send_batch(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)
        entries = _entries(given)
        size = sum(len(str(entry.get("MessageBody", "")).encode()) for entry in entries)
        if size > quotas.SQS_MESSAGE_MAX_BYTES:
            raise ApiError(
                400,
                "BatchRequestTooLong",
                f"Batch requests cannot be longer than {quotas.SQS_MESSAGE_MAX_BYTES} bytes. You "
                f"have sent {size} bytes.",
            )

        async def one(entry: Shape) -> dict[str, Any]:
            return self._sent(queue, entry)

        output = await _each(entries, one)
        self.queues.on_message(queue)
        return output

    async def _receive(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)
        most = given.get("MaxNumberOfMessages") or 1
        if not 1 <= most <= quotas.SQS_BATCH_MAX_ENTRIES:
            raise _invalid(
                f"Value {most} for parameter MaxNumberOfMessages is invalid. Reason: Must be "
                "between 1 and 10, if provided."
            )
        wait_s = given.get("WaitTimeSeconds")
        if wait_s is None:
            wait_s = queue.whole("ReceiveMessageWaitTimeSeconds")
        if not 0 <= wait_s <= quotas.SQS_WAIT_MAX_S:
            raise _invalid(
                f"Value {wait_s} for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 "
                "and <= 20, if provided."
            )
        visibility_s = given.get("VisibilityTimeout")
        if visibility_s is None:
            visibility_s = queue.whole("VisibilityTimeout")
        _require_visibility(visibility_s)
        deadline_ms = self.queues.clock.now_ms() + wait_s * 1_000
        messages = queue.take(most, visibility_s * 1_000.0)
        while not messages and wait_s and await queue.wait_for_message(deadline_ms):
            messages = queue.take(most, visibility_s * 1_000.0)
        if not messages:
            return {}
        return {"Messages": [_shape(queue, message, given) for message in messages]}

    async def _delete(self, given: Shape) -> dict[str, Any]:
        self._deleted(self._queue(given), given)
        return {}

    def _deleted(self, queue: Queue, given: Shape) -> None:
        if not queue.delete(given["ReceiptHandle"]):
            raise _bad_receipt(given["ReceiptHandle"])

    async def _delete_batch(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)

        async def one(entry: Shape) -> dict[str, Any]:
            self._deleted(queue, entry)
            return {}

        return await _each(_entries(given), one)

    async def _change_visibility(self, given: Shape) -> dict[str, Any]:
        self._visibility_changed(self._queue(given), given)
        return {}

    def _visibility_changed(self, queue: Queue, given: Shape) -> None:
        visibility_s = given.get("VisibilityTimeout")
        visibility_s = queue.whole("VisibilityTimeout") if visibility_s is None else visibility_s
        _require_visibility(visibility_s)
        if not queue.change_visibility(given["ReceiptHandle"], visibility_s * 1_000.0):
            raise _invalid(
                f"Value {given['ReceiptHandle'][:100]} for parameter ReceiptHandle is invalid. "
                "Reason: Message does not exist or is not available for visibility timeout change."
            )

    async def _change_visibility_batch(self, given: Shape) -> dict[str, Any]:
        queue = self._queue(given)

        async def one(entry: Shape) -> dict[str, Any]:
            self._visibility_changed(queue, entry)
            return {}

        return await _each(_entries(given), one)

    def _queue(self, given: Shape) -> Queue:
        queue = self.queues.find(given["QueueUrl"])
        if queue is None:
            raise ApiError(400, "QueueDoesNotExist", "The specified queue does not exist.")
        return queue


def _attribute_names(body: bytes) -> tuple[bytes, dict[str, list[str]]]:
    """AttributeNames apart: the model's list lacks those of messages, which AWS takes as well."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body, {}
    names = given.pop("AttributeNames", None) if isinstance(given, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return body, {}
    return orjson.dumps(given), {"AttributeNames": names}


# --- checks -------------------------------------------------------------------------------------


def _require_attributes(name: str, attributes: Mapping[str, str]) -> None:
    if not _NAME.fullmatch(name):
        raise _invalid(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )
    for key, text in attributes.items():
        if key not in _KNOWN_ATTRIBUTES:
            raise ApiError(400, "InvalidAttributeName", f"Unknown Attribute {key}.")
        least, most = _RANGES.get(key, (0, 0))
        if key in _RANGES and not (str(text).isdecimal() and least <= int(text) <= most):
            raise ApiError(400, "InvalidAttributeValue", f"Invalid value for the parameter {key}.")
        if key in ("RedrivePolicy", "RedriveAllowPolicy") and text:
            _redrive(text)
    is_fifo = name.endswith(".fifo")
    if attributes.get("FifoQueue") == "true" and not is_fifo:
        raise _invalid(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or "
            "underscores, must end with .fifo suffix and be 1 to 80 in length."
        )
    for key in ("ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"):
        if key in attributes and not is_fifo:
            raise ApiError(400, "InvalidAttributeName", f"Unknown Attribute {key}.")


def _redrive(policy: str) -> Mapping[str, Any]:
    try:
        redrive = orjson.loads(policy)
        if not isinstance(redrive, dict):
            raise TypeError
        int(redrive.get("maxReceiveCount", 1))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise ApiError(
            400,
            "InvalidAttributeValue",
            "Invalid value for the parameter RedrivePolicy.",
        ) from None
    return redrive


def _complete(name: str, attributes: Mapping[str, str]) -> dict[str, str]:
    fifo = _FIFO_DEFAULTS if name.endswith(".fifo") else {}
    found = {**_DEFAULTS, **fifo, **{key: str(text) for key, text in attributes.items()}}
    return {key: text for key, text in found.items() if text != ""}


def _require_message(queue: Queue, body: str, attributes: Mapping[str, Any]) -> None:
    if not body:
        raise ApiError(
            400, "MissingParameter", "The request must contain the parameter MessageBody."
        )
    if _FORBIDDEN.search(body):
        raise ApiError(
            400,
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to "
            "#xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        )
    if len(attributes) > 10:
        raise _invalid(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10]."
        )
    size = len(body.encode())
    for name, attribute in attributes.items():
        value = attribute.get("BinaryValue") or str(attribute.get("StringValue") or "").encode()
        size += len(name.encode()) + len(attribute.get("DataType", "")) + len(value)
        if attribute.get("DataType", "").partition(".")[0] not in ("String", "Number", "Binary"):
            raise _invalid(
                f"The type of message (user) attribute '{name}' is invalid. You must use only the "
                "following supported type prefixes: Binary, Number, String."
            )
    most = queue.whole("MaximumMessageSize")
    if size > most:
        raise _invalid(
            "One or more parameters are invalid. Reason: Message must be shorter than "
            f"{most} bytes."
        )


def _require_visibility(visibility_s: int) -> None:
    if not 0 <= visibility_s <= quotas.SQS_VISIBILITY_MAX_S:
        raise _invalid(
            f"Value {visibility_s} for parameter VisibilityTimeout is invalid. Reason: "
            "VisibilityTimeout must be an integer between 0 and 43200."
        )


# --- shapes -------------------------------------------------------------------------------------


def _shape(queue: Queue, message: Message, given: Shape) -> dict[str, Any]:
    """A received message, with the attributes that were asked for."""
    wanted = {
        *(given.get("AttributeNames") or []),
        *(given.get("MessageSystemAttributeNames") or []),
    }
    shape: dict[str, Any] = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": message.md5_of_body,
        "Body": message.body,
    }
    system = system_attributes(queue, message)
    if "All" not in wanted:
        system = {name: text for name, text in system.items() if name in wanted}
    if system:
        shape["Attributes"] = system
    names = given.get("MessageAttributeNames") or []
    attributes = {
        name: attribute for name, attribute in message.attributes.items() if _named(name, names)
    }
    if attributes:
        shape["MessageAttributes"] = attributes
        shape["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
    return shape


def _named(name: str, wanted: Sequence[str]) -> bool:
    return any(
        one in ("All", ".*", name) or (one.endswith(".*") and name.startswith(one[:-1]))
        for one in wanted
    )


def system_attributes(queue: Queue, message: Message) -> dict[str, str]:
    """What SQS itself says of a message."""
    found = {
        "SenderId": "AIDALOCALPOP",
        "SentTimestamp": str(int(message.sent_ms)),
        "ApproximateReceiveCount": str(message.receive_count),
        "ApproximateFirstReceiveTimestamp": str(int(message.first_received_ms)),
        **message.system_attributes,
    }
    if message.group_id:
        found["MessageGroupId"] = message.group_id
    if queue.is_fifo:
        found["SequenceNumber"] = message.sequence_number
        found["MessageDeduplicationId"] = message.deduplication_id
    if message.source_arn:
        found["DeadLetterQueueSourceArn"] = message.source_arn
    return found


def md5_of_attributes(attributes: Mapping[str, Any]) -> str:
    """DG sqs-message-metadata, "Calculating the MD5 message digest for message attributes"."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        attribute = attributes[name]
        kind = attribute["DataType"]
        binary = attribute.get("BinaryValue")
        value = binary if binary is not None else str(attribute.get("StringValue") or "").encode()
        for part in (name.encode(), kind.encode()):
            digest.update(struct.pack(">I", len(part)) + part)
        digest.update(b"\x02" if binary is not None else b"\x01")
        digest.update(struct.pack(">I", len(value)) + value)
    return digest.hexdigest()


def _paged(member: str, names: Sequence[str], given: Shape) -> dict[str, Any]:
    token = given.get("NextToken")
    start = names.index(token) + 1 if token in names else 0
    most = given.get("MaxResults") or 1_000
    found = names[start : start + most]
    output: dict[str, Any] = {}
    if found:
        output[member] = [queue_url(name, given.get("_host", "")) for name in found]
    if given.get("MaxResults") and start + most < len(names):
        output["NextToken"] = found[-1]
    return output


def _entries(given: Shape) -> Sequence[Shape]:
    entries: Sequence[Shape] = given["Entries"]
    if not entries:
        raise ApiError(
            400, "EmptyBatchRequest", "There should be at least one entry in the request."
        )
    if len(entries) > quotas.SQS_BATCH_MAX_ENTRIES:
        raise ApiError(
            400,
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are 10. You have sent {len(entries)}.",
        )
    ids = [entry["Id"] for entry in entries]
    for entry_id in ids:
        if not _BATCH_ID.fullmatch(entry_id):
            raise ApiError(
                400,
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and "
                "underscores. It can be at most 80 letters long.",
            )
        if ids.count(entry_id) > 1:
            raise ApiError(400, "BatchEntryIdsNotDistinct", f"Id {entry_id} repeated.")
    return entries


async def _each(
    entries: Sequence[Shape], one: Callable[[Shape], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """A batch's output: each entry on its own."""
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for entry in entries:
        try:
            done.append({"Id": entry["Id"], **await one(entry)})
        except ApiError as error:
            failed.append(
                {
                    "Id": entry["Id"],
                    "SenderFault": True,
                    "Code": error.code,
                    "Message": error.message,
                }
            )
    return {"Successful": done, "Failed": failed}


# --- errors -------------------------------------------------------------------------------------


def _refusal(error: ApiError) -> Answer:
    code = _QUERY_CODES.get(error.code, error.code)
    return Answer(
        error.status,
        orjson.dumps({"__type": f"com.amazonaws.sqs#{error.code}", "message": error.message}),
        content_type="application/x-amz-json-1.0",
        headers={"x-amzn-query-error": f"{code};Sender"},
    )


def _no_resource(what: str) -> ApiError:
    return ApiError(404, "ResourceNotFoundException", f"{what} doesn't exist.")


def _invalid(message: str) -> ApiError:
    return ApiError(400, "InvalidParameterValue", message)


def _bad_receipt(receipt: str) -> ApiError:
    return ApiError(
        400, "ReceiptHandleIsInvalid", f'The input receipt handle "{receipt[:100]}" is not valid.'
    )


def _too_large() -> ApiError:
    return _invalid("The request is too large")
