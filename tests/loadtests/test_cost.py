"""Cost, held to the table that was computed by hand when the prices were gathered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.cost import (
    MILLION,
    Cost,
    State,
    capacity_line,
    cost_document,
    cost_of,
    unit_costs,
    usd,
)
from loadtests.errors import BadInputError
from loadtests.prices import PRICES, Assumptions, Prices, read_prices
from loadtests.samples import DeliveryPath, Recording, Sample

EDGE, LAMBDA = DeliveryPath.EDGE_FUNCTION, DeliveryPath.EDGE_LAMBDA
FALLBACK = DeliveryPath.FALLBACK_BUFFERED

# Model, on demand, batch, pre-computed (batch and S3 PUT), fallback: dollars for a million; uses.
TABLE = [
    ("Claude 3 Haiku", 475, 238, 242, 517, 0.47),
    ("Claude 3.5 Haiku", 1_520, 760, 765, 1_562, 0.49),
    ("Claude Haiku 4.5", 1_900, 950, 955, 1_942, 0.49),
    ("Claude Haiku 5.5", 190, 95, 100, 232, 0.43),
    ("Nova Micro", 56, 28, 33, 98, 0.34),
    ("Nova Lite", 96, 48, 53, 138, 0.39),
    ("Nova 2 Lite", 870, 435, 440, 912, 0.48),
    ("Claude Sonnet 5.5", 3_800, 1_900, 1_905, 3_842, 0.50),
    ("Claude Sonnet 4.6", 5_700, 2_850, 2_855, 5_742, 0.50),
]


@pytest.fixture(scope="module")
def prices() -> Prices:
    """The price file that comes with this."""
    return read_prices()


def as_in_the_table(prices: Prices, model: str) -> Assumptions:
    """What the table assumes."""
    return replace(
        prices.assumptions,
        model=model,
        api="http_api_request",
        storage="s3",
        edge_lambda_store_calls=0.0,
    )


@pytest.mark.parametrize(
    ("model", "on_demand", "batch", "precomputed", "fallback", "uses"),
    TABLE,
    ids=[row[0] for row in TABLE],
)
def test_the_table(
    prices: Prices,
    model: str,
    on_demand: float,
    batch: float,
    precomputed: float,
    fallback: float,
    uses: float,
) -> None:
    """Every model's row, to the dollar."""
    units = unit_costs(prices, as_in_the_table(prices, model))

    assert units.model * MILLION == pytest.approx(on_demand, abs=0.51)
    assert units.batch * MILLION == pytest.approx(batch, abs=0.51)
    assert units.precomputed * MILLION == pytest.approx(precomputed, abs=0.51)
    assert units.fallback * MILLION == pytest.approx(fallback, abs=0.51)
    assert units.break_even_uses(units.edge_function) == pytest.approx(uses, abs=0.0051)


def test_hits_and_the_fallback_without_its_model(prices: Prices) -> None:
    """$1.30, $1.80 with Lambda@Edge, $41.69."""
    units = unit_costs(prices, as_in_the_table(prices, "Nova Lite"))

    assert units.edge_function * MILLION == pytest.approx(1.30, abs=0.005)
    assert units.edge_lambda * MILLION == pytest.approx(1.80, abs=0.005)
    assert (units.fallback - units.model) * MILLION == pytest.approx(41.69, abs=0.005)


def test_lambda_at_edge_pays_for_each_call_of_the_stores_api(prices: Prices) -> None:
    """$1 for a thousand calls: a thousand dollars for a million answers, five fallbacks."""
    assumed = replace(as_in_the_table(prices, "Claude Haiku 5.5"), edge_lambda_store_calls=1.0)
    units = unit_costs(prices, assumed)

    assert units.edge_lambda * MILLION == pytest.approx(1_001.80, abs=0.005)
    assert units.edge_lambda > 4 * units.fallback


def test_writes_into_the_key_value_store_go_fifty_at_a_time(prices: Prices) -> None:
    """$20 for a million answers."""
    units = unit_costs(prices, replace(prices.assumptions, storage="kvs"))

    assert units.storage * MILLION == pytest.approx(20)


