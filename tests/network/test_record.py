"""The model against the published record: facts/latency.md sections 5, 8 and 12.

Section 4's matrix, which everything stands on, is rounded to whole milliseconds and averaged over
both directions in data/regions.csv, hence the tolerances.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable

import pytest

from emulator.network.distance import great_circle_km, waypoint_rtt_ms
from emulator.network.latency import LatencyModel, LatencySettings, RequestLatency
from emulator.network.places import measured_rtt_ms, parse_place, regions
from emulator.network.predict import PathKind, Workload, predict
from emulator.network.settings import ApiFront
from emulator.values.places import ViewerPlace

# --- Section 5: distance models -------------------------------------------------------------------


def left_out_errors_ms() -> list[tuple[float, float]]:
    """Error and measured value for each Region predicted from the others, by model B."""
    errors = []
    for name, place in regions().items():
        others = {other: region for other, region in regions().items() if other != name}
        nearest_km = min(great_circle_km(place, other) for other in others.values())
        if nearest_km > 3_500:
            # Cape Town and Sao Paulo: no waypoint in the model's reach, nothing to score.
            continue
        for other in others:
            measured = measured_rtt_ms()[name, other]
            predicted = waypoint_rtt_ms(place, other, others, measured_rtt_ms())
            errors.append((predicted - measured, measured))
    return errors


def test_the_waypoint_models_leave_one_out_errors_are_the_published_ones() -> None:
    """Published: MAE 11.2, median 7.1, p90 24 ms, median APE 5.1 %, p90 24 %, 990 pairs."""
    errors = left_out_errors_ms()
    absolute = sorted(abs(error) for error, _ in errors)
    relative = sorted(abs(error) / measured for error, measured in errors)

    assert len(errors) == pytest.approx(990, abs=5)
    assert statistics.mean(absolute) == pytest.approx(11.2, abs=1)
    assert statistics.median(absolute) == pytest.approx(7.1, abs=1)
    assert absolute[int(0.9 * len(absolute))] == pytest.approx(24, abs=2)
    assert statistics.median(relative) == pytest.approx(0.051, abs=0.005)
    assert relative[int(0.9 * len(relative))] == pytest.approx(0.24, abs=0.02)
    assert statistics.mean(error for error, _ in errors) == pytest.approx(-1.0, abs=3)


def test_no_straight_line_does_as_well() -> None:
    """Published: least squares 25.9 ms + 15.47 ms per 1,000 km, R2 0.70, RMSE 44, MAE 31.6."""
    pairs = [
        (great_circle_km(regions()[a], regions()[b]), measured_rtt_ms()[a, b])
        for a, b in itertools.combinations(regions(), 2)
    ]
    slope, intercept = statistics.linear_regression(*zip(*pairs, strict=True))
    errors = [rtt_ms - intercept - slope * km for km, rtt_ms in pairs]

    assert len(pairs) == 528
    assert 1_000 * slope == pytest.approx(15.47, abs=0.3)
    assert intercept == pytest.approx(25.9, abs=2)
    assert statistics.correlation(*zip(*pairs, strict=True)) ** 2 == pytest.approx(0.70, abs=0.02)
    assert math.sqrt(statistics.fmean(error**2 for error in errors)) == pytest.approx(44, abs=2)
    assert statistics.fmean(abs(error) for error in errors) == pytest.approx(31.6, abs=1.5)


# --- Section 8: edge functions --------------------------------------------------------------------


def quantiles_ms(draw: Callable[[RequestLatency], float], settings: LatencySettings) -> list[float]:
    """The hundred percentiles of a leg."""
    model = LatencyModel(settings)
    place = parse_place("IAD/fibre")
    return statistics.quantiles((draw(model.request(place)) for _ in range(6_000)), n=100)


def test_a_cloudfront_function_in_sparse_traffic_has_the_published_percentiles() -> None:
    """Published: 27 % of requests around 35 ms; p50 1.9, p90 39, p95 47 to 55, p99 77."""
    sparse = LatencySettings(cff_cold_share=0.27)

    drawn_ms = quantiles_ms(lambda one: one.cloudfront_function_ms(0), sparse)

    assert drawn_ms[49] == pytest.approx(1.9, abs=0.4)
    assert drawn_ms[89] == pytest.approx(39, abs=3)
    assert 44 <= drawn_ms[94] <= 56
    assert drawn_ms[98] == pytest.approx(65, abs=13)


def test_a_cloudfront_function_under_load_is_the_fast_mode_alone() -> None:
    """Published for it: median 1.3 ms, p90 3.4, p99 12 (ln-sd 0.75 gives 7.4: no second tail)."""
    drawn_ms = quantiles_ms(lambda one: one.cloudfront_function_ms(0), LatencySettings())

    assert drawn_ms[49] == pytest.approx(1.3, abs=0.1)
    assert drawn_ms[89] == pytest.approx(3.4, abs=0.3)
    assert drawn_ms[98] < 12


def test_lambda_at_edge_warm_and_cold_have_the_suggested_shapes() -> None:
    """Suggested: warm LN(30, 0.36), cold LN(330, 0.25); measured cold 180 to 420."""
    warm_ms = quantiles_ms(lambda one: one.lambda_overhead_ms(cold_start=False), LatencySettings())
    cold_ms = quantiles_ms(lambda one: one.lambda_overhead_ms(cold_start=True), LatencySettings())

    assert warm_ms[49] == pytest.approx(30, abs=1)
    assert warm_ms[89] == pytest.approx(30 * math.exp(1.2816 * 0.36), rel=0.05)
    assert cold_ms[49] == pytest.approx(330, rel=0.03)
    assert 180 < cold_ms[4] < cold_ms[94] < 520


# --- Section 12: worked examples ------------------------------------------------------------------

LONDON = parse_place("LHR/fibre")
HTTP_API = Workload(front=ApiFront.HTTP_API)


@pytest.mark.parametrize(
    ("place", "path", "workload", "expected_ms", "tolerance_ms"),
    [
        pytest.param("LHR/fibre", PathKind.EDGE_FUNCTION, Workload(), 7.4, 0.4, id="edge hit"),
        pytest.param(
            "LHR/fibre",
            PathKind.EDGE_FUNCTION,
            Workload(new_connection_share=1.0),
            19.4,
            0.6,
            id="edge hit, new TLS 1.3 connection",
        ),
        pytest.param("LHR/4g", PathKind.EDGE_FUNCTION, Workload(), 51.4, 2, id="edge hit over 4G"),
        pytest.param(
            "LHR/fibre", PathKind.FALLBACK_STREAMED, HTTP_API, 704, 25, id="first token, London"
        ),
        pytest.param(
            "LHR/fibre", PathKind.FALLBACK_BUFFERED, HTTP_API, 4_700, 150, id="buffered, London"
        ),
        pytest.param(
            "SYD/fibre", PathKind.FALLBACK_STREAMED, HTTP_API, 826, 25, id="first token, Sydney"
        ),
        pytest.param("CPT/fibre", PathKind.EDGE_FUNCTION, Workload(), 7.4, 0.4, id="Cape Town"),
    ],
)
def test_worked_examples(
    place: str, path: PathKind, workload: Workload, expected_ms: float, tolerance_ms: float
) -> None:
    """The medians of section 12's table."""
    predicted = predict(LatencySettings(), parse_place(place), path, workload)

    assert predicted.p50_ms == pytest.approx(expected_ms, abs=tolerance_ms)


