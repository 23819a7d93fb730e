"""What is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.aws.bedrock.writing import generate, write
from emulator.values.model_calls import Prompt, StopReason, Turn

_PROMPT = """Write the reader's morning briefing.
<reader>
Maya Lindqvist
</reader>
Open alerts:
- checkout-api: disk above 85 % (high), 29 GB free
- ledger: queue {title} is growing (low)
Deployments:
- none
Tickets:
- T-2401 P1: certificate
- T-2402 P3: documentation
"""


def _prompt(text: str, max_tokens: int = 1_000, stop: tuple[str, ...] = ()) -> Prompt:
    return Prompt("", (Turn("user", text),), max_tokens, stop)


def test_the_same_prompt_and_seed_give_the_same_text() -> None:
    """To the letter; another seed or prompt gives another text."""
    assert write(_PROMPT, 0) == write(_PROMPT, 0)
    assert write(_PROMPT, 0) != write(_PROMPT, 1)
    assert write(_PROMPT, 0) != write(_PROMPT + " ", 0)


def test_every_fact_comes_back() -> None:
    """With room enough: all facts, the reader's name once, and what is empty is said to be so."""
    text = write(_PROMPT, 3)

    for fact in ("disk above 85 % (high), 29 GB free", "queue {title} is growing", "T-2401 P1"):
        assert fact in text
    assert text.count("Maya") == 1
    assert "nothing to report under deployments" in text
    assert text.index("T-2401") < text.index("T-2402")


def test_without_an_asked_length_it_is_a_usual_answer() -> None:
    """Some 300 tokens, the length that facts/latency.md 11 reckons with."""
    generation = generate(_prompt(_PROMPT), 0)

    assert 150 < generation.output_tokens < 350
    assert generation.stop_reason is StopReason.END_TURN


@given(st.text(max_size=200), st.integers(1, 900), st.sampled_from(["characters", "bytes"]))
def test_the_asked_length_is_kept(facts: str, limit: int, unit: str) -> None:
    """Whatever the facts are."""
    text = write(f"Write a briefing in at most {limit} {unit}.\n- {facts}\n- é: 7", 0)

    assert len(text.encode() if unit == "bytes" else text) <= max(limit, len("Nothing"))
    assert text


@pytest.mark.parametrize("limit", [300, 700, 1_000])
def test_room_is_used(limit: int) -> None:
    """A text comes near the asked length, for a budget of tokens to mean something."""
    text = write(f"{_PROMPT}\nKeep to at most {limit} characters.", 0)

    assert limit * 0.6 < len(text) <= limit


def test_tokens_and_stop_sequences_cut() -> None:
    """At the token limit exactly; before the stop sequence that comes first."""
    whole = generate(_prompt(_PROMPT), 0)
    cut = generate(_prompt(_PROMPT, max_tokens=10), 0)
    stopped = generate(_prompt(_PROMPT, stop=("T-2401", "checkout", "zzz")), 0)

    assert cut.pieces == whole.pieces[:10]
    assert cut.stop_reason is StopReason.MAX_TOKENS
    assert stopped.stop_reason is StopReason.STOP_SEQUENCE
    assert stopped.text == whole.text.partition(stopped.stop_sequence or "")[0]
    assert "checkout" not in stopped.text
    assert "T-2401" not in stopped.text


@given(st.text(max_size=300), st.integers())
def test_any_prompt_gets_an_answer(text: str, seed: int) -> None:
    """Also an empty one."""
    assert write(text, seed)
