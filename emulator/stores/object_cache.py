"""Cached objects: what a point of presence and a regional edge cache keep, in memory.

Each tier has its own contents; one limit on bytes covers all of them, and what was used longest ago
goes first (AWS: "objects may be evicted early if rarely used", facts/cloudfront.md 8.1).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from emulator.values.messages import Response

DEFAULT_LIMIT_BYTES: Final = 256 * 1024 * 1024
# A head and the bookkeeping around it, roughly; so that a flood of empty objects is bounded too.
_OVERHEAD_BYTES: Final = 1_024

_Freshness = TypeVar("_Freshness")


@dataclass(frozen=True, slots=True)
class StoredObject(Generic[_Freshness]):
    """A response as it was kept.

    Args:
        response: Its body is whole.
        method: The method that fetched it; an object of HEAD has no body to give to GET.
        fetched_s: When the origin answered or confirmed it, epoch seconds; a copy keeps the time.
        freshness: What the rules made of its headers.
        origin_status: The status that the origin itself sent; 0 when a function made it.
    """

    response: Response
    method: str
    fetched_s: float
    freshness: _Freshness
    origin_status: int

    @property
    def size_bytes(self) -> int:
        """What it takes of the limit."""
        assert isinstance(self.response.body, bytes)
        return len(self.response.body) + _OVERHEAD_BYTES


@dataclass(slots=True)
class ObjectCache(Generic[_Freshness]):
    """Every tier's objects.

    Args:
        limit_bytes: How much all of them may take; one object may take an eighth of it.
    """

    limit_bytes: int = DEFAULT_LIMIT_BYTES
    _objects: OrderedDict[tuple[str, Hashable], StoredObject[_Freshness]] = field(
        default_factory=OrderedDict
    )
    _bytes: int = 0

    def get(self, tier: str, key: Hashable) -> StoredObject[_Freshness] | None:
        """The object that a tier keeps under a key."""
        entry = (tier, key)
        found = self._objects.get(entry)
        if found is not None:
            self._objects.move_to_end(entry)
        return found

    def keep(self, tier: str, key: Hashable, stored: StoredObject[_Freshness]) -> None:
        """Keep an object, in place of an earlier one; too large a one is not kept at all."""
        self.drop(tier, key)
        if stored.size_bytes > self.object_limit_bytes:
            return
        self._objects[tier, key] = stored
        self._bytes += stored.size_bytes
        while self._bytes > self.limit_bytes:
            _, oldest = self._objects.popitem(last=False)
            self._bytes -= oldest.size_bytes

    def drop(self, tier: str, key: Hashable) -> None:
        """Forget an object, if it is there."""
        gone = self._objects.pop((tier, key), None)
        if gone is not None:
            self._bytes -= gone.size_bytes

    def drop_where(self, covered: Callable[[Hashable, StoredObject[_Freshness]], bool]) -> int:
        """Forget every object that is covered, in every tier; returns how many there were."""
        gone = [entry for entry, stored in self._objects.items() if covered(entry[1], stored)]
        for tier, key in gone:
            self.drop(tier, key)
        return len(gone)

    @property
    def object_limit_bytes(self) -> int:
        """The largest object that is kept."""
        return self.limit_bytes // 8

    @property
    def size_bytes(self) -> int:
        """What all objects take."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._objects)
