"""Events and queues of a template, from a saved file to a delivered message."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.running import LOCALPOP, Localpop, localpop
from tests.aws.endpoint import client

TEMPLATE = """
Resources:
  Bus:
    Type: AWS::Events::EventBus
    Properties: {Name: answers}
  Writes:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: writes.fifo
      FifoQueue: true
      ContentBasedDeduplication: true
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}
  Dead:
    Type: AWS::SQS::Queue
    Properties: {FifoQueue: true}
  Allow:
    Type: AWS::SQS::QueuePolicy
    Properties: {Queues: [!Ref Writes], PolicyDocument: {Statement: []}}
  LoggedIn:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern:
        source: [localpop.backend]
        detail: {user_id: [{prefix: user-}]}
      Targets:
        - Id: queue
          Arn: !GetAtt Writes.Arn
          SqsParameters: {MessageGroupId: writer}
          RetryPolicy: {MaximumRetryAttempts: "2"}
          InputTransformer:
            InputPathsMap: {user: $.detail.user_id}
            InputTemplate: '{"user_id": <user>}'
  Registry:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: registry
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
  Bodies:
    Type: AWS::S3::Bucket
  Elsewhere:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [s]}
      Targets: [{Id: stream, Arn: "arn:aws:kinesis:us-east-1:123456789012:stream/s"}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localpop]:
    """`localpop up` of a project with nothing but events."""
    folder = tmp_path_factory.mktemp("events")
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "localpop.toml").write_text('template = "template.yaml"\n')
    with localpop(folder, "--https-port", "0") as started:
        yield started


def clients(running: Localpop) -> tuple[Any, Any]:
    """EventBridge's and SQS's."""
    return client("events", running.aws_url), client("sqs", running.aws_url)


def login(user_id: str) -> dict[str, Any]:
    """A login's entry."""
    return {
        "EventBusName": "answers",
        "Source": "localpop.backend",
        "DetailType": "UserLoggedIn",
        "Detail": json.dumps({"user_id": user_id}),
    }


def bodies(sqs: Any, name: str, *, wait_s: int = 5) -> list[str]:
    """What a queue holds; deleted."""
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_s)
    for one in found.get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return [one["Body"] for one in found.get("Messages", [])]


def test_the_templates_rule_fills_the_templates_queue(running: Localpop) -> None:
    """An event in, the shaped message out; a target nobody can call was said at start."""
    events, sqs = clients(running)
    with contextlib.closing(events), contextlib.closing(sqs):
        events.put_events(Entries=[login("user-001"), login("other")])
        found = bodies(sqs, "writes.fifo")

    assert found == ['{"user_id": "user-001"}']
    assert any("kinesis:stream is not emulated" in line for line in running.lines)


def test_queues_name_their_dead_letter_queue(running: Localpop) -> None:
    """An unnamed FIFO queue gets a name that ends in .fifo; RedrivePolicy points to its ARN."""
    _, sqs = clients(running)
    with contextlib.closing(sqs):
        url = sqs.get_queue_url(QueueName="writes.fifo")["QueueUrl"]
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        policy = json.loads(got["Attributes"]["RedrivePolicy"])
        sources = sqs.list_dead_letter_source_queues(
            QueueUrl=sqs.get_queue_url(QueueName="localpop-Dead.fifo")["QueueUrl"]
        )

    assert policy["deadLetterTargetArn"].endswith(":localpop-Dead.fifo")
    assert sources["queueUrls"] == [url]


def test_tables_and_buckets_are_there(running: Localpop) -> None:
    """Made when somebody asks for them first."""
    with contextlib.closing(client("dynamodb", running.aws_url)) as dynamodb:
        dynamodb.put_item(TableName="registry", Item={"id": {"S": "a"}})
        lives = dynamodb.describe_time_to_live(TableName="registry")
    with contextlib.closing(client("s3", running.aws_url)) as s3:
        names = [one["Name"] for one in s3.list_buckets()["Buckets"]]

    assert lives["TimeToLiveDescription"]["AttributeName"] == "expires"
    assert names == ["localpop-bodies"]


