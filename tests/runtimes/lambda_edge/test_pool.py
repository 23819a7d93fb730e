from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.clock.real import RealClock
from emulator.runtimes.lambda_edge import LambdaFunctionError, LambdaFunctions
from emulator.values.lambda_edge import LambdaDeclaration, LambdaRun

SLOW = """
import os, time
def handler(event, context):
    time.sleep(0.15)
    return {"status": 200, "body": str(os.getpid())}
"""


async def run_many(lab: Any, functions: LambdaFunctions, regions: list[str]) -> list[LambdaRun]:
    """Start one run for each Region at the same moment."""
    package = lab.package(SLOW)
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))
    return await asyncio.gather(*(function.run(lab.event(region=region)) for region in regions))


def test_environments_are_started_as_needed_and_kept(lab: Any) -> None:
    """Two at once need two; one after the other needs one."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None)
    package = lab.package(SLOW)
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))

    async def both() -> list[LambdaRun]:
        return await asyncio.gather(*(function.run(lab.event()) for _ in range(2)))

    pids = [{run.result.body for run in lab.await_(both())} for _ in range(3)]
    occupancy = functions.occupancy
    lab.await_(functions.close())

    assert pids[0] == pids[1] == pids[2]
    assert len(pids[0]) == 2
    assert (occupancy.started, occupancy.idle, occupancy.at_work) == (2, 2, 0)


def test_beyond_the_machines_limit_a_run_waits_and_the_wait_is_counted(lab: Any) -> None:
    """In order; the wait is no part of the run's own duration."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, max_environments=2)
    runs = lab.await_(run_many(lab, functions, ["eu-west-2"] * 6))
    occupancy = functions.occupancy
    lab.await_(functions.close())

    assert [run.queued_ms > 0 for run in runs] == [False, False, True, True, True, True]
    assert runs[4].queued_ms > runs[2].queued_ms
    assert all(run.duration_ms < run.queued_ms + 150 + 5_000 for run in runs)
    assert sum(run.cold_start for run in runs) == 2
    assert (occupancy.started, occupancy.queued, occupancy.waiting) == (2, 4, 0)
    assert occupancy.queued_ms == pytest.approx(sum(run.queued_ms for run in runs), rel=0.01)


def test_a_function_asked_for_often_does_not_keep_another_waiting(lab: Any) -> None:
    """The next free place is for the function that has none at work."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, max_environments=2)
    package = lab.package(SLOW)
    often, once = (
        functions.load(LambdaDeclaration(name, "handler.handler", "python3.13", package))
        for name in ("often", "once")
    )
    ended: list[str] = []

    async def run(name: str, function: Any) -> None:
        await function.run(lab.event())
        ended.append(name)

    async def all_of_them() -> None:
        # Started in order: "once" is the last to ask.
        await asyncio.gather(*(run("often", often) for _ in range(8)), run("once", once))

    lab.await_(all_of_them())
    lab.await_(functions.close())

    assert ended.index("once") <= 4


def test_only_so_many_are_started_at_once_and_an_idle_one_is_taken_instead(lab: Any) -> None:
    """Who waits for the permission to start gets what becomes idle before it."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, max_starting=1)
    package = lab.package("import time\ntime.sleep(0.3)\n" + SLOW.replace("0.15", "0.01"))
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))

    async def four() -> list[LambdaRun]:
        return await asyncio.gather(*(function.run(lab.event()) for _ in range(4)))

    runs = lab.await_(four())
    started = functions.occupancy.started
    lab.await_(functions.close())

    assert started < 4
    assert len({run.result.body for run in runs}) == started
    assert sum(run.cold_start for run in runs) == started


def test_the_longest_idle_environment_makes_room(lab: Any) -> None:
    """No more are kept than allowed, whatever number of Regions asks."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, max_environments=1, max_kept=2)
    package = lab.package(SLOW.replace("0.15", "0"))
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))
    colds: dict[str, list[bool]] = {}
    for region in ("a", "b", "a", "c", "a", "b"):
        colds.setdefault(region, []).append(
            lab.await_(function.run(lab.event(region=region))).cold_start
        )
    occupancy = functions.occupancy
    lab.await_(functions.close())

    assert colds == {"a": [True, False, False], "b": [True, True], "c": [True]}
    assert occupancy.idle == 2


def test_a_waiting_run_can_be_cancelled(lab: Any) -> None:
    """Its place goes to the next."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, max_environments=1)
    package = lab.package(SLOW)
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))

    async def three() -> list[Any]:
        tasks = [asyncio.create_task(function.run(lab.event())) for _ in range(3)]
        await functions.clock.sleep_ms(20)
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = lab.await_(three())
    occupancy = functions.occupancy
    lab.await_(functions.close())

    assert isinstance(second, asyncio.CancelledError)
    assert first.result.body == third.result.body
    assert (occupancy.at_work, occupancy.waiting, occupancy.started) == (0, 0, 1)


