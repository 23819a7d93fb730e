from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from emulator.clock.real import RealClock
from emulator.errors import ConfigError, FailureKind
from emulator.rules import lambda_edge_result as rules
from emulator.runtimes.lambda_edge import LambdaFunctionError, LambdaFunctions
from emulator.values.functions import EventType
from emulator.values.lambda_edge import (
    LambdaCustomOrigin,
    LambdaDeclaration,
    LambdaEdgeSwitches,
)
from emulator.values.messages import Request, Response

RESPOND = """
import json
def respond(value):
    return {"status": "200", "body": value if isinstance(value, str) else json.dumps(value)}
"""
NOT_RUN = (
    "The Lambda function associated with the CloudFront distribution is invalid "
    "or doesn't have the required permissions."
)


# --- Running --------------------------------------------------------------------------------------
@pytest.mark.conformance("LAE-33", "LAE-78")
def test_a_handler_passes_the_request_on_and_keeps_its_module_state(lab: Any) -> None:
    """The first run is a cold start; the second finds the module's globals as they were left."""
    function = lab.load(
        """
        runs = 0
        def handler(event, context):
            global runs
            runs += 1
            request = event["Records"][0]["cf"]["request"]
            request["headers"]["x-runs"] = [{"key": "X-Runs", "value": str(runs)}]
            return request
        """
    )
    first, second = lab.run(function), lab.run(function)

    assert isinstance(first.result, Request)
    assert [run.result.headers.get("x-runs") for run in (first, second)] == ["1", "2"]
    assert (first.cold_start, second.cold_start) == (True, False)
    assert first.init_ms > 0 == second.init_ms
    assert first.duration_ms > first.billed_ms > 0


