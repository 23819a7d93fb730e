"""Events, stores and runs, as the tests of CloudFront Functions need them."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from emulator.runtimes.cloudfront_functions.checker import RUNTIME_2
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent, FunctionRun
from emulator.values.headers import Headers
from emulator.values.key_values import StoreSnapshot
from emulator.values.messages import Request, Response

LOCATION = EdgeLocation("NRT", "192.0.2.10", "ap-northeast-1")
STORE_ID = "8aa76c93-3198-462c-aaf6-0123456789ab"
STORE_ARN = f"arn:aws:cloudfront::123456789012:key-value-store/{STORE_ID}"

# A version names its content for good, and the engine outlives a test.
_VERSIONS = itertools.count(1_000)

Evaluate = Callable[..., Awaitable[Any]]
"""Runs statements as the body of a handler; the value, or the engine's message."""


def event_for(
    request: Request | None = None, response: Response | None = None, **changes: Any
) -> FunctionEvent:
    """An event: viewer-request, or viewer-response when there is a response."""
    kind = EventType.VIEWER_REQUEST if response is None else EventType.VIEWER_RESPONSE
    fields: dict[str, Any] = {
        "event_type": kind,
        "distribution_id": "EDFDVBD6EXAMPLE",
        "distribution_domain_name": "d111111abcdef8.cloudfront.net",
        "request_id": "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
        "location": LOCATION,
        "request": request
        or Request("GET", "/index.html", headers=Headers([("Host", "www.example.com")])),
        "response": response,
    }
    return FunctionEvent(**{**fields, **changes})


def snapshot_of(items: dict[str, str], version: int | None = None) -> StoreSnapshot:
    """One version of a store; the next one unless a number is given."""
    version = next(_VERSIONS) if version is None else version
    size = sum(len(key.encode()) + len(value.encode()) for key, value in items.items())
    return StoreSnapshot(STORE_ARN, version, items, size, 1_700_000_000_123.0, 1_763_719_200_500.0)


async def run(
    engine: CloudFrontFunctions,
    code: str,
    event: FunctionEvent | None = None,
    snapshot: StoreSnapshot | None = None,
) -> FunctionRun:
    """Load a function of runtime 2.0 and run it once."""
    return await engine.load("tested", code, RUNTIME_2).run(event or event_for(), snapshot)


async def respond(engine: CloudFrontFunctions, code: str, **given: Any) -> Response:
    """Run a function that answers by itself."""
    result = (await run(engine, code, **given)).result
    assert isinstance(result, Response)
    return result


async def pass_on(engine: CloudFrontFunctions, code: str, **given: Any) -> Request:
    """Run a function that passes the request on."""
    result = (await run(engine, code, **given)).result
    assert isinstance(result, Request)
    return result
