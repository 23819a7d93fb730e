"""A log of clicks whose probabilities are known: what a model must find, written down beforehand.

Sessions walk through the actions by the table below; the pauses between two requests are drawn from
an exponential distribution, as those of independent decisions are. No real user is in it.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from origin.followup.transitions import END

START: Final = "(start)"
"""Where a session comes from."""

PROBABILITIES: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        START: {
            "morning-briefing": 0.60,
            "deployment-summary": 0.20,
            "ticket-digest": 0.15,
            "incident-timeline": 0.03,
            "weekly-review": 0.02,
        },
        "morning-briefing": {
            "incident-timeline": 0.35,
            "ticket-digest": 0.30,
            "deployment-summary": 0.20,
            "weekly-review": 0.05,
            END: 0.10,
        },
        "deployment-summary": {
            "incident-timeline": 0.45,
            "ticket-digest": 0.15,
            "weekly-review": 0.10,
            "morning-briefing": 0.05,
            END: 0.25,
        },
        "ticket-digest": {
            "weekly-review": 0.30,
            "deployment-summary": 0.20,
            "incident-timeline": 0.05,
            "morning-briefing": 0.05,
            END: 0.40,
        },
        "incident-timeline": {
            "deployment-summary": 0.40,
            "ticket-digest": 0.25,
            "weekly-review": 0.05,
            END: 0.30,
        },
        "weekly-review": {"ticket-digest": 0.20, "deployment-summary": 0.10, END: 0.70},
    }
)
"""The truth: how likely each step is."""

# The median reader asks again after a minute and a half; one in eleven only after five.
_MEAN_PAUSE_S = 125.0
_FIRST_S = 1_763_600_000
_SESSION_EVERY_S = 20.0
_USERS = 50


def make_lines(sessions: int, seed: int) -> Iterator[str]:
    """Write a log of so many sessions, line by line, in the order of sessions.

    Everything is drawn by `random()` alone, the one method of Random whose sequence Python promises
    to keep from version to version.
    """
    chance = random.Random(seed)
    for number in range(sessions):
        user_id = f"user-{1 + int(chance.random() * _USERS):03d}"
        at_s = _FIRST_S + number * _SESSION_EVERY_S
        action = _draw(PROBABILITIES[START], chance)
        while action != END:
            line = {
                "at": round(at_s, 1),
                "session": f"s{number}",
                "user_id": user_id,
                "action": action,
            }
            yield json.dumps(line, separators=(",", ":"))
            at_s += _pause_s(chance)
            action = _draw(PROBABILITIES[action], chance)


def _draw(row: Mapping[str, float], chance: random.Random) -> str:
    left = chance.random()
    for name, probability in row.items():
        left -= probability
        if left < 0:
            return name
    return END


def _pause_s(chance: random.Random) -> float:
    return -_MEAN_PAUSE_S * math.log(1.0 - chance.random())
