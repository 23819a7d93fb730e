"""One request's legs: named, repeatable, scaled, and switched."""

from __future__ import annotations

import itertools
import random
import statistics

import pytest

from emulator.network.distance import pop_to_pop_rtt_ms, serving_place
from emulator.network.draws import Shape
from emulator.network.latency import LatencyModel, LatencySettings, Leg, RequestLatency
from emulator.network.places import parse_place
from emulator.network.settings import ApiFront, ConnectionMode, Handshake

LONDON = parse_place("LHR/fibre")
TOKYO = parse_place("NRT/4g")
STEADY = LatencySettings(shape=Shape.CONSTANT)


def steady(**changes: object) -> RequestLatency:
    """A request whose every leg is its median."""
    settings = LatencySettings(shape=Shape.CONSTANT, **changes)  # type: ignore[arg-type]
    return LatencyModel(settings).request(LONDON)


def every_draw(one: RequestLatency) -> list[float]:
    """Every leg there is, each drawn once."""
    to_origin_ms = one.pop_to_region_ms("us-east-1")
    return [
        *(leg.ms for leg in one.viewer_setup(is_new=True)),
        one.viewer_rtt_ms(),
        one.cloudfront_function_ms(2),
        one.lambda_overhead_ms(cold_start=True),
        one.lambda_overhead_ms(cold_start=False),
        to_origin_ms,
        one.region_to_region_ms("eu-west-2", "us-east-1"),
        *(leg.ms for leg in one.origin_setup(to_origin_ms)),
        one.api_front_ms(ApiFront.REST_API),
        one.cache_lookup_ms(),
        float(one.choose(range(1_000))),
    ]


# --- Repeatable -----------------------------------------------------------------------------------


def test_two_runs_with_one_seed_draw_the_same_numbers() -> None:
    """The same requests in the same order, whatever the machine does."""
    sequence = [LONDON, TOKYO, LONDON, LONDON, TOKYO]

    runs = []
    for _ in range(2):
        model = LatencyModel(LatencySettings(seed=7, cff_cold_share=0.27))
        runs.append([every_draw(model.request(place)) for place in sequence])

    assert runs[0] == runs[1]
    assert len({tuple(drawn) for drawn in runs[0]}) == len(sequence)


def test_requests_that_overlap_disturb_each_other_in_nothing() -> None:
    """Each has a generator of its own, fixed by its place and number when it began."""
    alone = LatencyModel()
    expected = [every_draw(alone.request(LONDON)) for _ in range(2)]
    together = LatencyModel()
    first, second = together.request(LONDON), together.request(LONDON)

    drawn_second = every_draw(second)
    drawn_first = every_draw(first)

    assert [drawn_first, drawn_second] == expected


def test_another_seed_draws_other_numbers() -> None:
    """A seed is worth something."""
    first = every_draw(LatencyModel(LatencySettings(seed=1)).request(LONDON))
    second = every_draw(LatencyModel(LatencySettings(seed=2)).request(LONDON))

    assert not set(first) & (set(second) - {0.3})


def test_a_faulty_link_changes_no_other_draw_of_later_requests() -> None:
    """Requests are numbered whether they meet a fault or not."""
    calm, rough = LatencyModel(), LatencyModel()
    every_draw(calm.request(LONDON))
    every_draw(rough.request(LONDON, loss_share=0.5))

    assert every_draw(calm.request(LONDON)) == every_draw(rough.request(LONDON))


def test_the_data_apis_distance_repeats_too() -> None:
    """It belongs to no viewer's request: calls from one Region are a row of their own."""
    rows = [
        [LatencyModel(LatencySettings(seed=3)).kvs_api_distance_ms("eu-west-2") for _ in range(1)]
        for _ in range(2)
    ]

    assert rows[0] == rows[1]
    assert rows[0][0] == pytest.approx(78, rel=0.15)


# --- Switches -------------------------------------------------------------------------------------


def test_off_means_that_nothing_takes_time() -> None:
    """`--latency off`: every leg is zero, and there are no set-up legs at all."""
    one = LatencyModel(LatencySettings(enabled=False)).request(LONDON)

    assert set(every_draw(one)[:-1]) == {0.0}
    assert one.viewer_setup(is_new=True) == ()
    assert one.transfer().ms_until(10_000_000) == 0


def test_the_time_scale_multiplies_every_duration() -> None:
    """`--time-scale 0.1`: the same draws, a tenth as long."""
    whole = every_draw(LatencyModel().request(TOKYO))[:-1]
    tenth = every_draw(LatencyModel(LatencySettings(time_scale=0.1)).request(TOKYO))[:-1]

    assert tenth == pytest.approx([ms / 10 for ms in whole])
    assert LatencyModel(LatencySettings(time_scale=0.1)).kvs_api_distance_ms(
        "eu-west-2"
    ) == pytest.approx(LatencyModel().kvs_api_distance_ms("eu-west-2") / 10)


