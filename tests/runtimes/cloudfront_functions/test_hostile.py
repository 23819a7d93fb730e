"""Functions that mean harm: each ends its own request with an error and disturbs no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from emulator.clock.real import RealClock
from emulator.errors import EdgeFunctionError, FailureKind
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_2
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.values.messages import Request, Response
from tests.runtimes.cloudfront_functions.events import event_for, snapshot_of

pytestmark = pytest.mark.anyio

LOOPS = {
    "endless loop": "while (true) {}",
    "endless loop in a promise": "await Promise.resolve(); for (;;) {}",
    "promise storm": "while (true) await Promise.resolve()",
    "promises that beget promises": "const f = () => { Promise.resolve().then(f); }; f()",
    "promises without an end": (
        "return new Promise(r => { const f = () => Promise.resolve().then(f); f() })"
    ),
    "regular expression (a+)+": "/^(a+)+$/.test('a'.repeat(60) + 'b')",
    "regular expression (x|x)*": "/^(x|x)*$/.test('x'.repeat(60) + 'y')",
    "regular expression with lookahead": "/^(?=(a+))*(a+)+b/.test('a'.repeat(60))",
    "sorting a sparse array": "const a = []; a[4294967294] = 1; a.sort()",
    "joining a sparse array": "const a = []; a.length = 4294967295; a.join()",
    "reversing a sparse array": "const a = []; a[4294967294] = 1; a.reverse()",
    "searching a sparse array": "const a = []; a.length = 4294967295; a.includes(1)",
    "a comparison that never ends": "[1, 2].sort(() => { while (true) {} })",
    "a getter that never ends": "return {get statusCode() { while (true) {} }}",
    "toJSON that never ends": "return {statusCode: 200, toJSON() { while (true) {} }}",
    "an error that never ends": "throw {toString() { while (true) {} }}",
    "catching everything": "while (true) { try { null.x } catch (e) { continue } }",
    "hashing for ever": (
        "const c = require('crypto'); while (true) c.createHash('md5').update('x').digest()"
    ),
    "reading the store for ever": "while (true) await cf.kvs().get('key')",
    "logging for ever": "while (true) console.log('x'.repeat(100))",
    "exponential finally": "const f = () => { try { f() } finally { f() } }; f()",
    "a polluted JSON": "Object.prototype.toJSON = () => { while (true) {} }; return event.request",
    "a polluted promise": (
        "Promise.prototype.then = () => { while (true) {} }; await Promise.resolve().then()"
    ),
}

EXCESSES = {
    "arrays without end": "const a = []; while (true) a.push(new Array(100))",
    "a string that doubles": "let s = 'x'; while (true) s += s",
    "a string of 1 GB": "return {statusCode: 200, body: 'x'.repeat(1e9)}",
    "a typed array of 1 GB": "return new Uint8Array(1e9)",
    "a Buffer of 1 GB": "return Buffer.alloc(1e9)",
    "objects without end": "const o = {}; for (let i = 0; ; i++) o['k' + i] = i",
    "promises without end": "const a = []; while (true) a.push(new Promise(() => {}))",
    "closures without end": "let f = () => 1; while (true) { const g = f; f = () => g }",
    "a replacement that explodes": "return 'a'.repeat(1e5).replace(/a/g, 'b'.repeat(1e4))",
    "splitting a long string": "const a = []; while (true) a.push('a'.repeat(1e5).split(''))",
    "a join that explodes": "return new Array(1e6).join('x'.repeat(1e4))",
    "JSON that explodes": "let o = [1]; while (true) o = JSON.parse(JSON.stringify([o, o]))",
}

RECURSIONS = {
    "deep recursion": "const f = n => f(n + 1) + 1; return f(0)",
    "recursion through apply": "const f = function () { return f.apply(null) + 1 }; return f()",
    "recursion through sort": "const f = () => [2, 1].sort(f).length; return f()",
    "recursion through replace": "const f = () => 'a'.replace(/a/, f); return f()",
    "recursion through getters": "const o = {get a() { return o.a }}; return o.a",
    "recursion through toString": "const o = {toString() { return '' + o }}; return '' + o",
    "JSON nested too deep": "return JSON.parse('['.repeat(1e5))",
}

HOSTILE = {**LOOPS, **EXCESSES, **RECURSIONS}

GOOD = """
import cf from 'cloudfront';
async function handler(event) {
    const value = await cf.kvs().get('key');
    return {statusCode: 200, body: value + event.request.uri};
}
"""


@pytest.fixture(scope="module")
async def strict_engine(anyio_backend: str) -> AsyncIterator[CloudFrontFunctions]:
    """An engine that kills early, so that the tests are short."""
    engine = CloudFrontFunctions(RealClock(), time_limit_ms=20)
    await engine.start()
    yield engine
    await engine.close()


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_function_harms_itself_only(
    strict_engine: CloudFrontFunctions, body: str
) -> None:
    """It fails with an execution error; calls of others around it are answered right."""
    code = f"import cf from 'cloudfront';\nasync function handler(event) {{\n{body}\n}}"
    hostile = strict_engine.load("hostile", code, RUNTIME_2)
    good = strict_engine.load("good", GOOD, RUNTIME_2)
    snapshot = snapshot_of({"key": "value"})
    calls = [good.run(event_for(Request("GET", f"/{n}")), snapshot) for n in range(10)]
    outcomes = await asyncio.gather(
        *calls[:5], hostile.run(event_for(), snapshot), *calls[5:], return_exceptions=True
    )
    failure = outcomes.pop(5)

    assert isinstance(failure, EdgeFunctionError)
    assert failure.kind is FailureKind.FUNCTION_EXECUTION
    answers = [getattr(each, "result", each) for each in outcomes]
    assert [each.body for each in answers if isinstance(each, Response)] == [
        f"value/{n}".encode() for n in range(10)
    ]


@pytest.mark.parametrize("body", EXCESSES.values(), ids=EXCESSES.keys())
async def test_memory_is_limited_by_the_engine(body: str) -> None:
    """Too much memory is refused inside the process; it need not be killed."""
    engine = CloudFrontFunctions(RealClock(), time_limit_ms=5_000)
    code = f"async function handler(event) {{\n{body}\n}}"
    await engine.start()
    before = engine.worker_pids
    with pytest.raises(EdgeFunctionError) as caught:
        await engine.load("greedy", code, RUNTIME_2).run(event_for(), None)
    after = engine.worker_pids
    await engine.close()

    message = caught.value.engine_message
    assert message.startswith(
        (
            "MemoryError: the function used more than 2 MB",
            "RangeError:",
            "InternalError: string too",
        )
    )
    assert after == before


@pytest.mark.parametrize("body", RECURSIONS.values(), ids=RECURSIONS.keys())
async def test_recursion_is_limited_by_the_engine(
    strict_engine: CloudFrontFunctions, body: str
) -> None:
    """Too deep a recursion is an error of the function, in njs's words."""
    code = f"async function handler(event) {{\n{body}\n}}"
    with pytest.raises(EdgeFunctionError) as caught:
        await strict_engine.load("deep", code, RUNTIME_2).run(event_for(), None)

    assert caught.value.engine_message == "RangeError: Maximum call stack size exceeded"


