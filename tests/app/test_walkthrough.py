"""docs/walkthrough-aws-endpoint.md, run as a new user would: every block, in a real shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.running import ROOT, free_port, localpop

BIN = Path(sys.executable).parent
PAGE = ROOT / "docs" / "walkthrough-aws-endpoint.md"
NEEDED = ("bash", "curl")


def blocks() -> list[str]:
    """The page's shell blocks, in order."""
    return re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(not (BIN / "aws").exists(), reason="the AWS CLI (package awscli) is missing")
@pytest.mark.skipif(
    any(shutil.which(name) is None for name in NEEDED), reason="bash or curl is missing"
)
def test_the_walkthrough_works_as_it_is_written(tmp_path: Path) -> None:
    """With other ports than the page's, so that a localpop that runs is left alone."""
    start, *steps = blocks()
    declared = start.replace("localpop up", "")
    subprocess.run(["bash", "-ec", declared], cwd=tmp_path, check=True)
    folder = tmp_path / "hello-edge"
    with localpop(folder, "--latency", "off") as running:
        origin_port = free_port()
        ports = {
            "http://local@127.0.0.1:4566": running.aws_url,
            "localhost:8080": running.viewer_url.removeprefix("http://"),
            "8081": str(origin_port),
            "localpop trace last": f"localpop trace last --dashboard-port {_port(running)}",
        }
        refusals = steps.pop()
        script = "trap 'kill $(jobs -p)' EXIT\n" + "".join(steps)
        script += "set +e\n" + refusals
        for said, meant in ports.items():
            script = script.replace(said, meant)
        # The origin is a process of the shell's; it needs a moment to listen.
        wait = f"until curl -s -o /dev/null localhost:{origin_port}; do :; done\n"
        script = script.replace("DOMAIN=$(", wait + "DOMAIN=$(", 1)
        outcome = subprocess.run(
            ["bash", "-ec", script],
            cwd=folder,
            env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    said = outcome.stdout

    assert "good morning" in said, outcome.stderr
    assert re.search(r"(?i)x-cache: Miss from cloudfront", said)
    assert len(re.findall(r"(?i)x-cache: FunctionGeneratedResponse from cloudfront", said)) >= 2
    assert "hello from the origin" in said
    assert "place=NRT/4g" in said
    for error in ("FunctionInUse", "PreconditionFailed"):
        assert error in outcome.stderr


@pytest.mark.conformance("KVS-8")
def test_the_page_explains_a_client_without_awscrt() -> None:
    """The exception by its name, and both ways out."""
    text = PAGE.read_text(encoding="utf-8")

    for word in ("MissingDependencyException", "pip install awscrt", 'signature_version="v4"'):
        assert word in text


def _port(running: object) -> str:
    return str(getattr(running, "dashboard_url", "")).rpartition(":")[2]
