"""docs/permissions.md shows what `localpop policy` prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from emulator.cli.main import run

DOC = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)
WHICH = ["--functions", "--deployer"]


@pytest.mark.parametrize("which", WHICH)
def test_the_page_shows_what_is_printed(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the template on the page; standard output is JSON and nothing else."""
    blocks = BLOCK.findall(DOC.read_text(encoding="utf-8"))
    (template,) = [text for language, text in blocks if language == "yaml"]
    shown = dict(zip(WHICH, [text for language, text in blocks if language == "json"], strict=True))
    (tmp_path / "template.yaml").write_text(template)
    (tmp_path / "lookup").mkdir()
    (tmp_path / "lookup/handler.py").write_text("def handler(event, context): ...\n")
    monkeypatch.chdir(tmp_path)

    assert run(["policy", which, "--account", "111122223333"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(shown[which])
