"""EventBridge as a real boto3 sees it: events in, targets reached."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.values.account import Kind
from tests.aws.endpoint import Endpoint, client
from tests.aws.test_lambda_api import create

FORWARDER = """
import json, urllib.request

def handler(event, context):
    body = json.dumps({"QueueUrl": "QUEUE", "MessageBody": event["detail"]["user_id"]})
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage"}
    urllib.request.urlopen(urllib.request.Request("ENDPOINT", body.encode(), headers), timeout=5)
"""
ROLE = "arn:aws:iam::123456789012:role/rule"


@pytest.fixture(scope="module")
def events(account: Endpoint) -> Iterator[Any]:
    """EventBridge's client."""
    with contextlib.closing(client("events", account.url)) as made:
        yield made


@pytest.fixture(scope="module")
def sqs(account: Endpoint) -> Iterator[Any]:
    """SQS's client."""
    with contextlib.closing(client("sqs", account.url)) as made:
        yield made


@pytest.fixture
def bus(events: Any, name: str) -> str:
    """A bus of the test's own."""
    events.create_event_bus(Name=name)
    return name


@pytest.fixture
def queue(sqs: Any, name: str) -> tuple[str, str]:
    """A queue's URL and ARN."""
    url = sqs.create_queue(QueueName=f"{name}-queue")["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:123456789012:{name}-queue"


def entry(bus: str, **detail: Any) -> dict[str, Any]:
    """An entry of PutEvents."""
    return {
        "EventBusName": bus,
        "Source": "localpop.backend",
        "DetailType": "UserLoggedIn",
        "Detail": json.dumps(detail),
    }


def rule(events: Any, bus: str, arn: str, pattern: Any = None, **target: Any) -> str:
    """A rule with one target; gives its ARN."""
    wanted = pattern or {"source": ["localpop.backend"]}
    name = f"rule-{len(events.list_rules(EventBusName=bus)['Rules'])}"
    made = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(wanted))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "one", "Arn": arn, **target}])
    return str(made["RuleArn"])


def received(sqs: Any, url: str, *, wait_s: int = 5) -> list[Any]:
    """What arrives in a queue, as JSON where it is."""
    found = sqs.receive_message(
        QueueUrl=url,
        WaitTimeSeconds=wait_s,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        AttributeNames=["All"],
    ).get("Messages", [])
    for one in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return list(found)


def refusal(call: Any, **params: Any) -> tuple[str, str]:
    """Code and message of what a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_event_reaches_a_queue_in_its_envelope(
    events: Any, sqs: Any, bus: str, queue: tuple[str, str]
) -> None:
    """Version, id, account, time, Region and resources are EventBridge's own."""
    rule(events, bus, queue[1])
    moment = datetime(2026, 11, 21, 13, 0, 5, tzinfo=UTC)
    put = events.put_events(
        Entries=[{**entry(bus, user_id="user-001"), "Time": moment, "Resources": ["arn:a"]}]
    )
    (message,) = received(sqs, queue[0])

    assert put["FailedEntryCount"] == 0
    assert json.loads(message["Body"]) == {
        "version": "0",
        "id": put["Entries"][0]["EventId"],
        "detail-type": "UserLoggedIn",
        "source": "localpop.backend",
        "account": "123456789012",
        "time": "2026-11-21T13:00:05Z",
        "region": "us-east-1",
        "resources": ["arn:a"],
        "detail": {"user_id": "user-001"},
    }


def test_only_rules_that_match_fire(
    events: Any, sqs: Any, bus: str, queue: tuple[str, str]
) -> None:
    """Another bus, another pattern and a disabled rule get nothing."""
    rule(events, bus, queue[1], {"detail": {"user_id": [{"prefix": "user-"}]}})
    rule(events, bus, queue[1], {"detail": {"user_id": ["user-001"]}})
    events.disable_rule(Name="rule-1", EventBusName=bus)
    events.put_events(Entries=[entry(bus, user_id="user-001"), entry(bus, user_id="other")])
    events.put_events(Entries=[entry("default", user_id="user-001")])
    found = received(sqs, queue[0]) + received(sqs, queue[0], wait_s=0)

    assert [json.loads(one["Body"])["detail"]["user_id"] for one in found] == ["user-001"]


