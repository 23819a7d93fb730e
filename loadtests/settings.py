"""What a load run can be told: one table of options, shared by Locust's command line and ours.

Each option has a twin in the environment (`--rate` and `LOADTEST_RATE`); the flag wins.
"""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from loadtests.errors import BadInputError
from loadtests.profiles import (
    DEFAULT_PROFILE,
    FUNCTION_PATH,
    LAMBDA_PATH,
    Profile,
    parse_profile,
    profile_text,
)

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
        "load-profile",
        str,
        DEFAULT_PROFILE,
        "rate over time and mix of places, paths and actions: a TOML file, or one of "
        "constant, ramp, spike, soak, login-storm",
        "NAME",
    ),
    Option(
        "closed-loop",
        int,
        None,
        "so many viewers who each wait for an answer before they ask again, instead of arrivals "
        "that wait for nobody; hides a server that freezes",
        "VIEWERS",
    ),
    Option("think", float, 0.0, "closed loop: seconds between an answer and the next", "SECONDS"),
    Option(
        "sessions",
        str,
        ".localpop/sessions.txt",
        "file of viewers, one `<UserID> <session token>` per line; `none` asks without a session",
        "FILE",
    ),
    Option("rate", float, None, "requests per second where the profile says 1", "PER_SECOND"),
    Option(
        "arrivals",
        str,
        None,
        "how arrivals are spaced: poisson (as independent people come) or even",
        "KIND",
    ),
    Option("places", str, None, "where viewers are, comma-separated, all alike", "A,B,..."),
    Option(
        "fallback-share",
        float,
        None,
        "share of requests for actions that are never pre-computed, 0 to 1",
        "SHARE",
    ),
    Option("lambda-share", float, None, "share of requests on /lambda-answers, 0 to 1", "SHARE"),
    Option(
        "stream-share",
        float,
        None,
        "share of the fallbacks that accept text/event-stream, 0 to 1",
        "SHARE",
    ),
    Option("warmup", float, None, "seconds at the start that are not counted", "SECONDS"),
    Option("seed", int, 1, "seed of the schedule: same seed, same requests", "N"),
    Option("samples", str, None, "write every request, exact, to this file (JSON Lines)", "FILE"),
    Option(
        "max-lag-ms",
        float,
        DEFAULT_MAX_LAG_MS,
        "void the run when the generator's own lag at p99 is above this",
        "MS",
    ),
    Option(
        "ca-file",
        str,
        None,
        "HTTPS: trust the certificates of this file, such as .localpop/tls/certificate.pem",
        "FILE",
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
            help=f"{option.help} ({_default(option)}; {option.variable})",
        )
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        default=environ.get("LOADTEST_ALLOW_REMOTE", "") not in ("", "0"),
        help="aim at a host that is not this machine (LOADTEST_ALLOW_REMOTE=1)",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """A load run's options, checked.

    Attributes:
        profile: The load, with what the options change in it.
        closed_loop: How many viewers ask one after the other; None for open loop.
        think_s: How long each of them waits between an answer and the next question.
        sessions: The file of viewers.
        seed: The schedule's seed.
        samples: Where to write the samples.
        max_lag_ms: The generator's lag at p99 above which a run is void.
        ca_file: Certificates to trust instead of the usual ones.
        timeout_s: When a viewer gives up.
        drain_s: How long requests under way may take when the time is over.
        allow_remote: Whether another machine may be aimed at.
    """

    profile: Profile
    closed_loop: int | None
    think_s: float
    sessions: Path
    seed: int
    samples: Path | None
    max_lag_ms: float
    ca_file: Path | None
    timeout_s: float
    drain_s: float
    allow_remote: bool

    @classmethod
    def from_options(cls, options: argparse.Namespace, profile_toml: str | None = None) -> Settings:
        """Check parsed options.

        Args:
            options: From our command line or Locust's, or from its web page (then all are text).
            profile_toml: The profile's text, where its file is on another machine.

        Raises:
            BadInputError: A value is out of its range; the message names the option.
        """
        values = {option.attribute: _value(option, options) for option in OPTIONS}
        name = values["load_profile"] or DEFAULT_PROFILE
        text = profile_text(name) if profile_toml is None else profile_toml
        profile = _changed(parse_profile(Path(name).stem, text), values)
        closed_loop = values["closed_loop"]
        if closed_loop is not None:
            _positive("closed-loop", closed_loop)
        return cls(
            profile=profile,
            closed_loop=closed_loop,
            think_s=_not_negative("think", values["think"]),
            sessions=Path(values["sessions"]),
            seed=values["seed"],
            samples=Path(values["samples"]) if values["samples"] else None,
            max_lag_ms=_positive("max-lag-ms", values["max_lag_ms"]),
            ca_file=_file("ca-file", values["ca_file"]),
            timeout_s=_positive("timeout", values["timeout"]),
            drain_s=_not_negative("drain", values["drain"]),
            allow_remote=bool(options.allow_remote),
        )

    @property
    def places(self) -> tuple[str, ...]:
        """Where viewers are."""
        return tuple(self.profile.places)


def _default(option: Option) -> str:
    if option.default is not None:
        return f"default: {option.default}"
    in_profile = option.name not in ("samples", "closed-loop", "ca-file")
    return "default: the profile's" if in_profile else "default: none"


def _value(option: Option, options: argparse.Namespace) -> Any:
    """An option's value; Locust's web page hands everything in as text, and nothing as ''."""
    value = getattr(options, option.attribute, option.default)
    if value is None or value == "":
        return option.default
    try:
        return option.kind(value)
    except ValueError:
        raise BadInputError(f"--{option.name}: {value!r} is not {_KINDS[option.kind]}.") from None


_KINDS: Mapping[type[Any], str] = {int: "a whole number", float: "a number", str: "text"}


def _changed(profile: Profile, values: Mapping[str, Any]) -> Profile:
    """A profile with what the options change in it."""
    changes: dict[str, Any] = {}
    if values["rate"] is not None:
        changes["rate_per_s"] = _positive("rate", values["rate"])
    if values["arrivals"] is not None:
        changes["arrivals"] = _one_of("arrivals", values["arrivals"], ("poisson", "even"))
    if values["places"] is not None:
        changes["places"] = dict.fromkeys(parse_places(values["places"]), 1.0)
    if values["fallback_share"] is not None:
        changes["miss_share"] = _share("fallback-share", values["fallback_share"])
    if values["lambda_share"] is not None:
        share = _share("lambda-share", values["lambda_share"])
        both = {FUNCTION_PATH: 1 - share, LAMBDA_PATH: share}
        changes["paths"] = {path: weight for path, weight in both.items() if weight > 0}
    if values["stream_share"] is not None:
        changes["stream_share"] = _share("stream-share", values["stream_share"])
    if values["warmup"] is not None:
        changes["warmup_s"] = _not_negative("warmup", values["warmup"])
    return replace(profile, **changes)


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


def _file(name: str, value: str | None) -> Path | None:
    if value and not Path(value).is_file():
        raise BadInputError(f"--{name}: there is no file {value}.")
    return Path(value) if value else None


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
