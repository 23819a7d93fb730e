"""What lies on the queue of writes: puts, deletes and version tags, as JSON.

    {"operation":"put","event_id","user_id","answers":[artifact, …]}
    {"operation":"delete","event_id","keys":[…],"subject","before_ms"}
    {"operation":"delete","event_id","keys":[…],"reason":"expired"}
    {"operation":"version","event_id","scope","version","changed_ms"}

One message is one atomic write, so it is small enough for one `UpdateKeys`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from origin.precompute.artifact import Artifact, dump_artifact, parse_artifact
from origin.precompute.contract import VERSION, check_subject, version_key

# Amazon CloudFront Developer Guide "Quotas", "Quotas on key value stores": 50 keys or 3 MB for one
# UpdateKeys. https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
MAX_KEYS = 50

MESSAGE_GROUP = "writer"
"""One group, so there is one writer: SQS hands a group's messages out in order, batch by batch."""

_KEY_MAX_CHARS = 512


@dataclass(frozen=True, slots=True)
class Put:
    """One user's answers.

    Attributes:
        event_id: What they were generated for.
        user_id: Whose.
        answers: All of them, for one atomic write.
        occurred_at_s: Epoch seconds of the event, for the delay from event to edge; 0 when unknown.
    """

    event_id: str
    user_id: str
    answers: tuple[Artifact, ...]
    occurred_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Delete:
    """Answers that have to go.

    Attributes:
        event_id: Because of what.
        keys: Theirs.
        subject: What has changed; empty for a sweep.
        before_ms: Epoch milliseconds of the change: answers made later know of it and stay.
        only_expired: A sweep: only what has expired by now goes.
    """

    event_id: str
    keys: tuple[str, ...]
    subject: str = ""
    before_ms: int = 0
    only_expired: bool = False


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A scope's new version tag; what was made from another version is stale."""

    event_id: str
    scope: str
    version: str
    changed_ms: int


Message: TypeAlias = Put | Delete | NewVersion


def dump_message(message: Message) -> str:
    """Spell a message."""
    match message:
        case Put():
            shape: dict[str, Any] = {
                "operation": "put",
                "event_id": message.event_id,
                "user_id": message.user_id,
                "answers": [dump_artifact(one) for one in message.answers],
            }
            if message.occurred_at_s:
                shape["occurred_at"] = message.occurred_at_s
        case Delete():
            shape = {
                "operation": "delete",
                "event_id": message.event_id,
                "keys": list(message.keys),
            }
            if message.only_expired:
                shape["reason"] = "expired"
            else:
                shape |= {"subject": message.subject, "before_ms": message.before_ms}
        case NewVersion():
            shape = {
                "operation": "version",
                "event_id": message.event_id,
                "scope": message.scope,
                "version": message.version,
                "changed_ms": message.changed_ms,
            }
    return json.dumps(shape, ensure_ascii=False, separators=(",", ":"))


def parse_message(body: str) -> Message:
    """Read a message.

    Raises:
        ValueError: It is none; the message says what is wrong.
    """
    try:
        shape: Any = json.loads(body)
    # RecursionError: brackets in brackets, some thousand times.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(shape, dict):
        raise ValueError("not a message: no JSON object")
    match shape.get("operation"):
        case "put":
            return _parse_put(shape)
        case "delete":
            return _parse_delete(shape)
        case "version":
            return _parse_version(shape)
        case other:
            shown = repr(other)[:60]
            raise ValueError(f"operation {shown}: 'put', 'delete' or 'version' expected")


def _parse_put(shape: dict[str, Any]) -> Put:
    user_id, answers = _text(shape, "user_id"), _list(shape, "answers")
    artifacts = tuple(parse_artifact(answer) for answer in answers)
    if not 1 <= len(artifacts) <= MAX_KEYS:
        raise ValueError(f"answers: {len(artifacts)}; 1 to {MAX_KEYS} fit into one atomic write")
    for artifact in artifacts:
        if artifact.user_id != user_id:
            raise ValueError(f"answers: one belongs to {artifact.user_id!r}, not to {user_id!r}")
    if len({artifact.key for artifact in artifacts}) < len(artifacts):
        raise ValueError("answers: two for one action")
    occurred = shape.get("occurred_at", 0)
    occurred_at_s = float(occurred) if type(occurred) in {int, float} else 0.0
    return Put(_text(shape, "event_id"), user_id, artifacts, occurred_at_s)


def _parse_delete(shape: dict[str, Any]) -> Delete:
    keys = _list(shape, "keys")
    if not 1 <= len(keys) <= MAX_KEYS:
        raise ValueError(f"keys: {len(keys)}; 1 to {MAX_KEYS} expected")
    for key in keys:
        # Only answers: a session key or a version tag is nobody's to delete here.
        if not isinstance(key, str) or "/" in key or not 0 < len(key.encode()) <= _KEY_MAX_CHARS:
            raise ValueError(f"keys: {key!r:.80} is not the key of an answer")
    event_id = _text(shape, "event_id")
    if shape.get("reason") == "expired":
        return Delete(event_id, tuple(keys), only_expired=True)
    subject = check_subject(shape.get("subject"))
    return Delete(event_id, tuple(keys), subject, _whole(shape, "before_ms"))


def _parse_version(shape: dict[str, Any]) -> NewVersion:
    scope, version = _text(shape, "scope"), _text(shape, "version")
    version_key(scope)
    if not VERSION.fullmatch(version):
        raise ValueError(f"version {version!r:.80}: A-Z, a-z, 0-9 and ._:+- expected")
    return NewVersion(_text(shape, "event_id"), scope, version, _whole(shape, "changed_ms"))


def _text(shape: dict[str, Any], name: str) -> str:
    value = shape.get(name)
    if isinstance(value, str) and 0 < len(value) <= 256:
        return value
    raise ValueError(f"{name}: text of 1 to 256 characters expected")


def _whole(shape: dict[str, Any], name: str) -> int:
    value = shape.get(name)
    if type(value) is int and 0 <= value < 10**15:
        return value
    raise ValueError(f"{name}: epoch milliseconds expected")


def _list(shape: dict[str, Any], name: str) -> Sequence[Any]:
    value = shape.get(name)
    if isinstance(value, list):
        return value
    raise ValueError(f"{name}: a list expected")
