"""What Step Functions would refuse, found before anything runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.asl_definition import check_definition, not_emulated, parse_resource

DONE = {"Type": "Pass", "End": True}
DEEP = '{"StartAt":"A","States":{"A":{"Type":"Pass","End":true,"Parameters":PARAMETERS}}}'.replace(
    "PARAMETERS", '{"a":' * 5_000 + "1" + "}" * 5_000
)
FIELDS = [
    "StartAt",
    "States",
    "A",
    "Type",
    "Next",
    "End",
    "Choices",
    "Branches",
    "Retry",
    "ItemProcessor",
    "Catch",
    "ErrorEquals",
    "Variable",
    "Parameters",
    "And",
]


def said(states: Any, **more: Any) -> list[str]:
    """The diagnostics of a machine that starts at A."""
    text = json.dumps({"StartAt": "A", "States": states, **more})
    return [str(one) for one in check_definition(text)[1]]


@pytest.mark.parametrize(
    ("states", "place"),
    [
        pytest.param({}, "[States] at /", id="no states"),
        pytest.param({"B": DONE}, "Missing 'StartAt' target: A at /StartAt", id="no start"),
        pytest.param({"A": DONE, "B": DONE}, '"B" is not reachable', id="unreachable"),
        pytest.param({"A": {"Type": "Pass"}}, "[Next] or [End] at /States/A", id="no end"),
        pytest.param({"A": {**DONE, "Next": "A"}}, "either Next or End", id="both"),
        pytest.param({"A": {"Type": "Nope", "End": True}}, "'Type'", id="an unknown type"),
        pytest.param({"A": {"Type": "Succeed", "End": True}}, "'End' is not", id="Succeed ends"),
        pytest.param({"A": {**DONE, "Retry": []}}, "'Retry' is not", id="a Pass cannot fail"),
        pytest.param(
            {"A": {"Type": "Task", "Resource": "x", "End": True}}, "resource ARN", id="no ARN"
        ),
        pytest.param({"A": {"Type": "Wait", "End": True}}, "exactly one of", id="wait for what"),
        pytest.param({"A": {**DONE, "InputPath": "x"}}, "/States/A/InputPath", id="no path"),
        pytest.param({"A": {**DONE, "ResultPath": "$.a[*]"}}, "Reference Path", id="not definite"),
        pytest.param(
            {"A": {**DONE, "Parameters": {"a": {"b.$": 5}}}}, "/Parameters/a/b.$", id="no text"
        ),
        pytest.param(
            {"A": {**DONE, "Parameters": {"b.$": "States.Nope()"}}}, "no intrinsic", id="function"
        ),
        pytest.param({"A": {**DONE, "Output": 1}}, "'Output' is not supported", id="JSONata's"),
        pytest.param({"A": {"Type": "Choice", "Choices": []}}, "/Choices", id="no rules"),
        pytest.param(
            {"A": {"Type": "Choice", "Choices": [{"Variable": "$.a", "Next": "A"}]}},
            "no comparison operator at /States/A/Choices[0]",
            id="no operator",
        ),
        pytest.param(
            {"A": {"Type": "Parallel", "Branches": [{"StartAt": "X", "States": {}}], "End": True}},
            "/States/A/Branches[0]",
            id="inside a branch",
        ),
        pytest.param({"A": {"Type": "Map", "End": True}}, "[ItemProcessor]", id="no processor"),
        pytest.param(
            {
                "A": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sqs:sendMessage",
                    "End": True,
                    "Catch": [
                        {"ErrorEquals": ["States.ALL"], "Next": "A"},
                        {"ErrorEquals": ["E"], "Next": "A"},
                    ],
                }
            },
            "States.ALL must stand alone",
            id="States.ALL comes last",
        ),
    ],
)
def test_what_is_refused(states: Any, place: str) -> None:
    """By its place, in AWS's words where they are known."""
    assert any(place in one for one in said(states)), said(states)


def test_jsonata_has_its_own_fields() -> None:
    """And its expressions are parsed."""
    wrong = {"A": {"Type": "Pass", "Output": "{% $x( %}", "InputPath": "$", "End": True}}
    found = said(wrong, QueryLanguage="JSONata")

    assert len(found) == 2
    assert not said({"A": {"Type": "Succeed", "Output": "{% 1 %}"}}, QueryLanguage="JSONata")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '{"StartAt": 1, "States": {"A": 5}}', "[" * 5_000, DEEP]
)
def test_what_is_no_definition(text: str) -> None:
    """A diagnostic, never an exception."""
    assert check_definition(text)[1]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["A", "$.x", "Pass", "Task"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(FIELDS),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_checking_ends_for_every_json(value: Any) -> None:
    """Whatever shape it has."""
    check_definition(json.dumps(value))
    check_definition(json.dumps({"StartAt": "A", "States": {"A": value}}))


@pytest.mark.parametrize(
    ("resource", "is_known"),
    [
        ("arn:aws:lambda:us-east-1:123456789012:function:f", True),
        ("arn:aws:lambda:us-east-1:123456789012:function:f:live", True),
        ("arn:aws:states:::lambda:invoke.waitForTaskToken", True),
        ("arn:aws:states:::states:startExecution.sync:2", True),
        ("arn:aws:states:::aws-sdk:s3:getObject", True),
        ("arn:aws:states:::lambda:invoke.sync", False),
        ("arn:aws:states:::glue:startJobRun.sync", False),
        ("arn:aws:states:::http:invoke", False),
        ("arn:aws:states:us-east-1:123456789012:activity:a", False),
    ],
)
def test_integrations_that_the_native_runner_knows(resource: str, is_known: bool) -> None:
    """Any other is named, with its state."""
    definition = {"States": {"T": {"Type": "Task", "Resource": resource}}}

    assert any(not_emulated(definition)) is not is_known


def test_a_resource_is_taken_apart() -> None:
    """Service, action and pattern."""
    found = parse_resource("arn:aws:states:::aws-sdk:sqs:sendMessage.waitForTaskToken")

    assert found is not None
    assert (found.service, found.action, found.pattern) == (
        "aws-sdk:sqs",
        "sendMessage",
        ".waitForTaskToken",
    )
