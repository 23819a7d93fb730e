"""Frames between parent and worker."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.runtimes.cloudfront_functions.frames import Decoder, encode

MESSAGES = st.lists(
    st.tuples(
        st.lists(
            st.none() | st.booleans() | st.integers(0, 2**53) | st.text(max_size=20), max_size=4
        ),
        st.text(max_size=30),
    ),
    max_size=5,
)


@given(MESSAGES, st.integers(1, 40))
def test_any_cut_gives_the_same_messages(messages: list[tuple[list[Any], str]], piece: int) -> None:
    """However the stream is cut, the messages come out whole and in order, with their texts."""
    stream = b"".join(encode(message, text) for message, text in messages)
    decoder = Decoder()
    decoded = [
        message
        for start in range(0, len(stream), piece)
        for message in decoder.feed(stream[start : start + piece])
    ]

    assert decoded == [[*message, text] if text else message for message, text in messages]
