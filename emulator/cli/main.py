"""`localpop`: the one command.

Exit codes: 0 fine, 1 a command or check failed, 2 bad input or a port in use, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Coroutine, Sequence
from typing import Any

from emulator.app.deploy import problems_of
from emulator.app.emulator import Emulator, running
from emulator.app.settings import Overrides, current_settings
from emulator.cli.show import show_places, show_trace
from emulator.errors import ConfigError, LocalpopError
from emulator.project.template import read_template
from emulator.values.trace import Stage, Trace

_EPILOG = """\
examples:
  localpop up                            serve template.yaml; reload on save; Ctrl-C ends it
  localpop run -- pytest tests/edge      start, run a command, stop; its exit code is ours
  localpop trace 5f0c…                   what happened to one request (id: X-Localpop-Trace)
  curl -H 'X-Localpop-Viewer: NRT/4g' localhost:8080/    ask from Tokyo over a mobile network

Each flag has an environment twin (--viewer-port is LOCALPOP_VIEWER_PORT); flag beats environment
beats localpop.toml.
"""


def main() -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    own, _, rest = _split(words)
    arguments = _parser().parse_args(own)
    arguments.rest = rest
    try:
        code: int = arguments.act(arguments)
    except LocalpopError as error:
        print(f"localpop: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough.
        sys.stderr.close()
        return 0
    return code


def _split(words: Sequence[str]) -> tuple[list[str], str, list[str]]:
    words = list(words)
    if "--" not in words:
        return words, "", []
    at = words.index("--")
    return words[:at], "--", words[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="localpop",
        description="CloudFront's edge, on localhost.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    up = commands.add_parser("up", help="serve the template until Ctrl-C; reload on save")
    _add_settings(up)
    up.set_defaults(act=_up)
    once = commands.add_parser(
        "run", help="start everything, run the command after --, stop; its exit code is ours"
    )
    _add_settings(once)
    once.set_defaults(act=_run)
    validate = commands.add_parser(
        "validate", help="check template and localpop.toml, start nothing"
    )
    _add_settings(validate)
    validate.set_defaults(act=_validate)
    trace = commands.add_parser("trace", help="what happened to one request, stage by stage")
    trace.add_argument(
        "id", help="the beginning of the X-Localpop-Trace header; `last` for the newest"
    )
    trace.add_argument("--json", action="store_true", help="the same as JSON")
    _add_settings(trace)
    trace.set_defaults(act=_trace)
    load = commands.add_parser(
        "load", help="load test with Locust; everything after -- goes to `python -m loadtests run`"
    )
    load.set_defaults(act=_load)
    places = commands.add_parser("places", help="points of presence, with round trips to a Region")
    places.add_argument("--region", default="us-east-1", help="the origin's Region")
    places.set_defaults(act=lambda arguments: show_places(arguments.region))
    fault = commands.add_parser("fault", help="make an AWS service of the running emulator fail")
    fault.add_argument("service", choices=["bedrock-runtime"])
    fault.add_argument("fault", choices=["throttle", "mid-stream", "unavailable", "clear"])
    fault.add_argument("--count", type=int, default=1, help="how many calls fail")
    _add_settings(fault)
    fault.set_defaults(act=_fault)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--viewer-port", type=int, metavar="PORT", help="the viewers' port (8080)")
    parser.add_argument("--aws-port", type=int, metavar="PORT", help="the AWS endpoint (4566)")
    parser.add_argument("--dashboard-port", type=int, metavar="PORT", help="the dashboard (8090)")
    parser.add_argument("--host", help="the address to bind (127.0.0.1)")
    parser.add_argument(
        "--place", metavar="POP/ACCESS", help="where a silent viewer is (LHR/fibre)"
    )
    parser.add_argument("--latency", choices=["on", "off"], help="simulated latency")
    parser.add_argument("--seed", type=int, help="fixes every simulated draw")


def _overrides(arguments: argparse.Namespace) -> Overrides:
    return Overrides(
        viewer_port=arguments.viewer_port,
        aws_port=arguments.aws_port,
        dashboard_port=arguments.dashboard_port,
        host=arguments.host,
        place=arguments.place,
        latency=None if arguments.latency is None else arguments.latency == "on",
        seed=arguments.seed,
    )


def _tell(line: str) -> None:
    print(f"localpop: {line}", flush=True)


def _loop_run(main_: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main_)
    code: int = uvloop.run(main_)
    return code


# --- up, run ------------------------------------------------------------------------------------


def _up(arguments: argparse.Namespace) -> int:
    return _loop_run(_serve(arguments, _until_stopped))


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.rest:
        raise ConfigError(
            "localpop run needs a command.", mend="Write it after --: localpop run -- pytest"
        )

    async def command(emulator: Emulator) -> int:
        return await emulator.run(arguments.rest)

    return _loop_run(_serve(arguments, command))


async def _serve(arguments: argparse.Namespace, then: Any) -> int:
    """Start everything, do `then`, stop everything; a signal ends whatever is under way."""
    work = asyncio.current_task()
    assert work is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, work.cancel)
    try:
        async with running(current_settings(_overrides(arguments)), _tell) as emulator:
            await emulator.run_setup()
            await emulator.start_origins()
            watching = asyncio.create_task(emulator.watch_files())
            try:
                code: int = await then(emulator)
            finally:
                watching.cancel()
            return code
    except asyncio.CancelledError:
        return 130


async def _until_stopped(emulator: Emulator) -> int:
    _tell(_banner(emulator))
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        _tell("stopping")
        return 0
    return 0


def _banner(emulator: Emulator) -> str:
    behaviors = [
        f"    {behavior.path_pattern:<20} {', '.join(one.kind for one in behavior.functions) or '-'}"
        for distribution in emulator.edge.site.distributions
        for behavior in distribution.behaviors
    ]
    listed = "\n".join(behaviors)
    return f"""ready

  viewers       {emulator.viewer_url}
  AWS endpoint  {emulator.aws_url}
  dashboard     {emulator.dashboard_url}

  behaviors and their edge functions
{listed}

  try
    curl -i {emulator.viewer_url}/
    curl -i -H 'X-Localpop-Viewer: NRT/4g' {emulator.viewer_url}/
    localpop trace last
    export AWS_ENDPOINT_URL={emulator.aws_url}    # then boto3 and the AWS CLI work as they are

  key value stores survive a restart (in {emulator.settings.state.name}/); nothing else is kept
  Ctrl-C ends everything"""


# --- the others ---------------------------------------------------------------------------------


def _validate(arguments: argparse.Namespace) -> int:
    """Start nothing; say what is wrong, and what would be once it runs."""
    settings = current_settings(_overrides(arguments))
    declared = read_template(settings.template, settings.parameters)
    problems = problems_of(declared, settings)
    for problem in problems:
        print(f"would fail when it runs: {problem}")
    behaviors = sum(len(distribution.behaviors) for distribution in declared.distributions)
    print(
        f"{settings.template.name}: {len(declared.distributions)} distribution(s), "
        f"{behaviors} behaviors, {len(declared.functions)} CloudFront Function(s), "
        f"{len(declared.lambdas)} Lambda@Edge function(s), {len(declared.stores)} store(s)"
    )
    return 1 if problems else 0


def _trace(arguments: argparse.Namespace) -> int:
    settings = current_settings(_overrides(arguments))
    base = f"http://127.0.0.1:{settings.dashboard_port}"
    if arguments.id == "last":
        found = _get_json(f"{base}/traces.json?count=1")
        if not found:
            raise ConfigError("No request has been served yet.")
        raw = found[0]
    else:
        raw = _get_json(f"{base}/traces/{arguments.id.partition(';')[0]}.json")
    if arguments.json:
        print(json.dumps(raw, indent=2))
        return 0
    raw["stages"] = tuple(Stage(**stage) for stage in raw["stages"])
    raw["logs"] = tuple(raw["logs"])
    return show_trace(Trace(**raw))


def _get_json(url: str, *, method: str = "GET", body: object = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        answered = json.loads(error.read() or b"{}")
        raise ConfigError(
            f"{answered.get('error') or answered.get('message') or answered}.",
            mend=str(answered.get("mend", "")),
        ) from None
    except (urllib.error.URLError, OSError):
        raise ConfigError(
            f"Nothing answers at {url.split('/', 3)[2]}.", mend="Start it with: localpop up"
        ) from None


def _load(arguments: argparse.Namespace) -> int:
    words = [sys.executable, "-m", "loadtests", "run", *arguments.rest]
    return subprocess.run(words, check=False).returncode


def _fault(arguments: argparse.Namespace) -> int:
    settings = current_settings(_overrides(arguments))
    url = f"http://127.0.0.1:{settings.aws_port}/_localpop/faults"
    if arguments.fault == "clear":
        _get_json(url, method="DELETE")
        print(f"{arguments.service}: no faults")
        return 0
    plan = {"service": arguments.service, "fault": arguments.fault, "count": arguments.count}
    _get_json(url, method="POST", body=plan)
    print(f"{arguments.service}: the next {arguments.count} call(s) end in {arguments.fault}")
    return 0
