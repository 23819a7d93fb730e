"""AWS's binary event stream, outward: one frame per event.

A frame is `u32 total length | u32 header length | u32 CRC of those eight bytes | headers |
payload | u32 CRC of everything before`; a header is `u8 length | name | 0x07 (text) | u16 length |
value`.
Source: facts/local-aws.md section 3, checked there byte for byte against botocore's decoder; the
format is described in "Event stream encoding" of the Amazon Transcribe guide.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
_PRELUDE_BYTES = 8
_CRC_BYTES = 4
_TEXT = 7


def dump_event(event_type: str, payload: bytes) -> bytes:
    """The frame of one event with a JSON payload."""
    return _frame(_header_block("event", ":event-type", event_type), payload)


def dump_exception(exception_type: str, payload: bytes) -> bytes:
    """The frame that ends a stream with a modelled error.

    Args:
        exception_type: The member's name in the stream's shape, such as
            `modelStreamErrorException`.
        payload: JSON with a `message`.
    """
    return _frame(_header_block("exception", ":exception-type", exception_type), payload)


def dump_headers(headers: Mapping[str, str]) -> bytes:
    """The header block of a frame; all values are text."""
    block = b""
    for name, value in headers.items():
        name_bytes, value_bytes = name.encode(), value.encode()
        block += struct.pack("!B", len(name_bytes)) + name_bytes
        block += struct.pack("!BH", _TEXT, len(value_bytes)) + value_bytes
    return block


@lru_cache(maxsize=64)
def _header_block(message_type: str, type_header: str, type_name: str) -> bytes:
    return dump_headers(
        {
            type_header: type_name,
            ":content-type": "application/json",
            ":message-type": message_type,
        }
    )


def _frame(headers: bytes, payload: bytes) -> bytes:
    total = _PRELUDE_BYTES + _CRC_BYTES + len(headers) + len(payload) + _CRC_BYTES
    prelude = struct.pack("!II", total, len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))
