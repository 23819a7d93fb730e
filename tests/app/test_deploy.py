from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.app.deploy import said_once
from emulator.cli import main
from tests.app.running import LOCALPOP, Localpop, localpop

TEMPLATE: dict[str, Any] = {
    "Resources": {
        "F": {
            "Type": "AWS::CloudFront::Function",
            "Metadata": {"aws:asset:path": "index.js"},
            "Properties": {"Name": "loud", "FunctionConfig": {"Runtime": "cloudfront-js-2.0"}},
        },
        "L": {
            "Type": "AWS::Lambda::Function",
            "Metadata": {"aws:asset:path": "fn"},
            "Properties": {
                "FunctionName": "answers",
                "Handler": "handler.handler",
                "Runtime": "python3.13",
            },
        },
        "V": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "L"}}},
        "Site": {
            "Type": "AWS::CloudFront::Distribution",
            "Properties": {
                "DistributionConfig": {
                    "Enabled": True,
                    "Origins": [
                        {
                            "Id": "Api",
                            "DomainName": "localhost",
                            "CustomOriginConfig": {
                                "OriginProtocolPolicy": "http-only",
                                "HTTPPort": 9,
                            },
                        }
                    ],
                    "CacheBehaviors": [
                        {
                            "PathPattern": "/l/*",
                            "TargetOriginId": "Api",
                            "ViewerProtocolPolicy": "allow-all",
                            "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
                            "LambdaFunctionAssociations": [
                                {"EventType": "viewer-request", "LambdaFunctionARN": {"Ref": "V"}}
                            ],
                        }
                    ],
                    "DefaultCacheBehavior": {
                        "TargetOriginId": "Api",
                        "ViewerProtocolPolicy": "allow-all",
                        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
                        "FunctionAssociations": [
                            {
                                "EventType": "viewer-request",
                                "FunctionARN": {"Fn::GetAtt": ["F", "FunctionARN"]},
                            }
                        ],
                    },
                }
            },
        },
    }
}
LOUD = "function handler(event) { console.log('here'); return { statusCode: 200 }; }"
HANDLER = """
import helper
def handler(event, context):
    print("handled")
    return {"status": "200", "body": helper.ANSWER}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one function of each kind."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "localpop.toml").write_text('template = "template.json"\n')
    (folder / "template.json").write_text(json.dumps(TEMPLATE))
    (folder / "index.js").write_text(LOUD)
    (folder / "fn").mkdir()
    (folder / "fn/handler.py").write_text(HANDLER)
    (folder / "fn/helper.py").write_text("ANSWER = 'one'\n")
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Localpop]:
    """It, served."""
    with localpop(folder, "--latency", "off") as running:
        yield running


def test_a_save_that_does_not_compile_is_held_back(running: Localpop, folder: Path) -> None:
    """The last good one answers; the terminal and the Trace say so, until it is mended."""
    good = running.get("/l/x")
    (folder / "fn/helper.py").write_text("ANSWER = 'two\n")
    line = running.wait_for_line("not reloaded, the last good version stays in use")
    running.wait_for_line("reloaded the rest")
    held = running.get("/l/x")
    trace = json.loads(running.ask_dashboard(f"/traces/{held.trace_id}.json"))
    running.lines.clear()
    (folder / "fn/helper.py").write_text("ANSWER = 'three'\n")
    running.wait_for_line("localpop: reloaded$")
    mended = running.get("/l/x")
    after = json.loads(running.ask_dashboard(f"/traces/{mended.trace_id}.json"))

    assert "answers: helper.py:1: unterminated string literal" in line
    assert (good.body, held.body, mended.body) == (b"one", b"one", b"three")
    assert trace["logs"][0].startswith("[localpop] helper.py:1: unterminated string literal")
    assert not any("[localpop]" in line for line in after["logs"])


def test_what_functions_write_can_be_read(
    running: Localpop, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """`localpop logs`, of one function or all; with request ids, START and END."""
    request_id = running.get("/").headers["x-amz-cf-id"]
    running.get("/l/x")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCALPOP_DASHBOARD_PORT", running.dashboard_url.rpartition(":")[2])
    assert main.run(["logs", "loud"]) == 0
    loud = capsys.readouterr().out.splitlines()
    assert main.run(["logs"]) == 0
    everything = capsys.readouterr().out
    assert main.run(["logs", "nobody"]) == 0
    nothing = capsys.readouterr()

    said = [line.partition("  ")[2] for line in loud[-3:]]
    assert said[0].startswith(f"{request_id} START DistributionID: E")
    assert said[1:] == [f"{request_id} here", f"{request_id} END"]
    assert all(" us-east-1 loud  " in line for line in loud)
    assert "answers  handled" in everything
    assert "REPORT RequestId" in everything
    assert nothing.out == ""
    assert "nobody has written nothing yet" in nothing.err


def test_follow_goes_on(running: Localpop, folder: Path) -> None:
    """New lines appear as they are written."""
    port = running.dashboard_url.rpartition(":")[2]
    process = subprocess.Popen(
        [LOCALPOP, "logs", "answers", "--follow", "--dashboard-port", port, "--count", "1"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        running.get("/l/x")
        more = [process.stdout.readline() for _ in range(3)]
    finally:
        process.kill()
        process.communicate()

    assert "REPORT" in first
    assert ["START" in more[0], "handled" in more[1], "END" in more[2]] == [True] * 3


def test_the_dashboard_refuses_numbers_that_are_none(running: Localpop) -> None:
    """400 with a sentence."""
    assert b"whole numbers" in running.ask_dashboard("/logs.json?after=x").encode()


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """The same project in a folder of its own."""
    for name in ("template.json", "localpop.toml", "index.js"):
        (tmp_path / name).write_text((folder / name).read_text())
    (tmp_path / "fn").mkdir()
    (tmp_path / "fn/handler.py").write_text(
        "import os\ndef handler(event, context):\n    print('printed here')\n"
        "    return {'status': '200', 'body': str(os.getpid())}\n"
    )
    return tmp_path


def test_a_function_to_debug_must_be_there(copied: Path) -> None:
    """Else no breakpoint would ever be reached."""
    ports = ["--viewer-port", "0", "--aws-port", "0", "--dashboard-port", "0"]
    outcome = subprocess.run(
        [LOCALPOP, "up", *ports, "--debug", "nope"],
        cwd=copied,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert outcome.returncode == 2
    assert "no Lambda function 'nope' to debug. Known: answers" in outcome.stderr


def test_a_debugged_function_serves_viewers(copied: Path) -> None:
    """In localpop's own process; what it prints is in the terminal."""
    with localpop(copied, "--latency", "off", "--debug", "answers") as running:
        body = running.get("/l/x").body.decode()
        line = running.wait_for_line("printed here")
        pid = running.process.pid

    assert body == str(pid)
    assert line == "printed here"


def test_a_warning_of_many_functions_is_one_line() -> None:
    """It names them all; other warnings stay as they are, in order."""
    said = said_once(
        ["Lambda function a: old", "x: y", "Lambda function b: old", "Lambda function c: odd"]
    )

    assert said == ("Lambda functions a, b: old", "x: y", "Lambda function c: odd")
