"""Amazon SQS as a real boto3 sees it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.endpoint import Endpoint, client

ACCOUNT = "arn:aws:sqs:us-east-1:123456789012"


@pytest.fixture(scope="module")
def sqs(account: Endpoint) -> Iterator[Any]:
    """The client."""
    with contextlib.closing(client("sqs", account.url)) as made:
        yield made


def make(sqs: Any, name: str, **attributes: str) -> str:
    """A queue's URL."""
    url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url


def fifo(sqs: Any, name: str, **attributes: str) -> str:
    """A FIFO queue's URL."""
    return make(sqs, f"{name}.fifo", FifoQueue="true", **attributes)


def take(sqs: Any, url: str, count: int = 10, **more: Any) -> list[Any]:
    """Messages that are ready."""
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=count, **more)
    return list(got.get("Messages", []))


def refusal(call: Any, **params: Any) -> tuple[str, str]:
    """Code and message of what a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_message_comes_back_as_it_was_sent(sqs: Any, name: str) -> None:
    """Body, attributes of every type, and the digests that SDKs verify."""
    url = make(sqs, name)
    attributes = {
        "text": {"DataType": "String", "StringValue": "é"},
        "number": {"DataType": "Number.int", "StringValue": "5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="héllo", MessageAttributes=attributes)
    (message,) = take(sqs, url, MessageAttributeNames=["All"], AttributeNames=["All"])

    assert message["Body"] == "héllo"
    assert message["MessageId"] == sent["MessageId"]
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_aws_own_url_names_the_queue_too(sqs: Any, name: str) -> None:
    """What Ref gives in a template; boto3 sends to the endpoint whatever the URL's host is."""
    make(sqs, name)
    url = f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}"
    sqs.send_message(QueueUrl=url, MessageBody="m")

    assert [one["Body"] for one in take(sqs, url)] == ["m"]


def test_a_received_message_is_hidden_until_its_time_is_over(sqs: Any, name: str) -> None:
    """VisibilityTimeout, changed to nothing, gives it back with a higher count."""
    url = make(sqs, name)
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (first,) = take(sqs, url)
    hidden = take(sqs, url)
    sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0
    )
    (second,) = take(sqs, url, AttributeNames=["ApproximateReceiveCount"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])

    assert hidden == []
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    assert take(sqs, url) == []


def test_a_long_poll_ends_when_a_message_comes(account: Endpoint, sqs: Any, name: str) -> None:
    """Not at its own end, twenty seconds later."""
    url = make(sqs, name)
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.extend(take(sqs, url, WaitTimeSeconds=20)))
    waiting.start()
    queue = account.background.sqs.queues.find(name)
    assert queue is not None
    while not queue._waiters:
        pass
    sqs.send_message(QueueUrl=url, MessageBody="m")
    waiting.join(10)

    assert [one["Body"] for one in found] == ["m"]


def test_a_delayed_message_is_not_there_yet(sqs: Any, name: str) -> None:
    """DelaySeconds; a long poll gets it when it is due."""
    url = make(sqs, name)
    sqs.send_message(QueueUrl=url, MessageBody="m", DelaySeconds=1)
    names = ["ApproximateNumberOfMessagesDelayed"]
    counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    early = take(sqs, url)
    late = take(sqs, url, WaitTimeSeconds=5)

    assert counted == {"ApproximateNumberOfMessagesDelayed": "1"}
    assert (early, [one["Body"] for one in late]) == ([], ["m"])


