"""Prices: from the dated file, never from code."""

from __future__ import annotations

from pathlib import Path

import pytest

from origin.prices import PriceError, load_prices


@pytest.mark.parametrize(
    ("model_id", "usd"),
    [
        pytest.param("anthropic.claude-3-haiku-20240307-v1:0", (0.25, 1.25), id="plain"),
        pytest.param("us.anthropic.claude-haiku-4-5-20251001-v1:0", (1.1, 5.5), id="regional"),
        pytest.param("global.anthropic.claude-haiku-4-5-20251001-v1:0", (1, 5), id="global"),
        pytest.param(
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.anthropic.claude-haiku-5-5",
            (0.11, 0.55),
            id="an ARN",
        ),
        pytest.param("us.amazon.nova-micro-v1:0", (0.035, 0.14), id="no surcharge"),
    ],
)
def test_a_price_for_a_million(model_id: str, usd: tuple[float, float]) -> None:
    """Each way to name a model finds its price, with the surcharge of a regional profile."""
    prices = load_prices(model_id)

    assert prices.usd(1_000_000, 0) == pytest.approx(usd[0])
    assert prices.usd(0, 1_000_000) == pytest.approx(usd[1])
    assert prices.usd(0, 1_000_000, batch=True) == pytest.approx(usd[1] / 2)
    assert prices.gathered == "2026-11-20"


def test_no_price_is_said(tmp_path: Path) -> None:
    """A model without a price, and a file that is none, are errors that say what to mend."""
    with pytest.raises(PriceError, match="no price for model 'meta"):
        load_prices("meta.llama")
    with pytest.raises(PriceError, match="No such file"):
        load_prices("claude-3-haiku", tmp_path / "prices.toml")
    (tmp_path / "prices.toml").write_text("x = 1", encoding="utf-8")
    with pytest.raises(PriceError, match="usd_per_million_tokens"):
        load_prices("claude-3-haiku", tmp_path / "prices.toml")
