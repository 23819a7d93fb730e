"""A key value store as edge functions see it: one immutable version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """One version of a key value store; an invocation never sees two (facts/kvs.md 5.2).

    Args:
        arn: The store's ARN.
        version: Grows by one with each write; names the snapshot within its store.
        items: Key to value, both text. Never changed once it is here.
        total_size_bytes: UTF-8 bytes of all keys and values.
        created_ms: When the store was made, epoch ms.
        last_modified_ms: When this version was written, epoch ms.
    """

    arn: str
    version: int
    items: Mapping[str, str]
    total_size_bytes: int
    created_ms: float
    last_modified_ms: float

    @property
    def id(self) -> str:
        """The UUID that ends the ARN."""
        return self.arn.rpartition("/")[2]


class StoreStatus(StrEnum):
    """The states a key value store is known to show (facts/kvs.md 4.3)."""

    PROVISIONING = "PROVISIONING"
    READY = "READY"


@dataclass(frozen=True, slots=True)
class KeyValueStore:
    """A key value store as the control plane knows it, with its newest version.

    Args:
        name: Unique within the account; what the control API addresses it by.
        arn: What the data API and the functions' associations address it by.
        comment: At most 128 characters.
        control_version: Grows with each change of the comment. It has an ETag of its own, which
            the data API refuses (facts/kvs.md 2.7).
        modified_ms: When it was made, or its comment last changed, epoch ms.
        ready_at_ms: From this epoch ms on its status is READY, before that PROVISIONING.
        snapshot: The items, in their newest version.
    """

    name: str
    arn: str
    comment: str
    control_version: int
    modified_ms: float
    ready_at_ms: float
    snapshot: StoreSnapshot

    @property
    def id(self) -> str:
        """The UUID that ends the ARN."""
        return self.snapshot.id

    def status(self, now_ms: float) -> StoreStatus:
        """PROVISIONING until its time has come, then READY."""
        return StoreStatus.READY if now_ms >= self.ready_at_ms else StoreStatus.PROVISIONING


@dataclass(frozen=True, slots=True)
class NewStore:
    """What CreateKeyValueStore asks for.

    Args:
        name: The store's name.
        comment: Its comment; may be empty.
        source_arn: The ARN of the S3 object to import; None to begin empty.
        tags: Its tags; may be empty.
    """

    name: str
    comment: str = ""
    source_arn: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
