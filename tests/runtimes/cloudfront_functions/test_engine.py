"""Functions through the real engine: what goes in, what comes out, and how they fail."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from emulator import quotas
from emulator.clock.real import RealClock
from emulator.errors import EdgeFunctionError, FailureKind, LocalpopError, NotEmulated
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_1, RUNTIME_2
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response
from emulator.values.origin_changes import OriginProperties
from tests.runtimes.cloudfront_functions.events import (
    LOCATION,
    STORE_ID,
    Evaluate,
    event_for,
    pass_on,
    respond,
    run,
    snapshot_of,
)

pytestmark = pytest.mark.anyio

PASS = "function handler(event) { return event.request; }"
ECHO = """
function handler(event) {
    return {statusCode: 200, body: JSON.stringify(event)};
}
"""
NOT_RUN = (
    "The CloudFront function associated with the CloudFront distribution is invalid or could not"
    " run."
)


async def test_unchanged_request_is_the_same_request(engine: CloudFrontFunctions) -> None:
    """A function that returns the request as it was changes nothing at all."""
    event = event_for(
        Request(
            "GET",
            "/a%20b",
            "x=1&y&x=2",
            Headers([("Host", "h"), ("ACCEPT", "a"), ("Cookie", "a=1; b=2"), ("X-Latin", "\xe9")]),
        )
    )

    assert await pass_on(engine, PASS, event=event) is event.request


@pytest.mark.conformance("CFF-1", "CFF-2", "CFF-3", "CFF-4", "CFF-7")
async def test_the_handler_gets_the_event(engine: CloudFrontFunctions) -> None:
    """The event arrives whole, and a viewer-request event has no response."""
    event = orjson.loads(bytes((await respond(engine, ECHO)).body))  # type: ignore[arg-type]

    assert event["version"] == "1.0"
    assert "response" not in event
    assert event["context"] == {
        "distributionDomainName": "d111111abcdef8.cloudfront.net",
        "distributionId": "EDFDVBD6EXAMPLE",
        "eventType": "viewer-request",
        "requestId": "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
    }
    assert event["viewer"] == {"ip": "127.0.0.1"}
    assert event["request"]["querystring"] == {}


async def test_generated_response(engine: CloudFrontFunctions) -> None:
    """Status, headers in the function's order, cookies and body leave as the function said."""
    code = """
    function handler(event) {
        return {
            statusCode: 302, statusDescription: 'Found',
            headers: {'location': {value: '/new'}, 'x-a-b': {value: '1', multiValue: [{value: '1'}, {value: '2'}]}},
            cookies: {id: {value: 'é', attributes: 'Secure; Path=/'}},
            body: {encoding: 'base64', data: 'aGk='}
        };
    }
    """  # noqa: E501
    response = await respond(engine, code)

    assert (response.status, response.reason, response.body) == (302, "Found", b"hi")
    assert response.headers.pairs == (
        ("Location", "/new"),
        ("X-A-B", "1"),
        ("X-A-B", "2"),
        ("Set-Cookie", "id=\xc3\xa9; Secure; Path=/"),
        ("Content-Length", "2"),
    )


async def test_changed_response(engine: CloudFrontFunctions) -> None:
    """A viewer-response function changes the response that it is shown."""
    code = """
    function handler(event) {
        const response = event.response;
        response.headers['x-seen'] = {value: event.request.headers.host.value};
        return response;
    }
    """
    origin = Response(200, "OK", Headers([("Content-Type", "text/plain")]), b"body")
    result = (await run(engine, code, event_for(response=origin))).result

    assert isinstance(result, Response)
    assert result.headers.pairs == (("Content-Type", "text/plain"), ("X-Seen", "www.example.com"))
    assert result.body == b"body"


