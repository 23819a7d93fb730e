"""Amazon Bedrock's runtime, with a text generator in the model's place.

The wire is Bedrock's: InvokeModel and InvokeModelWithResponseStream in Anthropic's messages format,
Converse and ConverseStream for every model, AWS's event stream, errors and headers. The text
is made by `aws/bedrock/writing.py`, its pace by `aws/bedrock/speed.py`: every token has a
deadline counted from the call's arrival. A client that hangs up ends its generation.

Response headers leave together with the first token, so that a client's call of a streaming
operation returns after the time to first token, as a model that is still thinking makes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import random
import re
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.aws.answers import json_answer
from emulator.aws.bedrock.faults import Fault, FaultPlan
from emulator.aws.bedrock.models import Model, ModelFormat, find_model
from emulator.aws.bedrock.speed import Pace, draw_pace, events
from emulator.aws.bedrock.writing import generate, spoil
from emulator.aws.call import ApiCall, decode_segment
from emulator.aws.dispatch import BEDROCK_RUNTIME
from emulator.clock import Clock
from emulator.errors import ApiError, NotEmulated
from emulator.values.model_calls import Generation, Prompt
from emulator.wire import bedrock_converse, bedrock_messages, event_stream

_PATH = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream|converse|converse-stream)")
_STREAMED: Final = frozenset({"invoke-with-response-stream", "converse-stream"})
_CONVERSE: Final = frozenset({"converse", "converse-stream"})
# API reference of InvokeModel: body, maximum length 25,000,000.
_BODY_MAX_BYTES: Final = 25_000_000
_PADDING_MAX_CHARS: Final = 62

_T = TypeVar("_T")


@dataclass(slots=True)
class Tally:
    """What has become of the calls so far.

    Args:
        active: Under way now.
        completed: Answered to the end.
        cancelled: Ended early because the client hung up.
        failed: Ended by a planned fault.
        output_tokens: Tokens that clients were sent.
    """

    active: int = 0
    completed: int = 0
    cancelled: int = 0
    failed: int = 0
    output_tokens: int = 0


class BedrockRuntime:
    """`bedrock-runtime`, API version 2023-09-30.

    Args:
        clock: What the models' slowness is waited on.
        seed: Chooses the words and the speeds; the same calls in the same order get the same.
        time_scale: 1 for the speed of real models, 0 for no waiting.
    """

    def __init__(self, clock: Clock, *, seed: int = 0, time_scale: float = 1.0) -> None:
        self._clock, self._seed = clock, seed
        self._chance = random.Random(seed)
        self.time_scale = time_scale
        self.faults = FaultPlan()
        self.tally = Tally()

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: Bedrock's refusals.
            NotEmulated: The operation, or this model's own body format.
        """
        arrived_ms = self._clock.now_ms()
        match = _PATH.fullmatch(call.path)
        if match is None or call.method != "POST":
            raise NotEmulated(f"The AWS operation bedrock-runtime:{call.method} {call.path}")
        operation = match[2]
        streamed = operation in _STREAMED
        run = self._run(
            operation,
            _identifier(match[1]),
            await call.body(_BODY_MAX_BYTES, _too_large),
            arrived_ms,
        )
        if streamed:
            return _StreamAnswer(run, self.tally)
        with _counted(self.tally):
            await _unless_hung_up(call.receive, run.wait_for_all())
        self._count(run)
        return run.whole_answer()

    async def call(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """InvokeModel and Converse without HTTP (`in_process`).

        Raises:
            ApiError: Bedrock's refusals.
            NotEmulated: Any other operation.
        """
        if operation not in ("InvokeModel", "Converse"):
            raise NotEmulated(f"The AWS operation bedrock-runtime:{operation}")
        is_converse = operation == "Converse"
        if is_converse:
            body = orjson.dumps({name: one for name, one in given.items() if name != "modelId"})
        else:
            body = bytes(given.get("body") or b"")
        model_id = str(given.get("modelId", ""))
        run = self._run(
            "converse" if is_converse else "invoke", model_id, body, self._clock.now_ms()
        )
        with _counted(self.tally):
            await run.wait_for_all()
        self._count(run)
        if is_converse:
            return run.converse_shape()
        return {"body": orjson.dumps(run.message_shape()), "contentType": "application/json"}

    def _run(self, operation: str, model_id: str, body: bytes, arrived_ms: float) -> _Run:
        """One generation, unless a planned fault is due.

        Raises:
            ApiError: Bedrock's refusals.
            NotEmulated: This model's own body format.
        """
        model = find_model(model_id, self._today())
        prompt = _parse(operation, model, body)
        fault = self.faults.take(BEDROCK_RUNTIME, streaming=operation in _STREAMED)
        generation = generate(prompt, self._seed)
        if fault is not None and fault.spoils_text:
            generation = spoil(generation, fault, prompt.max_tokens)
        elif fault is not None and fault is not Fault.MID_STREAM:
            self.tally.failed += 1
            raise _refusal(fault)
        return _Run(
            clock=self._clock,
            arrived_ms=arrived_ms,
            model=model,
            generation=generation,
            pace=draw_pace(model.speed, self._chance, self.time_scale),
            chance=random.Random(self._chance.getrandbits(64)),
            converse=operation in _CONVERSE,
            breaks=fault is Fault.MID_STREAM,
        )

    def _count(self, run: _Run) -> None:
        self.tally.completed += 1
        self.tally.output_tokens += run.generation.output_tokens

    def _today(self) -> datetime.date:
        return datetime.datetime.fromtimestamp(self._clock.epoch_ms() / 1e3, datetime.UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One generation on its way to its client."""

    clock: Clock
    arrived_ms: float
    model: Model
    generation: Generation
    pace: Pace
    chance: random.Random
    converse: bool
    breaks: bool

    async def wait_for_all(self) -> None:
        """Wait until a model would have written the last token."""
        last = max(0, self.generation.output_tokens - 1)
        await self.clock.sleep_until_ms(self.arrived_ms + self.pace.due_ms(last))

    def converse_shape(self) -> dict[str, Any]:
        """Converse's output."""
        return dict(bedrock_converse.dump_converse(self.generation, self._elapsed_ms()))

    def message_shape(self) -> dict[str, Any]:
        """InvokeModel's body."""
        return bedrock_messages.dump_anthropic(
            self.generation, self._message_id(), self.model.short_name
        )

    def whole_answer(self) -> ASGIApp:
        """The buffered answer."""
        if self.converse:
            return json_answer(self.converse_shape())
        latency_ms = self._elapsed_ms()
        return json_answer(
            self.message_shape(),
            headers={
                "x-amzn-bedrock-invocation-latency": str(round(latency_ms)),
                "x-amzn-bedrock-output-token-count": str(self.generation.output_tokens),
                "x-amzn-bedrock-input-token-count": str(self.generation.input_tokens),
            },
        )

    async def frames(self) -> AsyncIterator[bytes]:
        """The event stream, each frame when it is due."""
        planned = list(events(self.generation.pieces, self.pace))
        breaks_at = max(1, len(planned) // 2) if self.breaks else None
        await self.clock.sleep_until_ms(self.arrived_ms + self.pace.first_token_ms)
        first_byte_ms = self._elapsed_ms()
        yield b"".join(self._start())
        for i, (due_ms, text) in enumerate(planned):
            if i == breaks_at:
                yield _broken()
                return
            await self.clock.sleep_until_ms(self.arrived_ms + due_ms)
            yield self._delta(text)
        yield b"".join(self._end(first_byte_ms))

    def _start(self) -> Iterator[bytes]:
        if self.converse:
            yield event_stream.dump_event(*bedrock_converse.dump_converse_start())
            return
        for event in bedrock_messages.dump_anthropic_start(
            self.generation, self._message_id(), self.model.short_name
        ):
            yield self._chunk(event)

    def _delta(self, text: str) -> bytes:
        if self.converse:
            return event_stream.dump_event(*bedrock_converse.dump_converse_delta(text))
        return self._chunk(bedrock_messages.dump_anthropic_delta(text))

    def _end(self, first_byte_ms: float) -> Iterator[bytes]:
        if self.converse:
            for event in bedrock_converse.dump_converse_end(self.generation, self._elapsed_ms()):
                yield event_stream.dump_event(*event)
            return
        for shape in bedrock_messages.dump_anthropic_end(
            self.generation, self._elapsed_ms(), first_byte_ms
        ):
            yield self._chunk(shape)

    def _chunk(self, event: dict[str, Any]) -> bytes:
        padding_chars = 1 + int(self.chance.random() * _PADDING_MAX_CHARS)
        return event_stream.dump_event("chunk", bedrock_messages.dump_chunk(event, padding_chars))

    def _message_id(self) -> str:
        return f"msg_bdrk_{self.chance.getrandbits(96):024x}"

    def _elapsed_ms(self) -> float:
        return self.clock.now_ms() - self.arrived_ms


class _StreamAnswer:
    """An event stream as an ASGI application; ends when the client hangs up."""

    def __init__(self, run: _Run, tally: Tally) -> None:
        self._run, self._tally = run, tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(ClientDisconnect), _counted(self._tally):
            await _unless_hung_up(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        frames = self._run.frames()
        first = await anext(frames)
        await send({"type": "http.response.start", "status": 200, "headers": self._headers()})
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        if self._run.breaks:
            self._tally.failed += 1
            return
        self._tally.completed += 1
        self._tally.output_tokens += self._run.generation.output_tokens

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"Content-Type", event_stream.CONTENT_TYPE.encode())]
        if not self._run.converse:
            headers.append((b"X-Amzn-Bedrock-Content-Type", b"application/json"))
        return headers


@contextlib.contextmanager
def _counted(tally: Tally) -> Iterator[None]:
    tally.active += 1
    try:
        yield
    except (ClientDisconnect, asyncio.CancelledError):
        tally.cancelled += 1
        raise
    finally:
        tally.active -= 1


async def _unless_hung_up(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T:
    """Do the work, but stop it as soon as the client hangs up.

    Raises:
        ClientDisconnect: The client hung up first.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _identifier(segment: str) -> str:
    try:
        return decode_segment(segment)
    except UnicodeDecodeError as error:
        raise ApiError(
            400, "ValidationException", "The provided model identifier is invalid."
        ) from error


def _parse(operation: str, model: Model, body: bytes) -> Prompt:
    if operation in _CONVERSE:
        return bedrock_converse.parse_converse(body)
    if model.format is not ModelFormat.ANTHROPIC:
        raise NotEmulated(
            f"InvokeModel with {model.id}'s own body format (Converse works with every model)"
        )
    return bedrock_messages.parse_anthropic(body)


def _refusal(fault: Fault) -> ApiError:
    if fault is Fault.THROTTLE:
        return ApiError(
            429,
            "ThrottlingException",
            "Too many requests, please wait before trying again.",
        )
    return ApiError(
        503, "ServiceUnavailableException", "Bedrock is unable to process your request."
    )


def _broken() -> bytes:
    return event_stream.dump_exception(
        "modelStreamErrorException",
        orjson.dumps(
            {
                "message": "The model failed while it was streaming. Try your request again.",
                "originalStatusCode": 500,
                "originalMessage": "Asked for by /_localpop/faults",
            }
        ),
    )


def _too_large() -> ApiError:
    return ApiError(
        400, "ValidationException", f"The request body is larger than {_BODY_MAX_BYTES} bytes."
    )
