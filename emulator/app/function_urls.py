"""Lambda function URLs of the template, served on a port of loopback by the functions themselves.

One listener for all of them, told apart by the Host header, as AWS does: CloudFront sends a
function URL's own domain unless a policy forwards the viewer's Host, which is refused here too.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send

from emulator.app.servers import Listener, bind, port_of
from emulator.clock import Clock
from emulator.errors import ApiError, LocalpopError
from emulator.network.origins import OriginAddress
from emulator.project.declarations import FunctionUrlDeclaration
from emulator.quotas import MB
from emulator.rules.function_url import (
    AWS_IAM,
    FORBIDDEN,
    cors_lines,
    is_preflight,
    refusal,
    with_cors,
)
from emulator.values.headers import Headers
from emulator.wire.function_url import (
    FAILED,
    UrlAnswer,
    UrlCall,
    dump_url_event,
    parse_url_result,
)

# "Lambda quotas": the payload of a synchronous invocation, either way.
_PAYLOAD_MAX_BYTES: Final = 6 * MB
_JSON: Final = ("Content-Type", "application/json")

Invoke = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Lambda's Invoke: input to output, as the API spells them."""


class FunctionUrls:
    """Serves function URLs.

    Args:
        declared: The template's function URLs, as they are at the moment.
        clock: For events' times, and for the start.
        chance: Where trace ids come from.
    """

    def __init__(
        self,
        declared: Callable[[], Sequence[FunctionUrlDeclaration]],
        clock: Clock,
        chance: random.Random | None = None,
    ) -> None:
        self._declared, self._clock = declared, clock
        self._chance = chance or random.Random()
        self._listener: Listener | None = None
        self.invoke: Invoke | None = None
        self.address: OriginAddress | None = None

    async def start(self) -> None:
        """Listen on a free port.

        Raises:
            ConfigError: No port is to be had.
        """
        socket = bind("127.0.0.1", 0, "viewer")
        self._listener = Listener(socket, self)
        await self._listener.start(self._clock)
        self.address = OriginAddress("127.0.0.1", port_of(socket))

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await self._listener.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI request."""
        headers = Headers(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        )
        request_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        trace_id = self._trace_id()
        body = await _body(receive, headers)
        if isinstance(body, bytes):
            answer = await self._answer(scope, headers, body, request_id, trace_id)
        else:
            answer = body
        lines = (
            *answer.headers,
            ("Content-Length", str(len(answer.body))),
            ("x-amzn-RequestId", request_id),
            ("X-Amzn-Trace-Id", trace_id),
        )
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(
        self, scope: Scope, headers: Headers, body: bytes, request_id: str, trace_id: str
    ) -> UrlAnswer:
        domain = headers.get("host").partition(":")[0].lower()
        url = next((one for one in self._declared() if one.domain_name == domain), None)
        if url is None:
            return _refused(403, FORBIDDEN)
        if url.cors is not None and is_preflight(url.cors, scope["method"], headers):
            return UrlAnswer(200, tuple(cors_lines(url.cors, headers, preflight=True)), b"")
        why = refusal(url.auth_type, scope["method"], headers, body)
        if why:
            return _refused(403, why)
        call = UrlCall(
            scope["method"],
            (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0],
            scope["query_string"].decode("latin-1"),
            headers,
            body,
            (scope.get("client") or ("127.0.0.1", 0))[0],
            domain,
            url.function.arn.split(":")[4],
            request_id,
            trace_id,
            self._clock.epoch_ms(),
            url.auth_type == AWS_IAM,
        )
        answer = await self._run(url, call)
        return replace(answer, headers=with_cors(url.cors, answer.headers, headers))

    async def _run(self, url: FunctionUrlDeclaration, call: UrlCall) -> UrlAnswer:
        given = {"FunctionName": url.function.arn, "Payload": orjson.dumps(dump_url_event(call))}
        if url.qualifier:
            given["Qualifier"] = url.qualifier
        if self.invoke is None:
            return FAILED
        try:
            output = await self.invoke(given)
        except ApiError as error:
            if error.status == 429:
                return _refused(429, error.message, **error.more)
            return FAILED
        except LocalpopError:
            return FAILED
        payload = bytes(output["Payload"])
        if output.get("FunctionError") or len(payload) > _PAYLOAD_MAX_BYTES:
            return FAILED
        return parse_url_result(payload)

    def _trace_id(self) -> str:
        """X-Ray's form: version, time, 96 random bits."""
        seconds = int(self._clock.epoch_ms() / 1_000)
        return f"Root=1-{seconds:08x}-{self._chance.getrandbits(96):024x}"


def _refused(status: int, message: str, **more: str) -> UrlAnswer:
    kind = "TooManyRequestsException"
    if status == 403:
        kind = "AccessDeniedException" if message == FORBIDDEN else "InvalidSignatureException"
    # Only the authorizer's own refusal spells it with a capital.
    body = orjson.dumps({**more, "Message" if message == FORBIDDEN else "message": message})
    return UrlAnswer(status, (_JSON, ("x-amzn-ErrorType", kind)), body)


async def _body(receive: Receive, headers: Headers) -> bytes | UrlAnswer:
    """The whole body; an answer in its place when it is too large."""
    too_large = UrlAnswer(413, (_JSON,), b'{"Message":"Request Entity Too Large"}')
    length = headers.get("content-length")
    if length.isdigit() and int(length) > _PAYLOAD_MAX_BYTES:
        return too_large
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > _PAYLOAD_MAX_BYTES:
            return too_large
        pieces.append(piece)
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return b"".join(pieces)
