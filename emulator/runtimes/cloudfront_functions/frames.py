"""What parent and worker say to each other: orjson behind four bytes of length.

Parent to worker:
    ["load", function, runtime, [[name, module], …], body, keeps_globals, calls]
    ["drop", function]
    ["store", arn, version, base, puts, deletes, {"id", "created_ms", "modified_ms"}]
    ["forget", arn, version]
    ["run", call, function, event, raw_query, edge_location, now_ms, seed, [arn, version] | null]
Worker to parent:
    ["ready", utilization_scale, process_cpu_ns]
    ["prepared", call, process_cpu_ns]
    ["log", call, line]
    ["again", call]
    ["done", call, outcome, cpu_ms, store_reads, process_cpu_ns]

`event`, `edge_location` and `outcome` are JSON texts of their own: only the realm and the wire look
into them. Calls are answered in the order in which they were sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

_LENGTH_BYTES: Final = 4


def encode(message: list[Any]) -> bytes:
    """One frame."""
    data = orjson.dumps(message)
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[list[Any]]:
        """The messages that these bytes complete, in order."""
        self._buffer += data
        while True:
            message = self._next()
            if message is None:
                return
            yield message

    def _next(self) -> list[Any] | None:
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        end = _LENGTH_BYTES + int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
        if len(self._buffer) < end:
            return None
        message: list[Any] = orjson.loads(memoryview(self._buffer)[_LENGTH_BYTES:end])
        del self._buffer[:end]
        return message
