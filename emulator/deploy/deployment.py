"""`localpop deploy`: the template's edge at AWS, in the order in which nobody is harmed.

1. Stores, roles, Lambda functions and versions, the DEVELOPMENT stage of CloudFront Functions:
   viewers notice none of it.
2. TestFunction: a function that fails ends the deployment here.
3. Policies, PublishFunction, the distribution: from here on viewers notice.
4. Wait until it is deployed, invalidate what is stale, delete what the template does not have any
   more.

Each step looks at what is there and does what is missing, so an interrupted deployment is taken up
by deploying again (facts/local-aws.md section 6 has the order of the calls).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from emulator.clock import Clock
from emulator.deploy.desired import (
    CONFIGURATIONS,
    DISTRIBUTION,
    FUNCTION,
    LAMBDA,
    ORDER,
    ROLE,
    STORE,
    VERSION,
    Declared,
    Packager,
    Template,
    is_unknown,
)
from emulator.deploy.kinds.configurations import Configurations
from emulator.deploy.kinds.distributions import Distributions
from emulator.deploy.kinds.functions import Functions, Source, test_events
from emulator.deploy.kinds.kind import DEPLOYMENT_TAG, Actual, Desired, Kind
from emulator.deploy.kinds.lambdas import Lambdas, ReplicasLeftError, Versions
from emulator.deploy.kinds.roles import Roles
from emulator.deploy.kinds.stores import KEYS, Stores
from emulator.deploy.ledger import Entry, Ledger, Revision
from emulator.deploy.paths import changed_paths
from emulator.deploy.plan import Action, Change, Plan, Step
from emulator.deploy.shapes import without
from emulator.deploy.target import Target, refusals
from emulator.errors import ConfigError

_PREPARED: Final = (STORE, ROLE, LAMBDA, VERSION, FUNCTION)
_RETIRED: Final = " (of revision "
_KEPT: Final = (
    "Not in the template any more; kept for localpop rollback, the next deployment deletes it."
)

Tell = Callable[[str], None]
"""Told one line about what is being done."""


@dataclass(slots=True)
class Kinds:
    """Every type's ways, for one deployment.

    Args:
        target: The account.
        stack: The deployment's name.
        package: Makes zips; None when nothing is going to be made.
    """

    target: Target
    stack: str
    package: Packager | None = None
    stores: Stores = field(init=False)
    roles: Roles = field(init=False)
    lambdas: Lambdas = field(init=False)
    versions: Versions = field(init=False)
    functions: Functions = field(init=False)
    configurations: Mapping[str, Configurations] = field(init=False)
    distributions: Distributions = field(init=False)

    def __post_init__(self) -> None:
        tags = {DEPLOYMENT_TAG: self.stack}
        self.stores = Stores(self.target, tags)
        self.roles = Roles(self.target, tags)
        self.lambdas = Lambdas(self.target, tags, self.package)
        self.versions = Versions(self.target, self.lambdas)
        self.functions = Functions(self.target, tags)
        self.configurations = {kind: Configurations(self.target, kind) for kind in CONFIGURATIONS}
        self.distributions = Distributions(self.target, tags)

    def of(self, kind: str) -> Kind:
        """The ways of one type."""
        found: dict[str, Kind] = {
            STORE: self.stores,
            ROLE: self.roles,
            LAMBDA: self.lambdas,
            VERSION: self.versions,
            FUNCTION: self.functions,
            DISTRIBUTION: self.distributions,
            **self.configurations,
        }
        return found[kind]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one resource.

    Args:
        one: Which.
        desired: What the template wants.
        actual: What is there; None when nothing is, or when something else takes its place.
        entry: What the ledger says, or would say.
        action: What becomes of it.
        changes: What would say something else.
        note: One sentence more.
    """

    one: Declared
    desired: Desired
    actual: Actual | None
    entry: Entry
    action: Action
    changes: tuple[Change, ...] = ()
    note: str = ""

    @property
    def step(self) -> Step:
        """The same for the plan."""
        name = self.desired.name or (self.actual.id if self.actual else "")
        return Step(self.one.key, self.one.type, name, self.action, self.changes, self.note)


