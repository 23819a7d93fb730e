from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.clock.real import RealClock
from emulator.errors import FailureKind
from emulator.runtimes.lambda_edge import LambdaFunctionError, LambdaFunctions
from emulator.values.functions import EventType
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaCustomOrigin, LambdaDeclaration
from emulator.values.messages import Response

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("awslambdaric") is None, reason="awslambdaric is for Linux only"
)

# One handler for everything that a handler can return; what is wanted stands in the path.
HANDLER = """
import collections, decimal, json, os, sys, time
runs = 0

def handler(event, context):
    global runs
    runs += 1
    cf = event["Records"][0]["cf"]
    wanted = cf["request"]["uri"].strip("/")
    return globals()[wanted.replace("-", "_")](cf, context)

def passed_on(cf, context):
    request = cf["request"]
    request["headers"]["x-runs"] = [{"key": "X-Runs", "value": str(runs)}]
    return request

def rewritten(cf, context):
    return {**cf["request"], "uri": "/é/über", "querystring": "a=1"}

def generated(cf, context):
    return {"status": 302, "headers": {"location": [{"value": "/there"}]}, "body": "ümlaut ☃"}

def seen(cf, context):
    names = ("AWS_REGION", "AWS_EXECUTION_ENV", "_HANDLER", "LAMBDA_TASK_ROOT", "TZ",
             "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_LOG_GROUP_NAME")
    return {"status": "200", "body": json.dumps({
        "variables": {name: os.environ[name] for name in names},
        "cwd": os.getcwd(), "name": context.function_name, "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn, "tenant": context.tenant_id,
        "client": context.client_context, "version": context.function_version,
        "remaining": 0 < context.get_remaining_time_in_millis() <= 5000,
        "trace": os.environ["_X_AMZN_TRACE_ID"].startswith("Root=1-"),
        "event": cf["config"]["eventType"]})}

def other_origin(cf, context):
    request = cf["request"]
    request["origin"]["custom"]["domainName"] = "other.example.com"
    request["headers"]["host"] = [{"key": "Host", "value": "other.example.com"}]
    return request

def new_body(cf, context):
    return {**cf["response"], "status": "200", "body": "mended"}

def new_header(cf, context):
    cf["response"]["headers"]["x-new"] = [{"value": "yes"}]
    return cf["response"]

def replaced_body(cf, context):
    body = cf["request"]["body"]
    return {**cf["request"], "body": {**body, "action": "replace", "encoding": "text", "data": "x"}}

def of_decimal(cf, context):
    return {"status": decimal.Decimal(200), "body": "plain number"}

def of_namedtuple(cf, context):
    made = collections.namedtuple("Made", "status body")
    return made("200", "from a tuple")

def of_bytes_inside(cf, context):
    return {"status": b"200", "body": b"bytes"}

def json_in_bytes(cf, context):
    return b'{"status": "200", "body": "as it is"}'

def none(cf, context): return None
def a_list(cf, context): return [cf["request"]]
def a_string(cf, context): return "200"
def a_number(cf, context): return 200
def whole_event(cf, context): return {"Records": [{"cf": cf}]}
def raw_bytes(cf, context): return b"\\x00\\xff"
def nan(cf, context): return {"status": "200", "body": float("nan")}
def infinity(cf, context): return {"status": "200", "x": float("-inf")}
def nan_decimal(cf, context): return {"status": "200", "x": decimal.Decimal("NaN")}
def status_code(cf, context): return {"statusCode": 200, "body": "of API Gateway"}
def bad_header(cf, context): return {"status": "200", "headers": {"connection": [{"value": "x"}]}}
def too_big_for_viewers(cf, context): return {"status": "200", "body": "x" * 40_961}

def raises(cf, context): raise KeyError("missing")
def raises_nothing_said(cf, context): raise RuntimeError
def unencodable(cf, context): return {"status": "200", "body": object()}
def a_set(cf, context): return {"status": "200", "x": {1, 2}}
def invalid_bytes_inside(cf, context): return {"status": "200", "body": b"\\xff"}
def a_tuple_key(cf, context): return {"status": "200", ("a", "b"): 1}
def cycle(cf, context):
    made = {"status": "200"}
    made["self"] = made
    return made
def oversized(cf, context): return {"status": "200", "body": "x" * 6_500_000}
def hangs(cf, context): time.sleep(60)
def leaves(cf, context): sys.exit(3)
def dies(cf, context): os._exit(4)
"""

RESULTS = (
    "passed-on", "rewritten", "generated", "seen", "of-decimal", "of-namedtuple",
    "of-bytes-inside", "json-in-bytes",
)  # fmt: skip
INVALID = (
    "none", "a-list", "a-string", "a-number", "whole-event", "raw-bytes", "nan", "infinity",
    "nan-decimal", "status-code", "bad-header", "too-big-for-viewers",
)  # fmt: skip
FAILURES = (
    "raises", "raises-nothing-said", "unencodable", "a-set", "invalid-bytes-inside", "a-tuple-key",
    "cycle", "oversized", "hangs", "leaves", "dies",
)  # fmt: skip


