"""What an answer made ahead of time promises, and when it may no longer be served. Pure rules.

An answer is stale, and therefore a miss, when one of these is true; both edge functions check them
in this order, on the value's compact form (`origin.precompute.artifact`):

    expired    its `expires` has come
    degraded   its confidence, halved every `half_life` seconds, is under its `floor`
    lagging    its `version` is not the one under `version/<scope>` in the store

What happens then is `fallback_if_stale`. A subject is what an answer depends on, such as
`deployment:4711`, `policy:refunds` or `row:tickets/17`; a change of it takes the answer away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

SUBJECT = re.compile(r"[a-z][a-z0-9-]{0,31}:[A-Za-z0-9._/-]{1,128}")
"""`<kind>:<name>`."""

SCOPE = re.compile(r"[a-z0-9-]{1,64}")
"""What a version tag is about, such as `policies`."""

VERSION = re.compile(r"[A-Za-z0-9._:+-]{1,64}")
"""A version tag: opaque, compared as text. It is sent in a header, hence the few characters."""

VERSION_KEY_PREFIX = "version/"
"""The `/` keeps it apart from every answer: neither a UserID nor an ActionID can hold one."""

DEFAULT_CONFIDENCE_FLOOR = 0.5
"""Below this an answer is no longer served, unless it names a floor of its own.

It stands in both edge functions as well: CONFIDENCE_FLOOR there.
"""

# An item for each subject is written to the registry; it bounds what one answer costs.
MAX_SUBJECTS = 32


class ContractError(ValueError):
    """A contract that cannot be kept; the message names the member and what it may be."""


class FallbackIfStale(Enum):
    """What a viewer gets who asks for an answer that is stale."""

    ORIGIN = "origin"
    """The origin answers now: slower, and right. The usual choice."""
    NONE = "none"
    """That there is none (404): for answers which the origin cannot make while a viewer waits,
    such as those of a nightly batch, and where an old answer would be worse than no answer."""


class Staleness(Enum):
    """Why an answer may not be served."""

    EXPIRED = "expired"
    DEGRADED = "degraded"
    LAGGING = "lagging"


@dataclass(frozen=True, slots=True)
class Contract:
    """What holds for one answer.

    Attributes:
        freshness_sla_s: How old it may be while it is served, in seconds; an older one that is
            still served breaks the contract, and an event says so.
        invalidated_by: The subjects whose change takes it away.
        fallback_if_stale: What a viewer gets instead of a stale one.
        owner: Which team answers for it.
    """

    freshness_sla_s: int
    invalidated_by: tuple[str, ...]
    fallback_if_stale: FallbackIfStale
    owner: str

    def __post_init__(self) -> None:
        if type(self.freshness_sla_s) is not int or self.freshness_sla_s < 1:
            raise ContractError(
                f"freshness_sla {self.freshness_sla_s!r}: whole seconds, at least 1, expected"
            )
        if not self.owner.strip():
            raise ContractError("owner: the name of a team expected")
        if len(self.invalidated_by) > MAX_SUBJECTS:
            raise ContractError(
                f"invalidated_by: {len(self.invalidated_by)} subjects, {MAX_SUBJECTS} are the most"
            )
        for subject in self.invalidated_by:
            check_subject(subject)


def check_subject(subject: object) -> str:
    """A subject, as it is.

    Raises:
        ContractError: It is none.
    """
    if not isinstance(subject, str) or not SUBJECT.fullmatch(subject):
        shown = repr(subject)[:100]
        raise ContractError(
            f"subject {shown}: <kind>:<name> expected, such as deployment:4711 or row:tickets/17"
        )
    return subject


def version_key(scope: str) -> str:
    """The key under which the store holds a scope's current version tag.

    Raises:
        ContractError: The scope cannot be in a key.
    """
    if not SCOPE.fullmatch(scope):
        raise ContractError(f"scope {scope!r}: 1 to 64 characters of a-z, 0-9 and '-' expected")
    return f"{VERSION_KEY_PREFIX}{scope}"


def confidence_at(confidence: float, half_life_s: float, age_s: float) -> float:
    """What is left of a confidence after a while; it does not grow for answers of the future."""
    halvings: float = max(0.0, age_s) / half_life_s
    left: float = confidence * 0.5**halvings
    return left
