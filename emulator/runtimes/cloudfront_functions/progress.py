"""Which call a worker is in, told without a message: sixteen bytes of shared memory.

A worker answers several quick calls with one write, because waking the parent costs more than a
call. So the answers that the parent has do not tell it which call a hanging worker hangs in; these
bytes do.
"""

from __future__ import annotations

import mmap
import struct
from typing import Final

_LAYOUT: Final = struct.Struct("=qq")
SIZE_BYTES: Final = _LAYOUT.size


class Progress:
    """The call that runs, and the process's CPU time when it began.

    Args:
        fd: A file of `SIZE_BYTES` that both processes have open.
    """

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, SIZE_BYTES)

    def begin(self, call_id: int, process_cpu_ns: int) -> None:
        """Note that a call begins."""
        # The time comes first: whoever reads between the two takes the call before for younger.
        _LAYOUT.pack_into(self._memory, 0, process_cpu_ns, call_id)

    def read(self) -> tuple[int, int]:
        """The call's number, 0 before the first one, and the CPU time when it began."""
        process_cpu_ns, call_id = _LAYOUT.unpack_from(self._memory, 0)
        return call_id, process_cpu_ns

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