def test_inputs_are_shaped(events: Any, sqs: Any, bus: str, queue: tuple[str, str]) -> None:
    """Input, InputPath and InputTransformer."""
    rule(events, bus, queue[1], Input='{"constant": 1}')
    rule(events, bus, queue[1], InputPath="$.detail")
    rule(
        events,
        bus,
        queue[1],
        InputTransformer={
            "InputPathsMap": {"user": "$.detail.user_id", "id": "$.id"},
            "InputTemplate": '{"user": <user>, "said": "<user> is", "by": <aws.events.rule-name>}',
        },
    )
    events.put_events(Entries=[entry(bus, user_id="u")])
    found: list[Any] = []
    while len(found) < 3:
        found += received(sqs, queue[0])

    assert {one["Body"] for one in found} == {
        '{"constant": 1}',
        '{"user_id":"u"}',
        '{"user": "u", "said": "u is", "by": "rule-2"}',
    }


def test_a_fifo_queue_gets_its_group(events: Any, sqs: Any, bus: str, name: str) -> None:
    """SqsParameters.MessageGroupId; without it PutTargets is refused."""
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes=attributes)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}.fifo"
    rule(events, bus, arn, SqsParameters={"MessageGroupId": "writer"})
    events.put_events(Entries=[entry(bus, number=number) for number in range(5)])
    found = received(sqs, url)
    code, _ = refusal(
        events.put_targets, Rule="rule-0", EventBusName=bus, Targets=[{"Id": "b", "Arn": arn}]
    )

    assert [json.loads(one["Body"])["detail"]["number"] for one in found] == [0, 1, 2, 3, 4]
    assert {one["Attributes"]["MessageGroupId"] for one in found} == {"writer"}
    assert code == "ValidationException"


def test_a_lambda_function_gets_the_event(
    events: Any, sqs: Any, lambda_client: Any, bus: str, name: str, queue: tuple[str, str]
) -> None:
    """Invoked asynchronously; what it writes is seen in the queue that it fills."""
    source = FORWARDER.replace("QUEUE", queue[0]).replace(
        "ENDPOINT", events.meta.endpoint_url.replace("local@", "")
    )
    create(lambda_client, name, {"handler.py": source})
    rule(events, bus, f"arn:aws:lambda:us-east-1:123456789012:function:{name}")
    events.put_events(Entries=[entry(bus, user_id="user-007")])
    (message,) = received(sqs, queue[0], wait_s=10)

    assert message["Body"] == "user-007"


def test_events_go_on_to_another_bus(
    events: Any, sqs: Any, bus: str, name: str, queue: tuple[str, str]
) -> None:
    """A bus is a target; a circle of buses ends."""
    events.create_event_bus(Name=f"{name}-second")
    second = f"arn:aws:events:us-east-1:123456789012:event-bus/{name}-second"
    rule(events, bus, second, RoleArn=ROLE)
    rule(events, f"{name}-second", queue[1], {"detail": {"n": [1]}})
    put = events.put_events(Entries=[entry(bus, n=1)])
    (message,) = received(sqs, queue[0])

    assert json.loads(message["Body"])["id"] == put["Entries"][0]["EventId"]


def test_a_state_machine_is_started(account: Endpoint, events: Any, bus: str, name: str) -> None:
    """With the shaped event as its input."""
    definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    with contextlib.closing(client("stepfunctions", account.url)) as states:
        machine = states.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=ROLE
        )["stateMachineArn"]
        rule(events, bus, machine, RoleArn=ROLE, InputPath="$.detail")
        events.put_events(Entries=[entry(bus, user_id="u")])
        account.run(account.background.events.deliveries.settle())
        (execution,) = states.list_executions(stateMachineArn=machine)["executions"]
        told = states.describe_execution(executionArn=execution["executionArn"])
    missing = refusal(
        events.put_targets, Rule="rule-0", EventBusName=bus, Targets=[{"Id": "b", "Arn": machine}]
    )

    assert json.loads(told["input"]) == {"user_id": "u"}
    assert missing == ("ValidationException", f"RoleArn is required for target {machine}.")


