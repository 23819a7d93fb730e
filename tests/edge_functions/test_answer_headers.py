"""The deployable function `answer_headers`, in the real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import pytest

from emulator import quotas
from emulator.clock.virtual import VirtualClock
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_2, check
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions, LoadedFunction
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

pytestmark = pytest.mark.anyio

CODE = Path(__file__).parents[2] / "edge_functions" / "answer_headers" / "index.js"
NOW_S = 1_800_000_000
OF_S3 = (
    ("Content-Type", "text/event-stream"),
    ("Content-Length", "3"),
    ("Cache-Control", "max-age=600"),
    ("ETag", '"abc"'),
    ("Last-Modified", "Fri, 20 Nov 2026 06:00:00 GMT"),
    ("Accept-Ranges", "bytes"),
    ("x-amz-id-2", "x"),
    ("x-amz-request-id", "x"),
    ("x-amz-server-side-encryption", "AES256"),
    ("x-amz-meta-generated", str(NOW_S - 42)),
    ("x-amz-meta-expires", str(NOW_S + 600)),
    ("Server", "AmazonS3"),
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all tests here, because the engine lives on it."""
    return "asyncio"


@pytest.fixture(scope="module")
async def function(anyio_backend: str) -> AsyncIterator[LoadedFunction]:
    """The function as deployed, at a fixed time."""
    engine = CloudFrontFunctions(VirtualClock(epoch_ms=NOW_S * 1000 + 500))
    yield engine.load("answer_headers", CODE.read_text("utf-8"), RUNTIME_2)
    await engine.close()


def event(headers: tuple[tuple[str, str], ...]) -> FunctionEvent:
    """A response on its way to the viewer."""
    return FunctionEvent(
        EventType.VIEWER_RESPONSE,
        "E1",
        "d1.cloudfront.net",
        "id==",
        EdgeLocation("NRT", "192.0.2.1", "ap-northeast-1"),
        Request("GET", "/answer-bodies/x/sse/ticket-digest", "", Headers([("Host", "d1")])),
        Response(200, headers=Headers(headers)),
    )


def test_it_deploys() -> None:
    """CloudFront takes the file as it is."""
    code = CODE.read_text("utf-8")

    assert len(code.encode()) < quotas.FUNCTION_CODE_MAX_BYTES
    assert check(code, RUNTIME_2) == []


@pytest.mark.parametrize("version", [None, "2026-11-20.3"])
async def test_a_body_of_the_bucket_gets_an_answers_headers(
    function: LoadedFunction, version: str | None
) -> None:
    """Nothing is left of the file that it was, and no cache may keep it."""
    lines = OF_S3 if version is None else (*OF_S3, ("x-amz-meta-version", version))
    outcome = await function.run(event(lines), None)

    assert isinstance(outcome.result, Response)
    names = {name.lower(): value for name, value in outcome.result.headers.pairs}
    expected = {
        "content-type": "text/event-stream",
        "content-length": "3",
        "server": "AmazonS3",
        "cache-control": "private, no-store",
        "x-answer-source": "edge",
        "x-answer-age": "42",
        "x-answer-expires": formatdate(NOW_S + 600, usegmt=True),
    }
    if version is not None:
        expected["x-answer-version"] = version
    assert names == expected


@pytest.mark.parametrize(
    "headers",
    [
        (("Content-Type", "text/event-stream"), ("x-answer-source", "origin"), ("ETag", '"a"')),
        OF_S3[:-3],
        (*OF_S3[:-3], ("x-amz-meta-generated", "x"), ("x-amz-meta-expires", "y")),
        (),
    ],
    ids=["the origin's", "another object", "broken metadata", "no headers"],
)
async def test_other_responses_leave_as_they_came(
    function: LoadedFunction, headers: tuple[tuple[str, str], ...]
) -> None:
    """Only what the writer put into the bucket is touched."""
    asked = event(headers)

    assert (await function.run(asked, None)).result is asked.response
