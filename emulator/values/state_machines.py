"""Step Functions as nouns: a state machine, and how an execution of it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class MachineType(StrEnum):
    """The two workflow types."""

    STANDARD = "STANDARD"
    EXPRESS = "EXPRESS"


class ExecutionStatus(StrEnum):
    """What has become of an execution, spelled as on the wire."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True)
class StateMachine:
    """A state machine, in one of its revisions.

    Args:
        name: Its name.
        arn: Its ARN.
        definition: Its definition, parsed; never changed in place.
        text: Its definition as it was given.
        kind: Its type.
        role_arn: Its role; nobody asks it for permission here.
    """

    name: str
    arn: str
    definition: Mapping[str, Any]
    text: str
    kind: MachineType = MachineType.STANDARD
    role_arn: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionOutcome:
    """How an execution ended.

    Args:
        status: Never RUNNING.
        output: What it gave; only of one that succeeded.
        error: The error's name.
        cause: What is said about it.
    """

    status: ExecutionStatus
    output: Any = None
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionStart:
    """What an execution begins with.

    Args:
        arn: Its ARN.
        name: Its name.
        machine: What it runs.
        value: Its input.
        started_ms: When, in epoch milliseconds.
    """

    arn: str
    name: str
    machine: StateMachine
    value: Any
    started_ms: float
