"""Requested against achieved latency, through a whole edge: `make bench`.

A server process runs the edge with a stub function, and four access types without jitter: 0.5, 3,
15 and 80 ms. A client process asks at 0 (one at a time), 500 and 2,000 requests per second, at
random, over kept connections. Two errors are printed, in ms:

  at the edge     when the response's head is handed to the socket, after its deadline
  at the viewer   when its first byte arrives, after the requested time: with the loopback and the
                  client's own event loop, which no emulator can hide

Goal: p99 at the edge 0.2 ms idle and 1 ms at 500/s on an otherwise idle machine. So the machine is
measured as well: by its load average, and by a bare timer, without any edge, that waits 500 times a
second; no edge on that machine can do better. `late` counts answers whose making alone took longer
than they should last.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import uvloop

from emulator.app.servers import Listener, bind
from emulator.clock.real import RealClock
from emulator.edge.delivery import Delivery, Edge, EdgeSettings, Viewer
from emulator.edge.passage import World
from emulator.edge.site import Site
from emulator.network.draws import Shape, Spread
from emulator.network.latency import LatencyModel, LatencySettings
from emulator.network.origins import OriginClient
from emulator.network.places import parse_place
from emulator.network.settings import AccessLink, ConnectionMode
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES
from emulator.values.distribution import (
    CacheBehavior,
    Distribution,
    FunctionAssociation,
    Origin,
)
from emulator.values.functions import EventType, FunctionEvent, FunctionKind, FunctionRun
from emulator.values.lambda_edge import LambdaEdgeSwitches, LambdaOrigin
from emulator.values.messages import Request, Response
from emulator.values.places import Access
from emulator.viewer.protocol import ViewerConnection

REQUESTED_MS: Final = {
    Access.FIBRE: 0.5,
    Access.CABLE: 3.0,
    Access.FIVE_G: 15.0,
    Access.FOUR_G: 80.0,
}
RATES_PER_S: Final = (0, 500, 2_000)
HOST: Final = "d1.cloudfront.net"


# --- The server -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stub:
    """An edge function that answers at once."""

    name: str = "stub"

    async def run(
        self, event: FunctionEvent, *, include_body: bool, origin: LambdaOrigin | None = None
    ) -> FunctionRun:
        """The same 700 bytes for everybody."""
        return FunctionRun(Response(200, body=b"x" * 700), logs=(), duration_ms=0.0, store_reads=0)


@dataclass(slots=True)
class Watched:
    """The edge, and by how much each of its deliveries missed its deadline."""

    edge: Edge
    errors_ms: dict[float, list[float]] = field(
        default_factory=lambda: collections.defaultdict(list)
    )
    overhead_ms: list[float] = field(default_factory=list)
    late: int = 0
    cpu_s: float = 0.0

    async def deliver(self, request: Request, viewer: Viewer) -> Delivery:
        """Deliver and note; `/report` tells what was noted, and forgets it."""
        if request.uri == "/report":
            return await self._report(request, viewer)
        delivery = await self.edge.deliver(request, viewer)
        journey = delivery.journey
        error_ms = self.edge.clock.now_ms() - journey.deadline_ms
        self.errors_ms[round(journey.simulated_ms, 3)].append(error_ms)
        self.overhead_ms.append(journey.overhead_ms)
        self.late += journey.late_ms > 0
        return delivery

    async def _report(self, request: Request, viewer: Viewer) -> Delivery:
        told = {
            "errors_ms": dict(self.errors_ms),
            "overhead_ms": self.overhead_ms,
            "late": self.late,
            "cpu_s": time.process_time() - self.cpu_s,
        }
        self.errors_ms.clear()
        self.overhead_ms, self.late, self.cpu_s = [], 0, time.process_time()
        delivery = await self.edge.deliver(request, viewer)
        return replace(delivery, body=json.dumps(told).encode())


def settings() -> LatencySettings:
    """Nothing takes time but the access link, and that without jitter."""
    links = {access: AccessLink(ms, Spread(0.0), 1_000.0) for access, ms in REQUESTED_MS.items()}
    return LatencySettings(
        shape=Shape.CONSTANT,
        access={**LatencySettings().access, **links},
        viewer_connections=ConnectionMode.WARM,
        cff_ms=0.0,
        cff_sigma=0.0,
        cache_lookup_ms=0.0,
    )


def site() -> Site:
    """One distribution whose every request is answered by the stub."""
    disabled = next(one for one in MANAGED_CACHE_POLICIES.values() if one.name == "CachingDisabled")
    association = FunctionAssociation(
        EventType.VIEWER_REQUEST, FunctionKind.CLOUDFRONT_FUNCTION, "arn:stub"
    )
    behavior = CacheBehavior("*", "Api", disabled, functions=(association,))
    distribution = Distribution("E1", HOST, (behavior,), {"Api": Origin("Api", "api.example.com")})
    return Site((distribution,), {"arn:stub": Stub()})


async def serve(port: int) -> None:
    """Serve until killed."""
    clock = RealClock()
    async with OriginClient(clock) as client:
        world = World(clock, LatencyModel(settings()), client, LambdaEdgeSwitches())
        edge = Edge(world, EdgeSettings(parse_place("LHR/fibre")), site())
        listener = Listener(bind("127.0.0.1", port, "viewer"), Watched(edge), ViewerConnection)
        await listener.start(clock)
        await asyncio.Event().wait()


# --- The client -----------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """One kept connection, one request in flight."""

    def __init__(self, idle: collections.deque[Connection], errors_ms: dict[float, list[float]]):
        self._idle, self._errors_ms = idle, errors_ms
        self._transport: asyncio.Transport | None = None
        self._left = 0
        self._first = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self._transport = transport  # type: ignore[assignment]

    def ask(self, access: Access) -> None:
        """Send one request."""
        assert self._transport is not None
        self._requested_ms = REQUESTED_MS[access]
        self._first = True
        self._head = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sent_ms = time.perf_counter() * 1e3
        self._transport.write(
            f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Localpop-Viewer: LHR/{access}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """The first byte counts; the last one makes the connection idle again."""
        if self._first:
            took_ms = time.perf_counter() * 1e3 - self._sent_ms
            self._errors_ms[self._requested_ms].append(took_ms - self._requested_ms)
            self._first = False
        self._head += data
        head, separator, body = self._head.partition(b"\r\n\r\n")
        if separator and len(body) >= 700:
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(head.decode())
            self._idle.append(self)
            if not self.done.done():
                self.done.set_result(None)


async def load(port: int, rate_per_s: int, seconds: float) -> dict[float, list[float]]:
    """Ask evenly, for so long; returns the errors at the viewer."""
    loop = asyncio.get_running_loop()
    idle: collections.deque[Connection] = collections.deque()
    errors_ms: dict[float, list[float]] = collections.defaultdict(list)

    async def connect() -> Connection:
        _, connection = await loop.create_connection(
            lambda: Connection(idle, errors_ms), "127.0.0.1", port
        )
        return connection

    accesses = list(REQUESTED_MS)
    if not rate_per_s:
        one = await connect()
        for number in range(int(seconds * 40)):
            one.ask(accesses[number % 4])
            await one.done
            # A pause, so that the machine falls asleep as it would between two lone requests.
            await asyncio.sleep(0.005)
        return errors_ms
    # Enough for all that are under way at once: the mean request lasts 25 ms.
    idle.extend([await connect() for _ in range(max(20, rate_per_s // 12))])
    clock = RealClock()
    begin_ms = clock.now_ms()
    under_way = []
    # At random, as viewers come: even arrivals would meet the deadlines of earlier ones.
    chance, at_ms = random.Random(1), begin_ms
    for number in range(int(rate_per_s * seconds)):
        at_ms += 1_000 * chance.expovariate(rate_per_s)
        await clock.sleep_until_ms(at_ms)
        if idle:
            connection = idle.popleft()
            connection.ask(accesses[number % 4])
            under_way.append(connection.done)
    await asyncio.wait_for(asyncio.gather(*under_way), 10)
    return errors_ms


# --- Together -------------------------------------------------------------------------------------


@contextlib.contextmanager
def server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The server process; gone when the block ends."""
    words = [sys.executable, __file__, "--serve", str(port)]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": os.getcwd()})
    try:
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def report(port: int) -> dict[str, Any]:
    """What the server noted since it was asked last."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/report", headers={"Host": HOST})
    with urllib.request.urlopen(request) as response:
        found: dict[str, Any] = json.loads(response.read())
        return found


def percentile(values: list[float], share: float) -> float:
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(rate_per_s: int, seconds: float, at_edge: dict[str, Any], at_viewer: Any) -> None:
    """Print one rate's rows."""
    cpu = at_edge["cpu_s"] / seconds
    overhead = at_edge["overhead_ms"]
    print(
        f"\n{rate_per_s or 'one at a time':>6}{' requests/s' if rate_per_s else ''}: server CPU "
        f"{cpu:.0%}, own work p50 {percentile(overhead, 0.5):.2f} ms, "
        f"late {at_edge['late']} of {len(overhead)}, load average {os.getloadavg()[0]:.1f}"
    )
    columns = "".join(f"{name:>9}" for name in ("p50", "p90", "p99"))
    print(f"{'requested':>12} {'n':>6}   at the edge{columns}   at the viewer{columns}")
    everything: list[float] = []
    for requested_ms in REQUESTED_MS.values():
        edge_ms = at_edge["errors_ms"].get(str(requested_ms), [])
        everything += edge_ms
        figures = f"{'':14}{spread(edge_ms)}{'':16}{spread(at_viewer[requested_ms])}"
        print(f"{requested_ms:>9} ms {len(edge_ms):>6}{figures}")
    print(
        f"{'all':>12} {len(everything):>6}{'':14}{spread(everything)}   "
        f"earliest {min(everything):+.3f}"
    )


def spread(errors_ms: list[float]) -> str:
    """Three percentiles."""
    return "".join(f"{percentile(errors_ms, share):>+9.3f}" for share in (0.5, 0.9, 0.99))


async def bare_timer(seconds: float) -> list[float]:
    """What this machine allows: waits of 2 ms, one after the other, and nothing else."""
    clock = RealClock()
    errors_ms = []
    for _ in range(int(500 * seconds)):
        deadline_ms = clock.now_ms() + 2
        await clock.sleep_until_ms(deadline_ms)
        errors_ms.append(clock.now_ms() - deadline_ms)
    return errors_ms


def main() -> None:
    """Measure every rate."""
    parser = argparse.ArgumentParser(description="Requested against achieved latency.")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=5.0, help="per rate (5)")
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve(arguments.serve))
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    print(f"this machine, a bare timer: {'':13}{spread(uvloop.run(bare_timer(2.0)))}")
    with server(port):
        uvloop.run(load(port, 500, 0.5))
        for rate_per_s in RATES_PER_S:
            report(port)
            at_viewer = uvloop.run(load(port, rate_per_s, arguments.seconds))
            show(rate_per_s, arguments.seconds, report(port), at_viewer)


if __name__ == "__main__":
    main()
