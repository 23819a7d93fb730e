"""Jitter and the latency model: seeded, floored, with the published medians."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable

import pytest

from emulator.network.draws import BACKBONE, Shape, Spread, draw_ms
from emulator.network.latency import ApiFront, LatencyModel, LatencySettings
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


def test_one_seed_fixes_every_draw_of_a_place() -> None:
    """Whatever happens at other places in between."""
    alone, disturbed = LatencyModel(), LatencyModel()
    tokyo = parse_place("NRT/4g")
    first = [alone.viewer_rtt_ms(LONDON) for _ in range(5)]
    second = []
    for _ in range(5):
        disturbed.viewer_rtt_ms(tokyo)
        second.append(disturbed.viewer_rtt_ms(LONDON))

    assert first == second
    assert first != [LatencyModel(LatencySettings(seed=2)).viewer_rtt_ms(LONDON) for _ in range(5)]


@pytest.mark.parametrize("access", list(Access))
def test_each_access_type_has_its_published_median(access: Access) -> None:
    """facts/latency.md section 6."""
    model = LatencyModel()
    place = parse_place(f"LHR/{access}")

    median = statistics.median(model.viewer_rtt_ms(place) for _ in range(4_000))

    assert median == pytest.approx(ACCESS_LINKS[access].rtt_ms, rel=0.05)


def test_worked_examples() -> None:
    """facts/latency.md section 12: medians over warm connections, ms."""
    model = LatencyModel()

    def median(of: Callable[[], float]) -> float:
        return statistics.median(of() for _ in range(4_000))

    hit = median(lambda: model.viewer_rtt_ms(LONDON) + model.cloudfront_function_ms(LONDON, 1))
    new = median(
        lambda: (
            model.viewer_handshake_ms(LONDON)
            + model.viewer_rtt_ms(LONDON)
            + model.cloudfront_function_ms(LONDON, 1)
        )
    )
    far = median(lambda: model.pop_to_region_ms(LONDON, "us-east-1"))
    assert hit == pytest.approx(7.4, abs=0.4)
    assert new == pytest.approx(19.4, abs=0.8)
    assert far == pytest.approx(79, abs=1)
    assert median(lambda: model.api_front_ms(LONDON, ApiFront.HTTP_API)) == pytest.approx(
        8, abs=0.5
    )


def test_off_means_nothing_takes_time() -> None:
    """`--latency off`."""
    model = LatencyModel(LatencySettings(enabled=False))

    assert model.viewer_rtt_ms(LONDON) == 0
    assert model.viewer_handshake_ms(LONDON) == 0
    assert model.cloudfront_function_ms(LONDON, 3) == 0
    assert model.lambda_overhead_ms(LONDON, cold_start=True) == 0
    assert model.pop_to_region_ms(LONDON, "us-east-1") == 0
    assert model.kvs_api_distance_ms("eu-west-2") == 0


def test_a_sparse_cloudfront_function_is_sometimes_slow() -> None:
    """The documented switch for sparse traffic: 27 % of runs around 35 ms."""
    model = LatencyModel(LatencySettings(cff_cold_share=0.27))

    slow = sum(model.cloudfront_function_ms(LONDON, 0) > 17 for _ in range(4_000))

    assert slow / 4_000 == pytest.approx(0.27, abs=0.04)
