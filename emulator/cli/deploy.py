"""`localpop deploy`, `rollback` and `destroy`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulator.app.deployment import Wanted, deployment, ledger_of, write_rest
from emulator.app.settings import Overrides, current_settings
from emulator.cli.common import pairs
from emulator.cli.plan_text import plan_lines
from emulator.deploy.deployment import Deployment
from emulator.deploy.destroy import Destruction
from emulator.deploy.plan import Plan
from emulator.deploy.rollback import Rollback
from emulator.deploy.target import Target, connect
from emulator.errors import ConfigError
from emulator.project.local import LocalSettings

_DEPLOY_EPILOG = """\
examples:
  localpop deploy --plan                        what would become of what; changes nothing
  localpop deploy                               do it, wait until viewers have it
  localpop deploy --parameter ApiDomainName=api.example.com
  localpop deploy --endpoint-url http://local@127.0.0.1:4566    rehearse it on a running localpop
  localpop deploy --distribution E1ABCDEFGHIJKL                 on one that is there already

It goes where the SDK's own settings lead (AWS_PROFILE, AWS_ENDPOINT_URL …) and says where that is.
Interrupted, it goes on when it is run again. Only what this deployment made is changed or deleted.
Buckets, queues, tables and Regional functions of a template are CloudFormation's: docs/deploy.md.
"""
_ROLLBACK_EPILOG = """\
examples:
  localpop rollback --plan       what would be changed back
  localpop rollback              what viewers got before the last deployment
  localpop rollback --to 3       what they got after the third

LIVE code of CloudFront Functions, policies and the distribution (with the Lambda versions it names)
go back. Keys of stores and $LATEST of Lambda functions stay as they are.
"""
_DESTROY_EPILOG = """\
examples:
  localpop destroy --plan        what would go
  localpop destroy               asks before it begins
  localpop destroy --yes --wait  no question; waits for Lambda@Edge's replicas, for hours if need be

Only what `localpop deploy` made goes. Replicas of Lambda@Edge functions are AWS's to delete, within
a few hours; until then their functions stay, and `localpop destroy` run again takes them away.
"""


def add_commands(commands: Any) -> None:
    """Add `deploy`, `rollback` and `destroy` to the command's own commands."""
    deploy = _add(
        commands,
        "deploy",
        _deploy,
        "bring the template's edge to AWS, or to a localpop",
        _DEPLOY_EPILOG,
    )
    deploy.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template (its default; else as last said)",
    )
    deploy.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="WHAT=VALUE",
        help="what only AWS knows: Resource.Attribute, an export, ssm:/name; a bucket's name",
    )
    deploy.add_argument(
        "--distribution", default="", metavar="ID", help="one that is there already: change it"
    )
    deploy.add_argument(
        "--with-boto3", action="store_true", help="vendor boto3 too, although Lambda has it"
    )
    deploy.add_argument(
        "--force", action="store_true", help="deploy although localpop validate finds errors"
    )
    deploy.add_argument(
        "--rest",
        dest="rest_folder",
        type=Path,
        metavar="FOLDER",
        help="deploy nothing: write what is left to CloudFormation, with what is deployed as its "
        "parameters",
    )
    rollback = _add(
        commands, "rollback", _rollback, "give viewers what they got before", _ROLLBACK_EPILOG
    )
    rollback.add_argument("--to", type=int, metavar="N", help="a revision's number (the last)")
    destroy = _add(
        commands, "destroy", _destroy, "take away what localpop deploy made", _DESTROY_EPILOG
    )
    destroy.add_argument(
        "--wait", action="store_true", help="wait for Lambda@Edge's replicas to go"
    )


