"""What tokens cost: a dated file of prices, and one rule for reading it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

PRICES_FILE = Path(__file__).parent / "data" / "prices.toml"

_PROFILE = re.compile(r"(?:.*/)?(?P<profile>[a-z]+)\.(?:anthropic|amazon)\.")


class PriceError(Exception):
    """There is no price for a model, or no file; the message says how to mend it."""


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """What one model's tokens cost.

    Attributes:
        input_usd: For one token read.
        output_usd: For one token written.
        batch_share: The part of the price that batch inference costs.
        gathered: The day of the prices.
    """

    input_usd: float
    output_usd: float
    batch_share: float
    gathered: str

    def usd(self, input_tokens: int, output_tokens: int, *, batch: bool = False) -> float:
        """What so many tokens cost."""
        share = self.batch_share if batch else 1.0
        return share * (input_tokens * self.input_usd + output_tokens * self.output_usd)


def load_prices(model_id: str, path: Path = PRICES_FILE) -> TokenPrices:
    """The prices of a model, by its id, its inference profile's id, or the ARN of either.

    Raises:
        PriceError: The file is missing or wrong, or has no price for the model.
    """
    try:
        shape = tomllib.loads(path.read_text(encoding="utf-8"))
        table = shape["usd_per_million_tokens"]
        names = sorted((name for name in table if name in model_id), key=len)
        if not names:
            raise PriceError(
                f"{path}: no price for model {model_id!r}. Add one under [usd_per_million_tokens]"
            )
        name = names[-1]
        profile = _PROFILE.match(model_id)
        is_surcharged = (
            profile is not None
            and profile["profile"] in shape["regional_profiles"]
            and name in shape["surcharged"]
        )
        factor = 1 + (shape["regional_profile_surcharge"] if is_surcharged else 0.0)
        return TokenPrices(
            input_usd=float(table[name]["input"]) * factor / 1e6,
            output_usd=float(table[name]["output"]) * factor / 1e6,
            batch_share=float(shape["batch_share"]),
            gathered=str(shape["gathered"]),
        )
    except OSError as error:
        raise PriceError(f"{path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PriceError(f"{path}: {error!r}. Mend the file of prices") from error
