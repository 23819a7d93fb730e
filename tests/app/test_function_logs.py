from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulator.app.function_logs import FunctionLogs
from emulator.clock.virtual import VirtualClock
from emulator.errors import EdgeFunctionError, FailureKind
from emulator.values.function_logs import FunctionLogLine
from emulator.values.functions import EventType, FunctionRun
from emulator.wire.lambda_edge_event import REQUEST_ID, Example, example_function_event

EVENT = example_function_event(Example(EventType.VIEWER_REQUEST))


class Function:
    """A CloudFront Function that writes, and may fail."""

    def __init__(self, *lines: str, fails: bool = False) -> None:
        self.lines, self.fails = lines, fails

    async def run(self, event: Any, snapshot: Any) -> FunctionRun:
        """Pass the request on."""
        if self.fails:
            raise EdgeFunctionError(
                FailureKind.FUNCTION_EXECUTION, "sentence", "detail", logs=self.lines
            )
        return FunctionRun(event.request, logs=self.lines)


def test_a_cloudfront_functions_lines_carry_the_request_id() -> None:
    """START with the distribution, the lines, END; the group is the function's, in us-east-1."""
    logs = FunctionLogs(VirtualClock())
    asyncio.run(logs.logged("lookup", Function("a", "b")).run(EVENT, None))
    lines = [line for _, line in logs.lines(after=0, count=10)]

    assert [line.message for line in lines] == [
        f"{REQUEST_ID} START DistributionID: EDFDVBD6EXAMPLE",
        f"{REQUEST_ID} a",
        f"{REQUEST_ID} b",
        f"{REQUEST_ID} END",
    ]
    assert {(line.group, line.region, line.function) for line in lines} == {
        ("/aws/cloudfront/function/lookup", "us-east-1", "lookup")
    }
    assert len({line.stream for line in lines}) == 1


def test_a_cloudfront_function_that_writes_nothing_has_no_lines() -> None:
    """Nothing at all if there was no console.log; a failed run's lines are there."""
    logs = FunctionLogs(VirtualClock())
    asyncio.run(logs.logged("quiet", Function()).run(EVENT, None))
    quiet = logs.lines(after=0, count=10)
    with pytest.raises(EdgeFunctionError):
        asyncio.run(logs.logged("loud", Function("last words", fails=True)).run(EVENT, None))

    assert quiet == []
    assert [line.message.split(" ", 1)[1] for _, line in logs.lines(after=0, count=10)] == [
        "START DistributionID: EDFDVBD6EXAMPLE",
        "last words",
        "END",
    ]


def test_lines_are_numbered_filtered_and_limited() -> None:
    """The newest of those behind a number, oldest first."""
    logs = FunctionLogs(VirtualClock())
    for number in range(10):
        name = "odd" if number % 2 else "even"
        logs.add(FunctionLogLine("g", "s", "r", 0.0, str(number), name))

    def messages(**wanted: Any) -> list[str]:
        return [line.message for _, line in logs.lines(**{"after": 0, "count": 99, **wanted})]

    assert messages(count=2) == ["8", "9"]
    assert messages(after=8) == ["8", "9"]
    assert messages(function="odd", count=2) == ["7", "9"]
    assert messages(function="nobody") == []
    assert [number for number, _ in logs.lines(after=8, count=9)] == [9, 10]
