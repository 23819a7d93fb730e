"""Answers made ahead of time: the full form in the registry, and the compact form in the store.

The compact form lies in the key value store under `UserID_ActionID`, as JSON of at most 1,024
bytes. This list is what both edge functions read, and the only place where it is written down:

    answer      text; or instead of it
    body        "/answer-bodies/<name>": the text is too long for the store and lies in S3, as
                <body>/json/<ActionID> and <body>/sse/<ActionID>
    generated   epoch s: when its sources were read
    expires     epoch s: from this second on it is a miss
    version     optional: its source's version tag, sent as `x-answer-version`
    scope       optional, with version: a miss when `version/<scope>` in the store says another one;
                the scope `session` is an answer for one session: a miss for another `iat`
    confidence  optional, 0 to 1: how sure the answer was when it was generated
    half_life   optional, with confidence: seconds in which the confidence halves
    floor       optional: the confidence under which it is a miss; 0.5 when absent
    fallback    optional: "none" when a viewer is told that there is no answer, instead of the
                origin being asked, while it is stale (`origin.precompute.contract`)

With its own expiry, because a store has none and a deleted key is still served for seconds at some
edge locations. The full form adds the contract, the source and what use is expected; it is what
generators put on the queue and what the registry keeps.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from origin.actions import ACTION_ID
from origin.precompute.contract import (
    DEFAULT_CONFIDENCE_FLOOR,
    SCOPE,
    VERSION,
    Contract,
    ContractError,
    FallbackIfStale,
    Staleness,
    confidence_at,
)
from origin.session import USER_ID

# Amazon CloudFront Developer Guide "Quotas", "Quotas on key value stores": "Maximum size of the
# value in a key value pair", 1 KB; counted in UTF-8 bytes.
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
MAX_VALUE_BYTES = 1024

BODY_PATH = "/answer-bodies/"
# An answer in S3; a Lambda@Edge function that generates a response at origin-request sends 1 MB.
MAX_ANSWER_BYTES = 200_000
# 9999-12-31T23:59:59Z: later than any HTTP date, which a response's header holds.
_LAST_DATE_S = 253_402_300_799


class AnswerTooLargeError(Exception):
    """An answer does not fit into a value of the key value store."""

    def __init__(self, user_id: str, action_id: str, size_bytes: int) -> None:
        super().__init__(
            f"{user_id} {action_id}: the answer takes {size_bytes} bytes as a stored value, "
            f"{MAX_VALUE_BYTES} is the most. Ask for a shorter one (ANSWER_CHARS in "
            "origin/context.py); until then this question is answered by the model when asked"
        )
        self.size_bytes = size_bytes


class ArtifactError(ValueError):
    """What should be an artifact is none; the message names the member."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer at the edge, in its compact form.

    Attributes:
        answer: The text; empty when it lies in S3.
        generated_at_s: Epoch seconds.
        expires_at_s: Epoch seconds; from this second on it is a miss.
        version: Its source's version tag; empty for none.
        scope: Where the current version tag is to be read; empty for nowhere.
        confidence: From 0 to 1; None for an answer that does not degrade.
        half_life_s: Seconds in which the confidence halves.
        floor: The confidence under which it is a miss.
        fallback: What a viewer gets while it is stale.
        body: The path of the text in S3; empty when the text is here.
    """

    answer: str
    generated_at_s: int
    expires_at_s: int
    version: str = ""
    scope: str = ""
    confidence: float | None = None
    half_life_s: int = 0
    floor: float = DEFAULT_CONFIDENCE_FLOOR
    fallback: FallbackIfStale = FallbackIfStale.ORIGIN
    body: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What an answer was made from.

    Attributes:
        content_hash: SHA-256 of it, in hexadecimal digits.
        version: Its version tag; empty for none.
        scope: What the version tag is about; empty when no tag in the store decides.
    """

    content_hash: str
    version: str = ""
    scope: str = ""

    def __post_init__(self) -> None:
        if self.version and not VERSION.fullmatch(self.version):
            raise ArtifactError(
                f"version {self.version!r}: 1 to 64 characters of A-Z, a-z, 0-9 and ._:+- expected"
            )
        if self.scope and not (SCOPE.fullmatch(self.scope) and self.version):
            raise ArtifactError(
                f"scope {self.scope!r}: a-z, 0-9 and '-' expected, together with a version"
            )