@pytest.fixture(scope="module")
def ways(lab: Any, runner: asyncio.Runner) -> Iterator[tuple[LambdaFunctions, LambdaFunctions]]:
    """Our sandboxes, and AWS's own client behind a Runtime API."""
    aws = LambdaFunctions(RealClock(), endpoint_url=lab.functions.endpoint_url, awslambdaric=True)
    yield lab.functions, aws
    runner.run(aws.close())


class Both:
    """The same package run both ways."""

    def __init__(self, lab: Any, ways: tuple[LambdaFunctions, ...], package: Path) -> None:
        declaration = LambdaDeclaration(
            "answers", "handler.handler", "python3.13", package, timeout_s=5.0
        )
        self.lab = lab
        self.loaded = [way.load(declaration) for way in ways]

    def outcomes(self, uri: str = "/", **about: Any) -> list[object]:
        """What a viewer and the next step would get, from each way."""
        keys = {key: about.pop(key) for key in ("include_body", "origin") if key in about}
        event = self.lab.event(uri, **about)
        found: list[object] = []
        for function in self.loaded:
            try:
                run = self.lab.await_(function.run(event, **keys))
                found.append((run.result, run.origin, run.warnings))
            except LambdaFunctionError as error:
                found.append((error.kind, error.sentence, error.detail.splitlines()[0]))
        return found


@pytest.fixture(scope="module")
def both(lab: Any, ways: tuple[LambdaFunctions, ...]) -> Both:
    """The handler above, both ways."""
    return Both(lab, ways, lab.package(HANDLER))


@pytest.mark.parametrize("what", RESULTS)
def test_both_ways_give_the_same_result(both: Both, what: str) -> None:
    """Values, encodings, environment variables and context; module state is kept in both."""
    ours, aws = both.outcomes(f"/{what}")

    assert ours == aws
    assert not isinstance(ours[0], FailureKind)  # type: ignore[index]


@pytest.mark.conformance("LAE-71", "LAE-73")
@pytest.mark.parametrize("what", INVALID)
def test_both_ways_refuse_the_same_results(both: Both, what: str) -> None:
    """502 LambdaValidationError with the same sentence and the same line in the log."""
    ours, aws = both.outcomes(f"/{what}")

    assert ours == aws
    assert ours[0] is FailureKind.LAMBDA_VALIDATION  # type: ignore[index]


@pytest.mark.conformance("LAE-69", "LAE-72")
@pytest.mark.parametrize("what", FAILURES)
def test_both_ways_fail_alike(
    lab: Any, ways: tuple[LambdaFunctions, ...], both: Both, what: str
) -> None:
    """503 LambdaExecutionError with the runtime's own words; the next request is served."""
    pair = both
    if what == "hangs":
        pair = Both(lab, ways, lab.package(HANDLER))
        for function, way in zip(list(pair.loaded), ways, strict=True):
            declared = function.declaration
            quick = LambdaDeclaration(
                declared.name, declared.handler, declared.runtime, declared.package, timeout_s=0.5
            )
            pair.loaded[pair.loaded.index(function)] = way.load(quick)
    ours, aws = pair.outcomes(f"/{what}")

    assert ours == aws
    assert ours[0] is FailureKind.LAMBDA_EXECUTION  # type: ignore[index]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import not_there", "Runtime.ImportModuleError: Unable to import module 'handler'"),
        ("import pytest", "Runtime.ImportModuleError: Unable to import module 'handler'"),
        ("def handler(:", "Runtime.UserCodeSyntaxError: Syntax error in module 'handler'"),
        ("def other(): pass", "Runtime.HandlerNotFound: Handler 'handler' missing"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
@pytest.mark.conformance("LAE-69")
def test_both_ways_fail_alike_while_loading(
    lab: Any, ways: tuple[LambdaFunctions, ...], code: str, says: str
) -> None:
    """A module that cannot be imported, parsed or run; a handler that is missing."""
    ours, aws = Both(lab, ways, lab.package(code)).outcomes()

    assert ours == aws
    assert ours[2].startswith(says)  # type: ignore[index]


@pytest.mark.parametrize(
    ("event_type", "what"),
    [
        (EventType.ORIGIN_REQUEST, "seen"),
        (EventType.ORIGIN_REQUEST, "other-origin"),
        (EventType.ORIGIN_REQUEST, "replaced-body"),
        (EventType.ORIGIN_RESPONSE, "new-body"),
        (EventType.ORIGIN_RESPONSE, "none"),
        (EventType.VIEWER_RESPONSE, "new-header"),
        (EventType.VIEWER_RESPONSE, "raises"),
    ],
)
def test_both_ways_agree_at_every_trigger(both: Both, event_type: EventType, what: str) -> None:
    """Origins, bodies and responses; viewer-request is every other test of this file."""
    response = None if event_type.is_request else Response(404, headers=Headers([("A", "b")]))
    ours, aws = both.outcomes(
        f"/{what}",
        event_type=event_type,
        method="POST",
        body=b"whole",
        response=response,
        include_body=True,
        origin=LambdaCustomOrigin("api.example.com"),
    )

    assert ours == aws


def test_the_log_has_the_same_lines(both: Both) -> None:
    """START, the handler's own, END and REPORT around each run."""
    lines = []
    for function in both.loaded:
        run = both.lab.run(function, "/passed-on")
        lines.append([line.split()[0] for line in run.logs])

    assert lines == [["START", "END", "REPORT"]] * 2
