"""Lambda's Runtime API, and an execution environment that runs AWS's own client against it.

AWS: "Using the Lambda runtime API", https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html:
the client asks `GET …/runtime/invocation/next` (answered when there is an event), and posts to
`…/invocation/<id>/response`, `…/invocation/<id>/error` or `…/runtime/init/error`.

It is the proof that a package deploys unchanged: pool, deadlines, log and CloudFront's validation
are those of every other environment (`environment.py`), the way to the handler is AWS's. Slower
(benchmarks/sandbox.py) and on Linux only, so it is not what `localpop up` uses. The peak memory is
not measured, and REPORT says 0 MB.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

import httptools
import orjson

from emulator.clock import Clock
from emulator.errors import ConfigError
from emulator.runtimes.lambda_edge.environment import Environment, EnvironmentSpec, Outcome
from emulator.runtimes.lambda_edge.processes import SANDBOX_FOLDER

_PREFIX: Final = "/2018-06-01/runtime/"
PAYLOAD_MAX_BYTES: Final = 6_291_556
"""Lambda's quota for a synchronous answer, as the other runtimes hold it."""
_ACCEPTED: Final = b'{"status":"OK"}'
_TOO_LARGE: Final = "Function.ResponseSizeTooLarge"


def require_awslambdaric() -> None:
    """Say so when AWS's client cannot be run.

    Raises:
        ConfigError: It is not installed.
    """
    if importlib.util.find_spec("awslambdaric") is None:
        raise ConfigError(
            "AWS's runtime interface client is not installed.",
            mend="On Linux: pip install awslambdaric",
        )


def runtime_api_command(config: dict[str, Any]) -> tuple[str, ...]:
    """What starts the client for a sandbox's configuration."""
    wanted = ("handler", "task_root", "pycache", "allowed_modules")
    limits = ("memory_mb", "headroom_bytes", "tmp_bytes")
    chosen = {name: config[name] for name in (*wanted, *limits)}
    return (sys.executable, "-I", str(SANDBOX_FOLDER / "aws_client.py"), json.dumps(chosen))


class RuntimeApiEnvironment(Environment):
    """One process of AWS's client with a Runtime API of its own.

    Args:
        spec: How it is started; its command is replaced.
        on_free: As for every environment.
        clock: For deadlines as the client is told them.
    """

    def __init__(
        self, spec: EnvironmentSpec, on_free: Callable[[Environment], None], clock: Clock
    ) -> None:
        super().__init__(replace(spec, command=runtime_api_command(spec.config)), on_free)
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._asking: _ClientConnection | None = None
        self._next: bytes | None = None
        self._id = ""
        self._handed_over_ms = 0.0

    async def start(self) -> Any:
        """Open the Runtime API and start the client."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _ClientConnection(self), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.spec.config["environment"]["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{port}"
        try:
            return await super().start()
        except BaseException:
            self._server.close()
            raise

    def _hand_over(self, message: bytes) -> None:
        if not self._is_invocation:
            # The client finds its configuration in its arguments.
            return
        said = orjson.loads(message)
        self._id, body = said["id"], orjson.dumps(said["event"])
        deadline_ms = int(self._clock.epoch_ms() + said["timeout_ms"])
        arn = self.spec.config["names"]["arn"]
        self._next = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Lambda-Runtime-Aws-Request-Id: {self._id}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {deadline_ms}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {arn}\r\n"
            f"Lambda-Runtime-Trace-Id: {said['trace']}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._give()

    def _give(self) -> None:
        if self._asking is None or self._next is None:
            return
        self._handed_over_ms = self._clock.now_ms()
        self._asking.write(self._next)
        self._asking = self._next = None

    def asked(self, connection: _ClientConnection) -> None:
        """The client wants its next event; at first it says so that the handler is loaded."""
        self._asking = connection
        if self._next is not None:
            self._give()
        elif not self._is_invocation:
            self._answered(Outcome.READY, b"", 0.0, 0)

    def posted(self, path: str, content_type: str, body: bytes) -> tuple[int, bytes]:
        """The client has answered; gives the status and body of the Runtime API's own answer."""
        if path == "init/error":
            self._fail(Outcome.FAILED_AND_ENDED, body)
            return 202, _ACCEPTED
        verb, _, rest = path.partition("/")
        invocation, _, what = rest.partition("/")
        if verb != "invocation" or invocation != self._id or what not in ("response", "error"):
            return 400, b'{"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"}'
        if what == "error":
            self._fail(Outcome.FAILED, body)
        elif len(body) > PAYLOAD_MAX_BYTES:
            message = (
                f"Response payload size ({len(body)} bytes) exceeded maximum allowed payload "
                f"size ({PAYLOAD_MAX_BYTES} bytes)."
            )
            error = {"errorType": _TOO_LARGE, "errorMessage": message}
            # The client ends itself when its answer is refused.
            self._fail(Outcome.FAILED_AND_ENDED, orjson.dumps(error))
            return 413, orjson.dumps({**error, "errorType": "RequestEntityTooLarge"})
        else:
            as_is = content_type != "application/json"
            outcome = Outcome.RETURNED_BYTES if as_is else Outcome.RETURNED
            self._answered(outcome, body, self._took_ms(), 0)
        # Whoever answers a second time is refused.
        self._id = ""
        return 202, _ACCEPTED

    def _fail(self, outcome: Outcome, body: bytes) -> None:
        try:
            said = cast("dict[str, Any]", orjson.loads(body))
        except orjson.JSONDecodeError:
            # No words of AWS's client: a handler spoke in its place.
            self.kill()
            return
        error = {
            "errorType": str(said.get("errorType", "")),
            "errorMessage": str(said.get("errorMessage", "")),
            "trace": "".join(said.get("stackTrace") or ()).rstrip(),
        }
        self._answered(outcome, orjson.dumps(error), self._took_ms(), 0)

    def _took_ms(self) -> float:
        return self._clock.now_ms() - self._handed_over_ms if self._handed_over_ms else 0.0

    def _on_ended(self, ended: asyncio.Future[int]) -> None:
        if self._server is not None:
            self._server.close()
        super()._on_ended(ended)


class _ClientConnection(asyncio.Protocol):
    """One connection of the client: HTTP/1.1, one request after the other."""

    def __init__(self, environment: RuntimeApiEnvironment) -> None:
        self._environment = environment
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._target = self._content_type = ""
        self._body = bytearray()

    def write(self, response: bytes) -> None:
        """Answer."""
        if self._transport is not None:
            self._transport.write(response)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.close()

    # --- httptools' callbacks ------------------------------------------------------------------
    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = self._content_type = ""
        self._body.clear()

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self._target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        if name.lower() == b"content-type":
            self._content_type = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer it, or keep it waiting for the next event."""
        path = self._target.removeprefix(_PREFIX)
        if self._parser.get_method() == b"GET" and path == "invocation/next":
            self._environment.asked(self)
            return
        status, body = self._environment.posted(path, self._content_type, bytes(self._body))
        head = f"HTTP/1.1 {status} \r\nContent-Type: application/json\r\n"
        self.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
