"""`localpop event`, `invoke`, `test-function` and `logs`: one edge function at a time."""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.parse
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from emulator.app.function_trial import ask_running, run_here
from emulator.app.invocation import (
    Invoked,
    InvokedPlainly,
    dump_result,
    invoke,
    invoke_plainly,
    is_regional,
)
from emulator.app.settings import current_settings
from emulator.cli.common import add_declared_python, add_settings, get_json, overrides_of, run_loop
from emulator.errors import ConfigError
from emulator.project.local import LocalSettings
from emulator.values.functions import EventType
from emulator.values.messages import Response
from emulator.wire.cloudfront_function_event import EventShape
from emulator.wire.cloudfront_functions import dump_event as dump_cloudfront_function_event
from emulator.wire.lambda_edge_event import (
    Example,
    WrittenEvent,
    example_event,
    example_function_event,
    read_event,
)

_LOOK_EVERY_S: Final = 0.5
_EVENT_EPILOG: Final = """\
examples:
  localpop event > event.json
  localpop event --trigger origin-response --uri /missing --status 404
  localpop event --header 'Cookie: group=b' --header 'Accept: image/webp'
  localpop event --kind cloudfront-function     the event of a CloudFront Function instead
"""
_INVOKE_EPILOG: Final = """\
examples:
  localpop invoke redirects --event event.json
  localpop invoke redirects --uri /old?page=2
  localpop invoke redirects --trigger origin-request --header 'Host: example.com' --json
  localpop event --uri /old | localpop invoke redirects --event -

A function that no distribution runs takes any JSON by --event ({} without it) and gives any JSON.
The result goes to standard output as JSON, everything else to standard error. The exit code is 1
when the function failed. boto3 in the handler asks the AWS endpoint of a running localpop up.
"""
_TEST_EPILOG: Final = """\
examples:
  localpop event --kind cloudfront-function > event.json
  localpop test-function redirects --event event.json
  localpop test-function redirects --uri /old?page=2 --header 'Cookie: group=b'
  localpop test-function redirects --trigger viewer-response --status 404

Prints what `aws cloudfront test-function` returns. A running localpop is asked, through its AWS
endpoint; without one the function runs straight from the template. As at AWS, changes of the origin
and of read-only headers are not checked. The exit code is 1 when FunctionErrorMessage says
something.
"""


def add_commands(commands: Any) -> None:
    """The four commands."""
    formatter = argparse.RawDescriptionHelpFormatter
    event = commands.add_parser(
        "event",
        help="print a Lambda@Edge event to start from",
        epilog=_EVENT_EPILOG,
        formatter_class=formatter,
    )
    _add_example(event)
    event.add_argument(
        "--kind",
        choices=["lambda-at-edge", "cloudfront-function"],
        default="lambda-at-edge",
        help="whose event (lambda-at-edge)",
    )
    event.set_defaults(act=_event)
    run = commands.add_parser(
        "invoke",
        help="run one Lambda function once, with no server",
        epilog=_INVOKE_EPILOG,
        formatter_class=formatter,
    )
    run.add_argument("function", help="its name, or its logical id in the template")
    run.add_argument("--event", metavar="FILE", help="the event; - reads standard input")
    _add_example(run)
    run.add_argument("--json", action="store_true", help="result, failure, log and times as JSON")
    run.add_argument(
        "--awslambdaric", action="store_true", help="under AWS's own runtime interface client"
    )
    add_declared_python(run)
    add_settings(run)
    run.set_defaults(act=_invoke)
    test = commands.add_parser(
        "test-function",
        help="test one CloudFront Function, as aws cloudfront test-function does",
        epilog=_TEST_EPILOG,
        formatter_class=formatter,
    )
    test.add_argument("function", help="its name, or its logical id in the template")
    test.add_argument("--event", metavar="FILE", help="the event; - reads standard input")
    test.add_argument(
        "--stage", choices=["DEVELOPMENT", "LIVE"], default="DEVELOPMENT", help="(DEVELOPMENT)"
    )
    _add_example(test)
    add_settings(test)
    test.set_defaults(act=_test_function)
    logs = commands.add_parser("logs", help="what edge functions of the running emulator wrote")
    logs.add_argument("function", nargs="?", default="", help="only this function's lines")
    logs.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    logs.add_argument("--count", type=int, default=100, help="how many lines at first (100)")
    add_settings(logs)
    logs.set_defaults(act=_logs)


