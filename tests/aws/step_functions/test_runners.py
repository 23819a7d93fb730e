"""Both runners of a definition come to the same outcome: status, output, error, cause.

Where the interpreter is known to differ from AWS, the row says what AWS gives and the reason; the
native runner is held to that (docs/fidelity.md lists these rows).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.aws.cloudfront.shapes import ROLE, zipped
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint
from tests.aws.step_functions.conftest import States

WORKER = """
import os, time
def handler(event, context):
    what = event.get("do") if isinstance(event, dict) else None
    if what == "fail":
        raise type(event["type"], (Exception,), {})(event.get("message", ""))
    if what == "exit":
        os._exit(3)
    if what == "sleep":
        time.sleep(event["seconds"])
    if what == "large":
        return "x" * 300_000
    return {"got": event}
"""
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:worker"
INVOKE = "arn:aws:states:::lambda:invoke"
MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


@dataclass(frozen=True)
class Row:
    """One definition.

    Args:
        states: Its states; the first is where it starts.
        value: Its input.
        more: What else stands at the top of the definition.
        ignored: Members of the outcome in which the interpreter is known to differ.
        aws: What the native runner gives there.
    """

    states: Mapping[str, Any]
    value: Any = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    aws: Mapping[str, Any] = field(default_factory=dict)

    @property
    def definition(self) -> dict[str, Any]:
        """The whole definition."""
        return {"StartAt": next(iter(self.states)), "States": self.states, **self.more}


def one(state: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A machine of a single state, and those it names."""
    ends = state["Type"] in ("Choice", "Succeed", "Fail") or "Next" in state
    return {"A": {**state, **({} if ends else {"End": True})}, **more}


def task(**more: Any) -> dict[str, Any]:
    """A Task that invokes the worker."""
    return {"Type": "Task", "Resource": FUNCTION, **more}


