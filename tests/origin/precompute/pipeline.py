"""Registry, queues, bucket, bus and store at a real endpoint, and messages for the writer."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.clock.real import RealClock
from origin.backoff import Backoff
from origin.events import EventBus
from origin.precompute.artifact import Artifact, Source
from origin.precompute.bodies import Bodies
from origin.precompute.contract import Contract, FallbackIfStale
from origin.precompute.dead_letters import DeadLetters
from origin.precompute.invalidator import AnswerInvalidator, WriteQueue
from origin.precompute.messages import Message, Put, dump_message
from origin.precompute.registry import Registry
from origin.precompute.watch import AnswerWatch
from origin.precompute.writer import AnswerWriter
from origin.store import StoreWriter
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint

TABLE = {
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in (
            ("pk", "S"),
            ("sk", "S"),
            ("kind", "S"),
            ("due", "N"),
            ("predicted_use", "N"),
        )
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": index,
            "KeySchema": [
                {"AttributeName": "kind", "KeyType": "HASH"},
                {"AttributeName": attribute, "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
        for index, attribute in (("by-due", "due"), ("by-use", "predicted_use"))
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
FIFO = {"FifoQueue": "true"}
NO_WAIT = Backoff(attempts=6, base_s=0.001, cap_s=0.001)
_numbers = itertools.count(1)


def now_s() -> float:
    """The wall clock: the code under test has no other."""
    return RealClock().epoch_ms() / 1000


@dataclass
class Pipeline:
    """One set of resources that no other test uses."""

    url: str
    arn: str
    name: str
    queue_url: str = ""
    dead_url: str = ""
    events_url: str = ""
    clients: dict[str, Any] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        """A boto3 client, made once."""
        if service not in self.clients:
            self.clients[service] = client(service, self.url)
        return self.clients[service]

    def make(self) -> None:
        """Make the resources."""
        sqs = self.client("sqs")
        self.client("dynamodb").create_table(TableName=self.name, **TABLE)
        self.client("s3").create_bucket(Bucket=self.name)
        for attribute, queue, fifo in (
            ("queue_url", f"{self.name}.fifo", FIFO),
            ("dead_url", f"{self.name}-dead.fifo", FIFO),
            ("events_url", f"{self.name}-events", {}),
        ):
            made = sqs.create_queue(QueueName=queue, Attributes=fifo)["QueueUrl"]
            setattr(self, attribute, made)
        events = self.client("events")
        events.create_event_bus(Name=self.name)
        pattern = json.dumps({"source": ["localpop.answers"]})
        events.put_rule(Name="all", EventBusName=self.name, EventPattern=pattern)
        arn = f"arn:aws:sqs:us-east-1:123456789012:{self.name}-events"
        events.put_targets(
            Rule="all", EventBusName=self.name, Targets=[{"Id": "queue", "Arn": arn}]
        )

    def registry(self) -> Registry:
        """The registry."""
        return Registry(self.client("dynamodb"), self.name, backoff=NO_WAIT)

    def bus(self) -> EventBus:
        """The bus."""
        return EventBus(self.client("events"), self.name, NO_WAIT)

    def writer(self, **changes: Any) -> AnswerWriter:
        """A writer as the function has it."""
        store = StoreWriter(self.client("cloudfront-keyvaluestore"), self.arn, backoff=NO_WAIT)
        return AnswerWriter(
            store,
            self.registry(),
            Bodies(self.client("s3"), self.name),
            DeadLetters(self.client("sqs"), self.dead_url),
            self.bus(),
            say=self.log.append,
            **changes,
        )

    def invalidator(self) -> AnswerInvalidator:
        """An invalidator as the function has it."""
        queue = WriteQueue(self.client("sqs"), self.queue_url)
        return AnswerInvalidator(self.registry(), queue, self.bus(), say=self.log.append)

    def watch(self, **changes: Any) -> AnswerWatch:
        """A watch as the function has it."""
        queue = WriteQueue(self.client("sqs"), self.queue_url)
        return AnswerWatch(self.registry(), queue, self.bus(), say=self.log.append, **changes)

    # --- what there is --------------------------------------------------------------------------

    def stored(self) -> dict[str, Any]:
        """Everything in the store."""
        pages = self.client("cloudfront-keyvaluestore").get_paginator("list_keys")
        items = [item for page in pages.paginate(KvsARN=self.arn) for item in page.get("Items", ())]
        return {
            item["Key"]: json.loads(item["Value"]) if item["Value"][:1] == "{" else item["Value"]
            for item in items
        }

    def objects(self) -> list[str]:
        """Every key in the bucket."""
        found = self.client("s3").list_objects_v2(Bucket=self.name)
        return [one["Key"] for one in found.get("Contents", ())]

    def letters(self, url: str) -> list[dict[str, Any]]:
        """Every message of a queue, taken away."""
        taken: list[dict[str, Any]] = []
        while True:
            got = self.client("sqs").receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                AttributeNames=["All"],
            )
            messages = got.get("Messages", ())
            if not messages:
                return taken
            for message in messages:
                handle = message["ReceiptHandle"]
                self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=handle)
            taken += messages

    def happened(self, *, wait_for: int) -> list[tuple[str, dict[str, Any]]]:
        """The pipeline's events so far: name and detail."""
        found: list[tuple[str, dict[str, Any]]] = []
        end_s = time.monotonic() + 20
        while len(found) < wait_for and time.monotonic() < end_s:
            for letter in self.letters(self.events_url):
                event = json.loads(letter["Body"])
                found.append((event["detail-type"], event["detail"]))
        return found

    def deliver(self, writer: AnswerWriter) -> list[dict[str, Any]]:
        """Hand everything on the queue to the writer, as its event source mapping does."""
        letters = self.letters(self.queue_url)
        for first in range(0, len(letters), 10):
            bodies = [letter["Body"] for letter in letters[first : first + 10]]
            assert writer.handle(batch(*bodies)) == {"batchItemFailures": []}
        return letters


