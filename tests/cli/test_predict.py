"""`localpop predict`: figures for people, and a file for a load test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.cli.main import run

TOML = """
[origins.Api]
url = "http://127.0.0.1:8081"
region = "eu-west-1"
front = "rest-api"
"""


@pytest.fixture(autouse=True)
def in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where a localpop.toml is."""
    (tmp_path / "localpop.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)


def test_every_path_from_every_place(capsys: pytest.CaptureFixture[str]) -> None:
    """The origin's Region and front come from localpop.toml."""
    assert run(["predict", "--places", "LHR/fibre,SYD/4g"]) == 0

    out = capsys.readouterr().out
    assert out.count("LHR/fibre") == out.count("SYD/4g") == 5
    assert "origin in eu-west-1 (rest-api)" in out


def test_the_file_is_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--out`, for the load test's table."""
    assert run(["predict", "--out", "predicted.json", "--lambda-share", "0.4"]) == 0
    assert capsys.readouterr().out == ""
    written = json.loads((tmp_path / "predicted.json").read_text())

    assert next(row["path"] for row in written["predictions"]) == "edge-function"


@pytest.mark.parametrize(
    "words",
    [
        ["--places", "XXX/fibre"],
        ["--origin", "Nope"],
        ["--lambda-share", "2"],
        ["--api-calls", "-1"],
    ],
)
def test_bad_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and why."""
    assert run(["predict", *words]) == 2
    assert capsys.readouterr().err.startswith("localpop: ")