@pytest.mark.conformance("LAE-77")
def test_the_environment_is_lambdas_and_nothing_of_this_machines(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reserved variables only; the Region is the replica's; the name carries its prefix."""
    monkeypatch.setenv("A_SECRET_OF_THE_DEVELOPER", "1")
    function = lab.load(
        RESPOND
        + """
import os
def handler(event, context):
    return respond({"variables": dict(os.environ), "cwd": os.getcwd()})
""",
        memory_mb=256,
        version="7",
    )
    seen = json.loads(lab.body(function, region="ap-northeast-1"))
    variables = seen["variables"]

    assert set(variables) == {
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HOME", "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT", "LANG", "PATH", "TMPDIR", "TZ",
    }  # fmt: skip
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "ap-northeast-1"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "us-east-1.answers"
    assert variables["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/us-east-1.answers"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert variables["AWS_ENDPOINT_URL"].endswith("/from-region/ap-northeast-1")
    assert seen["cwd"] == variables["LAMBDA_TASK_ROOT"] == str(function.declaration.package)


@pytest.mark.conformance("LAE-77")
def test_the_context_has_what_lambdas_has(lab: Any) -> None:
    """Attributes and the remaining time of facts/lambda-at-edge.md 4.6."""
    function = lab.load(
        RESPOND
        + """
def handler(event, context):
    context.log("logged")
    return respond({
        "names": {name: getattr(context, name) for name in (
            "function_name", "function_version", "memory_limit_in_mb", "invoked_function_arn",
            "log_group_name", "tenant_id", "client_context")},
        "identity": context.identity.cognito_identity_id,
        "id": context.aws_request_id,
        "remaining": context.get_remaining_time_in_millis(),
    })
""",
        timeout_s=4,
    )
    run = lab.run(function)
    seen = json.loads(run.result.body)

    assert seen["names"] == {
        "function_name": "us-east-1.answers",
        "function_version": "1",
        "memory_limit_in_mb": "128",
        "invoked_function_arn": (
            "arn:aws:lambda:eu-west-2:123456789012:function:us-east-1.answers:1"
        ),
        "log_group_name": "/aws/lambda/us-east-1.answers",
        "tenant_id": None,
        "client_context": None,
    }
    assert seen["id"] == run.aws_request_id
    assert 0 < seen["remaining"] <= 4000
    assert "logged" in run.logs


@pytest.mark.conformance("LAE-77")
def test_prefix_and_region_of_a_replica_are_switches(lab: Any) -> None:
    """Both can be what they are in the function's home."""
    source = RESPOND + (
        "import os\n"
        "def handler(event, context):\n"
        "    return respond([context.function_name, os.environ['AWS_REGION']])\n"
    )
    functions = LambdaFunctions(
        RealClock(),
        endpoint_url=None,
        switches=LambdaEdgeSwitches(function_name_prefix="", region_of_replica=False),
    )
    declaration = LambdaDeclaration("f", "handler.handler", "python3.13", lab.package(source))
    run = lab.await_(functions.load(declaration).run(lab.event()))
    lab.await_(functions.close())

    assert json.loads(run.result.body) == ["f", "us-east-1"]


def test_each_region_has_environments_of_its_own(lab: Any) -> None:
    """Module state is not shared between replicas."""
    function = lab.load(RESPOND + "runs = []\ndef handler(e, c):\n    runs.append(1)\n"
                        "    return respond(len(runs))\n")  # fmt: skip

    counts = [
        lab.body(function, region=region) for region in ("eu-west-1", "eu-west-1", "sa-east-1")
    ]

    assert counts == ["1", "2", "1"]


def test_an_environment_has_a_temporary_folder_of_its_own(lab: Any) -> None:
    """It outlives an invocation and ends with the environment."""
    function = lab.load(
        RESPOND
        + """
import os, tempfile, pathlib
def handler(event, context):
    folder = pathlib.Path(tempfile.gettempdir())
    found = sorted(path.name for path in folder.iterdir())
    (folder / "left").write_text("x")
    if event["Records"][0]["cf"]["request"]["uri"] == "/end":
        os._exit(1)
    return respond([str(folder), found])
"""
    )
    (folder, first), (_, second) = (json.loads(lab.body(function)) for _ in range(2))
    lab.fails(function, "/end")

    assert (first, second) == ([], ["left"])
    assert not Path(folder).exists()


def test_origin_and_response_events_reach_the_handler(lab: Any) -> None:
    """All four triggers run the same way; a changed origin is reported."""
    function = lab.load(
        """
        def handler(event, context):
            cf = event["Records"][0]["cf"]
            if "response" in cf:
                cf["response"]["headers"]["x-seen"] = [{"value": cf["config"]["eventType"]}]
                return cf["response"]
            cf["request"]["origin"]["custom"]["domainName"] = "other.example"
            cf["request"]["headers"]["host"] = [{"value": "other.example"}]
            return cf["request"]
        """
    )
    origin = LambdaCustomOrigin("example.org")
    changed = lab.await_(
        function.run(lab.event(event_type=EventType.ORIGIN_REQUEST), origin=origin)
    )
    results = [
        lab.run(function, event_type=event_type, response=Response(200, "OK", body=b"kept")).result
        for event_type in (EventType.ORIGIN_RESPONSE, EventType.VIEWER_RESPONSE)
    ]

    assert changed.origin.domain_name == "other.example"
    assert [result.headers.get("x-seen") for result in results] == [
        "origin-response",
        "viewer-response",
    ]
    assert [result.body for result in results] == [b"kept", b"kept"]


@pytest.mark.conformance("LAE-64", "LAE-66", "CF-92")
def test_include_body_shows_the_beginning_of_a_streamed_body_and_sends_it_whole(lab: Any) -> None:
    """The function sees 40 KB; the origin gets every piece."""
    pieces = [b"a" * 30_000, b"b" * 30_000, b"c" * 30_000]

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def collect(body: AsyncIterator[bytes]) -> bytes:
        return b"".join([piece async for piece in body])

    function = lab.load(
        """
        import base64
        def handler(event, context):
            request = event["Records"][0]["cf"]["request"]
            body = request["body"]
            seen = base64.b64decode(body["data"])
            request["headers"]["x-seen"] = [{"value": f"{len(seen)} {body['inputTruncated']}"}]
            return request
        """
    )
    event = lab.event(method="POST", body=stream())
    result = lab.await_(function.run(event, include_body=True)).result

    assert result.headers.get("x-seen") == "40960 True"
    assert lab.await_(collect(result.body)) == b"".join(pieces)


# --- Logs -----------------------------------------------------------------------------------------
def test_the_log_has_start_output_end_and_report(lab: Any) -> None:
    """print, stderr, logging and os.write, in order, between Lambda's own lines."""
    function = lab.load(
        """
        import logging, os, sys
        print("while loading")
        def handler(event, context):
            print("printed", "twice")
            print("to stderr", file=sys.stderr)
            logging.getLogger("x").warning("careful %d", 1)
            logging.info("below the level")
            os.write(1, b"raw\\n")
            return {"status": 200}
        """
    )
    run = lab.run(function)
    start, *between = [line.replace(run.aws_request_id, "ID") for line in run.logs]

    assert start == "while loading"
    assert between[0] == "START RequestId: ID Version: 1"
    assert between[1:3] == ["printed twice", "to stderr"]
    assert re.fullmatch(r"\[WARNING\]\t\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z\tID\tcareful 1", between[3])
    assert between[4:6] == ["raw", "END RequestId: ID"]
    assert re.fullmatch(
        r"REPORT RequestId: ID\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\t"
        r"Memory Size: 128 MB\tMax Memory Used: \d+ MB\tInit Duration: [\d.]+ ms",
        between[6],
    )
    assert "while loading" not in lab.run(function).logs


def test_every_line_goes_to_the_log_with_group_stream_and_region(lab: Any) -> None:
    """As CloudWatch would file them."""
    function = lab.load("def handler(e, c):\n    print('here')\n    return {'status': 200}\n")
    lab.log.clear()
    lab.run(function, region="sa-east-1")
    line = next(line for line in lab.log if line.message == "here")

    assert (line.group, line.region) == ("/aws/lambda/us-east-1.answers", "sa-east-1")
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[1\][0-9a-f]{32}", line.stream)


@pytest.mark.conformance("LAE-76")
def test_a_validation_error_is_logged_in_the_distributions_group(lab: Any) -> None:
    """`(<requestId>) ERROR Validation error: …`, in the Region where it ran."""
    function = lab.load("def handler(e, c):\n    return {'status': 99}\n")
    lab.log.clear()
    error = lab.fails(function)
    line = lab.log[-1]

    assert line.group == "/aws/cloudfront/LambdaEdge/EDFDVBD6EXAMPLE"
    assert line.message == f"({lab.event().request_id}) ERROR Validation error: {error.detail}"
    assert error.logs[-1] == line.message


# --- Failures -------------------------------------------------------------------------------------
@pytest.mark.conformance("LAE-69")
def test_an_exception_is_503_and_its_text_stays_in_the_log(lab: Any) -> None:
    """The viewer's sentence says nothing of it; the next run finds the same environment."""
    function = lab.load(
        """
        def handler(event, context):
            if event["Records"][0]["cf"]["request"]["uri"] == "/ok":
                return {"status": 200}
            raise ValueError("secret")
        """
    )
    error = lab.fails(function)

    assert (error.kind, error.kind.status) == (FailureKind.LAMBDA_EXECUTION, 503)
    assert error.sentence == NOT_RUN
    assert error.detail.startswith("ValueError: secret\n")
    assert 'handler.py", line 5, in handler' in error.detail
    assert "[ERROR] ValueError: secret" in error.logs
    assert not lab.run(function, "/ok").cold_start


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import nothing_like_this",
            "Runtime.ImportModuleError: Unable to import module",
        ),
        ("def handler(:", "Runtime.UserCodeSyntaxError: Syntax error in module 'handler'"),
        ("x = 1", "Runtime.HandlerNotFound: Handler 'handler' missing on module 'handler'"),
        ("raise OSError('at import')", "OSError: at import"),
        ("import sys; sys.exit(2)", "Error: Runtime exited with error: exit status 2"),
        ("import os; os._exit(0)", "Error: Runtime exited without providing a reason"),
    ],
)
@pytest.mark.conformance("LAE-69")
def test_a_handler_that_cannot_be_loaded_is_503(lab: Any, code: str, said: str) -> None:
    """With the name that Lambda's runtime gives it, each time anew."""
    function = lab.load(code)

    for _ in range(2):
        error = lab.fails(function)

        assert error.kind is FailureKind.LAMBDA_EXECUTION
        assert error.detail.startswith(said)
        assert error.cold_start


