"""What a CloudFront Function costs: `python -m benchmarks.functions`, a few seconds.

A function that reads an answer of about 700 bytes from its key value store and returns it: through
the engine (event, worker process, result; one and 16 in flight), and the same function in a bare
quickjs-ng context in this process, in the same run. Only the ratios mean something on another
machine. CPU is that of this process plus that of the worker, for each call. With one call in flight
both processes fall asleep between calls, and waking them is most of the cost.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson
from quickjs import Context

from emulator.clock.real import RealClock
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions, LoadedFunction
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.key_values import StoreSnapshot
from emulator.values.messages import Request, Response
from emulator.wire.cloudfront_functions import dump_event

SECONDS: Final = 0.4
ROUNDS: Final = 5
GOAL_CPU_RATIO: Final = 3.0
"""No more CPU per call than so many times the bare engine's."""

HANDLER: Final = """
async function handler(event) {
    const request = event.request;
    const user = request.cookies.session ? request.cookies.session.value : 'nobody';
    const language = request.headers['accept-language'];
    try {
        const answer = await store.get(user + '_morning-briefing', {format: 'json'});
        return {
            statusCode: 200,
            statusDescription: 'OK',
            headers: {
                'content-type': {value: 'application/json'},
                'content-language': {value: language ? language.value : 'en'},
                'x-answer-source': {value: 'edge'}
            },
            body: JSON.stringify({action: 'morning-briefing', answer: answer.answer})
        };
    } catch (error) {
        return request;
    }
}
"""
FUNCTION: Final = "import cf from 'cloudfront';\nconst store = cf.kvs();\n" + HANDLER
BARE: Final = (
    "(function (get) { 'use strict';\n"
    "let result = null;\n"
    "const store = {async get(key) { return JSON.parse(get(key)); }};\n"
    + HANDLER
    + """
    return {
        call(text) {
            handler(JSON.parse(text)).then(value => { result = JSON.stringify(value); });
        },
        result() { return result; }
    };
})(get)"""
)
ANSWER: Final = json.dumps(
    {"answer": "Three alerts are open. " * 28, "generated": 1, "expires": 4102444800}
)
HEADERS: Final = Headers(
    [
        ("Host", "d111111abcdef8.cloudfront.net"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Accept-Language", "en-GB,en;q=0.5"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Cookie", "session=user-001; theme=dark"),
        ("Referer", "https://www.example.com/"),
    ]
)


@dataclass(frozen=True)
class Figures:
    """One row: calls a second, microseconds, and CPU microseconds for each."""

    name: str
    rate: float
    p50_us: float
    p99_us: float
    cpu_us: float


def event() -> FunctionEvent:
    """A viewer's request."""
    return FunctionEvent(
        EventType.VIEWER_REQUEST,
        "EDFDVBD6EXAMPLE",
        "d111111abcdef8.cloudfront.net",
        "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
        EdgeLocation("LHR", "192.0.2.1", "eu-west-2"),
        Request("GET", "/answers/morning-briefing", headers=HEADERS),
    )


async def measure(
    name: str, call: Callable[[], Awaitable[object]], in_flight: int, cpu_s: Callable[[], float]
) -> Figures:
    """Call for a while, so many at once."""
    times_us: list[float] = []
    end = time.perf_counter() + SECONDS

    async def keep_calling() -> None:
        while (started := time.perf_counter()) < end:
            await call()
            times_us.append((time.perf_counter() - started) * 1e6)

    cpu_before, started = cpu_s(), time.perf_counter()
    await asyncio.gather(*(keep_calling() for _ in range(in_flight)))
    elapsed, used = time.perf_counter() - started, cpu_s() - cpu_before
    quantiles = statistics.quantiles(times_us, n=100)
    count = len(times_us)
    return Figures(name, count / elapsed, quantiles[49], quantiles[98], used / count * 1e6)


async def measure_bare() -> Figures:
    """The same function in a context of its own, without process, frames or laws."""
    context = Context()
    context.add_callable("get", {"user-001_morning-briefing": ANSWER}.get)
    bare = context.eval(BARE)
    invoke = context.eval("(bare) => bare.call")(bare)
    result = context.eval("(bare) => bare.result")(bare)
    text = orjson.dumps(dump_event(event())).decode()

    async def call() -> None:
        invoke(text)
        while context.execute_pending_job():
            pass
        assert len(result()) > len(ANSWER)

    return await measure("bare engine, in process", call, 1, time.process_time)


async def measure_engine(
    engine: CloudFrontFunctions, function: LoadedFunction, in_flight: int
) -> Figures:
    """The function as the edge runs it."""
    items = {"user-001_morning-briefing": ANSWER}
    arn = "arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-0123456789ab"
    snapshot = StoreSnapshot(arn, 1, items, 0, 0.0, 0.0)

    async def call() -> None:
        run = await function.run(event(), snapshot)
        assert isinstance(run.result, Response)

    def cpu_s() -> float:
        return time.process_time() + (engine.cpu_s() or 0.0)

    for _ in range(500):
        await call()
    return await measure(f"CloudFrontFunctions, {in_flight} in flight", call, in_flight, cpu_s)


async def main() -> None:
    """Measure and print."""
    engine = CloudFrontFunctions(RealClock())
    function = engine.load("answer", FUNCTION, "cloudfront-js-2.0")
    await engine.start()
    # In turn, so that a machine that slows down slows all of them; of each, the round that was
    # disturbed least.
    rounds = [
        [await measure_bare()]
        + [await measure_engine(engine, function, in_flight) for in_flight in (1, 16)]
        for _ in range(ROUNDS)
    ]
    await engine.close()
    rows = [min(same, key=lambda row: row.cpu_us) for same in zip(*rounds, strict=True)]
    print(f"{'':34}{'calls/s':>9}{'p50 us':>9}{'p99 us':>9}{'CPU us':>9}{'ratio':>8}")
    bare_us = rows[0].cpu_us
    for row in rows:
        print(
            f"{row.name:34}{row.rate:9.0f}{row.p50_us:9.0f}{row.p99_us:9.0f}{row.cpu_us:9.0f}"
            f"{row.cpu_us / bare_us:8.2f}"
        )
    print(f"goal: at most {GOAL_CPU_RATIO:g} x the bare engine's CPU")


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
