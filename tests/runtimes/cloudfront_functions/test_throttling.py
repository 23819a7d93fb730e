"""A function that fails again and again is left alone for a while."""

from __future__ import annotations

import pytest

from emulator.clock.virtual import VirtualClock
from emulator.errors import EdgeFunctionError, FailureKind
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_2
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions, LoadedFunction
from emulator.runtimes.cloudfront_functions.throttling import (
    FAILURES_IN_A_ROW,
    PAUSE_MS,
    Throttle,
)
from emulator.values.messages import Request
from tests.runtimes.cloudfront_functions.events import event_for

BROKEN = "class A {}"
GOOD = "function handler(event) { return event.request }"


def test_a_good_run_clears_the_record() -> None:
    """Only failures in a row count."""
    throttle = Throttle(VirtualClock())
    for _ in range(3):
        for _ in range(FAILURES_IN_A_ROW - 1):
            throttle.record("f", failed=True)
        throttle.record("f", failed=False)

    assert not throttle.is_closed("f")


def test_after_the_pause_one_more_failure_closes_it_again() -> None:
    """The pause ends; the next failure begins another one."""
    clock = VirtualClock()
    throttle = Throttle(clock)
    for _ in range(FAILURES_IN_A_ROW):
        throttle.record("f", failed=True)
    assert throttle.is_closed("f")
    assert not throttle.is_closed("other")

    clock.advance_ms(PAUSE_MS)
    assert not throttle.is_closed("f")
    throttle.record("f", failed=True)
    assert throttle.is_closed("f")


async def _kinds(function: LoadedFunction, count: int) -> list[FailureKind]:
    kinds = []
    for _ in range(count):
        with pytest.raises(EdgeFunctionError) as caught:
            await function.run(event_for(), None)
        kinds.append(caught.value.kind)
    return kinds


@pytest.mark.anyio
@pytest.mark.conformance("CFF-34")
async def test_broken_code_is_throttled_until_it_is_mended() -> None:
    """Execution errors turn to throttling; by default mended code runs at once."""
    engine = CloudFrontFunctions(VirtualClock())
    broken = engine.load("f", BROKEN, RUNTIME_2)
    kinds = await _kinds(broken, FAILURES_IN_A_ROW + 2)
    mended = await engine.load("f", GOOD, RUNTIME_2).run(event_for(), None)
    await engine.close()

    assert kinds[:FAILURES_IN_A_ROW] == [FailureKind.FUNCTION_EXECUTION] * FAILURES_IN_A_ROW
    assert kinds[FAILURES_IN_A_ROW:] == [FailureKind.FUNCTION_THROTTLED] * 2
    assert isinstance(mended.result, Request)


@pytest.mark.anyio
@pytest.mark.conformance("CFF-34")
async def test_throttling_may_outlive_the_mending() -> None:
    """As on CloudFront, if asked for: the name stays throttled for minutes."""
    clock = VirtualClock()
    engine = CloudFrontFunctions(clock, throttle_memory_ms=600_000)
    await _kinds(engine.load("f", BROKEN, RUNTIME_2), FAILURES_IN_A_ROW)
    mended = engine.load("f", GOOD, RUNTIME_2)
    kinds = await _kinds(mended, 1)
    clock.advance_ms(600_000)
    run = await mended.run(event_for(), None)
    await engine.close()

    assert kinds == [FailureKind.FUNCTION_THROTTLED]
    assert isinstance(run.result, Request)


@pytest.mark.anyio
@pytest.mark.conformance("CFF-34")
async def test_endless_functions_are_throttled() -> None:
    """Runs over the time limit count as well."""
    engine = CloudFrontFunctions(VirtualClock(), time_limit_ms=5)
    endless = engine.load("f", "function handler() { while (true) {} }", RUNTIME_2)
    kinds = await _kinds(endless, FAILURES_IN_A_ROW + 1)
    await engine.close()

    assert kinds[-2:] == [FailureKind.FUNCTION_EXECUTION, FailureKind.FUNCTION_THROTTLED]
