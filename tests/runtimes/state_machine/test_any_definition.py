"""Whatever a definition and its input are, an execution has an outcome in AWS's words."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emulator.clock.virtual import VirtualClock
from emulator.rules.asl_definition import check_definition, not_emulated
from emulator.runtimes.state_machine import History, StateMachineRunner, TaskTokens
from emulator.values.state_machines import ExecutionStart, ExecutionStatus, StateMachine

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "Entries", "Input"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PATH = st.sampled_from(["$", "$.a", "$.b[0]", "$.a[*]", "$..a", "$$.Execution.Id", "$x", None])
TEMPLATE = st.dictionaries(
    st.sampled_from(["a", "b.$", "Entries.$", "Payload.$", "Input.$", "MessageBody.$"]),
    st.sampled_from(
        ["$", "$.a", "$x", "States.UUID()", "States.MathAdd($.a, 1)", "States.Array($)"]
    ),
    max_size=3,
)
EXPRESSION = st.sampled_from(
    ["{% $states.input %}", "{% $states.input.a %}", "{% 1 %}", "{% [] %}"]
)
RESOURCE = st.sampled_from(
    [
        "arn:aws:states:::lambda:invoke",
        "arn:aws:lambda:us-east-1:123456789012:function:f",
        "arn:aws:states:::sqs:sendMessage",
        "arn:aws:states:::events:putEvents",
        "arn:aws:states:::states:startExecution",
        "arn:aws:states:::bedrock:invokeModel",
        "arn:aws:states:::aws-sdk:sqs:sendMessage",
        "arn:aws:states:::aws-sdk:nobody:nothing",
    ]
)
NUMBER = st.one_of(st.integers(0, 3), EXPRESSION, st.just("1"), st.none())
HANDLER = st.fixed_dictionaries(
    {"ErrorEquals": st.just(["States.ALL"]), "Next": st.just("B")},
    optional={"MaxAttempts": st.integers(0, 2)},
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "InputPath": PATH,
    "OutputPath": PATH,
    "ResultPath": st.sampled_from(["$", "$.a", "$.a.b[0]", None]),
    "Parameters": TEMPLATE,
    "ResultSelector": TEMPLATE,
    "Assign": st.one_of(TEMPLATE, EXPRESSION, st.just({"x": "{% $states.input %}"})),
    "Arguments": st.one_of(EXPRESSION, st.dictionaries(st.just("a"), EXPRESSION)),
    "Output": EXPRESSION,
    "Result": JSON,
    "Seconds": NUMBER,
    "SecondsPath": PATH,
    "TimestampPath": PATH,
    "ItemsPath": PATH,
    "Items": EXPRESSION,
    "ItemSelector": TEMPLATE,
    "MaxConcurrency": NUMBER,
    "ToleratedFailureCount": NUMBER,
    "TimeoutSeconds": NUMBER,
    "Error": st.one_of(EXPRESSION, st.just("E")),
    "ErrorPath": PATH,
    "Retry": st.lists(HANDLER, max_size=1),
    "Catch": st.lists(HANDLER, max_size=1),
    "Choices": st.lists(
        st.fixed_dictionaries(
            {"Next": st.just("B")},
            optional={
                "Variable": PATH,
                "NumericEquals": st.just(1),
                "IsPresent": st.just(True),
                "StringMatchesPath": PATH,
                "Condition": EXPRESSION,
            },
        ),
        max_size=2,
    ),
    "Default": st.just("B"),
}
JSONPATH_ONLY = [
    "InputPath",
    "OutputPath",
    "ResultPath",
    "Parameters",
    "ResultSelector",
    "SecondsPath",
    "TimestampPath",
    "ItemsPath",
    "ErrorPath",
]
JSONATA_ONLY = ["Arguments", "Output", "Items"]
OF_KIND = {
    "Pass": "InputPath OutputPath ResultPath Parameters Assign Result Output",
    "Task": "InputPath OutputPath ResultPath Parameters ResultSelector Assign Arguments Output "
    "TimeoutSeconds Retry Catch",
    "Choice": "Choices Default InputPath OutputPath Assign",
    "Wait": "Seconds SecondsPath TimestampPath Assign Output InputPath",
    "Succeed": "InputPath OutputPath Output",
    "Fail": "Error ErrorPath",
    "Map": "InputPath OutputPath ResultPath ItemsPath Items ItemSelector MaxConcurrency "
    "ToleratedFailureCount ResultSelector Assign Output Retry Catch",
}


@st.composite
def state_of(draw: st.DrawFn, language: str) -> dict[str, Any]:
    """A state of any kind with some of the fields that it may have."""
    kind = draw(st.sampled_from([*OF_KIND]))
    foreign = JSONPATH_ONLY if language == "JSONata" else JSONATA_ONLY
    fields = [name for name in OF_KIND[kind].split() if name not in foreign]
    chosen = draw(st.lists(st.sampled_from(fields), unique=True, max_size=4)) if fields else []
    state = {"Type": kind, **{name: draw(FIELDS[name]) for name in chosen}}
    if kind not in ("Choice", "Succeed", "Fail"):
        state["End"] = True
    if kind == "Task":
        state["Resource"] = draw(RESOURCE)
    if kind == "Wait" and not {"Seconds", "SecondsPath", "TimestampPath"} & set(state):
        state["Seconds"] = 1
    if kind == "Map":
        state["ItemProcessor"] = INNER
    return state


INNER = {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}}


async def _call(service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"Payload": b'{"a": [1]}', "body": b"{}", "executionArn": "arn:x", "startDate": 0.0}


async def _finished(arn: str) -> Mapping[str, Any]:
    return {"status": "SUCCEEDED", "output": "1"}


@settings(max_examples=200, deadline=None)
@given(st.data(), JSON, st.sampled_from(["JSONPath", "JSONata"]))
def test_there_is_always_an_outcome(data: st.DataObject, value: Any, language: str) -> None:
    """What passes the check runs to an end; nothing of ours ever shows."""
    states = {"A": data.draw(state_of(language)), "B": {"Type": "Pass", "End": True}}
    text = json.dumps({"StartAt": "A", "States": states, "QueryLanguage": language})
    definition, diagnostics = check_definition(text)
    assume(all("not reachable" in one.message for one in diagnostics))
    assume(not any(not_emulated(definition)))
    clock = VirtualClock()
    machine = StateMachine("m", "arn:m", definition, text)
    start = ExecutionStart("arn:e", "e", machine, value, 0.0)
    chance = random.Random(0)
    runner = StateMachineRunner(clock, _call, _finished, TaskTokens(chance), chance)
    outcome = asyncio.run(runner.run(start, History(clock)))

    assert outcome.status in (ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED)
    assert outcome.error is None or isinstance(outcome.error, str)
    json.dumps(outcome.output)