async def test_a_storm_of_hostile_calls(strict_engine: CloudFrontFunctions) -> None:
    """Many hostile calls at once fail one by one, and the good ones between them are answered."""
    hostile = strict_engine.load("hostile", "function handler() { while (true) {} }", RUNTIME_2)
    good = strict_engine.load("good", GOOD, RUNTIME_2)
    snapshot = snapshot_of({"key": "v"})
    calls = [(hostile if n % 4 == 0 else good).run(event_for(), snapshot) for n in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    failed = [isinstance(each, EdgeFunctionError) for each in outcomes]
    assert failed == [n % 4 == 0 for n in range(20)]


SOMETIMES = """
function handler(event) {
    if (event.request.uri === '/loop') for (;;) {}
    if (event.request.uri === '/say') console.log('said once');
    return {statusCode: 200, body: event.request.uri};
}
"""


@pytest.mark.parametrize("position", [0, 3, 19])
async def test_a_quick_function_that_hangs_once_fails_that_call_only(
    strict_engine: CloudFrontFunctions, position: int
) -> None:
    """Answers of quick calls leave together: the ones before the hanging call are not lost.

    Those behind it are answered by the next process, and nobody's log lines are there twice.
    """
    loaded = strict_engine.load("sometimes", SOMETIMES, RUNTIME_2)
    for _ in range(3):
        await loaded.run(event_for(Request("GET", "/warm")), None)
    paths = ["/say"] * 20
    paths[position] = "/loop"
    outcomes = await asyncio.gather(
        *(loaded.run(event_for(Request("GET", path)), None) for path in paths),
        return_exceptions=True,
    )

    failed = [number for number, one in enumerate(outcomes) if isinstance(one, Exception)]
    assert failed == [position]
    assert "did not end within" in str(getattr(outcomes[position], "engine_message", ""))
    assert {
        getattr(one, "logs", ()) for number, one in enumerate(outcomes) if number != position
    } == {("said once",)}


async def test_garbage_of_earlier_calls_does_not_count(strict_engine: CloudFrontFunctions) -> None:
    """Each call may use the whole memory, whatever the one before it left."""
    code = """
    function handler(event) {
        const kept = [];
        for (let i = 0; i < 50; i++) { const a = new Array(2000); a.fill(i); a.push(kept); kept.push(a); }
        kept.forEach(a => { a[0] = kept; });
        console.log(kept.length);
        return event.request;
    }
    """  # noqa: E501
    loaded = strict_engine.load("heavy", code, RUNTIME_2)
    for _ in range(12):
        assert (await loaded.run(event_for(), None)).logs == ("50",)
