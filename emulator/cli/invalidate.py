"""`localpop invalidate`: remove objects from the caches of a running emulator."""

from __future__ import annotations

import argparse
from typing import Any

from emulator.app.settings import Overrides, current_settings
from emulator.cli.common import get_json


def add_commands(commands: Any) -> None:
    """Add `invalidate` to the command's own commands."""
    invalidate = commands.add_parser(
        "invalidate",
        help="remove objects from the running emulator's caches",
        description="As CreateInvalidation does, but at once: a path with its query string, or one "
        "that ends with * for everything that begins so. Quote it, or your shell expands the *.",
    )
    invalidate.add_argument("paths", nargs="+", metavar="PATH", help="such as '/images/*'")
    invalidate.add_argument(
        "--distribution", metavar="ID", default="", help="only this one (every distribution)"
    )
    invalidate.add_argument("--aws-port", type=int, metavar="PORT", help="the AWS endpoint (4566)")
    invalidate.set_defaults(act=run_invalidate)


def run_invalidate(arguments: argparse.Namespace) -> int:
    """Remove them; says how many there were.

    Raises:
        ConfigError: A path that AWS would refuse, or nothing runs.
    """
    settings = current_settings(Overrides(aws_port=arguments.aws_port))
    wanted = {"paths": arguments.paths, "distribution": arguments.distribution}
    url = f"http://127.0.0.1:{settings.aws_port}/_localpop/invalidations"
    removed = get_json(url, method="POST", body=wanted)["removed"]
    print(f"{removed} cached object{'' if removed == 1 else 's'} removed")
    return 0
