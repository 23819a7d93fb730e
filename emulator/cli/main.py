"""`localpop`: the one command.

Exit codes: 0 fine, 1 a command or check failed, 2 bad input or a port in use, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from emulator.app.settings import current_settings
from emulator.cli.common import (
    add_declared_python,
    add_settings,
    get_json,
    overrides_of,
    run_loop,
    tell,
)
from emulator.cli.show import show_trace
from emulator.errors import ConfigError, LocalpopError
from emulator.values.trace import Stage, Trace

if TYPE_CHECKING:
    from emulator.app.emulator import Emulator

# Only the module of the command that was typed is imported: all of them together, and the emulator
# with its SDKs, take most of a second.
_MODULES: Final = {
    "event": "functions",
    "invoke": "functions",
    "test-function": "functions",
    "logs": "functions",
    "package": "package",
    "places": "places",
    "predict": "predict",
    "fault": "fault",
    "events": "events",
    "dead-letters": "events",
    "clock": "events",
    "invalidate": "invalidate",
    "deploy": "deploy",
    "rollback": "deploy",
    "destroy": "deploy",
    "kvs": "kvs",
    "policy": "policy",
    "doctor": "doctor",
}
"""Every command that is not in this file, and the module beside it that has it."""
_HERE: Final = ("up", "run", "validate", "show", "trace", "load", "reset")

_EPILOG = """\
examples:
  localpop doctor                        what is missing here, and what mends it
  localpop up                            serve template.yaml; reload on save; Ctrl-C ends it
  localpop run -- pytest tests/edge      start, run a command, stop; its exit code is ours
  localpop trace 5f0c…                   what happened to one request (id: X-Localpop-Trace)
  localpop invoke NAME --uri /a?b=1       run one Lambda@Edge function, with no server at all
  localpop test-function NAME --uri /a    test one CloudFront Function, with a server or without
  localpop logs --follow                 what functions write
  localpop load --profile spike           load test what runs; load --help tells more
  localpop package --all                 what you deploy, into build/
  localpop deploy --plan                 what a deployment would change; then localpop deploy
  localpop kvs sync answers.json         make a key value store hold what a file says
  curl -H 'X-Localpop-Viewer: NRT/4g' localhost:8080/    ask from Tokyo over a mobile network

