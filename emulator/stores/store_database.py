"""Key value stores on disk: one SQLite file, written by one connection, read once at start.

WAL with synchronous=FULL: when `save_update` returns, the write is on the disk and survives
kill -9 and a power cut (0.5 ms; the other settings and their price are in facts/engines.md 5).
The file is locked for this process alone, because what other processes wrote would not be seen in
memory. A file that is not ours, or damaged, is refused before anything could write to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosqlite

from emulator.errors import ConfigError
from emulator.rules.key_value_store import StoreUpdate, contents_of
from emulator.values.key_values import KeyValueStore, StoreSnapshot

APPLICATION_ID: Final = 0x6C_70_6F_70
"""`lpop`: names the program in the file's header, at byte 68 (sqlite.org/fileformat2.html)."""
SCHEMA_VERSION: Final = 2

_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\x00"
_LOCK_TIMEOUT_S = 0.5
_UNTOUCHED = "Move the file away or give another path; it was left as it is."

_SCHEMA = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
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
COMMIT;
"""

# From each older layout to the next one. They run in a rollback journal, so that the layout's
# number in the main file's header never lags behind its tables.
_MIGRATIONS: Final = {
    1: """
        ALTER TABLE stores ADD COLUMN modified_ms REAL NOT NULL DEFAULT 0;
        UPDATE stores SET modified_ms = created_ms;
    """,
}

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
        await asyncio.to_thread(_prepare, path)
        # isolation_level None: transactions begin and end where this file says so.
        connection = await aiosqlite.connect(path, timeout=_LOCK_TIMEOUT_S, isolation_level=None)
        try:
            await connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = FULL")
            # An empty write takes the lock now and not at the first update.
            await connection.execute("BEGIN IMMEDIATE")
            await connection.execute("COMMIT")
        except sqlite3.Error as error:
            await connection.close()
            raise _refusal(path, error) from error
        return cls(connection, path)

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
            raise _refusal(self._path, error) from error
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
        async with self._transaction():
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
        async with self._transaction():
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
        async with self._transaction():
            await self._connection.execute(
                "UPDATE stores SET comment = ?, control_version = ?, modified_ms = ? WHERE arn = ?",
                (store.comment, store.control_version, store.modified_ms, store.arn),
            )

    async def save_deletion(self, arn: str, deleted_ms: float) -> None:
        """Forget the items, remember that the store was there."""
        async with self._transaction():
            await self._connection.execute(
                "DELETE FROM items WHERE store = ?", (self._row_ids[arn],)
            )
            await self._connection.execute(
                "UPDATE stores SET deleted_ms = ? WHERE arn = ?", (deleted_ms, arn)
            )

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        await self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            await self._connection.execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction already; the first error is told.
            with contextlib.suppress(sqlite3.Error):
                await self._connection.execute("ROLLBACK")
            raise

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


def _prepare(path: Path) -> None:
    """Make the file if there is none; refuse what is not ours without writing to it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        header = _read_header(path)
    except OSError as error:
        raise ConfigError(
            f"The key value stores' file cannot be opened: {error.strerror}.",
            where=str(path),
            mend="Give the path of a file that you may read and write.",
        ) from error
    try:
        if header:
            _require_ours(path, header)
            _require_sound(path)
            _migrate(path, int.from_bytes(header[60:64]))
        else:
            _create(path)
    except sqlite3.Error as error:
        raise _refusal(path, error) from error


def _read_header(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)


def _create(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S)) as connection:
        # Before WAL, so that the main file itself carries our application id from its first byte.
        connection.executescript(_SCHEMA)


def _require_ours(path: Path, header: bytes) -> None:
    if header[:16] != _MAGIC or len(header) < _HEADER_BYTES:
        raise ConfigError(
            "The key value stores' file is not a SQLite database.", where=str(path), mend=_UNTOUCHED
        )
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise ConfigError(
            "The key value stores' file is a SQLite database of another program.",
            where=str(path),
            mend=_UNTOUCHED,
        )
    version = int.from_bytes(header[60:64])
    if version != SCHEMA_VERSION and version not in _MIGRATIONS:
        raise ConfigError(
            f"The key value stores' file has layout {version}, and this localpop reads layout "
            f"{SCHEMA_VERSION}.",
            where=str(path),
            mend=f"Use the localpop that wrote it. {_UNTOUCHED}",
        )


def _require_sound(path: Path) -> None:
    # A read-only connection: SQLite would otherwise fold the log into a damaged file on closing.
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_LOCK_TIMEOUT_S)) as connection:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _migrate(path: Path, version: int) -> None:
    if version == SCHEMA_VERSION:
        return
    with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        while version < SCHEMA_VERSION:
            steps = _MIGRATIONS[version]
            version += 1
            connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {version}; COMMIT;")


def _refusal(path: Path, error: sqlite3.Error) -> ConfigError:
    if "locked" in str(error):
        return ConfigError(
            "The key value stores' file is in use by another process.",
            where=str(path),
            mend="Stop the other localpop, or give this one another path.",
        )
    if isinstance(error, sqlite3.OperationalError):
        return ConfigError(
            f"The key value stores' file cannot be opened: {error}.",
            where=str(path),
            mend="Give the path of a file that you may read and write.",
        )
    return ConfigError(
        f"The key value stores' file is damaged: {error}.",
        where=str(path),
        mend=f"Restore it from a copy, or start with a new one. {_UNTOUCHED}",
    )
