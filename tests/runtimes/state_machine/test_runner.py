"""The native runner on a clock that passes no time, with other services handed in."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from emulator.clock.virtual import VirtualClock
from emulator.errors import ApiError
from emulator.rules.asl_definition import check_definition
from emulator.runtimes.state_machine import History, StateMachineRunner, TaskTokens
from emulator.runtimes.state_machine.history import EVENTS_MAX
from emulator.values.state_machines import ExecutionOutcome, ExecutionStart, StateMachine

INVOKE = "arn:aws:states:::lambda:invoke"


class World:
    """Other services, and what they were asked."""

    def __init__(self, *answers: Any) -> None:
        self.clock = VirtualClock()
        self.answers = list(answers)
        self.calls: list[tuple[str, str, Mapping[str, Any]]] = []
        self.at_ms: list[float] = []
        self.at_work = self.at_work_max = 0
        self.history = History(self.clock)

    async def call(self, service: str, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The next answer; an error is raised."""
        self.calls.append((service, operation, given))
        self.at_ms.append(self.clock.now_ms())
        self.at_work += 1
        self.at_work_max = max(self.at_work, self.at_work_max)
        # Lets others begin, as a real call does.
        for _ in range(3):
            await asyncio.wait([asyncio.ensure_future(_nothing())])
        self.at_work -= 1
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, ApiError):
            raise answer
        if isinstance(answer, dict) and "FunctionError" in answer:
            return {**answer, "Payload": json.dumps(answer["Payload"]).encode()}
        return {"StatusCode": 200, "Payload": json.dumps(answer).encode()}

    def run(self, states: Mapping[str, Any], value: Any = None, **more: Any) -> ExecutionOutcome:
        """Run a machine that starts at A."""
        text = json.dumps({"StartAt": "A", "States": states, **more})
        definition, diagnostics = check_definition(text)
        assert not diagnostics, diagnostics
        machine = StateMachine("m", "arn:aws:states:::stateMachine:m", definition, text)
        start = ExecutionStart("arn:e", "e", machine, {} if value is None else value, 0.0)

        async def once() -> ExecutionOutcome:
            tokens = TaskTokens(random.Random(0))
            runner = StateMachineRunner(
                self.clock, self.call, _never_finished, tokens, random.Random(0)
            )
            return await runner.run(start, self.history)

        return asyncio.run(once())


async def _nothing() -> None:
    return None


async def _never_finished(arn: str) -> Mapping[str, Any]:
    raise AssertionError(arn)


def invoke(**more: Any) -> dict[str, Any]:
    """A Task of a function."""
    given = {"Type": "Task", "Resource": INVOKE, "Parameters": {"FunctionName": "f"}, **more}
    return given if "Next" in given else {**given, "End": True}


def thrown(kind: str) -> dict[str, Any]:
    """What Invoke answers for a function that threw."""
    return {"FunctionError": "Unhandled", "Payload": {"errorType": kind, "errorMessage": "m"}}


def test_a_year_passes_at_once() -> None:
    """Waits are the clock's."""
    world = World()
    outcome = world.run({"A": {"Type": "Wait", "Seconds": 31_536_000, "End": True}}, {"a": 1})

    assert outcome.output == {"a": 1}
    assert world.clock.now_ms() == 31_536_000_000


def test_retries_wait_longer_each_time_until_it_works() -> None:
    """IntervalSeconds, BackoffRate and MaxDelaySeconds; RetryCount is in the context object."""
    world = World(thrown("E"), thrown("E"), thrown("E"), {"ok": True})
    retry = {"ErrorEquals": ["E"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxDelaySeconds": 10}
    parameters = {"FunctionName": "f", "Payload": {"n.$": "$$.State.RetryCount"}}
    outcome = world.run({"A": invoke(Retry=[retry], Parameters=parameters)})

    assert outcome.output["Payload"] == {"ok": True}
    assert world.at_ms == [0, 2_000, 8_000, 18_000]
    assert [json.loads(given["Payload"])["n"] for _, _, given in world.calls] == [0, 1, 2, 3]


def test_each_retrier_counts_its_own_tries() -> None:
    """Two kinds of failure, each retried once."""
    world = World(thrown("E"), thrown("F"), thrown("E"))
    retriers = [{"ErrorEquals": [name], "MaxAttempts": 1} for name in ("E", "F")]
    outcome = world.run({"A": invoke(Retry=retriers)})

    assert (outcome.error, len(world.calls)) == ("E", 3)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(thrown("KeyError"), "KeyError", id="a handler that throws"),
        pytest.param(thrown("Sandbox.Timedout"), "Sandbox.Timedout", id="a time-out"),
        pytest.param(thrown("Runtime.ExitError"), "Runtime.ExitError", id="a killed sandbox"),
        pytest.param(
            {"FunctionError": "Unhandled", "Payload": "odd"}, "Lambda.Unknown", id="no words"
        ),
        pytest.param(
            ApiError(429, "TooManyRequestsException", "Rate Exceeded."),
            "Lambda.TooManyRequestsException",
            id="throttled",
        ),
        pytest.param(
            ApiError(500, "ServiceException", "no"), "Lambda.ServiceException", id="Lambda's own"
        ),
    ],
)
def test_failures_have_awss_names(answer: Any, error: str) -> None:
    """As Retry and Catch see them; States.TaskFailed means them all."""
    caught = {"ErrorEquals": ["States.TaskFailed"], "Next": "B"}
    states = {
        "A": invoke(Catch=[caught], Next="Z"),
        "B": {"Type": "Pass", "OutputPath": "$.Error", "End": True},
        "Z": {"Type": "Fail"},
    }

    assert World(answer).run(states).output == error
    assert World(answer).run({"A": invoke()}).error == error


