"""A state change takes away exactly the answers whose contract names it.

The registry knows them by subject, so neither the store nor the table is read through. The change
itself is noted first: an answer that is being generated from the old state just now, and that no
registry knows yet, is refused by the writer when it arrives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from origin.events import PIPELINE, EventBus, Happening
from origin.precompute.contract import check_subject
from origin.precompute.messages import (
    MAX_KEYS,
    MESSAGE_GROUP,
    Delete,
    Message,
    NewVersion,
    dump_message,
    parse_message,
)
from origin.precompute.metrics import metric_line
from origin.precompute.registry import Registry

QUEUE_VARIABLE = "ANSWER_QUEUE_URL"
# An event has 256 KB; these many keys are named in one, and all of them are counted.
_NAMED_MAX = 100


class BadEventError(ValueError):
    """An event that cannot be understood; it goes to the dead letters with this message."""


@dataclass(frozen=True, slots=True)
class WriteQueue:
    """The queue of writes.

    Attributes:
        client: boto3's `sqs`.
        url: Its URL.
    """

    client: Any
    url: str

    def send(self, message: Message, deduplication_id: str) -> None:
        """Put one message on the queue; the same id again within five minutes is once."""
        self.client.send_message(
            QueueUrl=self.url,
            MessageBody=dump_message(message),
            MessageGroupId=MESSAGE_GROUP,
            MessageDeduplicationId=deduplication_id[:128],
        )


@dataclass(frozen=True, slots=True)
class StateChange:
    """What has changed.

    Attributes:
        event_id: The event's id.
        subject: What has changed.
        change: How, in a word.
        changed_ms: Epoch milliseconds; answers generated later know of it.
        regenerate: Whether new answers are wanted.
        scope: What `version` is about; empty without one.
        version: The scope's version tag from now on.
    """

    event_id: str
    subject: str
    change: str
    changed_ms: int
    regenerate: bool
    scope: str = ""
    version: str = ""


def parse_state_change(event: object, *, now_ms: int) -> StateChange:
    """Read a `StateChanged` event as EventBridge hands it over.

    Raises:
        BadEventError: It is none.
    """
    if not isinstance(event, dict) or not isinstance(event.get("detail"), dict):
        raise BadEventError("not an event: an object with an object `detail` expected")
    detail, event_id = event["detail"], event.get("id")
    if not isinstance(event_id, str) or not 0 < len(event_id) <= 100:
        raise BadEventError("id: the event's id expected")
    try:
        subject = check_subject(detail.get("subject"))
    except ValueError as error:
        raise BadEventError(str(error)) from None
    regenerate, change = detail.get("regenerate", False), detail.get("change", "changed")
    if not isinstance(regenerate, bool) or not isinstance(change, str):
        raise BadEventError("regenerate: true or false expected; change: text")
    scope, version = detail.get("scope", ""), detail.get("version", "")
    if not isinstance(scope, str) or not isinstance(version, str) or bool(scope) != bool(version):
        raise BadEventError("scope and version: texts, both or neither, expected")
    changed_ms = min(now_ms, _changed_ms(event, detail, now_ms))
    return StateChange(event_id, subject, change[:100], changed_ms, regenerate, scope, version)


def _changed_ms(event: Mapping[str, Any], detail: Mapping[str, Any], now_ms: int) -> int:
    occurred_at = detail.get("occurred_at")
    if isinstance(occurred_at, int | float) and 0 < occurred_at < 1e12:
        return int(occurred_at * 1000)
    try:
        # Whole seconds: what was generated within that second may not know of it.
        return int(datetime.fromisoformat(event["time"]).timestamp()) * 1000 + 999
    except (KeyError, TypeError, ValueError, OverflowError):
        return now_ms


@dataclass(slots=True)
class AnswerInvalidator:
    """Turns state changes into deletes on the queue.

    Attributes:
        registry: What depends on what.
        queue: Where deletes go.
        bus: Who is told, and asked for new answers.
        now_s: Epoch seconds.
        say: The log.
    """

    registry: Registry
    queue: WriteQueue
    bus: EventBus
    now_s: Callable[[], float] = time.time
    say: Callable[[str], None] = print

    def handle(self, event: object) -> dict[str, Any]:
        """One `StateChanged`; it may come more than once, and then the same is done again.

        Raises:
            BadEventError: It is none.
        """
        now_ms = int(self.now_s() * 1000)
        change = parse_state_change(event, now_ms=now_ms)
        self.registry.subject_changed(change.subject, change.changed_ms)
        self._new_version(change)
        keys = sorted(self.registry.keys_naming(change.subject))
        for number, part in enumerate(_parts(keys)):
            message = Delete(change.event_id, tuple(part), change.subject, change.changed_ms)
            self.queue.send(message, f"{change.event_id}-{number}")
        happenings = [
            Happening(
                PIPELINE,
                "AnswersInvalidated",
                {
                    "subject": change.subject,
                    "change": change.change,
                    "invalidated": len(keys),
                    "keys": keys[:_NAMED_MAX],
                    "regenerate": change.regenerate,
                },
            )
        ]
        if change.regenerate:
            happenings += _wanted(keys, change)
        self.bus.put(happenings)
        values = {"AnswersInvalidated": len(keys), "InvalidateMs": self.now_s() * 1000 - now_ms}
        units = {"InvalidateMs": "Milliseconds"}
        self.say(metric_line("answer-invalidator", values, units=units, now_ms=now_ms))
        return {"subject": change.subject, "invalidated": len(keys)}

    def _new_version(self, change: StateChange) -> None:
        if not change.scope:
            return
        message = NewVersion(change.event_id, change.scope, change.version, change.changed_ms)
        try:
            # What the writer would refuse is said here, where the event is.
            parse_message(dump_message(message))
        except ValueError as error:
            raise BadEventError(str(error)) from None
        self.queue.send(message, f"{change.event_id}-version")


def _parts(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[first : first + MAX_KEYS] for first in range(0, len(keys), MAX_KEYS)]


def _wanted(keys: Sequence[str], change: StateChange) -> list[Happening]:
    actions: dict[str, list[str]] = {}
    for key in keys:
        user_id, _, action_id = key.partition("_")
        actions.setdefault(user_id, []).append(action_id)
    # What starts with the trigger, a generator knows; and it takes 128 characters.
    reason = f"StateChanged/{change.subject} {change.change}"[:128]
    return [
        Happening(
            PIPELINE, "AnswersWanted", {"user_id": user_id, "actions": wanted, "reason": reason}
        )
        for user_id, wanted in actions.items()
    ]
