"""Lambda, from the rule for StateChanged: deletes the answers whose contract names the subject."""

from __future__ import annotations

import os
from typing import Any

from origin.precompute.wiring import open_invalidator

INVALIDATOR = open_invalidator(os.environ)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """One state change."""
    return INVALIDATOR.handle(event)