@pytest.mark.conformance("CFF-32")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("function handler() { throw new Error('boom') }", "Error: boom"),
        ("async function handler() { throw new Error('late') }", "Error: late"),
        ("function handler(e) { return e.x.y }", 'TypeError: cannot get property "y" of undefined'),
        (
            "nope(); function handler(e) { return e.request }",
            'ReferenceError: "nope" is not defined',
        ),
        ("function other() {}", 'ReferenceError: "handler" is not defined'),
        (
            "function handler() { return new Promise(function () {}) }",
            "Error: the promise that handler returned was never settled",
        ),
    ],
)
async def test_a_throw_is_an_execution_error(
    engine: CloudFrontFunctions, code: str, message: str
) -> None:
    """A function that throws or rejects gives 503, with the engine's message in the detail."""
    with pytest.raises(EdgeFunctionError) as caught:
        await run(engine, code)

    assert caught.value.kind is FailureKind.FUNCTION_EXECUTION
    assert caught.value.sentence == NOT_RUN
    assert caught.value.engine_message == message
    assert "tested (cloudfront-js-2.0)" in caught.value.detail


@pytest.mark.conformance("CFF-33", "CFF-39")
async def test_broken_code_loads_and_fails_when_run(engine: CloudFrontFunctions) -> None:
    """Code that does not compile is taken, tells its problems, and fails each request."""
    code = "async function handler(event) {\n  console.log(await g());\n  return event.request;\n}"
    loaded = engine.load("broken", code, RUNTIME_2)

    assert [(each.line, each.column) for each in loaded.problems] == [(2, 15)]
    with pytest.raises(EdgeFunctionError) as caught:
        await loaded.run(event_for(), None)
    assert caught.value.kind is FailureKind.FUNCTION_EXECUTION
    assert caught.value.engine_message == "SyntaxError: await in arguments not supported in 2"


@pytest.mark.conformance("CFF-36")
async def test_runtime_1_runs_its_own_code(engine: CloudFrontFunctions) -> None:
    """A function of runtime 1.0 runs; what only 2.0 has is not there."""
    code = (
        "function handler(event) { event.request.uri = '/' + typeof Buffer; return event.request; }"
    )
    result = (await engine.load("old", code, RUNTIME_1).run(event_for(), None)).result

    assert isinstance(result, Request)
    assert result.uri == "/undefined"


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("undefined", "returned nothing"),
        ("null", "returned nothing"),
        ("'text'", "returned a string"),
        ("event", "neither event.request"),
        ("{statusCode: '200'}", "response.statusCode"),
        ("{statusCode: 200.5}", "response.statusCode"),
        ("{statusCode: 99}", "response.statusCode"),
        ("{statusCode: 200, headers: {'X-Up': {value: '1'}}}", "write 'x-up'"),
        ("{statusCode: 200, headers: {'x-cache': {value: '1'}}}", "x-cache"),
        ("{statusCode: 200, headers: {'a': 'text'}}", "a string"),
        ("{statusCode: 200, headers: {'a': {value: 1}}}", "make it a string"),
        ("{statusCode: 200, headers: {'a': {value: 'x\\r\\ny: 1'}}}", "control character"),
        ("{statusCode: 200, headers: {'set-cookie': {value: 'a=1'}}}", "use response.cookies"),
        ("{statusCode: 200, body: {encoding: 'base64', data: '*'}}", "cannot be decoded"),
        ("{statusCode: 200, body: {encoding: 'hex', data: ''}}", "'text' or 'base64'"),
        ("{statusCode: 200, body: 5}", "response.body"),
    ],
)
@pytest.mark.conformance("CFF-15", "CFF-16", "CFF-22")
async def test_a_refused_result_is_a_validation_error(
    engine: CloudFrontFunctions, result: str, reason: str
) -> None:
    """A result that breaks a law gives 502, and says what, where and how to mend."""
    with pytest.raises(EdgeFunctionError) as caught:
        await run(engine, f"function handler(event) {{ console.log('x'); return {result}; }}")

    assert caught.value.kind is FailureKind.FUNCTION_VALIDATION
    assert caught.value.kind.status == 502
    assert reason in caught.value.detail
    assert caught.value.logs == ("x",)


async def test_a_cyclic_result_fails(engine: CloudFrontFunctions) -> None:
    """What cannot be written as JSON is no result."""
    with pytest.raises(EdgeFunctionError):
        await run(engine, "function handler(e) { e.request.self = e; return e; }")


