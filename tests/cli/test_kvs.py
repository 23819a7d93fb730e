"""`localpop kvs`, against a running endpoint."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.cli.main import run
from tests.aws.endpoint import Endpoint, running_endpoint

STORE = "answers"
TEMPLATE = f"""
Resources:
  Answers:
    Type: AWS::CloudFront::KeyValueStore
    Properties: {{Name: {STORE}}}
"""


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """An endpoint with one store, in a project whose template declares it."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "localpop.toml").write_text('template = "template.yaml"\n')
    monkeypatch.chdir(tmp_path)
    with running_endpoint(tmp_path / "stores.sqlite3") as running:
        running.new_store(STORE)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-in-any-output")
        yield running


def file(path: Path, pairs: dict[str, str]) -> str:
    """A file in AWS's form."""
    data = [{"key": key, "value": value} for key, value in pairs.items()]
    path.write_text(json.dumps({"data": data}))
    return str(path)


def test_a_file_goes_in_and_comes_out(
    endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dry run, sync, and the export is a file that sync has nothing to do with."""
    name = file(tmp_path / "pairs.json", {"a": "1", "b": "secret-value"})
    assert run(["kvs", "put", "c", "3"]) == 0
    capsys.readouterr()

    assert run(["kvs", "sync", name, "--dry-run"]) == 0
    planned = capsys.readouterr().out
    assert run(["kvs", "sync", name]) == 0
    done = capsys.readouterr().out
    assert run(["kvs", "export", "out.json"]) == 0
    exported = capsys.readouterr()
    assert run(["kvs", "sync", "out.json", "--delete"]) == 0
    nothing = capsys.readouterr().out

    assert (
        planned.splitlines()[0] == f"store {STORE} at http://local@127.0.0.1:{endpoint.port} "
        "(on this machine)"
    )
    assert "+ a  2 B" in planned
    assert "c  not in the file, stays" in planned
    assert "would add 2, change 0, delete 0; 0 already" in planned
    assert "added 2, changed 0, deleted 0" in done
    assert "1 key(s) are not in the file and stay: c" in done
    assert "3 key(s) in out.json" in exported.out
    assert "added 0, changed 0, deleted 0; 3 already" in nothing
    assert "secret-value" not in planned + done
    assert "never-in-any-output" not in planned + done + exported.out + exported.err


def test_one_key_at_a_time(
    endpoint: Endpoint,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """put, get, list and delete; only the value is on standard output."""
    monkeypatch.setattr("sys.stdin", io.StringIO("from standard input"))
    assert run(["kvs", "put", "users/1", "-"]) == 0
    assert run(["kvs", "put", "other", "x"]) == 0
    capsys.readouterr()

    assert run(["kvs", "get", "users/1"]) == 0
    assert capsys.readouterr().out == "from standard input\n"
    assert run(["kvs", "list", "users/"]) == 0
    assert capsys.readouterr().out == "users/1  19 B\n"
    assert run(["kvs", "delete", "users/1"]) == 0
    assert run(["kvs", "get", "users/1"]) == 1
    assert "there is no key 'users/1'" in capsys.readouterr().err


def test_a_new_store_from_a_file(
    endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named with --store; the export to the terminal is the file."""
    name = file(tmp_path / "pairs.json", {"a": "1"})

    assert run(["kvs", "import", name, "--store", "fresh"]) == 0
    assert "1 key(s), 2 bytes: arn:aws:cloudfront::" in capsys.readouterr().out
    assert run(["kvs", "export", "--store", "fresh"]) == 0
    assert json.loads(capsys.readouterr().out) == {"data": [{"key": "a", "value": "1"}]}
    assert run(["kvs", "import", name, "--store", "fresh"]) == 2


def test_nothing_there_is_said(
    endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No such store; no endpoint; no store named."""
    assert run(["kvs", "list", "--store", "nope"]) == 2
    assert "There is no key value store 'nope'" in capsys.readouterr().err
    assert run(["kvs", "list", "--endpoint-url", "http://127.0.0.1:9"]) == 2
    assert "localpop up" in capsys.readouterr().err
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    assert run(["kvs", "list"]) == 2
    assert "Say --store NAME" in capsys.readouterr().err
