"""The models that Bedrock offers, by identifier, with the speed of their class.

Speeds are the defaults of facts/latency.md section 11 (medians and spreads inferred from public
benchmarks of 2026); identifiers and ends of life are from facts/local-aws.md section 3.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from emulator.errors import ApiError

_ARN = re.compile(
    r"arn:aws:bedrock:[a-z0-9-]*:(?:\d{12})?:(?:foundation-model|inference-profile)/(.+)"
)
_PROFILE = re.compile(r"(?:us|eu|apac|jp|au|ca|global)\.(.+)")


class ModelFormat(StrEnum):
    """Whose request and response bodies InvokeModel speaks with a model."""

    ANTHROPIC = "anthropic"
    NOVA = "nova"


@dataclass(frozen=True, slots=True)
class SpeedClass:
    """How fast a class of models answers; both figures are log-normal.

    Args:
        first_token_ms: The median time to the first token.
        first_token_sigma: Its spread.
        tokens_per_s: The median rate after it.
        rate_sigma: Its spread, from one answer to the next.
    """

    first_token_ms: float
    first_token_sigma: float
    tokens_per_s: float
    rate_sigma: float


HAIKU: Final = SpeedClass(600.0, 0.5, 75.0, 0.25)
# The time to Sonnet's first token is unverified (facts/latency.md 11).
SONNET: Final = SpeedClass(1_100.0, 0.5, 60.0, 0.25)
NOVA_MICRO: Final = SpeedClass(270.0, 0.3, 350.0, 0.25)


@dataclass(frozen=True, slots=True)
class Model:
    """One foundation model.

    Args:
        id: Its identifier without any inference profile.
        speed: The class it belongs to.
        format: The bodies that InvokeModel speaks with it.
        profile_only: Whether it answers only through an inference profile, as every Claude from
            version 4 on does.
        end_of_life: From this day on Bedrock refuses it.
    """

    id: str
    speed: SpeedClass
    format: ModelFormat = ModelFormat.ANTHROPIC
    profile_only: bool = False
    end_of_life: datetime.date | None = None

    @property
    def short_name(self) -> str:
        """The name a response body gives: without the provider and the version's tail."""
        return re.sub(r"-v\d+(?::\d+)?$", "", self.id.partition(".")[2])


MODELS: Final = {
    model.id: model
    for model in (
        Model(
            "anthropic.claude-3-haiku-20240307-v1:0",
            HAIKU,
            end_of_life=datetime.date(2026, 9, 10),
        ),
        Model(
            "anthropic.claude-3-5-haiku-20241022-v1:0",
            HAIKU,
            end_of_life=datetime.date(2026, 6, 19),
        ),
        Model("anthropic.claude-haiku-4-5-20251001-v1:0", HAIKU, profile_only=True),
        Model("anthropic.claude-haiku-5-5", HAIKU, profile_only=True),
        Model("anthropic.claude-sonnet-4-5-20250929-v1:0", SONNET, profile_only=True),
        Model("anthropic.claude-sonnet-4-6", SONNET, profile_only=True),
        Model("amazon.nova-micro-v1:0", NOVA_MICRO, ModelFormat.NOVA),
    )
}


def find_model(identifier: str, today: datetime.date) -> Model:
    """The model of an identifier, a profile's identifier, or the ARN of either.

    Args:
        identifier: Percent-decoded.
        today: Decides whether the model is past its end of life.

    Raises:
        ApiError: As Bedrock words it: 400 for an unknown identifier, and for one that needs an
            inference profile (the apostrophe is AWS's own, U+2019); 404 past the end of life.
    """
    arn = _ARN.fullmatch(identifier)
    name = arn[1] if arn else identifier
    profile = _PROFILE.fullmatch(name)
    model = MODELS.get(profile[1] if profile else name)
    if model is None:
        raise ApiError(400, "ValidationException", "The provided model identifier is invalid.")
    if model.end_of_life is not None and today >= model.end_of_life:
        raise ApiError(
            404,
            "ResourceNotFoundException",
            "This model version has reached the end of its life. "
            "Please refer to the AWS documentation for more details.",
        )
    if model.profile_only and profile is None:
        raise ApiError(
            400,
            "ValidationException",
            f"Invocation of model ID {model.id} with on-demand throughput isn’t supported. Retry "
            "your request with the ID or ARN of an inference profile that contains this model.",
        )
    return model
