"""Jitter and the latency model: seeded, floored, with the published medians."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from emulator.network.draws import BACKBONE, Shape, Spread, draw_ms
from emulator.network.latency import LatencyModel, LatencySettings
from emulator.network.places import parse_place
from emulator.network.settings import ACCESS_LINKS
from emulator.values.places import Access

LONDON = parse_place("LHR/fibre")


def draws(spread: Spread, shape: Shape = Shape.LOGNORMAL, count: int = 20_000) -> list[float]:
    """Draws around a median of 100 ms."""
    chance = random.Random(7)
    return sorted(draw_ms(100.0, spread, chance, shape) for _ in range(count))


@pytest.mark.parametrize("spread", [BACKBONE, Spread(0.36), Spread(0.35, floor=0.5)])
def test_median_and_p90_are_what_was_asked_for(spread: Spread) -> None:
    """p90 = median * exp(1.2816 * sigma), floor or no floor."""
    drawn = draws(spread)

    assert statistics.median(drawn) == pytest.approx(100, rel=0.02)
    assert drawn[int(0.9 * len(drawn))] == pytest.approx(
        100 * math.exp(1.2816 * spread.sigma), rel=0.03
    )


def test_no_draw_beats_the_floor() -> None:
    """Draws never beat physics."""
    assert draws(BACKBONE)[0] >= 90.0


def test_spikes_are_as_rare_as_said() -> None:
    """2 % of mobile round trips are 5 to 10 times as long."""
    drawn = draws(Spread(0.01, spike_share=0.02))

    assert sum(one > 450 for one in drawn) / len(drawn) == pytest.approx(0.02, abs=0.004)


def test_a_constant_shape_is_constant() -> None:
    """For runs that want no jitter at all."""
    assert set(draws(BACKBONE, Shape.CONSTANT, 10)) == {100.0}


def test_gamma_has_a_floor_and_a_spread_too() -> None:
    """The other documented shape."""
    drawn = draws(BACKBONE, Shape.GAMMA)

    assert drawn[0] >= 90.0
    assert statistics.mean(drawn) == pytest.approx(100, rel=0.05)


def test_other_places_disturb_no_draw() -> None:
    """Whatever happens there in between."""
    alone, disturbed = LatencyModel(), LatencyModel()
    tokyo = parse_place("NRT/4g")
    first = [alone.request(LONDON).viewer_rtt_ms() for _ in range(5)]
    second = []
    for _ in range(5):
        disturbed.request(tokyo).viewer_rtt_ms()
        second.append(disturbed.request(LONDON).viewer_rtt_ms())

    assert first == second


@pytest.mark.parametrize("access", list(Access))
def test_each_access_type_has_its_published_median(access: Access) -> None:
    """facts/latency.md section 6."""
    model = LatencyModel()
    place = parse_place(f"LHR/{access}")

    median = statistics.median(model.request(place).viewer_rtt_ms() for _ in range(4_000))

    assert median == pytest.approx(ACCESS_LINKS[access].rtt_ms, rel=0.05)


def test_a_sparse_cloudfront_function_is_sometimes_slow() -> None:
    """The documented switch for sparse traffic: 27 % of runs around 35 ms."""
    model = LatencyModel(LatencySettings(cff_cold_share=0.27))

    slow = sum(model.request(LONDON).cloudfront_function_ms(0) > 17 for _ in range(4_000))

    assert slow / 4_000 == pytest.approx(0.27, abs=0.04)
