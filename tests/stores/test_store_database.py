"""The stores' file: what is refused, and that a refused file is left as it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.clock.virtual import VirtualClock
from emulator.errors import ConfigError
from emulator.rules.key_value_store import data_etag
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.key_values import KeyValueStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The stores' file."""
    return tmp_path / "stores.sqlite3"


def _open_and_close(path: Path) -> None:
    async def run() -> None:
        await (await KeyValueStores.open(path, VirtualClock())).close()

    asyncio.run(run())


def _make_store(path: Path, *, items: int) -> None:
    async def run() -> None:
        stores = await KeyValueStores.open(path, VirtualClock())
        arn = (await stores.ensure("answers")).arn
        for i in range(items):
            await stores.update(arn, puts=[(f"{i}", "v" * 1000)], if_match=data_etag(i + 1))
        await stores.close()

    asyncio.run(run())


def _foreign_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE precious (thing TEXT);")


def _newer_database(path: Path) -> None:
    _make_store(path, items=1)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99;")


def _damaged_pages(path: Path) -> None:
    _make_store(path, items=40)
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 8] = os.urandom(4096 * 5)
    path.write_bytes(content)


def _cut_short(path: Path) -> None:
    _make_store(path, items=40)
    path.write_bytes(path.read_bytes()[:9_000])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda path: path.write_text("a diary"), "not a SQLite", id="text"),
        pytest.param(
            lambda path: path.write_bytes(b"SQLite format 3\0"), "not a SQLite", id="stub"
        ),
        pytest.param(_foreign_database, "another program", id="foreign database"),
        pytest.param(_newer_database, "layout 99", id="newer layout"),
        pytest.param(_damaged_pages, "damaged", id="damaged pages"),
        pytest.param(_cut_short, "damaged", id="cut short"),
    ],
)
def test_a_file_that_is_not_ours_or_damaged_is_left_as_it_is(
    path: Path, make: object, words: str
) -> None:
    """ConfigError says what, where and how to mend; not one byte has changed."""
    assert callable(make)
    make(path)
    before = path.read_bytes()

    with pytest.raises(ConfigError) as refusal:
        _open_and_close(path)

    assert words in refusal.value.what
    assert refusal.value.where == str(path)
    assert refusal.value.mend
    assert path.read_bytes() == before


_LAYOUT_1 = """
PRAGMA application_id = 1819307888;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
CREATE TABLE stores (
    id INTEGER PRIMARY KEY, arn TEXT NOT NULL UNIQUE, name TEXT NOT NULL, comment TEXT NOT NULL,
    control_version INTEGER NOT NULL, ready_at_ms REAL NOT NULL, version INTEGER NOT NULL,
    created_ms REAL NOT NULL, last_modified_ms REAL NOT NULL, deleted_ms REAL
);
CREATE UNIQUE INDEX live_names ON stores (name) WHERE deleted_ms IS NULL;
CREATE TABLE items (
    store INTEGER NOT NULL REFERENCES stores (id), key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (store, key)
) WITHOUT ROWID;
INSERT INTO stores VALUES (7, 'arn:old', 'answers', 'c', 3, 0, 2, 1000, 2000, NULL);
INSERT INTO items VALUES (7, 'key', 'value');
"""


def test_an_older_layout_is_brought_up_to_date(path: Path) -> None:
    """What the first layout holds is kept, and the file can be opened again and again."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_LAYOUT_1)

    async def run() -> KeyValueStore:
        stores = await KeyValueStores.open(path, VirtualClock())
        await stores.update("arn:old", puts=[("new", "")], if_match=data_etag(2))
        store = stores.describe("arn:old")
        await stores.close()
        return store

    store = asyncio.run(run())
    _open_and_close(path)

    assert (store.name, store.control_version, store.modified_ms) == ("answers", 3, 1000)
    assert dict(store.snapshot.items) == {"key": "value", "new": ""}


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A path that cannot hold a file is named."""
    with pytest.raises(ConfigError, match="cannot be opened"):
        _open_and_close(tmp_path)


def test_a_path_below_a_file_is_no_place(path: Path) -> None:
    """Neither can a folder be made inside a file."""
    path.write_text("a diary")

    with pytest.raises(ConfigError, match="cannot be opened"):
        _open_and_close(path / "stores.sqlite3")


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """What a `touch` or a crash at the very first moment left behind is a beginning."""
    path.touch()

    _open_and_close(path)

    assert path.stat().st_size > 0


def test_the_file_belongs_to_one_process(path: Path) -> None:
    """A second process is told that the file is in use."""
    program = f"""
import asyncio
from pathlib import Path
from emulator.clock.virtual import VirtualClock
from emulator.errors import ConfigError
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.key_values import KeyValueStore
try:
    asyncio.run(KeyValueStores.open(Path({str(path)!r}), VirtualClock()))
except ConfigError as error:
    print(error.what)
"""

    async def run() -> bytes:
        stores = await KeyValueStores.open(path, VirtualClock())
        try:
            second = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                program,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            return (await second.communicate())[0]
        finally:
            await stores.close()

    assert b"in use by another process" in asyncio.run(run())
