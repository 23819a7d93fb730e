"""`localpop fault`: its words, and what they become in a running emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from emulator.cli.main import run
from tests.app.running import Localpop, free_port, localpop, project


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localpop]:
    """A whole emulator."""
    folder = tmp_path_factory.mktemp("project")
    with localpop(project(folder, origin_port=free_port()), "--latency", "off") as running:
        yield running


@pytest.fixture
def emulator(served: Localpop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Localpop]:
    """The command is pointed at it; no fault outlives its test."""
    monkeypatch.setenv("LOCALPOP_AWS_PORT", served.aws_url.rpartition(":")[2])
    yield served
    served.control("DELETE", "/_localpop/faults")


def planned(emulator: Localpop) -> list[dict[str, Any]]:
    """What the emulator will do."""
    faults: list[dict[str, Any]] = emulator.control("GET", "/_localpop/faults")["faults"]
    return faults


def test_the_words_become_a_fault(emulator: Localpop, capsys: pytest.CaptureFixture[str]) -> None:
    """Flags are the fault's fields."""
    words = "origin-slow --ms 500 --region us-east-1 --path /api/* --share 0.1 --after 5 --for 30"

    assert run(["fault", *words.split()]) == 0

    (fault,) = planned(emulator)
    expected = {
        "effect": "origin-slow",
        "path": "/api/*",
        "region": "us-east-1",
        "share": 0.1,
        "ms": 500,
        "after_s": 5,
        "for_s": 30,
    }
    assert {name: fault.get(name) for name in expected} == expected
    assert ": in 5 s, for 30 s" in capsys.readouterr().out


def test_what_is_planned_is_listed_and_cleared(
    emulator: Localpop, capsys: pytest.CaptureFixture[str]
) -> None:
    """By number, or all."""
    for words in (["pop-down", "--place", "LHR"], ["packet-loss", "--loss", "0.05"], ["list"]):
        assert run(["fault", *words]) == 0
    first, second = [fault["number"] for fault in planned(emulator)]
    assert f"   {first}  pop-down --place LHR  (active)" in capsys.readouterr().out

    assert run(["fault", "clear", str(first)]) == 0
    assert [fault["number"] for fault in planned(emulator)] == [second]
    assert run(["fault", "clear"]) == 0
    assert run(["fault", "list"]) == 0
    assert capsys.readouterr().out.endswith("no faults\n")


@pytest.mark.parametrize(
    "words",
    [
        ["origin-slow"],
        ["origin-down", "--place", "XXX"],
        ["kvs-throttled", "--path", "/x"],
        ["bedrock-runtime"],
    ],
)
def test_bad_words_never_reach_the_endpoint(
    words: list[str], emulator: Localpop, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and why."""
    assert run(["fault", *words]) == 2
    assert planned(emulator) == []
    assert capsys.readouterr().err.startswith("localpop: ")
