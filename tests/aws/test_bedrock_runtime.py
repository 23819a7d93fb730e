"""Bedrock's runtime as a real boto3 sees it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EventStreamError

from emulator.aws.bedrock.faults import Fault, PlannedFault
from tests.aws.endpoint import Endpoint, send_raw

_HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
_PROMPT = """Write the reader's morning briefing in at most 400 characters.
<reader>
Maya Lindqvist, engineer
</reader>
Open alerts:
- checkout-api: disk above 85 % (high): 29 GB free
Tickets:
- T-2401 P1 ledger: Dependency with a known vulnerability
"""


def _body(**changes: Any) -> str:
    body: dict[str, Any] = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 300,
        "messages": [{"role": "user", "content": _PROMPT}],
    }
    return json.dumps(body | changes)


def _events(reply: Any) -> list[dict[str, Any]]:
    return [json.loads(event["chunk"]["bytes"]) for event in reply["body"]]


def _plan(endpoint: Endpoint, fault: str, count: int = 1) -> None:
    endpoint.bedrock.faults.add(PlannedFault("bedrock-runtime", Fault(fault), count))


@pytest.fixture(autouse=True)
def _as_before(endpoint: Endpoint) -> Iterator[None]:
    """Other tests share the endpoint."""
    yield
    endpoint.bedrock.faults.clear()
    endpoint.bedrock.time_scale = 0.0


def test_invoke_model_answers_with_the_prompts_own_facts(bedrock: Any) -> None:
    """Names, services, numbers and ticket ids of the prompt stand in a text of the asked length."""
    reply = bedrock.invoke_model(modelId=_HAIKU, body=_body())
    body = json.loads(reply["body"].read())

    text = body["content"][0]["text"]
    assert all(word in text for word in ("Maya", "checkout-api", "29 GB", "T-2401"))
    assert len(text) <= 400
    assert (body["type"], body["role"], body["stop_reason"]) == ("message", "assistant", "end_turn")
    assert body["model"] == "claude-haiku-4-5-20251001"
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-bedrock-output-token-count"] == str(body["usage"]["output_tokens"])
    assert headers["x-amzn-bedrock-input-token-count"] == str(body["usage"]["input_tokens"])
    assert reply["contentType"] == "application/json"


def test_the_stream_is_the_same_text_in_anthropics_order(bedrock: Any) -> None:
    """Start, block start, deltas, block stop, delta, stop with Bedrock's metrics."""
    whole = json.loads(bedrock.invoke_model(modelId=_HAIKU, body=_body())["body"].read())
    reply = bedrock.invoke_model_with_response_stream(modelId=_HAIKU, body=_body())
    events = _events(reply)

    kinds = [event["type"] for event in events]
    deltas = [event for event in events if event["type"] == "content_block_delta"]
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * len(deltas),
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert len(deltas) > 5
    assert "".join(event["delta"]["text"] for event in deltas) == whole["content"][0]["text"]
    assert events[-2]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["inputTokenCount"] == whole["usage"]["input_tokens"]
    assert reply["contentType"] == "application/json"


def test_converse_and_its_stream(bedrock: Any) -> None:
    """The same text in Converse's shapes, with any model."""
    request = {
        "modelId": "amazon.nova-micro-v1:0",
        "messages": [{"role": "user", "content": [{"text": _PROMPT}]}],
        "system": [{"text": "Be kind."}],
        "inferenceConfig": {"maxTokens": 40},
    }

    whole = bedrock.converse(**request)
    events = list(bedrock.converse_stream(**request)["stream"])

    kinds = [next(iter(event)) for event in events]
    text = "".join(
        event["contentBlockDelta"]["delta"]["text"]
        for event in events
        if "contentBlockDelta" in event
    )
    assert whole["output"]["message"]["content"][0]["text"] == text
    assert whole["stopReason"] == "max_tokens"
    assert whole["usage"]["outputTokens"] == 40
    assert kinds[0] == "messageStart"
    assert kinds[-3:] == ["contentBlockStop", "messageStop", "metadata"]
    assert events[-1]["metadata"]["usage"] == whole["usage"]


