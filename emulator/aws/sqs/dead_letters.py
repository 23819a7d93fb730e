"""Dead letters: which there are, why, and the way back.

A dead letter of a rule or schedule names its target in its attributes; one of a queue's redrive
policy comes from that queue; one of a Lambda function's asynchronous invocation goes back to the
function, which localpop remembers (AWS's dead letter does not name it). One that a program has put
there itself, with the attribute TARGET_ARN of a queue, a function or a state machine, goes there.
Whatever else lies in such a queue has no known way back and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from emulator.aws.events.api import EventsApi
from emulator.aws.events.delivery import Delivery
from emulator.aws.events.registry import EventRegistry
from emulator.errors import ApiError
from emulator.rules.event_input import Matched, shape_input
from emulator.stores.queues import Message, Queue, Queues
from emulator.values.account import Kind
from emulator.wire.dates import iso_date

# What a program adds to a message that it puts among the dead letters; without it, sent back, the
# message is none any more.
_WHY: Final = frozenset({"TARGET_ARN", "ERROR_CODE", "ERROR_MESSAGE"})


def dead_letter_queues(queues: Queues, registry: EventRegistry) -> Sequence[Queue]:
    """The queues that something names as its dead-letter queue, or that hold dead letters."""
    named = {
        (target.get("DeadLetterConfig") or {}).get("Arn")
        for rule in registry.all(Kind.EVENT_RULE)
        for target in rule["Targets"]
    }
    named |= {
        (one["Target"].get("DeadLetterConfig") or {}).get("Arn")
        for one in registry.all(Kind.SCHEDULE)
    }
    return [
        queue
        for queue in queues.all()
        if queue.arn in named
        or queues.sources_of(queue)
        or any(_is_dead_letter(message) for message in queue.messages())
    ]


def describe(queue: Queue, message: Message) -> dict[str, Any]:
    """A dead letter, for a person."""
    texts = _texts(message)
    source = (
        message.source_arn
        or message.function_arn
        or texts.get("RULE_ARN")
        or texts.get("SCHEDULE_ARN")
        or ""
    )
    return {
        "queue": queue.name,
        "id": message.id,
        "time": iso_date(message.sent_ms),
        "source": source,
        "target": texts.get("TARGET_ARN", ""),
        "reason": _reason(message, texts),
        "body": message.body,
        "replayable": _way_back(message) != "",
    }


async def replay(name: str, queues: Queues, events: EventsApi) -> dict[str, Any]:
    """Send dead letters back to where they came from.

    Args:
        name: A dead-letter queue's name; empty for all of them.
        queues: Every queue.
        events: Brings those of rules and schedules to their targets.

    Raises:
        ApiError: 404, there is no such queue.
    """
    found = [queues.find(name)] if name else dead_letter_queues(queues, events.registry)
    replayed, left = 0, 0
    for queue in found:
        if queue is None:
            raise ApiError(404, "QueueDoesNotExist", f"There is no queue {name}.")
        for message in queue.messages():
            if _sent_back(message, queue, queues, events):
                queue.remove(message)
                replayed += 1
            else:
                left += 1
    return {"replayed": replayed, "left": left}


def _sent_back(message: Message, queue: Queue, queues: Queues, events: EventsApi) -> bool:
    texts = _texts(message)
    match _way_back(message):
        case "queue":
            source = queues.find(message.source_arn or texts["TARGET_ARN"])
            if source is None:
                return False
            source.add(queues.again(message, () if message.source_arn else _WHY))
            return True
        case "target":
            delivery = _delivery(message, texts, events)
            if delivery is None or not events.deliveries.has_room():
                return False
            events.deliveries.submit(delivery)
            return True
        case "address":
            if not events.deliveries.has_room():
                return False
            arn = message.function_arn or texts["TARGET_ARN"]
            # When it fails once more, it comes back here.
            target = {"Id": "replayed", "Arn": arn, "DeadLetterConfig": {"Arn": queue.arn}}
            now_ms = events.registry.now_ms()
            events.deliveries.submit(
                Delivery(message.id, arn, target, message.body, message.body, now_ms)
            )
            return True
        case _:
            return False


def _delivery(message: Message, texts: Mapping[str, str], events: EventsApi) -> Delivery | None:
    """The delivery that failed, as its rule or schedule has it today."""
    registry = events.registry
    now_ms = registry.now_ms()
    for rule in registry.all(Kind.EVENT_RULE):
        if rule["Arn"] != texts.get("RULE_ARN"):
            continue
        for target in rule["Targets"]:
            if target["Arn"] == texts["TARGET_ARN"]:
                event = _event(message.body)
                matched = Matched(event, message.body, rule["Arn"], rule["Name"], iso_date(now_ms))
                text = shape_input(target, matched)
                return Delivery(message.id, rule["Arn"], target, text, message.body, now_ms)
    for schedule in registry.all(Kind.SCHEDULE):
        if schedule["Arn"] == texts.get("SCHEDULE_ARN"):
            return Delivery(
                message.id,
                schedule["Arn"],
                schedule["Target"],
                message.body,
                message.body,
                now_ms,
                source_kind="SCHEDULE_ARN",
            )
    return None


def _event(body: str) -> Mapping[str, Any]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}


def _way_back(message: Message) -> str:
    if message.source_arn:
        return "queue"
    if message.function_arn:
        return "address"
    texts = _texts(message)
    if "TARGET_ARN" in texts and ("RULE_ARN" in texts or "SCHEDULE_ARN" in texts):
        return "target"
    match texts.get("TARGET_ARN", "").split(":")[2:3]:
        case ["sqs"]:
            return "queue"
        case ["states"] | ["lambda"]:
            return "address"
        case _:
            return ""


def _is_dead_letter(message: Message) -> bool:
    known = message.source_arn or message.function_arn
    return bool(known) or "ERROR_CODE" in message.attributes


def _reason(message: Message, texts: Mapping[str, str]) -> str:
    if message.reason:
        return message.reason
    if "ERROR_CODE" in texts:
        words = f"{texts['ERROR_CODE']}: {_plain(texts.get('ERROR_MESSAGE', ''))}"
        attempts = texts.get("RETRY_ATTEMPTS")
        return f"{words} (after {attempts} retries)" if attempts else words
    # Lambda's own names for an asynchronous invocation that failed.
    if "ErrorMessage" in texts:
        return f"{texts.get('ErrorCode', '')}: {_plain(texts['ErrorMessage'])}"
    return "received too often" if message.source_arn else ""


def _plain(words: str) -> str:
    """What went wrong, out of a function's error object and a state machine's around it."""
    try:
        shape = orjson.loads(words)
    except orjson.JSONDecodeError:
        return words
    inner = (shape.get("errorMessage") or shape.get("Cause")) if isinstance(shape, dict) else None
    return _plain(inner) if isinstance(inner, str) and inner else words


def _texts(message: Message) -> dict[str, str]:
    return {
        name: str(attribute.get("StringValue") or "")
        for name, attribute in message.attributes.items()
    }
