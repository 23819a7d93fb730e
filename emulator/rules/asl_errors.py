"""How a state of Amazon States Language fails, and what Retry and Catch make of it.

Sources: "Handling errors in Step Functions workflows" (concepts-error-handling, Step Functions
guide) and the Amazon States Language specification (states-language.net), read 2026-11-21.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

ALL: Final = "States.ALL"
BRANCH_FAILED: Final = "States.BranchFailed"
DATA_LIMIT_EXCEEDED: Final = "States.DataLimitExceeded"
HEARTBEAT_TIMEOUT: Final = "States.HeartbeatTimeout"
INTRINSIC_FAILURE: Final = "States.IntrinsicFailure"
NO_CHOICE_MATCHED: Final = "States.NoChoiceMatched"
QUERY_EVALUATION: Final = "States.QueryEvaluationError"
RUNTIME: Final = "States.Runtime"
TASK_FAILED: Final = "States.TaskFailed"
TIMEOUT: Final = "States.Timeout"
TOLERATED_FAILURE: Final = "States.ExceedToleratedFailureThreshold"
RESULT_PATH: Final = "States.ResultPathMatchFailure"

# "States.ALL … can't catch the States.DataLimitExceeded terminal error or Runtime error types."
_TERMINAL: Final = frozenset({DATA_LIMIT_EXCEEDED, RUNTIME})
_INTERVAL_S: Final = 1
_ATTEMPTS: Final = 3
_BACKOFF_RATE: Final = 2.0


class StateFailure(Exception):  # noqa: N818 - a failure is AWS's word
    """A state failed.

    Args:
        error: The error's name, such as `States.Timeout`; None when a Fail state names none.
        cause: What is said about it.
        is_of_task: Whether a task reported it, so that States.TaskFailed matches.
    """

    def __init__(self, error: str | None, cause: str | None, *, is_of_task: bool = False) -> None:
        self.error, self.cause, self.is_of_task = error, cause, is_of_task
        # The state that failed first, and the number of the event that entered it.
        self.place: tuple[str, int] | None = None
        super().__init__(f"{error}: {cause}")

    @property
    def output(self) -> dict[str, str]:
        """What a Catcher hands on."""
        return {"Error": self.error or "", "Cause": self.cause or ""}


def matches(failure: StateFailure, error_equals: Sequence[str]) -> bool:
    """Whether a Retrier's or Catcher's `ErrorEquals` means a failure.

    "States.TaskFailed … acts like a wildcard that matches any known error name except for
    States.Timeout."
    """
    name = failure.error or ""
    for wanted in error_equals:
        if wanted == name:
            return True
        if wanted == ALL and name not in _TERMINAL:
            return True
        if wanted == TASK_FAILED and failure.is_of_task and name not in (TIMEOUT, *_TERMINAL):
            return True
        # A heartbeat's time-out is a time-out.
        if wanted == TIMEOUT and name == HEARTBEAT_TIMEOUT:
            return True
    return False


def find_match(
    failure: StateFailure, handlers: Sequence[Mapping[str, Any]]
) -> tuple[int, Mapping[str, Any]] | None:
    """The first Retrier or Catcher that means a failure, with its number."""
    for number, handler in enumerate(handlers):
        if matches(failure, handler.get("ErrorEquals") or ()):
            return number, handler
    return None


def retry_delay_s(retrier: Mapping[str, Any], attempts: int, chance: random.Random) -> float | None:
    """How long to wait before the next try; None when there is none left.

    Args:
        retrier: The Retrier.
        attempts: How often it has been used.
        chance: For JitterStrategy FULL: "between 0 and the delay interval".
    """
    most = retrier.get("MaxAttempts", _ATTEMPTS)
    if attempts >= most:
        return None
    interval = retrier.get("IntervalSeconds", _INTERVAL_S)
    delay: float = interval * retrier.get("BackoffRate", _BACKOFF_RATE) ** attempts
    longest = retrier.get("MaxDelaySeconds")
    if longest is not None:
        delay = min(delay, longest)
    return chance.uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay
