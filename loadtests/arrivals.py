"""Who asks for what, from where, and when: the schedule of an open-loop load, decided by a seed.

The schedule knows nothing of answers. That is what open loop means: the next viewer comes when
they come, however long the last one waits.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.errors import BadInputError
from loadtests.settings import Settings

PRECOMPUTED_ACTIONS = ("morning-briefing", "deployment-summary", "ticket-digest")
"""Actions whose answers are generated ahead of time."""

FALLBACK_ACTIONS = ("weekly-review", "incident-timeline")
"""Actions the origin knows, but nobody generates ahead of time."""


@dataclass(frozen=True, slots=True)
class Session:
    """A viewer: a UserID and the token that goes into the `session` cookie."""

    user_id: str
    token: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One viewer's question.

    Attributes:
        at_s: When it is meant to be asked, seconds after the start of the run.
        place: Where the viewer is, as `NRT/fibre`.
        target: The URL's path.
        wants_stream: Whether the viewer accepts server-sent events.
        session: Who asks.
    """

    at_s: float
    place: str
    target: str
    wants_stream: bool
    session: Session


def schedule(
    settings: Settings,
    sessions: tuple[Session, ...],
    start_s: float = 0.0,
    driver: int = 0,
    drivers: int = 1,
) -> Iterator[Arrival]:
    """The arrivals of one driver of `drivers`, endless and in order.

    Independent Poisson streams add up to one, so any number of drivers makes the whole rate.
    """
    rng = random.Random(f"{settings.seed}/{driver}")
    rate_per_s = settings.rate_per_s / drivers
    at_s = start_s
    while True:
        even = settings.arrivals == "even"
        at_s += 1 / rate_per_s if even else rng.expovariate(rate_per_s)
        yield _arrival(at_s, settings, sessions, rng)


def load_sessions(path: Path) -> tuple[Session, ...]:
    """Read a sessions file.

    Raises:
        BadInputError: It cannot be read, has no session, or a line is not `<UserID> <token>`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"--sessions: {path} cannot be read ({error}). "
            "Make one with `python -m origin.session issue`."
        ) from error
    sessions = tuple(
        _session(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()
    )
    if not sessions:
        raise BadInputError(
            f"--sessions: {path} is empty. Make one with `python -m origin.session issue`."
        )
    return sessions


def _arrival(
    at_s: float, settings: Settings, sessions: tuple[Session, ...], rng: random.Random
) -> Arrival:
    falls_back = rng.random() < settings.fallback_share
    by_lambda = rng.random() < settings.lambda_share
    streams = rng.random() < settings.stream_share
    action = rng.choice(FALLBACK_ACTIONS if falls_back else PRECOMPUTED_ACTIONS)
    return Arrival(
        at_s=at_s,
        place=rng.choice(settings.places),
        target=f"/{'lambda-answers' if by_lambda else 'answers'}/{action}",
        wants_stream=falls_back and streams,
        session=rng.choice(sessions),
    )


def _session(path: Path, number: int, line: str) -> Session:
    fields = line.split()
    # The token goes into a header as it is, so nothing may be in it that would end the header.
    if len(fields) != 2 or not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", fields[1]):
        raise BadInputError(
            f"--sessions: {path}, line {number}: expected `<UserID> <session token>`."
        )
    return Session(*fields)
