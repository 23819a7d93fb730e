"""A plan as people read it: what becomes of each resource, and what would say something else."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from emulator.deploy.plan import Action, Change, Plan, Step

_SIGNS: Final = {
    Action.CREATE: ("+", "32"),
    Action.CHANGE: ("~", "33"),
    Action.REPLACE: ("±", "35"),
    Action.DELETE: ("-", "31"),
    Action.KEEP: (" ", "2"),
}
_CHARS_SHOWN: Final = 110
_CODE_LINES_SHOWN: Final = 40


def plan_lines(plan: Plan, *, colour: bool = False) -> Iterator[str]:
    """The plan, line by line.

    Args:
        plan: The plan.
        colour: Whether the terminal shows colours.
    """
    widths = (
        max((len(step.key) for step in plan.steps), default=0),
        max((len(_type(step)) for step in plan.steps), default=0),
    )
    for step in plan.steps:
        yield _step_line(step, widths, colour=colour)
        if step.note:
            yield f"      {step.note}"
        for change in step.changes:
            yield from _change_lines(change, colour=colour)
    if plan.left:
        yield ""
        yield "left to CloudFormation (localpop deploy makes the edge only; docs/deploy.md)"
        for left in plan.left:
            yield f"    {left.key}  {left.type}"
    if plan.unfinished:
        yield ""
        yield "An earlier run was interrupted while viewers were being moved: it is finished."
    if plan.invalidates:
        yield ""
        yield f"invalidates {' '.join(plan.invalidates)}"
    for warning in plan.warnings:
        yield f"warning: {warning}"
    yield ""
    yield summary(plan)


def summary(plan: Plan) -> str:
    """How many resources become what."""
    words = (
        (Action.CREATE, "to create"),
        (Action.CHANGE, "to change"),
        (Action.REPLACE, "to replace"),
        (Action.DELETE, "to delete"),
        (Action.KEEP, "left alone"),
    )
    counted = ((plan.count(action), word) for action, word in words)
    return ", ".join(f"{count} {word}" for count, word in counted if count) or "nothing"


def _type(step: Step) -> str:
    return step.type.removeprefix("AWS::")


def _step_line(step: Step, widths: tuple[int, int], *, colour: bool) -> str:
    sign, code = _SIGNS[step.action]
    columns = f"{step.key:<{widths[0]}}  {_type(step):<{widths[1]}}  {step.name}"
    line = f"  {sign} {step.action:<11} {columns}".rstrip()
    return f"\x1b[{code}m{line}\x1b[0m" if colour else line


def _change_lines(change: Change, *, colour: bool) -> Iterator[str]:
    before, after = change.before, change.after
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield f"      {change.path}"
        yield from _text_lines(before, after, colour=colour)
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield f"      {change.path}"
        texts = (json.dumps(one, indent=2, sort_keys=True, default=str) for one in (before, after))
        yield from _text_lines(*texts, colour=colour)
        return
    old = "" if before is None else _short(before)
    new = "(taken away)" if after is None else _short(after)
    yield f"      {change.path}: {f'{old} -> ' if old else ''}{new}"


def _text_lines(before: str, after: str, *, colour: bool) -> Iterator[str]:
    shown = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))[
        2:
    ]
    for line in shown[:_CODE_LINES_SHOWN]:
        code = {"+": "32", "-": "31"}.get(line[:1], "2")
        cut = line[:_CHARS_SHOWN]
        yield f"        \x1b[{code}m{cut}\x1b[0m" if colour else f"        {cut}"
    if len(shown) > _CODE_LINES_SHOWN:
        yield f"        … {len(shown) - _CODE_LINES_SHOWN} more lines (--json has all)"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= _CHARS_SHOWN else text[: _CHARS_SHOWN - 1] + "…"
