"""One engine for all tests here: a real worker process, started once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from emulator.clock.real import RealClock
from emulator.errors import EdgeFunctionError
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_2
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.values.key_values import StoreSnapshot
from tests.runtimes.cloudfront_functions.events import Evaluate


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop for the whole folder, because the engine lives on it."""
    return "asyncio"


@pytest.fixture(scope="session")
async def engine(anyio_backend: str) -> AsyncIterator[CloudFrontFunctions]:
    """A running engine."""
    engine = CloudFrontFunctions(RealClock(), seed=7)
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
def evaluate(engine: CloudFrontFunctions) -> Evaluate:
    """Run statements as the body of a handler; `return` gives the value, errors give their text."""

    async def run(
        body: str,
        *,
        runtime: str = RUNTIME_2,
        snapshot: StoreSnapshot | None = None,
        head: str = "",
    ) -> Any:
        kind = "async function" if runtime == RUNTIME_2 else "function"
        code = f"{head}\n{kind} handler(event) {{\n{body}\n}}\n"
        loaded = engine.load("evaluated", code, runtime)
        event = {"context": {"eventType": "viewer-request"}, "request": {"uri": "/"}}
        try:
            outcome = await loaded.run_shown(
                orjson.dumps(event).decode(), snapshot=snapshot, edge_location_json="{}"
            )
        except EdgeFunctionError as error:
            return error.engine_message
        return outcome.result

    return run
