"""Lambda, on a schedule: tells of broken contracts and sweeps expired answers."""

from __future__ import annotations

import os

from origin.precompute.wiring import open_watch

WATCH = open_watch(os.environ)


def handler(event: object, context: object) -> dict[str, int]:
    """Look once."""
    return WATCH.handle()
