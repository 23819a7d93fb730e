"""Faults: whom they meet, when, and how they are written."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.errors import ConfigError
from emulator.network.faults import (
    Effect,
    Fault,
    FaultPlan,
    dump_fault,
    parse_fault,
    parse_faults,
)
from emulator.network.places import parse_place

LONDON, TOKYO = parse_place("LHR/fibre"), parse_place("NRT/4g")


def plan(*faults: Fault, now_ms: float = 0.0) -> FaultPlan:
    """A plan with these faults."""
    one = FaultPlan()
    for fault in faults:
        one.add(fault, now_ms)
    return one


@pytest.mark.parametrize(
    ("place", "meets"),
    [
        ("", {"LHR/fibre", "LHR/4g", "NRT/4g"}),
        ("LHR", {"LHR/fibre", "LHR/4g"}),
        ("lhr/4G", {"LHR/4g"}),
        ("4g", {"LHR/4g", "NRT/4g"}),
    ],
)
def test_a_place_is_a_code_an_access_type_or_both(place: str, meets: set[str]) -> None:
    """Silence means everywhere."""
    fault = Fault(Effect.PACKET_LOSS, place=place, loss=0.1)

    assert meets == {
        name
        for name in ("LHR/fibre", "LHR/4g", "NRT/4g")
        if plan(fault).for_request(parse_place(name), "/", 0, 0)
    }


@pytest.mark.parametrize(
    ("path", "met"), [("", True), ("/answers/*", True), ("/answers/?", False), ("*.css", False)]
)
def test_a_path_is_a_pattern_as_in_a_cache_behavior(path: str, met: bool) -> None:
    """`*` and `?`."""
    faults = plan(Fault(Effect.ORIGIN_DOWN, path=path))

    assert bool(faults.for_request(LONDON, "/answers/briefing", 0, 0)) is met


def test_an_origin_fault_hits_its_region_and_origin_only() -> None:
    """What is not named is not touched."""
    fault = Fault(Effect.ORIGIN_DOWN, region="us-east-1", origin="Api")
    active = plan(fault).for_request(LONDON, "/", 0, 0)

    assert active.origin_down("Api", "us-east-1") == fault
    assert active.origin_down("Api", "eu-west-1") is None
    assert active.origin_down("Assets", "us-east-1") is None


def test_slow_origins_add_up() -> None:
    """Two faults, two delays."""
    active = plan(
        Fault(Effect.ORIGIN_SLOW, ms=300), Fault(Effect.ORIGIN_SLOW, ms=50, origin="Api")
    ).for_request(LONDON, "/", 0, 0)

    assert active.origin_slow_ms("Api", "us-east-1") == 350
    assert active.origin_slow_ms("Assets", "us-east-1") == 300


def test_losses_of_two_faults_are_independent() -> None:
    """10 % and 10 % lose 19 %."""
    fault = Fault(Effect.PACKET_LOSS, loss=0.1)

    assert plan(fault, fault).for_request(LONDON, "/", 0, 0).loss_share == pytest.approx(0.19)


def test_exhausted_concurrency_is_a_regions() -> None:
    """Silence means every Region."""
    named = plan(Fault(Effect.LAMBDA_EXHAUSTED, region="eu-west-2")).for_request(LONDON, "/", 0, 0)
    silent = plan(Fault(Effect.LAMBDA_EXHAUSTED)).for_request(LONDON, "/", 0, 0)

    assert named.lambda_exhausted("eu-west-2")
    assert not named.lambda_exhausted("us-east-1")
    assert silent.lambda_exhausted("us-east-1")


def test_a_fault_holds_for_its_time() -> None:
    """Counted from the moment it was planned."""
    faults = plan(Fault(Effect.ORIGIN_DOWN, after_s=5, for_s=10), now_ms=1_000)

    met = [bool(faults.for_request(LONDON, "/", 0, 1_000 * at_s)) for at_s in (5, 6, 15, 16)]

    assert met == [False, True, True, False]
    faults.forget_past(16_000)
    assert faults.planned == ()


def test_a_share_of_requests_meets_it_the_same_ones_in_every_run() -> None:
    """Seeded by place and number: order elsewhere changes nothing."""
    fault = Fault(Effect.ORIGIN_DOWN, share=0.3)
    runs = [
        [bool(plan(fault).for_request(LONDON, "/", number, 0)) for number in range(1_000)]
        for _ in range(2)
    ]

    assert runs[0] == runs[1]
    assert sum(runs[0]) / 1_000 == pytest.approx(0.3, abs=0.05)
    other = [bool(plan(fault).for_request(TOKYO, "/", number, 0)) for number in range(1_000)]
    assert other != runs[0]


def test_the_data_api_is_throttled_for_a_share_of_calls_from_a_region() -> None:
    """Calls belong to no viewer's request."""
    faults = plan(Fault(Effect.KVS_THROTTLED, region="eu-west-2", share=0.5))
    calls = [faults.kvs_throttled("eu-west-2", 0) for _ in range(1_000)]

    assert sum(calls) / 1_000 == pytest.approx(0.5, abs=0.06)
    assert not any(faults.kvs_throttled("us-east-1", 0) for _ in range(100))


