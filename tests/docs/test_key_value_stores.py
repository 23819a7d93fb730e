"""Every command of docs/key-value-stores.md, as a reader would type it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from emulator.cli.main import run
from tests.aws.endpoint import running_endpoint

DOC = Path(__file__).resolve().parents[2] / "docs" / "key-value-stores.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)
TEMPLATE = """
Resources:
  Answers: {Type: AWS::CloudFront::KeyValueStore, Properties: {Name: answers}}
"""


def test_every_command_works_in_the_order_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each ends with 0; at the end the store is what the page's file says."""
    blocks = BLOCK.findall(DOC.read_text(encoding="utf-8"))
    (file,) = [text for language, text in blocks if language == "json"]
    commands = [
        shlex.split(line, comments=True)
        for language, text in blocks
        if language == "console"
        for line in text.splitlines()
        if line.startswith("localpop ")
    ]
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "answers.json").write_text(file)
    monkeypatch.chdir(tmp_path)
    with running_endpoint(tmp_path / "stores.sqlite3") as endpoint:
        endpoint.new_store("answers")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        codes = [run(words[1:]) for words in commands]
        printed = capsys.readouterr().out
        assert run(["kvs", "export"]) == 0
        left = json.loads(capsys.readouterr().out)

    assert len(commands) == 10
    assert codes == [0] * len(codes)
    assert left == json.loads(file)
    assert "Good morning, Grace." in printed
    assert json.loads((tmp_path / "answers-now.json").read_text()) == left
