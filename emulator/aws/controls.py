"""What localpop itself can be told through the endpoint, under `/_localpop/`.

GET    /_localpop/faults    the faults still to come
POST   /_localpop/faults    plan one, such as {"effect": "origin-down", "place": "NRT"}
                                {"service": "bedrock-runtime", "fault": "throttle", "count": 3}
                                {"service": "cloudfront-keyvaluestore", "fault": "unavailable"}
DELETE /_localpop/faults    plan none
GET    /_localpop/bedrock   the models' speed, and what became of the calls so far
PUT    /_localpop/bedrock   change the speed: {"time_scale": 0} for no waiting, 1 for real models
POST   /_localpop/invalidations    {"paths": ["/images/*"]}; how many objects were removed
GET    /_localpop/clock     the schedules' date
POST   /_localpop/clock     move it forward: {"forward_s": 21600}; what was due on the way has fired
GET    /_localpop/dead-letters            every message in a dead-letter queue, with its reason
POST   /_localpop/dead-letters/replay     send them back: {"queue": "name"}, or {} for all queues
POST   /_localpop/reset     forget everything that was made, and deploy the template anew
GET    /_localpop/lambda-packages/{sha256}.zip    the code of a Lambda function (GetFunction)
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol

import orjson
from starlette.types import ASGIApp

from emulator.aws.answers import Answer, json_answer
from emulator.aws.bedrock.faults import Fault, PlannedFault
from emulator.aws.bedrock_runtime import BedrockRuntime
from emulator.aws.call import ApiCall
from emulator.aws.dispatch import BEDROCK_RUNTIME, KEY_VALUE_STORE
from emulator.clock import Clock
from emulator.errors import ApiError, ConfigError
from emulator.network.faults import FaultPlan, dump_fault, parse_fault
from emulator.quotas import KB
from emulator.rules.invalidation import path_problem

CONTROLS_PATH: Final = "/_localpop/"
_FAULTS: Final[dict[str, tuple[Fault, ...]]] = {
    BEDROCK_RUNTIME: tuple(Fault),
    KEY_VALUE_STORE: (Fault.UNAVAILABLE,),
}
_PACKAGE = re.compile(r"/_localpop/lambda-packages/([0-9a-f]{64}\.zip)")
_BODY_MAX_BYTES = 64 * KB
_COUNT_MAX = 1_000_000
_TIME_SCALE_MAX = 1_000.0
_FORWARD_MAX_S = 366 * 86_400.0


class BackgroundControls(Protocol):
    """What the controls ask of events, schedules and queues."""

    def clock_state(self) -> dict[str, Any]:
        """The schedules' date."""
        ...

    async def move_clock(self, forward_ms: float) -> dict[str, Any]:
        """Move it forward; says what fired."""
        ...

    def dead_letters(self) -> dict[str, Any]:
        """Every dead letter."""
        ...

    async def replay(self, queue: str) -> dict[str, Any]:
        """Send dead letters back."""
        ...


