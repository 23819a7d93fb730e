"""Lambda, from the queue of writes: the single writer of the store."""

from __future__ import annotations

import os
from typing import Any

from origin.precompute.wiring import open_writer

WRITER = open_writer(os.environ)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Write one batch; what is named in the answer comes again."""
    return WRITER.handle(event)
