"""The versions of stores that edge servers hold, on a clock that stands still between steps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulator.clock.virtual import VirtualClock
from emulator.errors import ApiError
from emulator.rules.key_value_store import data_etag
from emulator.rules.propagation import Propagation
from emulator.stores.edge_copies import EdgeCopies
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.functions import EdgeLocation

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> VirtualClock:
    """Time is an argument."""
    return VirtualClock()


@pytest.fixture
async def stores(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[KeyValueStores]:
    """Stores on disk."""
    opened = await KeyValueStores.open(tmp_path / "stores.sqlite", clock)
    yield opened
    await opened.close()


def servers(pop: str = "NRT") -> list[EdgeLocation]:
    """The servers of one point of presence."""
    return [EdgeLocation(pop, f"203.0.113.{n}", "ap-northeast-1", n) for n in range(4)]


async def write(stores: KeyValueStores, arn: str, value: str) -> None:
    """Put one key."""
    etag = data_etag(stores.snapshot(arn).version)
    await stores.update(arn, puts=[("k", value)], if_match=etag)


def seen(copies: EdgeCopies, arn: str, pop: str = "NRT") -> list[str | None]:
    """The key's value at each server."""
    return [copies.copy(arn, server).items.get("k") for server in servers(pop)]


@pytest.mark.conformance("KVS-50")
@pytest.mark.parametrize("propagation", [Propagation.DOCS, Propagation.OBSERVED])
async def test_a_write_is_seen_at_the_edge_only_later(
    stores: KeyValueStores, clock: VirtualClock, propagation: Propagation
) -> None:
    """The API's own view has it at once."""
    arn = (await stores.create("s")).arn
    copies = EdgeCopies(stores, clock, propagation)
    await write(stores, arn, "new")
    at_once = seen(copies, arn)
    await clock.sleep_ms(50_001)

    assert stores.snapshot(arn).items == {"k": "new"}
    assert at_once == [None] * 4
    assert seen(copies, arn) == ["new"] * 4


@pytest.mark.conformance("KVS-51", "CF-98")
async def test_while_it_travels_servers_answer_old_and_new(
    stores: KeyValueStores, clock: VirtualClock
) -> None:
    """A mix inside one point of presence, and every server changes once."""
    arn = (await stores.create("s")).arn
    copies = EdgeCopies(stores, clock, Propagation.OBSERVED)
    await write(stores, arn, "new")
    rounds = []
    for _ in range(520):
        rounds.append(seen(copies, arn))
        await clock.sleep_ms(100)
    mixed = [one for one in rounds if len(set(one)) == 2]

    assert rounds[0] == [None] * 4
    assert rounds[-1] == ["new"] * 4
    assert mixed
    assert len(mixed) <= 71
    for server in zip(*rounds, strict=True):
        assert [one == "new" for one in server] == sorted(one == "new" for one in server)


@pytest.mark.conformance("KVS-54")
async def test_the_key_count_is_that_of_the_version_that_arrived(
    stores: KeyValueStores, clock: VirtualClock
) -> None:
    """`meta()` reads the same snapshot as `get()`."""
    arn = (await stores.create("s", items={"a": "1"})).arn
    copies = EdgeCopies(stores, clock, Propagation.DOCS)
    await write(stores, arn, "new")

    assert len(copies.copy(arn, servers()[0]).items) == 1
    await clock.sleep_ms(5_001)
    assert len(copies.copy(arn, servers()[0]).items) == 2


async def test_instant_copies_are_the_stores_own(
    stores: KeyValueStores, clock: VirtualClock
) -> None:
    """The very same object, without a look at the clock."""
    arn = (await stores.create("s")).arn
    copies = EdgeCopies(stores, clock)
    await write(stores, arn, "new")

    assert copies.copy(arn, servers()[0]) is stores.snapshot(arn)


async def test_old_versions_are_kept_no_longer_than_they_are_shown(
    stores: KeyValueStores, clock: VirtualClock
) -> None:
    """A busy writer leaves a few versions, and one once everything has arrived."""
    arn = (await stores.create("s")).arn
    copies = EdgeCopies(stores, clock, Propagation.DOCS)
    for number in range(200):
        await write(stores, arn, str(number))
        await clock.sleep_ms(50)
        seen(copies, arn)
    busy = copies.versions_kept(arn)
    await clock.sleep_ms(10_000)
    last = seen(copies, arn)

    # 5 s at four versions a second, and the one before them.
    assert busy <= 22
    assert copies.versions_kept(arn) == 1
    assert last == ["199"] * 4


async def test_a_new_store_is_everywhere_and_a_missing_one_nowhere(
    stores: KeyValueStores, clock: VirtualClock
) -> None:
    """There is no older version that a server could show."""
    copies = EdgeCopies(stores, clock, Propagation.OBSERVED)
    arn = (await stores.create("s", items={"k": "first"})).arn

    assert seen(copies, arn) == ["first"] * 4
    with pytest.raises(ApiError):
        copies.copy(arn.replace(arn[-4:], "0000"), servers()[0])
