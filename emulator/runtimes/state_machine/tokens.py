"""Task tokens: a task waits until somebody sends its token back."""

from __future__ import annotations

import asyncio
import base64
import random
from dataclasses import dataclass, field
from typing import Any

from emulator.errors import ApiError
from emulator.rules.asl_errors import StateFailure


@dataclass(eq=False, slots=True)
class Waiting:
    """A task that waits.

    Args:
        token: Its token.
        answer: What is sent back; a `StateFailure` for a failure.
        heartbeat: Set by each heartbeat.
    """

    token: str
    answer: asyncio.Future[Any]
    heartbeat: asyncio.Event = field(default_factory=asyncio.Event)


class TaskTokens:
    """The tokens of all executions.

    Args:
        chance: Where tokens come from.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._waiting: dict[str, Waiting] = {}

    def new(self) -> Waiting:
        """A token for a task that begins to wait."""
        token = base64.b64encode(self._chance.randbytes(96)).decode()
        waiting = Waiting(token, asyncio.get_running_loop().create_future())
        self._waiting[token] = waiting
        return waiting

    def forget(self, waiting: Waiting) -> None:
        """The task has ended, one way or another."""
        self._waiting.pop(waiting.token, None)

    def knows(self, token: str) -> bool:
        """Whether a task waits for this token."""
        return token in self._waiting

    def succeed(self, token: str, output: Any) -> None:
        """SendTaskSuccess.

        Raises:
            ApiError: 400 TaskTimedOut; nobody waits for the token (any more).
        """
        answer = self._find(token).answer
        if not answer.done():
            answer.set_result(output)

    def fail(self, token: str, error: str | None, cause: str | None) -> None:
        """SendTaskFailure.

        Raises:
            ApiError: As for `succeed`.
        """
        answer = self._find(token).answer
        if not answer.done():
            answer.set_exception(StateFailure(error, cause, is_of_task=True))

    def beat(self, token: str) -> None:
        """SendTaskHeartbeat.

        Raises:
            ApiError: As for `succeed`.
        """
        self._find(token).heartbeat.set()

    def _find(self, token: str) -> Waiting:
        found = self._waiting.get(token)
        if found is None:
            if len(token) < 100:
                raise ApiError(400, "InvalidToken", f"Invalid Token: {token[:80]!r}")
            raise ApiError(
                400,
                "TaskTimedOut",
                "Task Timed Out: 'Provided task does not exist anymore'",
            )
        return found
