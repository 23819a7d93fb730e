"""What a Lambda@Edge sandbox costs: `python -m benchmarks.sandbox`, a few seconds.

A small viewer-request handler is run in real sandboxes (Python; Node.js where it is installed), one
and sixteen in flight, under AWS's own runtime interface client behind our Runtime API (where
`awslambdaric` is installed), and called directly in this process, all in the same run. Only the
ratios mean something on another machine; the direct call's figures are printed so that they can be
formed. Ways take turns, and each shows its fastest: the one disturbed least by what else the
machine does. CPU is that of this process plus that of the sandboxes, for each invocation.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from emulator.clock.real import RealClock
from emulator.runtimes.lambda_edge import LambdaFunctions, LoadedLambda
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaDeclaration
from emulator.values.messages import Request
from emulator.wire.lambda_edge import dump_event
from emulator.wire.lambda_edge_result import parse_result

SECONDS = 0.4
TURNS = 5
IN_FLIGHT = (1, 16)
PYTHON = """
import os, time

def handler(event, context):
    request = event["Records"][0]["cf"]["request"]
    if request["uri"] == "/cpu":
        time.sleep(0.1)
        return {"status": "200", "body": f"{os.getpid()} {time.process_time()}"}
    cookies = [line["value"] for line in request["headers"].get("cookie", [])]
    request["headers"]["x-group"] = [{"key": "X-Group", "value": "b" if cookies else "a"}]
    return request
"""
NODE = """
exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  if (request.uri === '/cpu') {
    await new Promise((done) => setTimeout(done, 100));
    const { user, system } = process.cpuUsage();
    return { status: '200', body: `${process.pid} ${(user + system) / 1e6}` };
  }
  const cookies = (request.headers.cookie || []).map((line) => line.value);
  request.headers['x-group'] = [{ key: 'X-Group', value: cookies.length ? 'b' : 'a' }];
  return request;
};
"""
HEADERS = Headers(
    [
        ("Host", "d111111abcdef8.cloudfront.net"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Accept-Language", "en-GB,en;q=0.5"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Cookie", "session=" + "x" * 180),
        ("Cookie", "theme=dark"),
        ("Referer", "https://www.example.com/"),
    ]
)


@dataclass(frozen=True)
class Figures:
    """One row: invocations a second, milliseconds, and CPU microseconds for each."""

    name: str
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def event(uri: str = "/index.html") -> FunctionEvent:
    """A viewer's request."""
    return FunctionEvent(
        EventType.VIEWER_REQUEST,
        "EDFDVBD6EXAMPLE",
        "d111111abcdef8.cloudfront.net",
        "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
        EdgeLocation("LHR", "192.0.2.1", "eu-west-2"),
        Request("GET", uri, headers=HEADERS),
    )


async def measure(
    name: str,
    call: Callable[[], Awaitable[object]],
    in_flight: int,
    sandbox_cpu_s: Callable[[], Awaitable[float]],
) -> Figures:
    """Call for a second, so many at once."""
    times_ms: list[float] = []
    end = 0.0

    async def keep_calling() -> None:
        while (started := time.perf_counter()) < end:
            await call()
            times_ms.append((time.perf_counter() - started) * 1000)

    cpu_before = await sandbox_cpu_s()
    own_before, started = time.process_time(), time.perf_counter()
    end = started + SECONDS
    await asyncio.gather(*(keep_calling() for _ in range(in_flight)))
    elapsed, own = time.perf_counter() - started, time.process_time() - own_before
    cpu_s = own + await sandbox_cpu_s() - cpu_before
    quantiles = statistics.quantiles(times_ms, n=100)
    count = len(times_ms)
    return Figures(name, count / elapsed, quantiles[49], quantiles[98], cpu_s / count * 1e6)


