"""State machines of a template: where their definitions are, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.project.local import Answers
from emulator.project.template import Inspection, inspect_templates
from emulator.values.state_machines import MachineType

DEFINITION = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:localpop-Machine"


def inspected(folder: Path, machine: dict[str, Any], **more: Any) -> Inspection:
    """A template with one state machine, read."""
    resources = {"Machine": {"Type": "AWS::StepFunctions::StateMachine", **machine}}
    template = {"Resources": resources, "Outputs": {"Arn": {"Value": {"Ref": "Machine"}}}, **more}
    (folder / "template.yaml").write_text(yaml.safe_dump(template))
    return inspect_templates(folder / "template.yaml", Answers(state=folder))


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"DefinitionString": json.dumps(DEFINITION)}, id="a text"),
        pytest.param({"Definition": DEFINITION}, id="a mapping"),
        pytest.param({"DefinitionString": {"Fn::ToJsonString": DEFINITION}}, id="a function"),
        pytest.param(
            {
                "DefinitionString": '{"StartAt": "A", "States": {"A": ${What}}}'.replace(
                    "${What}", '{"Type": "${Type}", "End": true}'
                ),
                "DefinitionSubstitutions": {"Type": "Pass"},
            },
            id="substituted",
        ),
    ],
)
def test_a_definition_in_the_template(properties: dict[str, Any], tmp_path: Path) -> None:
    """However it is written, it is the same machine."""
    inspection = inspected(tmp_path, {"Properties": {**properties, "RoleArn": "r"}})
    (machine,) = inspection.declared.state_machines

    assert not inspection.findings
    assert json.loads(machine.definition) == DEFINITION
    assert (machine.arn, machine.kind) == (ARN, MachineType.STANDARD)


def test_a_definition_on_disk_is_watched(tmp_path: Path) -> None:
    """By `aws:asset:path`, as CDK and SAM name it."""
    (tmp_path / "machine.asl.json").write_text(json.dumps(DEFINITION))
    inspection = inspected(
        tmp_path,
        {
            "Metadata": {"aws:asset:path": "machine.asl.json"},
            "Properties": {"StateMachineType": "EXPRESS", "DefinitionString": "{}"},
        },
    )
    (machine,) = inspection.declared.state_machines

    assert machine.kind is MachineType.EXPRESS
    assert tmp_path / "machine.asl.json" in inspection.declared.files


def test_what_step_functions_refuses_is_found_before(tmp_path: Path) -> None:
    """Each mistake, with its place in the definition."""
    states = {"A": {"Type": "Pass", "Next": "B"}, "C": {"Type": "Later", "End": True}}
    inspection = inspected(
        tmp_path,
        {"Properties": {"DefinitionString": json.dumps({"StartAt": "A", "States": states})}},
    )
    said = [str(one) for one in inspection.errors]

    assert len(said) == 3
    assert any("Missing 'Next' target: B at /States/A/Next" in one for one in said)
    assert any("/States/C/Type" in one for one in said)


def test_a_definition_in_s3_is_let_be(tmp_path: Path) -> None:
    """Nobody here sees it, and the edge needs none of it."""
    location = {"DefinitionS3Location": {"Bucket": "b", "Key": "k"}}
    inspection = inspected(tmp_path, {"Properties": location})

    assert not inspection.findings
    assert not inspection.declared.state_machines


def test_sam_names_a_file_and_functions(tmp_path: Path) -> None:
    """`AWS::Serverless::StateMachine` with DefinitionUri and substitutions."""
    (tmp_path / "machine.asl.json").write_text(
        '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${Fn}", "End": true}}}'
    )
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Worker": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "FunctionName": "worker",
                    "Runtime": "python3.13",
                    "Handler": "index.handler",
                    "InlineCode": "def handler(event, context): return 1",
                    "Environment": {"Variables": {"MODE": 1}},
                    "AutoPublishAlias": "live",
                },
            },
            "Machine": {
                "Type": "AWS::Serverless::StateMachine",
                "Properties": {
                    "Name": "machine",
                    "DefinitionUri": "machine.asl.json",
                    "DefinitionSubstitutions": {"Fn": {"Fn::GetAtt": ["Worker", "Arn"]}},
                    "Role": "arn:aws:iam::123456789012:role/r",
                },
            },
        },
    }
    (tmp_path / "template.yaml").write_text(yaml.safe_dump(template))
    inspection = inspect_templates(tmp_path / "template.yaml", Answers(state=tmp_path))
    (machine,) = inspection.declared.state_machines
    (function,) = inspection.declared.regional_lambdas

    assert not inspection.findings
    assert function.arn in machine.definition
    assert (function.environment, function.aliases) == ({"MODE": "1"}, ("1", "live"))
