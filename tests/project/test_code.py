"""Where the code of functions and the contents of stores come from."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import ConfigError
from emulator.project.code import read_import
from emulator.project.local import Answers, LocalFunction
from emulator.project.template import Inspection, inspect_templates
from tests.project.conftest import Wrap, Write

FUNCTION = "function handler(event) { return event.request; }"


def edge_lambda(event: str = "origin-request", **properties: Any) -> dict[str, dict[str, Any]]:
    """A distribution's changes for a Lambda@Edge function with these properties."""
    return {
        "behavior": {
            "LambdaFunctionAssociations": [
                {"EventType": event, "LambdaFunctionARN": {"Ref": "Version"}}
            ]
        },
        "resources": {
            "Fn": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"Handler": "index.handler", "Runtime": "nodejs22.x", **properties},
            },
            "Version": {
                "Type": "AWS::Lambda::Version",
                "Properties": {"FunctionName": {"Ref": "Fn"}},
            },
        },
    }


def edge_function(code: Any = FUNCTION, **config: Any) -> dict[str, dict[str, Any]]:
    """A distribution's changes for a CloudFront Function."""
    return {
        "behavior": {
            "FunctionAssociations": [
                {"EventType": "viewer-request", "FunctionARN": {"Fn::GetAtt": "Fn.FunctionARN"}}
            ]
        },
        "resources": {
            "Fn": {
                "Type": "AWS::CloudFront::Function",
                "Properties": {
                    "Name": "fn",
                    "FunctionCode": code,
                    "FunctionConfig": {"Comment": "", "Runtime": "cloudfront-js-2.0", **config},
                },
            }
        },
    }


@pytest.fixture
def inspected(write: Write, distribution_of: Wrap, tmp_path: Path) -> Any:
    """Inspects a minimal distribution with changes on top."""

    def inspect(changes: dict[str, Any], answers: Answers | None = None) -> Inspection:
        path = write(distribution_of(**changes), "template.json")
        return inspect_templates(
            path, answers or Answers(state=tmp_path / "state"), date(2026, 11, 21)
        )

    return inspect


# --- CloudFront Functions -----------------------------------------------------------------------


def test_inline_code_may_be_put_together(inspected: Any) -> None:
    """Fn::Join, Fn::Sub with `${!…}` for JavaScript's own."""
    code = {"Fn::Sub": "function handler(event) { return `${!event.uri}` + '${AWS::Region}'; }"}
    (function,) = inspected(edge_function(code)).declared.functions

    assert function.code == "function handler(event) { return `${event.uri}` + 'us-east-1'; }"


def test_the_code_may_be_named_in_localpop_toml(inspected: Any, write: Write) -> None:
    """Such as the file that a build step puts into FunctionCode."""
    file = write(FUNCTION, "fn.js")
    (function,) = inspected(
        edge_function("x"), Answers(functions={"Fn": LocalFunction(file)})
    ).declared.functions

    assert (function.path, function.code) == (file, "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (edge_function(""), "has no code"),
        (edge_function("/" * 10_241), "10241 bytes; a CloudFront Function has at most 10240"),
        (edge_function(Runtime="cloudfront-js-3.0"), "none of CloudFront Functions'"),
        (
            edge_function(
                Runtime="cloudfront-js-1.0",
                KeyValueStoreAssociations=[{"KeyValueStoreARN": "arn:a"}],
            ),
            "Only cloudfront-js-2.0 reads a key value store",
        ),
        (
            edge_function(
                KeyValueStoreAssociations=[
                    {"KeyValueStoreARN": "arn:a"},
                    {"KeyValueStoreARN": "arn:b"},
                ]
            ),
            "can have one key value store",
        ),
    ],
)
def test_what_a_cloudfront_function_cannot_be(
    inspected: Any, changes: dict[str, Any], words: str
) -> None:
    """AWS refuses it when it is made."""
    assert words in inspected(changes).errors[0].what


# --- Lambda@Edge --------------------------------------------------------------------------------


def test_inline_lambda_code_goes_to_the_state_folder(inspected: Any, tmp_path: Path) -> None:
    """As `index.js`, where Lambda puts it."""
    changes = edge_lambda(Code={"ZipFile": "exports.handler = async (e) => e;"})
    (function,) = inspected(changes).declared.lambdas

    assert function.path.is_relative_to(tmp_path / "state")
    assert (function.path / "index.js").read_text() == "exports.handler = async (e) => e;"


