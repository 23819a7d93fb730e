"""Options, sessions, hosts and the schedule."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import pytest

from loadtests.arrivals import Session, load_sessions, schedule
from loadtests.errors import BadInputError
from loadtests.profiles import DEFAULT_PLACES, FALLBACK_ACTIONS
from loadtests.settings import Settings, add_options, parse_places
from loadtests.target import check_host, is_local

SESSIONS = (Session("user-001", "a"), Session("user-002", "b"))


def settings(*words: str, **environ: str) -> Settings:
    """Settings from a command line."""
    parser = argparse.ArgumentParser()
    add_options(parser, environ)
    return Settings.from_options(parser.parse_args(words))


def test_the_default_places_are_eight_on_six_continents() -> None:
    """At least six places on four continents."""
    assert len(parse_places(DEFAULT_PLACES)) == 8


def test_a_flag_beats_its_environment_twin() -> None:
    """`--rate` and LOADTEST_RATE."""
    assert settings(LOADTEST_RATE="7").profile.rate_per_s == 7
    assert settings("--rate", "9", LOADTEST_RATE="7").profile.rate_per_s == 9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rate", "0"), "--rate"),
        (("--fallback-share", "1.5"), "--fallback-share"),
        (("--places", "Tokyo"), "'Tokyo' is not a place"),
        (("--places", "NRT/fibre,NRT/fibre"), "comes twice"),
        (("--places", ","), "empty"),
        (("--arrivals", "bursts"), "'bursts' is not known"),
        (("--closed-loop", "0"), "--closed-loop"),
        (("--ca-file", "nothing.pem"), r"--ca-file: there is no file nothing\.pem"),
        (("--load-profile", "nothing"), "Profiles: constant, login-storm, ramp, soak, spike"),
    ],
)
def test_a_bad_option_is_named(words: tuple[str, ...], message: str) -> None:
    """What, and what was expected."""
    with pytest.raises(BadInputError, match=message):
        settings(*words)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is empty"), ("user-001", "line 1"), ("user-001 a\nb c d", "line 2")],
)
def test_a_bad_sessions_file_says_how_to_make_one(tmp_path: Path, text: str, message: str) -> None:
    """Or which line is wrong."""
    (tmp_path / "s.txt").write_text(text)

    with pytest.raises(BadInputError, match=message):
        load_sessions(tmp_path / "s.txt")


def test_a_remote_host_needs_to_be_asked_for() -> None:
    """The refusal names AWS's rule."""
    with pytest.raises(BadInputError, match="Lambda@Edge viewer triggers"):
        check_host("https://d1.cloudfront.net", False)

    assert check_host("https://d1.cloudfront.net/", True) == "https://d1.cloudfront.net"
    assert check_host("http://127.0.0.1:8080", False) == "http://127.0.0.1:8080"


@pytest.mark.parametrize("host", [None, "", "127.0.0.1:8080", "ftp://localhost", "http://h:x"])
def test_what_is_no_host_is_told(host: str | None) -> None:
    """With an example."""
    with pytest.raises(BadInputError, match="--host"):
        check_host(host, True)


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("localhost.evil.com", False),
        ("10.0.0.1", False),
        ("example.com", False),
    ],
)
def test_what_is_this_machine(name: str, local: bool) -> None:
    """Names are never looked up."""
    assert is_local(name) is local


def test_one_seed_is_one_schedule() -> None:
    """Same seed, same requests; another seed, others."""
    first, again, other = (
        list(itertools.islice(schedule(settings().profile, SESSIONS, seed), 50))
        for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_the_schedule_holds_rate_and_shares() -> None:
    """Open loop: arrivals know nothing of answers."""
    made = settings("--rate", "100", "--fallback-share", "0.25", "--lambda-share", "0.4")
    arrivals = list(itertools.islice(schedule(made.profile, SESSIONS, 1), 4_000))
    fallbacks = [one for one in arrivals if one.target.rpartition("/")[2] in FALLBACK_ACTIONS]
    by_lambda = [one for one in arrivals if one.target.startswith("/lambda-answers/")]

    assert 4_000 / arrivals[-1].at_s == pytest.approx(100, rel=0.06)
    assert len(fallbacks) / 4_000 == pytest.approx(0.25, abs=0.03)
    assert len(by_lambda) / 4_000 == pytest.approx(0.4, abs=0.03)
    assert {one.place for one in arrivals} == set(made.places)
    assert all(one.wants_stream is False for one in arrivals if one not in fallbacks)


def test_several_drivers_make_the_whole_rate() -> None:
    """Two Poisson streams add up to one."""
    made = settings("--rate", "100")
    counts = [
        sum(
            1
            for _ in itertools.takewhile(
                lambda one: one.at_s < 20,
                schedule(made.profile, SESSIONS, 1, driver=driver, drivers=2),
            )
        )
        for driver in range(2)
    ]

    assert sum(counts) / 20 == pytest.approx(100, rel=0.1)


def test_locust_web_page_hands_everything_in_as_text() -> None:
    """A field that was left empty is the default, a wrong one is named."""
    parser = argparse.ArgumentParser()
    add_options(parser, {})
    options = parser.parse_args([])
    options.rate, options.places, options.closed_loop = "7.5", "", ""

    made = Settings.from_options(options)

    assert (made.profile.rate_per_s, made.closed_loop) == (7.5, None)
    assert len(made.places) == 8
    options.rate = "fast"
    with pytest.raises(BadInputError, match="--rate: 'fast' is not a number"):
        Settings.from_options(options)


def test_a_server_without_sessions() -> None:
    """`--sessions none`."""
    assert load_sessions(Path("none")) == (Session("", ""),)
