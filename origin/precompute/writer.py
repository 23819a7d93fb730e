"""The single writer: from the queue of writes into the store, nothing lost and nothing twice.

For each call of `UpdateKeys`, in this order:

    1. what the registry knows decides what is written: an older answer never replaces a newer one,
       and what was generated before its subject changed is not written at all
    2. bodies of long answers go to S3
    3. the registry learns which answers depend on what, so that a change finds them from now on;
       what has changed up to here is looked up once more
    4. bodies of long answers that have become wrong are deleted: no edge can follow a pointer to
       them any more, however long the store's change takes to get there
    5. one atomic UpdateKeys: each message's keys are in exactly one
    6. the registry learns what the store has now

Killed anywhere, the messages come again (SQS keeps what was not acknowledged) and all of it is
done once more with the same result: the paths, the values and the items are functions of the
message. What has passed step 6 is recognised and not written a second time.

What the registry has said is remembered from batch to batch, for as long as the store's ETag proves
that nobody else has written; when somebody has, what to write is decided anew.

A message that will never succeed goes to the dead letters with its reason and holds nobody up. A
fault that passes (store, table or bucket not to be had) gives the message and all after it back
to the queue, so that the order stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from origin.events import PIPELINE, EventBus, EventsError, Happening
from origin.precompute.artifact import (
    MAX_VALUE_BYTES,
    Artifact,
    body_path,
    compact,
    dump_value,
    parse_value,
)
from origin.precompute.bodies import Bodies
from origin.precompute.contract import version_key
from origin.precompute.dead_letters import DeadLetters
from origin.precompute.messages import MAX_KEYS, Delete, Message, NewVersion, Put, parse_message
from origin.precompute.metrics import metric_line
from origin.precompute.registry import Known, Record, Registry, RegistryBusyError, record_of
from origin.store import StoreConflictError, StoreError, StoreRefusedError, StoreWriter

# Amazon CloudFront Developer Guide "Quotas", "Quotas on key value stores": 5 MB.
STORE_MAX_BYTES = 5 * 1024 * 1024
EVICT_ABOVE_BYTES = 4_700_000
# So much is evicted at once, that not every write has to evict.
_EVICT_TO = 0.9
_NAMED_MAX = 100
# Records of some 1.5 KB each, in a function of 512 MB.
_REMEMBERED_MAX = 20_000

_PASSING = (StoreError, BotoCoreError, ClientError, RegistryBusyError)


class Skipped(Enum):
    """Why an answer on the queue is not written."""

    DUPLICATE = "duplicate"
    """It has been written already: the message came twice."""
    OLDER = "older"
    """A newer one is there."""
    INVALIDATED = "invalidated"
    """What it was made from changed while it was on its way."""
    LAGGING = "lagging"
    """Its version tag is not the current one."""
    EXPIRED = "expired"
    """Its time is over."""
    LATE = "late"
    """It is older than its freshness SLA allows: the pipeline was too slow, the contract broken."""


def verdict(artifact: Artifact, event_id: str, known: Known, now_s: float) -> Skipped | None:
    """Why an answer is not to be written; None when it is."""
    record = known.records.get(artifact.key)
    if record is not None:
        if (record.event_id, record.generated_at_ms) == (event_id, artifact.generated_at_ms):
            return Skipped.DUPLICATE
        if record.generated_at_ms > artifact.generated_at_ms:
            return Skipped.OLDER
    if artifact.expires_at_s <= now_s:
        return Skipped.EXPIRED
    if artifact.fresh_until_s <= now_s:
        return Skipped.LATE
    subjects = artifact.contract.invalidated_by
    if any(known.changed_ms.get(one, -1) >= artifact.generated_at_ms for one in subjects):
        return Skipped.INVALIDATED
    current = known.versions.get(artifact.source.scope)
    if artifact.source.scope and current is not None and current != artifact.source.version:
        return Skipped.LAGGING
    return None


@dataclass(frozen=True, slots=True)
class _Letter:
    """A message and the record it came in."""

    record: Mapping[str, Any]
    message: Message


@dataclass(slots=True)
class _Call:
    """One UpdateKeys in the making, and what the registry will say afterwards."""

    puts: dict[str, str] = field(default_factory=dict)
    deletes: set[str] = field(default_factory=set)
    bodies: list[tuple[Artifact, str]] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    wrong_bodies: list[tuple[str, str]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    skipped: list[tuple[Skipped, Artifact]] = field(default_factory=list)
    stored: list[tuple[Put, list[Artifact]]] = field(default_factory=list)

    @property
    def named(self) -> list[Record]:
        """What will be in the store, and so depends on subjects."""
        return [record for record in self.records.values() if record.is_stored]


@dataclass(slots=True)
class Tally:
    """What one invocation has done; it becomes metrics and one event."""

    stored: list[tuple[Put, list[Artifact]]] = field(default_factory=list)
    skipped: dict[Skipped, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    calls: int = 0
    buried: int = 0
    wanted: list[Happening] = field(default_factory=list)


@dataclass(slots=True)
class AnswerWriter:
    """Writes batches of the queue.

    Attributes:
        store: The one writer of the store.
        registry: What is in it and why.
        bodies: Where long answers go.
        dead_letters: Where hopeless messages go.
        bus: Who is told.
        evict_above_bytes: A store that would grow beyond this loses what is used least.
        now_s: Epoch seconds.
        say: The log.
    """

    store: StoreWriter
    registry: Registry
    bodies: Bodies
    dead_letters: DeadLetters
    bus: EventBus
    evict_above_bytes: int = EVICT_ABOVE_BYTES
    now_s: Callable[[], float] = time.time
    say: Callable[[str], None] = print
    # What the registry has said, or that it had nothing; true as long as only this writer writes.
    _remembered: dict[str, Record | None] = field(default_factory=dict)
    _connections: int = 0

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
        """One batch of an SQS event source mapping with ReportBatchItemFailures.

        Returns:
            The messages to be delivered again: none, or one and all that came after it.
        """
        began_s, tally = self.now_s(), Tally()
        left = self._write_all(event["Records"], tally)
        self._tell(tally, began_s)
        return {"batchItemFailures": [{"itemIdentifier": one["messageId"]} for one in left]}

    # --- the batch ------------------------------------------------------------------------------

    def _write_all(
        self, records: Sequence[Mapping[str, Any]], tally: Tally
    ) -> Sequence[Mapping[str, Any]]:
        """Write what can be written; returns what is left, in order."""
        left = list(records)
        try:
            letters = self._read(left, tally)
            left = [letter.record for letter in letters]
            messages = [letter.message for letter in letters]
            known = self._look_up(messages)
            for group in _groups(letters):
                self._write_group(group, messages, known, tally)
                del left[: len(group)]
        except _PASSING as error:
            self.say(f"[ERROR] {len(left)} messages go back to the queue: {error}")
        return left

    def _read(self, records: Sequence[Mapping[str, Any]], tally: Tally) -> list[_Letter]:
        letters = []
        for record in records:
            try:
                letters.append(_Letter(record, parse_message(record["body"])))
            except ValueError as error:
                self._bury(record, "InvalidMessage", str(error), tally)
        return letters

    def _look_up(self, messages: Sequence[Message]) -> Known:
        keys: list[str] = []
        subjects: list[str] = []
        scopes: list[str] = []
        for message in messages:
            keys += _keys(message)
            for artifact in message.answers if isinstance(message, Put) else ():
                subjects += artifact.contract.invalidated_by
                scopes += [artifact.source.scope] if artifact.source.scope else []
        self._doubt()
        unknown = [key for key in keys if key not in self._remembered]
        known = self.registry.look_up(unknown, subjects, scopes)
        self._remembered.update({key: known.records.get(key) for key in unknown})
        for key in keys:
            record = self._remembered[key]
            if record is not None:
                known.records[key] = record
        return known

    def _doubt(self) -> None:
        """Forget what somebody else may have changed: the store's ETag tells of every write."""
        if not self.store.is_connected:
            self.store.connect()
        if self.store.connections != self._connections or len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.clear()
            self._connections = self.store.connections

    def _write_group(
        self,
        group: Sequence[_Letter],
        messages: Sequence[Message],
        known: Known,
        tally: Tally,
    ) -> None:
        failures = 0
        try:
            while True:
                try:
                    self._write(group, known, tally)
                    return
                except StoreConflictError:
                    failures += 1
                    if not self.store.backoff.wait(failures):
                        raise
                    # Somebody else has written: what was decided is decided anew.
                    fresh = self._look_up(messages)
                    known.records, known.versions = fresh.records, fresh.versions
                    known.changed_ms = fresh.changed_ms
        except StoreRefusedError as error:
            if len(group) > 1:
                for letter in group:
                    self._doubt()
                    self._write_group([letter], messages, known, tally)
                return
            self.store.connect()
            if self.store.size_bytes + MAX_KEYS * MAX_VALUE_BYTES > STORE_MAX_BYTES:
                # Somebody else has filled it. What is evicted next time makes room.
                raise
            # No call will ever take it.
            self._bury(group[0].record, "StoreRefused", str(error), tally)

    def _write(self, group: Sequence[_Letter], known: Known, tally: Tally) -> None:
        call = self._planned(group, known)
        if call.puts:
            for artifact, path in call.bodies:
                self.bodies.put(artifact, path)
            self.registry.name_subjects(call.named, known)
            if self._has_changed_under_way(call, known):
                call = self._planned(group, known)
        records = list(call.records.values())
        if call.puts or call.deletes:
            self._make_room(call, known, tally)
            if call.wrong_bodies:
                self.bodies.delete(call.wrong_bodies)
            self.store.update(call.puts, sorted(call.deletes), fenced=True)
            tally.calls += 1
            self._save(records, known)
        known.versions.update(call.versions)
        tally.stored += call.stored
        tally.deleted += sorted(call.deletes)
        self._note_skipped(call.skipped, tally)

    # --- deciding -------------------------------------------------------------------------------

    def _planned(self, group: Sequence[_Letter], known: Known) -> _Call:
        call = _Call()
        for letter in group:
            self._plan(letter.message, known, call)
        return call

    def _has_changed_under_way(self, call: _Call, known: Known) -> bool:
        """Whether a subject has changed since the batch was looked up.

        A change is noted first and its answers are looked for then; here they are named first and
        changes are looked for then. So one of the two sees the other, whoever is quicker.
        """
        subjects = {one for record in call.named for one in record.subjects}
        changed_ms = self.registry.look_up((), subjects).changed_ms
        is_new = any(known.changed_ms.get(one) != moment for one, moment in changed_ms.items())
        known.changed_ms.update(changed_ms)
        return is_new

    def _plan(self, message: Message, known: Known, call: _Call) -> None:
        match message:
            case Put():
                self._plan_put(message, known, call)
            case Delete():
                for key in message.keys:
                    if self._is_to_go(key, message, known, call):
                        self._plan_delete(key, known, call)
            case NewVersion():
                if self.registry.new_version(message.scope, message.version, message.changed_ms):
                    call.puts[version_key(message.scope)] = message.version
                    call.versions[message.scope] = message.version

    def _plan_put(self, put: Put, known: Known, call: _Call) -> None:
        # Several messages of one call may be about one key: the later ones see the earlier ones.
        seen = Known(known.records | call.records, known.changed_ms, known.versions | call.versions)
        written = []
        for artifact in put.answers:
            why_not = verdict(artifact, put.event_id, seen, self.now_s())
            if why_not is not None:
                call.skipped.append((why_not, artifact))
                continue
            value, path = dump_value(compact(artifact)), ""
            if len(value.encode()) > MAX_VALUE_BYTES:
                path = body_path(artifact, put.event_id)
                value = dump_value(compact(artifact, body=path))
                call.bodies.append((artifact, path))
            call.records[artifact.key] = record_of(artifact, put.event_id, value, path)
            call.puts[artifact.key] = value
            call.deletes.discard(artifact.key)
            written.append(artifact)
        if written:
            call.stored.append((put, written))

    def _is_to_go(self, key: str, message: Delete, known: Known, call: _Call) -> bool:
        record = call.records.get(key) or known.records.get(key)
        if record is None:
            return not message.only_expired and self._is_older(key, message.before_ms)
        if message.only_expired:
            return record.is_stored and record.expires_at_s <= self.now_s()
        return (
            record.is_stored
            and record.generated_at_ms <= message.before_ms
            and message.subject in record.subjects
        )

    def _is_older(self, key: str, before_ms: int) -> bool:
        """Whether the store has an older answer that the registry has not seen (yet)."""
        value = self.store.get(key)
        if value is None:
            return False
        try:
            return parse_value(value).generated_at_s * 1000 <= before_ms
        except ValueError:
            return False

    def _plan_delete(self, key: str, known: Known, call: _Call) -> None:
        record = call.records.get(key) or known.records.get(key)
        if record is not None and record.body:
            call.wrong_bodies.append((record.body, key.partition("_")[2]))
        call.puts.pop(key, None)
        call.deletes.add(key)
        if record is not None:
            # What is left says which generation it was, so that an older one does not come back.
            call.records[key] = replace(record, is_stored=False, subjects=(), body="")

    # --- room -----------------------------------------------------------------------------------

    def _make_room(self, call: _Call, known: Known, tally: Tally) -> None:
        """Evict by predicted use, lowest first, when the store would grow too large."""
        added = sum(len(key.encode()) + len(value.encode()) for key, value in call.puts.items())
        too_much = self.store.size_bytes + added - self.evict_above_bytes
        if not call.puts or too_much <= 0:
            return
        to_free = too_much + int(self.evict_above_bytes * (1 - _EVICT_TO))
        victims = list(_until(self.registry.least_used(), to_free, without=set(call.records)))
        for first in range(0, len(victims), MAX_KEYS):
            part = victims[first : first + MAX_KEYS]
            self.store.update({}, [record.key for record in part], fenced=True)
            tally.calls += 1
            gone = [replace(one, is_stored=False, subjects=(), body="") for one in part]
            known.records.update({one.key: one for one in part})
            self._save(gone, known)
            self.bodies.delete((one.body, one.key.partition("_")[2]) for one in part if one.body)
            tally.evicted += [one.key for one in part]

    def _save(self, records: Sequence[Record], known: Known) -> None:
        """Into the registry, and into this writer's own memory."""
        self.registry.save(records, known)
        self._remembered.update({record.key: record for record in records})

    # --- telling --------------------------------------------------------------------------------

    def _bury(self, record: Mapping[str, Any], code: str, reason: str, tally: Tally) -> None:
        self.say(f"[ERROR] message {record['messageId']} goes to the dead letters: {reason}")
        self.dead_letters.bury(record, code, reason)
        tally.buried += 1

    def _note_skipped(self, skipped: Sequence[tuple[Skipped, Artifact]], tally: Tally) -> None:
        for why, artifact in skipped:
            tally.skipped[why] = tally.skipped.get(why, 0) + 1
            if why is Skipped.INVALIDATED:
                detail = {
                    "user_id": artifact.user_id,
                    "actions": [artifact.action_id],
                    "reason": "its sources changed while it was generated",
                }
                tally.wanted.append(Happening(PIPELINE, "AnswersWanted", detail))
            if why in {Skipped.LATE, Skipped.LAGGING}:
                broken = {
                    "key": artifact.key,
                    "owner": artifact.contract.owner,
                    "reason": why.value,
                    "served": False,
                }
                tally.wanted.append(Happening(PIPELINE, "AnswerContractBroken", broken))

    def _tell(self, tally: Tally, began_s: float) -> None:
        now_s = self.now_s()
        answers = sum(len(written) for _, written in tally.stored)
        happenings = list(tally.wanted)
        if answers:
            happenings.append(Happening(PIPELINE, "AnswersStored", _stored_detail(tally.stored)))
        if tally.evicted:
            detail = {
                "keys": tally.evicted[:_NAMED_MAX],
                "evicted": len(tally.evicted),
                "store_bytes": self.store.size_bytes,
                "reason": f"the store would have grown over {self.evict_above_bytes} bytes",
            }
            happenings.append(Happening(PIPELINE, "AnswersEvicted", detail))
            self.say(
                f"[WARN] evicted {len(tally.evicted)} answers by predicted use, lowest first: the "
                f"store holds {self.store.size_bytes} bytes, its quota is 5 MB"
            )
        values: dict[str, float] = {
            "AnswersStored": answers,
            "AnswersSkipped": sum(tally.skipped.values()),
            "AnswersDeleted": len(tally.deleted),
            "AnswersEvicted": len(tally.evicted),
            "DeadLetters": tally.buried,
            "UpdateKeysCalls": tally.calls,
            "StoreBytes": self.store.size_bytes,
            "WriteMs": round((now_s - began_s) * 1000, 1),
        }
        broken = sum(tally.skipped.get(why, 0) for why in (Skipped.LATE, Skipped.LAGGING))
        if broken:
            values["ContractsBroken"] = broken
        delays = [now_s - put.occurred_at_s for put, _ in tally.stored if put.occurred_at_s]
        if delays:
            values["EventToStoreMs"] = round(max(delays) * 1000, 1)
        self.say(metric_line("answer-writer", values, units=_UNITS, now_ms=int(now_s * 1000)))
        if happenings:
            try:
                self.bus.put(happenings)
            except EventsError as error:
                # The answers are stored; that nobody hears of it is no reason to store them again.
                self.say(f"[ERROR] {error}")


