"""Anthropic's messages format, the body of InvokeModel and of its streamed twin.

Source: "Anthropic Claude Messages API", Amazon Bedrock User Guide, and facts/local-aws.md section
3 (event order and fields, tried with boto3). AWS's words for a bad body are not all known; ours
name the field, as Anthropic's own do ("max_tokens: Field required").
"""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson

from emulator.errors import ApiError
from emulator.values.model_calls import Generation, Prompt, Turn

ANTHROPIC_VERSION: Final = "bedrock-2023-05-31"
_ROLES = ("user", "assistant")
# Bedrock pads events to hide their length; the letters are those of its own padding.
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def parse_anthropic(body: bytes) -> Prompt:
    """The prompt in an InvokeModel body.

    Raises:
        ApiError: 400 ValidationException that names the field.
    """
    shape = parse_object(body)
    version = shape.get("anthropic_version")
    if version is None:
        raise invalid_field("anthropic_version", "Field required")
    if version != ANTHROPIC_VERSION:
        raise invalid_field("anthropic_version", f"Input should be '{ANTHROPIC_VERSION}'")
    return Prompt(
        system=_text(shape.get("system", ""), "system"),
        turns=parse_turns(shape.get("messages"), _text),
        max_tokens=positive_int(shape, "max_tokens", "max_tokens"),
        stop_sequences=text_list(shape, "stop_sequences", "stop_sequences"),
    )


def dump_anthropic(generation: Generation, message_id: str, model: str) -> dict[str, Any]:
    """The body of InvokeModel's answer."""
    return {
        **_message(message_id, model),
        "content": [{"type": "text", "text": generation.text}],
        "stop_reason": generation.stop_reason.value,
        "stop_sequence": generation.stop_sequence,
        "usage": {
            "input_tokens": generation.input_tokens,
            "output_tokens": generation.output_tokens,
        },
    }


def dump_anthropic_start(
    generation: Generation, message_id: str, model: str
) -> tuple[dict[str, Any], ...]:
    """The events before the first text."""
    return (
        {
            "type": "message_start",
            "message": {
                **_message(message_id, model),
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": generation.input_tokens, "output_tokens": 1},
            },
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
    )


def dump_anthropic_delta(text: str) -> dict[str, Any]:
    """The event of one piece of text."""
    return {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": text},
    }


def dump_anthropic_end(
    generation: Generation, latency_ms: float, first_byte_ms: float
) -> tuple[dict[str, Any], ...]:
    """The events after the last text, with Bedrock's own metrics in the very last."""
    return (
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {
                "stop_reason": generation.stop_reason.value,
                "stop_sequence": generation.stop_sequence,
            },
            "usage": {"output_tokens": generation.output_tokens},
        },
        {
            "type": "message_stop",
            "amazon-bedrock-invocationMetrics": {
                "inputTokenCount": generation.input_tokens,
                "outputTokenCount": generation.output_tokens,
                "invocationLatency": round(latency_ms),
                "firstByteLatency": round(first_byte_ms),
            },
        },
    )


def dump_chunk(event: dict[str, Any], padding_chars: int) -> bytes:
    """The payload of one `chunk` frame: the event in base64, and padding."""
    return orjson.dumps(
        {
            "bytes": base64.b64encode(orjson.dumps(event)).decode(),
            "p": _PADDING[:padding_chars],
        }
    )


# --- Shared with the Converse format -----------------------------------------------------------


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ApiError: 400 ValidationException in Bedrock's words.
    """
    try:
        shape = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _malformed(str(error)) from error
    if not isinstance(shape, dict):
        raise _malformed("#: expected type: JSONObject")
    return shape


def parse_turns(messages: Any, content_text: Any) -> tuple[Turn, ...]:
    """The conversation.

    Args:
        messages: The value of `messages`.
        content_text: Reads the text of one `content`, given its place for errors.

    Raises:
        ApiError: 400 ValidationException that names the field.
    """
    if messages is None:
        raise invalid_field("messages", "Field required")
    if not isinstance(messages, list):
        raise invalid_field("messages", "Input should be a valid list")
    if not messages:
        raise invalid_field("messages", "at least one message is required")
    turns = []
    for i, message in enumerate(messages):
        if not isinstance(message, dict):
            raise invalid_field(f"messages.{i}", "Input should be a valid dictionary")
        if (role := message.get("role")) not in _ROLES:
            raise invalid_field(f"messages.{i}.role", "Input should be 'user' or 'assistant'")
        if message.get("content") is None:
            raise invalid_field(f"messages.{i}.content", "Field required")
        turns.append(Turn(role, content_text(message["content"], f"messages.{i}.content")))
    if turns[0].role != "user":
        raise invalid_field("messages", 'first message must use the "user" role')
    return tuple(turns)


def positive_int(shape: dict[str, Any], name: str, place: str) -> int:
    """A required whole number from 1 on.

    Raises:
        ApiError: 400 ValidationException that names the field.
    """
    value = shape.get(name)
    if value is None:
        raise invalid_field(place, "Field required")
    # JSON's true is a number to Python.
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_field(place, "Input should be a valid integer")
    if value < 1:
        raise invalid_field(place, "Input should be greater than or equal to 1")
    return value


def text_list(shape: dict[str, Any], name: str, place: str) -> tuple[str, ...]:
    """An optional list of texts that are not empty.

    Raises:
        ApiError: 400 ValidationException that names the field.
    """
    values = shape.get(name)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
        raise invalid_field(place, "Input should be a list of non-empty strings")
    return tuple(values)


def invalid_field(place: str, problem: str) -> ApiError:
    """400 in the form of Anthropic's own validation errors."""
    return ApiError(400, "ValidationException", f"{place}: {problem}")


def _malformed(detail: str) -> ApiError:
    return ApiError(
        400,
        "ValidationException",
        f"Malformed input request: {detail}, please reformat your input and try again.",
    )


def _message(message_id: str, model: str) -> dict[str, Any]:
    return {"id": message_id, "type": "message", "role": "assistant", "model": model}


def _text(content: Any, place: str) -> str:
    """A text, or the texts of a list of blocks; blocks of other types count for nothing."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid_field(place, "Input should be a valid string or list")
    texts = []
    for i, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise invalid_field(f"{place}.{i}.type", "Field required")
        if block["type"] != "text":
            continue
        if not isinstance(block.get("text"), str):
            raise invalid_field(f"{place}.{i}.text", "Field required")
        texts.append(block["text"])
    return "\n".join(texts)
