"""Asynchronous invocations: real sandboxes, a clock that passes no time, what is told to whom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from emulator.aws.lambda_invocations import Invocations, Invokable
from emulator.clock.virtual import VirtualClock
from emulator.errors import ApiError
from emulator.project.declarations import EventInvokeConfig
from emulator.runtimes.lambda_edge import LambdaFunctions
from emulator.values.lambda_edge import LambdaDeclaration

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:"
HANDLER = """
import pathlib
def handler(event, context):
    seen = pathlib.Path(event["file"])
    seen.write_text(seen.read_text() + context.aws_request_id + " ")
    if len(seen.read_text().split()) <= event["fails"]:
        raise ValueError("not yet")
    return {"done": True}
"""


class World:
    """One function, and what other services were asked."""

    def __init__(self, folder: Path) -> None:
        (folder / "handler.py").write_text(HANDLER)
        self.seen = folder / "seen.txt"
        self.seen.write_text("")
        self.folder, self.clock = folder, VirtualClock()
        self.calls: list[tuple[str, str, Mapping[str, Any]]] = []

    async def call(self, service: str, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Another service."""
        self.calls.append((service, operation, given))
        return {}

    def event(self, fails: int, **more: Any) -> list[tuple[str, str, Mapping[str, Any]]]:
        """Send one event, wait until nothing is left to do, and give what was told."""

        async def send() -> None:
            tasks: list[asyncio.Task[Any]] = []
            functions = LambdaFunctions(self.clock, endpoint_url=None)
            loaded = functions.load(
                LambdaDeclaration(
                    "f", "handler.handler", "python3.13", self.folder, 900, regional=True
                )
            )
            invocations = Invocations(
                self.clock, self.call, lambda work: tasks.append(asyncio.ensure_future(work))
            )
            payload = json.dumps({"file": str(self.seen), "fails": fails}).encode()
            answer = await invocations.invoke(
                Invokable("f", ARN, "$LATEST", loaded, **more),
                {"InvocationType": "Event", "Payload": payload},
            )
            assert answer["StatusCode"] == 202
            await asyncio.gather(*tasks)
            await functions.close()

        asyncio.run(send())
        return self.calls

    @property
    def tries(self) -> list[str]:
        """The request ids of its invocations."""
        return self.seen.read_text().split()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world of one test's own."""
    return World(tmp_path)


def test_an_event_is_tried_again_after_one_and_two_minutes(world: World) -> None:
    """Three tries under one request id; the third succeeds, and its destination is told."""
    told = world.event(2, asynchronous=EventInvokeConfig(on_success=f"{QUEUE}good"))
    (_, operation, given) = told[0]
    record = json.loads(given["MessageBody"])

    assert (len(world.tries), len(set(world.tries))) == (3, 1)
    assert 180_000 <= world.clock.now_ms() < 181_000
    assert (operation, given["QueueUrl"].rpartition("/")[2]) == ("SendMessage", "good")
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"] == {"done": True}


def test_what_still_fails_is_kept_with_its_reason(world: World) -> None:
    """The event itself in the dead-letter queue, a record of it at the destination."""
    config = EventInvokeConfig(on_failure="arn:aws:events:us-east-1:123456789012:event-bus/default")
    told = world.event(9, dead_letter_arn=f"{QUEUE}dead", asynchronous=config)
    (_, _, letter), (service, _, put) = told
    detail = json.loads(put["Entries"][0]["Detail"])

    assert len(world.tries) == 3
    assert json.loads(letter["MessageBody"])["fails"] == 9
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "not yet"
    assert letter["MessageAttributes"]["RequestID"]["StringValue"] == world.tries[0]
    assert (service, put["Entries"][0]["Source"]) == ("events", "lambda")
    assert detail["requestContext"]["condition"] == "RetriesExhausted"
    assert detail["responseContext"]["functionError"] == "Unhandled"


def test_no_retries_are_none(world: World) -> None:
    """MaximumRetryAttempts 0: one try."""
    world.event(9, asynchronous=EventInvokeConfig(retries=0))

    assert len(world.tries) == 1


def test_a_function_stopped_by_zero_concurrency_keeps_its_events(world: World) -> None:
    """They go to the dead letters at once."""
    told = world.event(0, reserved_concurrency=0, dead_letter_arn=f"{QUEUE}dead")

    assert not world.tries
    assert told[0][2]["MessageAttributes"]["ErrorCode"]["StringValue"] == "429"


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        pytest.param("Event", b"{", "InvalidRequestContentException", id="not JSON"),
        pytest.param("Event", b'"' + b"x" * 2**20 + b'"', "RequestTooLargeException", id="1 MB"),
        pytest.param(
            "RequestResponse", b'"' + b"x" * 6 * 2**20 + b'"', "RequestTooLargeException", id="6 MB"
        ),
    ],
)
def test_payloads_that_are_refused(kind: str, payload: bytes, code: str, world: World) -> None:
    """Before anything runs."""
    invocations = Invocations(world.clock, world.call, lambda work: work.close())
    function: Any = Invokable("f", ARN, "$LATEST", None)  # type: ignore[arg-type]
    given = {"InvocationType": kind, "Payload": payload}
    with pytest.raises(ApiError) as refused:
        asyncio.run(invocations.invoke(function, given))

    assert refused.value.code == code
