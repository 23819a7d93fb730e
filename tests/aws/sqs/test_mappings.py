"""Lambda functions fed from queues, as real boto3 and real sandboxes see it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.endpoint import Endpoint, client
from tests.aws.test_lambda_api import create

# Tells the queue OUT what it got, one message for each batch; then does what BEHAVIOR says.
SOURCE = """
import json, time, urllib.request

def tell(words):
    body = json.dumps({"QueueUrl": "OUT", "MessageBody": json.dumps(words)})
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage"}
    urllib.request.urlopen(urllib.request.Request("ENDPOINT", body.encode(), headers), timeout=5)

def handler(event, context):
    records = event["Records"]
    tell([record["body"] for record in records])
    BEHAVIOR
"""

Fed = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def sqs(account: Endpoint) -> Iterator[Any]:
    """SQS's client."""
    with contextlib.closing(client("sqs", account.url)) as made:
        yield made


@pytest.fixture
def fed(account: Endpoint, sqs: Any, lambda_client: Any, name: str) -> Iterator[Fed]:
    """Makes a queue and a function that is fed from it; gives the queue's URL and the output's."""
    mappings: list[str] = []

    def make(
        behavior: str = "return None",
        *,
        fifo: bool = False,
        attributes: dict[str, str] | None = None,
        **mapping: Any,
    ) -> tuple[str, str]:
        suffix = ".fifo" if fifo else ""
        given = {"VisibilityTimeout": "1", **(attributes or {})}
        if fifo:
            given |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        url = sqs.create_queue(QueueName=f"{name}{suffix}", Attributes=given)["QueueUrl"]
        out = sqs.create_queue(QueueName=f"{name}-out")["QueueUrl"]
        source = SOURCE.replace("OUT", out).replace("BEHAVIOR", behavior)
        source = source.replace("ENDPOINT", account.url.replace("local@", ""))
        create(lambda_client, name, {"handler.py": source}, Timeout=1)
        made = lambda_client.create_event_source_mapping(
            EventSourceArn=f"arn:aws:sqs:us-east-1:123456789012:{name}{suffix}",
            FunctionName=name,
            **mapping,
        )
        mappings.append(made["UUID"])
        return url, out

    yield make
    for uuid in mappings:
        lambda_client.delete_event_source_mapping(UUID=uuid)


def outputs(sqs: Any, out: str, count: int, *, within_s: float = 15) -> list[Any]:
    """So many batches that the function told of."""
    found: list[Any] = []
    end_s = time.monotonic() + within_s
    while len(found) < count:
        assert time.monotonic() < end_s, found
        got = sqs.receive_message(QueueUrl=out, WaitTimeSeconds=2, MaxNumberOfMessages=10)
        for one in got.get("Messages", []):
            sqs.delete_message(QueueUrl=out, ReceiptHandle=one["ReceiptHandle"])
            found.append(json.loads(one["Body"]))
    return found


