"""How fast a model's tokens arrive.

Each answer draws two figures of its own: the time to the first token, and the tokens per second
after it. Tokens then come at even distances, each at a deadline counted from the call's arrival,
so that late wake-ups never add up.

A stream groups its tokens so that it sends about 25 events per second, as slow models do by
themselves: at 75 tokens/s an event holds 3 tokens. The first token travels alone, so the time to
the first token is what was drawn; every later event is sent when its last token is due.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from emulator.aws.bedrock.models import SpeedClass

EVENTS_PER_S: Final = 25.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of one answer.

    Args:
        first_token_ms: From the call's arrival to the first token.
        token_ms: From each token to the next.
    """

    first_token_ms: float
    token_ms: float

    def due_ms(self, index: int) -> float:
        """When the token of this index is there, after the call's arrival."""
        return self.first_token_ms + index * self.token_ms


def draw_pace(speed: SpeedClass, chance: random.Random, time_scale: float) -> Pace:
    """Draw the speed of one answer.

    Args:
        speed: The model's class.
        chance: Seeded by the caller.
        time_scale: 1 for real speed, 0 for no waiting at all.
    """
    first = chance.lognormvariate(math.log(speed.first_token_ms), speed.first_token_sigma)
    rate = chance.lognormvariate(math.log(speed.tokens_per_s), speed.rate_sigma)
    return Pace(first * time_scale, 1_000.0 / rate * time_scale)


def events(pieces: Sequence[str], pace: Pace) -> Iterator[tuple[float, str]]:
    """The stream's events: when each is due after the call's arrival, and its text."""
    size = _tokens_per_event(pace)
    start, end = 0, 1
    while start < len(pieces):
        end = min(end, len(pieces))
        yield pace.due_ms(end - 1), "".join(pieces[start:end])
        start, end = end, end + size


def _tokens_per_event(pace: Pace) -> int:
    if pace.token_ms == 0:
        # Nobody waits, but a stream should still look like one.
        return 3
    return max(1, round(1_000.0 / pace.token_ms / EVENTS_PER_S))
