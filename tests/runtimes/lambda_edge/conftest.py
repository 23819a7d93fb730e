from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

import pytest

from emulator.clock.real import RealClock
from emulator.runtimes.lambda_edge import LambdaFunctionError, LambdaFunctions, LoadedLambda
from emulator.values.function_logs import FunctionLogLine
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaDeclaration, LambdaRun
from emulator.values.messages import Request, Response

T = TypeVar("T")


@dataclass
class Lab:
    """Real sandboxes for handlers that a test writes down.

    `run` and `fails` take a function or a request, whichever differs from the last time.
    """

    runner: asyncio.Runner
    functions: LambdaFunctions
    folder: Path
    log: list[FunctionLogLine] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def await_(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something in the sandboxes' own loop."""
        return self.runner.run(coroutine)

    def package(self, code: str, *, file: str = "handler.py", **files: str) -> Path:
        """Write a package folder; keyword `requirements_txt` becomes `requirements.txt`."""
        folder = self.folder / f"function-{next(self._numbers)}"
        folder.mkdir(parents=True)
        (folder / file).write_text(dedent(code))
        for name, content in files.items():
            (folder / name.replace("_", ".")).write_text(dedent(content))
        return folder

    def load(
        self,
        code: str,
        *,
        files: Mapping[str, str] | None = None,
        file: str = "handler.py",
        runtime: str = "python3.13",
        **declared: Any,
    ) -> LoadedLambda:
        """Load a handler from its source."""
        declaration = LambdaDeclaration(
            name="answers",
            handler="handler.handler",
            runtime=runtime,
            package=self.package(code, file=file, **(files or {})),
            **{"timeout_s": 5.0, **declared},
        )
        return self.functions.load(declaration)

    @staticmethod
    def event(
        uri: str = "/",
        *,
        region: str = "eu-west-2",
        event_type: EventType = EventType.VIEWER_REQUEST,
        method: str = "GET",
        body: Any = b"",
        response: Response | None = None,
    ) -> FunctionEvent:
        """An event about a small request."""
        headers = Headers([("Host", "d111111abcdef8.cloudfront.net"), ("User-Agent", "curl/8")])
        return FunctionEvent(
            event_type,
            "EDFDVBD6EXAMPLE",
            "d111111abcdef8.cloudfront.net",
            "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
            EdgeLocation("LHR", "192.0.2.1", region),
            Request(method, uri, headers=headers, body=body),
            response,
        )

    def run(self, function: LoadedLambda, uri: str = "/", **event: Any) -> LambdaRun:
        """One run that succeeds."""
        return self.await_(function.run(self.event(uri, **event)))

    def body(self, function: LoadedLambda, uri: str = "/", **event: Any) -> str:
        """The body that one run generates."""
        body = self.run(function, uri, **event).result.body
        assert isinstance(body, bytes)
        return body.decode()

    def fails(self, function: LoadedLambda, uri: str = "/", **event: Any) -> LambdaFunctionError:
        """One run that fails."""
        with pytest.raises(LambdaFunctionError) as caught:
            self.run(function, uri, **event)
        return caught.value


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for a module's sandboxes."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def lab(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Sandboxes as `localpop up` has them."""
    log: list[FunctionLogLine] = []
    functions = LambdaFunctions(
        RealClock(),
        endpoint_url=lambda region: f"http://local@127.0.0.1:4566/from-region/{region}",
        log=log.append,
    )
    yield Lab(runner, functions, tmp_path_factory.mktemp("lab"), log)
    runner.run(functions.close())
