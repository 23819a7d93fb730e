"""The Converse format, which Bedrock speaks with every model.

Source: API reference of Amazon Bedrock Runtime, Converse and ConverseStream (botocore model
2023-09-30); event order in facts/local-aws.md section 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from emulator.values.model_calls import Generation, Prompt
from emulator.wire.bedrock_messages import (
    invalid_field,
    parse_object,
    parse_turns,
    positive_int,
    text_list,
)

# Where the caller names none, a model's own maximum holds; this is far above any of our texts.
_MAX_TOKENS_DEFAULT: Final = 4_096


def parse_converse(body: bytes) -> Prompt:
    """The prompt in a Converse body.

    Raises:
        ApiError: 400 ValidationException that names the field.
    """
    shape = parse_object(body)
    config = shape.get("inferenceConfig") or {}
    if not isinstance(config, dict):
        raise invalid_field("inferenceConfig", "Input should be a valid dictionary")
    place = "inferenceConfig.maxTokens"
    return Prompt(
        system=_text(shape.get("system") or [], "system"),
        turns=parse_turns(shape.get("messages"), _text),
        max_tokens=(
            positive_int(config, "maxTokens", place)
            if config.get("maxTokens") is not None
            else _MAX_TOKENS_DEFAULT
        ),
        stop_sequences=text_list(config, "stopSequences", "inferenceConfig.stopSequences"),
    )


def dump_converse(generation: Generation, latency_ms: float) -> dict[str, Any]:
    """The body of Converse's answer."""
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": generation.text}]}},
        "stopReason": generation.stop_reason.value,
        "usage": _usage(generation),
        "metrics": {"latencyMs": round(latency_ms)},
    }


def dump_converse_start() -> tuple[str, bytes]:
    """The event before the first text: its type and its payload."""
    return "messageStart", orjson.dumps({"role": "assistant"})


def dump_converse_delta(text: str) -> tuple[str, bytes]:
    """The event of one piece of text."""
    return "contentBlockDelta", orjson.dumps({"contentBlockIndex": 0, "delta": {"text": text}})


def dump_converse_end(generation: Generation, latency_ms: float) -> Iterator[tuple[str, bytes]]:
    """The events after the last text."""
    yield "contentBlockStop", orjson.dumps({"contentBlockIndex": 0})
    yield "messageStop", orjson.dumps({"stopReason": generation.stop_reason.value})
    yield (
        "metadata",
        orjson.dumps({"usage": _usage(generation), "metrics": {"latencyMs": round(latency_ms)}}),
    )


def _usage(generation: Generation) -> dict[str, int]:
    return {
        "inputTokens": generation.input_tokens,
        "outputTokens": generation.output_tokens,
        "totalTokens": generation.input_tokens + generation.output_tokens,
    }


def _text(content: Any, place: str) -> str:
    """The texts of a list of blocks; blocks of other kinds count for nothing."""
    if not isinstance(content, list):
        raise invalid_field(place, "Input should be a valid list")
    texts = []
    for i, block in enumerate(content):
        if not isinstance(block, dict):
            raise invalid_field(f"{place}.{i}", "Input should be a valid dictionary")
        text = block.get("text")
        if text is not None and not isinstance(text, str):
            raise invalid_field(f"{place}.{i}.text", "Input should be a valid string")
        texts.append(text or "")
    return "\n".join(texts)
