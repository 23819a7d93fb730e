"""GetKey and UpdateKeys: what they cost through boto3 and through a raw connection.

Run: `python -m benchmarks.kvs_api`. The AWS endpoint and a bare Starlette route run under the same
uvicorn in processes of their own, one after the other on the same machine; the route answers a
constant of the same size. So the ratios hold on any machine, the milliseconds only on this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import uvicorn
from botocore.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from emulator.aws.app import create_app
from emulator.aws.bedrock_runtime import BedrockRuntime
from emulator.clock.real import RealClock
from emulator.rules.key_value_store import data_etag
from emulator.stores.key_value_stores import KeyValueStores

_RAW_CALLS = 2_000
_BOTO3_CALLS = 200
_WRITES = 200
_WARM_UP = 50
_VALUE = "v" * 700
_KEYS = 1_000


def main() -> None:
    """Measure and print the table."""
    rows: list[tuple[str, list[float]]] = []
    with _running(_serve_bare) as (port, _):
        rows.append(("bare Starlette route, raw", _raw_reads(port, "/key")))
    with _running(_serve_endpoint) as (port, arn):
        path = f"/key-value-stores/{quote(arn, safe='')}"
        rows.append(("GetKey, raw", _raw_reads(port, f"{path}/keys/key-500")))
        rows.append(("UpdateKeys with 3 puts, raw", _raw_writes(port, path)))
        for name, config in (("SigV4", {"signature_version": "v4"}), ("SigV4A", {})):
            kvs = _client(port, config)
            rows.append((f"GetKey, boto3 {name}", _boto3_reads(kvs, arn)))
            rows.append((f"UpdateKeys, boto3 {name}", _boto3_writes(kvs, arn)))
    _print_table(rows)


def _print_table(rows: list[tuple[str, list[float]]]) -> None:
    bare = statistics.median(rows[0][1])
    print(f"{'':32}{'calls':>7}{'p50 ms':>9}{'p99 ms':>9}{'p50 / bare':>12}")
    for name, samples_ms in rows:
        p99 = statistics.quantiles(samples_ms, n=100)[98]
        p50 = statistics.median(samples_ms)
        print(f"{name:32}{len(samples_ms):>7}{p50:>9.3f}{p99:>9.3f}{p50 / bare:>12.2f}")


# --- Clients ------------------------------------------------------------------------------------


def _raw_reads(port: int, path: str) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def read() -> None:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 200

    return _timed(read, _RAW_CALLS)


def _raw_writes(port: int, path: str) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    etag = response.headers["etag"]

    def write() -> None:
        nonlocal etag
        body = json.dumps({"Puts": _puts()})
        connection.request("POST", f"{path}/keys", body=body, headers={"If-Match": etag})
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        etag = response.headers["etag"]

    return _timed(write, _WRITES)


def _boto3_reads(kvs: Any, arn: str) -> list[float]:
    return _timed(lambda: kvs.get_key(KvsARN=arn, Key="key-500"), _BOTO3_CALLS)


def _boto3_writes(kvs: Any, arn: str) -> list[float]:
    etag = kvs.describe_key_value_store(KvsARN=arn)["ETag"]

    def write() -> None:
        nonlocal etag
        etag = kvs.update_keys(KvsARN=arn, IfMatch=etag, Puts=_puts())["ETag"]

    return _timed(write, _BOTO3_CALLS)


def _puts() -> list[dict[str, str]]:
    return [{"Key": f"key-{i}", "Value": _VALUE} for i in range(3)]


def _timed(call: Callable[[], Any], calls: int) -> list[float]:
    for _ in range(_WARM_UP):
        call()
    samples_ms = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        samples_ms.append((time.perf_counter() - start) * 1e3)
    return samples_ms


def _client(port: int, config: dict[str, str]) -> Any:
    return boto3.client(
        "cloudfront-keyvaluestore",
        endpoint_url=f"http://local@127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(**config),
    )


# --- Servers ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _running(serve: Callable[[Connection], None]) -> Iterator[tuple[int, str]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve_bare(ready: Connection) -> None:
    answer = {"Key": "key-500", "Value": _VALUE, "ItemCount": _KEYS, "TotalSizeInBytes": 707_890}

    async def key(request: Request) -> JSONResponse:
        return JSONResponse(answer)

    asyncio.run(_serve(Starlette(routes=[Route("/key", key)]), ready, ""))


def _serve_endpoint(ready: Connection) -> None:
    async def run(folder: Path) -> None:
        clock = RealClock()
        stores = await KeyValueStores.open(folder / "stores.sqlite3", clock)
        arn = (await stores.ensure("answers")).arn
        for start in range(0, _KEYS, 50):
            version = stores.snapshot(arn).version
            puts = [(f"key-{i}", _VALUE) for i in range(start, start + 50)]
            await stores.update(arn, puts=puts, if_match=data_etag(version))
        await _serve(create_app(stores, BedrockRuntime(clock), clock), ready, arn)
        await stores.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def _serve(app: ASGIApp, ready: Connection, arn: str) -> None:
    # asyncio and uvloop set TCP_NODELAY only on sockets that name their protocol.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    ready.send((listener.getsockname()[1], arn))
    config = uvicorn.Config(app, log_level="warning", access_log=False, loop="uvloop")
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    main()
