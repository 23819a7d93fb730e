"""The account's records: durable, atomic, immutable."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from emulator.clock.virtual import VirtualClock
from emulator.errors import ApiError, ConfigError
from emulator.stores.account import Account
from emulator.values.account import Kind

pytestmark = pytest.mark.anyio


async def opened(path: Path) -> Account:
    """The account in a file."""
    return await Account.open(path, VirtualClock())


async def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    """With version and dates."""
    path = tmp_path / "account.sqlite"
    account = await opened(path)
    record = account.new(Kind.DISTRIBUTION, "E1", {"a": [1, "ü"]})
    await account.save(record)
    changed = account.changed(record, {"a": []})
    await account.save(changed)
    await account.close()
    again = await opened(path)
    found = again.find(Kind.DISTRIBUTION, "E1")
    await again.close()

    assert found == changed
    assert changed.version == 2
    assert record.document == {"a": [1, "ü"]}


async def test_a_change_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """A document that cannot be written takes the rest of its change with it."""
    account = await opened(tmp_path / "account.sqlite")
    good = account.new(Kind.FUNCTION, "good", {})
    bad = account.new(Kind.FUNCTION, "bad", {"a": object()})
    with pytest.raises(TypeError):
        await account.save(good, bad)
    kept = account.all(Kind.FUNCTION)
    await account.close()
    again = await opened(tmp_path / "account.sqlite")
    kept_on_disk = again.all(Kind.FUNCTION)
    await again.close()

    assert not kept
    assert not kept_on_disk


async def test_a_cancelled_caller_does_not_undo_its_write(tmp_path: Path) -> None:
    """The write goes on, and memory and disk agree."""
    account = await opened(tmp_path / "account.sqlite")
    saving = asyncio.create_task(account.save(account.new(Kind.FUNCTION, "one", {})))
    await asyncio.sleep(0)  # noqa: TID251 - lets the task begin
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    await account.close()
    again = await opened(tmp_path / "account.sqlite")
    kept = again.find(Kind.FUNCTION, "one")
    await again.close()

    assert (account.find(Kind.FUNCTION, "one") is None) == (kept is None)


async def test_deletes_and_clear(tmp_path: Path) -> None:
    """Deleted records are gone from memory and disk; clear forgets all."""
    account = await opened(tmp_path / "account.sqlite")
    await account.save(account.new(Kind.FUNCTION, "one", {}), account.new(Kind.TAGS, "arn", {}))
    await account.save(deletes=[(Kind.FUNCTION, "one"), (Kind.FUNCTION, "never")])
    left = [kind for kind in Kind if account.all(kind)]
    await account.clear()
    empty = [kind for kind in Kind if account.all(kind)]
    await account.close()

    assert left == [Kind.TAGS]
    assert empty == []


async def test_a_closed_account_refuses_writes(tmp_path: Path) -> None:
    """500, and nothing changed."""
    account = await opened(tmp_path / "account.sqlite")
    await account.close()
    with pytest.raises(ApiError):
        await account.save(account.new(Kind.FUNCTION, "one", {}))


@pytest.mark.parametrize("content", [b"not a database at all", b"SQLite format 3\x00" + b"x" * 500])
async def test_a_foreign_or_damaged_file_is_refused_and_left(
    tmp_path: Path, content: bytes
) -> None:
    """A clear refusal; the bytes stay what they were."""
    path = tmp_path / "account.sqlite"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="account's file"):
        await opened(path)

    assert path.read_bytes() == content


async def test_the_stores_file_is_not_taken_for_the_account(tmp_path: Path) -> None:
    """They are told apart by their application ids."""
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA application_id = {0x6C706F70}; CREATE TABLE a (b);")
    connection.close()
    with pytest.raises(ConfigError, match="another program"):
        await opened(path)
