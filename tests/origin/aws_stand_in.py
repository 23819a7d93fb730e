"""Just enough of AWS for the origin's tests: a key value store and a model, over real HTTP.

A server of its own, written from the same pages as the client side is, so that real boto3 talks to
it. Tests tell it what to do next (`throttles`, `interlopers`, …) and read what it has seen.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

STORE_ARN = "arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-0123456789ab"
ANSWER = "Two alerts are open, Aiko. The replica lags; nothing else changed overnight."


def short_answer(prompt: str) -> str:
    """What the model says unless a test says otherwise."""
    return ANSWER


@dataclass
class StandIn:
    """The stand-in's state: what it is told to do, and what it has seen.

    Attributes:
        answer: The model's text for a prompt.
        stop_reason: Why the model stopped.
        throttles: How many calls of the model are answered 429 from now on.
        model_error: An error's (status, code) for every call of the model.
        piece_gap_s: How long the model takes for each piece of a stream.
        hold_before: The frame (0: the first, or a whole answer) that waits until this says
            something else, or the client is gone.
        break_after: Pieces after which a stream breaks; None for never.
        break_how: `exception` for an event saying so, `end` for a stream that just ends.
        interlopers: How many writes are preceded by another writer's, which makes the ETag stale.
        store_error: An error's (status, code, message) for every call of the store.
        refused_write: An error's (status, code, message) for every write only.
        entries: What the store holds.
        batches: The entries of every UpdateKeys that was accepted.
        describes: How often DescribeKeyValueStore was called.
        model_ids: The model of every call.
        prompts: The body of every call of the model.
        at_once: The most calls of the model that were under way together.
        pieces_sent: How many pieces of streams were sent.
        streams_abandoned: How many streams the client left before their end.
    """

    answer: Callable[[str], str] = short_answer
    stop_reason: str = "end_turn"
    throttles: int = 0
    model_error: tuple[int, str] | None = None
    piece_gap_s: float = 0.0
    hold_before: int | None = None
    break_after: int | None = None
    break_how: str = "exception"
    interlopers: int = 0
    store_error: tuple[int, str, str] | None = None
    refused_write: tuple[int, str, str] | None = None
    entries: dict[str, str] = field(default_factory=dict)
    batches: list[dict[str, str]] = field(default_factory=list)
    describes: int = 0
    model_ids: list[str] = field(default_factory=list)
    prompts: list[dict[str, Any]] = field(default_factory=list)
    at_once: int = 0
    pieces_sent: int = 0
    streams_abandoned: int = 0
    _version: Iterator[int] = field(default_factory=itertools.count)
    _etag: str = "KV0"
    _under_way: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            return
        # The raw path: an ARN's `/` arrives as %2F, and must not make a new segment.
        segments = [unquote(part) for part in scope["raw_path"].decode().split("/")[1:]]
        body = await _read_body(receive)
        if segments[0] == "key-value-stores":
            headers = dict(scope["headers"])
            await self._store(scope["method"], segments[1:], headers, body, send)
        elif segments[0] == "model":
            self.model_ids.append(segments[1])
            self.prompts.append(json.loads(body))
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
            try:
                await self._model(segments[2], receive, send)
            finally:
                self._under_way -= 1

    async def _store(
        self, method: str, path: list[str], headers: Mapping[bytes, bytes], body: bytes, send: Send
    ) -> None:
        if self.store_error:
            await _send_error(send, *self.store_error)
        elif path[0] != STORE_ARN:
            await _send_error(send, 404, "ResourceNotFoundException", "no such store")
        elif method == "GET" and path[1:] == []:
            self.describes += 1
            described = {**self._counts(), "KvsARN": STORE_ARN, "Created": 1700000000.5}
            await _send_json(send, described, {"etag": self._etag})
        elif method == "POST" and path[1:] == ["keys"]:
            await self._update(headers[b"if-match"].decode(), json.loads(body), send)
        else:
            await _send_error(send, 400, "ValidationException", f"{method} {path}")

    async def _update(self, if_match: str, batch: dict[str, Any], send: Send) -> None:
        if self.interlopers:
            self.interlopers -= 1
            self._etag = f"KV{next(self._version)}X"
        if self.refused_write:
            await _send_error(send, *self.refused_write)
        elif if_match != self._etag:
            message = "Pre-Condition failed during update of Key-Value-Store"
            await _send_error(send, 400, "ValidationException", message)
        else:
            puts = {put["Key"]: put["Value"] for put in batch.get("Puts", [])}
            self.batches.append(puts)
            self.entries.update(puts)
            self._etag = f"KV{next(self._version)}Y"
            await _send_json(send, self._counts(), {"etag": self._etag})

    def _counts(self) -> dict[str, int]:
        size_bytes = sum(len((key + value).encode()) for key, value in self.entries.items())
        return {"ItemCount": len(self.entries), "TotalSizeInBytes": size_bytes}

    async def _model(self, operation: str, receive: Receive, send: Send) -> None:
        if self.throttles:
            self.throttles -= 1
            await _send_error(send, 429, "ThrottlingException", "Too many requests")
        elif self.model_error:
            status, code = self.model_error
            await _send_error(send, status, code, "secret account 123456789012")
        else:
            text = self.answer(self.prompts[-1]["messages"][0]["content"])
            if operation == "invoke":
                if await self._pause(asyncio.create_task(_wait_for_disconnect(receive)), 0):
                    return
                await _send_json(send, self._message(text), {})
            else:
                await self._stream(text, receive, send)

    def _message(self, text: str) -> dict[str, Any]:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [{"type": "text", "text": text}],
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 400, "output_tokens": 60},
        }

    async def _stream(self, text: str, receive: Receive, send: Send) -> None:
        left = asyncio.create_task(_wait_for_disconnect(receive))
        await _send_start(send, 200, {"content-type": "application/vnd.amazon.eventstream"})
        try:
            for number, frame in enumerate(self._frames(text)):
                if await self._pause(left, number):
                    self.streams_abandoned += 1
                    return
                if self.break_after is not None and number > self.break_after + 1:
                    if self.break_how == "exception":
                        broken = _exception_frame(
                            "modelStreamErrorException", "broke in the middle"
                        )
                        await _send_body(send, broken, more=True)
                    break
                await _send_body(send, frame, more=True)
                self.pieces_sent += 1
            await _send_body(send, b"", more=False)
        finally:
            left.cancel()

    async def _pause(self, left: asyncio.Task[None], number: int) -> bool:
        """Wait as long as the test says; True when the client has left meanwhile."""
        if self.piece_gap_s:
            await asyncio.wait([left], timeout=self.piece_gap_s)
        while number == self.hold_before and not left.done():
            await asyncio.wait([left], timeout=0.005)
        return left.done()

    def _frames(self, text: str) -> Iterator[bytes]:
        yield _chunk_frame({"type": "message_start", "message": self._message("")})
        yield _chunk_frame({"type": "content_block_start", "index": 0})
        for piece in pieces_of(text):
            delta = {"type": "text_delta", "text": piece}
            yield _chunk_frame({"type": "content_block_delta", "index": 0, "delta": delta})
        yield _chunk_frame({"type": "content_block_stop", "index": 0})
        yield _chunk_frame({"type": "message_delta", "delta": {"stop_reason": self.stop_reason}})
        yield _chunk_frame({"type": "message_stop"})


def pieces_of(text: str) -> list[str]:
    """The pieces in which the model streams a text: its words, each with the space before it."""
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]


def eventually(condition: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Wait until something comes true in another thread or process; fail when it never does."""
    give_up = threading.Event()
    deadline = threading.Timer(within_s, give_up.set)
    deadline.start()
    try:
        while not condition():
            assert not give_up.wait(0.005), "it never came true"
    finally:
        deadline.cancel()
        deadline.join()


@contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """Serve an ASGI application from a thread; yields its authority, `127.0.0.1:<port>`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        ready = threading.Event()
        thread = threading.Thread(target=_run, args=(server, listener, ready))
        thread.start()
        try:
            assert ready.wait(10)
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _run(server: uvicorn.Server, listener: socket.socket, ready: threading.Event) -> None:
    async def run() -> None:
        # The listener takes connections from before this on; the loop answers them from now on.
        asyncio.get_running_loop().call_soon(ready.set)
        await server.serve(sockets=[listener])

    asyncio.run(run())


def _chunk_frame(message: Mapping[str, Any]) -> bytes:
    payload = {"bytes": base64.b64encode(json.dumps(message).encode()).decode(), "p": "abcd"}
    headers = {
        ":event-type": "chunk",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return _frame(headers, json.dumps(payload).encode())


def _exception_frame(name: str, message: str) -> bytes:
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return _frame(headers, json.dumps({"message": message}).encode())


def _frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message of `application/vnd.amazon.eventstream`: lengths, CRC, headers, payload, CRC."""
    block = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value
        for name, value in ((name, text.encode()) for name, text in headers.items())
    )
    prelude = struct.pack("!II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + block + payload
    return message + struct.pack("!I", binascii.crc32(message))


async def _read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"x-amzn-requestid", b"11111111-2222-3333-4444-555555555555"))
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _send_body(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _send_json(send: Send, body: Any, headers: Mapping[str, str], status: int = 200) -> None:
    await _send_start(send, status, {"content-type": "application/json", **headers})
    await _send_body(send, json.dumps(body).encode(), more=False)


async def _send_error(send: Send, status: int, code: str, message: str) -> None:
    await _send_json(send, {"Message": message}, {"x-amzn-errortype": code}, status)
