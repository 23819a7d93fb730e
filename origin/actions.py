"""What may be asked: every ActionID the origin answers, and which are answered ahead of time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from origin.tasks import TASKS_FILE, MadeBy, TaskError, Trigger, load_tasks

ACTION_ID = re.compile(r"[a-z0-9-]{1,64}")
"""No `_`: so `UserID_ActionID` has exactly one reading."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a user can ask.

    Attributes:
        action_id: Its name in routes and in the key value store.
        title: For people.
        instruction: What the model is told to write.
        is_precomputed: Whether it is answered ahead of time for everybody who logs in. The others
            are answered by the model while the viewer waits, or ahead as somebody's next step.
    """

    action_id: str
    title: str
    instruction: str
    is_precomputed: bool

    def __post_init__(self) -> None:
        if not ACTION_ID.fullmatch(self.action_id):
            raise ValueError(
                f"ActionID {self.action_id!r}: 1 to 64 characters of a-z, 0-9 and '-' expected"
            )


TASKS: Final = load_tasks()
"""Every declared task (`tasks.toml`); a wrong declaration ends the import, and so the backend."""


def _action(action_id: str, title: str, instruction: str) -> Action:
    """An action that is answered ahead of time exactly when its task says so."""
    task = TASKS.get(action_id)
    if task is None or task.made_by is not MadeBy.MODEL:
        raise TaskError(
            f"{TASKS_FILE}: the action {action_id!r} needs a table [tasks.{action_id}] with "
            "made_by 'model': nothing is answered that is not declared"
        )
    return Action(action_id, title, instruction, is_precomputed=Trigger.LOGIN in task.triggers)


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        action.action_id: action
        for action in (
            _action(
                "morning-briefing",
                "Morning briefing",
                "Write the reader's briefing for the start of the day: what needs attention first, "
                "what changed overnight, what is due today.",
            ),
            _action(
                "deployment-summary",
                "Deployment summary",
                "Summarise the latest deployments of the reader's services: what went out, what "
                "failed or was rolled back, and what to watch.",
            ),
            _action(
                "ticket-digest",
                "Ticket digest",
                "Digest the reader's tickets: the most urgent first, what is overdue, what waits "
                "for somebody else.",
            ),
            _action(
                "weekly-review",
                "Weekly review",
                "Review the last seven days of the reader's services: stability, deployments, "
                "tickets, and one thing to improve.",
            ),
            _action(
                "incident-timeline",
                "Incident timeline",
                "Tell the timeline of the gravest current alert on the reader's services: when it "
                "began, which deployments came before it, what is open.",
            ),
        )
    }
)

for _task in TASKS.values():
    if _task.made_by is MadeBy.MODEL and _task.task_id not in ACTIONS:
        raise TaskError(
            f"{TASKS_FILE}: [tasks.{_task.task_id}] is made by the model, but origin/actions.py "
            "has no action of that name to tell it what to write"
        )

PRECOMPUTED_ACTION_IDS: tuple[str, ...] = tuple(
    action.action_id for action in ACTIONS.values() if action.is_precomputed
)
