"""The account's resources: durable on disk, read from memory.

Every resource is one immutable `Record`. A change is committed to SQLite before it is put in place
and answered, all of it or nothing, so what was acknowledged survives a restart. Whoever checks
something first and changes it then does both inside `exclusive()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiosqlite
import orjson

from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.stores.sqlite_file import SqliteFile, transaction
from emulator.values.account import Kind, Record

_FILE: Final = SqliteFile(
    "account's",
    # `lpac`
    0x6C_70_61_63,
    """
    CREATE TABLE records (
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        document TEXT NOT NULL,
        version INTEGER NOT NULL,
        created_ms REAL NOT NULL,
        modified_ms REAL NOT NULL,
        PRIMARY KEY (kind, id)
    ) WITHOUT ROWID;
    """,
    1,
    {},
)

_log = logging.getLogger(__name__)


class Account:
    """Everything in the account but its key value stores. Make one with `open`."""

    def __init__(self, connection: aiosqlite.Connection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock
        self._records: dict[Kind, dict[str, Record]] = {kind: {} for kind in Kind}
        self._changes: Counter[Kind] = Counter()
        self._changing = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, path: Path, clock: Clock) -> Account:
        """Read everything from the file; make the file if there is none.

        Args:
            path: The SQLite file; its folder is made if need be.
            clock: Gives the dates of records.

        Raises:
            ConfigError: The file is damaged, not ours, in use or out of reach; it is left as it is.
        """
        connection = await _FILE.open(path)
        account = cls(connection, clock)
        try:
            rows = await connection.execute_fetchall(
                "SELECT kind, id, document, version, created_ms, modified_ms FROM records"
            )
        except sqlite3.Error as error:
            await connection.close()
            raise _FILE.refusal(path, error) from error
        for kind, record_id, document, version, created_ms, modified_ms in rows:
            account._place(
                Record(
                    Kind(kind), record_id, orjson.loads(document), version, created_ms, modified_ms
                )
            )
        return account

    async def close(self) -> None:
        """Wait for the write under way, then let go of the file."""
        async with self._writing:
            if not self._closed:
                self._closed = True
                await self._connection.close()

    # --- reading: memory only -----------------------------------------------------------------

    def find(self, kind: Kind, record_id: str) -> Record | None:
        """One resource; None when there is none."""
        return self._records[kind].get(record_id)

    def all(self, kind: Kind) -> Sequence[Record]:
        """Every resource of a kind, in the order they were made."""
        return sorted(self._records[kind].values(), key=lambda one: (one.created_ms, one.id))

    def changes(self, kind: Kind) -> int:
        """How often resources of a kind have changed; for who keeps what it read of them."""
        return self._changes[kind]

    # --- writing ------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """A block in which nobody else changes anything, for a check and the change it allows."""
        async with self._changing:
            yield

    def new(self, kind: Kind, record_id: str, document: Mapping[str, Any]) -> Record:
        """A record in its first version; `save` keeps it."""
        now_ms = self._clock.epoch_ms()
        return Record(kind, record_id, document, 1, now_ms, now_ms)

    def changed(self, record: Record, document: Mapping[str, Any]) -> Record:
        """A record's next version; `save` keeps it."""
        return replace(
            record,
            document=document,
            version=record.version + 1,
            modified_ms=self._clock.epoch_ms(),
        )

    async def save(self, *records: Record, deletes: Iterable[tuple[Kind, str]] = ()) -> None:
        """Keep records and forget others: all of it or nothing, and durable when this returns.

        A caller that is cancelled does not undo a write that has begun.

        Raises:
            ApiError: 500, the disk refuses; nothing has changed then.
        """
        task = asyncio.create_task(self._save(records, tuple(deletes)))
        task.add_done_callback(_retrieve)
        await asyncio.shield(task)

    async def clear(self) -> None:
        """Forget everything."""
        async with self.exclusive():
            await self.save(
                deletes=[(kind, key) for kind, found in self._records.items() for key in found]
            )

    async def _save(self, records: Sequence[Record], deletes: Sequence[tuple[Kind, str]]) -> None:
        async with self._writing:
            if self._closed:
                raise ApiError(500, "InternalError", "The account is closed")
            try:
                async with transaction(self._connection):
                    await self._connection.executemany(
                        "DELETE FROM records WHERE kind = ? AND id = ?",
                        [(kind.value, record_id) for kind, record_id in deletes],
                    )
                    await self._connection.executemany(
                        "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)",
                        [_row(record) for record in records],
                    )
            except sqlite3.Error as error:
                _log.error("A write to the account failed: %s", error)
                raise ApiError(
                    500, "InternalError", f"The write could not be stored: {error}"
                ) from error
            for kind, record_id in deletes:
                self._records[kind].pop(record_id, None)
                self._changes[kind] += 1
            for record in records:
                self._place(record)

    def _place(self, record: Record) -> None:
        self._records[record.kind][record.id] = record
        self._changes[record.kind] += 1


def _row(record: Record) -> tuple[Any, ...]:
    return (
        record.kind.value,
        record.id,
        orjson.dumps(record.document).decode(),
        record.version,
        record.created_ms,
        record.modified_ms,
    )


def _retrieve(task: asyncio.Task[None]) -> None:
    # Whoever waited may be gone; asking for the error keeps asyncio from complaining about it.
    if not task.cancelled():
        task.exception()
