"""`localpop destroy`: take away what was made, in the order that AWS demands, and nothing else.

The distribution is disabled, deployed, deleted; then what it named; Lambda functions last, because
AWS takes a few hours to delete their replicas (facts/lambda-at-edge.md section 6), and the roles
that they still need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from emulator.deploy.deployment import Kinds, Tell, take_away
from emulator.deploy.desired import (
    CONFIGURATIONS,
    DISTRIBUTION,
    FUNCTION,
    LAMBDA,
    ROLE,
    STORE,
    VERSION,
)
from emulator.deploy.kinds.kind import Desired
from emulator.deploy.kinds.lambdas import ReplicasLeftError
from emulator.deploy.ledger import Entry, Ledger
from emulator.deploy.plan import Action, Plan, Step
from emulator.deploy.target import Target, refusals

_ORDER: Final = (
    DISTRIBUTION,
    "AWS::CloudFront::KeyGroup",
    *(kind for kind in CONFIGURATIONS if kind != "AWS::CloudFront::KeyGroup"),
    FUNCTION,
    STORE,
    VERSION,
    LAMBDA,
    ROLE,
)
_REPLICAS_POLL_S: Final = 300.0


@dataclass(slots=True)
class Destruction:
    """One taking away.

    Args:
        target: The account.
        ledger: The deployment's.
        tell: Told what is being done.
        waits: Whether to wait for replicas, for hours if need be.
    """

    target: Target
    ledger: Ledger
    tell: Tell
    waits: bool = False
    kinds: Kinds = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = Kinds(self.target, self.ledger.stack)

    def plan(self) -> Plan:
        """What would go; nothing goes."""
        steps = []
        for key, entry in self._ordered():
            if entry.adopted:
                note = "It was there before: it says again what it said, and stays."
                steps.append(Step(key, entry.type, entry.id, Action.CHANGE, note=note))
            elif entry.type != VERSION:
                steps.append(Step(key, entry.type, entry.id or entry.name, Action.DELETE))
        return Plan(self.ledger.stack, self.target.account, self.target.endpoint, tuple(steps))

    def _ordered(self) -> Iterator[tuple[str, Entry]]:
        listed = sorted(self.ledger.resources.items(), key=lambda one: _ORDER.index(one[1].type))
        yield from listed

    def destroy(self) -> str:
        """Do it; what is left for later, in one sentence, or nothing.

        Raises:
            ConfigError: AWS refuses something. What is done stays; destroying again goes on.
        """
        late = ""
        for key, entry in list(self._ordered()):
            if late and entry.type == ROLE:
                # A function that still is there needs its role.
                continue
            if entry.type != VERSION:
                self.tell(f"delete  {entry.type.removeprefix('AWS::')} {key} ({entry.id})")
            try:
                with refusals(key):
                    self._take(entry)
            except ReplicasLeftError as error:
                late = str(error)
                self.tell(f"        {late}")
                continue
            del self.ledger.resources[key]
            self.ledger.save()
        if self.ledger.is_empty:
            self.ledger.remove()
        return late

    def _take(self, entry: Entry) -> None:
        if entry.adopted:
            take_away(self.kinds, entry, self.tell)
            return
        identity = entry.id or self._intended(entry)
        if not identity:
            return
        if entry.type != LAMBDA or not self.waits:
            self.kinds.of(entry.type).delete(identity)
            return
        while True:
            try:
                self.kinds.lambdas.delete(identity)
            except ReplicasLeftError as error:
                self.tell(f"        {error.what} Trying again in {_REPLICAS_POLL_S:.0f} s.")
                self.target.pause(_REPLICAS_POLL_S)
            else:
                return

    def _intended(self, entry: Entry) -> str:
        """What was about to be made when it was interrupted, if it was made."""
        if entry.type == VERSION:
            return ""
        key = next(name for name, one in self.ledger.resources.items() if one is entry)
        tags = {"localpop:deployment": self.ledger.stack, "localpop:resource": key}
        desired = Desired(key, entry.name, {}, tags=tags)
        found = self.kinds.of(entry.type).find(desired, entry)
        if found is None or (found.tags is not None and not found.belongs_to(desired)):
            return ""
        return found.id