@pytest.mark.conformance("LAE-70")
def test_a_timeout_kills_the_handler_and_the_next_run_is_a_cold_start(lab: Any) -> None:
    """503, Lambda's own line, and the process is gone."""
    function = lab.load(
        RESPOND
        + """
import os
def handler(event, context):
    if event["Records"][0]["cf"]["request"]["uri"] == "/hang":
        print("pid", os.getpid())
        while True:
            pass
    return respond("ok")
""",
        timeout_s=0.3,
    )
    error = lab.fails(function, "/hang")
    pid = int(next(line for line in error.logs if line.startswith("pid ")).split()[1])

    assert error.kind is FailureKind.LAMBDA_EXECUTION
    assert error.detail == "Task timed out after 0.30 seconds"
    assert error.billed_ms == 300
    assert any(line.endswith("Task timed out after 0.30 seconds") for line in error.logs)
    assert error.logs[-1].endswith("Status: timeout")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert lab.run(function).cold_start


def test_how_a_timeout_is_reported_is_a_switch(lab: Any) -> None:
    """Open question 10."""
    functions = LambdaFunctions(
        RealClock(),
        endpoint_url=None,
        switches=LambdaEdgeSwitches(timeout_failure=FailureKind.LAMBDA_LIMIT),
    )
    package = lab.package("import time\ndef handler(e, c):\n    time.sleep(9)\n")
    declared = LambdaDeclaration("f", "handler.handler", "python3.13", package, timeout_s=0.2)
    with pytest.raises(LambdaFunctionError) as caught:
        lab.await_(functions.load(declared).run(lab.event()))
    lab.await_(functions.close())

    assert caught.value.kind is FailureKind.LAMBDA_LIMIT


