"""What may be asked: every ActionID the origin answers, and which are answered ahead of time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ACTION_ID = re.compile(r"[a-z0-9-]{1,64}")
"""No `_`: so `UserID_ActionID` has exactly one reading."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a user can ask.

    Attributes:
        action_id: Its name in routes and in the key value store.
        title: For people.
        instruction: What the model is told to write.
        is_precomputed: Whether `origin.precompute` answers it ahead of time. The others are
            always answered by the model, while the viewer waits.
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


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        action.action_id: action
        for action in (
            Action(
                "morning-briefing",
                "Morning briefing",
                "Write the reader's briefing for the start of the day: what needs attention first, "
                "what changed overnight, what is due today.",
                is_precomputed=True,
            ),
            Action(
                "deployment-summary",
                "Deployment summary",
                "Summarise the latest deployments of the reader's services: what went out, what "
                "failed or was rolled back, and what to watch.",
                is_precomputed=True,
            ),
            Action(
                "ticket-digest",
                "Ticket digest",
                "Digest the reader's tickets: the most urgent first, what is overdue, what waits "
                "for somebody else.",
                is_precomputed=True,
            ),
            Action(
                "weekly-review",
                "Weekly review",
                "Review the last seven days of the reader's services: stability, deployments, "
                "tickets, and one thing to improve.",
                is_precomputed=False,
            ),
            Action(
                "incident-timeline",
                "Incident timeline",
                "Tell the timeline of the gravest current alert on the reader's services: when it "
                "began, which deployments came before it, what is open.",
                is_precomputed=False,
            ),
        )
    }
)

PRECOMPUTED_ACTION_IDS: tuple[str, ...] = tuple(
    action.action_id for action in ACTIONS.values() if action.is_precomputed
)
