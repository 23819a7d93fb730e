"""`localpop policy`: the IAM policies that this template needs, and no more."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any, Final

from emulator.app.deployment import stack_name
from emulator.app.settings import Overrides, current_settings
from emulator.deploy.permissions import (
    ANY,
    MANAGED_POLICY_MAX_CHARS,
    Names,
    Needs,
    deployer_policy,
    function_roles,
    policy_chars,
    read_needs,
    wide_statements,
)
from emulator.deploy.sdk import AwsTarget, aws_errors, error_code
from emulator.errors import ConfigError

_EPILOG: Final = """\
examples:
  localpop policy --deployer > deployer.json      what `localpop deploy` and `kvs sync` need
  localpop policy --functions                     role and policy of each Lambda function
  localpop policy --deployer --account 111122223333
  localpop policy --deployer --resolve            account and stores' ARNs, asked of AWS
"""


def add_commands(commands: Any) -> None:
    """Add `policy` to the command's own commands."""
    policy = commands.add_parser(
        "policy",
        help="the IAM policies that this template needs: its functions', its deployer's",
        description="Prints IAM policies as JSON, written from the template and narrowed to its "
        "names. What is wider than it must be is said on standard error.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = policy.add_mutually_exclusive_group()
    which.add_argument(
        "--deployer", action="store_true", help="the policy of whoever deploys (the default)"
    )
    which.add_argument(
        "--functions", action="store_true", help="role and policy of each Lambda function"
    )
    policy.add_argument(
        "--stack", default="", metavar="NAME", help="the deployment's name (the folder's)"
    )
    policy.add_argument("--account", metavar="ID", default="", help="the account's id (any: *)")
    policy.add_argument(
        "--resolve",
        action="store_true",
        help="ask AWS, as the SDK resolves it, for the account's id and the stores' ARNs",
    )
    policy.add_argument("--endpoint-url", default="", metavar="URL", help="with --resolve: ask it")
    policy.set_defaults(act=run_policy)


def run_policy(arguments: argparse.Namespace) -> int:
    """Print one of the two.

    Raises:
        ConfigError: The template cannot be read, or AWS does not answer.
    """
    if arguments.account and not re.fullmatch("[0-9]{12}", arguments.account):
        raise ConfigError(f"{arguments.account!r} is no account id.", mend="Write its 12 digits.")
    settings = current_settings(Overrides())
    stack = stack_name(settings, arguments.stack)
    needs = read_needs(settings.templates, settings.answers, stack)
    names = _names(arguments, needs)
    if arguments.functions:
        _tell(wide_statements(needs))
        print(json.dumps(function_roles(needs, names), indent=2))
        return 0
    policy = deployer_policy(needs, names)
    chars = policy_chars(policy)
    if chars > MANAGED_POLICY_MAX_CHARS:
        _tell(
            [
                f"{chars:,} characters; a managed policy may have {MANAGED_POLICY_MAX_CHARS:,}: "
                "split its statements over two policies."
            ]
        )
    if needs.others:
        _tell([f"left to CloudFormation, and not in here: {', '.join(needs.others)}"])
    print(json.dumps(policy, indent=2))
    return 0


def _names(arguments: argparse.Namespace, needs: Needs) -> Names:
    account = arguments.account or ANY
    if not arguments.resolve:
        return Names(account)
    target = AwsTarget(arguments.endpoint_url)
    with aws_errors():
        account = str(target.client("sts").get_caller_identity()["Account"])
    control = target.client("cloudfront")
    arns: dict[str, str] = {}
    for name in needs.stores.values():
        try:
            arns[name] = control.describe_key_value_store(Name=name)["KeyValueStore"]["ARN"]
        except control.exceptions.ClientError as error:
            if error_code(error) != "EntityNotFound":
                with aws_errors():
                    raise
            _tell([f"there is no store {name} yet: its statement names every store"])
    return Names(account, arns)


def _tell(lines: list[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)
