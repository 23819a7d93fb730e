"""A real little world around an edge: a scripted origin, a clock that can be moved, functions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request as Asked
from starlette.responses import Response as Sent
from starlette.types import Receive, Scope, Send

from emulator.app.servers import Listener, bind, port_of
from emulator.clock.real import RealClock
from emulator.edge.delivery import Delivery, Edge, EdgeSettings, Viewer
from emulator.edge.functions import EdgeFunction
from emulator.edge.passage import World
from emulator.edge.site import OriginTarget, Site
from emulator.errors import EdgeFunctionError
from emulator.network.latency import LatencyModel, LatencySettings
from emulator.network.origins import OriginAddress, OriginClient, OriginTimeouts
from emulator.network.places import parse_place
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.values.distribution import (
    CacheBehavior,
    CachePolicy,
    Distribution,
    FunctionAssociation,
    Names,
    Origin,
    Selection,
)
from emulator.values.functions import EventType, FunctionEvent, FunctionKind
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaEdgeSwitches, LambdaOrigin, LambdaRun
from emulator.values.messages import Request, Response

CACHE = {policy.name: policy for policy in MANAGED_CACHE_POLICIES.values()}
ORIGIN_REQUEST = {policy.name: policy for policy in MANAGED_ORIGIN_REQUEST_POLICIES.values()}
ALL_QUERIES = Names(Selection.ALL)


class MovableClock(RealClock):
    """The real clock, whose date can be moved: freshness obeys the date, waits stay real."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead_ms = 0.0

    def epoch_ms(self) -> float:
        """The date, moved."""
        return super().epoch_ms() + self._ahead_ms

    def move_s(self, seconds: float) -> None:
        """Let time go by for every cached object."""
        self._ahead_ms += seconds * 1_000


Script = Callable[[Asked], Sent | Awaitable[Sent]]


@dataclass
class ScriptedOrigin:
    """A real HTTP server that says what the test wants and remembers what it was asked."""

    script: Script = field(default=lambda asked: Sent(b"hello"))
    seen: list[Asked] = field(default_factory=list)
    port: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asked = Asked(scope, receive)
        await asked.body()
        self.seen.append(asked)
        sent = self.script(asked)
        if isinstance(sent, Awaitable):
            sent = await sent
        await sent(scope, receive, send)

    @property
    def paths(self) -> list[str]:
        """The targets it was asked for, in order."""
        return [_target(asked) for asked in self.seen]


def _target(asked: Asked) -> str:
    query = asked.scope["query_string"].decode()
    path = asked.scope["raw_path"].decode()
    return f"{path}?{query}" if query else path


def says(
    body: bytes | str = b"hello", status: int = 200, /, **headers: str
) -> Callable[[Asked], Sent]:
    """A script that always says the same."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda asked: Sent(body, status, lines)


@dataclass
class Doing:
    """An edge function of the test."""

    act: Callable[[FunctionEvent], Request | Response | EdgeFunctionError]
    name: str = "doing"
    chosen: LambdaOrigin | None = None
    events: list[FunctionEvent] = field(default_factory=list)

    async def run(
        self, event: FunctionEvent, *, include_body: bool, origin: LambdaOrigin | None = None
    ) -> LambdaRun:
        """Act on the event."""
        self.events.append(event)
        outcome = self.act(event)
        if isinstance(outcome, EdgeFunctionError):
            raise outcome
        return LambdaRun(outcome, logs=("said",), duration_ms=0.1, origin=self.chosen)


@dataclass
class Running:
    """A running edge and what is around it."""

    edge: Edge
    clock: MovableClock
    origin: ScriptedOrigin
    second: ScriptedOrigin

    async def get(self, target: str, method: str = "GET", **headers: str) -> Got:
        """Ask as a viewer, and read the whole answer."""
        return await read(await self.ask(target, method, b"", **headers))

    async def ask(
        self, target: str, method: str = "GET", body: bytes = b"", **headers: str
    ) -> Delivery:
        """Ask as a viewer."""
        return await self.edge.deliver(asked(target, method, body, **headers), viewer())

    async def get_many(self, target: str, count: int, **headers: str) -> list[Got]:
        """Ask many times at once."""
        return await asyncio.gather(*(self.get(target, **headers) for _ in range(count)))


@dataclass(frozen=True)
class Got:
    """What a viewer got."""

    status: int
    headers: Headers
    body: bytes
    trace: str

    @property
    def x_cache(self) -> str:
        """X-Cache without ` from cloudfront`."""
        return self.headers.get("x-cache").removesuffix(" from cloudfront")


async def read(delivery: Delivery) -> Got:
    """A delivery, read to its end."""
    body = delivery.body
    if not isinstance(body, bytes):
        body = b"".join([piece async for piece in body])
    return Got(delivery.status, delivery.headers, body, str(delivery.journey.trace()))


def asked(target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Request:
    """A viewer's request; header names with `_` for `-`."""
    lines = [("Host", headers.pop("host", "d1.cloudfront.net"))]
    lines += [(name.replace("_", "-"), value) for name, value in headers.items()]
    if body:
        lines.append(("Content-Length", str(len(body))))
    uri, question, query = target.partition("?")
    return Request(
        method, uri, query, Headers(lines), body, "198.51.100.7", has_query=bool(question)
    )


