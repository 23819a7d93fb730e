"""What all types of resources have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from emulator.deploy.desired import Declared, Template
from emulator.deploy.ledger import Entry
from emulator.deploy.plan import Change
from emulator.deploy.shapes import differences

DEPLOYMENT_TAG: Final = "localpop:deployment"
RESOURCE_TAG: Final = "localpop:resource"


@dataclass(frozen=True, slots=True)
class Desired:
    """What a resource shall be.

    Args:
        key: Which.
        name: Its name at AWS; empty when only AWS gives it.
        properties: What it shall say, in the API's form.
        body: What comes with it beside: code, a zip, entries.
        tags: Who it belongs to.
    """

    key: str
    name: str
    properties: Mapping[str, Any]
    body: Any = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Actual:
    """What a resource is.

    Args:
        id: What the API calls it by.
        properties: What it says, in the API's form.
        attributes: What Ref ("") and GetAtt answer.
        etag: For If-Match.
        body: What comes with it beside.
        tags: Who it belongs to; None when its type has no tags.
    """

    id: str
    properties: Mapping[str, Any]
    attributes: Mapping[str, str]
    etag: str = ""
    body: Any = None
    tags: Mapping[str, str] | None = None

    def belongs_to(self, desired: Desired) -> bool:
        """Whether its tags say that it is this deployment's."""
        # The template's own tags may have changed since.
        return self.tags is not None and all(
            self.tags.get(name) == desired.tags.get(name) for name in (DEPLOYMENT_TAG, RESOURCE_TAG)
        )


class Kind(Protocol):
    """One type of resource."""

    def desire(self, template: Template, one: Declared) -> Desired:
        """What the template wants.

        Raises:
            ConfigError: AWS would refuse it.
        """
        ...

    def read(self, identity: str) -> Actual | None:
        """What is there under an id; None when nothing is."""
        ...

    def find(self, desired: Desired, entry: Entry | None) -> Actual | None:
        """What is there that the ledger has no id of."""
        ...

    def changes(self, desired: Desired, actual: Actual, entry: Entry) -> Iterator[Change]:
        """What would say something else."""
        ...

    def create(self, desired: Desired, entry: Entry) -> Actual:
        """Make it."""
        ...

    def change(self, desired: Desired, actual: Actual, entry: Entry) -> Actual:
        """Make it say what it shall."""
        ...

    def delete(self, identity: str) -> None:
        """Delete it; nothing happens when it is gone."""
        ...


def own_tags(properties: Mapping[str, Any]) -> dict[str, str]:
    """The tags that the template gives a resource."""
    return tags_of(properties.get("Tags"))


def tags_of(listed: Any) -> dict[str, str]:
    """`[{Key, Value}]` as a mapping."""
    return {str(one["Key"]): str(one.get("Value", "")) for one in listed or []}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A mapping as `[{Key, Value}]`."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def property_changes(desired: Desired, actual: Actual) -> Iterator[Change]:
    """Members that would say something else; what the template does not say is left alone."""
    return differences(desired.properties, actual.properties)
