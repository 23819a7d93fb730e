"""What a deployment would do, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    """What becomes of a resource."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    DELETE = "delete"
    KEEP = "leave alone"


@dataclass(frozen=True, slots=True)
class Change:
    """One member that would say something else.

    Args:
        path: The member.
        before: What it says; None when it is not there.
        after: What it would say; None when it would not be there.
    """

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One resource and what becomes of it.

    Args:
        key: Its logical id; of several templates, with the stack's name before it.
        type: Its type in CloudFormation's words.
        name: Its name or id at AWS; empty when only AWS gives it.
        action: What becomes of it.
        changes: What would say something else.
        note: One sentence more.
    """

    key: str
    type: str
    name: str
    action: Action
    changes: tuple[Change, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """A resource of the template that CloudFormation makes, not `localpop deploy`.

    Args:
        key: Its logical id.
        type: Its type.
    """

    key: str
    type: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do.

    Args:
        stack: The deployment's name.
        account: The account it is aimed at.
        endpoint: The endpoint of CloudFront's API that it is aimed at.
        steps: In the order in which they are done.
        left: What is left to CloudFormation.
        unfinished: Whether an earlier deployment was interrupted on its way to the viewers.
        invalidates: Paths that the caches would forget.
        warnings: What is worth knowing before.
    """

    stack: str
    account: str
    endpoint: str
    steps: tuple[Step, ...]
    left: tuple[Left, ...] = ()
    unfinished: bool = False
    invalidates: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def has_changes(self) -> bool:
        """Whether anything would be done."""
        return self.unfinished or any(step.action is not Action.KEEP for step in self.steps)

    def count(self, action: Action) -> int:
        """How many resources an action meets."""
        return sum(step.action is action for step in self.steps)

    def dump(self) -> Mapping[str, Any]:
        """The plan as JSON has it."""
        return {
            "stack": self.stack,
            "account": self.account,
            "endpoint": self.endpoint,
            "has_changes": self.has_changes,
            "unfinished": self.unfinished,
            "steps": [_dump_step(step) for step in self.steps],
            "invalidates": list(self.invalidates),
            "left_to_cloudformation": [
                {"logical_id": one.key, "type": one.type} for one in self.left
            ],
            "warnings": list(self.warnings),
        }


def _dump_step(step: Step) -> Mapping[str, Any]:
    return {
        "logical_id": step.key,
        "type": step.type,
        "name": step.name,
        "action": step.action.value,
        "changes": [
            {"path": one.path, "before": one.before, "after": one.after} for one in step.changes
        ],
        "note": step.note,
    }
