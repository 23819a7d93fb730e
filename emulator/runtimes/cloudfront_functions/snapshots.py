"""Which versions of which stores a worker holds, and the frames that bring it a new one."""

from __future__ import annotations

from typing import Final

from emulator.runtimes.cloudfront_functions.frames import encode
from emulator.values.key_values import StoreSnapshot

VERSIONS_KEPT: Final = 4
"""Per store: servers of one point of presence may serve several versions while a write spreads."""


class SnapshotShelf:
    """One worker's versions, by store, the last used last."""

    def __init__(self) -> None:
        self._shelf: dict[str, dict[int, StoreSnapshot]] = {}

    def frames_for(self, snapshot: StoreSnapshot) -> list[bytes]:
        """What must be sent before a call may name this version; empty when it is there."""
        versions = self._shelf.setdefault(snapshot.arn, {})
        if snapshot.version in versions:
            # Used last, so forgotten last.
            versions[snapshot.version] = versions.pop(snapshot.version)
            return []
        base = versions[max(versions)] if versions else None
        versions[snapshot.version] = snapshot
        frames = [_store_frame(snapshot, base)]
        if len(versions) > VERSIONS_KEPT:
            oldest = next(iter(versions))
            del versions[oldest]
            frames.append(encode(["forget", snapshot.arn, oldest]))
        return frames


def _store_frame(snapshot: StoreSnapshot, base: StoreSnapshot | None) -> bytes:
    items = snapshot.items
    facts = {
        "id": snapshot.id,
        "created_ms": snapshot.created_ms,
        "modified_ms": snapshot.last_modified_ms,
    }
    if base is None:
        return encode(["store", snapshot.arn, snapshot.version, None, dict(items), [], facts])
    before = base.items
    puts = {key: value for key, value in items.items() if before.get(key) != value}
    deletes = [key for key in before if key not in items]
    return encode(["store", snapshot.arn, snapshot.version, base.version, puts, deletes, facts])
