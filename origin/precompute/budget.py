"""How much one run may cost: money is set aside before a prompt is sent, never after."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from origin.model import Prompt
from origin.prices import TokenPrices

# English text has some four characters for a token; three keep the estimate on the safe side.
_CHARS_PER_TOKEN = 3


def worst_cost_usd(prompt: Prompt, prices: TokenPrices, *, batch: bool = False) -> float:
    """What one prompt can cost at the most: as long an answer as is allowed."""
    input_tokens = (len(prompt.system) + len(prompt.text)) // _CHARS_PER_TOKEN + 1
    return prices.usd(input_tokens, prompt.max_tokens, batch=batch)


@dataclass(slots=True)
class Budget:
    """What may be spent in one run; any thread may ask.

    Attributes:
        limit_usd: The most.
        spent_usd: What has been paid for.
        is_spent: Whether something had to be left out for it.
    """

    limit_usd: float
    spent_usd: float = 0.0
    is_spent: bool = False
    _set_aside_usd: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set_aside(self, usd: float) -> bool:
        """Keep so much for a prompt that is about to be sent; False when there is not so much."""
        with self._lock:
            if self.spent_usd + self._set_aside_usd + usd > self.limit_usd:
                self.is_spent = True
                return False
            self._set_aside_usd += usd
            return True

    def settle(self, set_aside_usd: float, paid_usd: float) -> None:
        """Pay, and give back what was kept beyond it."""
        with self._lock:
            self._set_aside_usd -= set_aside_usd
            self.spent_usd += paid_usd
