"""When answers are made by the clock, and for how much: the one file of cycles, and what follows.

`python -m origin.schedules` prints the cycles, `python -m origin.schedules cloudformation` the
EventBridge Scheduler entries that template.yaml holds between two marks.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, tzinfo
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from origin.tasks import CYCLES_S

SCHEDULES_FILE = Path(__file__).with_name("schedules.toml")

_EXPRESSION = re.compile(
    r"rate\([1-9]\d* (?:minute|minutes|hour|hours|day|days)\)|cron\(\S+(?: \S+){5}\)"
)
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class ScheduleError(Exception):
    """The file of cycles is wrong; the message says where and how to mend it."""


class Inference(StrEnum):
    """How a cycle asks the model."""

    ON_DEMAND = "on-demand"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle; the members are explained at the top of `schedules.toml`."""

    name: str
    expression: str
    time_zone: str
    inference: Inference
    max_users: int
    concurrency: int
    spend_limit_usd: float
    off_peak: str = ""
    at_peak_users: int = 0
    warm_requests: int = 0
    warm_rate_per_s: float = 5.0

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(problem)

    def _problems(self) -> list[str]:
        problems = []
        if self.name not in CYCLES_S:
            problems.append(f"no such cycle (known: {', '.join(CYCLES_S)})")
        if not _EXPRESSION.fullmatch(self.expression):
            problems.append(f"expression {self.expression!r}: rate(…) or cron(…) expected")
        try:
            _zone(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            problems.append(f"time_zone {self.time_zone!r} is unknown")
        if self.off_peak and not _WINDOW.fullmatch(self.off_peak):
            problems.append(f"off_peak {self.off_peak!r}: HH:MM-HH:MM expected")
        for name in ("max_users", "concurrency"):
            if getattr(self, name) < 1:
                problems.append(f"{name}: at least 1 expected")
        for name in ("spend_limit_usd", "at_peak_users", "warm_requests"):
            if not getattr(self, name) >= 0:
                problems.append(f"{name}: 0 or more expected")
        if not 0 < self.warm_rate_per_s <= 100:
            problems.append("warm_rate_per_s: above 0 and at most 100 expected")
        return problems

    def is_off_peak(self, now: datetime) -> bool:
        """Whether this moment lies in the quiet hours; always, for a cycle that has none."""
        if not self.off_peak:
            return True
        first, last = (time.fromisoformat(part) for part in self.off_peak.split("-"))
        at = now.astimezone(_zone(self.time_zone)).time()
        # A window such as 20:00-07:00 goes over midnight.
        return first <= at < last if first <= last else at >= first or at < last

    def users_at(self, now: datetime) -> int:
        """How many users are served at this moment, at the most."""
        return self.max_users if self.is_off_peak(now) else min(self.at_peak_users, self.max_users)


def _zone(name: str) -> tzinfo:
    # A function's machine may have no table of time zones; the one that needs none needs none.
    return UTC if name == "UTC" else ZoneInfo(name)


def load_cycles(path: Path = SCHEDULES_FILE) -> Mapping[str, Cycle]:
    """Read the cycles.

    Raises:
        ScheduleError: The file is missing, is no TOML, or an entry is wrong.
    """
    try:
        shape = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScheduleError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScheduleError(f"{path}: not TOML: {error}") from error
    tables = shape.get("cycles")
    if not isinstance(tables, dict) or set(shape) - {"cycles", "time_zone"}:
        raise ScheduleError(f"{path}: time_zone and tables named [cycles.<name>] expected")
    zone = shape.get("time_zone", "UTC")
    return MappingProxyType(
        {name: _parse(path, name, table, zone) for name, table in tables.items()}
    )


_NUMBERS = {"max_users", "concurrency", "at_peak_users", "warm_requests"}
_DECIMALS = {"spend_limit_usd", "warm_rate_per_s"}


def _parse(path: Path, name: str, table: Any, zone: Any) -> Cycle:
    where = f"{path}: [cycles.{name}]"
    known = {field.name for field in fields(Cycle)} - {"name"}
    if not isinstance(table, dict):
        raise ScheduleError(f"{where}: a table expected")
    for member, value in table.items():
        if member not in known:
            raise ScheduleError(f"{where}: {member} is unknown (known: {', '.join(sorted(known))})")
        wanted = int if member in _NUMBERS else (int, float) if member in _DECIMALS else str
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ScheduleError(f"{where}: {member} has the wrong type: {value!r}")
    try:
        settings = {"time_zone": zone, **table, "inference": Inference(table["inference"])}
        return Cycle(name=name, **settings)
    except KeyError as error:
        raise ScheduleError(f"{where}: {error.args[0]} is missing") from error
    except TypeError as error:
        missing = str(error).partition("argument")[2].strip("s: ")
        raise ScheduleError(f"{where}: missing: {missing}") from error
    except ValueError as error:
        raise ScheduleError(f"{where}: {error}") from error


# --- EventBridge Scheduler ---------------------------------------------------------------------

BEGIN: Final = "  # >>> Written by python -m origin.schedules from origin/schedules.toml"
END: Final = "  # <<< schedules"


def cloudformation(cycles: Mapping[str, Cycle]) -> str:
    """The template's entries, marks included.

    AWS CloudFormation Template Reference, AWS::Scheduler::Schedule:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-scheduler-schedule.html
    """
    return "\n".join([BEGIN, *map(_entry, cycles.values()), END]) + "\n"


def _entry(cycle: Cycle) -> str:
    # <aws.scheduler.…>: replaced by EventBridge Scheduler (User Guide "Context attributes").
    given = {"cycle": cycle.name, "scheduled_at": "<aws.scheduler.scheduled-time>"}
    logical_id = f"AnswerCycle{cycle.name[0].upper()}{cycle.name[1:]}"
    return f"""\
  {logical_id}:
    Type: AWS::Scheduler::Schedule
    Properties:
      Name: answer-cycle-{cycle.name}
      ScheduleExpression: {cycle.expression}
      ScheduleExpressionTimezone: {cycle.time_zone}
      FlexibleTimeWindow: {{Mode: "OFF"}}
      State: !Ref Cycles
      Target:
        Arn: !GetAtt AnswerCycle.Arn
        RoleArn: !GetAtt AnswerCycleScheduleRole.Arn
        Input: '{json.dumps(given)}'
        RetryPolicy: {{MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 600}}"""


def replace_block(template: str, block: str) -> str:
    """A template with the entries between its marks replaced.

    Raises:
        ScheduleError: The template has not both marks.
    """
    head, begin, rest = template.partition(BEGIN)
    _, end, tail = rest.partition(END + "\n")
    if not begin or not end:
        raise ScheduleError(f"the template has no lines {BEGIN.strip()!r} and {END.strip()!r}")
    return head + block + tail


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        cycles = load_cycles(options.file)
        if options.command == "cloudformation":
            return _cloudformation(cycles, options)
    except (ScheduleError, OSError) as error:
        print(f"origin.schedules: {error}", file=sys.stderr)
        return 2
    for cycle in cycles.values():
        window = f"off-peak {cycle.off_peak} {cycle.time_zone}" if cycle.off_peak else "at any hour"
        print(
            f"{cycle.name:6} {cycle.expression:24} {window:27} {cycle.inference:10} "
            f"{cycle.max_users} users, {cycle.concurrency} at once, "
            f"{cycle.spend_limit_usd:.2f} USD a run"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m origin.schedules",
        description="Print the cycles that answer ahead of time by the clock, or what the template "
        "says about them. Exit code: 0; 1 when the template differs; 2 when the file is wrong.",
    )
    parser.add_argument("--file", type=Path, default=SCHEDULES_FILE, help="default: %(default)s")
    commands = parser.add_subparsers(dest="command")
    making = commands.add_parser(
        "cloudformation", help="print AWS::Scheduler::Schedule entries for template.yaml"
    )
    which = making.add_mutually_exclusive_group()
    which.add_argument("--write", type=Path, metavar="TEMPLATE", help="replace them there")
    which.add_argument("--check", type=Path, metavar="TEMPLATE", help="compare them with it")
    return parser


def _cloudformation(cycles: Mapping[str, Cycle], options: argparse.Namespace) -> int:
    block = cloudformation(cycles)
    path: Path | None = options.write or options.check
    if path is None:
        print(block, end="")
        return 0
    before = path.read_text(encoding="utf-8")
    after = replace_block(before, block)
    if options.check and after != before:
        print(
            f"{path} differs from {options.file}: python -m origin.schedules cloudformation "
            f"--write {path}",
            file=sys.stderr,
        )
        return 1
    if options.write:
        path.write_text(after, encoding="utf-8")
        print(f"wrote {len(cycles)} schedules into {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
