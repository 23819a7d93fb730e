"""What is answered 200 survives kill -9, and nothing else appears."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from emulator.clock.real import RealClock
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.key_values import StoreSnapshot
from tests.aws.endpoint import EndpointProcess

_KILLS = 25
_WRITERS = 3
_PARTS = ("a", "b", "c")


class _Writer(threading.Thread):
    """Writes batches of three keys until the server is gone."""

    def __init__(self, server: EndpointProcess, name: str, enough: threading.Semaphore) -> None:
        super().__init__(name=name)
        self._server, self._enough = server, enough
        self.tried: list[str] = []
        self.acknowledged: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)
        try:
            self._write_for_ever(connection)
        except (OSError, http.client.HTTPException):
            return  # killed
        finally:
            connection.close()

    def _write_for_ever(self, connection: http.client.HTTPConnection) -> None:
        path = f"/key-value-stores/{quote(self._server.arn, safe='')}"
        etag, number = "", 0
        while True:
            batch = f"{self.name}-{number}"
            self.tried.append(batch)
            puts = [{"Key": f"{batch}-{part}", "Value": _value(batch)} for part in _PARTS]
            connection.request(
                "POST",
                f"{path}/keys",
                body=json.dumps({"Puts": puts}),
                headers={"If-Match": etag},
            )
            response = connection.getresponse()
            response.read()
            etag = response.getheader("etag", "")
            if response.status == 200:
                self.acknowledged.append(batch)
                self._enough.release()
                number += 1
            else:
                # Another writer was first: read the version and try again.
                self.tried.pop()
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                etag = response.getheader("etag", "")


def _value(batch: str) -> str:
    return f"value of {batch} " * 5


def _read_back(path: Path) -> StoreSnapshot:
    async def read() -> StoreSnapshot:
        stores = await KeyValueStores.open(path, RealClock())
        try:
            return await stores.ensure("answers")
        finally:
            await stores.close()

    return asyncio.run(read())


@pytest.mark.timeout(180)
def test_kill_9_amid_concurrent_writers(store_file: Path) -> None:
    """25 times: every acknowledged batch is there, whole; no batch is there in part."""
    chance = random.Random(9)
    must: set[str] = set()
    may: set[str] = set()
    for round_number in range(_KILLS):
        server = EndpointProcess(store_file, "answers")
        enough = threading.Semaphore(0)
        writers = [
            _Writer(server, f"{round_number}-{number}", enough) for number in range(_WRITERS)
        ]
        for writer in writers:
            writer.start()
        for _ in range(chance.randint(1, 40)):
            assert enough.acquire(timeout=30)
        server.kill()
        for writer in writers:
            writer.join(30)
            must.update(writer.acknowledged)
            may.update(writer.tried)

        _check(_read_back(store_file).items, must, may)

    assert len(must) >= _KILLS


def _check(items: Mapping[str, str], must: set[str], may: set[str]) -> None:
    found = {key.rpartition("-")[0] for key in items}
    assert must <= found, f"lost: {sorted(must - found)}"
    assert found <= may, f"made up: {sorted(found - may)}"
    assert len(items) == len(found) * len(_PARTS), "a batch is there in part"
    assert all(value == _value(key.rpartition("-")[0]) for key, value in items.items())


def test_dates_and_versions_survive_a_kill(store_file: Path) -> None:
    """The version goes on where it was, so no ETag is handed out twice for different contents."""
    server = EndpointProcess(store_file, "answers")
    before = _etag(server)
    server.kill()
    server = EndpointProcess(store_file, "answers")
    after = _etag(server)
    server.kill()

    assert after == before


def _etag(server: EndpointProcess) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", f"/key-value-stores/{quote(server.arn, safe='')}")
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.getheader("etag", "")
