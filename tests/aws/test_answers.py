"""AWS's shapes of success and refusal."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from starlette.types import Message

from emulator.aws.answers import Answer, error_answer
from emulator.aws.dispatch import Protocol, Target
from emulator.errors import ApiError

_ERROR = ApiError(404, "ResourceNotFoundException", "No <such> thing")


def _sent(answer: Answer) -> tuple[dict[bytes, bytes], bytes]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing to receive")

    asyncio.run(answer({}, receive, send))
    return dict(messages[0]["headers"]), messages[1]["body"]


@pytest.mark.conformance("KVS-12", "KVS-64")
@pytest.mark.parametrize(
    ("service", "protocol", "shape"),
    [
        ("cloudfront-keyvaluestore", Protocol.REST_JSON, {"Message": "No <such> thing"}),
        ("bedrock-runtime", Protocol.REST_JSON, {"message": "No <such> thing"}),
        (
            "dynamodb",
            Protocol.JSON,
            {"message": "No <such> thing", "__type": "ResourceNotFoundException"},
        ),
    ],
)
def test_json_errors(service: str, protocol: Protocol, shape: dict[str, Any]) -> None:
    """The name in the header; the words under the member that the service's model spells."""
    headers, body = _sent(error_answer(_ERROR, Target(service, "op", "/", protocol)))

    assert headers[b"x-amzn-ErrorType"] == b"ResourceNotFoundException"
    assert orjson.loads(body) == shape


@pytest.mark.conformance("KVS-46")
@pytest.mark.parametrize("service", ["cloudfront", "sts", "s3"])
def test_xml_errors(service: str) -> None:
    """Code and message in an Error element, which S3 alone does not wrap."""
    headers, body = _sent(error_answer(_ERROR, Target(service, "op", "/", Protocol.REST_XML)))

    assert headers[b"Content-Type"] == b"text/xml"
    assert b"<Type>Sender</Type><Code>ResourceNotFoundException</Code>" in body
    assert b"No &lt;such&gt; thing" in body
    assert (b"<ErrorResponse>" in body) == (service != "s3")


def test_no_content_has_neither_type_nor_length() -> None:
    """204 is only its status line and what else is said."""
    headers, body = _sent(Answer(204, b"", headers={"ETag": "E1"}))

    assert (headers, body) == ({b"ETag": b"E1"}, b"")
