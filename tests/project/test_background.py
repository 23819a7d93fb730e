"""What a template declares behind the viewers' back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.project.declarations import ResourceDeclaration
from emulator.project.local import Answers
from emulator.project.template import Inspection, inspect_templates, template_attribute

PLACE = "us-east-1:123456789012"


def inspect(folder: Path, resources: Any) -> Inspection:
    """A template with these resources, read."""
    path = folder / "template.json"
    path.write_text(json.dumps({"Resources": resources}))
    return inspect_templates(path, Answers())


def only(folder: Path, kind: str, properties: Any) -> ResourceDeclaration:
    """The one resource of a template."""
    (found,) = inspect(folder, {"It": {"Type": kind, "Properties": properties}}).declared.background
    return found


@pytest.mark.parametrize(
    ("kind", "properties", "ref", "arn"),
    [
        pytest.param(
            "AWS::SQS::Queue",
            {"QueueName": "q"},
            "https://sqs.us-east-1.amazonaws.com/123456789012/q",
            f"arn:aws:sqs:{PLACE}:q",
            id="queue",
        ),
        pytest.param(
            "AWS::SQS::Queue",
            {"FifoQueue": True},
            "https://sqs.us-east-1.amazonaws.com/123456789012/localpop-It.fifo",
            f"arn:aws:sqs:{PLACE}:localpop-It.fifo",
            id="unnamed FIFO queue",
        ),
        pytest.param(
            "AWS::DynamoDB::Table",
            {"TableName": "t"},
            "t",
            f"arn:aws:dynamodb:{PLACE}:table/t",
            id="table",
        ),
        pytest.param(
            "AWS::Events::EventBus",
            {"Name": "b"},
            "b",
            f"arn:aws:events:{PLACE}:event-bus/b",
            id="bus",
        ),
        pytest.param(
            "AWS::Events::Rule",
            {"Name": "r"},
            "r",
            f"arn:aws:events:{PLACE}:rule/r",
            id="rule of the default bus",
        ),
        pytest.param(
            "AWS::Events::Rule",
            {"Name": "r", "EventBusName": f"arn:aws:events:{PLACE}:event-bus/b"},
            "b|r",
            f"arn:aws:events:{PLACE}:rule/b/r",
            id="rule of another bus",
        ),
        pytest.param(
            "AWS::Scheduler::Schedule",
            {"Name": "s", "GroupName": "g"},
            "s",
            f"arn:aws:scheduler:{PLACE}:schedule/g/s",
            id="schedule",
        ),
        pytest.param(
            "AWS::Logs::LogGroup",
            {"LogGroupName": "/l"},
            "/l",
            f"arn:aws:logs:{PLACE}:log-group:/l:*",
            id="log group",
        ),
    ],
)
def test_ref_and_get_att(tmp_path: Path, kind: str, properties: Any, ref: str, arn: str) -> None:
    """As AWS's pages list them under "Return values"."""
    path = tmp_path / "template.json"
    path.write_text(json.dumps({"Resources": {"It": {"Type": kind, "Properties": properties}}}))

    assert template_attribute(path, {}, "It") == ref
    assert template_attribute(path, {}, "It.Arn") == arn


def test_queues_have_attributes_of_text(tmp_path: Path) -> None:
    """Numbers, booleans and policies as the API takes them."""
    properties = {
        "QueueName": "q.fifo",
        "FifoQueue": True,
        "VisibilityTimeout": 60,
        "RedrivePolicy": {"deadLetterTargetArn": "arn", "maxReceiveCount": 3},
        "Tags": [{"Key": "a", "Value": "b"}],
    }

    assert only(tmp_path, "AWS::SQS::Queue", properties).properties == {
        "FifoQueue": "true",
        "VisibilityTimeout": "60",
        "RedrivePolicy": '{"deadLetterTargetArn":"arn","maxReceiveCount":3}',
    }