@dataclass(frozen=True, slots=True)
class Artifact:
    """An answer made ahead of time, in its full form.

    Attributes:
        user_id: Whose.
        action_id: Which.
        answer: The text.
        generated_at_ms: Epoch milliseconds at which its sources were read. Of two answers to one
            question the one with the later moment is the newer one, whichever arrives first.
        expires_at_s: Epoch seconds.
        contract: What it promises.
        source: What it was made from.
        confidence: From 0 to 1; None for an answer that does not degrade.
        half_life_s: Seconds in which the confidence halves.
        floor: The confidence under which it is a miss.
        predicted_use: How often it is expected to be asked for, as a probability or a count: when
            the store is full, the lowest go first.
    """

    user_id: str
    action_id: str
    answer: str
    generated_at_ms: int
    expires_at_s: int
    contract: Contract
    source: Source
    confidence: float | None = None
    half_life_s: int = 0
    floor: float = DEFAULT_CONFIDENCE_FLOOR
    predicted_use: float = 0.5

    def __post_init__(self) -> None:
        store_key(self.user_id, self.action_id)
        size_bytes = len(self.answer.encode())
        if not 0 < size_bytes <= MAX_ANSWER_BYTES:
            raise ArtifactError(f"answer: {size_bytes} bytes; 1 to {MAX_ANSWER_BYTES} expected")
        if self.generated_at_ms < 0 or not self.generated_at_ms // 1000 < self.expires_at_s:
            raise ArtifactError("expires: a second after the answer was generated expected")
        if self.expires_at_s > _LAST_DATE_S:
            raise ArtifactError("expires: no later than the year 9999")
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ArtifactError(f"confidence {self.confidence}: 0 to 1 expected")
        if self.confidence is not None and self.half_life_s < 1:
            raise ArtifactError("half_life: at least one second expected, together with confidence")
        if not 0 <= self.floor <= 1:
            raise ArtifactError(f"floor {self.floor}: 0 to 1 expected")
        if not 0 <= self.predicted_use < 1e9:
            raise ArtifactError(f"predicted_use {self.predicted_use}: 0 or more expected")

    @property
    def key(self) -> str:
        """Its key in the store."""
        return store_key(self.user_id, self.action_id)

    @property
    def fresh_until_s(self) -> int:
        """Epoch seconds: from this second on, serving it breaks its contract."""
        return self.generated_at_ms // 1000 + self.contract.freshness_sla_s


