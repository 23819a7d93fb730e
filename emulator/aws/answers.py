"""AWS's shapes of success and refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson
from starlette.types import Receive, Scope, Send

from emulator.aws.dispatch import Protocol, Target
from emulator.errors import ApiError

_NO_CONTENT: Final = 204
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Answer:
    """A whole response as an ASGI application; header names keep their case.

    Args:
        status: The HTTP status.
        body: The bytes to send.
        content_type: Their type.
        headers: More headers.
    """

    __slots__ = ("_body", "_headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        self.status, self._body = status, body
        self._headers = []
        if status != _NO_CONTENT:
            self._headers += [
                (b"Content-Type", content_type.encode("latin-1")),
                (b"Content-Length", str(len(body)).encode()),
            ]
        for name, value in headers.items():
            self._headers.append((name.encode("latin-1"), value.encode("latin-1")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


def json_answer(
    shape: Any, *, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS
) -> Answer:
    """A JSON answer."""
    return Answer(status, orjson.dumps(shape), headers=headers)


def error_answer(error: ApiError, target: Target) -> Answer:
    """A refusal in the shape that the service's protocol gives it.

    REST-JSON puts the name into a header and the words under `Message` or `message`, as the
    service's model spells it; botocore and the other SDKs read both.

    Args:
        error: What to say.
        target: Whom the request meant.
    """
    if target.protocol in (Protocol.REST_XML, Protocol.QUERY):
        return Answer(error.status, _xml_error(error, target), content_type="text/xml")
    shape = {**error.more, target.message_member: error.message}
    if target.protocol is Protocol.JSON:
        shape["__type"] = error.code
    return json_answer(shape, status=error.status, headers={"x-amzn-ErrorType": error.code})


def _xml_error(error: ApiError, target: Target) -> bytes:
    kind = "Sender" if error.status < 500 else "Receiver"
    inner = (
        f"<Error><Type>{kind}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error>"
    )
    # S3 alone has the bare element (Amazon S3 API reference, "Error responses").
    body = inner if target.service == "s3" else f"<ErrorResponse>{inner}</ErrorResponse>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()