def test_a_zip_is_unpacked(inspected: Any, tmp_path: Path) -> None:
    """A package that a build step made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.js", "x")
    (tmp_path / "fn.zip").write_bytes(buffer.getvalue())
    changes = edge_lambda()
    changes["resources"]["Fn"]["Metadata"] = {"aws:asset:path": "fn.zip"}
    (function,) = inspected(changes).declared.lambdas

    assert (function.path / "index.js").read_text() == "x"


def test_code_in_s3_asks_for_one_line(inspected: Any, write: Write) -> None:
    """A packaged template names S3; the folder is one line."""
    changes = edge_lambda(Code={"S3Bucket": "b", "S3Key": "k.zip"})
    (error,) = inspected(changes).errors
    folder = write("exports.handler = 1", "edge/index.js").parent
    answered = inspected(changes, Answers(functions={"Fn": LocalFunction(folder)}))

    assert 'under [functions]: Fn = "<folder>"' in error.mend
    assert not answered.findings
    assert answered.declared.lambdas[0].path == folder


def test_a_function_nobody_declares_is_known_by_its_files(inspected: Any, write: Write) -> None:
    """By version ARN: handler and runtime follow from the usual file names."""
    arn = "arn:aws:lambda:us-east-1:111122223333:function:auth"
    association = {"EventType": "viewer-request", "LambdaFunctionARN": f"{arn}:7"}
    changes = {"behavior": {"LambdaFunctionAssociations": [association]}}
    folder = write("def lambda_handler(e, c): ...", "auth/lambda_function.py").parent
    (error,) = inspected(changes).errors
    answered = inspected(changes, Answers(functions={"auth": LocalFunction(folder)}))
    (function,) = answered.declared.lambdas

    assert f'under [functions]: "{arn}" = ' in error.mend
    assert not answered.findings
    assert (function.handler, function.versions) == (
        "lambda_function.lambda_handler",
        (f"{arn}:7",),
    )


INLINE: dict[str, Any] = {"Code": {"ZipFile": "x"}}


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        (
            {"Environment": {"Variables": {"A": "1"}}},
            "The function cannot have environment variables. Function: arn:aws:lambda:",
        ),
        ({"Layers": ["arn:l"]}, "cannot have layers"),
        ({"VpcConfig": {"SubnetIds": ["s"]}}, "cannot have a VPC configuration"),
        ({"DeadLetterConfig": {"TargetArn": "arn:q"}}, "cannot have a dead-letter queue"),
        ({"TracingConfig": {"Mode": "Active"}}, "cannot have X-Ray tracing"),
        ({"KmsKeyArn": "arn:k"}, "cannot have a customer-managed KMS key"),
        ({"PackageType": "Image"}, "cannot have a container image"),
        ({"Architectures": ["arm64"]}, "cannot have the architecture arm64"),
        ({"EphemeralStorage": {"Size": 1024}}, "more than 512 MB of ephemeral storage"),
        ({"Timeout": 31}, "31 Max allowed: 30 Function: arn:aws:lambda:"),
        ({"MemorySize": 20_000}, "not between 128 and 10240"),
        ({"Runtime": "java21"}, "'java21' is not supported"),
    ],
)
def test_what_a_lambda_at_edge_cannot_have(
    inspected: Any, properties: dict[str, Any], words: str
) -> None:
    """AWS: "Restrictions on Lambda@Edge"."""
    errors = inspected(edge_lambda(**INLINE, **properties)).errors

    assert any(words in error.what for error in errors)


def test_the_role_must_trust_the_edge(inspected: Any) -> None:
    """Both services, in CloudFront's words."""
    changes = edge_lambda(**INLINE, Role={"Fn::GetAtt": ["Role", "Arn"]})
    statement: dict[str, Any] = {
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role: dict[str, Any] = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Statement": [statement]}},
    }
    changes["resources"]["Role"] = role
    (error,) = inspected(changes).errors
    statement["Principal"] = {"Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]}

    assert "must be assumable with edgelambda.amazonaws.com as well" in error.what
    assert not inspected(changes).findings


@pytest.mark.parametrize(
    ("event", "properties", "words"),
    [
        ("viewer-request", {"MemorySize": 256}, "256 Max allowed: 128"),
        ("origin-request", {"Runtime": "nodejs18.x"}, "deprecated the runtime nodejs18.x on 2025"),
        ("origin-request", {"Runtime": "nodejs99.x"}, "'nodejs99.x' is not known here"),
    ],
)
def test_surprises_of_lambda_at_edge(
    inspected: Any, event: str, properties: dict[str, Any], words: str
) -> None:
    """Warnings: it deploys, or did once."""
    (warning,) = inspected(edge_lambda(event, **INLINE, **properties)).findings

    assert warning.severity == "warning"
    assert words in warning.what


def test_functions_without_a_place_at_the_edge_are_let_be(inspected: Any) -> None:
    """A version that no behavior names needs no code here and breaks no rule."""
    changes = edge_lambda(Layers=["arn:l"])
    del changes["behavior"]

    assert not inspected(changes).findings


# --- what stores import -------------------------------------------------------------------------


def store(**source: Any) -> dict[str, Any]:
    """A distribution's changes for a store that imports."""
    properties = {"Name": "seeded", "ImportSource": {"SourceType": "S3", **source}}
    return {
        "resources": {
            "Seeded": {"Type": "AWS::CloudFront::KeyValueStore", "Properties": properties}
        }
    }


def test_an_import_from_s3_asks_for_one_line(inspected: Any, write: Write) -> None:
    """The file is on disk here; AWS's own file form."""
    changes = store(SourceArn="arn:aws:s3:::bucket/seed.json")
    file = write({"data": [{"key": "a", "value": "1"}]}, "seed.json")
    (error,) = inspected(changes).errors
    answered = inspected(changes, Answers(stores={"Seeded": file}))

    assert error.mend == 'Add to localpop.toml: [stores.Seeded] import = "seed.json"'
    assert not answered.findings
    assert answered.declared.stores[0].entries == {"a": "1"}
    assert file in answered.declared.files


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("nope", "no file of key-value pairs"),
        ({"data": {"a": "1"}}, "no file of key-value pairs"),
        ({"data": [{"key": "a", "value": 1}]}, "no pair of texts"),
        (
            {"data": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
            "The key 'a' stands twice",
        ),
        ({"data": [{"key": "k" * 513, "value": "1"}]}, "(?i)key"),
        ({"data": [{"key": "k", "value": "v" * 1025}]}, "(?i)value"),
    ],
)
def test_what_is_no_import(write: Write, content: Any, words: str) -> None:
    """Refused with what is wrong; keys over 512 bytes and values over 1 KB too."""
    with pytest.raises(ConfigError, match=words):
        read_import(write(content, "seed.json"))
