"""`localpop rollback`: viewers get again what they got before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emulator.deploy.deployment import Kinds, Tell, settle
from emulator.deploy.kinds.kind import Actual
from emulator.deploy.ledger import Entry, Ledger, Revision
from emulator.deploy.paths import changed_paths
from emulator.deploy.plan import Action, Change, Plan, Step
from emulator.deploy.shapes import differences, overlay, without
from emulator.deploy.target import Target, refusals
from emulator.errors import ConfigError


@dataclass(slots=True)
class Rollback:
    """One way back: LIVE code, policies, and the distribution with the versions it names.

    Keys of stores and `$LATEST` of Lambda functions stay as they are.

    Args:
        target: The account.
        ledger: The deployment's.
        tell: Told what is being done.
        to: The number of a revision; None for the one before.
    """

    target: Target
    ledger: Ledger
    tell: Tell
    to: int | None = None
    kinds: Kinds = field(init=False)
    revision: Revision = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = Kinds(self.target, self.ledger.stack)
        self.revision = self._wanted()

    def _wanted(self) -> Revision:
        ledger = self.ledger
        known = sorted(one.number for one in ledger.revisions)
        number = self.to
        unfinished = ledger.unfinished or {}
        if number is None and str(unfinished.get("says", "")).startswith("rollback"):
            number = int(unfinished["number"])
        elif number is None and unfinished:
            # A deployment that broke off half-way: back to what was live before it.
            number = ledger.current if ledger.current in known else None
        elif number is None:
            number = ledger.way_back.number if ledger.way_back else None
        found = None if number is None else ledger.revision(number)
        if found is None:
            listed = ", ".join(map(str, known)) or "none"
            raise ConfigError(
                f"There is no revision {number if self.to is not None else 'before this one'} of "
                f"{ledger.stack} (kept: {listed}; current: {ledger.current or 'none'}).",
                where=str(ledger.file),
                mend="localpop deploy makes one each time that viewers get something else.",
            )
        self._require_all_there(found)
        return found

    def _require_all_there(self, revision: Revision) -> None:
        """Refuse a way back to what has been deleted since.

        Raises:
            ConfigError: With what is missing.
        """
        there = {entry.id for entry in self.ledger.resources.values()}
        # Versions stay as long as their functions do.
        missing = [one for one in revision.needs if one not in there and ":function:" not in one]
        if missing:
            raise ConfigError(
                f"Revision {revision.number} needs what has been deleted since: "
                f"{', '.join(missing)}.",
                where=str(self.ledger.file),
                mend="Check its template out again and deploy that.",
            )

    # --- planning -----------------------------------------------------------------------------

    def plan(self) -> Plan:
        """What would be changed; nothing is."""
        steps: list[Step] = []
        paths: list[str] = []
        for key, kept in self.revision.configurations.items():
            steps += self._step(key, kept["config"])
        for key, kept in self.revision.functions.items():
            entry = self.ledger.resources.get(key)
            live = self.kinds.functions.stage(entry.id, "LIVE") if entry else None
            if entry is None or live is None:
                continue
            changes = _function_changes(kept, live[0], live[1])
            action = Action.CHANGE if changes else Action.KEEP
            steps.append(Step(key, entry.type, entry.id, action, changes))
        for key in self.revision.distributions:
            found = self._distribution(key)
            if found is None:
                continue
            entry, actual, config = found
            changes = tuple(differences(config, actual.properties, exact=True))
            action = Action.CHANGE if changes else Action.KEEP
            steps.append(Step(key, entry.type, entry.id, action, changes))
            paths += changed_paths(actual.properties, config, self._changed(steps))
        return Plan(
            self.ledger.stack,
            self.target.account,
            self.target.endpoint,
            tuple(steps),
            unfinished=self.ledger.unfinished is not None,
            invalidates=tuple(dict.fromkeys(paths)),
        )

    def _step(self, key: str, config: Any) -> list[Step]:
        entry = self.ledger.resources.get(key)
        actual = self.kinds.of(entry.type).read(entry.id) if entry and entry.id else None
        if entry is None or actual is None:
            return []
        changes = tuple(differences(config, actual.properties, exact=True))
        action = Action.CHANGE if changes else Action.KEEP
        return [Step(key, entry.type, entry.id, action, changes)]

    def _changed(self, steps: list[Step]) -> list[str]:
        """ARNs and ids of what changes, as distributions name them."""
        names = []
        for step in steps:
            if step.action is Action.CHANGE:
                arn = f"arn:aws:cloudfront::{self.target.account}:function/{step.name}"
                names.append(arn if step.type.endswith("::Function") else step.name)
        return names

    def _distribution(self, key: str) -> tuple[Entry, Actual, Any] | None:
        """A distribution as it is, and as it shall be again."""
        entry = self.ledger.resources.get(key)
        actual = self.kinds.distributions.read(entry.id) if entry and entry.id else None
        if entry is None or actual is None:
            return None
        kept = self.revision.distributions[key]
        if not entry.adopted:
            return entry, actual, kept["config"]
        if kept["wanted"] is None:
            return entry, actual, without(actual.properties, entry.wanted or {}, entry.original)
        laid = overlay(actual.properties, kept["wanted"], entry.wanted, keeps_others=True)
        return entry, actual, laid

    # --- doing it -----------------------------------------------------------------------------

    def roll_back(self) -> None:
        """Do it; run again, it goes on where it stopped."""
        plan, ledger, number = self.plan(), self.ledger, self.revision.number
        ledger.begin(f"rollback to {number}", number, plan.invalidates)
        for step in plan.steps:
            if step.action is not Action.KEEP:
                self.tell(f"change  {step.type.removeprefix('AWS::')} {step.key} ({step.name})")
                with refusals(step.key):
                    self._restore(step.key)
        settle(self.kinds, ledger, self.tell)
        ledger.current, ledger.unfinished = number, None
        ledger.save()

    def _restore(self, key: str) -> None:
        entry = self.ledger.resources[key]
        if key in self.revision.functions:
            kept = self.revision.functions[key]
            functions = self.kinds.functions
            actual = functions.read(entry.id)
            assert actual is not None
            if _function_changes(kept, actual.properties, actual.body["code"]):
                functions.write(actual, kept["config"], kept["code"])
                actual = functions.read(entry.id)
                assert actual is not None
            functions.publish(entry.id, actual.etag)
        elif key in self.revision.configurations:
            kind = self.kinds.configurations[entry.type]
            there = kind.read(entry.id)
            assert there is not None
            kept = self.revision.configurations[key]
            kind.write(there, kept["config"])
            entry.wanted = kept["wanted"]
        else:
            found = self._distribution(key)
            assert found is not None
            self.kinds.distributions.write(found[1], found[2])
            entry.wanted = self.revision.distributions[key]["wanted"]
        self.ledger.save()


def _function_changes(kept: Any, config: Any, code: str) -> tuple[Change, ...]:
    changes = [] if kept["code"] == code else [Change("FunctionCode", code, kept["code"])]
    return (*changes, *differences(kept["config"], config))
