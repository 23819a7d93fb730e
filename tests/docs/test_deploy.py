"""docs/deploy.md, run as a new user would: every shell block, in a real shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.cli.main import run
from tests.app.running import ROOT, free_port, localpop

BIN = Path(sys.executable).parent
PAGE = ROOT / "docs" / "deploy.md"
NEEDED = ("bash", "curl", "sed")


def blocks(language: str) -> list[str]:
    """The page's blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(not (BIN / "aws").exists(), reason="the AWS CLI (package awscli) is missing")
@pytest.mark.skipif(
    any(shutil.which(name) is None for name in NEEDED), reason="bash, curl or sed is missing"
)
def test_the_page_works_as_it_is_written(tmp_path: Path) -> None:
    """With other ports than the page's, so that a localpop that runs is left alone."""
    stand_in, *steps = blocks("sh")
    origin_port = free_port()
    declared = stand_in.replace("localpop up\n", "").replace("8081", str(origin_port))
    subprocess.run(["bash", "-ec", declared], cwd=tmp_path, check=True)
    with localpop(tmp_path / "pretend-aws", "--latency", "off") as running:
        ports = {
            "http://local@127.0.0.1:4566": running.aws_url,
            "localhost:8080": running.viewer_url.removeprefix("http://"),
            "8081": str(origin_port),
        }
        script = "trap 'kill $(jobs -p)' EXIT\n" + "".join(steps)
        for said, meant in ports.items():
            script = script.replace(said, meant)
        # The origin is a process of the shell's; it needs a moment to listen.
        wait = f"until curl -s -o /dev/null localhost:{origin_port}; do :; done\n"
        script = script.replace("DOMAIN=$(", wait + "DOMAIN=$(", 1)
        outcome = subprocess.run(
            ["bash", "-ec", script],
            cwd=tmp_path,
            env={
                # Nobody's credentials: a new user has none.
                **{key: one for key, one in os.environ.items() if not key.startswith("AWS_")},
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    said = outcome.stdout

    assert outcome.returncode == 0, said + outcome.stderr
    answers = [line for line in said.splitlines() if "good morning" in line and "{" not in line]
    assert answers == [
        "good morning, Ada",
        "dear me, good morning, Ada",
        "good morning, Ada",
        "good morning, Ada",
    ]
    assert "hello from the origin" in said
    assert "3 to create" in said
    assert "1 to change, 2 left alone" in said
    assert "viewers get revision 1 of hello again" in said
    assert "refused, as it should be" in said
    assert "fails TestFunction" in outcome.stderr
    assert "nothing is left of it" in said
    assert said.rstrip().endswith("0")
    assert not list((tmp_path / "hello/.localpop/deployments").glob("*.json"))


def test_the_commands_for_real_aws_are_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Every localpop command of the page has the words that it is given there."""
    lines = [
        line.removeprefix("$ ").partition("#")[0]
        for block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ localpop")
    ]

    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line)[1:]
        with pytest.raises(SystemExit) as ended:
            run([words[0], "--help"])
        assert ended.value.code == 0
        known = capsys.readouterr().out
        for flag in (word for word in words if word.startswith("--")):
            assert flag in known, line