def left(sqs: Any, url: str) -> int:
    """How many messages a queue still has, in flight or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(text) for text in got.values())


def until_empty(sqs: Any, url: str) -> None:
    """Wait until every message is deleted."""
    end_s = time.monotonic() + 15
    while left(sqs, url):
        assert time.monotonic() < end_s


def test_a_function_is_fed_and_messages_are_deleted(sqs: Any, fed: Fed) -> None:
    """Every message once, in batches of at most ten."""
    url, out = fed()
    entries = [{"Id": str(number), "MessageBody": f"m{number}"} for number in range(10)]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    until_empty(sqs, url)
    batches: list[Any] = []
    while sum(map(len, batches)) < 20:
        batches += outputs(sqs, out, 1)

    assert sorted(body for batch in batches for body in batch) == sorted(
        [f"m{number}" for number in range(10)] * 2
    )
    assert max(map(len, batches)) <= 10


def test_a_batching_window_gathers(sqs: Any, fed: Fed) -> None:
    """A batch of more than ten needs a window; the window ends when the batch is full."""
    url, out = fed(BatchSize=12, MaximumBatchingWindowInSeconds=20)
    entries = [{"Id": str(number), "MessageBody": f"m{number}"} for number in range(6)]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    (batch,) = outputs(sqs, out, 1)

    assert len(batch) == 12


def test_fifo_groups_keep_their_order(sqs: Any, fed: Fed) -> None:
    """One batch of a group at a time: what is sent while it runs comes later, in order."""
    url, out = fed("time.sleep(0.05)", fifo=True, BatchSize=2)
    for number in range(6):
        for group in ("a", "b"):
            sqs.send_message(QueueUrl=url, MessageBody=f"{group}{number}", MessageGroupId=group)
    until_empty(sqs, url)
    seen: list[str] = []
    while len(seen) < 12:
        seen += [body for batch in outputs(sqs, out, 1) for body in batch]

    for group in ("a", "b"):
        assert [body for body in seen if body[0] == group] == [f"{group}{n}" for n in range(6)]


def test_only_reported_failures_come_back(sqs: Any, fed: Fed) -> None:
    """ReportBatchItemFailures: the named message again and again, the others never."""
    behavior = (
        "return {'batchItemFailures': [{'itemIdentifier': r['messageId']}"
        " for r in records if r['body'] == 'bad'"
        " and r['attributes']['ApproximateReceiveCount'] == '1']}"
    )
    url, out = fed(behavior, FunctionResponseTypes=["ReportBatchItemFailures"])
    entries = [{"Id": "1", "MessageBody": "good"}, {"Id": "2", "MessageBody": "bad"}]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    until_empty(sqs, url)
    batches = outputs(sqs, out, 2)

    assert [sorted(batch) for batch in batches] == [["bad", "good"], ["bad"]]


def test_a_poison_message_ends_in_the_dead_letter_queue(
    account: Endpoint, sqs: Any, fed: Fed, name: str
) -> None:
    """MaxReceiveCount attempts, then it is a dead letter that knows where it came from."""
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}-dead"
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    timeout = {"VisibilityTimeout": "1", "RedrivePolicy": redrive}
    url, out = fed("raise ValueError('poison')", attributes=timeout)
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    end_s = time.monotonic() + 20
    letters: list[Any] = []
    while not letters:
        assert time.monotonic() < end_s
        letters = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=5, AttributeNames=["All"]).get(
            "Messages", []
        )
    queue = account.background.sqs.queues.find(f"{name}-dead")
    assert queue is not None
    reasons = [message.reason for message in queue.messages()]

    assert letters[0]["Body"] == "poison"
    assert letters[0]["Attributes"]["DeadLetterQueueSourceArn"].endswith(f":{name}")
    assert reasons == ["Function call failed: ValueError: poison"]
    assert len(outputs(sqs, out, 2)) == 2


def test_filters_let_through_what_they_name(sqs: Any, fed: Fed) -> None:
    """All else is deleted without an invocation."""
    wanted = json.dumps({"body": {"kind": ["put"]}})
    url, out = fed(FilterCriteria={"Filters": [{"Pattern": wanted}]})
    entries = [
        {"Id": "1", "MessageBody": '{"kind": "put"}'},
        {"Id": "2", "MessageBody": '{"kind": "get"}'},
        {"Id": "3", "MessageBody": "no JSON"},
    ]
    sqs.send_message_batch(QueueUrl=url, Entries=entries)
    until_empty(sqs, url)

    assert outputs(sqs, out, 1) == [['{"kind": "put"}']]


def test_mappings_are_listed_changed_and_refused(
    sqs: Any, fed: Fed, lambda_client: Any, name: str
) -> None:
    """The control operations, and Lambda's own refusals."""
    url, out = fed()
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
    (listed,) = lambda_client.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    lambda_client.update_event_source_mapping(UUID=listed["UUID"], Enabled=False)
    disabled = lambda_client.get_event_source_mapping(UUID=listed["UUID"])
    sqs.send_message(QueueUrl=url, MessageBody="waits")
    lambda_client.update_event_source_mapping(UUID=listed["UUID"], Enabled=True)

    assert (listed["BatchSize"], listed["State"]) == (10, "Enabled")
    assert disabled["State"] == "Disabled"
    assert outputs(sqs, out, 1) == [["waits"]]
    for code, words, given in (
        ("ResourceConflictException", "already exists", {"EventSourceArn": arn}),
        ("InvalidParameterValueException", "does not exist", {"EventSourceArn": f"{arn}-no"}),
        (
            "InvalidParameterValueException",
            "greater than 0 if maximum batch size",
            {"EventSourceArn": arn, "BatchSize": 100},
        ),
        ("NotEmulated", "kinesis", {"EventSourceArn": arn.replace("sqs", "kinesis")}),
    ):
        with pytest.raises(ClientError) as caught:
            lambda_client.create_event_source_mapping(FunctionName=name, **given)
        error = caught.value.response["Error"]
        assert error["Code"] == code
        assert words in error["Message"]


def test_a_mapping_whose_queue_is_gone_is_not_given_another_function(
    sqs: Any, fed: Fed, lambda_client: Any, name: str
) -> None:
    """It says what is missing, as at creation."""
    url, _ = fed()
    (listed,) = lambda_client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    sqs.delete_queue(QueueUrl=url)

    with pytest.raises(ClientError, match="queue does not exist"):
        lambda_client.update_event_source_mapping(UUID=listed["UUID"], FunctionName=name)