def test_tables_are_spelled_for_the_api(tmp_path: Path) -> None:
    """A stream is switched on, indices lose what the API does not know."""
    index = {
        "IndexName": "i",
        "KeySchema": [],
        "Projection": {"ProjectionType": "ALL"},
        "ContributorInsightsSpecification": {"Enabled": True},
    }
    properties = {
        "TableName": "t",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [index],
        "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    found = only(tmp_path, "AWS::DynamoDB::Table", properties).properties

    assert found["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert "ContributorInsightsSpecification" not in found["GlobalSecondaryIndexes"][0]
    assert "PointInTimeRecoverySpecification" not in found


RULE = {"EventPattern": {"source": ["s"]}}
QUEUE_ARN = f"arn:aws:sqs:{PLACE}:q"


@pytest.mark.parametrize(
    ("kind", "properties", "words"),
    [
        pytest.param(
            "AWS::Events::Rule",
            {"EventPattern": {"source": "s"}},
            '"source" must be an object or an array',
            id="pattern",
        ),
        pytest.param("AWS::Events::Rule", {}, "needs an EventPattern", id="neither"),
        pytest.param(
            "AWS::Events::Rule", {"ScheduleExpression": "daily"}, "none of rate", id="schedule"
        ),
        pytest.param(
            "AWS::Events::Rule", {**RULE, "Targets": [{"Id": "a"}]}, "Id and Arn", id="target"
        ),
        pytest.param(
            "AWS::Events::Rule",
            {**RULE, "Targets": [{"Id": "a", "Arn": QUEUE_ARN, "Input": "{"}]},
            "JSON syntax error",
            id="input",
        ),
        pytest.param(
            "AWS::Scheduler::Schedule",
            {"ScheduleExpression": "cron(1)", "Target": {"Arn": QUEUE_ARN}},
            "six fields",
            id="cron",
        ),
        pytest.param("AWS::DynamoDB::Table", {"TableName": "t"}, "needs KeySchema", id="table"),
    ],
)
def test_what_aws_would_refuse_is_an_error(
    tmp_path: Path, kind: str, properties: Any, words: str
) -> None:
    """With its place in the template."""
    inspection = inspect(tmp_path, {"It": {"Type": kind, "Properties": properties}})
    (error,) = inspection.errors

    assert words in error.what
    assert error.where.startswith("template.json: Resources.It.Properties")
    assert inspection.declared.background == ()


@pytest.mark.parametrize(
    ("kind", "properties", "kept", "words"),
    [
        pytest.param(
            "AWS::Events::Rule",
            {**RULE, "Targets": [{"Id": "a", "Arn": f"arn:aws:kinesis:{PLACE}:stream/s"}]},
            1,
            "kinesis:stream is not emulated",
            id="a target that nobody can call",
        ),
        pytest.param(
            "AWS::Lambda::EventSourceMapping",
            {"EventSourceArn": f"arn:aws:dynamodb:{PLACE}:table/t/stream/x", "FunctionName": "f"},
            0,
            "dynamodb:table is not emulated",
            id="a stream",
        ),
        pytest.param(
            "AWS::SQS::Queue",
            {"QueueName": {"Fn::ImportValue": "x"}},
            0,
            "exports 'x'",
            id="import",
        ),
    ],
)
def test_what_cannot_be_made_here_is_a_warning(
    tmp_path: Path, kind: str, properties: Any, kept: int, words: str
) -> None:
    """The rest of the project runs."""
    inspection = inspect(tmp_path, {"It": {"Type": kind, "Properties": properties}})

    assert inspection.errors == ()
    assert len(inspection.declared.background) == kept
    assert words in " ".join(one.what for one in inspection.findings)


def test_a_queue_must_hide_messages_long_enough(tmp_path: Path) -> None:
    """Lambda's own words for a function that runs longer than its messages are hidden."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "handler.py").write_text("def handler(event, context): pass\n")
    inspection = inspect(
        tmp_path,
        {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Fn": {
                "Type": "AWS::Lambda::Function",
                "Metadata": {"aws:asset:path": "code"},
                "Properties": {
                    "Runtime": "python3.13",
                    "Handler": "handler.handler",
                    "Timeout": 60,
                },
            },
            "Feed": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                    "FunctionName": {"Ref": "Fn"},
                },
            },
        },
    )

    assert [one.what for one in inspection.errors] == [
        "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds."
    ]
