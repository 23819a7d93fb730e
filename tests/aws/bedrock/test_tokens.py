"""The rule of thumb for tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.aws.bedrock.tokens import count_tokens, split_tokens


@given(st.text())
def test_joined_tokens_are_the_text(text: str) -> None:
    """Not a character is lost or added."""
    tokens = split_tokens(text)

    assert "".join(tokens) == text
    assert all(tokens)
    assert count_tokens(text) == len(tokens)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("Good morning, Maya.", 6),
        ("incomprehensibilities", 4),
        ("\u65e5\u672c\u8a9e", 3),
        ("a\n\n", 2),
    ],
)
def test_counts(text: str, count: int) -> None:
    """Words, punctuation, long words, other scripts, blanks at the end."""
    assert count_tokens(text) == count


def test_prose_has_about_four_characters_a_token() -> None:
    """The ratio that makes prices and times plausible."""
    prose = (
        "The checkout service recovered after the rollback, and the queue of pending payments "
        "drained within twelve minutes. Nobody has to act before the weekly review on Monday."
    )

    assert 3.8 < len(prose) / count_tokens(prose) < 4.8
