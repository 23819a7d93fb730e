"""`localpop rollback`: viewers get again what they got before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from emulator.deploy.deployment import Kinds, Tell, settle
from emulator.deploy.desired import CONFIGURATIONS, DISTRIBUTION, FUNCTION
from emulator.deploy.kinds.configurations import Configurations
from emulator.deploy.kinds.distributions import Distributions
from emulator.deploy.kinds.functions import LIVE
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

    def _kept(self) -> Iterator[tuple[str, Entry, Any]]:
        """What the revision says of what is still there: key, ledger entry, and what it said.

        By id: another one may have taken the key since.
        """
        sections = (
            (CONFIGURATIONS, self.revision.configurations),
            ((FUNCTION,), self.revision.functions),
            ((DISTRIBUTION,), self.revision.distributions),
        )
        for types, section in sections:
            for kept in section.values():
                for key, entry in self.ledger.resources.items():
                    if entry.type in types and entry.id == kept["id"]:
                        yield key, entry, kept

    # --- planning -----------------------------------------------------------------------------

    def plan(self) -> Plan:
        """What would be changed; nothing is."""
        steps: list[Step] = []
        paths: list[str] = []
        for key, entry, kept in self._kept():
            with refusals(key):
                changes = self._changes(entry, kept)
                if entry.type == DISTRIBUTION:
                    paths += self._paths(entry, kept, steps)
            action = Action.CHANGE if changes else Action.KEEP
            steps.append(Step(key, entry.type, entry.id, action, changes))
        return Plan(
            self.ledger.stack,
            self.target.account,
            self.target.endpoint,
            tuple(steps),
            unfinished=self.ledger.unfinished is not None,
            invalidates=tuple(dict.fromkeys(paths)),
        )

    def _changes(self, entry: Entry, kept: Any) -> tuple[Change, ...]:
        if entry.type == FUNCTION:
            live = self.kinds.functions.stage(entry.id, LIVE)
            if live is None:
                raise _gone(entry)
            return _function_changes(kept, live[0], live[1])
        actual = self.kinds.of(entry.type).read(entry.id)
        if actual is None:
            raise _gone(entry)
        config = self._config(entry, actual, kept)
        return tuple(differences(config, actual.properties, exact=True))

    def _config(self, entry: Entry, actual: Actual, kept: Any) -> Any:
        """A configuration as it shall be again."""
        if not entry.adopted:
            return kept["config"]
        if kept["wanted"] is None:
            return without(actual.properties, entry.wanted or {}, entry.original)
        return overlay(actual.properties, kept["wanted"], entry.wanted, keeps_others=True)

    def _paths(self, entry: Entry, kept: Any, steps: list[Step]) -> tuple[str, ...]:
        actual = self.kinds.distributions.read(entry.id)
        if actual is None:
            return ()
        arn = f"arn:aws:cloudfront::{self.target.account}:function/"
        changed = [
            f"{arn}{step.name}" if step.type == FUNCTION else step.name
            for step in steps
            if step.action is Action.CHANGE
        ]
        return changed_paths(actual.properties, self._config(entry, actual, kept), changed)

    # --- doing it -----------------------------------------------------------------------------

    def roll_back(self) -> None:
        """Do it; run again, it goes on where it stopped."""
        plan, ledger, number = self.plan(), self.ledger, self.revision.number
        ledger.begin(f"rollback to {number}", number, plan.invalidates)
        to_change = {step.key for step in plan.steps if step.action is not Action.KEEP}
        for key, entry, kept in list(self._kept()):
            if key in to_change:
                self.tell(f"change  {entry.type.removeprefix('AWS::')} {key} ({entry.id})")
                with refusals(key):
                    self._restore(entry, kept)
        settle(self.kinds, ledger, self.tell)
        ledger.current, ledger.unfinished = number, None
        ledger.save()

    def _restore(self, entry: Entry, kept: Any) -> None:
        if entry.type == FUNCTION:
            functions = self.kinds.functions
            actual = functions.read(entry.id)
            assert actual is not None
            if _function_changes(kept, actual.properties, actual.body["code"]):
                functions.write(actual, kept["config"], kept["code"])
                actual = functions.read(entry.id)
                assert actual is not None
            functions.publish(entry.id, actual.etag)
            return
        kind = self.kinds.of(entry.type)
        actual = kind.read(entry.id)
        assert actual is not None
        assert isinstance(kind, (Configurations, Distributions))
        kind.write(actual, self._config(entry, actual, kept))
        entry.wanted = kept["wanted"]
        self.ledger.save()


def _gone(entry: Entry) -> ConfigError:
    return ConfigError(
        f"There is no {entry.type.removeprefix('AWS::')} {entry.id} any more: somebody deleted it.",
        where=entry.id,
        mend="Check the template of that revision out again and deploy it: it is made anew.",
    )


def _function_changes(kept: Any, config: Any, code: str) -> tuple[Change, ...]:
    changes = [] if kept["code"] == code else [Change("FunctionCode", code, kept["code"])]
    return (*changes, *differences(kept["config"], config))