def _add_example(parser: argparse.ArgumentParser) -> None:
    triggers = [one.value for one in EventType]
    parser.add_argument("--trigger", choices=triggers, help="the event (viewer-request)")
    parser.add_argument("--uri", help="path, and query behind a ? (/index.html)")
    parser.add_argument("--method", help="the viewer's method (GET)")
    parser.add_argument(
        "--header",
        action="append",
        metavar="'NAME: VALUE'",
        help="a request header; again for more",
    )
    parser.add_argument("--body", help="the request's body, shown as with IncludeBody")
    parser.add_argument("--status", type=int, help="response events: the origin's status (200)")
    parser.add_argument(
        "--response-header",
        action="append",
        metavar="'NAME: VALUE'",
        help="response events: a header of the response",
    )
    parser.add_argument("--client-ip", metavar="IP", help="the viewer's address")


def _example(arguments: argparse.Namespace) -> Example:
    """What the flags say; the rest is the example's own."""
    said: dict[str, Any] = {
        "uri": arguments.uri,
        "method": arguments.method,
        "headers": _lines(arguments.header),
        "body": None if arguments.body is None else arguments.body.encode(),
        "status": arguments.status,
        "response_headers": _lines(arguments.response_header),
        "client_ip": arguments.client_ip,
    }
    if arguments.uri is not None and not arguments.uri.startswith("/"):
        raise ConfigError(f"--uri is {arguments.uri!r}.", mend="It must begin with /.")
    given = {name: value for name, value in said.items() if value is not None}
    return Example(EventType(arguments.trigger or EventType.VIEWER_REQUEST), **given)


def _lines(headers: list[str] | None) -> list[tuple[str, str]] | None:
    if headers is None:
        return None
    lines = []
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise ConfigError(f"{header!r} is no header.", mend="Write it as 'Name: value'.")
        lines.append((name.strip(), value.strip()))
    return lines


# --- event, invoke ------------------------------------------------------------------------------
def _event(arguments: argparse.Namespace) -> int:
    example = _example(arguments)
    shape: Any
    if arguments.kind == "cloudfront-function":
        shape = _cloudfront_function_event(example)
    else:
        shape = example_event(example)
    print(json.dumps(shape, indent=2, ensure_ascii=False))
    return 0


def _cloudfront_function_event(example: Example) -> EventShape:
    if not example.event_type.is_viewer:
        raise ConfigError(
            "CloudFront Functions have no origin events.",
            mend="Use --trigger viewer-request or viewer-response.",
        )
    return dump_cloudfront_function_event(example_function_event(example))


def _invoke(arguments: argparse.Namespace) -> int:
    settings = current_settings(overrides_of(arguments))
    if is_regional(settings, arguments.function):
        return _invoke_plainly(arguments, settings)
    written = _written(arguments)
    outcome: list[Invoked] = []

    async def once() -> int:
        outcome.append(
            await invoke(
                settings,
                arguments.function,
                written,
                awslambdaric=arguments.awslambdaric,
                declared_python=arguments.declared_python,
            )
        )
        return 0

    run_loop(once())
    if arguments.json:
        print(json.dumps(_as_json(outcome[0], written), indent=2, ensure_ascii=False))
    else:
        _show(outcome[0], written)
    return 1 if outcome[0].failure else 0


def _invoke_plainly(arguments: argparse.Namespace, settings: LocalSettings) -> int:
    """A function in its Region: any JSON in, any JSON out."""
    event: Any = {}
    if arguments.event is not None:
        event, _ = _read_json(arguments.event, "echo '{}' > event.json")
    outcome: list[InvokedPlainly] = []

    async def once() -> int:
        outcome.append(
            await invoke_plainly(
                settings,
                arguments.function,
                event,
                awslambdaric=arguments.awslambdaric,
                declared_python=arguments.declared_python,
            )
        )
        return 0

    run_loop(once())
    run, warnings = outcome[0].run, outcome[0].warnings
    result = json.loads(run.payload)
    if arguments.json:
        shape = {
            "failure" if run.failed else "result": result,
            "warnings": list(warnings),
            "logs": list(run.logs),
            "duration_ms": run.billed_ms,
            "init_ms": run.init_ms,
            "max_memory_mb": run.max_memory_mb,
        }
        print(json.dumps(shape, indent=2, ensure_ascii=False))
        return 1 if run.failed else 0
    for warning in warnings:
        _say(f"warning: {warning}")
    print(json.dumps(result, indent=2, ensure_ascii=False), flush=True)
    _say_log(run.logs)
    _say(
        f"{'failed' if run.failed else 'returned'}; {run.billed_ms:.2f} ms, cold start "
        f"{run.init_ms:.0f} ms, {run.max_memory_mb} MB"
    )
    return 1 if run.failed else 0


def _written(arguments: argparse.Namespace) -> WrittenEvent:
    """The event of --event, else an example's."""
    if arguments.event is None:
        return read_event(example_event(_example(arguments)), where="localpop event")
    raw, where = _read_json(arguments.event, "localpop event > event.json")
    trigger = EventType(arguments.trigger) if arguments.trigger else None
    return read_event(raw, where=where, event_type=trigger)


