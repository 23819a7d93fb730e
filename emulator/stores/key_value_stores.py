"""The account's key value stores: durable on disk, read from memory.

Every store is one immutable `StoreSnapshot`. A write makes the next snapshot, commits it to
SQLite, and only then puts it in place, tells the subscribers and answers; a read is a dictionary
look-up and never waits. Writes pass one after the other, so of several writers that hold the same
ETag exactly one wins.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.rules import key_value_store as rules
from emulator.rules import key_value_store_control as control
from emulator.rules.key_value_store import StoreContents, StoreRules, StoreUpdate
from emulator.stores.store_database import DeletedStore, StoreDatabase
from emulator.values.key_values import KeyValueStore, StoreSnapshot, StoreStatus

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class KeyValueStores:
    """All key value stores of the emulated account. Make one with `open`."""

    def __init__(self, database: StoreDatabase, clock: Clock, store_rules: StoreRules) -> None:
        self._database, self._clock, self.rules = database, clock, store_rules
        self._live: dict[str, KeyValueStore] = {}
        self._deleted: dict[str, DeletedStore] = {}
        self._arns: dict[str, str] = {}
        self._subscribers: list[Callable[[StoreSnapshot], None]] = []
        self._sorted: dict[str, tuple[int, Sequence[str]]] = {}
        self._writing = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(
        cls, path: Path, clock: Clock, *, store_rules: StoreRules | None = None
    ) -> KeyValueStores:
        """Read all stores from the file; make the file if there is none.

        Args:
            path: The SQLite file; its folder is made if need be.
            clock: Gives the dates of stores and versions.
            store_rules: The switches for what AWS leaves open.

        Raises:
            ConfigError: The file is damaged, not ours, in use or out of reach; it is left as it is.
        """
        database = await StoreDatabase.open(path)
        stores = cls(database, clock, store_rules or StoreRules())
        try:
            loaded = await database.load()
        except BaseException:
            await database.close()
            raise
        for store in loaded.live:
            stores._place(store)
        stores._deleted = {store.arn: store for store in loaded.deleted}
        return stores

    async def close(self) -> None:
        """Wait for the write under way, then let go of the file."""
        async with self._writing:
            if not self._closed:
                self._closed = True
                await self._database.close()

    # --- Reading: memory only -----------------------------------------------------------------

    def describe(self, arn: str) -> KeyValueStore:
        """The store with its newest version.

        Raises:
            ApiError: 404 for a store that never was, 409 for one that is deleted or PROVISIONING.
        """
        store = self._live.get(arn)
        if store is None:
            rules.parse_arn(arn)
            if arn in self._deleted:
                raise rules.not_in_expected_state()
            raise rules.not_found("Key-Value-Store was not found")  # ours
        if self.status(store) is not StoreStatus.READY:
            raise rules.not_in_expected_state()
        return store

    def snapshot(self, arn: str) -> StoreSnapshot:
        """The newest version of a store.

        Raises:
            ApiError: 404 for a store that never was, 409 for one that is deleted or PROVISIONING.
        """
        return self.describe(arn).snapshot

    def sorted_keys(self, snapshot: StoreSnapshot) -> Sequence[str]:
        """All keys of a version in ListKeys' order; sorted once per version."""
        version, keys = self._sorted.get(snapshot.arn, (0, ()))
        if version != snapshot.version:
            keys = rules.sorted_keys(snapshot.items)
            self._sorted[snapshot.arn] = (snapshot.version, keys)
        return keys

    def find(self, name: str) -> KeyValueStore | None:
        """The store of this name, in whatever status; None when there is none."""
        arn = self._arns.get(name)
        return None if arn is None else self._live[arn]

    def list_stores(self) -> Sequence[KeyValueStore]:
        """All stores that are not deleted, by name."""
        return [self._live[self._arns[name]] for name in sorted(self._arns)]

    def status(self, store: KeyValueStore) -> StoreStatus:
        """The store's status now."""
        return store.status(self._clock.epoch_ms())

    def subscribe(self, callback: Callable[[StoreSnapshot], None]) -> None:
        """Have each new version told, after it is on the disk and in place.

        Args:
            callback: Called on the event loop; it must not block. What it raises is logged, as the
                write it is told of has already happened.
        """
        self._subscribers.append(callback)

    # --- Writing ------------------------------------------------------------------------------

    async def ensure(self, name: str, *, comment: str = "") -> StoreSnapshot:
        """The store that a template declares; made empty and READY if there is none.

        Args:
            name: The template's `Name`. The ARN follows from it, so that it is the same after a
                restart and on every machine.
            comment: The template's `Comment`; an empty one leaves the present comment.
        """
        store = self.find(name)
        if store is None:
            store = await self.create(name, comment=comment)
        elif comment and comment != store.comment:
            etag = rules.control_etag(store.control_version)
            store = await self.update_comment(name, comment, if_match=etag)
        return store.snapshot

    async def create(
        self,
        name: str,
        *,
        comment: str = "",
        items: Mapping[str, str] | None = None,
        provisioning_ms: float = 0.0,
    ) -> KeyValueStore:
        """Make a store.

        Args:
            name: Its name; the caller has checked its form.
            comment: Its comment.
            items: What an import brings with it; the caller has checked the quotas.
            provisioning_ms: How long its status stays PROVISIONING.

        Raises:
            ApiError: 409 EntityAlreadyExists, 400 EntityLimitExceeded.
        """
        return await self._one_at_a_time(self._create(name, comment, items or {}, provisioning_ms))

    async def update(
        self,
        arn: str,
        *,
        puts: Iterable[tuple[str, str]] = (),
        deletes: Iterable[str] = (),
        if_match: str | None,
    ) -> tuple[StoreSnapshot, str]:
        """Put and delete keys: all of it or nothing, and durable when this returns.

        A caller that is cancelled does not undo a write that has begun.

        Args:
            arn: The store.
            puts: Pairs of key and value.
            deletes: Keys; absent ones are no error.
            if_match: The ETag the writer holds.

        Returns:
            The new version and its ETag.

        Raises:
            ApiError: 400 for a stale ETag or bad input, 402 for a quota, 404, 409, and 500 when
                the disk refuses; the store is unchanged then.
        """
        return await self._one_at_a_time(
            self._update(arn, StoreUpdate(tuple(puts), tuple(deletes)), if_match)
        )

    async def update_comment(
        self, name: str, comment: str, *, if_match: str | None
    ) -> KeyValueStore:
        """Change a store's comment, which is all that the control API can change.

        Args:
            name: The store.
            comment: The new comment; the caller has checked its length.
            if_match: The control ETag the caller holds.

        Raises:
            ApiError: 404 EntityNotFound, 400 InvalidIfMatchVersion, 412 PreconditionFailed.
        """
        return await self._one_at_a_time(self._update_comment(name, comment, if_match))

    async def delete(
        self, name: str, *, if_match: str | None, in_use: Callable[[str], bool] = lambda arn: False
    ) -> None:
        """Delete a store; its ARN answers 409 from now on.

        Args:
            name: The store.
            if_match: The control ETag the caller holds.
            in_use: Whether a function is associated with the ARN.

        Raises:
            ApiError: 404 EntityNotFound, 400 InvalidIfMatchVersion, 412 PreconditionFailed,
                409 CannotDeleteEntityWhileInUse.
        """
        await self._one_at_a_time(self._delete(name, if_match, in_use))

    async def clear(self) -> None:
        """Forget every store, also those that were deleted."""
        await self._one_at_a_time(self._clear())

    async def _clear(self) -> None:
        await self._database.clear()
        for known in (self._live, self._arns, self._deleted, self._sorted):
            known.clear()

    async def _one_at_a_time(self, work: Coroutine[Any, Any, _T]) -> _T:
        # In a task of its own behind a shield, so that a client that hangs up cannot
        # leave a committed version that memory does not know.
        task = asyncio.create_task(self._locked(work))
        task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def _locked(self, work: Coroutine[Any, Any, _T]) -> _T:
        async with self._writing:
            if self._closed:
                work.close()
                raise ApiError(500, "InternalServerException", "The stores are closed")
            try:
                return await work
            except sqlite3.Error as error:
                _log.error("A write to the key value stores failed: %s", error)
                raise ApiError(
                    500, "InternalServerException", f"The write could not be stored: {error}"
                ) from error

    async def _create(
        self, name: str, comment: str, items: Mapping[str, str], provisioning_ms: float
    ) -> KeyValueStore:
        if name in self._arns:
            raise ApiError(
                409, "EntityAlreadyExists", f"A key value store named {name} already exists"
            )
        control.require_room_for_store(len(self._live), self.rules)
        arn = self._new_arn(name)
        now_ms = self._clock.epoch_ms()
        contents = rules.contents_of(dict(items))
        snapshot = StoreSnapshot(arn, 1, contents.items, contents.total_size_bytes, now_ms, now_ms)
        store = KeyValueStore(name, arn, comment, 1, now_ms, now_ms + provisioning_ms, snapshot)
        await self._database.save_new(store)
        self._place(store)
        self._tell(snapshot)
        return store

    async def _update(
        self, arn: str, update: StoreUpdate, if_match: str | None
    ) -> tuple[StoreSnapshot, str]:
        store = self.describe(arn)
        old = store.snapshot
        rules.require_match(old.version, if_match)
        contents = rules.apply_update(
            StoreContents(old.items, old.total_size_bytes), update, self.rules
        )
        new = replace(
            old,
            version=old.version + 1,
            items=contents.items,
            total_size_bytes=contents.total_size_bytes,
            last_modified_ms=self._clock.epoch_ms(),
        )
        await self._database.save_update(new, update)
        self._place(replace(store, snapshot=new))
        self._tell(new)
        return new, rules.data_etag(new.version)

    async def _update_comment(self, name: str, comment: str, if_match: str | None) -> KeyValueStore:
        store = self._named(name)
        control.require_control_match(store.control_version, if_match)
        store = replace(
            store,
            comment=comment,
            control_version=store.control_version + 1,
            modified_ms=self._clock.epoch_ms(),
        )
        await self._database.save_comment(store)
        self._place(store)
        return store

    async def _delete(self, name: str, if_match: str | None, in_use: Callable[[str], bool]) -> None:
        store = self._named(name)
        control.require_control_match(store.control_version, if_match)
        if in_use(store.arn):
            raise ApiError(
                409,
                "CannotDeleteEntityWhileInUse",
                f"The key value store {name} is associated with a function",
            )
        await self._database.save_deletion(store.arn, self._clock.epoch_ms())
        del self._live[store.arn], self._arns[name]
        self._sorted.pop(store.arn, None)
        self._deleted[store.arn] = DeletedStore(store.arn, name)

    def _named(self, name: str) -> KeyValueStore:
        store = self.find(name)
        if store is None:
            raise control.no_store_named(name)
        return store

    def _new_arn(self, name: str) -> str:
        """The same ARN for the same name, but a new one after each deletion, as at AWS."""
        deletions = sum(store.name == name for store in self._deleted.values())
        return rules.store_arn(name, deletions)

    def _place(self, store: KeyValueStore) -> None:
        self._live[store.arn] = store
        self._arns[store.name] = store.arn

    def _tell(self, snapshot: StoreSnapshot) -> None:
        for callback in self._subscribers:
            try:
                callback(snapshot)
            except Exception:
                _log.exception("A subscriber failed on version %d of a store", snapshot.version)


def _retrieve(task: asyncio.Task[Any]) -> None:
    # Whoever waited may be gone; asking for the error keeps asyncio from complaining about it.
    if not task.cancelled():
        task.exception()