@pytest.mark.parametrize(
    ("changes", "reason", "sequence"),
    [
        ({"max_tokens": 5}, "max_tokens", None),
        ({"stop_sequences": ["zzz", "checkout"]}, "stop_sequence", "checkout"),
        ({"stop_sequences": ["zzz"]}, "end_turn", None),
    ],
)
def test_why_a_text_ends(
    bedrock: Any, changes: dict[str, Any], reason: str, sequence: str | None
) -> None:
    """At the token limit, before a stop sequence, or by itself."""
    body = json.loads(bedrock.invoke_model(modelId=_HAIKU, body=_body(**changes))["body"].read())

    assert (body["stop_reason"], body["stop_sequence"]) == (reason, sequence)
    assert "checkout" not in body["content"][0]["text"] or reason == "end_turn"
    if reason == "max_tokens":
        assert body["usage"]["output_tokens"] == 5


@pytest.mark.parametrize(
    ("fault", "reason", "has"),
    [
        ("empty", "end_turn", lambda text: text == ""),
        ("garbage", "end_turn", lambda text: not any(map(str.isalnum, text))),
        ("control-characters", "end_turn", lambda text: text[0] == "\x00" and "\u202e" in text),
        ("over-long", "max_tokens", lambda text: len(text) > 500),
    ],
)
def test_a_model_that_goes_wrong(
    endpoint: Endpoint, bedrock: Any, fault: str, reason: str, has: Callable[[str], bool]
) -> None:
    """The call succeeds, and its text is what is wrong; the next one is right again."""
    _plan(endpoint, fault)

    spoilt, right = (
        json.loads(bedrock.invoke_model(modelId=_HAIKU, body=_body())["body"].read())
        for _ in range(2)
    )

    text = "".join(part["text"] for part in spoilt["content"])
    assert has(text)
    assert spoilt["stop_reason"] == reason
    assert right["stop_reason"] == "end_turn"
    assert not has(right["content"][0]["text"])


@pytest.mark.parametrize("operation", ["invoke_model", "invoke_model_with_response_stream"])
def test_throttling_is_typed(endpoint: Endpoint, bedrock: Any, operation: str) -> None:
    """429 for as many calls as were asked for, then all is well."""
    _plan(endpoint, "throttle", count=2)

    for _ in range(2):
        with pytest.raises(bedrock.exceptions.ThrottlingException) as refusal:
            getattr(bedrock, operation)(modelId=_HAIKU, body=_body())
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    getattr(bedrock, operation)(modelId=_HAIKU, body=_body())["body"].close()


