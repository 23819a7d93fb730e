"""Runs again and again: when each of them begins."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator

from loadtests.errors import BadInputError


def slots(every_s: float, now_s: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """When to start each run; a slot that a run was still using is left out."""
    begun_s = now_s()
    number = 0
    while True:
        yield begun_s + number * every_s
        number = max(number + 1, math.ceil((now_s() - begun_s) / every_s))


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `15m`, `1h` or `1h30m`.

    Raises:
        BadInputError: It is none of that.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total_s = hours * 3_600 + minutes * 60 + seconds
    if not total_s:
        raise BadInputError(f"--every: {text!r} is not a time such as 15m, 90s or 1h30m.")
    return total_s