def choice(*rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A Choice whose rules lead to Yes, and else to No."""
    return {
        "A": {
            "Type": "Choice",
            "Choices": [{**rule, "Next": "Yes"} for rule in rules],
            "Default": "No",
            **more,
        },
        "Yes": {"Type": "Pass", "Result": "yes", "End": True},
        "No": {"Type": "Pass", "Result": "no", "End": True},
    }


def inner(state: Mapping[str, Any]) -> dict[str, Any]:
    """What is inside a branch or an iteration."""
    return {"StartAt": "I", "States": {"I": {**state, "End": True}}}


JSONATA = {"QueryLanguage": "JSONata"}
DONE = {"Type": "Pass", "End": True}

ROWS = {
    "Pass hands its input on": Row(one({"Type": "Pass"}), {"a": 1}),
    "Pass with Result and ResultPath": Row(
        one({"Type": "Pass", "Result": {"x": 1}, "ResultPath": "$.r.s"}), {"a": 1}
    ),
    "paths and parameters": Row(
        one(
            {
                "Type": "Pass",
                "InputPath": "$.in",
                "Parameters": {
                    "n.$": "$.n",
                    "name.$": "$$.Execution.Name",
                    "deep": {"list": ["fix", {"x.$": "$['odd name'][0]"}]},
                    "machine.$": "$$.StateMachine.Name",
                },
                "ResultPath": "$.out",
                "OutputPath": "$.out",
            }
        ),
        {"in": {"n": 1, "odd name": [5]}},
    ),
    "ResultPath null discards": Row(
        one({"Type": "Pass", "Result": 1, "ResultPath": None}), {"a": 1}
    ),
    "indefinite paths give lists": Row(
        one({"Type": "Pass", "Parameters": {"all.$": "$.l[*].x", "some.$": "$.l[0:2]"}}),
        {"l": [{"x": 1}, {"x": 2}, {"x": 3}]},
    ),
    "an index in the middle of a path": Row(
        one({"Type": "Pass", "Parameters": {"text.$": "$.content[0].text"}}),
        {"content": [{"text": "a"}]},
        ignored=("output",),
        aws={"output": {"text": "a"}},
    ),
    "a missing path in Parameters": Row(
        one({"Type": "Pass", "Parameters": {"a.$": "$.nope"}}), {"b": 1}
    ),
    "a missing InputPath": Row(one({"Type": "Pass", "InputPath": "$.nope"}), {"b": 1}),
    "intrinsic functions": Row(
        one(
            {
                "Type": "Pass",
                "Parameters": {
                    "format.$": "States.Format('{} is {}', $.name, $.n)",
                    "json.$": "States.StringToJson($.json)",
                    "text.$": "States.JsonToString($.list)",
                    "array.$": "States.Array(1, $.name, true)",
                    "parts.$": "States.ArrayPartition($.list, 2)",
                    "has.$": "States.ArrayContains($.list, 2)",
                    "range.$": "States.ArrayRange(1, 9, 2)",
                    "item.$": "States.ArrayGetItem($.list, 1)",
                    "length.$": "States.ArrayLength($.list)",
                    "unique.$": "States.ArrayUnique(States.Array(1, 1, 2))",
                    "encoded.$": "States.Base64Encode($.name)",
                    "decoded.$": "States.Base64Decode(States.Base64Encode($.name))",
                    "hash.$": "States.Hash($.name, 'SHA-256')",
                    "merged.$": "States.JsonMerge($.one, $.two, false)",
                    "sum.$": "States.MathAdd($.n, -1)",
                    "split.$": "States.StringSplit('a,b', ',')",
                },
            }
        ),
        {
            "name": "x",
            "n": 7,
            "json": '{"k": [1]}',
            "list": [1, 2, 3],
            "one": {"a": 1, "b": 1},
            "two": {"b": 2},
        },
    ),
    "a null among arguments": Row(
        one({"Type": "Pass", "Parameters": {"a.$": "States.Array(1, null)"}}),
        ignored=("output",),
        aws={"output": {"a": [1, None]}},
    ),
    "Choice: texts and patterns": Row(
        choice({"Variable": "$.s", "StringMatches": "log-*.txt"}), {"s": "log-5.txt"}
    ),
    "Choice: numbers, and, not": Row(
        choice(
            {
                "And": [
                    {"Variable": "$.n", "NumericGreaterThanEquals": 5},
                    {"Not": {"Variable": "$.n", "NumericEqualsPath": "$.m"}},
                ]
            }
        ),
        {"n": 6, "m": 7},
    ),
    "Choice: timestamps": Row(
        choice({"Variable": "$.t", "TimestampLessThan": "2026-01-01T00:00:00Z"}),
        {"t": "2025-12-31T23:59:59Z"},
    ),
    "Choice: presence and type": Row(
        choice(
            {
                "Or": [
                    {"Variable": "$.x", "IsPresent": True},
                    {"Variable": "$.y", "IsNumeric": True},
                ]
            }
        ),
        {"y": 1},
    ),
    "Choice: a boolean that is a text": Row(
        choice({"Variable": "$.b", "BooleanEquals": True}), {"b": "true"}
    ),
    "Choice: no rule, no default": Row(
        {
            "A": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "B"}]},
            "B": DONE,
        },
        {"a": 1},
        ignored=("error", "cause"),
        aws={"error": "States.NoChoiceMatched", "cause": None},
    ),
    "Wait for seconds of the input": Row(one({"Type": "Wait", "SecondsPath": "$.s"}), {"s": 1}),
    "Wait until a moment that has passed": Row(
        one({"Type": "Wait", "Timestamp": "2020-01-01T00:00:00Z"}), {"a": 1}
    ),
    "Succeed with an OutputPath": Row(one({"Type": "Succeed", "OutputPath": "$.a"}), {"a": [1]}),
    "Fail with words": Row(one({"Type": "Fail", "Error": "E", "Cause": "c"})),
    "Fail with words of the input": Row(
        one({"Type": "Fail", "ErrorPath": "$.e", "CausePath": "$.c"}), {"e": "E1", "c": "why"}
    ),
    "a function's answer": Row(
        one(task(Parameters={"x.$": "$.a"}, ResultSelector={"y.$": "$.got.x"}, ResultPath="$.r")),
        {"a": 1},
    ),
    "a function by lambda:invoke": Row(
        one(
            {
                "Type": "Task",
                "Resource": INVOKE,
                "Parameters": {"FunctionName": "worker", "Payload.$": "$"},
                "OutputPath": "$.Payload",
            }
        ),
        {"a": [1, None, "x"]},
    ),
    "a function that throws": Row(
        one(task()), {"do": "fail", "type": "Broken", "message": "why not"}
    ),
    "a function that is not there": Row(
        one(
            {
                "Type": "Task",
                "Resource": INVOKE,
                "Parameters": {"FunctionName": "nobody"},
            }
        ),
    ),
    "a thrown error is caught": Row(
        one(
            task(
                Catch=[
                    {"ErrorEquals": ["Other"], "Next": "Z"},
                    {"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.why", "Next": "B"},
                ],
                Next="Z",
            ),
            B={"Type": "Pass", "OutputPath": "$.why.Error", "End": True},
            Z={"Type": "Fail"},
        ),
        {"do": "fail", "type": "Broken"},
    ),
    "a sandbox that ends": Row(
        one(
            task(Catch=[{"ErrorEquals": ["Runtime.ExitError"], "Next": "B"}], Next="Z"),
            B={"Type": "Pass", "OutputPath": "$.Error", "End": True},
            Z={"Type": "Fail"},
        ),
        {"do": "exit"},
    ),
    "a function that times out": Row(
        one(
            task(Catch=[{"ErrorEquals": ["Sandbox.Timedout"], "Next": "B"}], Next="Z"),
            B={"Type": "Pass", "OutputPath": "$.Error", "End": True},
            Z={"Type": "Fail"},
        ),
        {"do": "sleep", "seconds": 60},
    ),
    "a task that times out": Row(
        one(
            task(
                TimeoutSeconds=1,
                Catch=[
                    {"ErrorEquals": ["States.TaskFailed"], "Next": "Z"},
                    {"ErrorEquals": ["States.Timeout"], "Next": "B"},
                ],
                Next="Z",
            ),
            B={"Type": "Pass", "OutputPath": "$.Error", "End": True},
            Z={"Type": "Fail"},
        ),
        {"do": "sleep", "seconds": 2},
    ),
    "an execution that times out": Row(
        one({"Type": "Wait", "Seconds": 30}), more={"TimeoutSeconds": 1}
    ),
    "retries come to an end": Row(
        one(
            task(
                Retry=[
                    {
                        "ErrorEquals": ["States.ALL"],
                        "IntervalSeconds": 1,
                        "MaxAttempts": 1,
                        "BackoffRate": 1,
                    }
                ]
            )
        ),
        {"do": "fail", "type": "Broken"},
    ),
    "an answer that is too large": Row(one(task()), {"do": "large"}),
    "Parallel": Row(
        one(
            {
                "Type": "Parallel",
                "Branches": [inner(task()), inner({"Type": "Pass", "Result": 2})],
                "ResultSelector": {"first.$": "$[0].got.a", "second.$": "$[1]"},
            }
        ),
        {"a": 1},
    ),
    "a branch that fails": Row(
        one(
            {
                "Type": "Parallel",
                "Branches": [
                    inner({"Type": "Pass"}),
                    {"StartAt": "I", "States": {"I": {"Type": "Fail", "Error": "E", "Cause": "c"}}},
                ],
                "Catch": [{"ErrorEquals": ["E"], "Next": "B"}],
                "Next": "Z",
            },
            B=DONE,
            Z={"Type": "Fail"},
        ),
    ),
    "Map": Row(
        one(
            {
                "Type": "Map",
                "ItemsPath": "$.items",
                "MaxConcurrency": 2,
                "ItemSelector": {
                    "i.$": "$$.Map.Item.Index",
                    "v.$": "$$.Map.Item.Value",
                    "of.$": "$.of",
                },
                "ItemProcessor": inner({"Type": "Pass"}),
                "ResultPath": "$.done",
            }
        ),
        {"items": ["a", "b", "c"], "of": 3},
    ),
    "Map over nothing": Row(one({"Type": "Map", "ItemProcessor": inner({"Type": "Pass"})}), []),
    "Map whose iteration fails": Row(
        one({"Type": "Map", "ItemProcessor": inner(task())}),
        [{"do": "fail", "type": "Broken"}],
    ),
    "Map over what is no list": Row(
        one({"Type": "Map", "ItemsPath": "$.a", "ItemProcessor": inner({"Type": "Pass"})}),
        {"a": 1},
        ignored=("error", "cause"),
        aws={
            "error": "States.Runtime",
            "cause": "An error occurred while executing the state 'A' (entered at the event id "
            '#2). Reference path "$.a" must point to array.',
        },
    ),
    "variables": Row(
        {
            "A": {"Type": "Pass", "Assign": {"x.$": "$.a", "y": 2}, "Next": "B"},
            "B": {"Type": "Pass", "Parameters": {"sum.$": "States.MathAdd($x, $y)"}, "End": True},
        },
        {"a": 40},
    ),
    "sqs:sendMessage": Row(
        one(
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage",
                "Parameters": {"QueueUrl.$": "$.queue", "MessageBody": {"a.$": "$.a"}},
                "ResultSelector": {"md5.$": "$.MD5OfMessageBody"},
            }
        ),
        {"a": "x", "queue": "QUEUE"},
        ignored=("output",),
        aws={"output": {"md5": hashlib.md5(b'{"a":"x"}').hexdigest()}},
    ),
    "sqs:sendMessage to nowhere": Row(
        one(
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage",
                "Parameters": {"QueueUrl.$": "$.queue", "MessageBody": "x"},
            }
        ),
        {"queue": "QUEUE-nowhere"},
        ignored=("cause",),
    ),
    "events:putEvents": Row(
        one(
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::events:putEvents",
                "Parameters": {
                    "Entries": [{"Source": "s", "DetailType": "t", "Detail": {"a.$": "$.a"}}]
                },
                "ResultSelector": {"failed.$": "$.FailedEntryCount"},
            }
        ),
        {"a": 1},
    ),
    "dynamodb: put and get": Row(
        {
            "A": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:putItem",
                "Parameters": {"TableName": "things", "Item": {"id": {"S.$": "$.id"}}},
                "ResultPath": None,
                "Next": "B",
            },
            "B": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:getItem",
                "Parameters": {"TableName": "things", "Key": {"id": {"S.$": "$.id"}}},
                "OutputPath": "$.Item",
                "End": True,
            },
        },
        {"id": "one"},
    ),
    "dynamodb: a condition that fails": Row(
        one(
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:putItem",
                "Parameters": {
                    "TableName": "things",
                    "Item": {"id": {"S": "seed"}},
                    "ConditionExpression": "attribute_not_exists(id)",
                },
            }
        ),
    ),
    "aws-sdk: any operation": Row(
        one(
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:dynamodb:describeTable",
                "Parameters": {"TableName": "things"},
                "ResultSelector": {"name.$": "$.Table.TableName"},
            }
        ),
    ),
    "aws-sdk: an error": Row(
        one(
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:dynamodb:describeTable",
                "Parameters": {"TableName": "nothing"},
            }
        ),
    ),
    "JSONata: the way of the data": Row(
        {
            "A": {
                "Type": "Pass",
                "Assign": {"total": "{% $sum($states.input.prices) %}"},
                "Output": {"n": "{% $count($states.input.prices) %}"},
                "Next": "B",
            },
            "B": {
                "Type": "Task",
                "Resource": INVOKE,
                "Arguments": {
                    "FunctionName": "worker",
                    "Payload": {"t": "{% $total %}", "n": "{% $states.input.n %}"},
                },
                "Output": "{% $states.result.Payload.got %}",
                "Next": "C",
            },
            "C": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.t > 5 %}", "Next": "D"}],
                "Default": "Z",
            },
            "D": {"Type": "Succeed", "Output": {"quoted": "{% $string($states.input.t) & '\"' %}"}},
            "Z": {"Type": "Fail"},
        },
        {"prices": [1, 2, 3]},
        JSONATA,
    ),
    "JSONata: errors and Catch": Row(
        {
            "A": {
                "Type": "Task",
                "Resource": INVOKE,
                "Arguments": {
                    "FunctionName": "worker",
                    "Payload": {"do": "fail", "type": "Broken", "message": 'it\'s "so"'},
                },
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Output": {"e": "{% $states.errorOutput.Error %}"},
                        "Next": "B",
                    }
                ],
                "End": True,
            },
            "B": {"Type": "Succeed"},
        },
        {},
        JSONATA,
    ),
    "JSONata: Map": Row(
        {
            "A": {
                "Type": "Map",
                "Items": "{% $states.input.list %}",
                "ItemProcessor": inner({"Type": "Pass", "Output": "{% $states.input * 2 %}"}),
                "Output": "{% $sum($states.result) %}",
                "End": True,
            }
        },
        {"list": [1, 2, 3]},
        JSONATA,
    ),
    "JSONata: nothing is an error": Row(
        {"A": {"Type": "Pass", "Output": "{% $states.input.nope %}", "End": True}},
        {},
        JSONATA,
    ),
}


Outcomes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Place:
    """An endpoint, ready for the table."""

    states: States
    queue: str


def furnished(endpoint: Endpoint) -> Place:
    """The worker, a queue, a table with one item."""
    functions, queues = client("lambda", endpoint.url), client("sqs", endpoint.url)
    tables = client("dynamodb", endpoint.url)
    functions.create_function(
        FunctionName="worker",
        Runtime="python3.13",
        Role=ROLE,
        Handler="handler.handler",
        Timeout=3,
        Code={"ZipFile": zipped({"handler.py": WORKER})},
    )
    if "things" not in tables.list_tables()["TableNames"]:
        tables.create_table(
            TableName="things",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        tables.put_item(TableName="things", Item={"id": {"S": "seed"}})
    queue = queues.create_queue(QueueName="rows")["QueueUrl"]
    return Place(States(client("stepfunctions", endpoint.url)), queue)


@pytest.fixture(scope="module")
def outcomes(
    account: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Outcomes, Outcomes]]:
    """Every row on the native runner and on moto's interpreter, all of them at once."""
    path = tmp_path_factory.mktemp("interpreter") / "stores.sqlite3"
    options = Options(control=True, interpreter=True)
    with running_endpoint(path, options) as interpreter:
        places = furnished(account), furnished(interpreter)
        started = [{name: start(place, name, ROWS[name]) for name in ROWS} for place in places]
        native, other = (
            {name: outcome(place, execution) for name, execution in executions.items()}
            for place, executions in zip(places, started, strict=True)
        )
        yield native, other


def start(place: Place, name: str, row: Row) -> str:
    """The ARN of a row's execution."""
    value = json.loads(json.dumps(row.value).replace("QUEUE", place.queue))
    slug = re.sub(r"[^a-z]+", "-", name.lower())
    arn = place.states.create(row.definition, name=slug)
    return place.states.start(arn, value, name="execution")


def outcome(place: Place, execution: str) -> dict[str, Any]:
    """What came of it; ids that differ from run to run taken out."""
    described = place.states.ended(execution)
    output = described.get("output")
    return {
        "status": described["status"],
        "output": json.loads(output) if output else None,
        "error": described.get("error"),
        "cause": _without_ids(described.get("cause")),
    }


def _without_ids(cause: str | None) -> str | None:
    if cause is None:
        return None
    with contextlib.suppress(ValueError, AttributeError):
        # Where a handler's file is says nothing.
        shape = json.loads(cause)
        shape.pop("stackTrace", None)
        cause = json.dumps(shape)
    cause = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", cause)
    cause = re.sub(r" specified for the field '[^']*' returned", " returned", cause)
    return re.sub(r"\s+", "", cause)


@pytest.mark.parametrize("name", ROWS)
def test_both_runners_agree(name: str, outcomes: tuple[Outcomes, Outcomes]) -> None:
    """Status, output, error and cause."""
    row = ROWS[name]
    ours, theirs = (one[name] for one in outcomes)
    expected = {key: value for key, value in theirs.items() if key not in row.ignored}

    assert {key: value for key, value in ours.items() if key not in row.ignored} == expected
    assert {key: ours[key] for key in row.aws} == {
        key: _without_ids(value) if key == "cause" else value for key, value in row.aws.items()
    }