Each flag has an environment twin (--viewer-port is LOCALPOP_VIEWER_PORT); flag beats environment
beats localpop.toml.
"""


def main() -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        if words and words[0] == "load":
            return import_module("emulator.cli.load").load(words[1:])  # type: ignore[no-any-return]
        own, _, rest = _split(words)
        arguments = _parser(own[0] if own else "").parse_args(own)
        arguments.rest = rest
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


def _parser(command: str) -> argparse.ArgumentParser:
    """The parser of one command, or of all where none is named that exists."""
    wanted = {_MODULES[command]} if command in _MODULES else set()
    if not wanted and command not in _HERE:
        wanted = set(_MODULES.values())
    parser = argparse.ArgumentParser(
        prog="localpop",
        description="CloudFront's edge, on localhost.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    up = commands.add_parser("up", help="serve the template until Ctrl-C; reload on save")
    up.add_argument(
        "--debug",
        metavar="FUNCTION",
        default=os.environ.get("LOCALPOP_DEBUG", ""),
        help="run this Python Lambda@Edge function inside localpop itself, so that your IDE's "
        "breakpoints stop it (docs/lambda-at-edge.md)",
    )
    add_declared_python(up)
    add_settings(up)
    up.set_defaults(act=_up)
    once = commands.add_parser(
        "run", help="start everything, run the command after --, stop; its exit code is ours"
    )
    add_declared_python(once)
    add_settings(once)
    once.set_defaults(act=_run)
    validate = commands.add_parser(
        "validate", help="check template and localpop.toml, start nothing"
    )
    add_settings(validate)
    validate.set_defaults(act=_validate)
    show = commands.add_parser("show", help="what was understood: behaviors, policies, origins")
    show.add_argument("--json", action="store_true", help="the same as JSON")
    add_settings(show)
    show.set_defaults(act=_show)
    trace = commands.add_parser("trace", help="what happened to one request, stage by stage")
    trace.add_argument(
        "id", help="the beginning of the X-Localpop-Trace header; `last` for the newest"
    )
    trace.add_argument("--json", action="store_true", help="the same as JSON")
    add_settings(trace)
    trace.set_defaults(act=_trace)
    for module in dict.fromkeys(_MODULES.values()):
        if module in wanted:
            import_module(f"emulator.cli.{module}").add_commands(commands)
    # Listed here for --help; `run` hands its words on before they are parsed.
    commands.add_parser("load", help="load tests with Locust, and their history (load --help)")
    reset = commands.add_parser(
        "reset",
        help="forget every store, distribution, function, rule and queue, and moto's services",
    )
    add_settings(reset)
    reset.set_defaults(act=_reset)
    return parser


# --- up, run ------------------------------------------------------------------------------------


def _up(arguments: argparse.Namespace) -> int:
    return run_loop(_serve(arguments, _until_stopped))


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.rest:
        raise ConfigError(
            "localpop run needs a command.", mend="Write it after --: localpop run -- pytest"
        )

    async def command(emulator: Emulator) -> int:
        return await emulator.run(arguments.rest)

    return run_loop(_serve(arguments, command))


async def _serve(arguments: argparse.Namespace, then: Any) -> int:
    """Start everything, do `then`, stop everything; a signal ends whatever is under way."""
    work = asyncio.current_task()
    assert work is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, work.cancel)
    try:
        settings = current_settings(overrides_of(arguments))
        debug = getattr(arguments, "debug", "")
        from emulator.app.emulator import running

        async with running(
            settings, tell, debug=debug, declared_python=arguments.declared_python
        ) as emulator:
            await emulator.run_setup()
            await emulator.start_origins()
            watching = asyncio.create_task(emulator.watch_files())
            # What is there by now stays: no collection needs to walk it while requests wait.
            gc.collect()
            gc.freeze()
            try:
                code: int = await then(emulator)
            finally:
                watching.cancel()
            return code
    except asyncio.CancelledError:
        return 130


async def _until_stopped(emulator: Emulator) -> int:
    tell(_banner(emulator))
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        tell("stopping")
        return 0
    return 0


def _certificate(emulator: Emulator) -> str:
    return f"{emulator.settings.state.name}/tls/certificate.pem"


def _banner(emulator: Emulator) -> str:
    behaviors = [
        f"    {behavior.path_pattern:<20} "
        f"{', '.join(one.kind for one in behavior.functions) or '-'}"
        for distribution in emulator.edge.site.distributions
        for behavior in distribution.behaviors
    ]
    listed = "\n".join(behaviors)
    urls = "".join(
        f"  function URL  {emulator.function_urls} (Host: {one.domain_name})\n"
        for one in emulator.deployer.declared.function_urls
    )
    return f"""ready

  viewers       {emulator.viewer_url}
  HTTPS         {emulator.https_url}    (curl --cacert {_certificate(emulator)})
  AWS endpoint  {emulator.aws_url}
  dashboard     {emulator.dashboard_url}
{urls}
  behaviors and their edge functions
{listed}

  try
    curl -i {emulator.viewer_url}/
    curl -i -H 'X-Localpop-Viewer: NRT/4g' {emulator.viewer_url}/
    localpop trace last
    # then boto3 and the AWS CLI work as they are
    export AWS_ENDPOINT_URL={emulator.aws_url} AWS_DEFAULT_REGION=us-east-1
    export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local

  what survives a restart (in {emulator.settings.state.name}/): key value stores; what was made of
  CloudFront, Lambda, EventBridge, Step Functions and SQS through the AWS endpoint, with messages
  in queues and whatever is under way. S3, DynamoDB and all other services (moto's) are forgotten;
  localpop reset forgets everything.
  Ctrl-C ends everything"""


# --- the others ---------------------------------------------------------------------------------


def _validate(arguments: argparse.Namespace) -> int:
    from emulator.cli.project import validate_project

    """Start nothing; say what is wrong, and what would be once it runs."""
    return validate_project(current_settings(overrides_of(arguments)))


def _show(arguments: argparse.Namespace) -> int:
    from emulator.cli.project import show_project

    """Start nothing; say what was understood."""
    return show_project(current_settings(overrides_of(arguments)), as_json=arguments.json)


def _trace(arguments: argparse.Namespace) -> int:
    settings = current_settings(overrides_of(arguments))
    base = f"http://127.0.0.1:{settings.dashboard_port}"
    if arguments.id == "last":
        found = get_json(f"{base}/traces.json?count=1")
        if not found:
            raise ConfigError("No request has been served yet.")
        raw = found[0]
    else:
        raw = get_json(f"{base}/traces/{arguments.id.partition(';')[0]}.json")
    if arguments.json:
        print(json.dumps(raw, indent=2))
        return 0
    raw["stages"] = tuple(Stage(**stage) for stage in raw["stages"])
    raw["logs"] = tuple(raw["logs"])
    return show_trace(Trace(**raw))


def _reset(arguments: argparse.Namespace) -> int:
    """Make the running emulator's account as it was at its first start."""
    settings = current_settings(overrides_of(arguments))
    get_json(f"http://127.0.0.1:{settings.aws_port}/_localpop/reset", method="POST", body={})
    print("everything is as at the first start; what the template declares is deployed anew")
    return 0