def viewer() -> Viewer:
    """A new connection."""
    return Viewer("198.51.100.7", 50_000)


def policy(
    *, least: int = 0, default: int = 86_400, most: int = 31_536_000, **parts: object
) -> CachePolicy:
    """A cache policy of the test; TTLs in seconds."""
    return CachePolicy("test", least, default, most, **parts)  # type: ignore[arg-type]


def behavior(cache: CachePolicy | None = None, **parts: object) -> CacheBehavior:
    """The default behavior of a test, with parts of it changed."""
    values = {"path_pattern": "*", "target_origin_id": "Api", **parts}
    return CacheBehavior(cache_policy=cache or policy(), **values)  # type: ignore[arg-type]


def at(event: EventType, kind: FunctionKind = FunctionKind.LAMBDA_AT_EDGE) -> FunctionAssociation:
    """A function at an event; its ARN is the event's name."""
    return FunctionAssociation(event, kind, str(event))


@contextlib.asynccontextmanager
async def running(
    *behaviors: CacheBehavior,
    functions: Mapping[EventType, EdgeFunction] | None = None,
    latency: LatencySettings | None = None,
    origins: Sequence[Origin] = (),
    read_timeout_s: float = 2.0,
    switches: LambdaEdgeSwitches | None = None,
    **distribution: object,
) -> AsyncIterator[Running]:
    """An edge with one distribution, in front of two real origins (`Api` and `Second`)."""
    clock = MovableClock()
    first, second = ScriptedOrigin(), ScriptedOrigin(says("second"))
    known = {"Api": Origin("Api", "api.example.com"), "Second": Origin("Second", "b.example.com")}
    known |= {origin.id: origin for origin in origins}
    made = Distribution(
        "E1",
        "d1.cloudfront.net",
        behaviors or (behavior(),),
        known,
        **distribution,  # type: ignore[arg-type]
    )
    async with contextlib.AsyncExitStack() as stack:
        targets = {}
        servers: list[Listener] = []

        async def close_servers() -> None:
            # Together: each takes a tenth of a second to notice.
            await asyncio.gather(*(server.close() for server in servers))

        stack.push_async_callback(close_servers)
        for scripted, name in ((first, "Api"), (second, "Second")):
            listener = bind("127.0.0.1", 0, "viewer")
            scripted.port = port_of(listener)
            server = Listener(listener, scripted)
            servers.append(server)
            await server.start(clock)
            timeouts = OriginTimeouts(known[name].connection_attempts, 2, read_timeout_s, 5)
            address = OriginAddress("127.0.0.1", scripted.port)
            targets["E1", name] = OriginTarget(address, "us-east-1", timeouts=timeouts)
        client = await stack.enter_async_context(OriginClient(clock))
        model = LatencyModel(latency or LatencySettings(enabled=False))
        world = World(clock, model, client, switches or LambdaEdgeSwitches())
        edge = Edge(world, EdgeSettings(parse_place("LHR/fibre")))
        stack.push_async_callback(edge.close)
        edge.site = Site(
            (made,),
            {str(event): function for event, function in (functions or {}).items()},
            targets,
            {"b.example.com": targets["E1", "Second"]},
        )
        yield Running(edge, clock, first, second)
