"""What a deployment made, kept beside the project: `.localpop/deployments/<stack>.<account>.json`.

Two things can only be known from here: that a policy, a key or an origin access control is ours
(AWS lets nobody tag them), and what was live before (`localpop rollback`). Everything else is read
from AWS at each run; what can be tagged is tagged as well.

A resource is written down **before** it is made and once more afterwards: whoever is interrupted
between the two finds a note that it is about to be made, and takes it for ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from emulator.errors import ConfigError

_FORMAT: Final = 1
_REVISIONS_KEPT: Final = 20

try:
    import fcntl
except ImportError:  # Windows has other locks; two deployments at once are told apart by If-Match
    fcntl = None  # type: ignore[assignment]


@dataclass(slots=True)
class Entry:
    """A resource in the ledger.

    Args:
        type: Its type.
        name: Its name at AWS; empty when only AWS gives it.
        id: Its id at AWS; empty as long as it is only about to be made.
        adopted: Whether somebody else made it: it is changed back and never deleted.
        original: Adopted: what it said before us.
        wanted: What it was last made to say.
        done: Steps of its making that are done, such as `keys`.
    """

    type: str
    name: str = ""
    id: str = ""
    adopted: bool = False
    original: Any = None
    wanted: Any = None
    done: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Revision:
    """What viewers got after one deployment.

    Args:
        number: From 1 on; 0 is an adopted distribution as it was before.
        made_ms: When, in milliseconds since 1970.
        says: What was done.
        before: The number of the revision that viewers got before.
        distributions: DistributionConfigs, by key.
        functions: LIVE code and FunctionConfig of CloudFront Functions, by key.
        configurations: Policies and so on, by key.
        needs: Ids of everything that was there for it.
    """

    number: int
    made_ms: float = 0.0
    says: str = ""
    before: int = 0
    distributions: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, Any] = field(default_factory=dict)
    configurations: dict[str, Any] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Ledger:
    """A deployment's ledger; `save` makes it durable.

    Args:
        file: Where it is kept.
        stack: The deployment's name.
        account: The account.
        endpoint: The endpoint that it was last aimed at.
        parameters: The template's parameters, as they were last given.
        values: Values that only AWS knows, as they were last given.
        resources: What was made, by key.
        revisions: What was live, oldest first.
        current: The number of the revision that viewers get; 0 before the first.
        unfinished: Set while viewers are being moved: what is still to do.
    """

    file: Path
    stack: str
    account: str
    endpoint: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Entry] = field(default_factory=dict)
    revisions: list[Revision] = field(default_factory=list)
    current: int = 0
    unfinished: dict[str, Any] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing of this deployment is at AWS."""
        return not self.resources

    @property
    def next_number(self) -> int:
        """The number of the next revision."""
        return max([0, *(one.number for one in self.revisions)]) + 1

    @property
    def way_back(self) -> Revision | None:
        """The revision that `localpop rollback` goes to, once nothing is unfinished."""
        now = self.revision(self.current)
        return None if now is None else self.revision(now.before)

    def revision(self, number: int) -> Revision | None:
        """A revision that is still kept."""
        return next((one for one in self.revisions if one.number == number), None)

    def add_revision(self, revision: Revision) -> None:
        """Make it the current one; the oldest ones are forgotten."""
        self.revisions = [one for one in self.revisions if one.number != revision.number]
        self.revisions.append(revision)
        # The state before an adopted distribution was touched is needed to the end.
        surplus = [one for one in self.revisions if one.number][:-_REVISIONS_KEPT]
        self.revisions = [one for one in self.revisions if one not in surplus]
        self.current = revision.number

    def begin(self, says: str, number: int, paths: Sequence[str]) -> None:
        """From here on viewers notice; what is still to do is written down.

        Args:
            says: What is being done.
            number: The revision that viewers get in the end.
            paths: What the caches must forget; what an interrupted run left is added.
        """
        before = self.unfinished or {}
        same = before.get("says") == says and before.get("number") == number
        self.unfinished = {
            "says": says,
            "number": number,
            "paths": list(dict.fromkeys([*before.get("paths", ()), *paths])),
            # AWS takes two invalidations with one reference for one.
            "reference": before["reference"] if same else uuid.uuid4().hex,
        }
        self.save()

    def save(self) -> None:
        """Write it so that a crash leaves the old ledger or the new one."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_dump(self), indent=1, ensure_ascii=False)
        temporary = self.file.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.file)

    def remove(self) -> None:
        """Nothing is left of the deployment."""
        self.file.unlink(missing_ok=True)


def ledger_file(state: Path, stack: str, account: str) -> Path:
    """Where a deployment's ledger is."""
    return state / "deployments" / f"{stack}.{account}.json"


def open_ledger(state: Path, stack: str, account: str) -> Ledger:
    """The ledger of a deployment; an empty one when there is none.

    Raises:
        ConfigError: It cannot be read.
    """
    file = ledger_file(state, stack, account)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Ledger(file, stack, account)
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from None
    try:
        return _parse(file, raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, error) from None


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """One deployment at a time.

    Raises:
        ConfigError: Another process is at work.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock: IO[str]
    with file.with_suffix(".lock").open("w", encoding="utf-8") as lock:
        if fcntl is not None:
            try:
                # Goes with the process, however that ends.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigError(
                    "Another localpop is deploying this stack right now.",
                    where=str(file.name),
                    mend="Wait until it has ended.",
                ) from None
        yield


def _dump(ledger: Ledger) -> Mapping[str, Any]:
    return {
        "format": _FORMAT,
        "stack": ledger.stack,
        "account": ledger.account,
        "endpoint": ledger.endpoint,
        "parameters": ledger.parameters,
        "values": ledger.values,
        "resources": {key: _fields(one) for key, one in ledger.resources.items()},
        "current": ledger.current,
        "unfinished": ledger.unfinished,
        "revisions": [_fields(one) for one in ledger.revisions],
    }


def _fields(value: Entry | Revision) -> Mapping[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _parse(file: Path, raw: Mapping[str, Any]) -> Ledger:
    if raw.get("format") != _FORMAT:
        raise ConfigError(
            f"The ledger has the format {raw.get('format')!r}; this localpop reads {_FORMAT}.",
            where=str(file),
            mend="Use the localpop that wrote it.",
        )
    return Ledger(
        file,
        raw["stack"],
        raw["account"],
        raw["endpoint"],
        dict(raw["parameters"]),
        dict(raw["values"]),
        {key: Entry(**one) for key, one in raw["resources"].items()},
        [Revision(**one) for one in raw["revisions"]],
        raw["current"],
        raw["unfinished"],
    )


def _damaged(file: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"The deployment's ledger cannot be read: {type(error).__name__}: {error}.",
        where=str(file),
        mend="Restore it from a backup; without it localpop cannot tell what it made.",
    )