@pytest.mark.conformance("CFF-51")
async def test_logs(engine: CloudFrontFunctions) -> None:
    """console.log takes one argument; an object is logged as text."""
    code = """
    function handler(event) {
        console.log('one', 'two');
        console.log({a: 1});
        console.log(new Error('x'));
        console.log(undefined);
        return event.request;
    }
    """

    assert (await run(engine, code)).logs == ("one", "[object Object]", "Error: x", "undefined")


@pytest.mark.conformance("CFF-51")
async def test_logs_are_cut_at_10_kb(engine: CloudFrontFunctions) -> None:
    """All lines of one invocation together have 10 KB."""
    code = """
    function handler(event) {
        for (let i = 0; i < 20; i++) console.log('é'.repeat(500));
        return event.request;
    }
    """
    logs = (await run(engine, code)).logs

    assert sum(len(line.encode()) for line in logs) == quotas.FUNCTION_LOG_MAX_BYTES
    assert len(logs) == 11


async def test_logs_survive_a_failure(engine: CloudFrontFunctions) -> None:
    """What was logged before the failure is kept, even when the process had to be killed."""
    for end in ("throw new Error('x')", "while (true) {}"):
        with pytest.raises(EdgeFunctionError) as caught:
            await run(engine, f"function handler() {{ console.log('before'); {end} }}")
        assert caught.value.logs == ("before",)


KV = "import cf from 'cloudfront';\nconst store = cf.kvs();\n"


@pytest.mark.conformance("CFF-52", "CFF-53", "KVS-53", "KVS-54")
async def test_key_value_store(evaluate: Evaluate) -> None:
    """It reads in three formats, exists, meta and count, all of one version."""
    items = {"text": "wörld", "json": '{"a":[1]}', "nul": "a\0b"}
    body = """
        let missing, broken;
        try { await store.get('nope') } catch (e) { missing = String(e) }
        try { await store.get('text', {format: 'json'}) } catch (e) { broken = e.name }
        const text = await store.get('text'), json = await store.get('json', {format: 'json'});
        const bytes = await store.get('text', {format: 'bytes'});
        const yes = await store.exists('text'), no = await store.exists('nope');
        const nul = (await store.get('nul')).length;
        return [text, json, bytes.toString('hex'), yes, no, missing, broken, nul,
            await store.meta(), await store.count()];
    """

    assert await evaluate(body, head=KV, snapshot=snapshot_of(items)) == [
        "wörld",
        {"a": [1]},
        "77c3b6726c64",
        True,
        False,
        "Error: KeyNotFound",
        "SyntaxError",
        3,
        {
            "keyCount": 3,
            "creationDateTime": "2023-11-14T22:13:20.123Z",
            "lastUpdatedDateTime": "2025-11-21T10:00:00.500Z",
        },
        3,
    ]


@pytest.mark.conformance("CFF-55")
async def test_store_handles(evaluate: Evaluate) -> None:
    """cf.kvs() takes the id of the associated store, and fails without one."""
    snapshot = snapshot_of({"a": "1"})
    head = "import cf from 'cloudfront';"
    get = "const s = cf.kvs('{}'); return await s.get('a')"

    assert await evaluate(get.format(STORE_ID), head=head, snapshot=snapshot) == "1"
    assert "is not associated" in await evaluate(get.format("other"), head=head, snapshot=snapshot)
    assert "no key value store" in await evaluate("return 1", head=KV)


@pytest.mark.conformance("CFF-54", "KVS-52")
async def test_each_invocation_sees_one_version(engine: CloudFrontFunctions) -> None:
    """Versions that are given in any order are each seen whole, also at the same time."""
    code = KV + (
        "async function handler() {"
        " const a = await store.get('a'); await Promise.resolve(); const b = await store.get('b');"
        " const extra = await store.exists('v' + a);"
        " return {statusCode: 200, body: a + b + extra}; }"
    )
    loaded = engine.load("versions", code, RUNTIME_2)
    versions = {
        number: snapshot_of({"a": str(number), "b": str(number), f"v{number}": ""}, number)
        for number in range(1, 10)
    }
    order = [1, 2, 9, 3, 1, 8, 7, 2, 9, 1, 5]
    runs = await asyncio.gather(*(loaded.run(event_for(), versions[each]) for each in order))

    bodies = [each.result.body for each in runs if isinstance(each.result, Response)]
    assert bodies == [f"{each}{each}true".encode() for each in order]


