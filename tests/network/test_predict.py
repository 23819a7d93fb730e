"""Predictions: repeatable, whole, and of the same legs that the edge charges."""

from __future__ import annotations

import json

import pytest

from emulator.aws.bedrock.models import HAIKU
from emulator.network.draws import Shape
from emulator.network.latency import LatencyModel, LatencySettings
from emulator.network.places import parse_place
from emulator.network.predict import PathKind, Workload, predict, predictions_document

LONDON = parse_place("LHR/fibre")


@pytest.mark.parametrize("path", list(PathKind))
def test_a_prediction_is_the_same_at_every_call(path: PathKind) -> None:
    """It has a seed of its own, and takes no draw from anybody's requests."""
    first = predict(LatencySettings(), LONDON, path, draws=200)

    assert first == predict(LatencySettings(), LONDON, path, draws=200)
    assert first.p50_ms <= first.p95_ms <= first.p99_ms


def test_a_prediction_is_what_the_models_requests_come_to() -> None:
    """Same legs, other draws: the medians meet."""
    model = LatencyModel()
    drawn = sorted(
        one.viewer_rtt_ms() + one.cloudfront_function_ms(1)
        for one in (model.request(LONDON) for _ in range(4_000))
    )
    predicted = predict(LatencySettings(), LONDON, PathKind.EDGE_FUNCTION)

    assert predicted.p50_ms == pytest.approx(drawn[2_000], rel=0.03)
    assert predicted.p95_ms == pytest.approx(drawn[3_800], rel=0.06)


def test_without_jitter_only_the_model_varies() -> None:
    """Constant draws: an edge hit is the sum of its medians."""
    settings = LatencySettings(shape=Shape.CONSTANT)
    hit = predict(settings, LONDON, PathKind.EDGE_FUNCTION, draws=20)

    assert hit.p50_ms == hit.p99_ms == pytest.approx(6 + 1.3 + 0.1)
    assert hit.mean_by_leg_ms == {"viewer": 6.0, "CloudFront Function": 1.4}


def test_cold_starts_and_connections_are_shares() -> None:
    """Everything at once: the dearest request."""
    settings = LatencySettings(shape=Shape.CONSTANT)
    workload = Workload(
        cold_start_share=1, new_connection_share=1, new_origin_connection_share=1, lambda_share=1
    )
    legs = predict(settings, LONDON, PathKind.FALLBACK_STREAMED, workload, draws=5).mean_by_leg_ms

    assert legs["viewer TCP"] == legs["viewer TLS 1.3"] == 6
    assert legs["Lambda@Edge"] == 330
    assert legs["origin TCP"] == legs["origin TLS"] == legs["to the origin"]


def test_the_workloads_model_is_the_emulators_haiku() -> None:
    """One set of figures, facts/latency.md section 11."""
    workload = Workload()

    assert workload.first_token_ms == HAIKU.first_token_ms
    assert workload.first_token_sigma == HAIKU.first_token_sigma
    assert workload.tokens_per_s == HAIKU.tokens_per_s
    assert workload.rate_sigma == HAIKU.rate_sigma


def test_a_model_that_answers_at_once() -> None:
    """Bedrock's time scale 0: what is left is distance."""
    way = PathKind.FALLBACK_BUFFERED
    predicted = predict(LatencySettings(), LONDON, way, Workload(model_scale=0), draws=200)

    assert predicted.p50_ms < 110


def test_the_document_is_plain_json() -> None:
    """What a load test reads: place, path as the load test spells it, percentiles."""
    document = predictions_document([predict(LatencySettings(), LONDON, PathKind.CACHE, draws=50)])

    (row,) = json.loads(json.dumps(document))["predictions"]
    assert (row["place"], row["path"]) == ("LHR/fibre", "cache")
    assert {"p50_ms", "p95_ms", "p99_ms", "mean_by_leg_ms"} < set(row)
