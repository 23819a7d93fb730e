"""The hit path with latency off, against a bare uvicorn app in the same run: `make bench`.

Both serve the same 700-byte answer to the same raw client over kept connections, in alternating
rounds; the figure to read is the ratio. CPU is that of the server's whole process tree (for us: the
edge, and the worker that runs the CloudFront Function), from /proc.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import boto3
import uvloop

ROOT: Final = Path(__file__).resolve().parents[1]
SESSION_KEY: Final = "benchmark-session-key-benchmark-session-key"
CONNECTIONS: Final = 32
ROUND_S: Final = 2.0
ROUNDS: Final = 3
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")

BARE_APP: Final = """
BODY = b"x" * 700
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"700")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
"""


@dataclass(frozen=True, slots=True)
class Round:
    """One server's figures in one round."""

    requests_per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


class _Client(asyncio.Protocol):
    """One kept connection with one request in flight."""

    def __init__(self, request: bytes, times_ms: list[float], end_s: float) -> None:
        self._request, self._times_ms, self._end_s = request, times_ms, end_s
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._ask()

    def _ask(self) -> None:
        self._sent_s = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(head.decode()))
            return
        now_s = time.perf_counter()
        self._times_ms.append((now_s - self._sent_s) * 1e3)
        self._buffer = b""
        if now_s < self._end_s:
            self._ask()
        else:
            self._transport.close()
            self.done.set_result(None)


async def _load(port: int, request: bytes) -> list[float]:
    loop = asyncio.get_running_loop()
    times_ms: list[float] = []
    end_s = time.perf_counter() + ROUND_S
    clients = [
        (
            await loop.create_connection(
                lambda: _Client(request, times_ms, end_s), "127.0.0.1", port
            )
        )[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(client.done for client in clients))
    return times_ms


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _cpu_s(pid: int) -> float:
    total = 0
    for one in _tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_S


def _measure(pid: int, port: int, request: bytes) -> Round:
    before_s = _cpu_s(pid)
    times_ms = sorted(uvloop.run(_load(port, request)))
    cpu_s = _cpu_s(pid) - before_s
    return Round(
        len(times_ms) / ROUND_S,
        1e6 * cpu_s / len(times_ms),
        statistics.median(times_ms),
        times_ms[int(0.99 * len(times_ms))],
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(400):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit("a server did not start")


@contextlib.contextmanager
def _bare() -> Iterator[tuple[int, int]]:
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bare.py").write_text(BARE_APP)
        words = [sys.executable, "-m", "uvicorn", "bare:app", "--port", str(port)]
        words += ["--no-access-log", "--log-level", "warning"]
        process = subprocess.Popen(words, cwd=folder)
        try:
            _wait_for(port)
            yield process.pid, port
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def _emulator() -> Iterator[tuple[int, int, bytes]]:
    viewer, aws, dashboard = _free_port(), _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "localpop.toml").write_text(
            f'template = "{ROOT / "template.yaml"}"\n'
            '[parameters]\nViewerProtocolPolicy = "allow-all"\n'
            '[origins.Api]\nurl = "http://127.0.0.1:9"\n'
        )
        words = [str(Path(sys.executable).parent / "localpop"), "up", "--latency", "off"]
        words += ["--viewer-port", str(viewer), "--aws-port", str(aws)]
        words += ["--dashboard-port", str(dashboard)]
        process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            _wait_for(viewer)
            yield process.pid, viewer, _stored_answer(aws)
        finally:
            process.terminate()
            process.wait()


def _stored_answer(aws_port: int) -> bytes:
    """Put one user's answer into the store; returns the request that hits it."""
    url = f"http://local@127.0.0.1:{aws_port}"
    client = boto3.client(
        "cloudfront-keyvaluestore",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    sys.path.insert(0, str(ROOT))
    from emulator.rules.key_value_store import store_arn
    from origin.session import issue

    arn = store_arn("localpop-answers")
    now_s = int(time.time())
    answer = {"answer": "x" * 640, "generated": now_s, "expires": now_s + 3_600}
    client.update_keys(
        KvsARN=arn,
        IfMatch=client.describe_key_value_store(KvsARN=arn)["ETag"],
        Puts=[
            {"Key": "config/session-key", "Value": SESSION_KEY},
            {"Key": "user-001_morning-briefing", "Value": json.dumps(answer)},
        ],
    )
    token = issue("user-001", SESSION_KEY, now_s=now_s, ttl_s=3_600)
    return (
        "GET /answers/morning-briefing HTTP/1.1\r\nHost: localhost\r\nUser-Agent: benchmark\r\n"
        f"Accept: */*\r\nCookie: session={token}\r\n\r\n"
    ).encode()


def main() -> None:
    """Alternate the two servers and print the ratio."""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: benchmark\r\nAccept: */*\r\n\r\n"
    bare: list[Round] = []
    ours: list[Round] = []
    with _bare() as (bare_pid, bare_port), _emulator() as (our_pid, our_port, hit):
        address = f"http://127.0.0.1:{our_port}/answers/morning-briefing"
        cookie = hit.decode().partition("Cookie: ")[2].strip()
        asked = urllib.request.Request(address, headers={"Cookie": cookie})
        with urllib.request.urlopen(asked) as response:
            if not response.headers["X-Cache"].startswith("FunctionGenerated"):
                raise SystemExit(f"not a hit: {response.headers['X-Cache']}")
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
            bare.append(_measure(bare_pid, bare_port, request))
            ours.append(_measure(our_pid, our_port, hit))
    _print("bare uvicorn app", bare)
    _print("hit path", ours)
    rate = statistics.median(one.requests_per_s for one in ours) / statistics.median(
        one.requests_per_s for one in bare
    )
    cpu = min(one.cpu_us for one in ours) / min(one.cpu_us for one in bare)
    print(f"ratio: {rate:.2f} x the requests/s, {cpu:.2f} x the CPU per request")


def _print(name: str, rounds: list[Round]) -> None:
    median = statistics.median
    print(
        f"{name:<18} {median(one.requests_per_s for one in rounds):>8.0f} requests/s   "
        f"CPU {min(one.cpu_us for one in rounds):>6.1f} us/request   "
        f"p50 {median(one.p50_ms for one in rounds):.2f} ms   "
        f"p99 {median(one.p99_ms for one in rounds):.2f} ms"
    )


if __name__ == "__main__":
    main()
