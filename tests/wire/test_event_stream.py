"""Event-stream frames, read back by botocore's own decoder."""

from __future__ import annotations

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from emulator.wire.event_stream import dump_event, dump_exception, dump_headers


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_botocore_reads_every_frame(payloads: list[bytes]) -> None:
    """Type, content type and payload come back, however many frames arrive at once."""
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(dump_event("chunk", payload) for payload in payloads))

    events = list(buffer)

    assert [event.payload for event in events] == payloads
    assert events[0].headers == {
        ":message-type": "event",
        ":event-type": "chunk",
        ":content-type": "application/json",
    }


def test_exceptions_have_their_own_headers() -> None:
    """A modelled error is a frame of message type `exception`."""
    buffer = EventStreamBuffer()
    buffer.add_data(dump_exception("throttlingException", b'{"message":"slow down"}'))

    (event,) = list(buffer)

    assert event.headers[":message-type"] == "exception"
    assert event.headers[":exception-type"] == "throttlingException"
    assert event.to_response_dict()["status_code"] == 400


def test_a_flipped_bit_is_noticed() -> None:
    """The checksums are real."""
    frame = bytearray(dump_event("chunk", b"payload"))
    frame[-6] ^= 1
    buffer = EventStreamBuffer()
    buffer.add_data(bytes(frame))

    with pytest.raises(ChecksumMismatch):
        list(buffer)


def test_a_header_is_length_name_type_length_value() -> None:
    """The layout of one text header, byte by byte."""
    assert dump_headers({":n": "é"}) == b"\x02:n\x07\x00\x02\xc3\xa9"