def test_no_more_iterations_at_a_time_than_asked_for() -> None:
    """MaxConcurrency; results stand in the items' order."""
    world = World(*({"n": number} for number in range(10)))
    states = {
        "A": {
            "Type": "Map",
            "MaxConcurrency": 3,
            "ItemProcessor": {"StartAt": "I", "States": {"I": invoke(OutputPath="$.Payload")}},
            "End": True,
        }
    }
    outcome = world.run(states, list(range(10)))

    assert world.at_work_max == 3
    assert [one["n"] for one in outcome.output] == list(range(10))


@pytest.mark.parametrize(
    ("tolerated", "error"),
    [
        pytest.param({}, "E", id="none"),
        pytest.param(
            {"ToleratedFailureCount": 1}, "States.ExceedToleratedFailureThreshold", id="1"
        ),
        pytest.param({"ToleratedFailurePercentage": 50}, None, id="half of them"),
    ],
)
def test_failures_that_a_map_tolerates(tolerated: dict[str, Any], error: str | None) -> None:
    """As many as it says; what failed gives its error as its result."""
    world = World(thrown("E"), {"n": 1}, thrown("E"), {"n": 3})
    state = {
        "Type": "Map",
        "MaxConcurrency": 1,
        "ItemProcessor": {"StartAt": "I", "States": {"I": invoke(OutputPath="$.Payload")}},
        "End": True,
        **tolerated,
    }
    outcome = world.run({"A": state}, [0, 1, 2, 3])

    assert outcome.error == error
    if error is None:
        assert [one.get("Error") for one in outcome.output] == ["E", None, "E", None]


def test_variables_stay_where_they_are_set() -> None:
    """A branch sees what was set before, and keeps its own."""
    inner = {
        "StartAt": "I",
        "States": {
            "I": {"Type": "Pass", "Assign": {"x": 2, "y": 2}, "Next": "J"},
            "J": {"Type": "Pass", "Parameters": {"x.$": "$x", "z.$": "$z"}, "End": True},
        },
    }
    states = {
        "A": {"Type": "Pass", "Assign": {"x": 1, "z": 3}, "Next": "P"},
        "P": {"Type": "Parallel", "Branches": [inner], "ResultPath": "$.inside", "Next": "B"},
        "B": {"Type": "Pass", "Parameters": {"x.$": "$x", "in.$": "$.inside[0]"}, "End": True},
    }

    assert World().run(states).output == {"x": 1, "in": {"x": 2, "z": 3}}


def test_a_history_has_an_end() -> None:
    """A machine that goes round for ever fails as AWS's does, at 25,000 events."""
    world = World()
    outcome = world.run({"A": {"Type": "Pass", "Next": "A"}})

    assert outcome.error == "States.Runtime"
    assert outcome.cause is not None
    assert str(EVENTS_MAX) in outcome.cause
    assert len(world.history.dump()) <= EVENTS_MAX + 1


def test_a_state_hands_on_no_more_than_256_kb() -> None:
    """States.DataLimitExceeded, which States.ALL does not catch."""
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "B"}]
    states = {"A": invoke(Catch=catch), "B": {"Type": "Pass", "End": True}}

    assert World("x" * 300_000).run(states).error == "States.DataLimitExceeded"


def test_what_is_put_in_is_never_changed() -> None:
    """The execution's input is in its history as it came."""
    value = {"a": {"b": [1]}}
    states = {"A": {"Type": "Pass", "Result": 2, "ResultPath": "$.a.b[0]", "End": True}}
    world = World()
    outcome = world.run(states, value)

    assert (outcome.output, value) == ({"a": {"b": [2]}}, {"a": {"b": [1]}})


def test_parameters_reach_the_service_as_its_api_spells_them() -> None:
    """An SDK integration's PascalCase becomes the API's own; its answer comes back so."""
    world = World()
    sdk = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sfn:startExecution",
        "Parameters": {"StateMachineArn": "arn:x", "Input": {"a": 1}},
        "End": True,
    }
    outcome = world.run({"A": sdk})

    assert world.calls == [
        ("states", "StartExecution", {"stateMachineArn": "arn:x", "input": '{"a":1}'})
    ]
    assert "StatusCode" in outcome.output
