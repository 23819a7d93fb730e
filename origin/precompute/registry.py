"""What is in the store and why, in a DynamoDB table: the full form of every answer.

    pk                 sk          what
    answer#<key>       record      one answer: contract, source, expected use; or that it is gone
    subject#<subject>  <key>       that answer's contract names this subject
    subject#<subject>  !changed    when the subject changed last
    scope#<scope>      !version    the scope's current version tag

Two sparse indexes hold the records of answers that are in the store: `by-due` (`kind`, `due`: when
something has to be looked at, the end of the freshness SLA or the expiry) and `by-use` (`kind`,
`predicted_use`). So no question of the pipeline reads the whole store, or the whole table.

Items forget themselves (`ttl`) some time after their answer has expired.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from origin.backoff import Backoff
from origin.precompute.artifact import Artifact

TABLE_VARIABLE = "ANSWER_REGISTRY_TABLE"
BY_DUE, BY_USE = "by-due", "by-use"
CHANGED, RECORD, CURRENT = "!changed", "record", "!version"

# How long an item is kept after its answer has expired: longer than any message stays on a queue.
_KEEP_S = 14 * 86_400
_STORED = "answer"
# API Reference "BatchGetItem" and "BatchWriteItem":
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_GET_MAX, _WRITE_MAX = 100, 25

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One answer in the registry.

    Attributes:
        key: Its key in the store.
        event_id: What it was generated for.
        generated_at_ms: Epoch milliseconds.
        expires_at_s: Epoch seconds.
        fresh_until_s: Epoch seconds of the end of its SLA.
        subjects: What its contract names.
        predicted_use: How much use is expected.
        value_bytes: What it takes in the store, key and value.
        body: The path of its text in S3; empty when it is in the store.
        owner: Who answers for it.
        version: Its source's version tag, and `scope` what that is about; or empty.
        scope: See `version`.
        content_hash: Of what it was made from.
        freshness_sla_s: How old it may be.
        fallback: `fallback_if_stale`.
        is_stored: Whether the store has it; False when it was deleted or evicted.
        confidence: As generated; None for one that does not degrade.
        half_life_s: Its half-life.
        floor: Below this it is a miss.
    """

    key: str
    event_id: str
    generated_at_ms: int
    expires_at_s: int
    fresh_until_s: int
    subjects: tuple[str, ...]
    predicted_use: float
    value_bytes: int
    body: str
    owner: str
    version: str
    scope: str
    content_hash: str
    freshness_sla_s: int
    fallback: str
    is_stored: bool = True
    confidence: float | None = None
    half_life_s: int = 0
    floor: float = 0.0


def record_of(artifact: Artifact, event_id: str, value: str, body: str) -> Record:
    """The record of an artifact with its value in the store."""
    contract, source = artifact.contract, artifact.source
    return Record(
        artifact.key,
        event_id,
        artifact.generated_at_ms,
        artifact.expires_at_s,
        artifact.fresh_until_s,
        contract.invalidated_by,
        artifact.predicted_use,
        len(artifact.key.encode()) + len(value.encode()),
        body,
        contract.owner,
        source.version,
        source.scope,
        source.content_hash,
        contract.freshness_sla_s,
        contract.fallback_if_stale.value,
        confidence=artifact.confidence,
        half_life_s=artifact.half_life_s,
        floor=artifact.floor,
    )


