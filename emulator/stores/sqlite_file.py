"""One SQLite file of ours: made, checked and opened so that a write that returned is on the disk.

WAL with synchronous=FULL: a commit survives kill -9 and a power cut (0.5 ms; the other settings and
their price are in facts/engines.md 5). The file is locked for this process alone, because what
other processes wrote would not be seen in memory. A file that is not ours, or damaged, is refused
before anything could write to it.
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

_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\x00"
_LOCK_TIMEOUT_S = 0.5
UNTOUCHED: Final = "Move the file away or give another path; it was left as it is."


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """What a file of ours holds.

    Args:
        owner: Whose file it is, in the genitive: `key value stores'`.
        application_id: Names us in the file's header, at byte 68 (sqlite.org/fileformat2.html).
        schema: The statements that make its tables, in the newest layout.
        schema_version: The number of that layout.
        migrations: From each older layout to the next one. They run in a rollback journal, so that
            the layout's number in the main file's header never lags behind its tables.
    """

    owner: str
    application_id: int
    schema: str
    schema_version: int
    migrations: Mapping[int, str]

    async def open(self, path: Path) -> aiosqlite.Connection:
        """Open the file, or make it.

        Raises:
            ConfigError: The path cannot hold a database, is in use, damaged, or not ours. An
                existing file has not been changed then.
        """
        await asyncio.to_thread(self._prepare, path)
        # isolation_level None: transactions begin and end where our files say so.
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
            raise self.refusal(path, error) from error
        return connection

    def refusal(self, path: Path, error: sqlite3.Error) -> ConfigError:
        """The error that says what is wrong with the file."""
        if "locked" in str(error):
            return ConfigError(
                f"The {self.owner} file is in use by another process.",
                where=str(path),
                mend="Stop the other localpop, or give this one another path.",
            )
        if isinstance(error, sqlite3.OperationalError):
            return ConfigError(
                f"The {self.owner} file cannot be opened: {error}.",
                where=str(path),
                mend="Give the path of a file that you may read and write.",
            )
        return ConfigError(
            f"The {self.owner} file is damaged: {error}.",
            where=str(path),
            mend=f"Restore it from a copy, or start with a new one. {UNTOUCHED}",
        )

    def _prepare(self, path: Path) -> None:
        """Make the file if there is none; refuse what is not ours without writing to it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            header = _read_header(path)
        except OSError as error:
            raise ConfigError(
                f"The {self.owner} file cannot be opened: {error.strerror}.",
                where=str(path),
                mend="Give the path of a file that you may read and write.",
            ) from error
        try:
            if header:
                self._require_ours(path, header)
                _require_sound(path)
                self._migrate(path, int.from_bytes(header[60:64]))
            else:
                self._create(path)
        except sqlite3.Error as error:
            raise self.refusal(path, error) from error

    def _create(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S)) as connection:
            # Before WAL, so that the main file itself carries our application id from its first
            # byte.
            connection.executescript(
                f"BEGIN; PRAGMA application_id = {self.application_id}; "
                f"PRAGMA user_version = {self.schema_version}; {self.schema} COMMIT;"
            )

    def _require_ours(self, path: Path, header: bytes) -> None:
        if header[:16] != _MAGIC or len(header) < _HEADER_BYTES:
            raise ConfigError(
                f"The {self.owner} file is not a SQLite database.",
                where=str(path),
                mend=UNTOUCHED,
            )
        if int.from_bytes(header[68:72]) != self.application_id:
            raise ConfigError(
                f"The {self.owner} file is a SQLite database of another program.",
                where=str(path),
                mend=UNTOUCHED,
            )
        version = int.from_bytes(header[60:64])
        if version != self.schema_version and version not in self.migrations:
            raise ConfigError(
                f"The {self.owner} file has layout {version}, and this localpop reads layout "
                f"{self.schema_version}.",
                where=str(path),
                mend=f"Use the localpop that wrote it. {UNTOUCHED}",
            )

    def _migrate(self, path: Path, version: int) -> None:
        if version == self.schema_version:
            return
        with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            while version < self.schema_version:
                steps = self.migrations[version]
                version += 1
                connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {version}; COMMIT;")


@contextlib.asynccontextmanager
async def transaction(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    """All of the block's statements or none; on the disk when the block has ended."""
    await connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        await connection.execute("COMMIT")
    except BaseException:
        # A full disk may have ended the transaction already; the first error is told.
        with contextlib.suppress(sqlite3.Error):
            await connection.execute("ROLLBACK")
        raise


def _read_header(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)


def _require_sound(path: Path) -> None:
    # A read-only connection: SQLite would otherwise fold the log into a damaged file on closing.
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_LOCK_TIMEOUT_S)) as connection:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
