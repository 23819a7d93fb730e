"""Good Lambda@Edge traffic beside handlers that do their worst: `python -m benchmarks.chaos`.

A good handler is asked 100 times a second, by the clock and not after each answer, alone and
beside one kind of bad handler after the other, each invoked four times a second, in turn; 100 s in
all. What counts is how much later good answers come: the median p99 of the turns beside that of
the same traffic alone. Goal: within 2 x. Every good answer is checked; that bad ones end as at AWS
is for tests to say. A handler that computes without end takes a core for as long as AWS would let
it: on two cores that is half of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from benchmarks.sandbox import event
from emulator.clock.real import RealClock
from emulator.runtimes.lambda_edge import LambdaFunctionError, LambdaFunctions, LoadedLambda
from emulator.values.lambda_edge import LambdaDeclaration

GOAL: Final = 2.0
GOOD_EVERY_S: Final = 0.01
BAD_EVERY_S: Final = 0.25
EACH_S: Final = 1.2
TURNS: Final = 3
GOOD: Final = """
def handler(event, context):
    return {"status": "200", "body": event["Records"][0]["cf"]["request"]["uri"]}
"""
BAD: Final = {
    "hangs (one core busy for 0.5 s)": "while True: pass",
    "waits without end": "import time; time.sleep(60)",
    "exits": "import sys; sys.exit(3)",
    "segfaults": "import ctypes; ctypes.string_at(0)",
    "leaks": "kept = []\n    while True: kept.append(bytearray(1 << 20))",
    "forks": "import os; os.fork()\n    return {'status': 200}",
    "prints megabytes": "print('x' * 4_000_000)\n    return {'status': 200}",
    "closes its pipes": "import os; os.closerange(0, 256)",
    "returns 10 MB": "return {'status': 200, 'body': 'x' * 10_000_000}",
    "returns bytes": "return {'status': 200, 'body': b'x'}",
    "returns NaN": "return {'status': float('nan')}",
    "returns None": "return None",
    "returns a cycle": "event['x'] = event\n    return event",
}


async def at_a_rate(every_s: float, for_s: float, call: Callable[[int], Awaitable[None]]) -> None:
    """Start calls by the clock, whether or not earlier ones have ended; wait for all."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    tasks: list[asyncio.Future[None]] = []
    for number in range(int(for_s / every_s)):
        # Real time: the benchmark is no part of the emulator.
        await asyncio.sleep(max(0.0, started_s + number * every_s - loop.time()))
        tasks.append(asyncio.ensure_future(call(number)))
    await asyncio.gather(*tasks)


async def good_times_ms(good: LoadedLambda, for_s: float) -> list[float]:
    """How long each good answer took, sorted."""
    times_ms: list[float] = []

    async def ask(number: int) -> None:
        started, uri = time.perf_counter(), f"/{number}"
        run = await good.run(event(uri))
        times_ms.append((time.perf_counter() - started) * 1_000)
        assert run.result.body == uri.encode()

    await at_a_rate(GOOD_EVERY_S, for_s, ask)
    return sorted(times_ms)


async def beside(functions: LambdaFunctions, good: LoadedLambda, bad: Path) -> list[float]:
    """Good times while a bad handler is invoked as well."""
    declared = LambdaDeclaration("bad", "handler.handler", "python3.13", bad, timeout_s=0.5)
    loaded = functions.load(declared)

    async def fail(number: int) -> None:
        with contextlib.suppress(LambdaFunctionError):
            await loaded.run(event("/bad"))

    _, times_ms = await asyncio.gather(
        at_a_rate(BAD_EVERY_S, EACH_S, fail), good_times_ms(good, EACH_S)
    )
    functions.unload(loaded)
    return times_ms


def _package(folder: Path, code: str) -> Path:
    folder.mkdir()
    (folder / "handler.py").write_text(code)
    return folder


def _p99_ms(times_ms: list[float]) -> float:
    return times_ms[int(0.99 * len(times_ms))]


async def main() -> None:
    """Measure and print."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None)
    kept = 0
    print(
        f"{'good answers beside a handler that':36}{'answers':>8}{'p50 ms':>9}{'p99 ms':>9}", end=""
    )
    print(f"{'alone':>9}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        package = _package(folder / "good", GOOD)
        good = functions.load(LambdaDeclaration("good", "handler.handler", "python3.13", package))
        await good_times_ms(good, 1.0)
        for number, (name, code) in enumerate(BAD.items()):
            bad = _package(folder / str(number), f"def handler(event, context):\n    {code}\n")
            # In turn: a machine that others use as well has good and bad seconds.
            turns = [
                (await good_times_ms(good, EACH_S), await beside(functions, good, bad))
                for _ in range(TURNS)
            ]
            alone_ms = statistics.median(_p99_ms(alone) for alone, _ in turns)
            p99_ms = statistics.median(_p99_ms(disturbed) for _, disturbed in turns)
            p50_ms = statistics.median(statistics.median(disturbed) for _, disturbed in turns)
            answers = sum(len(disturbed) for _, disturbed in turns)
            ratio = p99_ms / alone_ms
            kept += ratio <= GOAL
            print(
                f"{name:36}{answers:8}{p50_ms:9.2f}{p99_ms:9.2f}{alone_ms:9.2f}{ratio:8.2f}",
                flush=True,
            )
        await functions.close()
    print(f"within {GOAL:g} x: {kept} of {len(BAD)}")


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
