"""What may be answered ahead of time: the declaration of every task, held to its rules at start.

`tasks.toml` beside this file names each task's class (real-time, near-real-time, batch), refresh
cycle, freshness, owner and reason. Whatever imports the backend reads it first, and a wrong entry
stops there, with its line: a task that is live-only by its kind (prices, cart, intent, guardrails)
can never be declared as anything but real-time.

`python -m origin.tasks` prints the table.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeVar

_Choice = TypeVar("_Choice", bound=StrEnum)

TASKS_FILE = Path(__file__).with_name("tasks.toml")

TASK_ID = re.compile(r"[a-z0-9-]{1,64}")
"""As an ActionID, for a task that is answered is one."""

FOLLOW_UP_TTL_S: Final = 300
"""How long an answer that only a prediction asked for stays: five minutes."""

NO_CYCLE: Final = "none"
CYCLES_S: Final[Mapping[str, int]] = MappingProxyType(
    {"15min": 900, "1h": 3_600, "6h": 21_600, "daily": 86_400}
)
"""The refresh cycles and their periods; `schedules.toml` says when each runs, and for how much."""

LIVE_ONLY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "prices": "a price is a promise at the moment it is shown, and an old one is a wrong one",
        "cart": "a cart changes under the viewer's own hands while the answer waits",
        "intent": "what somebody wants follows from what they type now, not from what they typed",
        "guardrails": "a check made before its input exists has checked something else",
    }
)
"""Kinds of tasks that are never made ahead of time, and why."""


class TaskClass(StrEnum):
    """How far ahead of its question an answer may be made."""

    REAL_TIME = "real-time"
    NEAR_REAL_TIME = "near-real-time"
    BATCH = "batch"


class MadeBy(StrEnum):
    """Who makes an answer."""

    MODEL = "model"
    RANKING = "ranking"
    NOBODY = "nobody"


class Trigger(StrEnum):
    """What has an answer made ahead of time."""

    LOGIN = "login"
    WORKFLOW = "workflow"
    UPLOAD = "upload"
    CYCLE = "cycle"
    FOLLOW_UP = "follow-up"
    STATE_CHANGE = "state-change"


# Subjects as of StateChanged: `deployment:checkout-api`, `policy:refunds`, `row:tickets/T-2400`.
_SUBJECT = re.compile(r"[a-z]+:[A-Za-z0-9/._-]*(?:\{(user|service|ticket|alert|team)\})?")


class TaskError(Exception):
    """The declaration of a task is wrong; the message says where, why, and how to mend it."""


class TaskRuleError(ValueError):
    """A task breaks a rule; `member` is the one to mend, empty for the task as a whole."""

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(problem)
        self.member = member


@dataclass(frozen=True, slots=True)
class Task:
    """One declared task; the members are explained at the top of `tasks.toml`.

    Attributes:
        task_id: Its name; an ActionID when it is answered.
        kind: What it is about.
        task_class: How far ahead it may be made.
        made_by: Who makes it.
        owner: Who is asked when its contract is broken.
        reason: Why it has this class.
        triggers: What has it made; none for real-time.
        refresh_cycle: The cycle that makes it anew, or `none`.
        freshness_sla_s: How old it may be when it is served.
        invalidated_by: Patterns of the state changes that make it wrong.
        confidence: How sure it is when it is made, 0 to 1.
        half_life_s: After how long it is half as sure; 0 for no decay.
    """

    task_id: str
    kind: str
    task_class: TaskClass
    made_by: MadeBy
    owner: str
    reason: str
    triggers: tuple[Trigger, ...] = ()
    refresh_cycle: str = NO_CYCLE
    freshness_sla_s: int = 0
    invalidated_by: tuple[str, ...] = ()
    confidence: float = 1.0
    half_life_s: int = 0

    def __post_init__(self) -> None:
        for member, problem in _problems(self):
            raise TaskRuleError(member, problem)

    @property
    def is_made_ahead(self) -> bool:
        """Whether it may be there before its question."""
        return self.task_class is not TaskClass.REAL_TIME

    def ttl_s(self, trigger: Trigger) -> int:
        """How long an answer is valid that this trigger has made."""
        if trigger is Trigger.FOLLOW_UP:
            return min(FOLLOW_UP_TTL_S, self.freshness_sla_s)
        return self.freshness_sla_s


_Problem = tuple[str, str]


def _problems(task: Task) -> Iterator[_Problem]:
    """What is wrong with a declaration: the member, and the words; the gravest first."""
    if task.kind in LIVE_ONLY and task.is_made_ahead:
        yield (
            "class",
            f"class {task.task_class.value!r} is refused for kind {task.kind!r}: "
            f"{LIVE_ONLY[task.kind]}. Declare it real-time",
        )
    if not TASK_ID.fullmatch(task.task_id):
        yield "", "its name must be 1 to 64 characters of a-z, 0-9 and '-'"
    for name in ("kind", "owner", "reason"):
        if not str(getattr(task, name)).strip():
            yield name, f"{name} is empty"
    if task.refresh_cycle not in {NO_CYCLE, *CYCLES_S}:
        known = ", ".join([*CYCLES_S, NO_CYCLE])
        yield "refresh_cycle", f"refresh_cycle {task.refresh_cycle!r} is unknown (known: {known})"
    if not 0 < task.confidence <= 1:
        yield "confidence", f"confidence {task.confidence}: above 0 and at most 1 expected"
    if task.half_life_s < 0:
        yield "half_life_s", f"half_life_s {task.half_life_s}: 0 or more expected"
    yield from _made_ahead_problems(task) if task.is_made_ahead else _real_time_problems(task)


def _real_time_problems(task: Task) -> Iterator[_Problem]:
    names = ["triggers", "invalidated_by", "freshness_sla_s"]
    for name in [name for name in names if getattr(task, name)]:
        yield name, f"{name} is set, but a real-time task is never made ahead of time: leave it out"
    if task.refresh_cycle != NO_CYCLE:
        yield "refresh_cycle", "a real-time task has no refresh_cycle: leave it out"


def _made_ahead_problems(task: Task) -> Iterator[_Problem]:
    cycle_s = CYCLES_S.get(task.refresh_cycle, 0)
    if task.made_by is MadeBy.NOBODY:
        yield "made_by", "made_by 'nobody': a task that is made ahead of time needs a maker"
    if not task.triggers:
        yield "triggers", "triggers is empty: nothing would ever have it made"
    if (Trigger.CYCLE in task.triggers) != bool(cycle_s):
        yield "triggers", "the trigger 'cycle' and a refresh_cycle belong together"
    if task.task_class is TaskClass.BATCH and not cycle_s:
        yield "class", "a batch task needs a refresh_cycle"
    if task.freshness_sla_s < 1:
        yield "freshness_sla_s", "freshness_sla_s must be at least one second"
    if cycle_s > task.freshness_sla_s:
        yield (
            "freshness_sla_s",
            f"freshness_sla_s {task.freshness_sla_s} is shorter than its refresh_cycle of "
            f"{cycle_s} s: it would be broken in every cycle",
        )
    if not task.invalidated_by:
        yield (
            "invalidated_by",
            "invalidated_by is empty: name what makes it wrong, at least a policy",
        )
    for subject in task.invalidated_by:
        if not _SUBJECT.fullmatch(subject):
            yield (
                "invalidated_by",
                f"invalidated_by {subject!r} is no subject (such as deployment:{{service}}, "
                "row:tickets/{ticket}, policy:refunds)",
            )


def load_tasks(path: Path = TASKS_FILE) -> Mapping[str, Task]:
    """Read the declarations.

    Raises:
        TaskError: The file is missing, is no TOML, or an entry breaks a rule.
    """
    try:
        text = path.read_text(encoding="utf-8")
        shape = tomllib.loads(text)
    except OSError as error:
        raise TaskError(f"{path}: {error.strerror}. Every task must be declared there") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: not TOML: {error}") from error
    tables = shape.get("tasks")
    strangers = [name for name in shape if name != "tasks"]
    if not isinstance(tables, dict) or not tables or strangers:
        raise TaskError(f"{path}: tables named [tasks.<name>] expected, and nothing else")
    lines = _Lines(path, text)
    return MappingProxyType({name: _parse(name, table, lines) for name, table in tables.items()})


_MEMBERS: Final[Mapping[str, type | tuple[type, ...]]] = MappingProxyType(
    {
        "kind": str,
        "class": str,
        "made_by": str,
        "owner": str,
        "reason": str,
        "triggers": list,
        "refresh_cycle": str,
        "freshness_sla_s": int,
        "invalidated_by": list,
        "confidence": (int, float),
        "half_life_s": int,
    }
)
_REQUIRED = ("kind", "class", "made_by", "owner", "reason")


def _parse(name: str, table: Any, lines: _Lines) -> Task:
    if not isinstance(table, dict):
        lines.refuse(name, "", "a table expected")
    for member, value in table.items():
        wanted = _MEMBERS.get(member)
        if wanted is None:
            lines.refuse(name, member, f"{member} is unknown (known: {', '.join(_MEMBERS)})")
        if not isinstance(value, wanted) or isinstance(value, bool):
            lines.refuse(name, member, f"{member} has the wrong type: {value!r}")
    for member in _REQUIRED:
        if member not in table:
            lines.refuse(name, "", f"{member} is missing")
    try:
        return Task(
            task_id=name,
            task_class=_choice(TaskClass, "class", table["class"]),
            made_by=_choice(MadeBy, "made_by", table["made_by"]),
            triggers=tuple(_choice(Trigger, "triggers", one) for one in table.get("triggers", ())),
            invalidated_by=tuple(map(str, table.get("invalidated_by", ()))),
            **{
                field.name: table[field.name]
                for field in fields(Task)
                if field.name in table and field.name not in _CONVERTED
            },
        )
    except TaskRuleError as error:
        lines.refuse(name, error.member, str(error))


def _choice(choices: type[_Choice], member: str, value: object) -> _Choice:
    try:
        return choices(str(value))
    except ValueError:
        known = ", ".join(choices)
        raise TaskRuleError(member, f"{member} {value!r} is unknown (known: {known})") from None


_CONVERTED = {"made_by", "triggers", "invalidated_by"}


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where things stand in the file; tomllib does not tell."""

    path: Path
    text: str

    def refuse(self, task_id: str, member: str, problem: str) -> NoReturn:
        line = self._line(task_id, member)
        raise TaskError(f"{self.path} line {line}: [tasks.{task_id}]: {problem}")

    def _line(self, task_id: str, member: str) -> int:
        header = re.compile(rf"\s*\[\s*tasks\s*\.\s*[\"']?{re.escape(task_id)}[\"']?\s*\]")
        found = 1
        is_inside = False
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header.match(line):
                found, is_inside = number, True
                if not member:
                    return number
            elif line.lstrip().startswith("["):
                is_inside = False
            elif is_inside and member and re.match(rf"\s*{re.escape(member)}\s*=", line):
                return number
        return found


