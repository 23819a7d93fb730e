"""The endpoint as a whole: what it refuses and how, and simulated distance."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from starlette.types import Message

from emulator.aws.app import create_app
from emulator.aws.bedrock_runtime import BedrockRuntime
from emulator.clock.virtual import VirtualClock
from emulator.stores.key_value_stores import KeyValueStores
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint, send_raw


@pytest.mark.parametrize(
    ("service", "call", "operation"),
    [
        ("dynamodb", lambda one: one.list_tables(), "dynamodb:ListTables"),
        ("sts", lambda one: one.get_caller_identity(), "sts:GetCallerIdentity"),
        ("sqs", lambda one: one.list_queues(), "sqs:ListQueues"),
        ("s3", lambda one: one.list_buckets(), "s3:GET /"),
        ("lambda", lambda one: one.list_functions(), "lambda:GET /2015-03-31/functions"),
        ("iam", lambda one: one.list_roles(), "iam:ListRoles"),
        ("bedrock", lambda one: one.list_foundation_models(), "bedrock:GET /foundation-models"),
        (
            "bedrock-runtime",
            lambda one: one.list_async_invokes(),
            "bedrock:GET /async-invoke",
        ),
    ],
)
def test_what_is_not_emulated_says_so(
    endpoint: Endpoint, service: str, call: Callable[[Any], Any], operation: str
) -> None:
    """Every protocol's client reads `NotEmulated` and the operation's name, without retries."""
    with pytest.raises(ClientError) as refusal:
        call(client(service, endpoint.url))

    error = refusal.value.response
    assert error["Error"]["Code"] == "NotEmulated"
    assert f"The AWS operation {operation} is not emulated" in error["Error"]["Message"]
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_s3_errors_have_s3s_bare_element(endpoint: Endpoint) -> None:
    """S3 alone does not wrap its errors; others do, and special characters are escaped."""
    s3 = send_raw(endpoint.port, "GET", "/a&b")
    cloudfront = send_raw(endpoint.port, "GET", "/2020-05-31/distribution")

    assert b"?>\n<Error><Type>" in s3.body
    assert b"/a&amp;b" in s3.body
    assert b"<ErrorResponse><Error>" in cloudfront.body


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("target", ["/_localpop/faults", "/key-value-stores/arn%3Ax", "/"])
def test_web_sites_are_refused_everywhere(
    endpoint: Endpoint, target: str, headers: dict[str, str]
) -> None:
    """Neither services nor controls answer a foreign page."""
    answer = send_raw(endpoint.port, "POST", target, body=b"{}", headers=headers)

    assert (answer.status, answer.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")


def test_a_far_callers_distance_is_charged_on_the_clock(tmp_path: Path) -> None:
    """One round trip is waited for before the call; an unknown Region is 400."""
    clock = VirtualClock()
    distances_ms = {"ap-northeast-1": 150.0}

    async def run() -> tuple[int, float, int]:
        stores = await KeyValueStores.open(tmp_path / "stores.sqlite3", clock)
        app = create_app(stores, BedrockRuntime(clock), clock, distance_ms=distances_ms.__getitem__)
        arn = (await stores.ensure("answers")).arn.replace(":", "%3A").replace("/", "%2F")
        near = await _status(app, f"/from-region/ap-northeast-1/key-value-stores/{arn}")
        elapsed_ms = clock.now_ms()
        unknown = await _status(app, f"/from-region/mars-north-1/key-value-stores/{arn}")
        await stores.close()
        return near, elapsed_ms, unknown

    assert asyncio.run(run()) == (200, 150.0, 400)


@pytest.mark.conformance("KVS-58")
def test_a_far_client_is_an_ordinary_client(tmp_path: Path) -> None:
    """The Region stands in the endpoint URL; boto3 keeps the path."""
    options = Options(distances_ms={"eu-west-1": 1.0})
    with running_endpoint(tmp_path / "stores.sqlite3", options) as endpoint:
        arn = endpoint.new_store("answers")
        far = client("cloudfront-keyvaluestore", f"{endpoint.url}/from-region/eu-west-1")

        assert far.describe_key_value_store(KvsARN=arn)["KvsARN"] == arn


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /%00%zz?=&&%%% HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /key-value-stores/arn%3A%2e%2e/keys/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: AWS4-X Credential=////\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /_localpop/../x HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: \xff.\xfe\r\n\r\n",
    ],
)
def test_absurd_requests_get_an_answer(endpoint: Endpoint, request_bytes: bytes) -> None:
    """Whatever comes: a status line, no stack trace, no hang; and the next request is served."""
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as connection:
        connection.sendall(request_bytes)
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 ")
    assert answer[9:12] != b"500"
    assert b"Traceback" not in answer
    assert send_raw(endpoint.port, "GET", "/_localpop/faults").status == 200


def test_a_bug_of_ours_is_a_500_without_its_insides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the reason, the client has not."""

    def broken(region: str) -> float:
        raise RuntimeError("secret insides")

    async def run() -> int:
        clock = VirtualClock()
        stores = await KeyValueStores.open(tmp_path / "stores.sqlite3", clock)
        app = create_app(stores, BedrockRuntime(clock), clock, distance_ms=broken)
        status = await _status(app, "/from-region/eu-west-1/x")
        await stores.close()
        return status

    assert asyncio.run(run()) == 500
    assert "secret insides" in caplog.text


async def _status(app: Any, path: str) -> int:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])