def test_a_cold_start_can_be_cancelled(lab: Any) -> None:
    """The environment is ended and its place is free again."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, max_environments=1)
    # A start that is far longer than the patience below, even if the machine stalls meanwhile.
    package = lab.package("import time\ntime.sleep(2)\n" + SLOW)
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))

    async def leave() -> LambdaRun:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(function.run(lab.event()), 0.1)
        return await function.run(lab.event())

    run = lab.await_(leave())
    occupancy = functions.occupancy
    lab.await_(functions.close())

    assert run.cold_start
    assert (occupancy.at_work, occupancy.idle, occupancy.started) == (0, 1, 2)


@pytest.mark.parametrize("fork", [sys.platform == "linux", False])
def test_closing_ends_runs_that_are_under_way_and_those_that_wait(lab: Any, fork: bool) -> None:
    """Each gets its error at once; nothing is left and nothing starts any more."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, max_environments=2, fork=fork)
    package = lab.package("import time\ndef handler(e, c):\n    time.sleep(60)\n")
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package, 30))

    async def close() -> tuple[Path, list[Any]]:
        runs = [asyncio.create_task(function.run(lab.event())) for _ in range(5)]
        while functions.occupancy.started < 2 or functions.occupancy.waiting < 3:
            await functions.clock.sleep_ms(5)
        temp = functions.temp
        await functions.close()
        results = await asyncio.gather(*runs, function.run(lab.event()), return_exceptions=True)
        return temp, results

    temp, results = lab.await_(close())

    assert all(isinstance(result, LambdaFunctionError) for result in results)
    assert not temp.exists()
    assert functions.occupancy.at_work == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells a process's own memory")
def test_the_memory_of_who_starts_a_sandbox_is_not_the_functions(lab: Any) -> None:
    """Linux counts it in a child's resource usage; a function of 128 MB would seem to be over."""
    ballast = bytearray(b"x") * (256 * 1_048_576)
    functions = LambdaFunctions(RealClock(), endpoint_url=None, fork=False)
    package = lab.package("def handler(event, context): return {'status': 200, 'body': 'fine'}")
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))

    run = lab.await_(function.run(lab.event()))
    lab.await_(functions.close())

    assert len(ballast) > 128 * 1_048_576
    assert run.result.body == b"fine"
    assert run.max_memory_mb < 128


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is the only way")
def test_fresh_interpreters_do_the_same_without_a_fork_server(lab: Any) -> None:
    """The way of other platforms: answers, time-outs and exits alike."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, fork=False)
    package = lab.package(
        """
        import os
        def handler(event, context):
            uri = event["Records"][0]["cf"]["request"]["uri"]
            if uri == "/hang":
                while True:
                    pass
            if uri == "/exit":
                os._exit(3)
            print("here")
            return {"status": 200, "body": os.environ["AWS_REGION"]}
        """
    )
    function = functions.load(
        LambdaDeclaration("f", "handler.handler", "python3.13", package, timeout_s=0.5)
    )
    run = lab.await_(function.run(lab.event()))
    errors = []
    for uri in ("/hang", "/exit"):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - looked at below
            lab.await_(function.run(lab.event(uri)))
        errors.append(str(caught.value))
    lab.await_(functions.close())

    assert (run.result.body, "here" in run.logs) == (b"eu-west-2", True)
    assert errors[0] == "Task timed out after 0.50 seconds"
    assert errors[1].startswith("Error: Runtime exited with error: exit status 3")


def test_functions_that_wait_for_one_another_come_to_an_end(tmp_path: Path) -> None:
    """In a Region: with every place taken by one that waits, another begins after a while."""
    (tmp_path / "handler.py").write_text(
        "import pathlib, time\n"
        "def handler(event, context):\n"
        "    file = pathlib.Path(event['file'])\n"
        "    if event['writes']:\n"
        "        file.write_text('there')\n"
        "    while not file.exists():\n"
        "        time.sleep(0.01)\n"
        "    return event['writes']\n"
    )

    async def both() -> list[Any]:
        functions = LambdaFunctions(RealClock(), endpoint_url=None, max_regional=1)
        loaded = functions.load(
            LambdaDeclaration(
                "f", "handler.handler", "python3.13", tmp_path, timeout_s=60, regional=True
            )
        )
        file = str(tmp_path / "file")
        runs = [
            asyncio.ensure_future(loaded.invoke({"file": file, "writes": writes}))
            for writes in (False, True)
        ]
        try:
            return [run.payload for run in await asyncio.gather(*runs)]
        finally:
            await functions.close()

    assert asyncio.run(both()) == [b"false", b"true"]
