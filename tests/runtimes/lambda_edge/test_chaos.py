"""Handlers that do their worst, beside others that must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.clock.real import RealClock
from emulator.errors import FailureKind
from emulator.runtimes.lambda_edge import LambdaFunctionError, LambdaFunctions
from emulator.values.lambda_edge import LambdaDeclaration, LambdaRun

GOOD = """
def handler(event, context):
    return {"status": "200", "body": event["Records"][0]["cf"]["request"]["uri"]}
"""

# What it does, and the beginning of what becomes of it (None: an ordinary answer).
PYTHON = {
    "hangs": ("while True: pass", "Task timed out after 0.50 seconds"),
    "hangs in C": ("import time; time.sleep(60)", "Task timed out after 0.50 seconds"),
    "ignores signals": (
        "import signal\n"
        "    for number in range(1, 32):\n"
        "        try: signal.signal(number, signal.SIG_IGN)\n"
        "        except OSError: pass\n"
        "    while True: pass",
        "Task timed out after 0.50 seconds",
    ),
    "exits": ("import sys; sys.exit(3)", "Error: Runtime exited with error: exit status 3"),
    "exits at once": ("import os; os._exit(0)", "Error: Runtime exited without providing a reason"),
    "is interrupted": ("raise KeyboardInterrupt", "Error: Runtime exited with error: exit status"),
    "segfaults": (
        "import ctypes; ctypes.string_at(0)",
        "Error: Runtime exited with error: signal: segmentation fault",
    ),
    "aborts": ("import os; os.abort()", "Error: Runtime exited with error: signal: aborted"),
    "recurses": ("return handler(event, context)", "RecursionError: "),
    "takes too much memory at once": ("bytearray(1 << 30)", "MemoryError: "),
    "leaks": (
        "kept = []\n    while True: kept.append(bytearray(1 << 20))",
        "MemoryError: ",
    ),
    "uses more than it has": (
        "bytearray(b'x' * 70_000_000) + b'y'",
        "Error: Runtime exited with error: signal: killed Runtime.OutOfMemory",
    ),
    "prints megabytes": ("print('x' * 20_000_000)\n    return {'status': 200}", None),
    "prints lines": ("[print(i) for i in range(200_000)]\n    return {'status': 200}", None),
    "returns 10 MB": (
        "return {'status': 200, 'body': 'x' * 10_000_000}",
        "Function.ResponseSizeTooLarge: ",
    ),
    "returns a cycle": ("event['x'] = event\n    return event", "Runtime.MarshalError: "),
    "closes every descriptor": (
        "import os, time\n    os.closerange(0, 256)\n    time.sleep(60)",
        "Error: Runtime exited with error: signal: killed",
    ),
    "closes its output": (
        "import sys, os\n    sys.stdout.close(); os.close(1); os.close(2)\n"
        "    return {'status': 200}",
        None,
    ),
    "writes into the channel": (
        "import os\n"
        "    for fd in range(3, 64):\n"
        "        try: os.write(fd, b'garbage that is no frame at all')\n"
        "        except OSError: pass\n"
        "    return {'status': 200}",
        "Error: Runtime exited with error: signal: killed",
    ),
    "forges a reply": (
        "import os, struct\n"
        "    for fd in range(3, 64):\n"
        "        try: os.write(fd, struct.pack('!cIIdI', b'E', 2, 2, 0, 0) + b'[]')\n"
        "        except OSError: pass\n"
        "    return {'status': 200}",
        "Error: Runtime exited with error: signal: killed",
    ),
    "kills its group": ("import os; os.killpg(0, 9)", "Error: Runtime exited with error: signal: "),
    "forks and both answer": ("import os; os.fork()\n    return {'status': 200}", None),
    "leaves a child behind": (
        "import subprocess; subprocess.Popen(['sleep', '60'])\n    return {'status': 200}",
        None,
    ),
    "raises what cannot be told": (
        "class Odd(Exception):\n"
        "        def __str__(self): raise ValueError\n"
        "    raise Odd",
        "Odd: <the exception's own __str__ failed>",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def functions(runner: asyncio.Runner) -> Iterator[LambdaFunctions]:
    """Sandboxes with room for a bad handler beside three good ones."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, max_environments=4)
    yield functions
    runner.run(functions.close())


