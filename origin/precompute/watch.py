"""The contract watch: from time to time, which answers are served beyond their promise?

An answer whose validity is longer than its freshness SLA may still be served when the SLA has
passed: that breaks its contract, and an event tells its owner. Expired answers are misses already;
they are swept, because they take room.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from origin.events import PIPELINE, EventBus, Happening
from origin.precompute.invalidator import WriteQueue
from origin.precompute.messages import MAX_KEYS, Delete
from origin.precompute.metrics import metric_line
from origin.precompute.registry import Record, Registry

# More than these wait for the next time: a function's time is limited.
MAX_AT_ONCE = 2_000


@dataclass(slots=True)
class AnswerWatch:
    """Looks for broken contracts and expired answers.

    Attributes:
        registry: Which answers are due.
        queue: Where sweeps go.
        bus: Who is told.
        now_s: Epoch seconds.
        say: The log.
    """

    registry: Registry
    queue: WriteQueue
    bus: EventBus
    now_s: Callable[[], float] = time.time
    say: Callable[[str], None] = print

    def handle(self) -> dict[str, int]:
        """Look once."""
        now_s = self.now_s()
        due = list(islice(self.registry.due(now_s), MAX_AT_ONCE))
        expired = [record.key for record in due if record.expires_at_s <= now_s]
        broken = [record for record in due if record.expires_at_s > now_s]
        for first in range(0, len(expired), MAX_KEYS):
            name = f"sweep-{int(now_s)}-{first}"
            message = Delete(name, tuple(expired[first : first + MAX_KEYS]), only_expired=True)
            self.queue.send(message, name)
        self.bus.put([_broken(record, now_s) for record in broken])
        for record in broken:
            # Said once.
            self.registry.was_reported(record)
        values = {"ContractsBroken": len(broken), "AnswersSwept": len(expired)}
        self.say(metric_line("answer-watch", values, units={}, now_ms=int(now_s * 1000)))
        return {"broken": len(broken), "swept": len(expired)}


def _broken(record: Record, now_s: float) -> Happening:
    detail = {
        "key": record.key,
        "owner": record.owner,
        "reason": "past its freshness SLA and still served",
        "freshness_sla": record.freshness_sla_s,
        "overdue_s": int(now_s) - record.fresh_until_s,
        "served": True,
    }
    return Happening(PIPELINE, "AnswerContractBroken", detail)