def test_a_saved_template_changes_the_rules(running: Localpop) -> None:
    """Hot reload: the new pattern counts, waiting messages stay."""
    events, sqs = clients(running)
    with contextlib.closing(events), contextlib.closing(sqs):
        events.put_events(Entries=[login("user-before")])
        template = running.folder / "template.yaml"
        template.write_text(TEMPLATE.replace("prefix: user-", "prefix: guest-"))
        running.wait_for_line("localpop: reloaded")
        end_s = time.monotonic() + 10
        while "guest-" not in events.list_rules(EventBusName="answers")["Rules"][0]["EventPattern"]:
            assert time.monotonic() < end_s
        events.put_events(Entries=[login("user-after"), login("guest-1")])
        found: list[str] = []
        while len(found) < 2:
            found += bodies(sqs, "writes.fifo")

    assert found == ['{"user_id": "user-before"}', '{"user_id": "guest-1"}']


def test_a_reset_makes_everything_anew(running: Localpop) -> None:
    """What the API made is gone; the template's queues, rules and tables are as at the start."""
    events, sqs = clients(running)
    with contextlib.closing(events), contextlib.closing(sqs):
        sqs.create_queue(QueueName="own")
        events.create_event_bus(Name="own")
        running.control("POST", "/_localpop/reset", {})
        urls = sqs.list_queues()["QueueUrls"]
        buses = [one["Name"] for one in events.list_event_buses()["EventBuses"]]
        rules = events.list_rules(EventBusName="answers")["Rules"]
    with contextlib.closing(client("dynamodb", running.aws_url)) as dynamodb:
        count = dynamodb.scan(TableName="registry")["Count"]

    assert [url.rpartition("/")[2] for url in urls] == ["localpop-Dead.fifo", "writes.fifo"]
    assert buses == ["default", "answers"]
    assert len(rules) == 1
    assert count == 0


def test_commands_know_the_queue(tmp_path: Path) -> None:
    """${Writes} is the queue's URL, ${Dead.Arn} its ARN, as at AWS."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "localpop.toml").write_text(
        'template = "template.yaml"\n[environment]\nURL = "${Writes}"\nDEAD = "${Dead.Arn}"\n'
    )
    told = "import os; print(os.environ['URL'], os.environ['DEAD'])"
    flags = [f"--{name}-port=0" for name in ("viewer", "https", "aws", "dashboard")]
    outcome = subprocess.run(
        [LOCALPOP, "run", *flags, "--", "python", "-c", told],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert outcome.stdout.strip().splitlines()[-1] == (
        "https://sqs.us-east-1.amazonaws.com/123456789012/writes.fifo "
        "arn:aws:sqs:us-east-1:123456789012:localpop-Dead.fifo"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_nothing_that_was_accepted_is_lost(tmp_path: Path, number: signal.Signals) -> None:
    """Events just put, messages and rules of the API: all there after an end at any moment."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "localpop.toml").write_text('template = "template.yaml"\n')
    users = [f"user-{one}" for one in range(40)]
    with localpop(tmp_path, "--https-port", "0") as first:
        events, sqs = clients(first)
        with contextlib.closing(events), contextlib.closing(sqs):
            url = sqs.create_queue(QueueName="own")["QueueUrl"]
            events.put_rule(Name="own", EventBusName="answers", EventPattern='{"source": ["own"]}')
            target = {"Id": "q", "Arn": "arn:aws:sqs:us-east-1:123456789012:own"}
            events.put_targets(
                Rule="own", EventBusName="answers", Targets=[{**target, "InputPath": "$.source"}]
            )
            sqs.send_message(QueueUrl=url, MessageBody="kept")
            for start in range(0, 40, 10):
                events.put_events(Entries=[login(user) for user in users[start : start + 10]])
            first.stop(number)
    with localpop(tmp_path, "--https-port", "0") as second:
        events, sqs = clients(second)
        with contextlib.closing(events), contextlib.closing(sqs):
            own = bodies(sqs, "own")
            events.put_events(Entries=[{**login("user-x"), "Source": "own"}])
            own += bodies(sqs, "own")
            written: set[str] = set()
            end_s = time.monotonic() + 15
            while len(written) < len(users) and time.monotonic() < end_s:
                written |= {json.loads(body)["user_id"] for body in bodies(sqs, "writes.fifo")}

    assert own == ["kept", '"own"']
    assert written == set(users)
