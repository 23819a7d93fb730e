"""An execution's history: events with numbers, as GetExecutionHistory shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.clock import Clock
from emulator.rules.asl_errors import RUNTIME, StateFailure
from emulator.wire.sdk_integration import compact

EVENTS_MAX: Final = 25_000
"""Step Functions quotas: "Maximum execution history size … 25,000 events"."""
_VALUES: Final = frozenset({"input", "output", "parameters"})

_Event = tuple[float, str, int, str, Mapping[str, Any]]


class History:
    """The events of one execution.

    Values are kept as they are and written as JSON only for who asks: nothing changes them.

    Args:
        clock: Dates the events.
        kept: Whether events are kept; an express workflow's are only counted.
    """

    __slots__ = ("_adopted", "_clock", "_count", "_events")

    def __init__(self, clock: Clock, *, kept: bool = True) -> None:
        self._clock, self._count = clock, 0
        self._events: list[_Event] | None = [] if kept else None
        self._adopted: list[dict[str, Any]] | None = None

    def add(
        self, kind: str, previous: int, detail: str = "", values: Mapping[str, Any] | None = None
    ) -> int:
        """Note an event and give its number.

        Args:
            kind: Its type, such as `TaskStateEntered`.
            previous: The event that led to it.
            detail: The member that holds its details.
            values: The details; `input`, `output` and `parameters` as values.

        Raises:
            StateFailure: States.Runtime, the history is full.
        """
        self._count += 1
        if self._events is not None:
            if self._count > EVENTS_MAX and not kind.startswith("Execution"):
                raise StateFailure(
                    RUNTIME,
                    f"The execution reached the maximum number of history events ({EVENTS_MAX}).",
                )
            self._events.append((self._clock.epoch_ms(), kind, previous, detail, values or {}))
        return self._count

    def adopt(self, events: list[dict[str, Any]]) -> None:
        """Show these events, which another runner has kept."""
        self._adopted = events

    def dump(self) -> list[dict[str, Any]]:
        """The events as the API shows them."""
        if self._adopted is not None:
            return [*self._adopted]
        return [
            {
                "timestamp": epoch_ms,
                "type": kind,
                "id": number,
                "previousEventId": previous,
                **({detail: _details(values)} if detail else {}),
            }
            for number, (epoch_ms, kind, previous, detail, values) in enumerate(
                self._events or (), 1
            )
        ]


def _details(values: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in values.items():
        if name in _VALUES:
            made[name] = compact(value)
            if name != "parameters":
                made[f"{name}Details"] = {"truncated": False}
        elif value is not None:
            made[name] = value
    return made
