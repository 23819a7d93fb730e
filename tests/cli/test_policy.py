"""`localpop policy`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.cli.main import run
from tests.aws.endpoint import Options, running_endpoint

TEMPLATE = """
Resources:
  Answers: {Type: AWS::CloudFront::KeyValueStore, Properties: {Name: answers}}
  Later: {Type: AWS::CloudFront::KeyValueStore, Properties: {Name: later}}
"""


def test_the_account_and_stores_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--resolve; a store that is not made yet is said, and the output stays JSON."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    monkeypatch.chdir(tmp_path)
    with running_endpoint(tmp_path / "stores.sqlite3", Options(control=True)) as endpoint:
        arn = endpoint.new_store("answers")
        url = f"http://127.0.0.1:{endpoint.port}"
        assert run(["policy", "--resolve", "--endpoint-url", url]) == 0
    captured = capsys.readouterr()
    keys = json.loads(captured.out)["Statement"][-1]

    account = arn.split(":")[4]
    assert keys["Resource"] == [arn, f"arn:aws:cloudfront::{account}:key-value-store/*"]
    assert "there is no store later yet" in captured.err


def test_a_wrong_account_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read."""
    monkeypatch.chdir(tmp_path)

    assert run(["policy", "--account", "me"]) == 2
    assert "no account id" in capsys.readouterr().err
