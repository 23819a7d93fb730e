"""The way through localpop with latency off, against a bare uvicorn app on the same job.

Three jobs, each asked for by the same raw client over kept connections, in alternating rounds:

  cache hit   700 bytes from the cache; the bare app holds the same bytes in memory
  miss        700 bytes from an origin that is asked each time; the bare app asks it as well, over
              kept connections of plain asyncio streams, with the least parsing that can work
  megabyte    1 MiB from the same origin, not cached, passed on as it arrives by both

The figure to read is the ratio. Goal: a cache hit and a miss at no more CPU per request than the
bare app spends (1.00 or less). The bare app looks nothing up, writes no trace and knows no rules,
so the goal is a hard one; whether it is met is printed. CPU is that of the server's whole process
tree, from /proc; the origin's is nobody's. Run: `python benchmarks/proxy.py`, about 20 s.
"""

from __future__ import annotations

import asyncio
import contextlib
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

import uvloop

# `make bench` runs each file by its path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.hit_path import Round, _Client, _cpu_s, _free_port, _print, _wait_for

ROUND_S: Final = 0.8
ROUNDS: Final = 3
MEGABYTE: Final = 1024 * 1024

TEMPLATE: Final = """
Resources:
  Site:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        Origins:
          - Id: Api
            DomainName: localhost
            CustomOriginConfig: {OriginProtocolPolicy: http-only, HTTPPort: PORT}
        CacheBehaviors:
          - PathPattern: /hit
            TargetOriginId: Api
            ViewerProtocolPolicy: allow-all
            CachePolicyId: 658327ea-f89d-4fab-a63d-7e88639e58f6
        DefaultCacheBehavior:
          TargetOriginId: Api
          ViewerProtocolPolicy: allow-all
          CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
"""

ORIGIN: Final = """
import asyncio
import sys
import uvloop

HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
SMALL, LARGE = (HEAD % size + b"x" * size for size in (700, 1024 * 1024))

class Origin(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.asked = transport, b""

    def data_received(self, data):
        self.asked += data
        if self.asked.endswith(b"\\r\\n\\r\\n"):
            self.transport.write(LARGE if self.asked.startswith(b"GET /megabyte") else SMALL)
            self.asked = b""

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Origin, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()

uvloop.run(main())
"""

BARE_APP: Final = """
import asyncio

BODY = b"x" * 700
IDLE = []

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/hit":
        headers = [(b"content-type", b"application/json"), (b"content-length", b"700")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})
        return
    if IDLE:
        reader, writer = IDLE.pop()
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT, limit=256 * 1024)
    asked = [b"GET ", scope["raw_path"], b" HTTP/1.1\\r\\n"]
    for name, value in scope["headers"]:
        asked += [name, b": ", value, b"\\r\\n"]
    writer.write(b"".join(asked) + b"\\r\\n")
    line, *lines = (await reader.readuntil(b"\\r\\n\\r\\n"))[:-4].split(b"\\r\\n")
    headers = []
    for one in lines:
        name, _, value = one.partition(b": ")
        headers.append((name.lower(), value))
    left = int(dict(headers)[b"content-length"])
    await send({"type": "http.response.start", "status": int(line[9:12]), "headers": headers})
    while left:
        piece = await reader.read(min(left, 256 * 1024))
        if not piece:
            raise ConnectionError("the origin closed the connection")
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
    IDLE.append((reader, writer))
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked for.

    Args:
        name: For the table.
        path: At either server.
        body_bytes: The size of the answer's body.
        x_cache: What localpop must say about it, or the figures mean nothing.
        connections: Kept connections with one request in flight on each.
        has_goal: Whether the goal is about it.
    """

    name: str
    path: str
    body_bytes: int
    x_cache: str
    connections: int
    has_goal: bool = True

    @property
    def request(self) -> bytes:
        """As it goes over the wire."""
        lines = f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: benchmark\r\n"
        return f"{lines}Accept: */*\r\n\r\n".encode()


JOBS: Final = (
    Job("cache hit", "/hit", 700, "Hit from cloudfront", 32),
    Job("miss", "/miss", 700, "Miss from cloudfront", 32),
    Job("megabyte", "/megabyte", MEGABYTE, "Miss from cloudfront", 8, has_goal=False),
)