def sample(path: DeliveryPath, number: int = 0, *, stale: bool | None = False) -> Sample:
    """An answer of 500 bytes to one of five viewers, 2 s from the origin."""
    total_ms = 2_000.0 if path is FALLBACK else 20.0
    return Sample(
        intended_s=10.0,
        lag_ms=0.0,
        place="LHR/fibre",
        path=path,
        target=f"/lambda-answers/a{number % 2}" if path is LAMBDA else f"/answers/a{number % 2}",
        status=200,
        error=None,
        ttfb_ms=total_ms,
        first_token_ms=total_ms,
        total_ms=total_ms,
        bytes=500,
        parts_ms={"store": 30.0 if number % 2 else 0.0},
        viewer=f"user-{number % 5}",
        is_stale=stale if path is not FALLBACK else None,
    )


def run(hits: int, fallbacks: int, *, stale: bool | None = False) -> Recording:
    """So many hits and fallbacks."""
    samples = [sample(EDGE, number, stale=stale) for number in range(hits)]
    samples += [sample(FALLBACK, number) for number in range(fallbacks)]
    return Recording({"viewers": 50, "warmup_s": 1.0}, tuple(samples), {})


def states(cost: Cost) -> list[str]:
    """Of the reversal triggers."""
    return [trigger.state for trigger in cost.triggers]


def test_a_runs_own_figures_take_the_place_of_assumptions(prices: Prices) -> None:
    """Bytes, the origin's time, Lambda@Edge's waiting and its calls of the store."""
    measured = cost_of(run(80, 20), prices).assumptions
    lambdas = cost_of(Recording({}, tuple(sample(LAMBDA, n) for n in range(60)), {}), prices)

    assert (measured.answer_bytes, measured.origin_wait_s) == (500, 2.0)
    assert measured.edge_lambda_ms == prices.assumptions.edge_lambda_ms
    assert lambdas.assumptions.edge_lambda_ms == prices.assumptions.edge_lambda_ms + 15
    assert lambdas.assumptions.edge_lambda_store_calls == 0.5
    assert lambdas.triggers[-1].state is State.PULLED


def test_wasted_generations(prices: Prices) -> None:
    """Ten different answers were served; of forty that were made thirty were made in vain."""
    cost = cost_of(run(80, 20), prices, generated=40)

    assert (cost.served, cost.wasted, cost.uses) == (10, 30, 2.0)
    assert cost.break_even_uses is not None
    assert cost.break_even_hits == pytest.approx(40 * cost.break_even_uses, abs=1)
    assert cost.hit_usd == pytest.approx(cost.units.edge_function)
    assert cost.served_usd == pytest.approx(cost.units.edge_function + cost.units.precomputed / 2)
    assert cost.run_usd == pytest.approx(80 * cost.units.edge_function + 20 * cost.units.fallback)


def test_break_even_is_that_of_the_cheapest_path(prices: Prices) -> None:
    """Lambda@Edge beside it does not change what a CloudFront Function could do."""
    both = [sample(EDGE, n) for n in range(40)] + [sample(LAMBDA, n) for n in range(40)]
    mixed = cost_of(Recording({}, tuple(both), {}), prices, generated=40)
    alone = cost_of(Recording({}, tuple(both[40:]), {}), prices, generated=40)

    assert mixed.serve is EDGE
    assert mixed.break_even_uses == pytest.approx(
        mixed.units.precomputed / (mixed.units.fallback - mixed.units.edge_function)
    )
    assert alone.serve is LAMBDA
    assert alone.break_even_uses is None


def test_nobody_knows_what_was_wasted_without_being_told(prices: Prices) -> None:
    """Neither how many were made, nor (in an old file) whose answers were served."""
    old = replace(sample(EDGE), viewer="")

    assert cost_of(run(80, 20), prices).wasted is None
    assert cost_of(Recording({}, (old,), {}), prices, generated=10).wasted is None


