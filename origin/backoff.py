"""How long to wait before trying again, and how often."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Backoff:
    """Capped exponential waits with full jitter.

    AWS Architecture Blog "Exponential Backoff And Jitter"
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): of the ways to
    spread competing writers, drawing each wait from zero to the cap needs the fewest calls.

    Attributes:
        attempts: How often a call is made in all, the first one included.
        base_s: The longest first wait; it doubles from try to try.
        cap_s: No wait is longer.
        rng: Where the jitter comes from.
        sleep: How to wait; a caller that may be interrupted hands in its event's `wait`.
    """

    attempts: int
    base_s: float
    cap_s: float
    rng: random.Random = field(default_factory=random.Random)
    sleep: Callable[[float], object] = time.sleep

    def wait(self, failures: int) -> bool:
        """Wait after the given number of failures; False, at once, when it was the last try."""
        if failures >= self.attempts:
            return False
        longest_s = min(self.cap_s, self.base_s * 2 ** (failures - 1))
        self.sleep(self.rng.uniform(0, longest_s))
        return True
