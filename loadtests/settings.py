"""What a load run can be told: one table of options, shared by Locust's command line and ours.

Each option has a twin in the environment (`--rate` and `LOADTEST_RATE`); the flag wins.
"""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from loadtests.errors import BadInputError

DEFAULT_PLACES = "LHR/fibre,FRA/cable,JFK/fibre,GRU/4g,NRT/fibre,SYD/5g,JNB/4g,BOM/4g"

# A generator with a core of its own holds its schedule to 5 ms at p99 up to 1,000 requests/s. Here
# it shares two cores with the very servers it measures, whose worst second (a cold start) costs
# tens of milliseconds. Lag counts into every latency and is printed beside it, so the default
# only has to catch a generator that cannot keep up at all; a CI with cores to spare sets 5.
DEFAULT_MAX_LAG_MS = 50.0


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its flag without dashes, type, default and help."""

    name: str
    kind: type[str] | type[int] | type[float]
    default: str | int | float | None
    help: str
    metavar: str

    @property
    def variable(self) -> str:
        """The option's twin in the environment."""
        return "LOADTEST_" + self.name.replace("-", "_").upper()

    @property
    def attribute(self) -> str:
        """The option's name in a parsed namespace."""
        return self.name.replace("-", "_")


OPTIONS = (
    Option(
        "sessions",
        str,
        ".localpop/sessions.txt",
        "file of viewers, one `<UserID> <session token>` per line",
        "FILE",
    ),
    Option("rate", float, 40.0, "arrivals per second, over all places", "PER_SECOND"),
    Option(
        "arrivals",
        str,
        "poisson",
        "how arrivals are spaced: poisson (as independent people come) or even",
        "KIND",
    ),
    Option(
        "places", str, DEFAULT_PLACES, "where viewers are, comma-separated, all alike", "A,B,..."
    ),
    Option(
        "fallback-share",
        float,
        0.35,
        "share of requests for actions that are never pre-computed, 0 to 1",
        "SHARE",
    ),
    Option("lambda-share", float, 0.3, "share of requests on /lambda-answers, 0 to 1", "SHARE"),
    Option(
        "stream-share",
        float,
        0.5,
        "share of the fallbacks that accept text/event-stream, 0 to 1",
        "SHARE",
    ),
    Option("warmup", float, 3.0, "seconds at the start that are not counted", "SECONDS"),
    Option("seed", int, 1, "seed of the schedule: same seed, same requests", "N"),
    Option("samples", str, None, "write every request, exact, to this file (JSON Lines)", "FILE"),
    Option(
        "max-lag-ms",
        float,
        DEFAULT_MAX_LAG_MS,
        "void the run when the generator's own lag at p99 is above this",
        "MS",
    ),
    Option("timeout", float, 60.0, "seconds after which a request is given up", "SECONDS"),
    Option(
        "drain",
        float,
        20.0,
        "seconds that requests under way may take when the time is over",
        "SECONDS",
    ),
)


class Parser(Protocol):
    """What `argparse` and Locust's own parser have in common."""

    def add_argument(self, *names: str, **settings: Any) -> Any:
        """Declare an option."""


def add_options(parser: Parser, environ: Mapping[str, str] = os.environ) -> None:
    """Declare every option of a load run, with the environment as the source of defaults."""
    for option in OPTIONS:
        parser.add_argument(
            f"--{option.name}",
            type=option.kind,
            default=environ.get(option.variable, option.default),
            metavar=option.metavar,
            help=f"{option.help} (default: {option.default}; {option.variable})",
        )
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        default=environ.get("LOADTEST_ALLOW_REMOTE", "") not in ("", "0"),
        help="aim at a host that is not this machine (LOADTEST_ALLOW_REMOTE=1)",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """A load run's options, checked."""

    sessions: Path
    rate_per_s: float
    arrivals: str
    places: tuple[str, ...]
    fallback_share: float
    lambda_share: float
    stream_share: float
    warmup_s: float
    seed: int
    samples: Path | None
    max_lag_ms: float
    timeout_s: float
    drain_s: float
    allow_remote: bool

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Settings:
        """Check parsed options.

        Raises:
            BadInputError: A value is out of its range; the message names the option.
        """
        return cls(
            sessions=Path(options.sessions),
            rate_per_s=_positive("rate", options.rate),
            arrivals=_one_of("arrivals", options.arrivals, ("poisson", "even")),
            places=parse_places(options.places),
            fallback_share=_share("fallback-share", options.fallback_share),
            lambda_share=_share("lambda-share", options.lambda_share),
            stream_share=_share("stream-share", options.stream_share),
            warmup_s=_not_negative("warmup", options.warmup),
            seed=options.seed,
            samples=Path(options.samples) if options.samples else None,
            max_lag_ms=_positive("max-lag-ms", options.max_lag_ms),
            timeout_s=_positive("timeout", options.timeout),
            drain_s=_not_negative("drain", options.drain),
            allow_remote=bool(options.allow_remote),
        )


def parse_places(text: str) -> tuple[str, ...]:
    """Read `LHR/fibre,NRT/4g`: point of presence, a slash, access type.

    Raises:
        BadInputError: There is no place, one is misspelt, or one comes twice.
    """
    places = tuple(part.strip() for part in text.split(",") if part.strip())
    for place in places:
        # Which points of presence and access types exist is for the server to say.
        if not re.fullmatch(r"[A-Z]{3}/[a-z0-9-]+", place):
            raise BadInputError(f"--places: {place!r} is not a place such as NRT/fibre.")
    if not places:
        raise BadInputError("--places: empty. Name at least one, such as NRT/fibre.")
    if len(set(places)) < len(places):
        raise BadInputError(f"--places: a place comes twice in {text!r}. Name each one once.")
    return places


def _number(name: str, value: float, is_fine: bool, wanted: str) -> float:
    if not (math.isfinite(value) and is_fine):
        raise BadInputError(f"--{name}: {value:g} is out of range, expected {wanted}.")
    return value


def _positive(name: str, value: float) -> float:
    return _number(name, value, value > 0, "more than 0")


def _not_negative(name: str, value: float) -> float:
    return _number(name, value, value >= 0, "0 or more")


def _share(name: str, value: float) -> float:
    return _number(name, value, 0 <= value <= 1, "a share from 0 to 1")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BadInputError(f"--{name}: {value!r} is not known (known: {', '.join(known)}).")
    return value
