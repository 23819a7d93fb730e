"""Jitter: seeded draws around a median.

One-way and round-trip delays have one mode and a long right tail; lognormal is a convenient choice,
not a law, so the shape is a parameter (facts/latency.md section 7).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_Z90: Final = 1.2815515594


class Shape(StrEnum):
    """The shape of a jitter distribution."""

    LOGNORMAL = "lognormal"
    GAMMA = "gamma"
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class Spread:
    """How a duration varies.

    Args:
        sigma: Standard deviation of the logarithm, read off as ln(p90/p50)/1.2816.
        floor: The share of the median that no draw goes below: draws never beat physics.
        spike_share: The share of draws that are spikes (mobile networks).
        spike_from: The least factor of a spike.
        spike_to: The greatest factor of a spike.
    """

    sigma: float
    floor: float = 0.0
    spike_share: float = 0.0
    spike_from: float = 5.0
    spike_to: float = 10.0


BACKBONE: Final = Spread(0.03, floor=0.9)
"""Between AWS's places: median spread of the measured pairs, facts/latency.md section 4."""


def draw_ms(
    median_ms: float, spread: Spread, chance: random.Random, shape: Shape = Shape.LOGNORMAL
) -> float:
    """One duration with this median, and a p90 of `median * exp(1.2816 * sigma)`, ms.

    The excess over the floor is drawn, so that floor and p90 both hold. A gamma excess keeps the
    mean of the lognormal's body instead of its exact median.
    """
    if shape is Shape.CONSTANT or median_ms <= 0 or spread.sigma <= 0:
        return median_ms
    floor_ms = spread.floor * median_ms
    if shape is Shape.GAMMA:
        drawn = floor_ms + (median_ms - floor_ms) * _gamma_around_one(spread, chance)
    else:
        drawn = floor_ms + (median_ms - floor_ms) * math.exp(
            chance.gauss(0.0, _excess_sigma(spread))
        )
    if spread.spike_share and chance.random() < spread.spike_share:
        drawn *= chance.uniform(spread.spike_from, spread.spike_to)
    return drawn


def _excess_sigma(spread: Spread) -> float:
    """The sigma of the part above the floor that gives the whole its p90."""
    if spread.floor <= 0:
        return spread.sigma
    p90 = math.exp(_Z90 * spread.sigma)
    return math.log((p90 - spread.floor) / (1 - spread.floor)) / _Z90


def _gamma_around_one(spread: Spread, chance: random.Random) -> float:
    variance = math.expm1(_excess_sigma(spread) ** 2)
    shape = 1 / variance
    return chance.gammavariate(shape, 1 / shape)