@dataclass(slots=True)
class Deployment:
    """One deployment of a template.

    Args:
        target: The account.
        template: The template.
        ledger: What was made before.
        package: Makes zips.
        clock: For dates.
        tell: Told what is being done.
        adopted: The id of a distribution that is there already; empty to make one.
        known_errors: What is wrong in the template, and deployed all the same.
    """

    target: Target
    template: Template
    ledger: Ledger
    package: Packager
    clock: Clock
    tell: Tell
    adopted: str = ""
    known_errors: tuple[str, ...] = ()
    kinds: Kinds = field(init=False)
    _warnings: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.kinds = Kinds(self.target, self.ledger.stack, self.package)
        self._warnings += self.known_errors
        if self.adopted and len(self.template.of(DISTRIBUTION)) != 1:
            raise ConfigError(
                "--distribution needs a template with one distribution.",
                mend="Deploy the template by itself, or leave the option out.",
            )

    # --- planning -----------------------------------------------------------------------------

    def plan(self) -> Plan:
        """What `deploy` would do; nothing is changed."""
        self.template.require_values()
        decisions = [self._decide(one) for one in self.template.ours]
        return Plan(
            self.ledger.stack,
            self.target.account,
            self.target.endpoint,
            (*(one.step for one in decisions), *self._deletions(decisions)),
            self.template.left,
            self.ledger.unfinished is not None,
            self._paths(decisions),
            tuple(dict.fromkeys(self._warnings)),
        )

    def _decide(self, one: Declared) -> Decision:
        kind = self.kinds.of(one.type)
        with refusals(one.key):
            desired = kind.desire(self.template, one)
            entry = self.ledger.resources.get(one.key)
            if one.type == DISTRIBUTION and self.adopted:
                entry = self._adopt(one.key, entry)
            self._warnings += getattr(desired.body, "warnings", ())
            decision = self._compared(one, kind, desired, entry)
        if decision.actual is not None and decision.action in (Action.KEEP, Action.CHANGE):
            self.template.know(one.key, decision.actual.attributes)
        return decision

    def _compared(
        self, one: Declared, kind: Kind, desired: Desired, entry: Entry | None
    ) -> Decision:
        # Known by its tags alone: its keys have been put, and may say something newer.
        kept = entry or Entry(one.type, desired.name, done=[KEYS])
        if (
            entry is not None
            and entry.id
            and desired.name not in ("", entry.id)
            and one.type not in CONFIGURATIONS
        ):
            return self._replaced(one, kind, desired, entry)
        actual, note = self._there(kind, desired, entry, one)
        if actual is None:
            return Decision(one, desired, None, kept, Action.CREATE, (), note)
        changes = tuple(kind.changes(desired, actual, kept))
        if isinstance(kind, Configurations) and kind.replaces(desired, actual):
            return self._replaced(one, kind, desired, kept)
        if changes and one.type == VERSION:
            note = f"Published anew; {actual.id.rpartition(':')[2]} stays for localpop rollback."
            return Decision(one, desired, None, kept, Action.CREATE, changes, note)
        action = Action.CHANGE if changes else Action.KEEP
        if action is Action.KEEP and one.type == FUNCTION:
            # DEVELOPMENT may be behind LIVE; nobody notices, and the next one compares with LIVE.
            return Decision(one, desired, actual, kept, action)
        return Decision(one, desired, actual, kept, action, changes, note)

    def _replaced(self, one: Declared, kind: Kind, desired: Desired, entry: Entry) -> Decision:
        """Another one takes its place: a new one, or the one that it once took the place of."""
        note = f"AWS changes no such thing: another one takes its place, {entry.id} goes later."
        for key, retired in self.ledger.resources.items():
            if key.startswith(one.key + _RETIRED) and retired.name == desired.name:
                actual = kind.read(retired.id)
                return Decision(one, desired, actual, retired, Action.REPLACE, (), note)
        found = kind.find(desired, None)
        if found is not None and not found.belongs_to(desired):
            raise self._taken(desired, one)
        fresh = Entry(one.type, desired.name)
        return Decision(one, desired, found, fresh, Action.REPLACE, (), note)

    def _there(
        self, kind: Kind, desired: Desired, entry: Entry | None, one: Declared
    ) -> tuple[Actual | None, str]:
        note = ""
        if entry is not None and entry.id:
            actual = kind.read(entry.id)
            if actual is not None:
                return actual, ""
            if entry.adopted:
                raise ConfigError(
                    f"There is no distribution {entry.id}.",
                    where=one.key,
                    mend="Mend the id after --distribution.",
                )
            note = f"{entry.id}, which was made before, is gone."
        found = kind.find(desired, entry)
        if found is None:
            return None, note
        # What can be tagged is made with its tags; for the rest the ledger's intention speaks.
        intended = entry is not None and not entry.id and found.tags is None
        if intended or found.belongs_to(desired):
            return found, "Made by an earlier run that did not come to write it down."
        raise self._taken(desired, one)

    def _taken(self, desired: Desired, one: Declared) -> ConfigError:
        here = (
            " (does this localpop serve the same template? Deploy to one that serves another)"
            if self.target.is_local
            else ""
        )
        return ConfigError(
            f"{one.type} {desired.name} is there already, and this deployment did not make it"
            f"{here}.",
            where=one.key,
            mend="Give it another name in the template, or delete it; localpop does not touch it.",
        )

    def _adopt(self, key: str, entry: Entry | None) -> Entry:
        """A distribution that is there already: noted with what it says before us."""
        if entry is not None and entry.id == self.adopted:
            return entry
        if entry is not None and entry.id:
            raise ConfigError(
                f"{key} is {entry.id} already.",
                mend="localpop destroy it first, or leave --distribution out.",
            )
        actual = self.kinds.distributions.read(self.adopted)
        if actual is None:
            raise ConfigError(
                f"There is no distribution {self.adopted} in the account {self.target.account}.",
                mend="aws cloudfront list-distributions shows them.",
            )
        return Entry(
            DISTRIBUTION, actual.properties["CallerReference"], self.adopted, True,
            dict(actual.properties),
        )  # fmt: skip

    def _deletions(self, decisions: list[Decision]) -> Iterator[Step]:
        wanted = {one.one.key for one in decisions}
        # If anything changes, the way back leads to what is live now.
        changes = any(one.action is not Action.KEEP for one in decisions)
        back = None if changes else self.ledger.way_back
        for key, entry in self._outdated(wanted):
            if _is_needed(entry, self._live, back):
                yield Step(key, entry.type, entry.id, Action.KEEP, note=_KEPT)
            elif entry.adopted:
                note = "Not in the template any more: it says again what it said before."
                yield Step(key, entry.type, entry.id, Action.CHANGE, note=note)
            else:
                note = "Not in the template any more."
                yield Step(key, entry.type, entry.id, Action.DELETE, note=note)

    @property
    def _live(self) -> Revision | None:
        """What viewers get."""
        return self.ledger.revision(self.ledger.current)

    def _outdated(self, wanted: set[str]) -> list[tuple[str, Entry]]:
        """What the ledger has and the template has not, in the order of deletion."""
        found = [
            (key, entry)
            for key, entry in self.ledger.resources.items()
            if key not in wanted and entry.type != VERSION
        ]
        return sorted(found, key=lambda one: -ORDER.index(one[1].type))

    def _paths(self, decisions: list[Decision]) -> tuple[str, ...]:
        changed = tuple(_changed_names(decisions))
        paths: list[str] = list((self.ledger.unfinished or {}).get("paths", ()))
        for one in decisions:
            if one.one.type == DISTRIBUTION and one.actual is not None:
                laid = self.kinds.distributions.laid(one.desired.properties, one.actual, one.entry)
                paths += changed_paths(one.actual.properties, laid, changed)
        return tuple(dict.fromkeys(paths))

    def look_up(self) -> None:
        """Learn what AWS gave everything that is deployed; change nothing.

        Raises:
            ConfigError: Not everything is.
        """
        for one in self.template.ours:
            entry = self.ledger.resources.get(one.key)
            with refusals(one.key):
                actual = self.kinds.of(one.type).read(entry.id) if entry and entry.id else None
            if actual is None:
                raise ConfigError(f"{one.key} is not deployed.", mend="localpop deploy it first.")
            self.template.know(one.key, actual.attributes)

    # --- doing it -----------------------------------------------------------------------------

    def deploy(self) -> bool:
        """Do it; whether anything was done.

        Raises:
            ConfigError: AWS refuses something. What is done stays; deploying again goes on.
        """
        ledger = self.ledger
        self.template.require_values()
        ledger.endpoint = self.target.endpoint
        ledger.parameters = dict(self.template.parameters)
        ledger.values = dict(self.template.values)
        prepared = [self._perform(one) for one in self.template.ours if one.type in _PREPARED]
        for warning in dict.fromkeys(self._warnings):
            self.tell(f"warning: {warning}")
        publish = [one for one in prepared if self._is_to_publish(one)]
        for one in publish:
            self._test(one)
        others = [one for one in self.template.ours if one.type in CONFIGURATIONS]
        visible = [self._decide(one) for one in self.template.ours if one.type not in _PREPARED]
        goes_live = bool(publish) or any(one.action is not Action.KEEP for one in visible)
        if goes_live or ledger.unfinished is not None:
            self._unfinished(self._paths([*publish, *visible]))
        performed = [self._perform(one) for one in others]
        for one in publish:
            self._publish(one)
        changed = tuple(_changed_names([*publish, *performed]))
        done = [*prepared, *performed]
        done += [self._distribute(one, changed) for one in self.template.of(DISTRIBUTION)]
        if ledger.unfinished is not None:
            self._finish()
        deleted = self._delete_outdated({one.one.key for one in done})
        ledger.save()
        return deleted or goes_live or any(one.action is not Action.KEEP for one in done)

    def _perform(self, one: Declared) -> Decision:
        decision = self._decide(one)
        if decision.action is Action.KEEP:
            if decision.actual is not None:
                self._note(decision, decision.actual)
            return decision
        if is_unknown(decision.desired.properties):
            raise ConfigError(
                f"{one.key} needs what is only made after it.",
                where=self.template.place(one),
                mend="Resources must not need each other in a circle.",
            )
        kind = self.kinds.of(one.type)
        name = decision.desired.name
        self.tell(f"{decision.action}  {_short(one.type)} {one.key}{f' ({name})' if name else ''}")
        if decision.action is Action.REPLACE:
            self._retire(decision)
        with refusals(one.key):
            if decision.actual is None:
                actual = self._create(kind, decision)
            else:
                entry = decision.entry
                actual = kind.change(decision.desired, decision.actual, entry)
        self._note(decision, actual)
        return replace(decision, actual=actual)

    def _create(self, kind: Kind, decision: Decision) -> Actual:
        """Write down that it is about to be made, then make it."""
        ledger, key, entry = self.ledger, decision.one.key, decision.entry
        if decision.one.type != VERSION:
            entry.id = ""
        entry.name, entry.done = decision.desired.name, []
        if isinstance(kind, Distributions):
            entry.name = kind.reference(decision.desired)
        ledger.resources[key] = entry
        ledger.save()
        return kind.create(decision.desired, entry)

    def _retire(self, decision: Decision) -> None:
        """Another one takes a resource's place; the ledger keeps it under another key."""
        resources, key = self.ledger.resources, decision.one.key
        before = resources[key]
        for name in [name for name, one in resources.items() if one is decision.entry]:
            del resources[name]
        resources[f"{key}{_RETIRED}{self.ledger.current})"] = before
        resources[key] = decision.entry
        self.ledger.save()

    def _note(self, decision: Decision, actual: Actual) -> None:
        """The ledger knows it from now on, and so does the template."""
        entry = decision.entry
        wanted = decision.desired.properties if _has_config(decision.one.type) else None
        known = self.ledger.resources.get(decision.one.key)
        same = known is entry and entry.id == actual.id and entry.wanted == wanted
        if not same or decision.action is not Action.KEEP:
            entry.id, entry.wanted = actual.id, wanted
            self.ledger.resources[decision.one.key] = entry
            self.ledger.save()
        self.template.know(decision.one.key, actual.attributes)

    # --- CloudFront Functions -----------------------------------------------------------------

    def _is_to_publish(self, decision: Decision) -> bool:
        if decision.one.type != FUNCTION or decision.actual is None:
            return False
        source: Source = decision.desired.body
        return source.publishes and decision.action is not Action.KEEP

    def _test(self, decision: Decision) -> None:
        assert decision.actual is not None
        name, etag = decision.desired.name, decision.actual.etag
        uses = list(self._uses(decision.actual.attributes[""])) or [("viewer-request", "/")]
        for event in test_events(uses):
            with refusals(decision.one.key):
                used = self.kinds.functions.test(name, etag, event)
            what = f"{event['context']['eventType']} {event['request']['uri']}"
            self.tell(f"test    {decision.one.key} ({what}): passed, compute utilization {used}")

    def _uses(self, arn: str) -> Iterator[tuple[str, str]]:
        """Where distributions of the template run a function."""
        for one in self.template.of(DISTRIBUTION):
            config = self.kinds.distributions.desire(self.template, one).properties
            listed = (config.get("CacheBehaviors") or {}).get("Items") or []
            for behavior in [*listed, config["DefaultCacheBehavior"]]:
                for use in (behavior.get("FunctionAssociations") or {}).get("Items") or []:
                    if use["FunctionARN"] == arn:
                        yield str(use["EventType"]), str(behavior.get("PathPattern", "/"))

    def _publish(self, decision: Decision) -> None:
        assert decision.actual is not None
        self.tell(f"publish {decision.one.key} ({decision.desired.name})")
        with refusals(decision.one.key):
            actual = self.kinds.functions.publish(decision.desired.name, decision.actual.etag)
        self._note(decision, actual)

    # --- the distribution, and after it -------------------------------------------------------

    def _distribute(self, one: Declared, changed: tuple[str, ...]) -> Decision:
        decision = self._decide(one)
        if decision.entry.adopted and self.ledger.revision(0) is None:
            entry = decision.entry
            original = {one.key: {"id": entry.id, "config": entry.original, "wanted": None}}
            self.ledger.revisions.insert(
                0, Revision(0, says="before localpop", distributions=original)
            )
            self.ledger.resources[one.key] = decision.entry
            self.ledger.save()
        if decision.actual is not None and decision.action is not Action.KEEP:
            laid = self.kinds.distributions.laid(
                decision.desired.properties, decision.actual, decision.entry
            )
            self._unfinished(changed_paths(decision.actual.properties, laid, changed))
        return self._perform(one)

    def _unfinished(self, paths: tuple[str, ...]) -> None:
        """From here on viewers notice: what is still to do is in the ledger."""
        self.ledger.begin("deploy", self.ledger.next_number, paths)

    def _finish(self) -> None:
        ledger = self.ledger
        assert ledger.unfinished is not None
        settle(self.kinds, ledger, self.tell)
        keys = {one.key for one in self.template.ours}
        revision = snapshot(self.kinds, ledger, keys, self.clock.epoch_ms())
        ledger.add_revision(revision)
        ledger.unfinished = None
        ledger.save()

    def _delete_outdated(self, wanted: set[str]) -> bool:
        deleted = late = False
        for key, entry in self._outdated(wanted):
            if _is_needed(entry, self._live, self.ledger.way_back) or (late and entry.type == ROLE):
                # A function that still is there needs its role.
                continue
            deleted = True
            self.tell(f"delete  {_short(entry.type)} {key} ({entry.id})")
            try:
                with refusals(key):
                    take_away(self.kinds, entry, self.tell)
            except ReplicasLeftError as error:
                # Not this deployment's fault; destroy, or the next one, tries again.
                self.tell(f"        {error}")
                late = True
                continue
            del self.ledger.resources[key]
            self.ledger.save()
        return deleted


