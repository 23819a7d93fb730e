"""Anthropic's messages format."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from emulator.errors import ApiError
from emulator.values.model_calls import Generation, Prompt, StopReason, Turn
from emulator.wire.bedrock_messages import (
    dump_anthropic,
    dump_anthropic_end,
    dump_anthropic_start,
    dump_chunk,
    parse_anthropic,
)

_GOOD: dict[str, Any] = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "Hello"}],
}
_GENERATION = Generation(("Good", " morning"), StopReason.END_TURN, None, 3)


def test_aws_documented_body_is_understood() -> None:
    """Text or blocks, system prompt, stop sequences; pictures count for nothing."""
    body = _GOOD | {
        "system": [{"type": "text", "text": "Be short."}],
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Yes?"},
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {}},
                    {"type": "text", "text": "one"},
                    {"type": "text", "text": "two"},
                ],
            },
        ],
    }

    assert parse_anthropic(json.dumps(body).encode()) == Prompt(
        system="Be short.",
        turns=(Turn("user", "Hello"), Turn("assistant", "Yes?"), Turn("user", "one\ntwo")),
        max_tokens=10,
        stop_sequences=("END",),
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"anthropic_version": None}, "anthropic_version"),
        ({"anthropic_version": "2023-06-01"}, "anthropic_version"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": "10"}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["hi"]}, "messages.0"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0.text",
        ),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"system": 5}, "system"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": [""]}, "stop_sequences"),
    ],
)
def test_a_bad_body_names_the_field(change: dict[str, Any], field: str) -> None:
    """400 ValidationException, with the place in front."""
    with pytest.raises(ApiError) as refusal:
        parse_anthropic(json.dumps(_GOOD | change).encode())

    assert (refusal.value.status, refusal.value.code) == (400, "ValidationException")
    assert refusal.value.message.startswith(f"{field}: ")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null"])
def test_what_is_no_object_is_malformed(body: bytes) -> None:
    """Bedrock's own words for a body that is no JSON object."""
    with pytest.raises(ApiError, match="Malformed input request"):
        parse_anthropic(body)


def test_the_reply_is_anthropics() -> None:
    """The buffered reply's members (facts/local-aws.md section 3)."""
    assert dump_anthropic(_GENERATION, "msg_1", "claude") == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "Good morning"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }


def test_the_streams_first_and_last_events() -> None:
    """Start, block, and at the end the reason, the usage and Bedrock's metrics."""
    events = [
        *dump_anthropic_start(_GENERATION, "msg_1", "claude"),
        *dump_anthropic_end(_GENERATION, 1234.5, 567.8),
    ]

    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[-1]["amazon-bedrock-invocationMetrics"] == {
        "inputTokenCount": 3,
        "outputTokenCount": 2,
        "invocationLatency": 1234,
        "firstByteLatency": 568,
    }


def test_a_chunk_is_base64_and_padding() -> None:
    """The payload of a chunk frame: `bytes` and `p`."""
    chunk = json.loads(dump_chunk({"type": "ping"}, 5))

    assert json.loads(base64.b64decode(chunk["bytes"])) == {"type": "ping"}
    assert chunk["p"] == "abcde"
