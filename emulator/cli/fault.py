"""`localpop fault`: make something fail in a running emulator, for whom, and for how long."""

from __future__ import annotations

import argparse
from typing import Any, Final

from emulator.app.settings import Overrides, current_settings
from emulator.cli.common import get_json
from emulator.errors import ConfigError
from emulator.network.faults import Effect, Fault, parse_fault

_SERVICES: Final = ("bedrock-runtime", "cloudfront-keyvaluestore")
_FLAGS: Final = (
    ("place", "NRT/4g", "only viewers there: a point of presence, an access type, or both"),
    ("path", "PATTERN", "only paths that match, as in a cache behavior"),
    ("region", "REGION", "only origins (functions, callers) in this Region"),
    ("origin", "ID", "only this origin of the template"),
)
_FIGURES: Final = (
    ("share", "0..1", "the share of matching requests that meet it (1)"),
    ("ms", "MS", "origin-slow: how much longer"),
    ("loss", "0..1", "packet-loss: the share of packets lost, each way"),
    ("after", "SECONDS", "begin later (0)"),
    ("for", "SECONDS", "end by itself (until cleared)"),
)


def add_commands(commands: Any) -> None:
    """Add `fault` to the command's own commands."""
    fault = commands.add_parser(
        "fault",
        help="make the running emulator fail on purpose: an origin, a link, a service",
        description="What fails: "
        + ", ".join(Effect)
        + f"; or a service ({', '.join(_SERVICES)}) with a kind of failure. "
        "`list` shows what is planned, `clear` takes it back.",
    )
    fault.add_argument("what", choices=[*Effect, *_SERVICES, "list", "clear"], metavar="what")
    fault.add_argument(
        "kind",
        nargs="?",
        help="a service's kind of failure: throttle, mid-stream, unavailable, clear; a model's "
        "also empty, garbage, control-characters, over-long; "
        "after `clear`: the number of one fault",
    )
    fault.add_argument("--count", type=int, default=1, help="a service: how many calls fail (1)")
    for name, shown, told in _FLAGS:
        fault.add_argument(f"--{name}", metavar=shown, help=told)
    for name, shown, told in _FIGURES:
        fault.add_argument(f"--{name}", metavar=shown, type=float, help=told)
    fault.add_argument("--aws-port", type=int, metavar="PORT", help="the AWS endpoint (4566)")
    fault.set_defaults(act=run_fault)


def run_fault(arguments: argparse.Namespace) -> int:
    """Plan, list or clear faults.

    Raises:
        ConfigError: It cannot be, or nothing runs.
    """
    settings = current_settings(Overrides(aws_port=arguments.aws_port))
    url = f"http://127.0.0.1:{settings.aws_port}/_localpop/faults"
    if arguments.what == "list":
        return _show(get_json(url))
    if arguments.what == "clear":
        get_json(f"{url}/{arguments.kind}" if arguments.kind else url, method="DELETE")
        print(f"fault {arguments.kind}: cleared" if arguments.kind else "no faults")
        return 0
    if arguments.what in _SERVICES:
        return _service(arguments, url)
    table = fault_table(arguments)
    fault = parse_fault(table, "fault")
    get_json(url, method="POST", body=table)
    print(_told(fault))
    return 0


def fault_table(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the flags say, as the endpoint's JSON."""
    table: dict[str, Any] = {"effect": arguments.what}
    names = {"after": "after_s", "for": "for_s"}
    for name, _, _ in (*_FLAGS, *_FIGURES):
        value = getattr(arguments, name)
        if value is not None:
            table[names.get(name, name)] = value
    return table


def _service(arguments: argparse.Namespace, url: str) -> int:
    if arguments.kind is None:
        raise ConfigError(
            f"What shall {arguments.what} do?",
            mend="throttle, mid-stream, unavailable or clear; a model also empty, garbage, "
            "control-characters or over-long.",
        )
    if arguments.kind == "clear":
        get_json(url, method="DELETE")
        print(f"{arguments.what}: no faults")
        return 0
    plan = {"service": arguments.what, "fault": arguments.kind, "count": arguments.count}
    get_json(url, method="POST", body=plan)
    print(f"{arguments.what}: the next {arguments.count} call(s) end in {arguments.kind}")
    return 0


def _told(fault: Fault) -> str:
    begins = f"in {fault.after_s:g} s" if fault.after_s else "now"
    ends = f"for {fault.for_s:g} s" if fault.for_s else "until `localpop fault clear`"
    return f"{fault}: {begins}, {ends}"


def _show(answer: Any) -> int:
    faults = answer["faults"]
    if not faults:
        print("no faults")
    for fault in faults:
        if "effect" not in fault:
            print(f"      {fault['service']}: {fault['fault']}, {fault['count']} more call(s)")
            continue
        said = {
            key: value
            for key, value in fault.items()
            if key not in ("number", "active", "ends_in_s")
        }
        state = "active" if fault["active"] else "not active"
        left = "" if fault["ends_in_s"] is None else f", ends in {fault['ends_in_s']:.0f} s"
        print(f"{fault['number']:>4}  {parse_fault(said)}  ({state}{left})")
    return 0