def test_a_log_group_gets_the_event(account: Endpoint, events: Any, bus: str, name: str) -> None:
    """One stream for each event."""
    group = f"/aws/events/{name}"
    with contextlib.closing(client("logs", account.url)) as logs:
        logs.create_log_group(logGroupName=group)
        rule(events, bus, f"arn:aws:logs:us-east-1:123456789012:log-group:{group}")
        events.put_events(Entries=[entry(bus, user_id="u")])
        account.run(account.background.events.deliveries.settle())
        found = logs.filter_log_events(logGroupName=group)["events"]

    assert [json.loads(one["message"])["detail"] for one in found] == [{"user_id": "u"}]


def test_entries_fail_one_by_one(events: Any, bus: str) -> None:
    """Each wrong entry has its own error; the good one is accepted."""
    good = entry(bus, a=1)
    put = events.put_events(
        Entries=[
            good,
            {**good, "Detail": "{"},
            {**good, "Detail": "[1]"},
            {**good, "Detail": '{"a":' * 2_000 + "1" + "}" * 2_000},
            {**good, "Source": "aws.ec2"},
            {"DetailType": "d", "Detail": "{}"},
            {"Source": "s", "Detail": "{}"},
            {"Source": "s", "DetailType": "d"},
        ]
    )
    codes = [one.get("ErrorCode") for one in put["Entries"]]

    assert put["FailedEntryCount"] == 7
    assert codes == [
        None,
        *["MalformedDetail"] * 3,
        "NotAuthorizedForSourceException",
        *["InvalidArgument"] * 3,
    ]
    assert put["Entries"][7]["ErrorMessage"] == (
        "Parameter Detail is not valid. Reason: Detail is a required argument."
    )


def test_a_deep_event_does_no_harm(events: Any, sqs: Any, bus: str, queue: tuple[str, str]) -> None:
    """Nine hundred levels are an event like any other."""
    rule(events, bus, queue[1])
    detail = '{"a":' * 900 + "1" + "}" * 900
    put = events.put_events(Entries=[{**entry(bus), "Detail": detail}])
    found = received(sqs, queue[0])

    assert put["FailedEntryCount"] == 0
    assert found[0]["Body"].count('{"a"') == 900


def test_the_number_of_entries_is_limited(events: Any) -> None:
    """ValidationException for the whole call."""
    code, words = refusal(events.put_events, Entries=[entry("default")] * 11)

    assert code == "ValidationException"
    assert "less than or equal to 10" in words


def test_a_call_holds_one_megabyte(events: Any, bus: str) -> None:
    """All entries together; the limit was 256 KB until 2026."""
    half = entry(bus, text="x" * 500_000)
    accepted = events.put_events(Entries=[half, half])
    code, words = refusal(events.put_events, Entries=[half, half, half])

    assert accepted["FailedEntryCount"] == 0
    assert (code, words) == (
        "ValidationException",
        "Total size of the entries in the request is over the limit.",
    )


def test_a_failing_target_never_harms_another(
    events: Any, sqs: Any, bus: str, queue: tuple[str, str], name: str
) -> None:
    """What cannot be delivered is a dead letter at once, with rule, target and reason."""
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    dead_arn = f"arn:aws:sqs:us-east-1:123456789012:{name}-dead"
    gone = f"arn:aws:lambda:us-east-1:123456789012:function:{name}-gone"
    made = rule(events, bus, gone, DeadLetterConfig={"Arn": dead_arn})
    rule(events, bus, queue[1])
    put = events.put_events(Entries=[entry(bus, a=1)])
    (message,) = received(sqs, queue[0])
    (letter,) = received(sqs, dead)
    attributes = {key: one["StringValue"] for key, one in letter["MessageAttributes"].items()}

    assert json.loads(message["Body"])["id"] == put["Entries"][0]["EventId"]
    assert json.loads(letter["Body"])["id"] == put["Entries"][0]["EventId"]
    assert attributes.pop("ERROR_MESSAGE").startswith("Function not found")
    assert attributes == {"RULE_ARN": made, "TARGET_ARN": gone, "ERROR_CODE": "NO_RESOURCE"}


