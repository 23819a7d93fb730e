"""Lambda functions of the template that no distribution runs, through boto3 and the commands."""

from __future__ import annotations

import base64
import json
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.app.running import LOCALPOP, Localpop, localpop
from tests.aws.endpoint import client

TEMPLATE = """
Resources:
  Answers:
    Type: AWS::CloudFront::KeyValueStore
    Properties: {Name: answers}
  Role: {Type: AWS::IAM::Role}
  Asker:
    Type: AWS::Lambda::Function
    Metadata:
      aws:asset:path: functions/asker
      aws:asset:property: Code
      localpop:packaged-folders: {shared: shared}
    Properties:
      FunctionName: asker
      Runtime: python3.13
      Handler: handler.handler
      Role: !GetAtt Role.Arn
      Timeout: 120
      MemorySize: 512
      Environment:
        Variables:
          STORE_ARN: !GetAtt Answers.Arn
          COUNT: 3
      Code: {S3Bucket: b, S3Key: k}
  AskerVersion:
    Type: AWS::Lambda::Version
    Properties: {FunctionName: !Ref Asker}
  AskerAlias:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: !Ref Asker, FunctionVersion: "1", Name: live}
  Closed:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: closed
      Runtime: python3.13
      Handler: index.handler
      Role: !GetAtt Role.Arn
      ReservedConcurrentExecutions: 0
      Code: {ZipFile: "def handler(event, context): return 1"}
  Asking:
    Type: AWS::StepFunctions::StateMachine
    Metadata:
      aws:asset:path: asking.asl.json
      aws:asset:property: DefinitionString
    Properties:
      StateMachineName: asking
      RoleArn: !GetAtt Role.Arn
      DefinitionString: "{}"
      DefinitionSubstitutions: {AskerArn: !GetAtt Asker.Arn}
  Container:
    Type: AWS::Lambda::Function
    Metadata: {aws:asset:path: shared}
    Properties: {FunctionName: container, PackageType: Image, Code: {ImageUri: x}, Role: r}
"""
HANDLER = """
import os
import boto3
from shared import words

def handler(event, context):
    if event.get("what") == "fail":
        raise KeyError("no")
    listed = boto3.client("lambda").list_functions()["Functions"]
    print("asked", context.invoked_function_arn)
    return {"functions": len(listed), "store": os.environ["STORE_ARN"],
            "count": os.environ["COUNT"], "word": words.WORD,
            "endpoint": os.environ["AWS_ENDPOINT_URL"], "arn": context.invoked_function_arn,
            "name": context.function_name, "memory": context.memory_limit_in_mb}
"""


def asking(tag: str) -> str:
    """A state machine's definition; the tag is in its output."""
    ask = {
        "Type": "Task",
        "Resource": "${AskerArn}",
        "ResultSelector": {"name.$": "$.name", "tag": tag},
        "End": True,
    }
    return json.dumps({"StartAt": "Ask", "States": {"Ask": ask}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with functions of its own, and a folder that they share."""
    made = tmp_path_factory.mktemp("regional")
    (made / "template.yaml").write_text(TEMPLATE)
    (made / "localpop.toml").write_text('template = "template.yaml"\n')
    (made / "functions" / "asker").mkdir(parents=True)
    (made / "functions" / "asker" / "handler.py").write_text(HANDLER)
    (made / "asking.asl.json").write_text(asking("first"))
    (made / "shared" / "__pycache__").mkdir(parents=True)
    (made / "shared" / "__init__.py").write_text("")
    (made / "shared" / "__pycache__" / "words.pyc").write_text("")
    (made / "shared" / "words.py").write_text("WORD = 'first'\n")
    return made


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Localpop]:
    """The project, running."""
    with localpop(folder) as one:
        yield one


@pytest.fixture(scope="module")
def functions(running: Localpop) -> Any:
    """Lambda's client."""
    return client("lambda", running.aws_url)


def invoke(functions: Any, name: str, event: object = None, **more: Any) -> Any:
    """A synchronous answer's payload."""
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event or {}), **more)
    return json.loads(answer["Payload"].read())


def test_a_function_runs_in_its_region(functions: Any, running: Localpop) -> None:
    """Its variables are resolved, its boto3 finds the endpoint without a distance, by any name."""
    given = invoke(functions, "asker")
    arn = "arn:aws:lambda:us-east-1:123456789012:function:asker"
    by_alias = functions.invoke(FunctionName=arn, Qualifier="live", Payload=b"{}", LogType="Tail")
    with pytest.raises(ClientError, match="Function not found"):
        functions.invoke(FunctionName="asker", Qualifier="nobody")

    assert given.pop("store").startswith("arn:aws:cloudfront::123456789012:key-value-store/")
    assert given == {
        "functions": 2,
        "count": "3",
        "word": "first",
        "endpoint": running.aws_url,
        "arn": arn,
        "name": "asker",
        "memory": "512",
    }
    assert by_alias["ExecutedVersion"] == "1"
    assert "asked arn:" in base64.b64decode(by_alias["LogResult"]).decode()


