from __future__ import annotations

import json
import re
import shutil
from typing import Any

import pytest

from emulator.errors import FailureKind
from emulator.rules import lambda_edge_result as rules
from emulator.values.functions import EventType
from emulator.values.lambda_edge import LambdaCustomOrigin
from emulator.values.messages import Response

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")


def node(lab: Any, code: str, *, file: str = "handler.js", **declared: Any) -> Any:
    """Load a Node.js handler from its source."""
    return lab.load(code, file=file, runtime="nodejs22.x", **declared)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("handler.js", "exports.handler = async () => ({status: 200, body: 'ok'});"),
        ("handler.js", "exports.handler = (e, c, done) => done(null, {status: 200, body: 'ok'});"),
        (
            "handler.js",
            "exports.handler = (e, c, done) => { setTimeout(done, 5, null, {status: 200, "
            "body: 'ok'}); };",
        ),
        (
            "handler.js",
            "exports.handler = (e, c) => { setTimeout(c.succeed, 5, {status: 200, body: 'ok'}); };",
        ),
        (
            "handler.js",
            "exports.handler = (e, c, done) => { c.callbackWaitsForEmptyEventLoop = false; "
            "setInterval(() => {}, 1000); done(null, {status: 200, body: 'ok'}); };",
        ),
        ("handler.mjs", "export const handler = async () => ({status: 200, body: 'ok'});"),
        ("handler.cjs", "exports.handler = async () => ({status: 200, body: 'ok'});"),
    ],
)
def test_every_way_to_write_a_handler_works(lab: Any, file: str, code: str) -> None:
    """async, callback, context; CommonJS and ES modules."""
    function = node(lab, code, file=file)

    assert [lab.body(function), lab.body(function)] == ["ok", "ok"]


def test_an_es_module_by_its_package_json(lab: Any) -> None:
    """`"type": "module"` makes a .js file one."""
    function = node(
        lab,
        "export const handler = async () => ({status: 200, body: 'ok'});",
        files={"package.json": '{"type": "module"}'},
    )

    assert lab.body(function) == "ok"


@pytest.mark.conformance("LAE-78")
def test_module_state_is_kept_and_logs_are_lambdas(lab: Any) -> None:
    """console.log carries time, request id and level."""
    function = node(
        lab,
        """
        let runs = 0;
        exports.handler = async () => {
          runs += 1;
          console.log('run %d', runs, {a: 1});
          console.warn('careful');
          return {status: '200', body: String(runs)};
        };
        """,
    )
    first, second = lab.run(function), lab.run(function)
    lines = [line.replace(second.aws_request_id, "ID") for line in second.logs]

    assert (first.result.body, second.result.body) == (b"1", b"2")
    assert (first.cold_start, second.cold_start) == (True, False)
    assert lines[0] == "START RequestId: ID Version: 1"
    assert re.fullmatch(r"[\dT:.-]+Z\tID\tINFO\trun 2 \{ a: 1 \}", lines[1])
    assert lines[2].endswith("\tID\tWARN\tcareful")
    assert lines[3] == "END RequestId: ID"


@pytest.mark.conformance("LAE-77")
def test_environment_and_context_are_lambdas(lab: Any) -> None:
    """The Region of the replica, the prefixed name, the remaining time."""
    function = node(
        lab,
        """
        exports.handler = async (event, context) => ({status: 200, body: JSON.stringify([
          process.env.AWS_REGION, process.env.AWS_LAMBDA_FUNCTION_NAME, context.functionName,
          context.memoryLimitInMB, context.getRemainingTimeInMillis() > 0, context.awsRequestId,
          process.cwd() === process.env.LAMBDA_TASK_ROOT, 'PYTEST_CURRENT_TEST' in process.env,
        ])});
        """,
    )
    run = lab.run(function, region="sa-east-1")

    assert json.loads(run.result.body) == [
        "sa-east-1",
        "us-east-1.answers",
        "us-east-1.answers",
        "128",
        True,
        run.aws_request_id,
        True,
        False,
    ]


def test_all_four_triggers_run(lab: Any) -> None:
    """Requests with a changed origin, and responses with a changed header."""
    function = node(
        lab,
        """
        exports.handler = async (event) => {
          const { config, request, response } = event.Records[0].cf;
          const message = response || request;
          message.headers['x-seen'] = [{ value: config.eventType }];
          if (request.origin && !response) request.origin.custom.domainName = 'other.example';
          return message;
        };
        """,
    )
    seen = []
    for event_type in EventType:
        response = None if event_type.is_request else Response(200)
        event = lab.event(event_type=event_type, response=response)
        run = lab.await_(function.run(event, origin=LambdaCustomOrigin("example.org")))
        seen.append((run.result.headers.get("x-seen"), run.origin and run.origin.domain_name))

    assert seen == [
        ("viewer-request", None),
        ("origin-request", "other.example"),
        ("origin-response", None),
        ("viewer-response", None),
    ]


@pytest.mark.conformance("LAE-69")
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("exports.handler = async () => { throw new TypeError('boom'); };", "TypeError: boom\n"),
        ("exports.handler = (e, c, done) => done('text');", "string: text"),
        ("exports.handler = (e, c) => c.fail(new Error('no'));", "Error: no"),
        ("exports.handler = () => { throw undefined; };", "Error: undefined"),
        ("exports.handlers = 1;", "Runtime.HandlerNotFound: handler.handler is undefined"),
        ("const x = ;", "Runtime.UserCodeSyntaxError: "),
        ("require('nothing-like-this');", "Runtime.ImportModuleError: Cannot find module"),
        ("throw new RangeError('at load');", "RangeError: at load"),
        ("process.exit(2);", "Error: Runtime exited with error: exit status 2"),
        ("exports.handler = async () => ({a: 1n});", "Runtime.MarshalError: "),
    ],
)
def test_failures_are_503_with_lambdas_words(lab: Any, code: str, said: str) -> None:
    """Each ends its own request only."""
    error = lab.fails(node(lab, code))

    assert error.kind is FailureKind.LAMBDA_EXECUTION
    assert error.detail.startswith(said)


@pytest.mark.conformance("LAE-71")
@pytest.mark.parametrize(
    "code",
    [
        "exports.handler = async () => {};",
        "exports.handler = () => ({status: 200});",
        "exports.handler = (e, c, done) => {};",
        "exports.handler = () => new Promise(() => {});",
        "exports.handler = async () => null;",
        "exports.handler = async () => 'text';",
    ],
)
def test_no_result_is_502(lab: Any, code: str) -> None:
    """Among them a plain returned value without async, which Lambda does not take."""
    error = lab.fails(node(lab, code))

    assert (error.kind, error.sentence) == (FailureKind.LAMBDA_VALIDATION, rules.NOT_AN_OBJECT)


def test_another_version_is_a_warning(lab: Any) -> None:
    """It runs on this machine's, and says so."""
    function = lab.load(
        "exports.handler = async () => ({status: 200});", file="handler.js", runtime="nodejs99.x"
    )

    assert "declared for nodejs99.x, runs on this machine's Node.js" in function.warnings[0]