@pytest.mark.conformance("LAE-71")
@pytest.mark.parametrize("value", ["None", "[]", "'text'", "7", "(1, 2)"])
def test_a_result_that_is_no_object_is_502(lab: Any, value: str) -> None:
    """In CloudFront's own words."""
    error = lab.fails(lab.load(f"def handler(e, c):\n    return {value}\n"))

    assert (error.kind, error.sentence) == (FailureKind.LAMBDA_VALIDATION, rules.NOT_AN_OBJECT)


@pytest.mark.conformance("LAE-72")
@pytest.mark.parametrize(
    "value",
    ["{'body': object()}", "{'status': {1, 2}}", "{(1,): 2}", "{'x': uuid.uuid4()}", "loop"],
)
def test_a_result_that_cannot_be_encoded_is_503(lab: Any, value: str) -> None:
    """Awslambdaric's Runtime.MarshalError: the function failed, so it is not a 502."""
    function = lab.load(
        f"import uuid\nloop = {{}}\nloop['x'] = loop\ndef handler(e, c):\n    return {value}\n"
    )
    error = lab.fails(function)

    assert error.kind is FailureKind.LAMBDA_EXECUTION
    assert error.detail.startswith("Runtime.MarshalError: Unable to marshal response: ")


@pytest.mark.conformance("LAE-73")
@pytest.mark.parametrize("value", ["float('nan')", "{'status': float('inf')}", "b'bytes'"])
def test_a_result_that_is_no_json_is_502(lab: Any, value: str) -> None:
    """NaN comes out as a bare token, bytes as they are."""
    error = lab.fails(lab.load(f"def handler(e, c):\n    return {value}\n"))

    assert (error.kind, error.sentence) == (FailureKind.LAMBDA_VALIDATION, rules.NOT_PARSABLE)


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ("{'status': Decimal(200)}", b""),
        ("{'status': 200, 'body': b'bytes inside'}", b"bytes inside"),
        ('b\'{"status": 200, "body": "raw"}\'', b"raw"),
        ("{'status': http.HTTPStatus.OK}", b""),
        ("{'status': 200, 'headers': {'x-a': [Header('v')]}}", b""),
    ],
)
def test_results_are_encoded_as_awslambdaric_does(lab: Any, value: str, body: bytes) -> None:
    """Decimal as a number, bytes as text, bytes alone as they are, namedtuples as objects."""
    function = lab.load(
        "import http, collections\nfrom decimal import Decimal\n"
        "Header = collections.namedtuple('Header', 'value')\n"
        f"def handler(e, c):\n    return {value}\n"
    )

    assert lab.run(function).result.body == body