@dataclass(slots=True)
class Known:
    """What the registry knows about the answers of one batch.

    Attributes:
        records: By key.
        changed_ms: By subject, epoch milliseconds of its last change.
        versions: By scope, the current version tag.
    """

    records: dict[str, Record] = field(default_factory=dict)
    changed_ms: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Registry:
    """The table.

    Attributes:
        client: boto3's `dynamodb`.
        table: Its name.
        now_s: Epoch seconds.
        backoff: For items that the table had no room for.
    """

    client: Any
    table: str
    now_s: Callable[[], float] = time.time
    backoff: Backoff = field(default_factory=lambda: Backoff(attempts=8, base_s=0.05, cap_s=2.0))

    # --- reading --------------------------------------------------------------------------------

    def look_up(
        self, keys: Iterable[str], subjects: Iterable[str] = (), scopes: Iterable[str] = ()
    ) -> Known:
        """What is known about answers, subjects and scopes, read consistently."""
        wanted = [_id(f"answer#{key}", RECORD) for key in dict.fromkeys(keys)]
        wanted += [_id(f"subject#{one}", CHANGED) for one in dict.fromkeys(subjects)]
        wanted += [_id(f"scope#{one}", CURRENT) for one in dict.fromkeys(scopes)]
        known = Known()
        for item in self._get(wanted):
            kind, _, name = item["pk"]["S"].partition("#")
            match kind:
                case "answer":
                    known.records[name] = _record(item)
                case "subject":
                    known.changed_ms[name] = int(item["changed_ms"]["N"])
                case _:
                    known.versions[name] = item["version"]["S"]
        return known

    def keys_naming(self, subject: str) -> list[str]:
        """The keys of all answers whose contract names a subject, being written ones included.

        Those have no record yet, or that of the answer before them, which may name other subjects.
        """
        return [
            item["sk"]["S"]
            for item in self._query(
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"subject#{subject}"}},
                ConsistentRead=True,
            )
            if item["sk"]["S"] != CHANGED
        ]

    def due(self, now_s: float) -> Iterator[Record]:
        """Answers in the store whose SLA or validity has ended, the longest overdue first."""
        for item in self._query(
            IndexName=BY_DUE,
            KeyConditionExpression="kind = :kind AND due <= :now",
            ExpressionAttributeValues={":kind": {"S": _STORED}, ":now": {"N": str(int(now_s))}},
        ):
            yield _record(item)

    def least_used(self) -> Iterator[Record]:
        """Answers in the store, the one with the lowest predicted use first."""
        for item in self._query(
            IndexName=BY_USE,
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": _STORED}},
        ):
            yield _record(item)

    # --- writing --------------------------------------------------------------------------------

    def name_subjects(self, records: Sequence[Record], known: Known) -> None:
        """Note which answers depend on what, before they are in the store.

        Afterwards a change of a subject finds them, whatever happens in between.
        """
        puts = [
            _dependency(record, subject)
            for record in records
            for subject in record.subjects
            if subject not in _subjects(known.records.get(record.key))
            # Kept alive for as long as the answer, which outlives its predecessor.
            or _ttl(known.records[record.key]) < _ttl(record) - _KEEP_S // 2
        ]
        self._write([{"PutRequest": {"Item": item}} for item in puts])

    def save(self, records: Sequence[Record], known: Known) -> None:
        """Note what the store has now, and forget subjects that are not named any more."""
        requests: list[Item] = [{"PutRequest": {"Item": _item(record)}} for record in records]
        for record in records:
            for subject in _subjects(known.records.get(record.key)) - set(record.subjects):
                requests.append({"DeleteRequest": {"Key": _id(f"subject#{subject}", record.key)}})
        self._write(requests)
        known.records.update({record.key: record for record in records})

    def subject_changed(self, subject: str, changed_ms: int) -> None:
        """Note a subject's change, unless a later one is known already."""
        self._note(f"subject#{subject}", CHANGED, changed_ms, {})

    def new_version(self, scope: str, version: str, changed_ms: int) -> bool:
        """Note a scope's version tag; False when a later one is known already."""
        return self._note(f"scope#{scope}", CURRENT, changed_ms, {"version": {"S": version}})

    def was_reported(self, record: Record) -> None:
        """Look at this record again only when it has expired."""
        conditions = self.client.exceptions.ConditionalCheckFailedException
        try:
            self.client.update_item(
                TableName=self.table,
                Key=_id(f"answer#{record.key}", RECORD),
                UpdateExpression="SET due = :due",
                ConditionExpression="generated_ms = :generated AND kind = :kind",
                ExpressionAttributeValues={
                    ":due": {"N": str(record.expires_at_s)},
                    ":generated": {"N": str(record.generated_at_ms)},
                    ":kind": {"S": _STORED},
                },
            )
        except conditions:
            # Another answer has taken its place.
            return

    def _note(self, pk: str, sk: str, changed_ms: int, values: Item) -> bool:
        ttl = int(self.now_s()) + _KEEP_S
        changed = {"N": str(changed_ms)}
        try:
            self.client.put_item(
                TableName=self.table,
                Item={**_id(pk, sk), **values, "changed_ms": changed, **_forget_at(sk, ttl)},
                ConditionExpression="attribute_not_exists(pk) OR changed_ms <= :changed",
                ExpressionAttributeValues={":changed": changed},
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    # --- DynamoDB -------------------------------------------------------------------------------

    def _get(self, wanted: Sequence[Item]) -> Iterator[Item]:
        for first in range(0, len(wanted), _GET_MAX):
            request = {self.table: {"Keys": wanted[first : first + _GET_MAX], **_CONSISTENT}}
            failures = 0
            while request:
                answered = self.client.batch_get_item(RequestItems=request)
                yield from answered["Responses"].get(self.table, ())
                request = answered.get("UnprocessedKeys") or {}
                failures = self._wait(failures, request)

    def _write(self, requests: Sequence[Item]) -> None:
        for first in range(0, len(requests), _WRITE_MAX):
            request = {self.table: requests[first : first + _WRITE_MAX]}
            failures = 0
            while request:
                answered = self.client.batch_write_item(RequestItems=request)
                request = answered.get("UnprocessedItems") or {}
                failures = self._wait(failures, request)

    def _wait(self, failures: int, left: Item) -> int:
        if left and not self.backoff.wait(failures + 1):
            raise RegistryBusyError(f"the table {self.table} had no room for {len(left)} requests")
        return failures + bool(left)

    def _query(self, **parameters: Any) -> Iterator[Item]:
        start: Item = {}
        while True:
            answered = self.client.query(TableName=self.table, **parameters, **start)
            yield from answered["Items"]
            if not answered.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": answered["LastEvaluatedKey"]}


class RegistryBusyError(Exception):
    """The table throttled longer than was waited."""


_CONSISTENT = {"ConsistentRead": True}


def _id(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _forget_at(sk: str, ttl: int) -> Item:
    # A version tag holds until the next one.
    return {} if sk == CURRENT else {"ttl": {"N": str(ttl)}}


def _ttl(record: Record) -> int:
    return record.expires_at_s + _KEEP_S


def _subjects(record: Record | None) -> set[str]:
    return set(record.subjects) if record else set()


def _dependency(record: Record, subject: str) -> Item:
    return {**_id(f"subject#{subject}", record.key), "ttl": {"N": str(_ttl(record))}}


# What no index and no condition needs is one attribute, as JSON: less to send, store and read.
_FULL = (
    "event_id",
    "expires_at_s",
    "fresh_until_s",
    "subjects",
    "value_bytes",
    "body",
    "owner",
    "version",
    "scope",
    "content_hash",
    "freshness_sla_s",
    "fallback",
    "confidence",
    "half_life_s",
    "floor",
)


def _item(record: Record) -> Item:
    full = {name: getattr(record, name) for name in _FULL}
    item = {
        **_id(f"answer#{record.key}", RECORD),
        "generated_ms": {"N": str(record.generated_at_ms)},
        "predicted_use": {"N": f"{record.predicted_use:.9f}"},
        "ttl": {"N": str(_ttl(record))},
        "full": {"S": json.dumps(full, separators=(",", ":"))},
    }
    if record.is_stored:
        item["kind"] = {"S": _STORED}
        item["due"] = {"N": str(min(record.expires_at_s, record.fresh_until_s))}
    return item


def _record(item: Item) -> Record:
    full = json.loads(item["full"]["S"])
    return Record(
        key=item["pk"]["S"].partition("#")[2],
        generated_at_ms=int(item["generated_ms"]["N"]),
        predicted_use=float(item["predicted_use"]["N"]),
        is_stored="kind" in item,
        **{**full, "subjects": tuple(full["subjects"])},
    )
