"""The places we know: points of presence, Regions, regional edge caches.

Data: facts/latency.md sections 2 to 4 (airport coordinates; cloudping.co medians over one year,
read 2025-07-17).
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from emulator.errors import ConfigError
from emulator.values.places import Access, PointOfPresence, Region, ViewerPlace

if TYPE_CHECKING:
    from collections.abc import Mapping

REGIONAL_EDGE_CACHE_REGIONS: Final = (
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "sa-east-1",
    "me-central-1",
)
"""Regions with a regional edge cache.

AWS: "Use Amazon CloudFront Origin Shield",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/origin-shield.html, read
2026-11-20. Whether us-west-1 has one too is UNVERIFIED (facts/latency.md section 3).
"""


def data_rows(name: str) -> list[dict[str, str]]:
    """The rows of one of this room's data files."""
    text = files("emulator.network").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def points_of_presence() -> Mapping[str, PointOfPresence]:
    """Every point of presence, by its code."""
    return MappingProxyType(
        {
            row["code"]: PointOfPresence(
                row["code"],
                row["city"],
                row["country"],
                float(row["latitude"]),
                float(row["longitude"]),
            )
            for row in data_rows("points_of_presence.csv")
        }
    )


@cache
def regions() -> Mapping[str, Region]:
    """Every Region with measured round trips, by its name."""
    return MappingProxyType(
        {
            row["region"]: Region(row["region"], float(row["latitude"]), float(row["longitude"]))
            for row in data_rows("regions.csv")
        }
    )


@cache
def measured_rtt_ms() -> Mapping[tuple[str, str], float]:
    """Median round trips between two Regions, ms, both directions averaged."""
    return MappingProxyType(
        {
            (row["region"], other): float(row[other])
            for row in data_rows("regions.csv")
            for other in regions()
        }
    )


@cache
def parse_place(text: str) -> ViewerPlace:
    """A viewer's place from `NRT/fibre`; the access type may be left out (fibre).

    Raises:
        ConfigError: The point of presence or the access type is unknown.
    """
    code, _, access = text.strip().partition("/")
    pop = points_of_presence().get(code.upper())
    if pop is None:
        raise ConfigError(
            f"no point of presence is called {code!r}.",
            mend=f"Known: {', '.join(points_of_presence())}.",
        )
    try:
        return ViewerPlace(pop, Access(access.lower() or Access.FIBRE))
    except ValueError:
        raise ConfigError(
            f"no access type is called {access!r}.", mend=f"Known: {', '.join(Access)}."
        ) from None
