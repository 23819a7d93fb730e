"""`localpop test-function`, beside AWS's own command, with a server and without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from emulator.cli import main
from emulator.rules.key_value_store import store_arn
from tests.app.running import Localpop, free_port, localpop

CODE = """import cf from 'cloudfront';
async function handler(event) {
    console.log('asked for ' + event.request.uri);
    if (event.request.uri === '/broken') return new URL('x');
    const name = await cf.kvs().get('greeting');
    return { statusCode: 200, headers: { 'x-from': { value: name } }, body: 'VERSION' };
}
"""
TEMPLATE = """
Resources:
  Greetings:
    Type: AWS::CloudFront::KeyValueStore
    Properties: {Name: greetings}
  Greet:
    Type: AWS::CloudFront::Function
    Metadata: {"aws:asset:path": index.js}
    Properties:
      Name: greet
      AutoPublish: true
      FunctionConfig:
        Comment: ""
        Runtime: cloudfront-js-2.0
        KeyValueStoreAssociations: [{KeyValueStoreARN: !GetAtt Greetings.Arn}]
  Site:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        Origins:
          - Id: Api
            DomainName: localhost
            CustomOriginConfig: {OriginProtocolPolicy: http-only, HTTPPort: 9}
        DefaultCacheBehavior:
          TargetOriginId: Api
          ViewerProtocolPolicy: allow-all
          CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
          FunctionAssociations:
            - {EventType: viewer-request, FunctionARN: !GetAtt Greet.FunctionARN}
"""


@pytest.fixture
def greeting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one function and its store, and this process in its folder."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "index.js").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def result_of(capsys: pytest.CaptureFixture[str], port: str, *words: str) -> tuple[int, Any]:
    """Exit code and TestResult."""
    capsys.readouterr()
    code = main.run(["test-function", "greet", "--aws-port", port, *words])
    return code, json.loads(capsys.readouterr().out)["TestResult"]


def port_of(running: Localpop) -> str:
    """The AWS endpoint's."""
    return running.aws_url.rpartition(":")[2]


def put(running: Localpop, key: str, value: str) -> None:
    """Write one key with boto3."""
    client = boto3.client(
        "cloudfront-keyvaluestore",
        endpoint_url=running.aws_url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )
    arn = store_arn("greetings")
    etag = client.describe_key_value_store(KvsARN=arn)["ETag"]
    client.put_key(KvsARN=arn, Key=key, Value=value, IfMatch=etag)


def aws(running: Localpop, *words: str) -> Any:
    """What AWS's own command prints."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": running.aws_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [str(Path(sys.executable).parent / "aws"), "cloudfront", *words]
    said = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True)
    return json.loads(said.stdout)


def without_utilization(result: Any) -> Any:
    """It differs from run to run; dates are read: version 1 of AWS's command writes them raw."""
    assert 0 <= int(result["ComputeUtilization"]) <= 100
    metadata = result["FunctionSummary"]["FunctionMetadata"]
    for name in ("CreatedTime", "LastModifiedTime"):
        metadata[name] = datetime.fromisoformat(str(metadata[name]))
    return {name: value for name, value in result.items() if name != "ComputeUtilization"}


@pytest.mark.conformance("CFF-70", "CFF-71")
def test_it_prints_what_awss_command_prints(
    greeting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a running localpop, in everything but the utilization; without one, the same again.

    A test leaves no line in the function's log. The store is the one that was written to.
    """
    main.run(["event", "--kind", "cloudfront-function", "--uri", "/a"])
    Path("event.json").write_text(capsys.readouterr().out)
    with localpop(greeting, "--latency", "off") as running:
        put(running, "greeting", "hello")
        code, ours = result_of(capsys, port_of(running), "--event", "event.json")
        by_id = main.run(["test-function", "Greet", "--aws-port", port_of(running)])
        etag = aws(running, "describe-function", "--name", "greet")["ETag"]
        words = ["--name", "greet", "--if-match", etag, "--event-object", "fileb://event.json"]
        theirs = aws(running, "test-function", *words)["TestResult"]
        logged = json.loads(running.ask_dashboard("/logs.json?after=0&count=9"))
    _, offline = result_of(capsys, str(free_port()), "--event", "event.json", "--stage", "LIVE")

    assert (code, by_id) == (0, 0)
    assert without_utilization(ours) == without_utilization(theirs)
    assert ours["FunctionExecutionLogs"] == ["asked for /a"]
    assert ours["FunctionErrorMessage"] == ""
    assert json.loads(ours["FunctionOutput"]) == {
        "response": {
            "statusCode": 200,
            "headers": {"x-from": {"value": "hello"}},
            "cookies": {},
            "body": "VERSION",
        }
    }
    assert logged == []
    assert offline["FunctionSummary"]["FunctionMetadata"].pop("Stage") == "LIVE"
    assert ours["FunctionSummary"]["FunctionMetadata"].pop("Stage") == "DEVELOPMENT"
    assert without_utilization(offline) == without_utilization(ours)


@pytest.mark.conformance("CFF-70")
def test_a_failing_function_is_part_of_the_answer(
    greeting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudFront's sentence and the engine's message; exit code 1; nothing is left behind."""
    before = sorted(greeting.iterdir())
    code, result = result_of(capsys, str(free_port()), "--uri", "/broken")
    (greeting / "index.js").write_text("function handler() { return {statusCode: 200")
    _, unparsed = result_of(capsys, str(free_port()))
    (greeting / "index.js").write_text(
        "function handler() { return { statusCode: 200, headers: { 'X-A': { value: '' } } }; }"
    )
    _, invalid = result_of(capsys, str(free_port()))

    assert code == 1
    assert result["FunctionErrorMessage"] == (
        "The CloudFront function associated with the CloudFront distribution is invalid or could "
        'not run. Error: ReferenceError: "URL" is not defined'
    )
    assert (result["FunctionOutput"], result["FunctionExecutionLogs"]) == (
        "",
        ["asked for /broken"],
    )
    assert "Error: SyntaxError: " in unparsed["FunctionErrorMessage"]
    assert invalid["FunctionErrorMessage"] == (
        "The CloudFront function returned an invalid value: response.headers must have header "
        "names in lower case."
    )
    assert sorted(greeting.iterdir()) == before


def test_a_saved_function_is_swapped_in(greeting: Path) -> None:
    """The next requests run the new code, and no request in between fails."""
    with localpop(greeting, "--latency", "off") as running:
        put(running, "greeting", "hello")
        before = running.get("/")
        (greeting / "index.js").write_text(CODE.replace("VERSION", "2"))
        statuses, end_s = set(), time.monotonic() + 20
        while (seen := running.get("/")).body != b"2" and time.monotonic() < end_s:
            statuses.add(seen.status)

    assert (before.body, before.headers["x-from"]) == (b"VERSION", "hello")
    assert (seen.body, statuses) == (b"2", {200})