async def test_store_reads_are_counted(engine: CloudFrontFunctions) -> None:
    """The run tells how often the store was read."""
    code = KV + (
        "async function handler(event) { await store.get('a'); await store.exists('b');"
        " return event.request; }"
    )

    assert (await run(engine, code, snapshot=snapshot_of({"a": "1"}))).store_reads == 2


@pytest.mark.conformance("CFF-61")
async def test_edge_location(engine: CloudFrontFunctions) -> None:
    """cf.edgeLocation tells where it runs, at viewer-request only."""
    head = "import cf from 'cloudfront';\n"
    response = await respond(
        engine,
        head
        + "function handler() { return {statusCode: 200, body: JSON.stringify(cf.edgeLocation)} }",
    )
    later = await run(
        engine,
        head
        + "function handler(e) { console.log(JSON.stringify(cf.edgeLocation)); return e.response }",
        event_for(response=Response(200)),
    )

    assert orjson.loads(bytes(response.body)) == {  # type: ignore[arg-type]
        "name": LOCATION.name,
        "serverIp": LOCATION.server_ip,
        "region": LOCATION.region,
    }
    assert later.logs == ("{}",)


@pytest.mark.conformance("CFF-62")
@pytest.mark.parametrize(
    ("request_", "logged"),
    [
        (Request("GET", "/", "a=1&a=%20", has_query=True), "string:a=1&a=%20"),
        (Request("GET", "/", "", has_query=True), "string:"),
        (Request("GET", "/"), "undefined:undefined"),
    ],
    ids=["a query", "only ?", "none"],
)
async def test_raw_query_string(
    engine: CloudFrontFunctions, request_: Request, logged: str
) -> None:
    """rawQueryString() gives the query as it came, '' for a lone ?, undefined for none."""
    code = """
    function handler(event) {
        const raw = event.request.rawQueryString();
        console.log(typeof raw + ':' + raw);
        return event.request;
    }
    """
    event = event_for(request_)
    outcome = await run(engine, code, event)

    assert outcome.logs == (logged,)
    assert outcome.result is event.request


@pytest.mark.conformance("CFF-63")
async def test_custom_log_data(engine: CloudFrontFunctions) -> None:
    """The last logCustomData counts: URL-encoded, then cut at 800 bytes."""
    code = """
    import cf from 'cloudfront';
    function handler(event) {
        cf.logCustomData('first');
        cf.logCustomData('a b'.repeat(400));
        return event.request;
    }
    """
    data = (await run(engine, code)).custom_log_data

    assert data.startswith("a%20ba%20b")
    assert len(data) == 800


@pytest.mark.conformance("CFF-64")
async def test_distribution_tenant(evaluate: Evaluate) -> None:
    """On a standard distribution there is no tenant."""
    wanted = "TypeError: distributionTenant module is not available"

    assert await evaluate("cf.distributionTenant.id", head="import cf from 'cloudfront'") == wanted


async def test_what_is_not_emulated_says_so(engine: CloudFrontFunctions) -> None:
    """A token helper fails aloud, also when the function catches its error."""
    code = """
    import cf from 'cloudfront';
    function handler(event) {
        try { cf.cwt.validateToken(Buffer.from(''), {key: 'k'}) } catch (e) { console.log(e) }
        return event.request;
    }
    """
    with pytest.raises(NotEmulated, match=r"cf\.cwt\.validateToken"):
        await run(engine, code)


ORIGIN = """
import cf from 'cloudfront';
function handler(event) {
    const change = {domainName: 'other.example.com'};
    cf.updateRequestOrigin(change);
    change.domainName = 'too late';
    return %s;
}
"""


async def test_an_origin_change_is_refused_where_nobody_acts_on_it(
    engine: CloudFrontFunctions,
) -> None:
    """It never half works: a request would go to the wrong origin."""
    with pytest.raises(NotEmulated, match=r"cf\.updateRequestOrigin"):
        await run(engine, ORIGIN % "event.request")