@dataclass(frozen=True, slots=True)
class Server:
    """One of the two."""

    pid: int
    port: int


class _Counting(_Client):
    """A client that counts a body's bytes instead of keeping them."""

    head_end = -1
    seen_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Count; a whole answer is then shown to the other client as its head alone."""
        self.seen_bytes += len(data)
        if self.head_end < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self.head_end = end + 4
            head = self._buffer[: self.head_end]
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            self.whole_bytes = self.head_end + int(length)
            self.status_is_ok = head.startswith(b"HTTP/1.1 200")
        if self.seen_bytes < self.whole_bytes:
            return
        self._buffer, self.head_end, self.seen_bytes = b"", -1, 0
        status = b"200" if self.status_is_ok else b"500"
        super().data_received(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)


async def _load(server: Server, job: Job) -> list[float]:
    loop = asyncio.get_running_loop()
    times_ms: list[float] = []
    end_s = time.perf_counter() + ROUND_S
    clients = []
    for _ in range(job.connections):
        _, client = await loop.create_connection(
            lambda: _Counting(job.request, times_ms, end_s), "127.0.0.1", server.port
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    return times_ms


def _measure(server: Server, job: Job) -> Round:
    before_s, started_s = _cpu_s(server.pid), time.perf_counter()
    times_ms = sorted(uvloop.run(_load(server, job)))
    cpu_s, took_s = _cpu_s(server.pid) - before_s, time.perf_counter() - started_s
    count = len(times_ms)
    p99_ms = times_ms[int(0.99 * count)]
    return Round(count / took_s, 1e6 * cpu_s / count, statistics.median(times_ms), p99_ms)


@contextlib.contextmanager
def _process(words: list[str], folder: Path, port: int) -> Iterator[Server]:
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Server(process.pid, port)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _servers() -> Iterator[tuple[Server, Server]]:
    """The bare app and localpop, before the same origin."""
    origin, bare, viewer = _free_port(), _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "origin.py").write_text(ORIGIN)
        (folder / "bare.py").write_text(BARE_APP.replace("PORT", str(origin)))
        (folder / "template.yaml").write_text(TEMPLATE.replace("PORT", str(origin)))
        stack.enter_context(_process([sys.executable, "origin.py", str(origin)], folder, origin))
        words = [sys.executable, "-m", "uvicorn", "bare:app", "--port", str(bare)]
        words += ["--no-access-log", "--log-level", "warning"]
        theirs = stack.enter_context(_process(words, folder, bare))
        words = [str(Path(sys.executable).parent / "localpop"), "up", "--latency", "off"]
        words += ["--viewer-port", str(viewer), "--aws-port", "0", "--dashboard-port", "0"]
        yield theirs, stack.enter_context(_process(words, folder, viewer))


def _check(theirs: Server, ours: Server, job: Job) -> None:
    """Both do the job, and localpop in the way that is meant; the second answer is looked at."""
    for server, wanted in ((theirs, ""), (ours, job.x_cache)):
        for _ in range(2):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{job.path}") as response:
                size_bytes, x_cache = len(response.read()), response.headers["X-Cache"] or ""
        if (size_bytes, x_cache) != (job.body_bytes, wanted):
            raise SystemExit(f"{job.name}: {size_bytes} bytes, X-Cache {x_cache!r}")


def _compare(job: Job, theirs: list[Round], ours: list[Round]) -> None:
    _print(f"{job.name}, bare", theirs)
    _print(f"{job.name}, ours", ours)
    rate = statistics.median(one.requests_per_s for one in ours) / statistics.median(
        one.requests_per_s for one in theirs
    )
    cpu = min(one.cpu_us for one in ours) / min(one.cpu_us for one in theirs)
    goal = ""
    if job.has_goal:
        goal = f" (goal: 1.00 or less; {'met' if cpu <= 1 else 'not met'})"
    print(f"ratio: {rate:.2f} x the requests/s, {cpu:.2f} x the CPU per request{goal}")


def main() -> None:
    """Alternate the two servers, job by job, and print the ratios."""
    with _servers() as (theirs, ours):
        for job in JOBS:
            _check(theirs, ours, job)
            rounds = [(_measure(theirs, job), _measure(ours, job)) for _ in range(ROUNDS)]
            _compare(job, [one for one, _ in rounds], [one for _, one in rounds])


if __name__ == "__main__":
    main()
