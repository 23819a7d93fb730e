"""Frames between parent and worker."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.runtimes.cloudfront_functions.frames import Decoder, encode

MESSAGES = st.lists(
    st.lists(st.none() | st.booleans() | st.integers(0, 2**53) | st.text(max_size=20), max_size=4),
    max_size=5,
)


@given(MESSAGES, st.integers(1, 7))
def test_any_cut_gives_the_same_messages(messages: list[list[Any]], piece: int) -> None:
    """However the stream is cut, the messages come out whole and in order."""
    stream = b"".join(encode(message) for message in messages)
    decoder = Decoder()
    decoded = [
        message
        for start in range(0, len(stream), piece)
        for message in decoder.feed(stream[start : start + piece])
    ]

    assert decoded == messages
