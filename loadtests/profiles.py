"""Load profiles: who asks for what, from where, and how many of them when; each one a TOML file.

    description = "Ten times the load for ten seconds."
    rate = 40                  # requests per second where `times` is 1; --rate changes it
    warmup = 3                 # seconds at the start that are not counted

    [[phases]]                 # rate over time, in multiples of `rate`
    seconds = 20
    times = 1                  # constant ...

    [[phases]]
    seconds = 10
    from = 1                   # ... or a straight line from one multiple to another
    to = 10

    [places]                   # weights, as are all the tables below
    "LHR/fibre" = 2
    "NRT/5g" = 1

    [paths]                    # {action} is replaced by one of the actions
    "/answers/{action}" = 7

    [actions.hit]              # answers that are generated ahead of time
    "morning-briefing" = 1

    [actions.miss]             # answers that nobody generates ahead of time
    "weekly-review" = 1

The profiles of this folder (`python -m loadtests profiles`) are named without path and `.toml`.
What a profile leaves out is as in `constant`.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loadtests.errors import BadInputError

FOLDER = Path(__file__).with_name("profiles")
DEFAULT_PROFILE = "constant"

DEFAULT_PLACES = "LHR/fibre,FRA/cable,JFK/fibre,GRU/4g,NRT/fibre,SYD/5g,JNB/4g,BOM/4g"
FUNCTION_PATH, LAMBDA_PATH = "/answers/{action}", "/lambda-answers/{action}"

PRECOMPUTED_ACTIONS = ("morning-briefing", "deployment-summary", "ticket-digest")
"""Actions whose answers are generated ahead of time."""

FALLBACK_ACTIONS = ("weekly-review", "incident-timeline")
"""Actions the origin knows, but nobody generates ahead of time."""

Weights = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time in which the rate goes along a straight line.

    Attributes:
        seconds: How long.
        from_times: The rate at its start, in multiples of the profile's.
        to_times: The rate at its end.
    """

    seconds: float
    from_times: float = 1.0
    to_times: float = 1.0

    @property
    def area(self) -> float:
        """How many arrivals a rate of one a second makes in it."""
        return self.seconds * (self.from_times + self.to_times) / 2


@dataclass(frozen=True, slots=True)
class Profile:
    """A load over time.

    Attributes:
        name: The file's name without its ending.
        description: What it is for, in a sentence.
        rate_per_s: Requests per second where the phases say 1.
        arrivals: `poisson`, as independent people come, or `even`.
        phases: The rate over time; after the last one its end goes on.
        warmup_s: Seconds at the start that are not counted.
        places: Where viewers are, with weights.
        paths: Paths with weights; `{action}` is replaced.
        hit_actions: Actions with answers ahead of time, with weights.
        miss_actions: Actions without.
        miss_share: Share of questions for the latter.
        stream_share: Share of those that accept server-sent events.
        new_connection_share: Share of viewers who come on a connection of their own.
        questions: How many questions each viewer asks.
        question_gap_s: Seconds between them.
    """

    name: str = DEFAULT_PROFILE
    description: str = ""
    rate_per_s: float = 40.0
    arrivals: str = "poisson"
    phases: tuple[Phase, ...] = (Phase(30.0),)
    warmup_s: float = 3.0
    places: Weights = field(default_factory=lambda: dict.fromkeys(DEFAULT_PLACES.split(","), 1.0))
    paths: Weights = field(default_factory=lambda: {FUNCTION_PATH: 0.7, LAMBDA_PATH: 0.3})
    hit_actions: Weights = field(default_factory=lambda: dict.fromkeys(PRECOMPUTED_ACTIONS, 1.0))
    miss_actions: Weights = field(default_factory=lambda: dict.fromkeys(FALLBACK_ACTIONS, 1.0))
    miss_share: float = 0.35
    stream_share: float = 0.5
    new_connection_share: float = 0.0
    questions: int = 1
    question_gap_s: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def peak_times(self) -> float:
        """The highest multiple of the rate."""
        return max(max(phase.from_times, phase.to_times) for phase in self.phases)

    @property
    def lambda_share(self) -> float:
        """The share of questions on the paths with Lambda@Edge."""
        by_lambda = sum(weight for path, weight in self.paths.items() if "lambda" in path)
        return by_lambda / sum(self.paths.values())

    def lasting(self, seconds: float) -> Profile:
        """The same shape, stretched or pressed to another length."""
        factor = seconds / self.seconds
        phases = tuple(replace(phase, seconds=phase.seconds * factor) for phase in self.phases)
        return replace(self, phases=phases)


