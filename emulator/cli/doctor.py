"""`localpop doctor`: what is missing or wrong here, and the command that mends it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import textwrap
from pathlib import Path
from typing import Any, Final

from emulator.app.doctor import Check, Examination, Verdict, examine
from emulator.cli.common import add_settings, overrides_of

_SIGNS: Final = {Verdict.OK: "ok", Verdict.WARNING: "warning", Verdict.PROBLEM: "PROBLEM"}
_COLOURS: Final = {Verdict.OK: "32", Verdict.WARNING: "33", Verdict.PROBLEM: "31;1"}
_COLUMNS: Final = 100
_INDENT: Final = 26


def add_commands(commands: Any) -> None:
    """Add `doctor` to the command's own commands."""
    doctor = commands.add_parser(
        "doctor",
        help="what is missing or wrong on this machine and in this project, and how to mend it",
        description="Looks at this machine, this project, its quotas and what the SDK resolves. "
        "Starts and changes nothing. Exit code 1 when there is a problem, else 0.",
    )
    doctor.add_argument(
        "--online",
        action="store_true",
        help="also ask AWS who you are, and pip for the wheels of Lambda functions (slow)",
    )
    doctor.add_argument("--json", action="store_true", help="the same as JSON")
    doctor.add_argument(
        "--endpoint-url", default="", metavar="URL", help="an endpoint in AWS's place"
    )
    add_settings(doctor)
    doctor.set_defaults(act=run_doctor)


def run_doctor(arguments: argparse.Namespace) -> int:
    """Look at everything; 1 when something is a problem."""
    patient = Examination(
        Path.cwd(),
        overrides_of(arguments),
        online=arguments.online,
        endpoint_url=arguments.endpoint_url,
    )
    found: list[Check] = []
    for check in examine(patient):
        if not arguments.json:
            print(_shown(check, first=not found or found[-1].area != check.area), flush=True)
        found.append(check)
    problems = sum(one.verdict is Verdict.PROBLEM for one in found)
    warnings = sum(one.verdict is Verdict.WARNING for one in found)
    if arguments.json:
        checks = [dataclasses.asdict(one) for one in found]
        print(json.dumps({"ok": not problems, "checks": checks}, indent=2))
    else:
        print(f"\n{len(found)} looked at: {problems} problem(s), {warnings} warning(s)")
    return 1 if problems else 0


def _shown(check: Check, *, first: bool) -> str:
    sign = _SIGNS[check.verdict]
    colour = f"\x1b[{_COLOURS[check.verdict]}m{sign}\x1b[0m"
    coloured = colour if sys.stdout.isatty() else sign
    head = f"  {coloured}{'':<{8 - len(sign)}} {check.name} "
    plain = 2 + 8 + 1 + len(check.name) + 1
    words = textwrap.wrap(
        check.said,
        _COLUMNS - _INDENT,
        initial_indent=" " * max(0, plain - _INDENT),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]
    lines = [head + " " * max(0, _INDENT - plain) + words[0].lstrip()]
    lines += [" " * _INDENT + line for line in words[1:]]
    if check.mend:
        lines.append(" " * _INDENT + f"mend: {check.mend}")
    if first:
        lines.insert(0, f"{check.area}")
    return "\n".join(lines)
