"""`localpop fault`: its words, and what they become at the AWS endpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from emulator.cli.main import run
from emulator.network.faults import FaultPlan, dump_fault, parse_fault

NOW_MS = 1_000.0


class Controls(BaseHTTPRequestHandler):
    """`/_localpop/faults`, with a plan behind it."""

    plan: FaultPlan

    def do_GET(self) -> None:
        """The faults that are planned."""
        self._answer([dump_fault(one, NOW_MS) for one in self.plan.planned])

    def do_POST(self) -> None:
        """Plan one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.plan.add(parse_fault(json.loads(body)), NOW_MS)
        self.do_GET()

    def do_DELETE(self) -> None:
        """Take one back, or all."""
        number = self.path.removeprefix("/_localpop/faults").strip("/")
        self.plan.clear(int(number) if number else None)
        self._answer([])

    def _answer(self, faults: list[object]) -> None:
        text = json.dumps({"faults": faults}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def controls(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultPlan]:
    """A plan behind a real port, and the command pointed at it."""
    Controls.plan = FaultPlan()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Controls)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("LOCALPOP_AWS_PORT", str(server.server_port))
    yield Controls.plan
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_words_become_a_fault(controls: FaultPlan, capsys: pytest.CaptureFixture[str]) -> None:
    """Flags are the fault's fields."""
    words = "origin-slow --ms 500 --region us-east-1 --path /api/* --share 0.1 --after 5 --for 30"

    assert run(["fault", *words.split()]) == 0

    (planned,) = controls.planned
    assert str(planned.fault) == (
        "origin-slow --path /api/* --region us-east-1 --share 0.1 --ms 500 --after 5 --for 30"
    )
    assert ": in 5 s, for 30 s" in capsys.readouterr().out


def test_what_is_planned_is_listed_and_cleared(
    controls: FaultPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    """By number, or all."""
    for words in (["pop-down", "--place", "LHR"], ["packet-loss", "--loss", "0.05"], ["list"]):
        assert run(["fault", *words]) == 0
    assert "   1  pop-down --place LHR  (active)" in capsys.readouterr().out

    assert run(["fault", "clear", "1"]) == 0
    assert [one.number for one in controls.planned] == [2]
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
    words: list[str], controls: FaultPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and why."""
    assert run(["fault", *words]) == 2
    assert controls.planned == ()
    assert capsys.readouterr().err.startswith("localpop: ")