async def beside_good_traffic(
    lab: Any, functions: LambdaFunctions, bad: LambdaDeclaration, good: LambdaDeclaration
) -> tuple[LambdaRun | LambdaFunctionError, int]:
    """Run the bad one once, and good ones all the while; gives its end and their number."""
    good_one, bad_one = functions.load(good), functions.load(bad)
    ended = asyncio.Event()

    async def keep_asking(name: int) -> int:
        count = 0
        while count < 20 or not ended.is_set():
            uri = f"/{name}/{count}"
            run = await good_one.run(lab.event(uri))
            assert run.result.body == uri.encode()
            count += 1
        return count

    good_runs = [asyncio.create_task(keep_asking(name)) for name in range(3)]
    try:
        end: LambdaRun | LambdaFunctionError = await bad_one.run(lab.event("/bad"))
    except LambdaFunctionError as error:
        end = error
    ended.set()
    counts = await asyncio.gather(*good_runs)
    functions.unload(bad_one)
    functions.unload(good_one)
    return end, sum(counts)


@pytest.mark.parametrize("name", PYTHON)
def test_a_bad_handler_ends_its_own_request_only(
    lab: Any, functions: LambdaFunctions, name: str
) -> None:
    """As AWS would end it, while good traffic keeps its own answers."""
    code, said = PYTHON[name]
    bad = lab.package(f"def handler(event, context):\n    {code}\n")
    declaration = LambdaDeclaration("bad", "handler.handler", "python3.13", bad, timeout_s=0.5)
    if "memory" in name or name in ("leaks", "prints megabytes", "prints lines", "returns 10 MB"):
        declaration = LambdaDeclaration("bad", "handler.handler", "python3.13", bad, timeout_s=9)
    good = LambdaDeclaration("good", "handler.handler", "python3.13", lab.package(GOOD))
    end, good_runs = lab.await_(beside_good_traffic(lab, functions, declaration, good))

    assert good_runs >= 60
    if said is None:
        assert isinstance(end, LambdaRun)
        assert end.result.body == b""
    else:
        assert isinstance(end, LambdaFunctionError)
        assert end.kind is FailureKind.LAMBDA_EXECUTION
        assert end.detail.startswith(said)


NODE = {
    "hangs": ("for (;;);", "Task timed out after 0.50 seconds"),
    "never answers": ("return new Promise(() => setInterval(() => {}, 1000))", "Task timed out"),
    "exits": ("process.exit(3)", "Error: Runtime exited with error: exit status 3"),
    "aborts": ("process.abort()", "Error: Runtime exited with error: signal: aborted"),
    "throws later": (
        "setTimeout(() => { throw new TypeError('later') }, 5); return new Promise(() => {})",
        "TypeError: later",
    ),
    "loses a rejection": (
        "Promise.reject(new Error('lost')); return new Promise((done) => setTimeout(done, 50))",
        "Runtime.UnhandledPromiseRejection: lost",
    ),
    "leaks": (
        "const kept = []; for (;;) kept.push(new Array(100000).fill(Math.random()))",
        "Error: Runtime exited with error: signal: aborted",
    ),
    "fills buffers": (
        "global.kept = Buffer.alloc(250000000, 'x'); return Promise.resolve({status: 200})",
        "Error: Runtime exited with error: signal: killed Runtime.OutOfMemory",
    ),
    "prints megabytes": (
        "console.log('x'.repeat(20000000)); return Promise.resolve({status: 200})",
        None,
    ),
    "returns 10 MB": (
        "return Promise.resolve({status: 200, body: 'x'.repeat(10000000)})",
        "Function.ResponseSizeTooLarge: ",
    ),
    "returns a cycle": ("event.x = event; return Promise.resolve(event)", "Runtime.MarshalError: "),
}


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
@pytest.mark.parametrize("name", NODE)
def test_a_bad_node_handler_ends_its_own_request_only(
    lab: Any, functions: LambdaFunctions, name: str
) -> None:
    """The same in Node.js."""
    code, said = NODE[name]
    bad = lab.package(f"exports.handler = (event, context) => {{ {code} }};", file="handler.js")
    timeout_s = 0.5 if said is not None and said.startswith("Task") else 9
    declaration = LambdaDeclaration("bad", "handler.handler", "nodejs22.x", bad, timeout_s)
    good = LambdaDeclaration("good", "handler.handler", "python3.13", lab.package(GOOD))
    end, good_runs = lab.await_(beside_good_traffic(lab, functions, declaration, good))

    assert good_runs >= 60
    if said is None:
        assert isinstance(end, LambdaRun)
    else:
        assert isinstance(end, LambdaFunctionError)
        assert end.detail.startswith(said)