def profile_names() -> list[str]:
    """The profiles that come with localpop."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def profile_text(name_or_file: str) -> str:
    """The TOML of a profile, by name or by file.

    Raises:
        BadInputError: There is none.
    """
    is_name = re.fullmatch(r"[a-z0-9-]+", name_or_file) is not None
    path = FOLDER / f"{name_or_file}.toml" if is_name else Path(name_or_file)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"--load-profile: {name_or_file!r} is neither a profile nor a readable TOML file "
            f"({error}). Profiles: {', '.join(profile_names())}."
        ) from error


def read_profile(name_or_file: str) -> Profile:
    """A profile by its name or its file.

    Raises:
        BadInputError: There is none, or something in it cannot be; the message names it.
    """
    return parse_profile(Path(name_or_file).stem, profile_text(name_or_file))


def parse_profile(name: str, text: str) -> Profile:
    """Read a profile's TOML.

    Raises:
        BadInputError: It is no TOML, or something in it cannot be; the message names it.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"profile {name}: not TOML ({error}).") from error
    reader = _Reader(name, document)
    base = Profile()
    actions = _Reader(name, reader.table("actions"), "actions.")
    profile = Profile(
        name=name,
        description=str(document.get("description", "")),
        rate_per_s=reader.number("rate", base.rate_per_s, lowest=0.001),
        arrivals=reader.one_of("arrivals", base.arrivals, ("poisson", "even")),
        phases=_phases(name, document.get("phases")) or base.phases,
        warmup_s=reader.number("warmup", base.warmup_s),
        places=reader.weights("places", base.places, r"[A-Z]{3}/[a-z0-9-]+", "NRT/fibre"),
        paths=reader.weights("paths", base.paths, r"/[!-~]*", "/answers/{action}"),
        hit_actions=actions.weights("hit", base.hit_actions, r"[!-~]+", "morning-briefing"),
        miss_actions=actions.weights("miss", base.miss_actions, r"[!-~]+", "weekly-review"),
        miss_share=reader.number("miss-share", base.miss_share, highest=1),
        stream_share=reader.number("stream-share", base.stream_share, highest=1),
        new_connection_share=reader.number("new-connection-share", 0.0, highest=1),
        questions=int(reader.number("questions", 1, lowest=1, highest=100)),
        question_gap_s=reader.number("question-gap", 0.0),
    )
    actions.nothing_else({"hit", "miss"})
    reader.nothing_else(_KNOWN)
    if profile.peak_times <= 0:
        raise BadInputError(f"profile {name}: every phase has a rate of 0.")
    return profile


_KNOWN = {
    "description",
    "rate",
    "arrivals",
    "phases",
    "warmup",
    "places",
    "paths",
    "actions",
    "miss-share",
    "stream-share",
    "new-connection-share",
    "questions",
    "question-gap",
}


def _phases(name: str, tables: Any) -> tuple[Phase, ...]:
    if tables is None:
        return ()
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadInputError(f"profile {name}: write each phase as [[phases]].")
    return tuple(_phase(name, number, table) for number, table in enumerate(tables, start=1))


def _phase(name: str, number: int, table: Mapping[str, Any]) -> Phase:
    reader = _Reader(name, table, f"phase {number}, ")
    reader.nothing_else({"seconds", "times", "from", "to"})
    times = reader.number("times", 1.0)
    return Phase(
        seconds=reader.number("seconds", 0.0, lowest=0.001),
        from_times=reader.number("from", times),
        to_times=reader.number("to", times),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one table of a profile and names what is wrong in it."""

    profile: str
    table_: Mapping[str, Any]
    where: str = ""

    def table(self, key: str) -> Mapping[str, Any]:
        value = self.table_.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, value, f"a table [{self.where}{key}]")
        return value

    def number(
        self, key: str, default: float, *, lowest: float = 0.0, highest: float = math.inf
    ) -> float:
        value = self.table_.get(key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not lowest <= value <= highest or math.isinf(value):
            limits = f"from {lowest:g} to {highest:g}" if highest < math.inf else f">= {lowest:g}"
            raise self._wrong(key, value, f"a number {limits}")
        return float(value)

    def one_of(self, key: str, default: str, known: tuple[str, ...]) -> str:
        value = self.table_.get(key, default)
        if value not in known:
            raise self._wrong(key, value, f"one of {', '.join(known)}")
        return str(value)

    def weights(self, key: str, default: Weights, pattern: str, example: str) -> Weights:
        if key not in self.table_:
            return default
        table = self.table(key)
        inner = _Reader(self.profile, table, f"{self.where}{key}, ")
        for name in table:
            if not re.fullmatch(pattern, name):
                raise self._wrong(key, name, f"names such as {example!r}")
        found = {name: inner.number(name, 0.0) for name in table}
        if sum(found.values()) <= 0:
            raise self._wrong(key, table, "at least one weight above 0")
        return {name: weight for name, weight in found.items() if weight > 0}

    def nothing_else(self, known: set[str]) -> None:
        for key in sorted(self.table_.keys() - known):
            raise BadInputError(
                f"profile {self.profile}: {self.where}{key} is not known "
                f"(known: {', '.join(sorted(known))})."
            )

    def _wrong(self, key: str, value: object, wanted: str) -> BadInputError:
        return BadInputError(
            f"profile {self.profile}: {self.where}{key} is {value!r}, expected {wanted}."
        )