async def measure_direct() -> Figures:
    """The same handler, event and result rules without a process between."""
    module: dict[str, Any] = {}
    exec(compile(PYTHON, "handler.py", "exec"), module)

    async def call() -> None:
        about = event()
        shown = dump_event(about)
        result = module["handler"](orjson.loads(orjson.dumps(shown)), None)
        parse_result(orjson.dumps(result), about, shown)

    async def none() -> float:
        return 0.0

    return await measure("direct call", call, 1, none)


class Way:
    """One way to run one handler: real sandboxes, warmed up first."""

    def __init__(self, name: str, runtime: str, package: Path, *, awslambdaric: bool) -> None:
        self.name, self.runtime, self.package = name, runtime, package
        self.functions = LambdaFunctions(RealClock(), endpoint_url=None, awslambdaric=awslambdaric)
        self.turns: dict[int, list[Figures]] = {in_flight: [] for in_flight in IN_FLIGHT}
        self._function = self._load()

    def _load(self) -> LoadedLambda:
        return self.functions.load(
            LambdaDeclaration("bench", "handler.handler", self.runtime, self.package)
        )

    async def warm_up(self, in_flight: int) -> None:
        """Start as many environments as will be at work."""
        await self._cpu_s(in_flight)
        for _ in range(200):
            await self._call()

    async def take_turn(self, in_flight: int) -> None:
        """Measure once."""
        name = f"{self.name}, {in_flight} in flight"
        figures = await measure(name, self._call, in_flight, lambda: self._cpu_s(in_flight))
        self.turns[in_flight].append(figures)

    def rows(self) -> list[Figures]:
        """For each number in flight, the fastest turn."""
        return [max(turns, key=lambda one: one.rate) for turns in self.turns.values()]

    async def _call(self) -> None:
        await self._function.run(event())

    async def _cpu_s(self, in_flight: int) -> float:
        # They sleep in it, so each answers once.
        runs = await asyncio.gather(*(self._function.run(event("/cpu")) for _ in range(in_flight)))
        bodies = [run.result.body for run in runs]
        of_each = dict(body.split() for body in bodies if isinstance(body, bytes))
        return sum(float(seconds) for seconds in of_each.values())


def _write(file: Path, code: str) -> None:
    file.parent.mkdir()
    file.write_text(code)


def _faster(rows: list[Figures], aws: list[Figures]) -> str:
    ratios = [ours.rate / theirs.rate for ours, theirs in zip(rows, aws, strict=True)]
    said = ", ".join(
        f"{ratio:.1f} x with {count} in flight"
        for ratio, count in zip(ratios, IN_FLIGHT, strict=True)
    )
    return f"our Python sandboxes to awslambdaric: {said} (goal: 3)"


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        python, node = Path(folder, "python"), Path(folder, "node")
        _write(python / "handler.py", PYTHON)
        _write(node / "handler.js", NODE)
        ways = [Way("Python", "python3.13", python, awslambdaric=False)]
        if importlib.util.find_spec("awslambdaric"):
            ways.append(Way("awslambdaric", "python3.13", python, awslambdaric=True))
        if shutil.which("node"):
            ways.append(Way("Node.js", "nodejs22.x", node, awslambdaric=False))
        rows = [await measure_direct()]
        for in_flight in IN_FLIGHT:
            for way in ways:
                await way.warm_up(in_flight)
            for _ in range(TURNS):
                for way in ways:
                    await way.take_turn(in_flight)
        for way in ways:
            rows += way.rows()
            await way.functions.close()
    by_name = {way.name: way.rows() for way in ways}
    summary = ""
    if "awslambdaric" in by_name:
        summary = _faster(by_name["Python"], by_name["awslambdaric"])
    print(f"{'':28}{'inv/s':>9}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'ratio':>8}")
    direct = rows[0]
    for row in rows:
        print(
            f"{row.name:28}{row.rate:9.0f}{row.rate / direct.rate:8.2f}{row.p50_ms:9.3f}"
            f"{row.p99_ms:9.3f}{row.cpu_us:9.0f}{row.cpu_us / direct.cpu_us:8.1f}"
        )
    print(summary)


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
