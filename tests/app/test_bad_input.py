"""What goes wrong gets one clear message; what runs goes on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.app.running import LOCALPOP, ROOT, free_port, localpop, project

FUNCTION = "function handler(event) { return { statusCode: 200, body: 'one' }; }"
LAMBDA = "def handler(event, context):\n    return {'status': '200', 'body': 'one'}\n"
TEMPLATE = """
Resources:
  F:
    Type: AWS::CloudFront::Function
    Metadata: {"aws:asset:path": index.js}
    Properties: {Name: f, FunctionConfig: {Runtime: cloudfront-js-2.0}}
  L:
    Type: AWS::Lambda::Function
    Metadata: {"aws:asset:path": fn}
    Properties: {FunctionName: l, Handler: handler.handler, Runtime: python3.11, Timeout: 1}
  V:
    Type: AWS::Lambda::Version
    Properties: {FunctionName: !Ref L}
  Site:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        Origins:
          - Id: Api
            DomainName: localhost
            CustomOriginConfig: {OriginProtocolPolicy: http-only, HTTPPort: 9}
        CacheBehaviors:
          - PathPattern: /l/*
            TargetOriginId: Api
            ViewerProtocolPolicy: allow-all
            CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
            LambdaFunctionAssociations: [{EventType: viewer-request, LambdaFunctionARN: !Ref V}]
        DefaultCacheBehavior:
          TargetOriginId: Api
          ViewerProtocolPolicy: allow-all
          CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
          FunctionAssociations: [{EventType: viewer-request, FunctionARN: !GetAtt F.FunctionARN}]
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small project of its own: one function of each kind and no origin."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "index.js").write_text(FUNCTION)
    (tmp_path / "fn").mkdir()
    (tmp_path / "fn" / "handler.py").write_text(LAMBDA)
    return tmp_path


def refused(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A `localpop` that is expected to refuse."""
    return subprocess.run(
        [LOCALPOP, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Resources:", "Resources: ["), "not valid YAML"),
        (("TargetOriginId: Api", "TargetOriginId: Nope"), "No origin has the id 'Nope'"),
        (("index.js", "nope.js"), "There is no nope.js"),
        (("handler.handler", "nope.handler"), "nope"),
        (
            ("DomainName: localhost\n            CustomOriginConfig:", "DomainName: a.b\n#"),
            r"[origins.Api] url =",
        ),
    ],
)
def test_a_broken_template_is_one_clear_message(
    small: Path, change: tuple[str, str], message: str
) -> None:
    """Exit code 2, one line, no stack trace."""
    (small / "template.yaml").write_text(TEMPLATE.replace(*change))

    outcome = refused(small, "up", "--viewer-port", "0", "--aws-port", "0", "--dashboard-port", "0")

    assert outcome.returncode == 2
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


def test_an_empty_folder_says_how_to_begin(tmp_path: Path) -> None:
    """The very first mistake."""
    outcome = refused(tmp_path, "up")

    assert outcome.returncode == 2
    assert "There is no template template.yaml" in outcome.stderr


def test_a_port_in_use_says_how_to_choose_another(small: Path) -> None:
    """The second start on one machine."""
    with localpop(small) as running:
        port = running.viewer_url.rpartition(":")[2]
        words = ["--viewer-port", port, "--aws-port", "0", "--dashboard-port", "0"]
        outcome = refused(small, "up", *words)

    assert outcome.returncode == 2
    assert f"127.0.0.1:{port} is in use" in outcome.stderr
    assert "--viewer-port" in outcome.stderr


def test_two_emulators_never_share_a_store_file(small: Path) -> None:
    """The second one is told so."""
    with localpop(small):
        outcome = refused(
            small, "up", "--viewer-port", "0", "--aws-port", "0", "--dashboard-port", "0"
        )

    assert outcome.returncode == 2
    assert "in use by another process" in outcome.stderr


def test_validate_finds_what_would_fail(small: Path) -> None:
    """Line and column, before the first request; exit code 1."""
    good = refused(small, "validate")
    (small / "index.js").write_text("function handler(event) {\n  class A {}\n}")
    bad = refused(small, "validate")

    assert good.returncode == 0
    assert bad.returncode == 1
    assert "index.js:2:3" in bad.stdout


def test_functions_that_fail_end_their_own_request_only(small: Path) -> None:
    """503 with CloudFront's page; the servers stay up and the next save mends it."""
    with localpop(small, "--latency", "off") as running:
        good = running.get("/")
        (small / "index.js").write_text("function handler(event) { return nope.nope; }")
        (small / "fn" / "handler.py").write_text(
            "def handler(event, context):\n    raise KeyError\n"
        )
        running.wait_for_line("reloaded")
        broken = [running.get("/"), running.get("/l/x")]
        running.lines.clear()
        (small / "index.js").write_text(FUNCTION.replace("one", "two"))
        (small / "fn" / "handler.py").write_text(LAMBDA.replace("one", "two"))
        running.wait_for_line("reloaded")
        mended = _until(lambda: [running.get("/").body, running.get("/l/x").body], [b"two", b"two"])

    assert good.body == b"one"
    assert [one.status for one in broken] == [503, 503]
    assert [one.x_cache for one in broken] == ["FunctionExecutionError", "LambdaExecutionError"]
    assert all(b"The request could not be satisfied" in one.body for one in broken)
    assert mended == [b"two", b"two"]


def test_a_broken_template_keeps_the_last_good_one(small: Path) -> None:
    """Hot reload refuses it, says why, and goes on serving."""
    with localpop(small, "--latency", "off") as running:
        (small / "template.yaml").write_text(TEMPLATE.replace("Resources:", "Resources: ["))
        line = running.wait_for_line("not reloaded")
        answer = running.get("/")

    assert "not valid YAML" in line
    assert answer.body == b"one"


def test_an_origin_that_is_down_is_a_502(tmp_path: Path) -> None:
    """CloudFront's page, and the cause in the Trace."""
    folder = project(tmp_path, origin_port=free_port(), command=False)
    with localpop(folder, "--latency", "off") as running:
        answer = running.get("/")

    assert (answer.status, answer.x_cache) == (502, "Error")
    assert b"wasn't able to connect to the origin" in answer.body


def test_an_origin_that_does_not_start_is_told(tmp_path: Path) -> None:
    """Its command is named; nothing is left running."""
    folder = project(tmp_path, origin_port=free_port())
    text = (folder / "localpop.toml").read_text()
    (folder / "localpop.toml").write_text(text.replace('"origin",', '"origin.nothing",'))
    words = ["--viewer-port", "0", "--aws-port", "0", "--dashboard-port", "0"]

    outcome = refused(folder, "up", *words)

    assert outcome.returncode == 2
    assert "origin.nothing" in outcome.stderr


def test_an_origins_port_that_somebody_else_has_is_told(tmp_path: Path) -> None:
    """A stranger's server is not taken for the origin."""
    words = ["--viewer-port", "0", "--aws-port", "0", "--dashboard-port", "0"]
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        outcome = refused(project(tmp_path, origin_port=port), "up", *words)

    assert outcome.returncode == 2
    assert f"127.0.0.1:{port} is in use; the origin Api needs it" in outcome.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_everything_and_a_second_start_finds_the_store(
    tmp_path: Path, number: signal.Signals
) -> None:
    """No process is left behind; what was written is there."""
    folder = project(tmp_path, origin_port=free_port())
    with localpop(folder) as running:
        pid = running.process.pid
        children = _children(pid)
        assert children
        code = running.stop(number)
    alive = [child for child in children if _is_alive(child)]
    with localpop(folder) as again:
        published = [line for line in again.lines if "config/session-key" in line]

    assert code == 0
    assert alive == []
    assert published


def test_a_killed_emulator_leaves_no_sandbox_behind(small: Path) -> None:
    """Even kill -9 takes its workers and sandboxes with it."""
    with localpop(small, "--latency", "off") as running:
        running.get("/")
        running.get("/l/x")
        children = _children(running.process.pid)
        assert len(children) >= 2
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()

        assert _until(lambda: [child for child in children if _is_alive(child)], []) == []


def test_run_starts_runs_and_stops(small: Path) -> None:
    """Its exit code is the command's; the command learns where everything is."""
    shell = 'test -n "$AWS_ENDPOINT_URL" && curl -s "$LOCALPOP_URL" | grep -q one && exit 7'
    words = ["--viewer-port", "0", "--aws-port", "0", "--dashboard-port", "0", "--latency", "off"]
    if shutil.which("curl") is None:
        shell = 'test -n "$AWS_ENDPOINT_URL" && exit 7'

    outcome = refused(small, "run", *words, "--", "sh", "-c", shell)

    assert outcome.returncode == 7


def test_every_option_of_the_command_teaches() -> None:
    """`--help` names each command with a line of its own."""
    outcome = refused(ROOT, "--help")

    for command in (
        "up",
        "run",
        "validate",
        "event",
        "invoke",
        "test-function",
        "logs",
        "package",
        "trace",
        "load",
        "places",
        "fault",
    ):
        assert f"    {command}" in outcome.stdout
    assert "examples:" in outcome.stdout


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_children(int(child))]
    return found


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(look: object, wanted: object, *, timeout_s: float = 10) -> object:
    """What `look` gives, once it is what is wanted, or after a while whatever it is."""
    assert callable(look)
    end_s = time.monotonic() + timeout_s
    while (seen := look()) != wanted and time.monotonic() < end_s:
        time.sleep(0.05)
    return seen