def _read_json(file: str, make_one: str) -> tuple[Any, str]:
    """What a file or standard input holds, and what to call it."""
    where = "standard input" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(where).read_text("utf-8")
        return json.loads(text), where
    except FileNotFoundError:
        raise ConfigError(f"There is no {where}.", mend=f"Make one: {make_one}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"It is no JSON: {error}.", where=where) from None


def _as_json(invoked: Invoked, written: WrittenEvent) -> dict[str, Any]:
    run, failure = invoked.run, invoked.failure
    shape: dict[str, Any] = {"warnings": list(invoked.warnings)}
    if run is not None:
        return shape | {
            "result": dump_result(run, written),
            "warnings": [*invoked.warnings, *run.warnings],
            "logs": list(run.logs),
            "duration_ms": run.billed_ms,
            "init_ms": run.init_ms,
            "max_memory_mb": run.max_memory_mb,
        }
    assert failure is not None
    return shape | {
        "failure": {
            "status": failure.kind.status,
            "x-cache": f"{failure.kind} from cloudfront",
            "sentence": failure.sentence,
            "detail": failure.detail,
        },
        "logs": list(failure.logs),
        "duration_ms": failure.billed_ms,
    }


def _show(invoked: Invoked, written: WrittenEvent) -> None:
    """The result where a pipe finds it; what is for people beside it."""
    run, failure = invoked.run, invoked.failure
    for warning in invoked.warnings:
        _say(f"warning: {warning}")
    if run is not None:
        print(json.dumps(dump_result(run, written), indent=2, ensure_ascii=False), flush=True)
        for warning in run.warnings:
            _say(f"warning: {warning}")
        _say_log(run.logs)
        start = f"cold start {run.init_ms:.0f} ms" if run.cold_start else "warm"
        _say(
            f"{_verdict(run.result, written)}; {run.billed_ms:.2f} ms, {start}, "
            f"{run.max_memory_mb} MB"
        )
        return
    assert failure is not None
    status = failure.kind.status
    print(f"{status} {HTTPStatus(status).phrase}, X-Cache: {failure.kind} from cloudfront")
    print(failure.sentence, flush=True)
    _say_log(failure.logs)
    _say(f"failed: {failure.detail}; {failure.billed_ms:.2f} ms")


def _verdict(result: object, written: WrittenEvent) -> str:
    if not isinstance(result, Response):
        return "the request goes on"
    if written.event.event_type.is_request:
        return f"answered with {result.status}, X-Cache: LambdaGeneratedResponse from cloudfront"
    return f"the response goes on with {result.status}"


def _say_log(lines: tuple[str, ...]) -> None:
    for line in lines:
        _say(f"  | {line}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


# --- test-function ------------------------------------------------------------------------------
def _test_function(arguments: argparse.Namespace) -> int:
    shape: Any
    if arguments.event is None:
        shape = _cloudfront_function_event(_example(arguments))
    else:
        make_one = "localpop event --kind cloudfront-function > event.json"
        shape, _ = _read_json(arguments.event, make_one)
    event = json.dumps(shape, ensure_ascii=False).encode()
    settings = current_settings(overrides_of(arguments))
    results = []
    asked = ask_running(settings, arguments.function, event, arguments.stage)
    if asked is not None:
        results.append(asked)
    else:

        async def once() -> int:
            results.append(await run_here(settings, arguments.function, event, arguments.stage))
            return 0

        run_loop(once())
    (result,) = results
    # The AWS CLI writes dates so.
    shown = {"TestResult": result}
    print(json.dumps(shown, indent=4, ensure_ascii=False, default=datetime.isoformat))
    return 1 if result["FunctionErrorMessage"] else 0


# --- logs ---------------------------------------------------------------------------------------
def _logs(arguments: argparse.Namespace) -> int:
    settings = current_settings(overrides_of(arguments))
    after, count = 0, max(1, arguments.count)
    while True:
        query = urllib.parse.urlencode(
            {"after": after, "count": count, "function": arguments.function}
        )
        lines = get_json(f"http://127.0.0.1:{settings.dashboard_port}/logs.json?{query}")
        for line in lines:
            print(_log_line(line), flush=True)
            after = line["number"]
        if not arguments.follow:
            if not lines:
                whose = arguments.function or "Any function"
                _say(f"{whose} has written nothing yet.")
            return 0
        count = 10_000
        time.sleep(_LOOK_EVERY_S)


def _log_line(line: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(line["epoch_ms"] / 1000, UTC)
    stamp = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
    return f"{stamp} {line['region']} {line['function']}  {line['message']}"