@pytest.mark.skipif(sys.platform != "linux", reason="the fork server is Linux's")
def test_a_handler_that_kills_the_fork_server_ends_what_it_held_and_it_comes_back(lab: Any) -> None:
    """Every sandbox goes with it; the next request finds another."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None)
    package = lab.package(
        """
        import os
        def handler(event, context):
            if event["Records"][0]["cf"]["request"]["uri"] == "/bad":
                os.kill(os.getppid(), 9)
            return {"status": 200}
        """
    )
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))
    # The answer may come before the signal does its work.
    with contextlib.suppress(LambdaFunctionError):
        lab.await_(function.run(lab.event("/bad")))
    while functions.occupancy.idle:
        lab.await_(functions.clock.sleep_ms(5))
    run = lab.await_(function.run(lab.event("/good")))
    lab.await_(functions.close())

    assert run.result.status == 200
    assert run.cold_start


def test_an_answer_given_twice_never_reaches_another_viewer(lab: Any) -> None:
    """A handler that forks and answers late from its child costs itself its environment."""
    function = lab.load(
        "import os, time\n"
        "def handler(event, context):\n"
        "    uri = event['Records'][0]['cf']['request']['uri']\n"
        "    if uri == '/fork' and os.fork() == 0:\n"
        "        time.sleep(0.1)\n"
        "    if uri == '/slow':\n"
        "        time.sleep(0.5)\n"
        "    return {'status': 200, 'body': uri}\n"
    )
    first = lab.run(function, "/fork")
    second = lab.fails(function, "/slow")

    assert first.result.body == b"/fork"
    assert second.detail.startswith("Error: Runtime exited with error: signal: killed")


def test_a_viewer_who_leaves_does_not_disturb_the_next(lab: Any) -> None:
    """The invocation goes on, as at AWS; its environment is used again when it has ended."""
    function = lab.load(
        "import time\n"
        "def handler(event, context):\n"
        "    uri = event['Records'][0]['cf']['request']['uri']\n"
        "    time.sleep(0.2 if uri == '/slow' else 0)\n"
        "    return {'status': 200, 'body': uri}\n"
    )
    lab.run(function)

    async def leave() -> None:
        task = asyncio.create_task(function.run(lab.event("/slow")))
        await lab.functions.clock.sleep_ms(50)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    lab.await_(leave())
    while lab.functions.occupancy.at_work:
        lab.await_(lab.functions.clock.sleep_ms(10))
    run = lab.run(function, "/next")

    assert run.result.body == b"/next"
    assert not run.cold_start


PARENT = """
import asyncio, sys
from pathlib import Path
from emulator.clock.real import RealClock
from emulator.runtimes.lambda_edge import LambdaFunctions
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.lambda_edge import LambdaDeclaration
from emulator.values.messages import Request

async def main():
    functions = LambdaFunctions(
        RealClock(), endpoint_url=None, fork=sys.argv[2] == "fork",
        log=lambda line: print(line.message, flush=True),
    )
    declaration = LambdaDeclaration("f", "handler.handler", "python3.13", Path(sys.argv[1]), 30)
    function = functions.load(declaration)
    event = FunctionEvent(
        EventType.VIEWER_REQUEST, "E", "d", "id", EdgeLocation("LHR", "", "eu-west-2"),
        Request("GET", "/"),
    )
    await function.run(event)
    await function.run(event)

asyncio.run(main())
"""

ORPHANS = """
import os, subprocess
print("pid", os.getpid())
print("pid", subprocess.Popen(["sleep", "60"]).pid)
if {detached}:
    print("pid", subprocess.Popen(["sleep", "60"], start_new_session=True).pid)
runs = []
def handler(event, context):
    runs.append(1)
    while len(runs) > 1:
        pass
    return {{"status": 200}}
"""


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("fork", marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux's")),
        "fresh",
    ],
)
def test_nothing_outlives_an_emulator_that_is_killed(lab: Any, tmp_path: Path, mode: str) -> None:
    """Not a hanging handler, and with the fork server not even what it started and detached."""
    package = lab.package(ORPHANS.format(detached=mode == "fork"))
    script = tmp_path / "parent.py"
    script.write_text(PARENT)

    async def kill_it() -> list[int]:
        parent = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            str(package),
            mode,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.getcwd(), "TMPDIR": str(tmp_path)},
        )
        assert parent.stdout is not None
        pids = []
        while not (line := (await parent.stdout.readline()).decode()).startswith("REPORT"):
            assert line
            if line.startswith("pid "):
                pids.append(int(line.split()[1]))
        parent.kill()
        await parent.wait()
        return pids

    pids = lab.await_(kill_it())
    expected = pids if mode == "fork" else pids[:1]
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in expected):
        assert time.monotonic() < deadline, f"still there: {expected}"
        time.sleep(0.02)
    for pid in pids:
        if is_running(pid):
            os.kill(pid, 9)

    assert len(pids) == (3 if mode == "fork" else 2)


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
