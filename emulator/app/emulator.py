"""Everything together: stores, runtimes, edge, listeners, and the commands beside them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator.app.children import Child, aws_environment, declared_environment
from emulator.app.deploy import Deployed, Deployer
from emulator.app.servers import Listener, bind, port_of
from emulator.app.watch import watch
from emulator.aws.app import create_app
from emulator.aws.bedrock_runtime import BedrockRuntime
from emulator.clock.real import RealClock
from emulator.dashboard.app import create_dashboard
from emulator.edge.delivery import Edge, EdgeSettings
from emulator.edge.passage import World
from emulator.errors import ConfigError, LocalpopError
from emulator.network.latency import LatencyModel
from emulator.network.origins import OriginClient
from emulator.project.local import LocalSettings, read_local
from emulator.project.template import read_template, template_attribute
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.runtimes.lambda_edge import LambdaFunctions
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.lambda_edge import LambdaEdgeSwitches
from emulator.viewer.protocol import ViewerConnection

Tell = Callable[[str], None]
"""Where a line for the person at the terminal goes."""


@dataclass(slots=True)
class Emulator:
    """A running emulator. Make it with `running`.

    Args:
        settings: What localpop.toml, environment and flags say.
        tell: Where messages go.
        edge: What answers viewers.
        viewer_url: The viewers' port.
        aws_url: The AWS endpoint, as SDKs are told it.
        dashboard_url: The dashboard.
        environment: What commands learn.
    """

    settings: LocalSettings
    tell: Tell
    edge: Edge
    deployer: Deployer
    viewer_url: str
    aws_url: str
    dashboard_url: str
    environment: dict[str, str]
    _files: tuple[Path, ...] = ()
    _children: list[Child] = field(default_factory=list)

    # --- deployments ------------------------------------------------------------------------

    async def deploy(self) -> Deployed:
        """Read the template and put what it declares in use, between two requests.

        Raises:
            LocalpopError: Something is wrong; what was in use stays so.
        """
        declared = read_template(self.settings.template, self.settings.parameters)
        deployed = await self.deployer.deploy(declared)
        self.edge.site = deployed.site
        self._files = deployed.files
        return deployed

    async def reload(self) -> None:
        """Deploy again after a file was saved; a broken file keeps the last good one in use."""
        try:
            # Ports and places stay as they are until the next start; origins may move.
            fresh = read_local(self.settings.folder)
            self.deployer.settings = fresh
            deployed = await self.deploy()
        except LocalpopError as error:
            self.tell(f"not reloaded, the last good version stays in use: {error}")
            return
        self.tell("reloaded")
        for warning in deployed.warnings:
            self.tell(f"  {warning}")

    async def watch_files(self) -> None:
        """Reload on save, for ever."""
        await watch(lambda: self._files, self.reload, self.edge.clock)

    # --- commands ---------------------------------------------------------------------------

    async def run_setup(self) -> None:
        """Run the set-up commands, in order.

        Raises:
            ConfigError: One of them failed.
        """
        for command in self.settings.setup:
            code = await self.run(command)
            if code:
                raise ConfigError(
                    f"The set-up command {' '.join(command)} ended with exit code {code}.",
                    where="localpop.toml: setup",
                    mend="Its own message stands above.",
                )

    async def start_origins(self) -> None:
        """Start every origin that has a command, and wait until its port answers.

        Raises:
            ConfigError: One of them ended, or does not listen.
        """
        for name, origin in self.settings.origins.items():
            if not origin.command:
                continue
            child = Child(origin.command, self.environment, self.settings.folder)
            self._children.append(child)
            await child.start()
            await self._until_listening(name, child, origin.address.host, origin.address.port)

    async def _until_listening(self, name: str, child: Child, host: str, port: int) -> None:
        ended = asyncio.create_task(child.wait())
        try:
            async with asyncio.timeout(20):
                while not ended.done():
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection(host, port)
                        writer.close()
                        return
                    await self.edge.clock.sleep_ms(50)
        except TimeoutError:
            pass
        finally:
            ended.cancel()
        raise ConfigError(
            f"The origin {name} does not listen on {host}:{port}.",
            where=f"localpop.toml: origins.{name}",
            mend=f"Its command is {' '.join(child.command)}; its own message stands above.",
        )

    async def run(self, command: Sequence[str]) -> int:
        """Run a command to its end beside the emulator; returns its exit code.

        Raises:
            ConfigError: There is no such program.
        """
        child = Child(command, self.environment, self.settings.folder)
        self._children.append(child)
        await child.start()
        try:
            return await child.wait()
        finally:
            await child.stop()
            self._children.remove(child)

    async def stop_children(self) -> None:
        """End every command that still runs."""
        await asyncio.gather(*(child.stop() for child in self._children))


@dataclass(frozen=True, slots=True)
class _Sockets:
    viewer: socket.socket
    aws: socket.socket
    dashboard: socket.socket


def _bind_all(settings: LocalSettings) -> _Sockets:
    bound: list[socket.socket] = []
    try:
        for name, port in (
            ("viewer", settings.viewer_port),
            ("aws", settings.aws_port),
            ("dashboard", settings.dashboard_port),
        ):
            bound.append(bind(settings.host, port, name))
    except ConfigError:
        for listener in bound:
            listener.close()
        raise
    return _Sockets(*bound)


@contextlib.asynccontextmanager
async def running(settings: LocalSettings, tell: Tell) -> AsyncIterator[Emulator]:
    """A whole emulator, from bound ports to served viewers; everything ends with the block.

    Raises:
        LocalpopError: It cannot start; says why. Nothing is left behind.
    """
    sockets = _bind_all(settings)
    clock = RealClock()
    latency = LatencyModel(settings.latency)
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    # The user-info swallows the account id that SDKs put before the host (architecture, 3).
    aws_url = f"http://local@{shown}:{port_of(sockets.aws)}"
    async with contextlib.AsyncExitStack() as stack:
        for listener in (sockets.viewer, sockets.aws, sockets.dashboard):
            stack.callback(listener.close)
        settings.state.mkdir(parents=True, exist_ok=True)
        stores = await KeyValueStores.open(settings.state / "stores.sqlite", clock)
        stack.push_async_callback(stores.close)
        functions = CloudFrontFunctions(clock)
        stack.push_async_callback(functions.close)
        lambdas = LambdaFunctions(
            clock, endpoint_url=lambda region: f"{aws_url}/from-region/{region}"
        )
        stack.push_async_callback(lambdas.close)
        client = await stack.enter_async_context(OriginClient(clock))
        edge = Edge(
            World(clock, latency, client, LambdaEdgeSwitches()),
            EdgeSettings(settings.place, settings.trace_header, settings.latency.seed),
        )
        emulator = Emulator(
            settings,
            tell,
            edge,
            Deployer(settings, stores, functions, lambdas),
            f"http://{shown}:{port_of(sockets.viewer)}",
            aws_url,
            f"http://{shown}:{port_of(sockets.dashboard)}",
            {},
        )
        emulator.environment = {
            **aws_environment(aws_url),
            "LOCALPOP_URL": emulator.viewer_url,
            **declared_environment(
                settings.environment,
                lambda name: template_attribute(settings.template, settings.parameters, name),
                settings.state,
            ),
        }
        for warning in (await emulator.deploy()).warnings:
            tell(warning)
        bedrock = BedrockRuntime(clock, seed=settings.latency.seed)
        aws = create_app(stores, bedrock, clock, distance_ms=latency.kvs_api_distance_ms)
        await functions.start()
        await lambdas.start()
        stack.push_async_callback(emulator.stop_children)
        for listener, app, http in (
            (sockets.aws, aws, "httptools"),
            (sockets.dashboard, create_dashboard(edge), "httptools"),
            (sockets.viewer, edge, ViewerConnection),
        ):
            server = Listener(listener, app, http)
            await server.start(clock)
            stack.push_async_callback(server.close)
        yield emulator