def test_propagation_stalls_at_a_place_or_everywhere() -> None:
    """The store's writes wait until it is over; told since when."""
    named = plan(Fault(Effect.PROPAGATION_STALLED, place="nrt", after_s=1))

    assert named.stalled_since_ms("NRT", 500) is None
    assert named.stalled_since_ms("NRT", 1_500) == 1_000
    assert named.stalled_since_ms("LHR", 1_500) is None
    assert plan(Fault(Effect.PROPAGATION_STALLED)).stalled_since_ms("LHR", 0) == 0


def test_viewers_of_a_lost_point_of_presence_go_to_the_next_one() -> None:
    """And a loss there too sends them one farther."""
    one = plan(Fault(Effect.POP_DOWN, place="LHR"))
    two = plan(Fault(Effect.POP_DOWN, place="LHR"), Fault(Effect.POP_DOWN, place="CDG"))

    assert one.serving(LONDON, 0).pop.code == "CDG"
    assert two.serving(LONDON, 0).pop.code == "AMS"
    assert one.serving(TOKYO, 0) == TOKYO
    assert FaultPlan().serving(LONDON, 0) is LONDON


def test_one_fault_or_all_are_taken_back() -> None:
    """By number; numbers are never given twice."""
    faults = plan(Fault(Effect.ORIGIN_DOWN), Fault(Effect.LAMBDA_EXHAUSTED))

    assert faults.clear(1) == 1
    assert faults.clear(1) == 0
    assert faults.clear() == 1
    assert faults.add(Fault(Effect.ORIGIN_DOWN), 0).number == 3


def test_what_is_said_comes_back() -> None:
    """In JSON as planned, in the words of the command line for people."""
    said = {"effect": "origin-slow", "ms": 500, "path": "/api/*", "for_s": 30}
    faults = plan(parse_fault(said))

    assert str(faults.planned[0].fault) == "origin-slow --path /api/* --ms 500 --for 30"
    assert dump_fault(faults.planned[0], 10_000) == {
        "number": 1,
        **said,
        "active": True,
        "ends_in_s": 20.0,
    }


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "effect is None"),
        ({"effect": "gremlins"}, "known: origin-down"),
        ({"effect": "origin-down", "when": 3}, "no key 'when'"),
        ({"effect": "origin-down", "share": 30}, "0 to 1"),
        ({"effect": "origin-down", "share": "all"}, "must be a number"),
        ({"effect": "origin-down", "for_s": -1}, "0 or more"),
        ({"effect": "origin-down", "region": "us-gov-1"}, "no Region"),
        ({"effect": "origin-down", "place": "XXX"}, "no point of presence"),
        ({"effect": "origin-down", "place": "LHR/smoke"}, "no access type"),
        ({"effect": "origin-slow"}, "needs ms"),
        ({"effect": "packet-loss"}, "needs loss"),
        ({"effect": "packet-loss", "loss": 0.1, "origin": "Api"}, "cannot be narrowed by origin"),
        ({"effect": "pop-down"}, "needs place"),
        ({"effect": "pop-down", "place": "LHR/4g"}, "knows no access types"),
        ({"effect": "propagation-stalled", "share": 0.5}, "cannot be narrowed by share"),
    ],
)
def test_a_bad_fault_is_named(table: dict[str, Any], said: str) -> None:
    """By its key; a matcher that would never be heard is refused."""
    with pytest.raises(ConfigError, match=said):
        parse_fault(table)


def test_faults_of_a_file_are_named_by_their_position() -> None:
    """`[[faults]]`."""
    good = {"effect": "origin-down"}

    assert parse_faults([good]) == (Fault(Effect.ORIGIN_DOWN),)
    with pytest.raises(ConfigError, match=r"faults\[1\]\.effect.*\[localpop\.toml\]"):
        parse_faults([good, {}], where="localpop.toml")
    with pytest.raises(ConfigError, match="must be a list of tables"):
        parse_faults(good)
