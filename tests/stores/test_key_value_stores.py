"""Key value stores: durable, atomic, read from memory."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from emulator.clock.virtual import VirtualClock
from emulator.errors import ApiError
from emulator.rules.key_value_store import control_etag, data_etag
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.key_values import StoreSnapshot, StoreStatus

T = TypeVar("T")
_Work = Callable[[KeyValueStores], Coroutine[Any, Any, T]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The stores' file; its folder does not exist yet."""
    return tmp_path / "state" / "stores.sqlite3"


@pytest.fixture
def clock() -> VirtualClock:
    """Time that stands still unless moved."""
    return VirtualClock()


def _with_stores(path: Path, clock: VirtualClock, work: _Work[T]) -> T:
    """Open the stores, do the work, close them."""

    async def run() -> T:
        stores = await KeyValueStores.open(path, clock)
        try:
            return await work(stores)
        finally:
            await stores.close()

    return asyncio.run(run())


async def _write(stores: KeyValueStores, arn: str, key: str, value: str) -> StoreSnapshot:
    snapshot, _ = await stores.update(
        arn, puts=[(key, value)], if_match=data_etag(stores.snapshot(arn).version)
    )
    return snapshot


def test_a_declared_store_is_the_same_after_a_restart(path: Path, clock: VirtualClock) -> None:
    """Same ARN, same items, same version, same dates; and the ARN follows from the name alone."""

    async def first(stores: KeyValueStores) -> StoreSnapshot:
        arn = (await stores.ensure("answers", comment="Ready answers")).arn
        clock.advance_ms(5)
        await _write(stores, arn, "k\0é", "v" * 1024)
        return await _write(stores, arn, "user_action", "")

    before = _with_stores(path, clock, first)
    clock.advance_ms(60_000)
    after = _with_stores(path, clock, lambda stores: stores.ensure("answers"))
    elsewhere = _with_stores(
        path.with_name("other.sqlite3"), clock, lambda stores: stores.ensure("answers")
    )

    assert after == before
    assert elsewhere.arn == before.arn
    assert before.arn.startswith("arn:aws:cloudfront::123456789012:key-value-store/")
    assert (before.created_ms, before.last_modified_ms) == (1.8e12, 1.8e12 + 5)


def test_a_snapshot_never_changes(path: Path, clock: VirtualClock) -> None:
    """Whoever holds a version keeps it, however much is written."""

    async def work(stores: KeyValueStores) -> tuple[StoreSnapshot, StoreSnapshot]:
        old = await stores.ensure("answers")
        await _write(stores, old.arn, "key", "value")
        return old, stores.snapshot(old.arn)

    old, new = _with_stores(path, clock, work)

    assert (old.version, dict(old.items)) == (1, {})
    assert (new.version, dict(new.items)) == (2, {"key": "value"})


@pytest.mark.conformance("KVS-60")
def test_of_many_writers_with_one_etag_one_wins(path: Path, clock: VirtualClock) -> None:
    """All at once on one loop: one write, and everybody else is told."""

    async def work(stores: KeyValueStores) -> tuple[list[Any], StoreSnapshot]:
        arn = (await stores.ensure("answers")).arn
        results = await asyncio.gather(
            *(stores.update(arn, puts=[(f"{i}", "v")], if_match=data_etag(1)) for i in range(20)),
            return_exceptions=True,
        )
        return list(results), stores.snapshot(arn)

    results, snapshot = _with_stores(path, clock, work)

    losers = [result for result in results if isinstance(result, ApiError)]
    assert len(losers) == 19
    assert {loser.code for loser in losers} == {"ValidationException"}
    assert (snapshot.version, len(snapshot.items)) == (2, 1)


def test_a_writer_that_hangs_up_leaves_memory_and_disk_alike(
    path: Path, clock: VirtualClock
) -> None:
    """Cancelled at any point, a write has happened in both places or in none."""

    async def work(stores: KeyValueStores) -> dict[str, str]:
        arn = (await stores.ensure("answers")).arn
        for i in range(30):
            etag = data_etag(stores.snapshot(arn).version)
            writing = asyncio.create_task(stores.update(arn, puts=[(f"{i}", "v")], if_match=etag))
            for _ in range(i):
                await _one_turn_of_the_loop()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        # Closing waits for the write under way; after that nothing moves any more.
        await stores.close()
        return dict(stores.snapshot(arn).items)

    in_memory = _with_stores(path, clock, work)
    on_disk = _with_stores(path, clock, lambda stores: stores.ensure("answers"))

    assert on_disk.items == in_memory


@pytest.mark.conformance("KVS-29")
def test_a_refused_update_changes_nothing(path: Path, clock: VirtualClock) -> None:
    """The version before stays in place, also on the disk."""

    async def work(stores: KeyValueStores) -> tuple[StoreSnapshot, StoreSnapshot]:
        arn = (await stores.ensure("answers")).arn
        before = await _write(stores, arn, "key", "value")
        with pytest.raises(ApiError):
            await stores.update(
                arn,
                puts=[("good", "v"), ("bad", "v" * 1025)],
                deletes=["key"],
                if_match=data_etag(2),
            )
        return before, stores.snapshot(arn)

    before, after = _with_stores(path, clock, work)

    assert after is before
    assert _with_stores(path, clock, lambda stores: stores.ensure("answers")) == before