def test_a_group_waits_for_its_first_message(sqs: Any, name: str) -> None:
    """In order within a group; another group goes on."""
    url = fifo(sqs, name, ContentBasedDeduplication="true")
    for body in ("a1", "a2", "b1"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=body[0])
    (first,) = take(sqs, url, 1)
    others = take(sqs, url)
    blocked = take(sqs, url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    following = take(sqs, url)

    assert first["Body"] == "a1"
    assert [one["Body"] for one in others] == ["b1"]
    assert blocked == []
    assert [one["Body"] for one in following] == ["a2"]


def test_a_returned_message_keeps_its_place(sqs: Any, name: str) -> None:
    """What comes back is first in its group again."""
    url = fifo(sqs, name, ContentBasedDeduplication="true")
    for body in ("1", "2", "3"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    taken = take(sqs, url, 2)
    for one in taken:
        sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=one["ReceiptHandle"], VisibilityTimeout=0
        )

    assert [one["Body"] for one in take(sqs, url)] == ["1", "2", "3"]


def test_duplicates_are_accepted_and_not_delivered(sqs: Any, name: str) -> None:
    """The same MessageDeduplicationId within five minutes is the same message."""
    url = fifo(sqs, name)
    given = {"QueueUrl": url, "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    first = sqs.send_message(MessageBody="one", **given)
    again = sqs.send_message(MessageBody="two", **given)

    assert again["MessageId"] == first["MessageId"]
    assert again["SequenceNumber"] == first["SequenceNumber"]
    assert [one["Body"] for one in take(sqs, url)] == ["one"]


def test_what_is_received_too_often_moves_away(sqs: Any, name: str) -> None:
    """maxReceiveCount, then the dead-letter queue, which knows its sources."""
    dead = make(sqs, f"{name}-dead")
    policy = {"deadLetterTargetArn": f"{ACCOUNT}:{name}-dead", "maxReceiveCount": "2"}
    url = make(sqs, name, RedrivePolicy=json.dumps(policy), VisibilityTimeout="0")
    sqs.send_message(QueueUrl=url, MessageBody="m")
    counts = [len(take(sqs, url)) for _ in range(3)]
    (letter,) = take(sqs, dead, AttributeNames=["All"])
    sources = sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"]

    assert counts == [1, 1, 0]
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == f"{ACCOUNT}:{name}"
    assert sources == [url]


def test_dead_letters_are_moved_back(sqs: Any, name: str) -> None:
    """StartMessageMoveTask: to where they came from; only from a dead-letter queue."""
    dead = make(sqs, f"{name}-dead")
    arn = f"{ACCOUNT}:{name}-dead"
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": "1"}
    url = make(sqs, name, RedrivePolicy=json.dumps(policy), VisibilityTimeout="0")
    sqs.send_message(QueueUrl=url, MessageBody="m")
    buried = [len(take(sqs, url)) for _ in range(2)]
    sqs.start_message_move_task(SourceArn=arn)
    (task,) = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
    back = take(sqs, url)

    assert buried == [1, 0]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    assert [one["Body"] for one in back] == ["m"]
    assert take(sqs, dead) == []
    assert refusal(sqs.start_message_move_task, SourceArn=f"{ACCOUNT}:{name}") == (
        "InvalidParameterValue",
        "Source queue must be configured as a Dead Letter Queue.",
    )


def test_batches_fail_one_by_one(sqs: Any, name: str) -> None:
    """Send, change and delete ten at a time; what is wrong is named."""
    url = make(sqs, name)
    sent = sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "good", "MessageBody": "m"},
            {"Id": "late", "MessageBody": "m", "DelaySeconds": 901},
        ],
    )
    (message,) = take(sqs, url)
    handles = [
        {"Id": "real", "ReceiptHandle": message["ReceiptHandle"]},
        {"Id": "made-up", "ReceiptHandle": "x"},
    ]
    changed = sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[{**one, "VisibilityTimeout": 60} for one in handles]
    )
    deleted = sqs.delete_message_batch(QueueUrl=url, Entries=handles)

    assert [one["Id"] for one in sent["Successful"]] == ["good"]
    assert [(one["Id"], one["Code"]) for one in sent["Failed"]] == [
        ("late", "InvalidParameterValue")
    ]
    assert [one["Id"] for one in changed["Failed"]] == ["made-up"]
    assert [one["Id"] for one in deleted["Successful"]] == ["real"]
    assert deleted["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"


def test_queues_are_managed(sqs: Any, name: str) -> None:
    """Made once, listed, changed, tagged, purged, deleted."""
    url = make(sqs, name, VisibilityTimeout="5")
    same = make(sqs, name, VisibilityTimeout="5")
    other = refusal(sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "6"})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "1"})
    sqs.tag_queue(QueueUrl=url, Tags={"k": "v"})
    sqs.send_message(QueueUrl=url, MessageBody="m", DelaySeconds=0)
    sqs.purge_queue(QueueUrl=url)
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    listed = sqs.list_queues(QueueNamePrefix=name)["QueueUrls"]
    tags = sqs.list_queue_tags(QueueUrl=url)["Tags"]
    sqs.delete_queue(QueueUrl=url)

    assert same == url
    assert other[0] == "QueueAlreadyExists"
    assert (got["QueueArn"], got["DelaySeconds"]) == (f"{ACCOUNT}:{name}", "1")
    assert got["ApproximateNumberOfMessages"] == "0"
    assert (listed, tags) == ([url], {"k": "v"})
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName=name)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param({"MessageBody": "\x00"}, "InvalidMessageContents", id="control character"),
        pytest.param({"MessageBody": "x" * 1_048_577}, "InvalidParameterValue", id="too long"),
        pytest.param({"MessageBody": "m", "DelaySeconds": 901}, "InvalidParameterValue", id="late"),
        pytest.param(
            {"MessageBody": "m", "MessageDeduplicationId": "d"}, "InvalidParameterValue", id="fifo"
        ),
    ],
)
def test_messages_that_sqs_refuses(sqs: Any, name: str, given: Any, code: str) -> None:
    """In its own words."""
    assert refusal(sqs.send_message, QueueUrl=make(sqs, name), **given)[0] == code


def test_fifo_queues_ask_for_group_and_deduplication(sqs: Any, name: str) -> None:
    """Without ContentBasedDeduplication an id must be given."""
    url = fifo(sqs, name)
    no_group = refusal(sqs.send_message, QueueUrl=url, MessageBody="m")
    no_id = refusal(sqs.send_message, QueueUrl=url, MessageBody="m", MessageGroupId="g")

    assert no_group[0] == "MissingParameter"
    assert no_id == (
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or "
        "MessageDeduplicationId provided explicitly",
    )


@pytest.mark.parametrize(
    ("queue", "attributes", "code"),
    [
        pytest.param("a b", {}, "InvalidParameterValue", id="name"),
        pytest.param("ok", {"FifoQueue": "true"}, "InvalidParameterValue", id="fifo by name"),
        pytest.param("ok", {"Colour": "red"}, "InvalidAttributeName", id="unknown attribute"),
        pytest.param("ok", {"VisibilityTimeout": "-1"}, "InvalidAttributeValue", id="time-out"),
        pytest.param("ok", {"RedrivePolicy": "{"}, "InvalidAttributeValue", id="policy"),
        pytest.param(
            "ok",
            {"RedrivePolicy": '{"deadLetterTargetArn": "arn:aws:sqs:::no", "maxReceiveCount": 1}'},
            "InvalidParameterValue",
            id="no such grave",
        ),
    ],
)
def test_queues_that_sqs_refuses(
    sqs: Any, queue: str, attributes: dict[str, str], code: str
) -> None:
    """Each with AWS's code."""
    assert refusal(sqs.create_queue, QueueName=queue, Attributes=attributes)[0] == code