def median_ms(place: ViewerPlace, way: Callable[[RequestLatency], float]) -> float:
    """The median over many requests of what the edge would charge."""
    model = LatencyModel()
    return statistics.median(way(model.request(place)) for _ in range(4_000))


def test_a_cacheable_miss_in_london_goes_through_the_regional_edge_cache() -> None:
    """Published: 6 + 1.3 + 1 + 78 = about 86 ms and the origin's own time."""
    took_ms = median_ms(
        LONDON,
        lambda one: (
            one.viewer_rtt_ms()
            + one.cloudfront_function_ms(0)
            + one.pop_to_region_ms("eu-west-2")
            + one.region_to_region_ms("eu-west-2", "us-east-1")
        ),
    )

    assert took_ms == pytest.approx(86, abs=2)


def test_cape_town_pays_for_its_regional_edge_cache_in_europe() -> None:
    """Published: 151 ms more than a hit at the point of presence, about 158 in all."""
    took_ms = median_ms(
        parse_place("CPT/fibre"),
        lambda one: (
            one.viewer_rtt_ms() + one.cloudfront_function_ms(0) + one.pop_to_region_ms("eu-west-2")
        ),
    )

    assert took_ms == pytest.approx(158, abs=3)


def test_lambda_at_edge_instead_of_a_cloudfront_function_adds_29_to_40_ms() -> None:
    """Without its store's data API, which section 12 leaves out."""
    function = predict(LatencySettings(), LONDON, PathKind.FALLBACK_STREAMED, HTTP_API)
    at_lambda = Workload(front=ApiFront.HTTP_API, lambda_share=1.0, api_calls=0, handler_ms=0)
    lambda_ = predict(LatencySettings(), LONDON, PathKind.FALLBACK_STREAMED, at_lambda)

    added_ms = sum(lambda_.mean_by_leg_ms.values()) - sum(function.mean_by_leg_ms.values())
    model_ms = lambda_.mean_by_leg_ms["first token"] - function.mean_by_leg_ms["first token"]
    assert 29 <= added_ms - model_ms <= 40
