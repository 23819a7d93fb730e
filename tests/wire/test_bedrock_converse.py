"""The Converse format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.errors import ApiError
from emulator.values.model_calls import Generation, Prompt, StopReason, Turn
from emulator.wire.bedrock_converse import dump_converse, dump_converse_end, parse_converse

_GOOD: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


def test_a_whole_body_is_understood() -> None:
    """System prompt, turns, and what inferenceConfig may say."""
    body = _GOOD | {
        "system": [{"text": "Be short."}, {"cachePoint": {"type": "default"}}],
        "inferenceConfig": {"maxTokens": 7, "stopSequences": ["END"], "temperature": 0.1},
    }

    assert parse_converse(json.dumps(body).encode()) == Prompt(
        system="Be short.\n", turns=(Turn("user", "Hello"),), max_tokens=7, stop_sequences=("END",)
    )


def test_the_config_may_be_absent() -> None:
    """Without inferenceConfig the model's own maximum holds."""
    assert parse_converse(json.dumps(_GOOD).encode()).max_tokens > 1_000


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "text"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"text": 1}]}]}, "messages.0.content.0.text"),
        ({"inferenceConfig": []}, None),
        ({"inferenceConfig": [1]}, "inferenceConfig"),
        ({"inferenceConfig": {"maxTokens": 0}}, "inferenceConfig.maxTokens"),
        ({"inferenceConfig": {"stopSequences": [1]}}, "inferenceConfig.stopSequences"),
        ({"system": "text"}, "system"),
    ],
)
def test_a_bad_body_names_the_field(change: dict[str, Any], field: str | None) -> None:
    """400 ValidationException, with the place in front; an empty config is no config."""
    body = json.dumps(_GOOD | change).encode()
    if field is None:
        assert parse_converse(body).turns
        return

    with pytest.raises(ApiError) as refusal:
        parse_converse(body)

    assert refusal.value.code == "ValidationException"
    assert refusal.value.message.startswith(f"{field}: ")


def test_the_replys_members() -> None:
    """Output, stop reason, usage and metrics; a stream ends with the same figures."""
    generation = Generation(("a", "b"), StopReason.MAX_TOKENS, None, 3)
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}

    assert dump_converse(generation, 12.4) == {
        "output": {"message": {"role": "assistant", "content": [{"text": "ab"}]}},
        "stopReason": "max_tokens",
        "usage": usage,
        "metrics": {"latencyMs": 12},
    }
    end = {name: json.loads(payload) for name, payload in dump_converse_end(generation, 12.4)}
    assert list(end) == ["contentBlockStop", "messageStop", "metadata"]
    assert end["metadata"] == {"usage": usage, "metrics": {"latencyMs": 12}}
