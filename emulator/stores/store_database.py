"""Key value stores on disk: one SQLite file, written by one connection, read once at start.

When `save_update` returns, the write is on the disk (`sqlite_file` says how).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosqlite

from emulator.rules.key_value_store import StoreUpdate, contents_of
from emulator.stores.sqlite_file import SqliteFile, transaction
from emulator.values.key_values import KeyValueStore, StoreSnapshot

APPLICATION_ID: Final = 0x6C_70_6F_70
"""`lpop`: names the program in the file's header, at byte 68 (sqlite.org/fileformat2.html)."""
SCHEMA_VERSION: Final = 2

_SCHEMA = """
CREATE TABLE stores (
    id INTEGER PRIMARY KEY,
    arn TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    comment TEXT NOT NULL,
    control_version INTEGER NOT NULL,
    modified_ms REAL NOT NULL,
    ready_at_ms REAL NOT NULL,
    version INTEGER NOT NULL,
    created_ms REAL NOT NULL,
    last_modified_ms REAL NOT NULL,
    deleted_ms REAL
);
CREATE UNIQUE INDEX live_names ON stores (name) WHERE deleted_ms IS NULL;
CREATE TABLE items (
    store INTEGER NOT NULL REFERENCES stores (id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (store, key)
) WITHOUT ROWID;
"""

_MIGRATIONS: Final = {
    1: """
        ALTER TABLE stores ADD COLUMN modified_ms REAL NOT NULL DEFAULT 0;
        UPDATE stores SET modified_ms = created_ms;
    """,
}

_FILE: Final = SqliteFile("key value stores'", APPLICATION_ID, _SCHEMA, SCHEMA_VERSION, _MIGRATIONS)

_STORE_COLUMNS = (
    "id, arn, name, comment, control_version, modified_ms, ready_at_ms, version, created_ms, "
    "last_modified_ms, deleted_ms"
)


@dataclass(frozen=True, slots=True)
class DeletedStore:
    """What is remembered of a deleted store, so that 409 can be told from 404."""

    arn: str
    name: str


@dataclass(frozen=True, slots=True)
class LoadedStores:
    """Everything the file holds."""

    live: tuple[KeyValueStore, ...]
    deleted: tuple[DeletedStore, ...]


class StoreDatabase:
    """The one writer. Its caller lets one write at a time in."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection, self._path = connection, path
        self._row_ids: dict[str, int] = {}

    @classmethod
    async def open(cls, path: Path) -> StoreDatabase:
        """Open the file, or make it.

        Raises:
            ConfigError: The path cannot hold a database, is in use, damaged, or not ours. An
                existing file has not been changed then.
        """
        return cls(await _FILE.open(path), path)

    async def close(self) -> None:
        """Fold the log into the file and let go of it."""
        await self._connection.close()

    async def load(self) -> LoadedStores:
        """Read everything.

        Raises:
            ConfigError: The file's content cannot be read.
        """
        try:
            stores = list(
                await self._connection.execute_fetchall(f"SELECT {_STORE_COLUMNS} FROM stores")
            )
            items = list(await self._connection.execute_fetchall("SELECT * FROM items"))
        except sqlite3.Error as error:
            raise _FILE.refusal(self._path, error) from error
        items_of: dict[int, dict[str, str]] = {row[0]: {} for row in stores}
        for store, key, value in items:
            items_of[store][key] = value
        self._row_ids = {row[1]: row[0] for row in stores}
        return LoadedStores(
            live=tuple(_store(row, items_of[row[0]]) for row in stores if row[-1] is None),
            deleted=tuple(DeletedStore(row[1], row[2]) for row in stores if row[-1] is not None),
        )

    async def save_new(self, store: KeyValueStore) -> None:
        """Keep a store that was just made, with its items."""
        snapshot = store.snapshot
        async with transaction(self._connection):
            cursor = await self._connection.execute(
                f"INSERT INTO stores ({_STORE_COLUMNS}) "
                "VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    store.arn,
                    store.name,
                    store.comment,
                    store.control_version,
                    store.modified_ms,
                    store.ready_at_ms,
                    snapshot.version,
                    snapshot.created_ms,
                    snapshot.last_modified_ms,
                ),
            )
            assert cursor.lastrowid is not None
            await self._put(cursor.lastrowid, list(snapshot.items.items()))
        self._row_ids[store.arn] = cursor.lastrowid

    async def save_update(self, snapshot: StoreSnapshot, update: StoreUpdate) -> None:
        """Keep a new version; on the disk when this returns."""
        row_id = self._row_ids[snapshot.arn]
        async with transaction(self._connection):
            if update.deletes:
                await self._connection.executemany(
                    "DELETE FROM items WHERE store = ? AND key = ?",
                    [(row_id, key) for key in update.deletes],
                )
            if update.puts:
                await self._put(row_id, list(update.puts))
            await self._connection.execute(
                "UPDATE stores SET version = ?, last_modified_ms = ? WHERE id = ?",
                (snapshot.version, snapshot.last_modified_ms, row_id),
            )

    async def save_comment(self, store: KeyValueStore) -> None:
        """Keep a changed comment and its version."""
        async with transaction(self._connection):
            await self._connection.execute(
                "UPDATE stores SET comment = ?, control_version = ?, modified_ms = ? WHERE arn = ?",
                (store.comment, store.control_version, store.modified_ms, store.arn),
            )

    async def save_deletion(self, arn: str, deleted_ms: float) -> None:
        """Forget the items, remember that the store was there."""
        async with transaction(self._connection):
            await self._connection.execute(
                "DELETE FROM items WHERE store = ?", (self._row_ids[arn],)
            )
            await self._connection.execute(
                "UPDATE stores SET deleted_ms = ? WHERE arn = ?", (deleted_ms, arn)
            )

    async def clear(self) -> None:
        """Forget everything."""
        async with transaction(self._connection):
            await self._connection.execute("DELETE FROM items")
            await self._connection.execute("DELETE FROM stores")
        self._row_ids.clear()

    async def _put(self, row_id: int, items: list[tuple[str, str]]) -> None:
        await self._connection.executemany(
            "INSERT OR REPLACE INTO items VALUES (?, ?, ?)",
            [(row_id, key, value) for key, value in items],
        )


def _store(row: sqlite3.Row, items: Mapping[str, str]) -> KeyValueStore:
    _, arn, name, comment, control_version, modified_ms, ready_at_ms, *data, _ = row
    version, created_ms, last_modified_ms = data
    total = contents_of(items).total_size_bytes
    snapshot = StoreSnapshot(arn, version, items, total, created_ms, last_modified_ms)
    return KeyValueStore(name, arn, comment, control_version, modified_ms, ready_at_ms, snapshot)
