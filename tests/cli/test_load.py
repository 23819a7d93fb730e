"""`localpop load` hands its words to the project's load tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def localpop(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    environment = {name: value for name, value in os.environ.items() if "LOADTEST" not in name}
    return subprocess.run(
        [str(Path(sys.executable).with_name("localpop")), "load", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("profiles",), "login-storm"),
        (("--help",), "usage: localpop load "),
        (("run", "--help"), "--every TIME"),
    ],
)
def test_commands_of_the_load_tests(words: tuple[str, ...], shown: str) -> None:
    """With and without `run`, and help that names this command."""
    outcome = localpop(*words)

    assert outcome.returncode == 0
    assert shown in outcome.stdout


def test_what_runs_here_is_the_default(tmp_path: Path) -> None:
    """No --host: the settings' viewer port; the options after -- or not."""
    sessions = tmp_path / "s.txt"
    sessions.write_text("user token\n")
    words = ("--sessions", str(sessions), "--time", "1", "--warmup", "2")

    for told in (("--", *words), ("run", *words)):
        outcome = localpop(*told)
        assert outcome.returncode == 2
        assert "--time: 1 s is no longer than the warm-up" in outcome.stderr


def test_a_folder_without_load_tests(tmp_path: Path) -> None:
    """Said, with the way out."""
    outcome = localpop("profiles", folder=tmp_path)

    assert outcome.returncode == 2
    assert "no loadtests/" in outcome.stderr