def _add(commands: Any, name: str, act: Any, words: str, epilog: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=words, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--plan", action="store_true", help="say what would be done; change nothing")
    made.add_argument("--json", action="store_true", help="the plan as JSON (with --plan)")
    made.add_argument(
        "--stack", default="", metavar="NAME", help="the deployment's name (the folder's)"
    )
    made.add_argument(
        "--endpoint-url",
        default="",
        metavar="URL",
        help="an endpoint in AWS's place (AWS_ENDPOINT_URL)",
    )
    made.add_argument("--yes", action="store_true", help="do not ask")
    made.set_defaults(act=act)
    return made


# --- deploy -------------------------------------------------------------------------------------


def _deploy(arguments: argparse.Namespace) -> int:
    wanted = Wanted(
        arguments.stack,
        pairs(arguments.parameter, "--parameter"),
        pairs(arguments.value, "--value"),
        arguments.distribution,
        arguments.with_boto3,
        arguments.force,
    )
    with (
        _target(arguments) as (settings, target),
        deployment(settings, target, wanted, _tell_aside if arguments.json else _tell) as one,
    ):
        if arguments.plan:
            return _show(one.plan(), arguments)
        if arguments.rest_folder is not None:
            return _rest(one, arguments)
        if not target.is_local and not arguments.yes:
            plan = one.plan()
            _show(plan, arguments)
            if plan.has_changes and not _agreed("Deploy this?"):
                return 1
        changed = one.deploy()
        current = one.ledger.current
        if not changed:
            print("nothing to do: everything is as the template says")
        else:
            print(f"deployed {one.ledger.stack}, revision {current}")
        for name, value in one.template.outputs():
            print(f"  {name}: {value}")
    return 0


def _rest(one: Deployment, arguments: argparse.Namespace) -> int:
    folder: Path = arguments.rest_folder
    for file in write_rest(one, folder, with_boto3=arguments.with_boto3):
        print(file)
    print(f"""\
the rest is CloudFormation's, with what is deployed as its parameters:
  aws s3 cp {folder}/ s3://BUCKET/ --recursive --exclude '*' --include '*.zip'
  aws cloudformation deploy --template-file {folder}/rest.yaml --stack-name {one.ledger.stack} \\
      --capabilities CAPABILITY_IAM --parameter-overrides ArtifactBucket=BUCKET""")
    return 0


# --- rollback, destroy --------------------------------------------------------------------------


def _rollback(arguments: argparse.Namespace) -> int:
    with (
        _target(arguments) as (settings, target),
        ledger_of(settings, target, arguments.stack) as ledger,
    ):
        one = Rollback(target, ledger, _tell, arguments.to)
        if arguments.plan:
            return _show(one.plan(), arguments)
        if not target.is_local and not arguments.yes:
            _show(one.plan(), arguments)
            if not _agreed(f"Roll back to revision {one.revision.number}?"):
                return 1
        one.roll_back()
        print(f"viewers get revision {one.revision.number} of {ledger.stack} again")
    return 0


def _destroy(arguments: argparse.Namespace) -> int:
    with (
        _target(arguments) as (settings, target),
        ledger_of(settings, target, arguments.stack) as ledger,
    ):
        if ledger.is_empty:
            print(f"nothing to destroy: {ledger.stack} has made nothing in {target.account}")
            return 0
        one = Destruction(target, ledger, _tell, arguments.wait)
        if arguments.plan:
            return _show(one.plan(), arguments)
        if not arguments.yes:
            _show(one.plan(), arguments)
            if not _agreed(f"Destroy {ledger.stack}?"):
                return 1
        late = one.destroy()
        if late:
            print(f"not everything is gone yet: {late}")
            return 1
        print(f"destroyed {ledger.stack}: nothing is left of it in {target.account}")
    return 0


# --- what they share ----------------------------------------------------------------------------


@contextmanager
def _target(arguments: argparse.Namespace) -> Iterator[tuple[LocalSettings, Target]]:
    """The project and the account; says loudly which account it is."""
    settings = current_settings(Overrides())
    target = connect(arguments.endpoint_url)
    try:
        where = "this machine" if target.is_local else "AWS"
        line = f"aimed at {where}: account {target.account}, {target.endpoint} ({target.caller})"
        print(_bold(line), file=sys.stderr if arguments.json else sys.stdout, flush=True)
        yield settings, target
    finally:
        target.close()


def _show(plan: Plan, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print(json.dumps(plan.dump(), indent=2, ensure_ascii=False, default=str))
        return 0
    for line in plan_lines(plan, colour=_has_colour()):
        print(line)
    return 0


def _agreed(question: str) -> bool:
    """Ask the person at the terminal.

    Raises:
        ConfigError: There is none.
    """
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} Nobody is there to ask.", mend="Say so with --yes.")
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell(line: str) -> None:
    print(line, flush=True)


def _tell_aside(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _has_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _bold(line: str) -> str:
    return f"\x1b[1m{line}\x1b[0m" if _has_colour() else line
