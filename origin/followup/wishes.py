"""The running backend: somebody has asked for an answer, and the likely next ones are wanted.

Nobody waits for it. An event for each request goes to the bus from a thread; what cannot be sent in
time is dropped, for a prediction is worth nothing later, and the origin answers as ever.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from origin.actions import TASKS
from origin.backoff import Backoff
from origin.events import BUS_VARIABLE, PIPELINE, EventBus, EventsError, Happening
from origin.followup.transitions import Transitions, TransitionsError, parse_transitions
from origin.session import Session
from origin.tasks import FOLLOW_UP_TTL_S, Trigger, tasks_for

logger = logging.getLogger(__name__)

PROBABILITY_VARIABLE = "FOLLOW_UP_PROBABILITY"
MODEL_FILE = Path(__file__).parents[1] / "data" / "transitions.json"

_THREADS = 2
# What waits for the bus at the most; a bus that is so far behind gets nothing more.
_MAX_WAITING = 200
_MAX_REMEMBERED = 20_000


class FollowUpError(Exception):
    """Follow-ups cannot be set up; the message says what to mend."""


@dataclass(slots=True)
class FollowUps:
    """Turns requests into wishes; any thread may tell it of one.

    Attributes:
        bus: Where wishes go.
        transitions: Who predicts.
        at_least: The probability from which on an answer is wanted.
        now_s: Epoch seconds.
        sent: Wishes that reached the bus.
        dropped: Wishes that did not.
    """

    bus: EventBus
    transitions: Transitions
    at_least: float
    now_s: Callable[[], float] = time.time
    sent: int = 0
    dropped: int = 0
    _waiting: int = 0
    _remembered: dict[tuple[str, int, str], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="follow-up")
    )
    _predictions: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Once for each action: the model does not change while the backend runs.
        allowed = tasks_for(TASKS, Trigger.FOLLOW_UP)
        for last in TASKS:
            likely = self.transitions.predict(last, at_least=self.at_least)
            self._predictions[last] = tuple(one.action for one in likely if one.action in allowed)

    def asked(self, session: Session, action: str) -> tuple[str, ...]:
        """Somebody has asked for an answer.

        Returns:
            The actions that are wanted now; none that this session has had made already.
        """
        now_s = self.now_s()
        with self._lock:
            fresh = tuple(
                name
                for name in self._predictions.get(action, ())
                if self._remembered.get((session.user_id, session.issued_at_s, name), 0.0) <= now_s
            )
            if not fresh:
                return ()
            if self._waiting >= _MAX_WAITING:
                self.dropped += 1
                return ()
            self._waiting += 1
            for name in fresh:
                if len(self._remembered) >= _MAX_REMEMBERED:
                    del self._remembered[next(iter(self._remembered))]
                key = (session.user_id, session.issued_at_s, name)
                self._remembered.pop(key, None)
                self._remembered[key] = now_s + FOLLOW_UP_TTL_S
        detail = {
            "user_id": session.user_id,
            "actions": list(fresh),
            "reason": f"{Trigger.FOLLOW_UP.value}/{session.issued_at_s}",
        }
        self._threads.submit(self._send, Happening(PIPELINE, "AnswersWanted", detail))
        return fresh

    def close(self) -> None:
        """Send what waits, and end."""
        self._threads.shutdown(wait=True)
        self.bus.client.close()

    def _send(self, wish: Happening) -> None:
        try:
            self.bus.put([wish])
        except EventsError as error:
            logger.warning("a follow-up was dropped: %s", error)
            with self._lock:
                self.dropped += 1
        else:
            with self._lock:
                self.sent += 1
        finally:
            with self._lock:
                self._waiting -= 1


def open_follow_ups(environment: Mapping[str, str], path: Path = MODEL_FILE) -> FollowUps | None:
    """Follow-ups as the environment asks for them; None without a bus or a probability.

    Raises:
        FollowUpError: The probability is none, or there is no model.
    """
    bus_name, text = environment.get(BUS_VARIABLE, ""), environment.get(PROBABILITY_VARIABLE, "")
    if not bus_name or not text:
        return None
    try:
        at_least = float(text)
    except ValueError:
        at_least = -1.0
    if not 0 < at_least <= 1:
        raise FollowUpError(
            f"{PROBABILITY_VARIABLE}={text!r}: above 0 and at most 1 expected, such as 0.25; "
            "leave it empty for no follow-ups"
        )
    try:
        transitions = parse_transitions(path.read_text(encoding="utf-8"))
    except (OSError, TransitionsError) as error:
        raise FollowUpError(f"{path}: {error}") from error
    # One quick try: a wish that comes late is worth nothing.
    config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    try:
        client = boto3.Session().client("events", config=config)
    except (BotoCoreError, ValueError) as error:
        raise FollowUpError(f"no client for the bus {bus_name}: {error}") from error
    bus = EventBus(client, bus_name, Backoff(attempts=2, base_s=0.1, cap_s=0.5))
    return FollowUps(bus, transitions, at_least)
