"""What parent and worker say to each other: a list in JSON, and behind it perhaps a text.

A frame is two lengths of four bytes, the list (orjson), and the text. Events and outcomes travel as
the text: they are JSON of their own, which would have to be escaped within the list.

Parent to worker:
    ["load", function, runtime, [[name, module], …], body, keeps_globals, calls]
    ["drop", function]
    ["store", arn, version, base, puts, deletes, {"id", "created_ms", "modified_ms"}]
    ["forget", arn, version]
    ["run", call, function, raw_query, edge_location, now_ms, seed, [arn, version] | null] event
Worker to parent:
    ["ready", utilization_scale]
    ["log", call, line]
    ["again", call]
    ["done", call, cpu_ms, store_reads] outcome

Calls are answered in the order in which they were sent.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import orjson

_LENGTHS: Final = struct.Struct(">II")
_LENGTHS_BYTES: Final = _LENGTHS.size


def encode(message: list[Any], text: str = "") -> bytes:
    """One frame."""
    data = orjson.dumps(message)
    if not text:
        return _LENGTHS.pack(len(data), 0) + data
    behind = text.encode("utf-8", "replace")
    return b"".join((_LENGTHS.pack(len(data), len(behind)), data, behind))


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._needed_bytes = 0

    def feed(self, data: bytes) -> list[list[Any]]:
        """The messages that these bytes complete, in order; a text is the list's last item."""
        if self._rest:
            # A whole store comes in many pieces, which are joined once.
            self._rest += data
            if len(self._rest) < self._needed_bytes:
                return []
            data = bytes(self._rest)
        messages: list[list[Any]] = []
        begin, size, view = 0, len(data), memoryview(data)
        self._needed_bytes = _LENGTHS_BYTES
        while begin + _LENGTHS_BYTES <= size:
            list_bytes, text_bytes = _LENGTHS.unpack_from(data, begin)
            middle = begin + _LENGTHS_BYTES + list_bytes
            end = middle + text_bytes
            if end > size:
                self._needed_bytes = end - begin
                break
            message: list[Any] = orjson.loads(view[begin + _LENGTHS_BYTES : middle])
            if text_bytes:
                message.append(str(view[middle:end], "utf-8"))
            messages.append(message)
            begin = end
        self._rest = bytearray(view[begin:])
        return messages