def test_targets_that_nobody_can_call_are_refused_at_once(events: Any, bus: str) -> None:
    """Loudly, when they are put; not when the first event is due."""
    events.put_rule(Name="r", EventBusName=bus, EventPattern='{"source": ["s"]}')
    target = {"Id": "a", "Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"}
    code, words = refusal(events.put_targets, Rule="r", EventBusName=bus, Targets=[target])

    assert code == "NotEmulated"
    assert "kinesis:stream" in words


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        pytest.param('{"source": "s"}', '"source" must be an object or an array', id="no array"),
        pytest.param('{"source": []}', "Empty arrays are not allowed", id="empty"),
        pytest.param(
            '{"source": [{"exists": "true"}]}',
            "exists match pattern must be either true or false.",
            id="exists",
        ),
        pytest.param('{"source": [{"like": "x"}]}', "Unrecognized match type like", id="operator"),
    ],
)
def test_wrong_patterns_are_refused_in_awss_words(events: Any, pattern: str, reason: str) -> None:
    """InvalidEventPatternException from PutRule and TestEventPattern."""
    words = f"Event pattern is not valid. Reason: {reason}"

    assert refusal(events.put_rule, Name="r", EventPattern=pattern) == (
        "InvalidEventPatternException",
        words,
    )
    assert refusal(events.test_event_pattern, EventPattern=pattern, Event="{}")[1] == words


def test_patterns_can_be_tested(events: Any) -> None:
    """TestEventPattern needs a whole envelope."""
    event = {
        "id": "1",
        "account": "123456789012",
        "source": "s",
        "time": "2026-11-21T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail-type": "d",
        "detail": {"n": 5},
    }
    pattern = '{"detail": {"n": [{"numeric": [">", 4]}]}}'
    matched = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))
    code, _ = refusal(events.test_event_pattern, EventPattern=pattern, Event='{"id": "1"}')

    assert matched["Result"] is True
    assert code == "ValidationException"


def test_the_control_operations(events: Any, bus: str, queue: tuple[str, str], name: str) -> None:
    """Describe, list, remove and delete say what boto3's users expect."""
    made = rule(events, bus, queue[1])
    described = events.describe_rule(Name="rule-0", EventBusName=bus)
    by_target = events.list_rule_names_by_target(TargetArn=queue[1], EventBusName=bus)
    targets = events.list_targets_by_rule(Rule="rule-0", EventBusName=bus)["Targets"]
    buses = [one["Name"] for one in events.list_event_buses()["EventBuses"]]
    kept = refusal(events.delete_rule, Name="rule-0", EventBusName=bus)
    full = refusal(events.delete_event_bus, Name=bus)
    removed = events.remove_targets(Rule="rule-0", EventBusName=bus, Ids=["one", "two"])
    events.delete_rule(Name="rule-0", EventBusName=bus)
    gone = refusal(events.describe_rule, Name="rule-0", EventBusName=bus)
    events.delete_event_bus(Name=bus)

    assert (described["Arn"], described["State"]) == (made, "ENABLED")
    assert made == f"arn:aws:events:us-east-1:123456789012:rule/{bus}/rule-0"
    assert by_target["RuleNames"] == ["rule-0"]
    assert targets == [{"Id": "one", "Arn": queue[1]}]
    assert {"default", bus} <= set(buses)
    assert kept == ("ValidationException", "Rule can't be deleted since it has targets.")
    assert full[0] == "ValidationException"
    assert removed["FailedEntryCount"] == 1
    assert gone == (
        "ResourceNotFoundException",
        f"Rule rule-0 does not exist on EventBus {bus}.",
    )
    assert refusal(events.describe_event_bus, Name=bus) == (
        "ResourceNotFoundException",
        f"Event bus {bus} does not exist.",
    )


def test_what_the_api_makes_is_on_disk(account: Endpoint, events: Any, bus: str) -> None:
    """A rule and its bus survive a restart."""
    events.put_rule(Name="kept", EventBusName=bus, EventPattern='{"source": ["s"]}')

    async def kept() -> list[str]:
        return [record.id for record in account.account.all(Kind.EVENT_RULE)]

    assert f"{bus}/kept" in account.run(kept())
