"""The stored value: its key, its spelling, its quota."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.precompute.artifact import (
    MAX_VALUE_BYTES,
    AnswerTooLargeError,
    StoredAnswer,
    dump_value,
    make_entry,
    parse_value,
    store_key,
)

TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8")),
    # Long ones, around the quota.
    st.builds(
        lambda letter, count: letter * count, st.characters(codec="utf-8"), st.integers(200, 1100)
    ),
)
STORED = st.builds(StoredAnswer, TEXTS, st.integers(0, 2**40), st.integers(0, 2**40))


def test_the_spelling() -> None:
    """The value is the compact JSON that edge functions read."""
    value = dump_value(StoredAnswer("Good morning, Zoë", 1763719200, 1763722800))

    assert value == ('{"answer":"Good morning, Zoë","generated":1763719200,"expires":1763722800}')


@given(STORED)
def test_round_trip(stored: StoredAnswer) -> None:
    """What is stored is read back as it was."""
    assert parse_value(dump_value(stored)) == stored


@given(STORED)
def test_the_quota_is_in_bytes(stored: StoredAnswer) -> None:
    """An entry is made exactly when its value has at most 1,024 bytes in UTF-8."""
    size_bytes = len(dump_value(stored).encode())
    if size_bytes <= MAX_VALUE_BYTES:
        assert make_entry("u", "a", stored) == ("u_a", dump_value(stored))
    else:
        with pytest.raises(AnswerTooLargeError) as caught:
            make_entry("u", "a", stored)
        assert caught.value.size_bytes == size_bytes


@pytest.mark.parametrize("letter", ["x", "é", "😀", "\n"], ids=ascii)
def test_the_last_byte_counts(letter: str) -> None:
    """1,024 bytes are taken and the next letter is not, however many bytes a letter has."""
    around = len(dump_value(StoredAnswer("", 1763719200, 1763722800)))
    letter_bytes = len(json.dumps(letter, ensure_ascii=False).encode()) - 2
    letters, padding = divmod(MAX_VALUE_BYTES - around, letter_bytes)
    fitting = letter * letters + "." * padding

    key, value = make_entry("u", "a", StoredAnswer(fitting, 1763719200, 1763722800))

    assert (key, len(value.encode())) == ("u_a", 1024)
    with pytest.raises(AnswerTooLargeError):
        make_entry("u", "a", StoredAnswer(f"{fitting}.", 1763719200, 1763722800))


def test_the_refusal_says_what_to_do() -> None:
    """User, action, size, limit and remedy are in one message."""
    with pytest.raises(AnswerTooLargeError) as caught:
        make_entry("user-007", "ticket-digest", StoredAnswer("x" * 2000, 1763719200, 1763722800))

    assert str(caught.value).startswith(
        "user-007 ticket-digest: the answer takes 2057 bytes as a stored value, 1024 is the most. "
        "Ask for a shorter one (ANSWER_CHARS in origin/context.py)"
    )


@pytest.mark.parametrize("ids", [("a_b", "c"), ("a", "b_c"), ("", "a"), ("a", ""), ("a", "B")])
def test_keys_have_one_reading(ids: tuple[str, str]) -> None:
    """No key is made that could belong to another user or action."""
    with pytest.raises(ValueError, match="no key for"):
        store_key(*ids)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[]",
        "7",
        "{}",
        '{"answer":"x","generated":1}',
        '{"answer":1,"generated":1,"expires":2}',
        '{"answer":"x","generated":1,"expires":"2"}',
        '{"answer":"x","generated":true,"expires":2}',
        '{"answer":"x","generated":1.5,"expires":2}',
    ],
)
def test_foreign_values_are_refused(value: str) -> None:
    """What is not one of our values raises ValueError, and nothing else."""
    with pytest.raises(ValueError, match=r"not a stored answer|Expecting value"):
        parse_value(value)