@pytest.mark.conformance("LAE-74")
def test_beyond_the_regions_concurrency_a_run_is_throttled(lab: Any) -> None:
    """503 LambdaLimitExceeded, at once; another Region is not concerned."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, concurrency_per_region=2)
    package = lab.package(
        "import time\ndef handler(e, c):\n    time.sleep(0.3)\n    return {'status': 200}\n"
    )
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))

    async def four() -> list[Any]:
        regions = ["eu-west-2", "eu-west-2", "eu-west-2", "sa-east-1"]
        runs = (function.run(lab.event(region=region)) for region in regions)
        return await asyncio.gather(*runs, return_exceptions=True)

    results = lab.await_(four())
    lab.await_(functions.close())
    throttled = [result for result in results if isinstance(result, LambdaFunctionError)]

    assert len(throttled) == 1
    assert results.index(throttled[0]) == 2
    assert throttled[0].kind is FailureKind.LAMBDA_LIMIT
    assert throttled[0].sentence.endswith("was throttled.")


# --- Loading --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"package": Path("/nowhere/at/all")}, "no package folder '/nowhere/at/all'"),
        ({"handler": "missing.handler"}, "needs the file missing.py"),
        ({"handler": "handler"}, "names no function"),
        ({"runtime": "ruby3.4"}, "no runtime 'ruby3.4'"),
        ({"runtime": "nodejs22.x"}, "needs the file handler.js"),
        ({"timeout_s": 31}, "Max allowed: 30"),
        ({"memory_mb": 64}, "MemorySize 64"),
        ({"version": "$LATEST"}, "specific function version"),
    ],
)
def test_what_cannot_run_is_refused_when_it_is_loaded(
    lab: Any, changes: dict[str, Any], said: str
) -> None:
    """The message names what, where and how to mend."""
    package = lab.package("def handler(e, c): ...")
    declared = {"name": "f", "handler": "handler.handler", "runtime": "python3.13", **changes}
    declared.setdefault("package", package)

    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        lab.functions.load(LambdaDeclaration(**declared))
    assert "Lambda function f" in str(caught.value)


def test_nodejs_without_node_is_refused(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the way to mend it."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="there is no 'node' on PATH"):
        lab.load("exports.handler = () => {}", file="handler.js", runtime="nodejs22.x")


def test_another_python_version_is_a_warning(lab: Any) -> None:
    """It runs on this machine's, and says so."""
    function = lab.load("def handler(e, c): ...", runtime="python3.99")

    assert "declared for python3.99" in function.warnings[0]


def test_unload_ends_the_environments(lab: Any) -> None:
    """So that a function can be swapped between two requests."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None)
    package = lab.package("def handler(e, c):\n    return {'status': 200}\n")
    function = functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))
    lab.await_(function.run(lab.event()))
    idle_before = functions.occupancy.idle
    functions.unload(function)
    idle_after = functions.occupancy.idle
    lab.await_(functions.close())

    assert (idle_before, idle_after) == (1, 0)
