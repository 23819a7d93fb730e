"""Mixes of places, and listeners of their own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from emulator.errors import ConfigError
from emulator.network.places import parse_place
from emulator.network.viewers import Arrivals, PlaceMix, parse_listeners, parse_mix

MIX = {"LHR/fibre": 3, "NRT/4g": 1}


def test_one_place_is_a_mix_of_one() -> None:
    """`place = "LHR/fibre"`."""
    mix = parse_mix("LHR/fibre", "viewer.place")

    assert str(mix) == "LHR/fibre"
    assert Arrivals(mix, 1).next_place() == parse_place("LHR/fibre")


def test_places_come_as_often_as_their_weights_say() -> None:
    """`place = { "LHR/fibre" = 3, "NRT/4g" = 1 }`."""
    arrivals = Arrivals(parse_mix(MIX, "viewer.place"), 1)

    counts = Counter(str(arrivals.next_place()) for _ in range(4_000))

    assert counts["LHR/fibre"] / 4_000 == pytest.approx(0.75, abs=0.03)
    assert set(counts) == set(MIX)


def test_one_seed_fixes_the_order() -> None:
    """And each listener has an order of its own."""
    mix = parse_mix(MIX, "viewer.place")
    orders = [
        [str(arrivals.next_place()) for _ in range(50)]
        for arrivals in (Arrivals(mix, 1), Arrivals(mix, 1), Arrivals(mix, 1, "8081"))
    ]

    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize(
    "value", [{}, 7, ["LHR"], {"LHR": 0}, {"LHR": -1}, {"LHR": True}, {"XXX": 1}, "XXX"]
)
def test_a_bad_mix_names_its_key(value: Any) -> None:
    """The error is enough to mend it."""
    with pytest.raises(ConfigError, match=r"viewer\.place.*\[localpop\.toml\]"):
        parse_mix(value, "viewer.place", where="localpop.toml")


def test_a_place_named_twice_is_refused() -> None:
    """`lhr` and `LHR/fibre` are one place."""
    with pytest.raises(ConfigError, match="names LHR/fibre twice"):
        parse_mix({"LHR/fibre": 1, "lhr": 1}, "viewer.place")


def test_listeners_have_a_port_and_a_place_each() -> None:
    """`[[viewer.listeners]]`."""
    listeners = parse_listeners([{"port": 8081, "place": "NRT/4g"}, {"port": 0, "place": MIX}])

    assert [(one.port, str(one.mix)) for one in listeners] == [
        (8081, "NRT/4g"),
        (0, "LHR/fibre x 3, NRT/4g x 1"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        {"port": 1},
        [{"port": 8081}],
        [{"port": 8081, "place": "LHR", "host": "x"}],
        [{"port": True, "place": "LHR"}],
        [{"port": 70_000, "place": "LHR"}],
        [{"port": 8081, "place": "XXX"}],
        [{"port": 8081, "place": "LHR"}, {"port": 8081, "place": "NRT"}],
    ],
)
def test_a_bad_listener_is_named(value: Any) -> None:
    """By its position."""
    with pytest.raises(ConfigError, match=r"viewer\.listeners"):
        parse_listeners(value)


def test_a_mix_keeps_its_order() -> None:
    """The first place is the default of whoever can only show one."""
    mix = PlaceMix(((parse_place("NRT/4g"), 1.0), (parse_place("LHR"), 9.0)))

    assert [str(place) for place in mix.places] == ["NRT/4g", "LHR/fibre"]