def test_the_api_shows_what_is_declared(functions: Any) -> None:
    """Variables and versions are there; the edge's limits are not."""
    shown = functions.get_function_configuration(FunctionName="asker")
    versions = functions.list_versions_by_function(FunctionName="asker")["Versions"]

    assert (shown["Timeout"], shown["Environment"]["Variables"]["COUNT"]) == (120, "3")
    assert [one["Version"] for one in versions] == ["$LATEST", "1"]
    assert (
        functions.get_function_concurrency(FunctionName="closed")["ReservedConcurrentExecutions"]
        == 0
    )


def test_a_function_without_executions_is_throttled(functions: Any) -> None:
    """ReservedConcurrentExecutions 0 stops it, in Lambda's words."""
    with pytest.raises(functions.exceptions.TooManyRequestsException) as refused:
        functions.invoke(FunctionName="closed")

    assert refused.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_what_cannot_run_here_keeps_nobody_from_serving(functions: Any, running: Localpop) -> None:
    """A container image is said at the start, and is no function here."""
    with pytest.raises(ClientError, match="Function not found"):
        functions.invoke(FunctionName="container")

    assert running.wait_for_line("Container cannot be invoked here: .*container image")


def test_its_logs_are_kept(functions: Any, running: Localpop) -> None:
    """`localpop logs` shows what it wrote, in its own group."""
    invoke(functions, "asker", {"what": "fail"})
    lines = json.loads(running.ask_dashboard("/logs.json?function=asker"))

    assert {line["group"] for line in lines} == {"/aws/lambda/asker"}
    assert any("KeyError" in line["message"] for line in lines)


def test_a_shared_folder_is_watched(functions: Any, folder: Path, running: Localpop) -> None:
    """Saving a file of a packaged folder reloads the function."""
    file = folder / "shared" / "words.py"
    file.write_text("WORD = 'second'\n")
    end_s = time.monotonic() + 20
    while invoke(functions, "asker")["word"] != "second" and time.monotonic() < end_s:
        time.sleep(0.1)

    assert invoke(functions, "asker")["word"] == "second"


def test_a_state_machine_of_the_template_runs_it(folder: Path, running: Localpop) -> None:
    """With its substitutions; a saved definition is in use for the next execution."""
    states = client("stepfunctions", running.aws_url)
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:asking"

    def output() -> Any:
        execution = states.start_execution(stateMachineArn=arn)["executionArn"]
        while (described := states.describe_execution(executionArn=execution))["status"] == (
            "RUNNING"
        ):
            time.sleep(0.02)
        return json.loads(described["output"])

    first = output()
    (folder / "asking.asl.json").write_text(asking("second"))
    end_s = time.monotonic() + 20
    while output()["tag"] != "second" and time.monotonic() < end_s:
        time.sleep(0.1)
    lines = json.loads(running.ask_dashboard("/logs.json?function=asking"))

    assert first == {"name": "asker", "tag": "first"}
    assert output() == {"name": "asker", "tag": "second"}
    assert any("ExecutionSucceeded" in line["message"] for line in lines)


def test_the_command_runs_it_once(folder: Path) -> None:
    """`localpop invoke` takes any JSON and gives any JSON; a failure's exit code is 1."""
    words = [LOCALPOP, "invoke", "Closed", "--json"]
    good = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    failing = subprocess.run(
        [LOCALPOP, "invoke", "asker", "--event", "-"],
        cwd=folder,
        input='{"what": "fail"}',
        capture_output=True,
        text=True,
        check=False,
    )

    assert (good.returncode, json.loads(good.stdout)["result"]) == (0, 1)
    assert (failing.returncode, json.loads(failing.stdout)["errorType"]) == (1, "KeyError")


def test_the_zip_holds_the_shared_folder(folder: Path, tmp_path: Path) -> None:
    """`localpop package` makes the same zip each time; variables are no mistake in a Region."""
    words = [LOCALPOP, "package", "--all", "--out", str(tmp_path)]
    first = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    (file,) = tmp_path.glob("asker-*.zip")
    before = file.read_bytes()
    subprocess.run(words, cwd=folder, capture_output=True, check=True)
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()

    assert first.returncode == 0, first.stderr
    assert names == ["handler.py", "shared/__init__.py", "shared/words.py"]
    assert [one.read_bytes() for one in tmp_path.glob("asker-*.zip")] == [before]
    packaged = (tmp_path / "packaged.yaml").read_text()
    assert "localpop:packaged-folders" not in packaged
    assert "${AskerArn}" in packaged