class LocalControls:
    """The controls of the endpoint.

    Args:
        bedrock: What they control; its plan of faults is every service's.
        reset: Makes everything as it was at the first start; None when nobody can.
        package: Reads a Lambda function's zip by its file name; None when there is none.
        plan: The edge's faults.
        clock: Counts their time.
        invalidate: Removes paths of one distribution (an empty id: of all) from the caches; None
            when there are none.
        background: Schedules and dead letters.
    """

    def __init__(
        self,
        bedrock: BedrockRuntime,
        *,
        reset: Callable[[], Awaitable[None]] | None = None,
        package: Callable[[str], bytes | None] = lambda name: None,
        plan: FaultPlan,
        clock: Clock,
        invalidate: Callable[[str, Sequence[str]], int] | None = None,
        background: BackgroundControls | None = None,
    ) -> None:
        self._bedrock, self._reset, self._package = bedrock, reset, package
        self._plan, self._clock, self._invalidate = plan, clock, invalidate
        self._background = background

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: 400 for a bad body, 404 for a path or method that is not listed above.
        """
        match call.method, call.path.removeprefix(CONTROLS_PATH):
            case "GET", "faults":
                return self._faults()
            case "POST", "faults":
                self._add_fault(await _object(call))
                return self._faults()
            case "DELETE", "faults":
                self._bedrock.faults.clear()
                self._plan.clear()
                return Answer(204, b"")
            case "DELETE", name if (number := _fault_number(name)) and self._plan.clear(number):
                return Answer(204, b"")
            case "POST", "invalidations" if self._invalidate is not None:
                distribution, paths = _parse_invalidation(await _object(call))
                return json_answer({"removed": self._invalidate(distribution, paths)})
            case "GET", "clock" if self._background is not None:
                return json_answer(self._background.clock_state())
            case "POST", "clock" if self._background is not None:
                forward_ms = 1_000 * _parse_forward(await _object(call))
                return json_answer(await self._background.move_clock(forward_ms))
            case "GET", "dead-letters" if self._background is not None:
                return json_answer(self._background.dead_letters())
            case "POST", "dead-letters/replay" if self._background is not None:
                queue = (await _object(call)).get("queue") or ""
                return json_answer(await self._background.replay(str(queue)))
            case "GET", "bedrock":
                return self._state()
            case "PUT", "bedrock":
                self._bedrock.time_scale = _parse_time_scale(await _object(call))
                return self._state()
            case "POST", "reset" if self._reset is not None:
                await self._reset()
                return Answer(204, b"")
        if call.method == "GET" and (name := _package_name(call.path)):
            found = await asyncio.to_thread(self._package, name)
            if found is not None:
                return Answer(200, found, content_type="application/zip")
        raise ApiError(
            404,
            "UnknownOperationException",
            f"{call.method} {call.path} is none of localpop's controls: "
            "GET, POST, DELETE /_localpop/faults, GET, PUT /_localpop/bedrock, "
            "POST /_localpop/invalidations, GET, POST /_localpop/clock, "
            "GET /_localpop/dead-letters, POST /_localpop/dead-letters/replay "
            "and POST /_localpop/reset",
        )

    def _add_fault(self, shape: dict[str, Any]) -> None:
        """A fault of the edge has an effect, one of a service has the service's name."""
        if "effect" not in shape:
            self._bedrock.faults.add(_parse_fault(shape))
            return
        try:
            self._plan.add(parse_fault(shape), self._clock.now_ms())
        except ConfigError as error:
            raise _invalid(str(error)) from None

    def _faults(self) -> ASGIApp:
        now_ms = self._clock.now_ms()
        self._plan.forget_past(now_ms)
        of_services = [asdict(fault) for fault in self._bedrock.faults.planned]
        of_the_edge = [dump_fault(planned, now_ms) for planned in self._plan.planned]
        return json_answer({"faults": [*of_services, *of_the_edge]})

    def _state(self) -> ASGIApp:
        return json_answer(
            {"time_scale": self._bedrock.time_scale, "calls": asdict(self._bedrock.tally)}
        )


def _fault_number(name: str) -> int:
    """The number in `faults/3`; 0 for any other path."""
    number = name.removeprefix("faults/")
    return int(number) if number != name and number.isdecimal() else 0


def _parse_invalidation(shape: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """`{"paths": ["/a*"], "distribution": "E…"}`; without `distribution` all are meant."""
    distribution, paths = shape.get("distribution", ""), shape.get("paths")
    if not isinstance(distribution, str) or not isinstance(paths, list) or not paths:
        raise _invalid('expected {"paths": ["/…"], "distribution": "E…"}')
    for path in paths:
        problem = path_problem(path) if isinstance(path, str) else "it must be text"
        if problem:
            raise _invalid(f"path {path!r}: {problem}")
    return distribution, tuple(paths)


def _package_name(path: str) -> str:
    match = _PACKAGE.fullmatch(path)
    return match[1] if match else ""


def _parse_fault(shape: dict[str, Any]) -> PlannedFault:
    service = _choice(shape, "service", tuple(_FAULTS))
    fault = Fault(_choice(shape, "fault", _FAULTS[service]))
    count = shape.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _COUNT_MAX:
        raise _invalid(f"count: a whole number from 1 to {_COUNT_MAX} expected, not {count!r}")
    return PlannedFault(service, fault, count)


def _parse_time_scale(shape: dict[str, Any]) -> float:
    scale = shape.get("time_scale")
    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise _invalid(f"time_scale: a number expected, not {scale!r}")
    if not 0 <= scale <= _TIME_SCALE_MAX:
        raise _invalid(f"time_scale: a number from 0 to {_TIME_SCALE_MAX:g} expected, not {scale}")
    return float(scale)


def _parse_forward(shape: dict[str, Any]) -> float:
    forward = shape.get("forward_s")
    if isinstance(forward, bool) or not isinstance(forward, int | float):
        raise _invalid(f"forward_s: a number expected, not {forward!r}")
    if not 0 <= forward <= _FORWARD_MAX_S:
        raise _invalid(
            f"forward_s: a number from 0 to {_FORWARD_MAX_S:g} expected, not {forward}; the clock "
            "moves forward only"
        )
    return float(forward)


def _choice(shape: dict[str, Any], name: str, choices: Sequence[str]) -> str:
    value = shape.get(name)
    if value not in choices:
        raise _invalid(f"{name}: one of {', '.join(choices)} expected, not {value!r}")
    return str(value)


async def _object(call: ApiCall) -> dict[str, Any]:
    body = await call.body(_BODY_MAX_BYTES, lambda: _invalid("The body is too large"))
    try:
        shape = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid(f"The body is not JSON: {error}") from error
    if not isinstance(shape, dict):
        raise _invalid("The body must be a JSON object")
    return shape


def _invalid(message: str) -> ApiError:
    return ApiError(400, "ValidationException", message)
