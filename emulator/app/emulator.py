"""Everything together: stores, runtimes, edge, listeners, and the commands beside them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from emulator.app.access_log_file import AccessLogFile
from emulator.app.children import Child, aws_environment, declared_environment
from emulator.app.deploy import Deployed, Deployer
from emulator.app.folder_origins import FolderOrigins
from emulator.app.function_logs import FunctionLogs
from emulator.app.function_urls import FunctionUrls
from emulator.app.servers import Listener, bind, port_of
from emulator.app.stalled_copies import StalledCopies
from emulator.app.tls import server_context
from emulator.app.watch import watch
from emulator.aws.app import CloudFrontControl, create_app
from emulator.aws.background import Background
from emulator.aws.bedrock_runtime import BedrockRuntime
from emulator.aws.cloudfront.control_plane import ControlPlane
from emulator.aws.events.api import EventsSettings
from emulator.aws.in_process import InProcess
from emulator.aws.other_services import OtherServices
from emulator.aws.step_functions.interpreter import Interpreter
from emulator.clock.real import RealClock
from emulator.dashboard.app import create_dashboard
from emulator.edge.delivery import Edge, EdgeSettings, PlacedEdge
from emulator.edge.passage import World
from emulator.edge.site import Site
from emulator.errors import ConfigError, LocalpopError
from emulator.network.faults import FaultPlan
from emulator.network.lambda_fleet import LambdaFleet
from emulator.network.latency import LatencyModel
from emulator.network.origins import OriginAddress, OriginClient
from emulator.network.viewers import Arrivals
from emulator.project.declarations import TemplateDeclarations
from emulator.project.local import LocalSettings, read_local
from emulator.project.template import read_template, template_attribute
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.runtimes.lambda_edge import LambdaFunctions
from emulator.stores.account import Account
from emulator.stores.edge_copies import EdgeCopies
from emulator.stores.journal import Journal
from emulator.stores.key_value_stores import KeyValueStores
from emulator.stores.lambda_packages import LambdaPackages
from emulator.values.lambda_edge import LambdaEdgeSwitches
from emulator.viewer.protocol import ViewerConnection

_HTTPS_PORT: Final = 8443

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
        https_url: The viewers' port for HTTPS.
        aws_url: The AWS endpoint, as SDKs are told it.
        dashboard_url: The dashboard.
        environment: What commands learn.
        background: What works behind the viewers' back; None until it is there.
        function_urls: Where Lambda function URLs are served.
    """

    settings: LocalSettings
    tell: Tell
    edge: Edge
    deployer: Deployer
    viewer_url: str
    https_url: str
    aws_url: str
    dashboard_url: str
    environment: dict[str, str]
    background: Background | None = None
    function_urls: OriginAddress | None = None
    _files: tuple[Path, ...] = ()
    _children: list[Child] = field(default_factory=list)

    # --- deployments ------------------------------------------------------------------------

    async def deploy(self) -> Deployed:
        """Read the template and put what it declares in use, between two requests.

        Raises:
            LocalpopError: Something is wrong; what was in use stays so.
        """
        # A reload reads localpop.toml anew, for the deployer.
        settings = self.deployer.settings
        declared = read_template(settings.templates, settings.parameters, settings.answers)
        plan = self.background.plan(declared.background) if self.background else None
        deployed = await self.deployer.deploy(declared)
        if self.background is not None and plan is not None:
            await self.background.deploy(plan)
        self.edge.site = deployed.site
        self._files = deployed.files
        return deployed

    async def account_changed(self) -> None:
        """Serve what was just made or changed through the AWS endpoint."""
        self.edge.site = self.deployer.site()

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
        for one in deployed.held_back:
            self.tell(f"not reloaded, the last good version stays in use: {one}")
        self.tell("reloaded the rest" if deployed.held_back else "reloaded")
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
            host, port = origin.address.host, origin.address.port
            if await _is_listening(host, port):
                # Else it would be taken for the origin, whose own message comes too late.
                raise ConfigError(
                    f"{host}:{port} is in use; the origin {name} needs it.",
                    where=f"localpop.toml: origins.{name}",
                    mend="Stop what listens there, or choose another port in url and command.",
                )
            child = Child(origin.command, self.environment, self.settings.folder)
            self._children.append(child)
            await child.start()
            await self._until_listening(name, child, host, port)

    async def _until_listening(self, name: str, child: Child, host: str, port: int) -> None:
        ended = asyncio.create_task(child.wait())
        try:
            async with asyncio.timeout(20):
                while not ended.done():
                    if await _is_listening(host, port):
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