async def test_an_origin_change_is_told() -> None:
    """Who acts on it finds it in the run; a generated response asks no origin."""
    engine = CloudFrontFunctions(RealClock(), changes_origins=True)
    changed = await run(engine, ORIGIN % "event.request")
    answered = await run(engine, ORIGIN % "{statusCode: 200}")
    await engine.close()

    assert changed.origin_change == OriginProperties(domain_name="other.example.com")
    assert answered.origin_change is None


@pytest.mark.conformance("CFF-57")
async def test_a_wrong_origin_is_a_validation_error(engine: CloudFrontFunctions) -> None:
    """A wrong argument gives 502 with CloudFront's sentence."""
    code = ORIGIN.replace("other.example.com", "192.0.2.1") % "event.request"
    with pytest.raises(EdgeFunctionError) as caught:
        await run(engine, code)

    assert caught.value.kind is FailureKind.FUNCTION_VALIDATION
    assert caught.value.sentence.endswith("for origin rewrite.")


TEST_EVENT = {
    "version": "1.0",
    "context": {"eventType": "viewer-request"},
    "viewer": {"ip": "1.2.3.4"},
    "request": {
        "method": "GET",
        "uri": "/index.html",
        "headers": {"host": {"value": "h"}},
        "querystring": {},
        "cookies": {},
    },
}


@pytest.mark.conformance("CFF-70", "CFF-71")
async def test_testing_a_function(engine: CloudFrontFunctions) -> None:
    """TestFunction's answer: utilization, logs, output with cookies; ids may be left out."""
    code = "function handler(e) { console.log('x'); return {statusCode: 302, headers: {}} }"
    tested = await engine.load("f", code, RUNTIME_2).test(TEST_EVENT)

    assert (tested.error_message, tested.outcome.logs) == ("", ("x",))
    assert 0 <= tested.outcome.compute_utilization <= 100
    assert orjson.loads(tested.output) == {
        "response": {"headers": {}, "cookies": {}, "statusCode": 302}
    }


@pytest.mark.conformance("CFF-70")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "function handler() { return new URL('/') }",
            f'{NOT_RUN} Error: ReferenceError: "URL" is not defined',
        ),
        (
            "async function handler() {\n g(await h()) }",
            f"{NOT_RUN} Error: SyntaxError: await in arguments not supported in 2",
        ),
        (
            "function handler() { return {statusCode: 200, headers: {'X-A': {value: ''}}} }",
            "The CloudFront function returned an invalid value: response.headers must have header"
            " names in lower case.",
        ),
        ("function handler(e) { e.request.headers.host.value = 'x'; return e.request }", ""),
    ],
    ids=["throws", "does not compile", "invalid", "read-only is not told"],
)
async def test_testing_a_function_that_fails(
    engine: CloudFrontFunctions, code: str, message: str
) -> None:
    """A failure is a message in the answer, as CloudFront words it."""
    tested = await engine.load("f", code, RUNTIME_2).test(TEST_EVENT)

    assert tested.error_message == message
    assert (tested.output == "") == (message != "")


async def test_testing_with_something_else(engine: CloudFrontFunctions) -> None:
    """An event object without an event type is none."""
    with pytest.raises(EdgeFunctionError, match="eventType"):
        await engine.load("f", PASS, RUNTIME_2).test({"request": {}})


async def test_half_a_surrogate_pair_becomes_a_replacement_character(
    engine: CloudFrontFunctions,
) -> None:
    """Strings are UTF-8 on CloudFront: what UTF-8 cannot hold is replaced."""
    code = r"function handler() { return {statusCode: 200, body: 'a\ud800b\ud83d\ude00\\ud800'} }"

    assert (await respond(engine, code)).body == "a�b😀\\ud800".encode()


async def test_utilization_is_a_share_of_the_budget(engine: CloudFrontFunctions) -> None:
    """More work is more utilization; at the budget's end it is 100, with a warning."""
    loop = "function handler(e) {{ for (let i = 0; i < {}; i++) {{}} return e.request; }}"
    small = await run(engine, loop.format(10))
    large = await run(engine, loop.format(300_000))

    assert small.compute_utilization is not None
    assert 0 <= small.compute_utilization < 100
    assert large.compute_utilization == 100
    assert any("time budget" in warning for warning in large.warnings)