def test_a_default_client_retries_a_throttled_call(endpoint: Endpoint) -> None:
    """boto3's own retries get over one 429."""
    _plan(endpoint, "throttle")
    eager = boto3.client(
        "bedrock-runtime",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    reply = eager.invoke_model(modelId=_HAIKU, body=_body())

    assert reply["ResponseMetadata"]["RetryAttempts"] == 1


def test_an_unavailable_service_is_503(endpoint: Endpoint, bedrock: Any) -> None:
    """`unavailable` is Bedrock's ServiceUnavailableException."""
    _plan(endpoint, "unavailable")

    with pytest.raises(bedrock.exceptions.ServiceUnavailableException):
        bedrock.converse(
            modelId=_HAIKU, messages=[{"role": "user", "content": [{"text": "Hello"}]}]
        )


def test_a_stream_can_break_in_the_middle(endpoint: Endpoint, bedrock: Any) -> None:
    """Good chunks first, then modelStreamErrorException; buffered calls do not meet it."""
    _plan(endpoint, "mid-stream")
    assert bedrock.invoke_model(modelId=_HAIKU, body=_body())["body"].read()

    texts: list[str] = []
    reply = bedrock.invoke_model_with_response_stream(modelId=_HAIKU, body=_body())
    with contextlib.closing(reply["body"]), pytest.raises(EventStreamError) as failure:
        _collect(reply["body"], texts)
    whole = bedrock.invoke_model_with_response_stream(modelId=_HAIKU, body=_body())

    assert failure.value.response["Error"]["Code"] == "modelStreamErrorException"
    assert "".join(texts)
    assert _events(whole)[-1]["type"] == "message_stop"


def _collect(stream: Any, texts: list[str]) -> None:
    for event in stream:
        texts.append(json.loads(event["chunk"]["bytes"]).get("delta", {}).get("text", ""))


@pytest.mark.parametrize(
    ("model_id", "code", "words"),
    [
        ("anthropic.claude-9", "ValidationException", "The provided model identifier is invalid."),
        (
            "anthropic.claude-haiku-4-5-20251001-v1:0",
            "ValidationException",
            "with on-demand throughput isn’t supported",
        ),
        (
            "us.anthropic.claude-3-5-haiku-20241022-v1:0",
            "ResourceNotFoundException",
            "reached the end of its life",
        ),
    ],
)
def test_models_that_bedrock_refuses(bedrock: Any, model_id: str, code: str, words: str) -> None:
    """Unknown, without an inference profile, and past the end of life, in Bedrock's words."""
    with pytest.raises(ClientError) as refusal:
        bedrock.invoke_model(modelId=model_id, body=_body())

    assert refusal.value.response["Error"]["Code"] == code
    assert words in refusal.value.response["Error"]["Message"]


def test_a_profiles_arn_is_a_model_id(bedrock: Any) -> None:
    """Its slash arrives as `%2F` and stays within the segment."""
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{_HAIKU}"

    assert bedrock.invoke_model(modelId=arn, body=_body())["body"].read()


def test_a_bad_body_names_the_field(bedrock: Any) -> None:
    """ValidationException, typed."""
    with pytest.raises(bedrock.exceptions.ValidationException, match="max_tokens: Field required"):
        bedrock.invoke_model(
            modelId=_HAIKU, body=json.dumps({**json.loads(_body()), "max_tokens": None})
        )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/model/x/invoke"),
        ("POST", "/model/x/count-tokens"),
        ("POST", "/model/x/invoke-with-bidirectional-stream"),
    ],
)
def test_other_operations_are_not_emulated(endpoint: Endpoint, method: str, path: str) -> None:
    """The runtime's other operations say so."""
    answer = send_raw(endpoint.port, method, path, body=b"{}")

    assert answer.status == 501
    assert path in answer.json["message"]


def test_novas_own_format_is_not_emulated(bedrock: Any) -> None:
    """InvokeModel with Nova points to Converse."""
    with pytest.raises(ClientError, match="Converse works with every model"):
        bedrock.invoke_model(modelId="amazon.nova-micro-v1:0", body=_body())


def test_a_body_over_the_limit_is_refused_unread(endpoint: Endpoint) -> None:
    """The announced length alone is enough."""
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as connection:
        connection.sendall(
            b"POST /model/us.anthropic.claude-haiku-5-5/invoke HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 25000001\r\n\r\n"
        )
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"ValidationException" in answer


@pytest.mark.parametrize("path", ["invoke", "invoke-with-response-stream"])
def test_hanging_up_ends_the_generation(endpoint: Endpoint, path: str) -> None:
    """A client that closes early is noticed while the model still thinks or writes."""
    endpoint.bedrock.time_scale = 1_000.0
    before = endpoint.bedrock.tally.cancelled
    body = _body().encode()
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as connection:
        connection.sendall(
            b"POST /model/us.anthropic.claude-haiku-5-5/%s HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body)
        )
        _wait_until(lambda: endpoint.bedrock.tally.active == 1)

    _wait_until(lambda: endpoint.bedrock.tally.active == 0)

    assert endpoint.bedrock.tally.cancelled == before + 1


def test_closing_boto3s_stream_ends_the_generation(endpoint: Endpoint, bedrock: Any) -> None:
    """What a Lambda or a web server does when its own client is gone."""
    endpoint.bedrock.time_scale = 0.2
    before = endpoint.bedrock.tally.cancelled
    body = _body(messages=[{"role": "user", "content": "Write a long report about 7 things."}])

    reply = bedrock.invoke_model_with_response_stream(modelId=_HAIKU, body=body)
    stream = iter(reply["body"])
    for _ in range(3):
        next(stream)
    endpoint.bedrock.time_scale = 0.0
    reply["body"].close()

    _wait_until(lambda: endpoint.bedrock.tally.active == 0)
    assert endpoint.bedrock.tally.cancelled == before + 1


def _wait_until(condition: Any) -> None:
    waiting = threading.Event()
    for _ in range(2_000):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError("it did not happen within ten seconds")
