"""Failures on demand, to be met by tests and by the curious."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Fault(StrEnum):
    """What can be made to go wrong."""

    THROTTLE = "throttle"
    """429 ThrottlingException."""
    MID_STREAM = "mid-stream"
    """Some good chunks, then modelStreamErrorException; buffered calls are spared."""
    UNAVAILABLE = "unavailable"
    """503 ServiceUnavailableException."""
    EMPTY = "empty"
    """An answer without a text."""
    CONTROL_CHARACTERS = "control-characters"
    """The text with controls in it, of ASCII and of the direction of writing."""
    GARBAGE = "garbage"
    """Signs instead of words."""
    OVER_LONG = "over-long"
    """A text without end, cut off at the most tokens that were asked for."""

    @property
    def spoils_text(self) -> bool:
        """Whether there is an answer, and its text is what is wrong."""
        return self in {Fault.EMPTY, Fault.CONTROL_CHARACTERS, Fault.GARBAGE, Fault.OVER_LONG}


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault that the next calls will meet.

    Args:
        service: The service's name.
        fault: What goes wrong.
        count: For how many more calls.
    """

    service: str
    fault: Fault
    count: int


class FaultPlan:
    """Faults in the order in which they were asked for; each call meets at most one."""

    def __init__(self) -> None:
        self._planned: list[PlannedFault] = []

    @property
    def planned(self) -> Sequence[PlannedFault]:
        """What is still to come."""
        return tuple(self._planned)

    def add(self, fault: PlannedFault) -> None:
        """Plan a fault after those already planned."""
        self._planned.append(fault)

    def clear(self) -> None:
        """Plan nothing."""
        self._planned.clear()

    def take(self, service: str, *, streaming: bool) -> Fault | None:
        """The fault that this call meets; it is used up by one.

        Args:
            service: The service that is called.
            streaming: Whether the call's answer is a stream; others cannot fail in mid-stream.
        """
        for i, planned in enumerate(self._planned):
            if planned.service != service or (planned.fault is Fault.MID_STREAM and not streaming):
                continue
            if planned.count > 1:
                self._planned[i] = replace(planned, count=planned.count - 1)
            else:
                del self._planned[i]
            return planned.fault
        return None