async def _is_listening(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


@dataclass(frozen=True, slots=True)
class _Sockets:
    viewer: socket.socket
    https: socket.socket
    aws: socket.socket
    dashboard: socket.socket
    places: tuple[socket.socket, ...] = ()


def _bind_all(settings: LocalSettings) -> _Sockets:
    bound: list[socket.socket] = []
    try:
        for name, port in (
            ("viewer", settings.viewer_port),
            ("https", _https_port(settings)),
            ("aws", settings.aws_port),
            ("dashboard", settings.dashboard_port),
        ):
            bound.append(bind(settings.host, port, name))
        for one in settings.viewer_listeners:
            bound.append(bind(settings.host, one.port, "viewer.listeners"))
    except ConfigError:
        for listener in bound:
            listener.close()
        raise
    viewer, https, aws, dashboard, *places = bound
    return _Sockets(viewer, https, aws, dashboard, tuple(places))


def _https_port(settings: LocalSettings) -> int:
    """The port asked for; by default 8443, or any free one when something else has it.

    Nobody should be kept from starting by a port that they may never use.
    """
    if settings.https_port is not None:
        return settings.https_port
    try:
        bind(settings.host, _HTTPS_PORT, "https").close()
    except ConfigError:
        return 0
    return _HTTPS_PORT


def _require_debugged(declared: TemplateDeclarations, debug: str) -> None:
    """A function to debug that nobody declares would never stop anywhere."""
    names = [function.name for function in declared.all_lambdas]
    if debug and debug not in names:
        raise ConfigError(
            f"There is no Lambda function {debug!r} to debug.",
            mend=f"Known: {', '.join(names) or 'none'}.",
        )


def _interpreter(
    settings: LocalSettings, aws_url: str, stack: contextlib.AsyncExitStack
) -> Interpreter | None:
    """The other runner of state machines, when it is asked for."""
    if not settings.interprets_state_machines:
        return None
    interpreter = Interpreter(lambda: aws_url)
    stack.callback(interpreter.close)
    return interpreter


def _aliases(site: Site) -> list[str]:
    return [alias for distribution in site.distributions for alias in distribution.aliases]


@contextlib.asynccontextmanager
async def running(
    settings: LocalSettings, tell: Tell, *, debug: str = "", declared_python: bool = False
) -> AsyncIterator[Emulator]:
    """A whole emulator, from bound ports to served viewers; everything ends with the block.

    Args:
        settings: What localpop.toml, environment and flags say.
        tell: Where messages go.
        debug: The name of a Lambda@Edge function that runs in this process, for a debugger.
        declared_python: Whether Python functions run on their declared version, where installed.

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
        own = (sockets.viewer, sockets.https, sockets.aws, sockets.dashboard)
        for listener in (*own, *sockets.places):
            stack.callback(listener.close)
        settings.state.mkdir(parents=True, exist_ok=True)
        stores = await KeyValueStores.open(settings.state / "stores.sqlite", clock)
        stack.push_async_callback(stores.close)
        account = await Account.open(settings.state / "account.sqlite", clock)
        stack.push_async_callback(account.close)
        packages = LambdaPackages(settings.state / "lambda")
        plan = FaultPlan(settings.latency.seed)
        for fault in settings.faults:
            plan.add(fault, clock.now_ms())
        copies = StalledCopies(
            stores,
            EdgeCopies(stores, clock, settings.propagation, settings.latency.seed),
            plan,
            clock,
        )
        functions = CloudFrontFunctions(clock, changes_origins=True)
        stack.push_async_callback(functions.close)
        logs = FunctionLogs(clock)
        switches = LambdaEdgeSwitches()
        lambdas = LambdaFunctions(
            clock,
            endpoint_url=lambda region: f"{aws_url}/from-region/{region}" if region else aws_url,
            switches=switches,
            log=logs.add,
            declared_python=declared_python,
            debug=debug,
        )
        stack.push_async_callback(lambdas.close)
        client = await stack.enter_async_context(OriginClient(clock))
        edge = Edge(
            World(clock, latency, client, switches, plan, LambdaFleet(settings.latency)),
            EdgeSettings(
                settings.place,
                settings.trace_header,
                settings.latency.seed,
                port_of(sockets.https),
            ),
        )
        edge.arrivals = Arrivals(settings.viewers, settings.latency.seed)
        stack.push_async_callback(edge.close)
        folders = FolderOrigins(settings.folders, clock)
        stack.push_async_callback(folders.close)
        await folders.start()
        function_urls = FunctionUrls(lambda: emulator.deployer.declared.function_urls, clock)
        stack.push_async_callback(function_urls.close)
        await function_urls.start()
        access_log = AccessLogFile(settings.state / "access.log", clock)
        stack.push_async_callback(access_log.close)
        edge.access_log = access_log.write
        emulator = Emulator(
            settings,
            tell,
            edge,
            Deployer(
                settings,
                stores,
                functions,
                lambdas,
                account,
                packages,
                logs,
                copies,
                OriginAddress(shown, port_of(sockets.aws)),
                function_urls.address,
                folders.addresses,
            ),
            f"http://{shown}:{port_of(sockets.viewer)}",
            f"https://localhost:{port_of(sockets.https)}",
            aws_url,
            f"http://{shown}:{port_of(sockets.dashboard)}",
            {},
            function_urls=function_urls.address,
        )
        emulator.environment = {
            **aws_environment(aws_url),
            "LOCALPOP_URL": emulator.viewer_url,
            **declared_environment(
                settings.environment,
                lambda name: template_attribute(
                    settings.templates, settings.parameters, name, settings.answers
                ),
                settings.state,
            ),
        }
        for warning in (await emulator.deploy()).warnings:
            tell(warning)
        _require_debugged(emulator.deployer.declared, debug)
        bedrock = BedrockRuntime(clock, seed=settings.latency.seed)
        bedrock.time_scale = settings.latency.time_scale
        others = OtherServices(lambda: aws_url)
        stack.callback(others.close)
        in_process = InProcess(others)
        function_urls.invoke = functools.partial(in_process.call, "lambda", "Invoke")
        plane = ControlPlane(
            account,
            clock,
            declared=lambda: emulator.deployer.declared,
            deploy_changed=emulator.account_changed,
            on_invalidation=edge.invalidate,
            deployment_ms=settings.deployment_s * 1_000,
        )

        journal = Journal.open(settings.state / "under-way.jsonl")
        stack.callback(journal.close)
        background = Background(
            account,
            clock,
            in_process,
            others,
            EventsSettings(settings.allowed_hosts),
            journal=journal,
            declared=lambda: emulator.deployer.declared,
            interpreter=_interpreter(settings, aws_url, stack),
            log=logs.add,
        )
        stack.push_async_callback(background.close)
        await background.deploy(background.plan(emulator.deployer.declared.background))
        emulator.background = background

        async def reset() -> None:
            await account.clear()
            await background.reset()
            await stores.clear()
            await asyncio.to_thread(packages.clear)
            await others.reset()
            await emulator.deploy()
            await emulator.run_setup()

        aws = create_app(
            stores,
            bedrock,
            clock,
            control=CloudFrontControl(
                plane,
                functions,
                lambdas,
                packages,
                others,
                reset,
                in_process,
                emulator.deployer.loaded_lambda,
                background,
                journal,
            ),
            distance_ms=latency.kvs_api_distance_ms,
            plan=plan,
            require_auth=settings.require_auth,
        )
        await functions.start()
        await lambdas.start()
        stack.push_async_callback(emulator.stop_children)
        now = datetime.datetime.fromtimestamp(clock.epoch_ms() / 1_000, datetime.UTC)
        tls = server_context(settings.state / "tls", _aliases(edge.site), now)
        for listener, app, http, context in (
            (sockets.aws, aws, "httptools", None),
            (sockets.dashboard, create_dashboard(edge, logs), "httptools", None),
            (sockets.https, edge, ViewerConnection, tls),
            (sockets.viewer, edge, ViewerConnection, None),
        ):
            server = Listener(listener, app, http, context)
            await server.start(clock)
            stack.push_async_callback(server.close)
        for listener, one in zip(sockets.places, settings.viewer_listeners, strict=True):
            arrivals = Arrivals(one.mix, settings.latency.seed, str(one.port))
            server = Listener(listener, PlacedEdge(edge, arrivals), ViewerConnection)
            await server.start(clock)
            stack.push_async_callback(server.close)
        # What waited over the last end may call the endpoint, which listens now.
        await background.start()
        stack.push_async_callback(background.quiesce)
        yield emulator