def test_subscribers_hear_of_each_version_once_it_is_readable(
    path: Path, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """In order, after the write is in place; one that fails is logged and harms nobody."""
    heard: list[int] = []

    async def work(stores: KeyValueStores) -> None:
        def fail(snapshot: StoreSnapshot) -> None:
            raise RuntimeError("a subscriber's own mistake")

        def listen(snapshot: StoreSnapshot) -> None:
            assert stores.snapshot(snapshot.arn) is snapshot
            heard.append(snapshot.version)

        stores.subscribe(fail)
        stores.subscribe(listen)
        arn = (await stores.ensure("answers")).arn
        await _write(stores, arn, "a", "1")
        await _write(stores, arn, "b", "2")

    with caplog.at_level(logging.ERROR):
        _with_stores(path, clock, work)

    assert heard == [1, 2, 3]
    assert "a subscriber's own mistake" in caplog.text


@pytest.mark.conformance("KVS-36", "KVS-37")
def test_what_becomes_of_a_store(path: Path, clock: VirtualClock) -> None:
    """PROVISIONING, READY, deleted, and made again under another id; all of it lasts."""

    async def make(stores: KeyValueStores) -> str:
        store = await stores.create("answers", provisioning_ms=35_000.0, items={"k": "v"})
        assert stores.status(store) is StoreStatus.PROVISIONING
        with pytest.raises(ApiError, match="not in expected state"):
            stores.snapshot(store.arn)
        with pytest.raises(ApiError) as taken:
            await stores.create("answers")
        assert taken.value.code == "EntityAlreadyExists"
        return store.arn

    async def make_ready_and_delete(stores: KeyValueStores) -> None:
        clock.advance_ms(35_000)
        assert stores.snapshot(first).items == {"k": "v"}
        await stores.delete("answers", if_match=control_etag(1))
        assert stores.find("answers") is None
        with pytest.raises(ApiError) as absent:
            await stores.delete("answers", if_match=control_etag(1))
        assert absent.value.code == "EntityNotFound"

    async def make_again(stores: KeyValueStores) -> str:
        with pytest.raises(ApiError) as gone:
            stores.snapshot(first)
        assert (gone.value.status, gone.value.code) == (409, "ConflictException")
        return (await stores.create("answers")).arn

    first = _with_stores(path, clock, make)
    _with_stores(path, clock, make_ready_and_delete)
    second = _with_stores(path, clock, make_again)

    assert second != first
    assert _with_stores(path, clock, lambda stores: stores.ensure("answers")).items == {}


@pytest.mark.conformance("KVS-42")
def test_a_comment_has_a_version_of_its_own(path: Path, clock: VirtualClock) -> None:
    """Another comment makes another control version; items and their version stay."""

    async def work(stores: KeyValueStores) -> tuple[str, int]:
        snapshot = await stores.ensure("answers", comment="one")
        assert await stores.ensure("answers", comment="one") is snapshot
        assert await stores.ensure("answers", comment="two") is snapshot
        store = stores.describe(snapshot.arn)
        return store.comment, store.control_version

    assert _with_stores(path, clock, work) == ("two", 2)
    assert _with_stores(path, clock, _comment) == ("two", 2)


async def _one_turn_of_the_loop() -> None:
    loop = asyncio.get_running_loop()
    turn = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn


async def _comment(stores: KeyValueStores) -> tuple[str, int]:
    store = stores.list_stores()[0]
    return store.comment, store.control_version


def test_keys_are_sorted_once_per_version(path: Path, clock: VirtualClock) -> None:
    """Paging through an unchanged store does not sort it again."""

    async def work(stores: KeyValueStores) -> None:
        arn = (await stores.ensure("answers")).arn
        snapshot = await _write(stores, arn, "b", "")
        first = stores.sorted_keys(snapshot)
        assert stores.sorted_keys(snapshot) is first
        later = await _write(stores, arn, "a", "")
        assert list(stores.sorted_keys(later)) == ["a", "b"]

    _with_stores(path, clock, work)


def test_a_write_after_the_end_is_refused(path: Path, clock: VirtualClock) -> None:
    """Closing twice is harmless; writing afterwards is a 500, not a hang."""

    async def work(stores: KeyValueStores) -> None:
        arn = (await stores.ensure("answers")).arn
        await stores.close()
        with pytest.raises(ApiError) as refusal:
            await _write(stores, arn, "k", "v")
        assert refusal.value.status == 500

    _with_stores(path, clock, work)


_FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from emulator.clock.virtual import VirtualClock
from emulator.errors import ApiError
from emulator.rules.key_value_store import data_etag
from emulator.stores.key_value_stores import KeyValueStores

async def write(stores, arn, key):
    return await stores.update(
        arn, puts=[(key, "v" * 1000)], if_match=data_etag(stores.snapshot(arn).version)
    )

async def main(path):
    stores = await KeyValueStores.open(path, VirtualClock())
    arn = (await stores.ensure("answers")).arn
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    refusals = []
    for i in range(40):
        before = stores.snapshot(arn)
        try:
            await write(stores, arn, f"{i}")
        except ApiError as error:
            refusals.append(error)
            assert stores.snapshot(arn) is before
    assert refusals and {error.status for error in refusals} == {500}, refusals
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await write(stores, arn, "afterwards")
    in_memory = dict(stores.snapshot(arn).items)
    await stores.close()
    stores = await KeyValueStores.open(path, VirtualClock())
    assert dict(stores.snapshot(arn).items) == in_memory
    await stores.close()
    print("survived", len(refusals))

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_refuses_the_write_and_nothing_else(path: Path) -> None:
    """500 while there is no room, memory and disk alike all the time; then it goes on."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.startswith("survived"), done.stderr
