"""The short way to the model says and hears what boto3 says and hears."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from starlette.types import Receive, Scope, Send

from origin.direct import DirectInvoker, is_possible
from origin.model import Model, ModelError, ModelFault, Prompt, open_model
from tests.origin.aws_stand_in import ANSWER, StandIn, serve
from tests.origin.conftest import set_environment

PROMPT = Prompt("system", "häufig: “quoted”", 300)
MODEL_IDS = [
    "anthropic.claude-3-haiku-20240307-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-5-5",
]


class Wire:
    """Keeps what arrived, and answers what a test says (ASGI)."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes, dict[str, str], bytes]] = []
        self.answer: tuple[int, list[tuple[bytes, bytes]], bytes] = (200, [], b"{}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.append((scope["method"], scope["raw_path"], headers, body))
        status, extra, answer = self.answer
        await send({"type": "http.response.start", "status": status, "headers": extra})
        await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def wire() -> Wire:
    """What is at the other end."""
    return Wire()


@pytest.fixture
def both(wire: Wire) -> Iterator[tuple[Any, DirectInvoker]]:
    """boto3's client, and the short way that goes by it."""
    with serve(wire) as authority, pytest.MonkeyPatch.context() as environment:
        set_environment(environment, f"http://local@{authority}")
        environment.setenv("AWS_SESSION_TOKEN", "a-token")
        session = boto3.Session()
        client = session.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))
        direct = DirectInvoker(
            session, client, connect_timeout_s=3, read_timeout_s=3, max_connections=2
        )
        yield client, direct
        direct.close()
        client.close()


@pytest.mark.parametrize("model_id", MODEL_IDS)
def test_the_same_goes_out(both: tuple[Any, DirectInvoker], wire: Wire, model_id: str) -> None:
    """Method, path, body, host and what is signed are those of boto3."""
    client, direct = both
    client.invoke_model(modelId=model_id, body=b"{}", contentType="application/json")
    direct.invoke(model_id, b"{}")

    (method, path, theirs, body), ours = wire.seen
    assert ours[:2] == (method, path)
    assert ours[3] == body
    for name in ("host", "content-type", "x-amz-security-token"):
        assert ours[2][name] == theirs[name]
    scopes = [one["authorization"].split(",")[0].split("/") for one in (theirs, ours[2])]
    assert [scope[0] for scope in scopes] == ["AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE"] * 2
    assert scopes[0][2:] == scopes[1][2:] == ["us-east-1", "bedrock", "aws4_request"]


@pytest.mark.parametrize(
    ("status", "header", "body"),
    [
        (429, b"ThrottlingException:http://internal.amazon.com/", b'{"message":"slow down"}'),
        (400, b"ValidationException", b'{"Message":"no such model"}'),
        (500, b"", b'{"code":"InternalServerException","message":"x"}'),
        (502, b"", b"<html>bad gateway</html>"),
        (503, b"", b"[]"),
    ],
)
def test_the_same_error_comes_back(
    both: tuple[Any, DirectInvoker], wire: Wire, status: int, header: bytes, body: bytes
) -> None:
    """Code and status as boto3 has them, whatever stands in the answer."""
    client, direct = both
    wire.answer = (status, [(b"x-amzn-errortype", header)] if header else [], body)

    with pytest.raises(ClientError) as ours:
        direct.invoke(MODEL_IDS[0], b"{}")
    # What is no JSON at all, boto3 cannot read: the status is all there is.
    if not body.startswith(b"{"):
        assert ours.value.response["Error"]["Code"] == str(status)
        return
    with pytest.raises(ClientError) as theirs:
        client.invoke_model(modelId=MODEL_IDS[0], body=b"{}")
    assert ours.value.response["Error"]["Code"] == theirs.value.response["Error"]["Code"]
    assert ours.value.response["Error"]["Message"] == theirs.value.response["Error"]["Message"]


def test_a_model_takes_the_short_way(stand_in: StandIn) -> None:
    """An opened model completes on it; without one it goes through boto3, to the same answer."""
    with contextlib.closing(open_model(os.environ, max_connections=1)) as model:
        assert model.complete(PROMPT).text == ANSWER
        assert Model(model._client).complete(PROMPT) == model.complete(PROMPT)
    assert stand_in.prompts[0] == stand_in.prompts[1] == stand_in.prompts[2]


def test_an_endpoint_that_is_not_there() -> None:
    """Nobody listens: an error in words, and another try may succeed."""
    with pytest.MonkeyPatch.context() as environment:
        set_environment(environment, "http://local@127.0.0.1:1")
        model = open_model(os.environ, max_connections=1)
    with contextlib.closing(model), pytest.raises(ModelError) as refused:
        model.complete(PROMPT)
    assert refused.value.fault is ModelFault.UNREACHABLE


def test_a_proxy_is_left_to_boto3(both: tuple[Any, DirectInvoker]) -> None:
    """Where a proxy is set for the endpoint's scheme, the short way is not taken."""
    client, _ = both
    assert is_possible(client)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("http_proxy", "http://proxy.example:3128")
        environment.setenv("no_proxy", "")
        assert not is_possible(client)
        environment.setenv("no_proxy", "127.0.0.1")
        assert is_possible(client)


def test_without_credentials_it_is_refused(stand_in: StandIn) -> None:
    """Nobody to sign for: an error that no further try can mend."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_ACCESS_KEY_ID")
        environment.delenv("AWS_SECRET_ACCESS_KEY")
        opened = contextlib.closing(open_model(os.environ, max_connections=1))
        with opened as model, pytest.raises(ModelError, match="NoCredentialsError") as refused:
            model.complete(PROMPT)
    assert refused.value.fault is ModelFault.REFUSED