def test_no_trigger_is_pulled_when_all_is_well(prices: Prices) -> None:
    """80 % hits, none of them stale, each answer used twice."""
    assert states(cost_of(run(80, 20), prices, generated=40)) == ["clear"] * 3


def test_each_trigger_is_pulled_and_says_what_to_do(prices: Prices) -> None:
    """Few hits, stale ones, and a thousand answers made for fifty hits."""
    cost = cost_of(run(50, 50, stale=True), prices, generated=1_000)

    assert states(cost) == ["pulled"] * 3
    assert all(len(trigger.action) > 40 for trigger in cost.triggers)


def test_a_dear_batch_pulls_the_trigger_by_itself(prices: Prices) -> None:
    """A batch token that costs more than one on demand."""
    assert states(cost_of(run(80, 20), replace(prices, batch_factor=1.1)))[2] == "pulled"


def test_what_cannot_be_known_is_neither(prices: Prices) -> None:
    """Too few requests, no expiry, nobody said how many were made."""
    assert states(cost_of(run(9, 1, stale=None), prices)) == ["unknown"] * 3
    assert states(cost_of(Recording({}, (), {}), prices)) == ["unknown"] * 3


def test_capacity(prices: Prices) -> None:
    """50 users x 2 actions x (500 B and a key of 40 B)."""
    capacity = cost_of(run(80, 20), prices).capacity

    assert capacity is not None
    assert capacity.total_bytes == 50 * 2 * 540
    assert capacity.room_for_users == 5_242_880 // 1_080
    assert "50 users x 2 actions x 500 B" in capacity_line(capacity)
    assert "500 B, fits a value's 1 KB" in capacity_line(capacity)
    assert "does NOT fit" in capacity_line(replace(capacity, largest_bytes=1_025))
    assert replace(capacity, total_bytes=5_242_881).stores == 2


def test_the_document_is_plain(prices: Prices) -> None:
    """Numbers, words and None; a run of errors has a bill too."""
    nothing = cost_of(Recording({}, (sample(DeliveryPath.ERROR),), {}), prices)

    assert cost_document(nothing)["hit_usd"] is None
    assert cost_document(nothing)["capacity"] is None
    assert cost_document(cost_of(run(80, 20), prices))["hit_rate"] == 0.8


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("usd = 0.0100", "usd = -1", "prices.https_request.usd is -1"),
        ("per = 10_000", "per = 0", "prices.https_request.per is 0"),
        ("[prices.s3_put]", "[prices.s4_put]", "s3_put is missing"),
        ('storage = "kvs" ', 'storage = "tape" ', "expected kvs or s3"),
        ("input_tokens = 400", 'input_tokens = "many"', "assumptions.input_tokens is 'many'"),
        ('model = "Claude Haiku 5.5"', 'model = "Sonnet"', "known: Claude 3 Haiku"),
        ("factor = 0.5", "factor = nan", "batch.factor is nan"),
        ("answers_per_write = 50", "answers_per_write = 0", "answers_per_write is 0"),
        ('dated = "2026', "dated = 2026,", "cannot be read"),
    ],
)
def test_a_price_file_is_checked(tmp_path: Path, old: str, new: str, words: str) -> None:
    """What is wrong is named, before any figure stands on it."""
    text = PRICES.read_text()
    assert old in text
    file = tmp_path / "prices.toml"
    file.write_text(text.replace(old, new, 1))

    with pytest.raises(BadInputError, match=words):
        read_prices(file)


def test_every_price_has_a_source(prices: Prices) -> None:
    """And the file a date."""
    assert all(len(source) > 10 for source in prices.sources.values())
    assert all(model.source for model in prices.models.values())
    assert prices.dated == "2026-11-20"


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (0.0, "$0.00"),
        (6.6e-05, "$0.000066"),
        (0.004, "$0.0040"),
        (0.04, "$0.04"),
        (41.69, "$41.69"),
        (1_905.2, "$1,905"),
    ],
)
def test_money_is_written_as_people_write_it(amount: float, said: str) -> None:
    """Without exponents, however little it is."""
    assert usd(amount) == said
