"""Reading a resolved template: each value checked where it is read, every mistake noted.

A mistake does not end the reading: it is noted as a finding and a harmless value stands in, so that
all mistakes are found at once. What could not be resolved (an import from a stack that is not here)
is only a mistake when it is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

from emulator.errors import ConfigError, LocalpopError, NotEmulated
from emulator.project.intrinsics import Unresolved
from emulator.values.findings import Finding, Severity

_E = TypeVar("_E", bound=StrEnum)
_TRUE: Final = ("true", "false")


@dataclass(slots=True)
class Notes:
    """Findings while a template is read, in order and without repeats."""

    found: list[Finding] = field(default_factory=list)

    def error(self, what: str, where: str, mend: str = "") -> None:
        """Note what AWS would refuse, or localpop cannot run."""
        self.add(Finding(Severity.ERROR, where, what, mend))

    def warn(self, what: str, where: str, mend: str = "") -> None:
        """Note what deploys and then surprises."""
        self.add(Finding(Severity.WARNING, where, what, mend))

    def add(self, *findings: Finding) -> None:
        """Note findings that others made."""
        self.found += [finding for finding in findings if finding not in self.found]

    def failure(self, error: LocalpopError) -> None:
        """Note an error as a finding."""
        match error:
            case ConfigError():
                self.error(error.what, error.where, error.mend)
            case NotEmulated():
                self.error(
                    f"{error.what} is not emulated by localpop; see docs/fidelity.md.", error.where
                )
            case _:
                self.error(str(error), "")

    @contextlib.contextmanager
    def as_warnings(self) -> Iterator[None]:
        """A block whose mistakes keep nobody from running the rest."""
        before = len(self.found)
        try:
            yield
        finally:
            self.found[before:] = [
                replace(one, severity=Severity.WARNING) for one in self.found[before:]
            ]

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """A block whose error becomes a finding; what it was about to make is left out."""
        try:
            yield
        except (ConfigError, NotEmulated) as error:
            self.failure(error)


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of a template, and its place.

    Args:
        raw: The mapping; its intrinsic functions are resolved, or stand there as `Unresolved`.
        where: Its place, for findings.
        notes: Where mistakes go.
    """

    raw: Mapping[str, Any]
    where: str
    notes: Notes

    def has(self, name: str) -> bool:
        """Whether a value is there and says something."""
        value = self.raw.get(name)
        return value not in (None, "", [], {})

    def place(self, name: str) -> str:
        """The place of a value."""
        return f"{self.where}.{name}"

    def text(self, name: str, default: str = "") -> str:
        """A text; a number or boolean counts as its text."""
        value = self._value(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (dict, list)):
            self._wrong(name, value, "a text")
            return default
        return str(value)

    def whole(self, name: str, default: int) -> int:
        """A whole number; digits in a text count."""
        return int(self._number(name, default, int, "a whole number", "Write digits."))

    def number(self, name: str, default: float) -> float:
        """A number; digits in a text count."""
        return self._number(name, default, float, "a number", "Write a number.")

    def truth(self, name: str, default: bool = False) -> bool:
        """A boolean; CloudFormation takes `true` and `"true"` alike."""
        value = self._value(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if str(value).lower() not in _TRUE:
            self._wrong(name, value, "true or false")
            return default
        return str(value).lower() == "true"

    def one_of(self, name: str, kind: type[_E], default: _E | str, what: str) -> _E:
        """A word of a list; the first of them stands in for a wrong one."""
        named = self.text(name, str(default))
        try:
            return kind(named)
        except ValueError:
            self.notes.error(
                f"{named!r} is no {what} (known: {', '.join(kind)}).",
                self.place(name),
                "Use one of them.",
            )
            return next(iter(kind))

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        return [
            Section({"item": item}, f"{self.place(name)}[{number}]", self.notes).text("item")
            for number, item in enumerate(self.items(name))
        ]

    def section(self, name: str) -> Section:
        """A mapping; empty when it is not there."""
        value = self._value(name)
        if value is None or value == "":
            return Section({}, self.place(name), self.notes)
        if not isinstance(value, dict):
            self._wrong(name, value, "a mapping")
            return Section({}, self.place(name), self.notes)
        return Section(value, self.place(name), self.notes)

    def sections(self, name: str) -> list[Section]:
        """A list of mappings."""
        found = []
        for number, item in enumerate(self.items(name)):
            place = f"{self.place(name)}[{number}]"
            if isinstance(item, dict):
                found.append(Section(item, place, self.notes))
            else:
                self.notes.error(f"{item!r} is not a mapping.", place, "Mend the template.")
        return found

    def items(self, name: str) -> list[Any]:
        """A list as it stands; CloudFormation also takes `{Items: […]}` where AWS has it so."""
        value = self._value(name)
        if value is None or value == "":
            return []
        if isinstance(value, dict) and set(value) <= {"Quantity", "Items"}:
            value = self._value_of(value.get("Items") or [], name)
        if not isinstance(value, list):
            # CloudFormation wraps a lone value of a list property.
            return [value] if isinstance(value, str) else self._no_list(name, value)
        return value

    def _no_list(self, name: str, value: object) -> list[Any]:
        self._wrong(name, value, "a list")
        return []

    def _number(
        self, name: str, default: float, kind: type[int] | type[float], what: str, mend: str
    ) -> float:
        value = self._value(name)
        if value is None or value == "":
            return default
        try:
            if isinstance(value, bool) or (kind is int and isinstance(value, float)):
                raise ValueError
            return kind(value)
        except (TypeError, ValueError):
            self.notes.error(f"{value!r} is not {what}.", self.place(name), mend)
            return default

    def _wrong(self, name: str, value: object, expected: str) -> None:
        self.notes.error(f"{value!r} is not {expected}.", self.place(name), "Mend the value.")

    def _value(self, name: str) -> Any:
        return self._value_of(self.raw.get(name), name)

    def _value_of(self, value: Any, name: str) -> Any:
        if isinstance(value, Unresolved):
            self.notes.failure(value.error)
            return None
        return value