def tasks_for(tasks: Mapping[str, Task], trigger: Trigger) -> tuple[str, ...]:
    """The tasks that this trigger has made, in the order of the file."""
    return tuple(name for name, task in tasks.items() if trigger in task.triggers)


def format_table(tasks: Mapping[str, Task]) -> str:
    """The table for people."""
    header = ("task", "class", "kind", "made by", "cycle", "fresh for", "triggers", "owner")
    rows = [header] + [
        (
            task.task_id,
            task.task_class.value,
            task.kind,
            task.made_by.value,
            task.refresh_cycle,
            f"{task.freshness_sla_s} s" if task.freshness_sla_s else "-",
            " ".join(task.triggers) or "-",
            task.owner,
        )
        for task in tasks.values()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m origin.tasks",
        description="Print every task: whether it may be made ahead of time, how old it may be, "
        "and who answers for it. Exit code: 0, or 2 when the declarations are wrong.",
    )
    parser.add_argument("--file", type=Path, default=TASKS_FILE, help="default: %(default)s")
    parser.add_argument("--reasons", action="store_true", help="print each task's reason, too")
    options = parser.parse_args(arguments)
    try:
        tasks = load_tasks(options.file)
    except TaskError as error:
        print(f"origin.tasks: {error}", file=sys.stderr)
        return 2
    print(format_table(tasks))
    if options.reasons:
        print()
        for task in tasks.values():
            print(f"{task.task_id}: {task.reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
