"""Buses, rules, connections and API destinations: the template's and those made through the API.

What the API made is kept in the account. What the template declares is made anew at every
deployment; the API may change it until then, as a stack's resources may drift at AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from emulator.aws.cloudfront.control_plane import ACCOUNT_ID
from emulator.clock import Clock
from emulator.rules.event_pattern import EventPattern, compile_pattern
from emulator.stores.account import Account
from emulator.values.account import Kind

REGION: Final = "us-east-1"
DEFAULT_BUS: Final = "default"

Document = Mapping[str, Any]


def bus_arn(name: str) -> str:
    """An event bus's ARN."""
    return f"arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/{name}"


def rule_arn(bus: str, name: str) -> str:
    """A rule's ARN; the default bus is not named in it."""
    path = name if bus == DEFAULT_BUS else f"{bus}/{name}"
    return f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{path}"


def bus_name(given: str | None) -> str:
    """A bus's name from its name or its ARN."""
    return (given or DEFAULT_BUS).rpartition(":event-bus/")[2]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to match.

    Args:
        document: As the API shapes it, with its `Targets`.
        pattern: What it wants.
    """

    document: Document
    pattern: EventPattern


class EventRegistry:
    """Everything that EventBridge knows.

    Args:
        account: Where it is kept.
        clock: Gives dates.
    """

    def __init__(self, account: Account, clock: Clock) -> None:
        self._account, self._clock = account, clock
        self._declared: dict[Kind, dict[str, Document]] = {}
        self._matching: dict[str, tuple[Rule, ...]] | None = None
        self._now_ms = clock.epoch_ms
        self.on_change: Callable[[], None] = lambda: None

    def declare(self, declared: Mapping[Kind, Mapping[str, Document]]) -> None:
        """Replace what the template declared before."""
        self._declared = {kind: dict(found) for kind, found in declared.items()}
        self._changed()

    def find(self, kind: Kind, key: str) -> Document | None:
        """One resource; None when there is none."""
        found = self._declared.get(kind, {}).get(key)
        if found is not None:
            return found
        record = self._account.find(kind, key)
        return record.document if record is not None else None

    def all(self, kind: Kind) -> Sequence[Document]:
        """Every resource of a kind, by name."""
        declared = self._declared.get(kind, {})
        found = {
            **{record.id: record.document for record in self._account.all(kind)},
            **declared,
        }
        return [found[key] for key in sorted(found)]

    async def save(self, kind: Kind, key: str, document: Document) -> None:
        """Keep a resource; durable when this returns, unless the template declares it."""
        declared = self._declared.get(kind, {})
        if key in declared:
            declared[key] = document
        else:
            await self._account.save(self._account.new(kind, key, document))
        self._changed()

    async def delete(self, kind: Kind, key: str) -> None:
        """Forget a resource; one of the template comes back with the next deployment."""
        self._declared.get(kind, {}).pop(key, None)
        if self._account.find(kind, key) is not None:
            await self._account.save(deletes=[(kind, key)])
        self._changed()

    # --- rules ------------------------------------------------------------------------------

    def has_bus(self, name: str) -> bool:
        """Whether there is a bus of this name."""
        return name == DEFAULT_BUS or self.find(Kind.EVENT_BUS, name) is not None

    def rules_of(self, bus: str) -> Sequence[Document]:
        """A bus's rules, by name."""
        return [one for one in self.all(Kind.EVENT_RULE) if one["EventBusName"] == bus]

    def matching(self, bus: str) -> tuple[Rule, ...]:
        """A bus's rules that are enabled, have a pattern and a target."""
        if self._matching is None:
            self._matching = {}
        found = self._matching.get(bus)
        if found is None:
            found = tuple(
                Rule(one, compile_pattern(one["EventPattern"]))
                for one in self.rules_of(bus)
                if one.get("EventPattern") and one["State"] != "DISABLED" and one["Targets"]
            )
            self._matching[bus] = found
        return found

    def now_ms(self) -> float:
        """The date, epoch ms."""
        return self._now_ms()

    def _changed(self) -> None:
        self._matching = None
        self.on_change()
