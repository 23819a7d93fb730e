"""What a check of a template found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """AWS would refuse to deploy it, or localpop cannot run it."""
    WARNING = "warning"
    """It deploys, and then surprises."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about a template.

    Args:
        severity: How bad it is.
        where: The place, such as `template.yaml: Resources.Distribution.…`.
        what: One sentence; in AWS's own words where AWS has them.
        mend: One sentence that says how to mend it.
    """

    severity: Severity
    where: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        parts = (self.what, self.mend, f"[{self.where}]" if self.where else "")
        return " ".join(part for part in parts if part)


def error(what: str, where: str, mend: str = "") -> Finding:
    """What AWS would refuse to deploy, or localpop cannot run."""
    return Finding(Severity.ERROR, where, what, mend)


def warning(what: str, where: str, mend: str = "") -> Finding:
    """What deploys and then surprises."""
    return Finding(Severity.WARNING, where, what, mend)
