"""Which models there are."""

from __future__ import annotations

import datetime

import pytest

from emulator.aws.bedrock.models import HAIKU, MODELS, NOVA_MICRO, SONNET, find_model
from emulator.errors import ApiError

_TODAY = datetime.date(2026, 11, 21)


@pytest.mark.parametrize(
    ("identifier", "speed"),
    [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", HAIKU),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", HAIKU),
        ("eu.anthropic.claude-sonnet-4-6", SONNET),
        ("amazon.nova-micro-v1:0", NOVA_MICRO),
        ("us.amazon.nova-micro-v1:0", NOVA_MICRO),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0", NOVA_MICRO),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-5-5",
            HAIKU,
        ),
    ],
)
def test_identifiers_profiles_and_arns(identifier: str, speed: object) -> None:
    """Each leads to its model and the speed of its class."""
    assert find_model(identifier, _TODAY).speed is speed


@pytest.mark.parametrize(
    "identifier", ["", "claude", "xx.amazon.nova-micro-v1:0", "arn:aws:s3:::x", "us.", "é" * 100]
)
def test_unknown_identifiers(identifier: str) -> None:
    """Bedrock's own words for a name it does not know."""
    with pytest.raises(ApiError, match="The provided model identifier is invalid"):
        find_model(identifier, _TODAY)


def test_the_end_of_life_is_a_day() -> None:
    """The day before it works, from the day on it does not."""
    identifier = "anthropic.claude-3-haiku-20240307-v1:0"
    assert find_model(identifier, datetime.date(2026, 9, 9)).id == identifier

    with pytest.raises(ApiError) as refusal:
        find_model(identifier, datetime.date(2026, 9, 10))

    assert (refusal.value.status, refusal.value.code) == (404, "ResourceNotFoundException")


def test_short_names_have_neither_provider_nor_version() -> None:
    """What a response body calls the model."""
    names = {model.short_name for model in MODELS.values()}

    assert {"claude-haiku-4-5-20251001", "claude-sonnet-4-6", "nova-micro"} <= names