# --- what deploying, rolling back and destroying share ------------------------------------------


def settle(kinds: Kinds, ledger: Ledger, tell: Tell) -> None:
    """Wait until the distributions are deployed, then invalidate what is stale.

    Args:
        kinds: The ways of the account.
        ledger: The deployment's; says what is unfinished.
        tell: Told what is being done.
    """
    unfinished = ledger.unfinished or {}
    paths = tuple(unfinished.get("paths", ()))
    for key, entry in ledger.resources.items():
        if entry.type != DISTRIBUTION or not entry.id:
            continue
        tell(f"wait    Distribution {key} ({entry.id}) until it is deployed")
        with refusals(key):
            kinds.distributions.wait_deployed(entry.id, lambda line: tell(f"        {line}"))
        if paths:
            tell(f"forget  {' '.join(paths)} (invalidation)")
            with refusals(key):
                # With the paths in it: resumed with other ones, it is another invalidation.
                digest = hashlib.sha256(" ".join(paths).encode()).hexdigest()[:12]
                reference = f"localpop-{unfinished['reference']}-{digest}"
                kinds.distributions.invalidate(entry.id, paths, reference)


def snapshot(kinds: Kinds, ledger: Ledger, keys: set[str], made_ms: float) -> Revision:
    """What viewers get now, so that they can be taken back to it.

    Args:
        kinds: The ways of the account.
        ledger: The deployment's; says what is unfinished.
        keys: What the template has.
        made_ms: When, in milliseconds since 1970.
    """
    assert ledger.unfinished is not None
    revision = Revision(int(ledger.unfinished["number"]), made_ms, "deploy", before=ledger.current)
    for key, entry in ledger.resources.items():
        if not entry.id or key not in keys:
            continue
        revision.needs.append(entry.id)
        with refusals(key):
            if entry.type == DISTRIBUTION:
                actual = kinds.distributions.read(entry.id)
                if actual is not None:
                    revision.distributions[key] = {
                        "id": entry.id,
                        "config": actual.properties,
                        "wanted": entry.wanted,
                    }
            elif entry.type == FUNCTION:
                live = kinds.functions.stage(entry.id, "LIVE")
                if live is not None:
                    revision.functions[key] = {
                        "id": entry.id,
                        "config": live[0],
                        "code": live[1],
                    }
            elif entry.type in CONFIGURATIONS:
                actual = kinds.of(entry.type).read(entry.id)
                if actual is not None:
                    revision.configurations[key] = {
                        "id": entry.id,
                        "config": actual.properties,
                        "wanted": entry.wanted,
                    }
    return revision


