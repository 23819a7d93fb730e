"""No credentials in files, logs, packages or reports: marked ones are searched for everywhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.cli.main import run
from tests.app.running import ROOT, free_port, localpop

SECRET, TOKEN, KEY_ID = "marked-secret-5d1c", "marked-token-77aa", "AKIAMARKEDKEY1234567"
MARKS = (SECRET, TOKEN, KEY_ID)
TEMPLATE = """
Resources:
  Answers: {Type: AWS::CloudFront::KeyValueStore, Properties: {Name: answers}}
  Lookup:
    Type: AWS::Lambda::Function
    Metadata: {aws:asset:path: lookup, aws:asset:property: Code}
    Properties:
      FunctionName: lookup
      Runtime: python3.13
      Handler: handler.handler
      Role: arn:aws:iam::123456789012:role/lookup
      Code: {S3Bucket: artifacts, S3Key: lookup.zip}
  LookupVersion: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Lookup}}
  Distribution:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        Logging: {Bucket: logs.s3.amazonaws.com}
        Origins:
          - Id: Api
            DomainName: localhost
            CustomOriginConfig: {OriginProtocolPolicy: http-only, HTTPPort: %PORT%}
        DefaultCacheBehavior:
          TargetOriginId: Api
          ViewerProtocolPolicy: allow-all
          CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
          LambdaFunctionAssociations:
            - {EventType: viewer-request, LambdaFunctionARN: !Ref LookupVersion}
"""
HANDLER = """
import json, os

def handler(event, context):
    print(dict(os.environ))
    return {"status": "200", "body": json.dumps(dict(os.environ))}
"""


def test_marked_credentials_are_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in the state folder, packages, reports, what commands print, nor in a sandbox."""
    (tmp_path / "template.yaml").write_text(TEMPLATE.replace("%PORT%", str(free_port())))
    (tmp_path / "lookup").mkdir()
    (tmp_path / "lookup/handler.py").write_text(HANDLER)
    pairs = {"data": [{"key": "a", "value": "1"}]}
    (tmp_path / "pairs.json").write_text(json.dumps(pairs))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    said: list[str] = []

    def command(*words: str) -> None:
        assert run(words) == 0
        said.extend(capsys.readouterr())

    with localpop(tmp_path, "--latency", "off") as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.aws_url)
        answer = running.get("/")
        said += [answer.body.decode(), running.ask_dashboard("/traces.json?count=5")]
        command("kvs", "sync", "pairs.json")
        command("policy", "--resolve")
        command("package", "--all")
        command("logs", "--dashboard-port", running.dashboard_url.rpartition(":")[2])
        sessions = tmp_path / "sessions.txt"
        sessions.write_text("u1 cookie\n")
        load = [
            "--sessions",
            "sessions.txt",
            "--time",
            "1",
            "--rate",
            "8",
            "--warmup",
            "0",
            "--out",
            "report",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "loadtests", "run", "--host", running.viewer_url, *load],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said += [done.stdout, done.stderr]
    said += running.lines
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert answer.status == 200
    assert (tmp_path / "report/results.json") in files, done.stderr
    for mark in MARKS:
        assert [path for path, body in files.items() if mark.encode() in body] == []
        assert [text for text in said if mark in text] == []


def test_the_repository_holds_no_keys() -> None:
    """Nothing in version control looks like an access key, but for examples and made-up ones."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    key = re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
    found = {
        match.decode()
        for name in listed.split("\0")
        if name and (ROOT / name).is_file()
        for match in key.findall((ROOT / name).read_bytes())
    }

    assert {one for one in found if not re.search("EXAMPLE|LOCALPOP", one)} <= {KEY_ID}