@contextmanager
def endpoint(folder: Path) -> Iterator[Endpoint]:
    """An endpoint with everything."""
    with running_endpoint(folder / "stores.sqlite3", Options(control=True)) as running:
        yield running


def new_pipeline(running: Endpoint) -> Pipeline:
    """A fresh set of resources at an endpoint."""
    name = f"pipeline-{next(_numbers)}"
    pipeline = Pipeline(running.url, running.new_store(name), name)
    pipeline.make()
    return pipeline


def artifact(
    user_id: str = "user-001",
    action_id: str = "ticket-digest",
    answer: str = "Two tickets.",
    *,
    generated_s: float | None = None,
    sla_s: int = 600,
    ttl_s: int = 600,
    subjects: Sequence[str] = ("deployment:4711",),
    version: str = "",
    scope: str = "",
    use: float = 0.5,
) -> Artifact:
    """An answer that was generated just now."""
    generated_ms = int((now_s() if generated_s is None else generated_s) * 1000)
    return Artifact(
        user_id,
        action_id,
        answer,
        generated_ms,
        generated_ms // 1000 + ttl_s,
        Contract(sla_s, tuple(subjects), FallbackIfStale.ORIGIN, "platform"),
        Source("ab12", version, scope),
        predicted_use=use,
    )


def put(*artifacts: Artifact, event_id: str = "") -> Put:
    """One user's answers as a message."""
    user_id = artifacts[0].user_id
    return Put(event_id or f"event-{next(_numbers)}", user_id, artifacts, now_s())


def batch(*messages: Message | str) -> dict[str, Any]:
    """What the event source mapping hands over."""
    return {
        "Records": [
            {
                "messageId": f"message-{next(_numbers)}",
                "body": message if isinstance(message, str) else dump_message(message),
                "attributes": {"MessageGroupId": "writer"},
            }
            for message in messages
        ]
    }