async def test_many_calls_at_once(engine: CloudFrontFunctions) -> None:
    """Calls in flight together get each their own answer."""
    code = "function handler(e) { return {statusCode: 200, body: e.request.uri} }"
    loaded = engine.load("echo", code, RUNTIME_2)
    runs = await asyncio.gather(
        *(loaded.run(event_for(Request("GET", f"/{number}")), None) for number in range(200))
    )

    bodies = [each.result.body for each in runs if isinstance(each.result, Response)]
    assert bodies == [f"/{number}".encode() for number in range(200)]


async def test_a_cancelled_call_harms_nothing(engine: CloudFrontFunctions) -> None:
    """A viewer who leaves takes nothing with them."""
    loaded = engine.load("pass", PASS, RUNTIME_2)
    task = asyncio.ensure_future(loaded.run(event_for(), None))
    other = asyncio.ensure_future(loaded.run(event_for(), None))
    await asyncio.sleep(0)  # noqa: TID251 - lets the call be sent; no time passes
    task.cancel()

    assert isinstance((await other).result, Request)


def _resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_engine_starts_lazily_and_leaves_no_process() -> None:
    """The first call starts a process, and closing ends it, even within an endless loop."""
    engine = CloudFrontFunctions(RealClock(), time_limit_ms=60_000)
    loaded = engine.load("pass", PASS, RUNTIME_2)
    assert engine.worker_pids == []

    await loaded.run(event_for(), None)
    (pid,) = engine.worker_pids
    endless = engine.load("endless", "function handler() { while (true) {} }", RUNTIME_2)
    hanging = asyncio.ensure_future(endless.run(event_for(), None))
    await asyncio.sleep(0)  # noqa: TID251 - lets the call be sent; no time passes
    await engine.close()

    assert not _is_running(pid)
    with pytest.raises(EdgeFunctionError):
        await hanging
    with pytest.raises(LocalpopError, match="closed"):
        await loaded.run(event_for(), None)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_freed_function_is_forgotten(engine: CloudFrontFunctions) -> None:
    """Code that nobody holds any more, after many reloads, does not pile up in the worker."""
    (before,) = [_resident_kb(pid) for pid in engine.worker_pids]
    for number in range(60):
        code = f"function handler(event) {{ return {{statusCode: 200, body: '{number}'}} }}"
        assert (await respond(engine, code)).body == str(number).encode()
    (after,) = [_resident_kb(pid) for pid in engine.worker_pids]

    # A realm takes about 400 KB; sixty would be 24 MB.
    assert after - before < 8_000


async def test_a_worker_that_dies_is_replaced() -> None:
    """Someone kills the process: the next call finds a new one."""
    engine = CloudFrontFunctions(RealClock())
    loaded = engine.load("pass", PASS, RUNTIME_2)
    await loaded.run(event_for(), None)
    (pid,) = engine.worker_pids
    os.kill(pid, 9)
    died: list[str] = []
    results: list[object] = []
    while engine.worker_pids in ([pid], []) or not results:
        try:
            results.append((await loaded.run(event_for(), None)).result)
        except EdgeFunctionError as error:
            died.append(error.engine_message)

    assert isinstance(results[-1], Request)
    assert all("died" in message for message in died)
    await engine.close()


ORPHAN = """
import asyncio
from emulator.clock.real import RealClock
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions

async def main():
    engine = CloudFrontFunctions(RealClock(), time_limit_ms=60_000)
    await engine.start()
    endless = engine.load("f", "function handler() { console.log('on'); for (;;) {} }", RUNTIME)
    call = asyncio.ensure_future(endless.run_shown("{}"))
    await asyncio.sleep(0.1)
    print(engine.worker_pids[0], flush=True)
    await call

RUNTIME = "cloudfront-js-2.0"
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_a_worker_dies_with_its_parent() -> None:
    """Even a worker in an endless loop does not outlive a parent that was killed."""
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not _is_running(pid)
