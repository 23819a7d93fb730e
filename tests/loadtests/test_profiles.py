"""Profiles, and the arrivals that follow their rate over time."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.arrivals import Session, moments, schedule
from loadtests.errors import BadInputError
from loadtests.profiles import (
    Phase,
    Profile,
    parse_profile,
    profile_names,
    read_profile,
)

NOBODY = (Session("", ""),)


@pytest.mark.parametrize("name", ["constant", "ramp", "spike", "soak", "login-storm"])
def test_every_profile_of_ours_can_be_read(name: str) -> None:
    """And says what it is for."""
    profile = read_profile(name)

    assert name in profile_names()
    assert profile.description
    assert profile.warmup_s < profile.seconds


def test_the_constant_profile_is_what_a_profile_leaves_out() -> None:
    """The file shows every default."""
    shown = read_profile("constant")
    bare = parse_profile("constant", f'description = "{shown.description}"')

    assert shown == bare


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate = ", "not TOML"),
        ("rate = 0", "rate is 0"),
        ("miss-share = 2", "miss-share is 2"),
        ("speed = 1", "speed is not known"),
        ("[[phases]]\ntimes = 1", "phase 1, seconds is 0"),
        ("[[phases]]\nseconds = 1\nuntil = 3", "phase 1, until is not known"),
        ("[[phases]]\nseconds = 1\ntimes = 0", "every phase has a rate of 0"),
        ("phases = 3", r"write each phase as \[\[phases\]\]"),
        ('[places]\n"Tokyo" = 1', "'Tokyo'"),
        ('[places]\n"NRT/5g" = 0', "at least one weight above 0"),
        ('[paths]\n"answers" = 1', "'answers'"),
        ("[actions.hits]\na = 1", "actions.hits is not known"),
        ('[actions]\nhit = "a"', "actions.hit is 'a'"),
    ],
)
def test_a_bad_profile_is_named(text: str, message: str) -> None:
    """What is wrong, and where."""
    with pytest.raises(BadInputError, match=message):
        parse_profile("mine", text)


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    """By its path."""
    (tmp_path / "mine.toml").write_text('rate = 5\n[paths]\n"/static/a.css" = 1')

    profile = read_profile(str(tmp_path / "mine.toml"))

    assert (profile.name, profile.rate_per_s) == ("mine", 5)
    assert next(schedule(profile, NOBODY, 1)).target == "/static/a.css"


def test_a_spike_is_where_the_file_says() -> None:
    """Eight times the arrivals of the second before."""
    spike = read_profile("spike")
    counts = Counter(int(at_s // 10) for at_s in takes(spike, 50))

    assert counts[1] == pytest.approx(300, rel=0.15)
    assert counts[2] == pytest.approx(2_400, rel=0.06)
    assert counts[4] == pytest.approx(300, rel=0.15)


def test_a_ramp_goes_along_a_line() -> None:
    """Even arrivals: the count up to a moment is the area under the line."""
    ramp = Profile(rate_per_s=10, arrivals="even", phases=(Phase(10, 0, 2),))
    times = takes(ramp, 10)

    assert len(times) == pytest.approx(100, abs=1)
    assert sum(at_s < 5 for at_s in times) == pytest.approx(25, abs=1)


def test_a_profile_stretched_keeps_its_shape() -> None:
    """Twice as long: the spike too."""
    spike = read_profile("spike").lasting(100)

    assert [phase.seconds for phase in spike.phases] == [40, 20, 40]


def test_a_rate_that_ends_at_zero_ends_the_schedule() -> None:
    """Nobody comes after it."""
    over = Profile(phases=(Phase(1, 1, 1), Phase(1, 1, 0)))

    assert 20 < len(list(moments(over, seed=1))) < 120


@given(
    st.lists(
        st.builds(Phase, st.floats(0.1, 50), st.floats(0, 9), st.floats(0, 9)),
        min_size=1,
        max_size=5,
    ),
    st.floats(0, 60),
)
def test_moments_never_go_back(phases: list[Phase], start_s: float) -> None:
    """Whatever the rate does; and none comes before the driver began."""
    profile = Profile(phases=tuple(phases))
    found = list(itertools.islice(moments(profile, 1, start_s=start_s), 60))

    assert found == sorted(found)
    assert all(at_s >= start_s - 1e-6 for at_s in found)


def test_each_viewer_asks_several_questions_and_the_rate_counts_them() -> None:
    """A login storm: three questions each, the first on a new connection, in order."""
    storm = Profile(rate_per_s=60, questions=3, question_gap_s=0.2, new_connection_share=1.0)
    arrivals = list(itertools.takewhile(lambda one: one.at_s < 30, schedule(storm, NOBODY, seed=3)))

    assert len(arrivals) == pytest.approx(1_800, rel=0.1)
    assert sum(one.on_new_connection for one in arrivals) == pytest.approx(600, rel=0.1)
    assert [one.at_s for one in arrivals] == sorted(one.at_s for one in arrivals)


def test_weights_are_kept() -> None:
    """Of places, paths and actions."""
    text = '[places]\n"LHR/fibre" = 3\n"NRT/5g" = 1\n[actions.hit]\na = 9\nb = 1\n'
    profile = parse_profile("mine", "miss-share = 0\n" + text)
    arrivals = list(itertools.islice(schedule(profile, NOBODY, seed=1), 2_000))

    assert sum(one.place == "LHR/fibre" for one in arrivals) == pytest.approx(1_500, rel=0.05)
    assert sum(one.target.endswith("/b") for one in arrivals) == pytest.approx(200, rel=0.25)


def takes(profile: Profile, seconds: float) -> list[float]:
    """All moments before that one."""
    return list(itertools.takewhile(lambda at_s: at_s < seconds, moments(profile, seed=1)))
