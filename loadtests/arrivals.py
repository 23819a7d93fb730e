"""Who asks for what, from where, and when: the schedule of an open-loop load, decided by a seed.

The schedule knows nothing of answers. That is what open loop means: the next viewer comes when
they come, however long the last one waits.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.errors import BadInputError
from loadtests.profiles import Phase, Profile, Weights

NOBODY = "none"
"""`--sessions none`: viewers without a session, for servers that want none."""


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
        on_new_connection: Whether it is asked on a connection of its own.
    """

    at_s: float
    place: str
    target: str
    wants_stream: bool
    session: Session
    on_new_connection: bool = False


class Crowd:
    """Draws viewers and their questions from a profile's weights, with a generator of its own."""

    def __init__(self, profile: Profile, sessions: tuple[Session, ...], rng: random.Random) -> None:
        self._profile, self._sessions, self._rng = profile, sessions, rng
        self._places = _Choice(profile.places)
        self._paths = _Choice(profile.paths)
        self._hits = _Choice(profile.hit_actions)
        self._misses = _Choice(profile.miss_actions)

    def login(self, at_s: float) -> Iterator[Arrival]:
        """All that one viewer asks who comes at that moment."""
        profile, rng = self._profile, self._rng
        place, session = self._places.draw(rng), rng.choice(self._sessions)
        is_new = rng.random() < profile.new_connection_share
        for number in range(profile.questions):
            asked_s = at_s + number * profile.question_gap_s
            yield self._question(asked_s, place, session, is_new=is_new and number == 0)

    def _question(self, at_s: float, place: str, session: Session, *, is_new: bool) -> Arrival:
        profile, rng = self._profile, self._rng
        misses = rng.random() < profile.miss_share
        streams = rng.random() < profile.stream_share
        action = (self._misses if misses else self._hits).draw(rng)
        return Arrival(
            at_s=at_s,
            place=place,
            target=self._paths.draw(rng).replace("{action}", action),
            wants_stream=misses and streams,
            session=session,
            on_new_connection=is_new,
        )


def crowd(profile: Profile, sessions: tuple[Session, ...], seed: int, driver: int) -> Crowd:
    """The viewers of one driver; same seed, same viewers."""
    return Crowd(profile, sessions, random.Random(f"{seed}/{driver}/who"))


def schedule(
    profile: Profile,
    sessions: tuple[Session, ...],
    seed: int,
    *,
    start_s: float = 0.0,
    driver: int = 0,
    drivers: int = 1,
) -> Iterator[Arrival]:
    """The arrivals of one driver of `drivers`, in order; endless unless the rate ends at 0.

    Independent Poisson streams add up to one, so any number of drivers makes the whole rate.
    """
    people = crowd(profile, sessions, seed, driver)
    waiting: list[tuple[float, int, Arrival]] = []
    numbers = itertools.count()
    for at_s in moments(profile, seed, start_s=start_s, driver=driver, drivers=drivers):
        while waiting and waiting[0][0] <= at_s:
            yield heapq.heappop(waiting)[2]
        for arrival in people.login(at_s):
            heapq.heappush(waiting, (arrival.at_s, next(numbers), arrival))
    while waiting:
        yield heapq.heappop(waiting)[2]


def moments(
    profile: Profile, seed: int, *, start_s: float = 0.0, driver: int = 0, drivers: int = 1
) -> Iterator[float]:
    """When one driver's viewers come, in seconds.

    Arrivals of a changing rate are those of a constant one on a clock that runs as fast as the rate
    (the integrated rate is the operational time; Cinlar, "Introduction to Stochastic Processes").
    """
    rng = random.Random(f"{seed}/{driver}")
    # Each viewer brings several questions, and the rate counts questions.
    step = drivers * profile.questions / profile.rate_per_s
    is_even = profile.arrivals == "even"
    # Even drivers take turns, else they would all fire in step.
    passed = _passed(profile.phases, start_s) + (driver * step / drivers if is_even else 0.0)
    while True:
        passed += step if is_even else step * rng.expovariate(1.0)
        at_s = _moment(profile.phases, passed)
        if at_s is None:
            return
        yield at_s


def load_sessions(path: Path) -> tuple[Session, ...]:
    """Read a sessions file.

    Raises:
        BadInputError: It cannot be read, has no session, or a line is not `<UserID> <token>`.
    """
    if str(path) == NOBODY:
        return (Session("", ""),)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"--sessions: {path} cannot be read ({error}). "
            "Make one with `python -m origin.session issue`."
        ) from error
    sessions = tuple(
        _session(path, number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    )
    if not sessions:
        raise BadInputError(
            f"--sessions: {path} is empty. Make one with `python -m origin.session issue`."
        )
    return sessions


def _passed(phases: tuple[Phase, ...], at_s: float) -> float:
    """The operational time at a moment."""
    passed = 0.0
    for phase in phases:
        if at_s < phase.seconds:
            slope = (phase.to_times - phase.from_times) / phase.seconds
            return passed + at_s * (phase.from_times + slope * at_s / 2)
        passed += phase.area
        at_s -= phase.seconds
    return passed + at_s * phases[-1].to_times


def _moment(phases: tuple[Phase, ...], passed: float) -> float | None:
    """The moment of an operational time; None when it is never reached."""
    start_s = 0.0
    for phase in phases:
        if passed < phase.area:
            slope = (phase.to_times - phase.from_times) / phase.seconds
            root = math.sqrt(max(0.0, phase.from_times**2 + 2 * slope * passed))
            return start_s + 2 * passed / (phase.from_times + root)
        passed -= phase.area
        start_s += phase.seconds
    last = phases[-1].to_times
    return start_s + passed / last if last > 0 else None


class _Choice:
    """Draws from weights."""

    def __init__(self, weights: Weights) -> None:
        self._names = list(weights)
        self._cumulated = list(itertools.accumulate(weights.values()))

    def draw(self, rng: random.Random) -> str:
        return rng.choices(self._names, cum_weights=self._cumulated)[0]


def _session(path: Path, number: int, line: str) -> Session:
    fields = line.split()
    # The token goes into a header as it is, so nothing may be in it that would end the header.
    if len(fields) != 2 or not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", fields[1]):
        raise BadInputError(
            f"--sessions: {path}, line {number}: expected `<UserID> <session token>`."
        )
    return Session(*fields)