_UNITS = {"StoreBytes": "Bytes", "WriteMs": "Milliseconds", "EventToStoreMs": "Milliseconds"}


def _stored_detail(stored: Sequence[tuple[Put, list[Artifact]]]) -> dict[str, Any]:
    return {
        "answers": sum(len(written) for _, written in stored),
        "events": [
            {
                "event_id": put.event_id,
                "user_id": put.user_id,
                "actions": [artifact.action_id for artifact in written],
            }
            for put, written in stored
        ],
    }


def _keys(message: Message) -> list[str]:
    match message:
        case Put():
            return [artifact.key for artifact in message.answers]
        case Delete():
            return list(message.keys)
        case NewVersion():
            return [version_key(message.scope)]


def _groups(letters: Sequence[_Letter]) -> Iterator[Sequence[_Letter]]:
    """Messages that go into one call: in order, whole, and within 50 keys together.

    50 values of 1 KB are far from an UpdateKeys' 3 MB.
    """
    group: list[_Letter] = []
    keys: set[str] = set()
    for letter in letters:
        own = set(_keys(letter.message))
        if group and len(keys | own) > MAX_KEYS:
            yield group
            group, keys = [], set()
        group.append(letter)
        keys |= own
    if group:
        yield group


def _until(records: Iterator[Record], to_free_bytes: int, without: set[str]) -> Iterator[Record]:
    freed = 0
    for record in records:
        if freed >= to_free_bytes:
            return
        if record.key not in without:
            freed += record.value_bytes
            yield record