def take_away(kinds: Kinds, entry: Entry, tell: Tell) -> None:
    """Delete what a deployment made; what was there before says again what it said.

    Raises:
        ReplicasLeftError: A Lambda function still has replicas at the edge.
    """
    if not entry.adopted:
        if entry.id:
            kinds.of(entry.type).delete(entry.id)
        return
    actual = kinds.distributions.read(entry.id)
    if actual is not None and entry.wanted is not None:
        given_back = without(actual.properties, entry.wanted, entry.original)
        kinds.distributions.write(actual, given_back)
        kinds.distributions.wait_deployed(entry.id, lambda line: tell(f"        {line}"))


def _is_needed(entry: Entry, *revisions: Revision | None) -> bool:
    """Whether what viewers get, or may be taken back to, was made with it."""
    return bool(entry.id) and any(one is not None and entry.id in one.needs for one in revisions)


def _has_config(kind: str) -> bool:
    return kind == DISTRIBUTION or kind in CONFIGURATIONS


def _changed_names(decisions: list[Decision]) -> Iterator[str]:
    """What distributions name: ARNs of functions and ids of policies that change."""
    for one in decisions:
        if one.action is Action.CHANGE and one.actual is not None:
            yield one.actual.attributes[""]


def _short(kind: str) -> str:
    return kind.removeprefix("AWS::")
