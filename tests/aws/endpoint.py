"""The AWS endpoint under a real uvicorn, in a thread or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import random
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
import uvicorn
from botocore.config import Config

from emulator.aws.app import CloudFrontControl, create_app
from emulator.aws.background import Background
from emulator.aws.bedrock_runtime import BedrockRuntime
from emulator.aws.cloudfront.control_plane import ControlPlane
from emulator.aws.in_process import InProcess
from emulator.aws.key_value_store_control_api import FetchObject, StoreInUse, no_s3
from emulator.aws.other_services import OtherServices
from emulator.aws.step_functions.interpreter import Interpreter
from emulator.clock.real import RealClock
from emulator.project.declarations import TemplateDeclarations
from emulator.rules.key_value_store import StoreRules
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.runtimes.lambda_edge import LambdaFunctions
from emulator.stores.account import Account
from emulator.stores.key_value_stores import KeyValueStores
from emulator.stores.lambda_packages import LambdaPackages
from tests.aws.ready_server import ReadyServer, listening_socket

T = TypeVar("T")

_ROOT = Path(__file__).parents[2]
_NO_RETRIES = {"total_max_attempts": 1}


@dataclass(frozen=True, slots=True)
class Options:
    """How an endpoint under test differs from the usual one."""

    require_auth: bool = False
    store_rules: StoreRules | None = None
    time_scale: float = 0.0
    distances_ms: Mapping[str, float] | None = None
    store_in_use: StoreInUse = lambda arn: False
    fetch_object: FetchObject = no_s3
    control: bool = False
    """Whether it has distributions, functions, Lambda and moto, as `localpop up` has."""
    interpreter: bool = False
    """Whether moto's interpreter runs state machines, in place of the native runner."""
    deployment_ms: float = 0.0
    declared: TemplateDeclarations = field(default_factory=TemplateDeclarations)


class Endpoint:
    """A running endpoint; `run` reaches into its event loop."""

    def __init__(self, path: Path, options: Options) -> None:
        self._path, self._options = path, options
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.deployments = 0
        self.invalidated: list[tuple[str, tuple[str, ...]]] = []
        self._thread = threading.Thread(target=self._main, name="endpoint")
        self._thread.start()
        self._ready.wait(30)
        if self._failure is not None:
            raise self._failure

    @property
    def url(self) -> str:
        """What clients are given; the user-info swallows the account id (facts/kvs.md 0)."""
        return f"http://local@127.0.0.1:{self.port}"

    @property
    def account_folder(self) -> Path:
        """Where the account keeps its files."""
        return self._path.parent

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the endpoint's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def new_store(self, name: str, **options: Any) -> str:
        """Make a store and give its ARN."""
        return self.run(self.stores.create(name, **options)).arn

    def stop(self) -> None:
        """End the server and its thread."""
        self._server.should_exit = True
        self._thread.join(30)

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed over to the test's thread
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        clock, options = RealClock(), self._options
        self._loop = asyncio.get_running_loop()
        self.stores = await KeyValueStores.open(self._path, clock, store_rules=options.store_rules)
        self.bedrock = BedrockRuntime(clock, time_scale=options.time_scale)
        async with contextlib.AsyncExitStack() as stack:
            control = await self._control(clock, stack) if options.control else None
            await self._run(clock, control)
        await self.stores.close()

    async def _control(
        self, clock: RealClock, stack: contextlib.AsyncExitStack
    ) -> CloudFrontControl:
        self.account = await Account.open(self._path.with_name("account.sqlite"), clock)
        stack.push_async_callback(self.account.close)
        functions = CloudFrontFunctions(clock)
        stack.push_async_callback(functions.close)
        lambdas = LambdaFunctions(clock, endpoint_url=None)
        stack.push_async_callback(lambdas.close)
        others = OtherServices()
        stack.callback(others.close)
        plane = ControlPlane(
            self.account,
            clock,
            declared=lambda: self._options.declared,
            deploy_changed=self._deployed,
            on_invalidation=self._forget,
            deployment_ms=self._options.deployment_ms,
            chance=random.Random(0),
        )
        packages = LambdaPackages(self._path.with_name("lambda"))
        self.in_process = InProcess(others)
        interpreter = Interpreter(lambda: self.url) if self._options.interpreter else None
        if interpreter is not None:
            stack.callback(interpreter.close)
        self.background = Background(
            self.account, clock, self.in_process, others, interpreter=interpreter
        )
        await self.background.start()
        stack.push_async_callback(self.background.close)
        return CloudFrontControl(
            plane,
            functions,
            lambdas,
            packages,
            others,
            self._reset,
            self.in_process,
            background=self.background,
        )

    async def _deployed(self) -> None:
        self.deployments += 1

    async def _reset(self) -> None:
        await self.account.clear()
        await self.stores.clear()

    def _forget(self, distribution_id: str, paths: Sequence[str]) -> int:
        self.invalidated.append((distribution_id, tuple(paths)))
        return 0

    async def _run(self, clock: RealClock, control: CloudFrontControl | None) -> None:
        options = self._options
        app = create_app(
            self.stores,
            self.bedrock,
            clock,
            control=control,
            distance_ms=(options.distances_ms or {}).__getitem__,
            store_in_use=options.store_in_use,
            fetch_object=options.fetch_object,
            require_auth=options.require_auth,
            chance=random.Random(0),
        )
        config = uvicorn.Config(app, log_level="warning")
        self._server = ReadyServer(config, self._ready.set)
        with listening_socket() as listener:
            self.port: int = listener.getsockname()[1]
            await self._server.serve(sockets=[listener])


@contextlib.contextmanager
def running_endpoint(path: Path, options: Options | None = None) -> Iterator[Endpoint]:
    """An endpoint for the length of a `with`."""
    endpoint = Endpoint(path, options or Options())
    try:
        yield endpoint
    finally:
        endpoint.stop()


class EndpointProcess:
    """An endpoint in a process of its own, which can be killed."""

    def __init__(self, path: Path, store: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("serve_endpoint.py")), str(path), store],
            cwd=_ROOT,
            env={"PYTHONPATH": str(_ROOT), "PATH": ""},
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        assert ready, "the endpoint did not start"
        state = json.loads(ready)
        self.port: int = state["port"]
        self.arn: str = state["arn"]

    @property
    def url(self) -> str:
        """What clients are given."""
        return f"http://local@127.0.0.1:{self.port}"

    def kill(self) -> None:
        """Kill -9, and wait until the process is gone."""
        self._process.kill()
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()


def client(service: str, url: str, **config: Any) -> Any:
    """A real boto3 client without retries, so that each refusal is seen."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries=_NO_RETRIES, **config),
    )


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def send_raw(
    port: int,
    method: str,
    target: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> RawAnswer:
    """Send a request whose target goes out as it stands; header names come back in lower case."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return RawAnswer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()
