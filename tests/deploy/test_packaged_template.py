from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.deploy.artifacts import Artifact
from emulator.deploy.packaged_template import dump_template, packaged_template
from emulator.values.functions import FunctionKind

CODE = "// a comment\nfunction handler(event) {\n    return event.request; // ${Nothing}\n}\n"


def artifact(sha256: str = "ab" * 32) -> Artifact:
    """A packaged Lambda@Edge function."""
    return Artifact(
        "answers",
        "Answers",
        FunctionKind.LAMBDA_AT_EDGE,
        "python3.13",
        f"answers-{sha256[:16]}.zip",
        sha256,
        1,
        2,
        code_sha256="q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
    )


SOURCE = Artifact(
    "lookup",
    "Lookup",
    FunctionKind.CLOUDFRONT_FUNCTION,
    "cloudfront-js-2.0",
    "x.js",
    "cd",
    1,
    2,
    code=CODE,
)


def template() -> dict[str, Any]:
    """Two functions, a version, and everything that can refer to it."""
    return {
        "Parameters": {
            "Bucket": {"Type": "String"},
            "Key": {"Type": "String"},
            "Unused": {"Type": "String"},
        },
        "Resources": {
            "Answers": {
                "Type": "AWS::Lambda::Function",
                "Metadata": {"aws:asset:path": "x", "localpop:baked-files": {}, "mine": 1},
                "Properties": {"Code": {"S3Bucket": {"Ref": "Bucket"}, "S3Key": {"Ref": "Key"}}},
            },
            "AnswersVersion": {
                "Type": "AWS::Lambda::Version",
                "Properties": {"FunctionName": {"Fn::GetAtt": ["Answers", "Arn"]}},
            },
            "Lookup": {
                "Type": "AWS::CloudFront::Function",
                "Metadata": {"aws:asset:path": "y"},
                "Properties": {"FunctionCode": "old"},
            },
            "Site": {
                "Type": "AWS::CloudFront::Distribution",
                "DependsOn": ["AnswersVersion", "Answers"],
                "Properties": {
                    "Ref": {"Ref": "AnswersVersion"},
                    "GetAtt": {"Fn::GetAtt": ["AnswersVersion", "Version"]},
                    "Sub": {"Fn::Sub": "${AnswersVersion}, ${AnswersVersion.Version}, ${!Answers}"},
                },
            },
        },
    }


def test_code_is_where_cloudformation_finds_it() -> None:
    """S3 by content hash, inlined source, and no word about this machine."""
    original = template()
    packaged = packaged_template(original, [artifact(), SOURCE])
    resources = packaged["Resources"]

    assert resources["Answers"]["Properties"]["Code"] == {
        "S3Bucket": {"Ref": "Bucket"},
        "S3Key": "answers-abababababababab.zip",
    }
    assert resources["Answers"]["Metadata"] == {"mine": 1}
    assert resources["Lookup"]["Properties"]["FunctionCode"] == CODE
    assert "Metadata" not in resources["Lookup"]
    assert set(packaged["Parameters"]) == {"Bucket", "Unused"}
    assert original == template()


def test_a_version_is_another_resource_when_its_code_is() -> None:
    """Everything that referred to it follows; the old one is retained, for its replicas."""
    first = packaged_template(template(), [artifact()])["Resources"]
    again = packaged_template(template(), [artifact()])["Resources"]
    other = packaged_template(template(), [artifact("cd" * 32)])["Resources"]
    name = next(one for one in first if one.startswith("AnswersVersion"))
    site = first["Site"]

    assert len(name) == len("AnswersVersion") + 10
    assert list(first) == list(again) != list(other)
    assert first[name]["DeletionPolicy"] == first[name]["UpdateReplacePolicy"] == "Retain"
    assert first[name]["Properties"]["CodeSha256"] == artifact().code_sha256
    assert site["DependsOn"] == [name, "Answers"]
    assert site["Properties"] == {
        "Ref": {"Ref": name},
        "GetAtt": {"Fn::GetAtt": [name, "Version"]},
        "Sub": {"Fn::Sub": f"${{{name}}}, ${{{name}.Version}}, ${{!Answers}}"},
    }


def test_another_configuration_is_another_version_too() -> None:
    """A version publishes code and configuration."""
    changed = template()
    changed["Resources"]["Answers"]["Properties"]["Timeout"] = 7

    assert list(packaged_template(changed, [artifact()])["Resources"]) != list(
        packaged_template(template(), [artifact()])["Resources"]
    )


@pytest.mark.parametrize(
    "code", [{"ZipFile": "x"}, {"S3Bucket": "localpop", "S3Key": "code"}, None]
)
def test_a_function_without_a_bucket_gets_a_parameter(code: Any) -> None:
    """Inline code has none, nor has a local CodeUri of SAM."""
    inline = template()
    inline["Resources"]["Answers"]["Properties"]["Code"] = code
    packaged = packaged_template(inline, [artifact()])

    assert packaged["Resources"]["Answers"]["Properties"]["Code"]["S3Bucket"] == {
        "Ref": "ArtifactBucket"
    }
    assert packaged["Parameters"]["ArtifactBucket"]["Type"] == "String"


def test_the_text_reads_back_as_the_document() -> None:
    """Dates stay text, source stays readable, and there are no anchors."""
    packaged = packaged_template(template(), [artifact(), SOURCE])
    packaged["Resources"]["Role"] = {"Version": "2012-10-17", "Twice": [packaged["Parameters"]] * 2}
    text = dump_template(packaged)

    assert yaml.safe_load(text) == packaged
    assert "FunctionCode: |" in text
    assert "&id" not in text


def test_paths_do_not_matter(tmp_path: Path) -> None:
    """The text is the same wherever it is made."""
    assert str(tmp_path) not in dump_template(packaged_template(template(), [artifact()]))