def content_hash(text: str) -> str:
    """SHA-256 of what an answer was made from, usually its prompt."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def store_key(user_id: str, action_id: str) -> str:
    """The key of one user's answer to one action.

    Raises:
        ValueError: One of the ids could make the key ambiguous.
    """
    if not USER_ID.fullmatch(user_id) or not ACTION_ID.fullmatch(action_id):
        raise ValueError(f"no key for UserID {user_id!r} and ActionID {action_id!r}")
    return f"{user_id}_{action_id}"


# --- the compact form ------------------------------------------------------------------------


def compact(artifact: Artifact, *, body: str = "") -> StoredAnswer:
    """An artifact as it lies in the store.

    Args:
        artifact: The artifact.
        body: Where the text is in S3, if it is there.
    """
    return StoredAnswer(
        "" if body else artifact.answer,
        artifact.generated_at_ms // 1000,
        artifact.expires_at_s,
        artifact.source.version,
        artifact.source.scope,
        artifact.confidence,
        artifact.half_life_s,
        artifact.floor,
        artifact.contract.fallback_if_stale,
        body,
    )


def dump_value(stored: StoredAnswer) -> str:
    """Spell the value as it is stored."""
    shape: dict[str, object] = {"body": stored.body} if stored.body else {"answer": stored.answer}
    shape |= {"generated": stored.generated_at_s, "expires": stored.expires_at_s}
    if stored.version:
        shape["version"] = stored.version
    if stored.scope:
        shape["scope"] = stored.scope
    if stored.confidence is not None:
        shape |= {"confidence": stored.confidence, "half_life": stored.half_life_s}
        if stored.floor != DEFAULT_CONFIDENCE_FLOOR:
            shape["floor"] = stored.floor
    if stored.fallback is not FallbackIfStale.ORIGIN:
        shape["fallback"] = stored.fallback.value
    return _dumps(shape)


def parse_value(value: str) -> StoredAnswer:
    """Read a stored value.

    Raises:
        ValueError: It is not one of ours.
    """
    shape: Any = json.loads(value)
    if not isinstance(shape, dict):
        raise ValueError("not a stored answer: no JSON object")
    members = _Members(shape, "not a stored answer")
    confidence = members.number("confidence", None)
    return StoredAnswer(
        members.text("answer", "" if "body" in shape else None),
        members.whole("generated"),
        members.whole("expires"),
        members.text("version", ""),
        members.text("scope", ""),
        confidence,
        members.whole("half_life", 0 if confidence is None else None),
        members.number("floor", DEFAULT_CONFIDENCE_FLOOR) or 0.0,
        _fallback(members.text("fallback", FallbackIfStale.ORIGIN.value)),
        members.text("body", ""),
    )


def staleness(
    stored: StoredAnswer, *, now_s: float, current_version: str | None = None
) -> Staleness | None:
    """Why a stored answer may not be served now; None when it may.

    Args:
        stored: The answer.
        now_s: Epoch seconds.
        current_version: What the store has under `version/<scope>`; None for nothing.
    """
    if stored.expires_at_s <= now_s:
        return Staleness.EXPIRED
    if stored.confidence is not None and (
        confidence_at(stored.confidence, stored.half_life_s, now_s - stored.generated_at_s)
        < stored.floor
    ):
        return Staleness.DEGRADED
    if stored.scope and current_version is not None and stored.version != current_version:
        return Staleness.LAGGING
    return None


def make_entry(user_id: str, action_id: str, stored: StoredAnswer) -> tuple[str, str]:
    """The key and the value to put into the store.

    Raises:
        AnswerTooLargeError: The value would be over its quota.
    """
    value = dump_value(stored)
    size_bytes = len(value.encode())
    if size_bytes > MAX_VALUE_BYTES:
        raise AnswerTooLargeError(user_id, action_id, size_bytes)
    return store_key(user_id, action_id), value


# --- long answers ----------------------------------------------------------------------------


def body_path(artifact: Artifact, event_id: str) -> str:
    """The path of a long answer in S3: always the same for the same artifact of one event.

    It holds 192 bits of a hash over the event's id and the text itself, so nobody can guess the
    path of an answer that is not known to them already.
    """
    identity = f"{artifact.key}\n{artifact.generated_at_ms}\n{event_id}\n{artifact.answer}"
    digest = hashlib.sha256(identity.encode()).digest()[:24]
    return BODY_PATH + base64.urlsafe_b64encode(digest).decode()


def bodies(artifact: Artifact) -> dict[str, tuple[str, bytes]]:
    """What lies in S3 behind a pointer: form -> content type and body, as the origin spells both.

    The keys are the parts of the path after the pointer, without the ActionID.
    """
    done = {"action": artifact.action_id}
    events = f"data: {_dumps({'text': artifact.answer})}\n\nevent: done\ndata: {_dumps(done)}\n\n"
    whole = _dumps({**done, "answer": artifact.answer})
    return {
        "json": ("application/json; charset=utf-8", whole.encode()),
        "sse": ("text/event-stream", events.encode()),
    }


# --- the full form ---------------------------------------------------------------------------


def dump_artifact(artifact: Artifact) -> dict[str, Any]:
    """The full form as JSON has it: what a put message of the queue holds."""
    shape: dict[str, Any] = {
        "user_id": artifact.user_id,
        "action": artifact.action_id,
        "answer": artifact.answer,
        "generated_ms": artifact.generated_at_ms,
        "expires": artifact.expires_at_s,
        "freshness_sla": artifact.contract.freshness_sla_s,
        "invalidated_by": list(artifact.contract.invalidated_by),
        "fallback_if_stale": artifact.contract.fallback_if_stale.value,
        "owner": artifact.contract.owner,
        "content_hash": artifact.source.content_hash,
        "predicted_use": artifact.predicted_use,
    }
    if artifact.source.version:
        shape["version"] = artifact.source.version
    if artifact.source.scope:
        shape["scope"] = artifact.source.scope
    if artifact.confidence is not None:
        shape |= {
            "confidence": artifact.confidence,
            "half_life": artifact.half_life_s,
            "floor": artifact.floor,
        }
    return shape


def parse_artifact(shape: object) -> Artifact:
    """Read the full form.

    Raises:
        ValueError: It is none; the message names the member.
    """
    if not isinstance(shape, dict):
        raise ArtifactError("not an artifact: no JSON object")
    members = _Members(shape, "not an artifact")
    subjects = shape.get("invalidated_by", [])
    if not isinstance(subjects, list):
        raise ArtifactError("not an artifact: invalidated_by is no list")
    confidence = members.number("confidence", None)
    floor = members.number("floor", DEFAULT_CONFIDENCE_FLOOR)
    used = members.number("predicted_use", 0.5)
    return Artifact(
        members.text("user_id"),
        members.text("action"),
        members.text("answer"),
        members.whole("generated_ms"),
        members.whole("expires"),
        Contract(
            members.whole("freshness_sla"),
            tuple(dict.fromkeys(subjects)) if _are_texts(subjects) else (),
            _fallback(members.text("fallback_if_stale")),
            members.text("owner"),
        ),
        Source(
            members.text("content_hash"), members.text("version", ""), members.text("scope", "")
        ),
        confidence,
        members.whole("half_life", 0 if confidence is None else None),
        DEFAULT_CONFIDENCE_FLOOR if floor is None else floor,
        0.5 if used is None else used,
    )


def _are_texts(values: list[object]) -> bool:
    for value in values:
        if not isinstance(value, str):
            raise ContractError(f"invalidated_by: {value!r} is no text")
    return True


def _fallback(value: str) -> FallbackIfStale:
    try:
        return FallbackIfStale(value)
    except ValueError:
        known = " or ".join(repr(one.value) for one in FallbackIfStale)
        raise ContractError(f"fallback_if_stale {value!r}: {known} expected") from None


@dataclass(frozen=True, slots=True)
class _Members:
    """Typed reading of a JSON object; a member without a default is required."""

    shape: Mapping[str, Any]
    problem: str

    def text(self, name: str, default: str | None = None) -> str:
        value = self.shape.get(name, default)
        if isinstance(value, str):
            # Half a character, which JSON can hold and UTF-8 cannot.
            return value.encode("utf-8", "replace").decode()
        raise self._wrong(name, "text")

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.shape.get(name, default)
        # `type(...) is int`: in Python, True is an int as well.
        if type(value) is int:
            return value
        raise self._wrong(name, "a whole number")

    def number(self, name: str, default: float | None) -> float | None:
        value = self.shape.get(name, default)
        if name not in self.shape:
            return default
        # Not a number is not within any bounds either.
        if type(value) in {int, float} and abs(value) < 1e18:
            return float(value)
        raise self._wrong(name, "a number")

    def _wrong(self, name: str, expected: str) -> ArtifactError:
        return ArtifactError(f"{self.problem}: {name} must be {expected}")


def _dumps(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