@pytest.mark.parametrize(
    ("handshake", "legs"),
    [
        (Handshake.TCP, {"viewer TCP": 6}),
        (Handshake.TLS_1_2, {"viewer TCP": 6, "viewer TLS 1.2": 12}),
        (Handshake.TLS_1_3, {"viewer TCP": 6, "viewer TLS 1.3": 6}),
        (Handshake.TLS_1_3_RESUMED, {"viewer TCP": 6}),
        (Handshake.QUIC, {"viewer QUIC": 6}),
        (Handshake.QUIC_RESUMED, {}),
    ],
)
def test_each_handshake_takes_its_round_trips(handshake: Handshake, legs: dict[str, float]) -> None:
    """facts/latency.md section 1, less the round trip of the request itself."""
    assert dict(steady(viewer_handshake=handshake).viewer_setup(is_new=True)) == legs


def test_name_look_up_is_a_leg_of_its_own() -> None:
    """`dns + 3 RTT`."""
    legs = steady(dns_ms=20.0).viewer_setup(is_new=True)

    assert legs == (Leg("viewer DNS", 20), Leg("viewer TCP", 6), Leg("viewer TLS 1.3", 6))


@pytest.mark.parametrize(
    ("mode", "is_new", "pays"),
    [
        (ConnectionMode.ACTUAL, True, True),
        (ConnectionMode.ACTUAL, False, False),
        (ConnectionMode.NEW, False, True),
        (ConnectionMode.WARM, True, False),
    ],
)
def test_who_pays_for_a_connection_is_a_switch(
    mode: ConnectionMode, is_new: bool, pays: bool
) -> None:
    """The real connection decides, or everybody pays, or nobody does."""
    assert bool(steady(viewer_connections=mode).viewer_setup(is_new=is_new)) is pays


@pytest.mark.parametrize(
    ("rtts", "legs"),
    [
        (1.0, {"origin TCP": 80}),
        (2.0, {"origin TCP": 80, "origin TLS": 80}),
        (3.0, {"origin TCP": 80, "origin TLS": 160}),
    ],
)
def test_an_origin_connection_takes_its_round_trips(rtts: float, legs: dict[str, float]) -> None:
    """TCP, and TLS 1.3 or 1.2."""
    assert dict(steady(origin_handshake_rtts=rtts).origin_setup(80.0)) == legs


def test_a_viewer_without_its_own_point_of_presence_goes_farther() -> None:
    """Each of its round trips goes to the other metro and back."""
    place = serving_place(LONDON, {"LHR"})
    model = LatencyModel(STEADY)

    assert str(place) == "LHR/fibre"
    assert place.pop.code == "CDG"
    assert model.request(place).viewer_rtt_ms() == pytest.approx(
        6 + pop_to_pop_rtt_ms("LHR", "CDG")
    )


def test_a_lossy_link_costs_retransmissions() -> None:
    """A lost SYN waits a second, whatever the distance."""
    model = LatencyModel(STEADY)
    setups = [
        sum(leg.ms for leg in model.request(LONDON, loss_share=0.1).viewer_setup(is_new=True))
        for _ in range(400)
    ]

    share = sum(ms > 1_000 for ms in setups) / len(setups)
    assert min(setups) == 12
    assert share == pytest.approx(1 - 0.9**2, abs=0.06)


def test_each_access_type_may_have_a_shape_of_its_own() -> None:
    """`[latency.access.4g] shape = "constant"` leaves the others as they are."""
    settings = LatencySettings()
    links = dict(settings.access)
    links[TOKYO.access] = type(links[TOKYO.access])(
        70.0, links[TOKYO.access].spread, 20.0, Shape.CONSTANT
    )
    model = LatencyModel(LatencySettings(access=links))

    assert {model.request(TOKYO).viewer_rtt_ms() for _ in range(50)} == {70.0}
    assert len({model.request(LONDON).viewer_rtt_ms() for _ in range(50)}) == 50


def test_a_requests_draws_are_no_worse_than_one_long_row() -> None:
    """Seeds that follow each other do not make draws that follow each other."""
    model = LatencyModel()
    row = [model.request(LONDON).chance.random() for _ in range(4_000)]
    pairs = list(itertools.pairwise(row))

    assert statistics.mean(row) == pytest.approx(0.5, abs=0.02)
    assert abs(statistics.correlation(*zip(*pairs, strict=True))) < 0.05
    assert random.Random(1).random() not in row
