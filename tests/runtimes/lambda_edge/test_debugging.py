from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from emulator.clock.real import RealClock
from emulator.errors import ConfigError
from emulator.runtimes.lambda_edge import LambdaFunctions, LoadedLambda, build
from emulator.values.lambda_edge import LambdaDeclaration, LambdaRun
from emulator.values.messages import Response

HANDLER = """\
import json, os
from pathlib import Path
from helper import answer

runs = 0
at_load = os.environ["AWS_REGION"]

def handler(event, context):
    global runs
    runs += 1
    uri = event["Records"][0]["cf"]["request"]["uri"]
    if uri == "/raise":
        raise KeyError("missing")
    if uri == "/stop":
        breakpoint()
    baked = json.loads(Path(__file__).with_name("config.json").read_text())
    return {"status": "200", "body": json.dumps({
        "answer": answer(), "baked": baked, "runs": runs, "at_load": at_load,
        "name": os.environ["AWS_LAMBDA_FUNCTION_NAME"], "path": os.environ["PATH"],
        "pid": os.getpid(), "remaining": context.get_remaining_time_in_millis() > 0})}
"""


@dataclass
class Bench:
    """A function under debugging, with its source and its package."""

    runner: asyncio.Runner
    functions: LambdaFunctions
    source: Path
    package: Path
    event: Any
    loaded: list[LoadedLambda] = field(default_factory=list)

    def load(self, answer: int) -> LoadedLambda:
        """Save, package and load, as a reload does."""
        (self.source / "helper.py").write_text(f"def answer():\n    return {answer}\n")
        build(self.source, self.package, {"config.json": 42})
        if self.loaded:
            self.functions.unload(self.loaded[-1])
        declaration = LambdaDeclaration(
            "answers",
            "handler.handler",
            "python3.13",
            self.package,
            timeout_s=0.2,
            source=self.source,
        )
        self.loaded.append(self.functions.load(declaration))
        return self.loaded[-1]

    def body(self, function: LoadedLambda, uri: str = "/") -> dict[str, Any]:
        """What one run says."""
        import json

        run = self.runner.run(function.run(self.event(uri)))
        assert isinstance(run.result.body, bytes)
        said: dict[str, Any] = json.loads(run.result.body)
        return said


@pytest.fixture
def bench(lab: Any, runner: asyncio.Runner, tmp_path: Path) -> Iterator[Bench]:
    """One function in this process."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, debug="answers")
    source = tmp_path / "source"
    source.mkdir()
    (source / "handler.py").write_text(HANDLER)
    yield Bench(runner, functions, source, tmp_path / "package", lab.event)
    runner.run(functions.close())


def test_it_runs_in_this_process_with_the_functions_variables(bench: Bench) -> None:
    """While it runs, and while it is loaded; afterwards the process has its own again."""
    before = dict(os.environ)
    said = bench.body(bench.load(1))

    assert said == {
        "answer": 1,
        "baked": 42,
        "runs": 1,
        "at_load": "eu-west-2",
        "name": "us-east-1.answers",
        "path": os.environ["PATH"],
        "pid": os.getpid(),
        "remaining": True,
    }
    assert dict(os.environ) == before


def test_breakpoints_are_in_the_source_not_in_the_copy(bench: Bench) -> None:
    """A tracer, which is what a debugger is, sees the files that are open in the editor."""
    seen: set[str] = set()

    def trace(frame: FrameType, what: str, argument: object) -> None:
        seen.add(frame.f_code.co_filename)

    threading.settrace(trace)
    try:
        bench.body(bench.load(1))
    finally:
        threading.settrace(None)

    assert {str(bench.source / "handler.py"), str(bench.source / "helper.py")} <= seen
    assert not any(name.startswith(str(bench.package)) for name in seen)


def test_a_breakpoint_may_hold_it_longer_than_its_time_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.2 s declared, held for longer; the event loop goes on meanwhile."""
    stopped, go_on = threading.Event(), threading.Event()

    def hook(*_: object) -> None:
        stopped.set()
        go_on.wait(10)

    monkeypatch.setattr(sys, "breakpointhook", hook)
    function = bench.load(1)

    async def hold() -> tuple[bool, LambdaRun]:
        run = asyncio.create_task(function.run(bench.event("/stop")))
        await asyncio.to_thread(stopped.wait, 10)
        await asyncio.to_thread(go_on.wait, 0.4)
        held = not run.done()
        go_on.set()
        return held, await run

    held, run = bench.runner.run(hold())

    assert held
    assert isinstance(run.result, Response)


def test_a_save_replaces_its_modules(bench: Bench) -> None:
    """Helpers too, and the module state begins anew; nothing is left of them at the end."""
    first = bench.body(bench.load(1))
    again = bench.body(bench.loaded[-1])
    second = bench.body(bench.load(2))
    bench.runner.run(bench.functions.close())

    assert [(one["answer"], one["runs"]) for one in (first, again, second)] == [
        (1, 1),
        (1, 2),
        (2, 1),
    ]
    assert "helper" not in sys.modules
    assert "handler" not in sys.modules


def test_failures_are_what_they_are_elsewhere(bench: Bench, lab: Any) -> None:
    """503, Lambda's words, and the trace names the source; a broken file as well."""
    error = lab.fails(bench.load(1), "/raise")
    (bench.source / "handler.py").write_text("def handler(:\n")
    broken = lab.fails(bench.load(1))

    assert error.detail.startswith("KeyError: 'missing'")
    assert f'File "{bench.source / "handler.py"}", line 13' in error.detail
    assert broken.detail.startswith("Runtime.UserCodeSyntaxError")


def test_invocations_come_one_after_the_other(bench: Bench) -> None:
    """Variables are the process's: two at once would see each other's."""
    function = bench.load(1)

    async def many() -> list[LambdaRun]:
        return await asyncio.gather(*(function.run(bench.event("/")) for _ in range(8)))

    assert all(isinstance(run.result, Response) for run in bench.runner.run(many()))


def test_only_python_can_be_debugged_so(bench: Bench, tmp_path: Path) -> None:
    """Node.js has its own way, and the message says it."""
    package = tmp_path / "node"
    package.mkdir()
    (package / "handler.js").write_text("exports.handler = async () => null;")

    with pytest.raises(ConfigError, match="node"):
        bench.functions.load(LambdaDeclaration("answers", "handler.handler", "nodejs22.x", package))
