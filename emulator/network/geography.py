"""What CloudFront would believe of a viewer's whereabouts: the CloudFront-Viewer-… geography.

Data: data/geography.csv, one row for each point of presence's city. Names of countries and first
levels as in ISO 3166; coordinates are those of the city's centre, a postal code is one of the
centre's own, a metro code is the Nielsen market (United States only); all public knowledge. A field
that nobody could honestly know for "a viewer in that city" is empty, and its header absent. The
autonomous system is never made up.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from emulator.network.places import data_rows, points_of_presence
from emulator.values.places import ViewerPlace
from emulator.values.viewers import ViewerLocation

if TYPE_CHECKING:
    from collections.abc import Mapping


def viewer_geography(place: ViewerPlace) -> ViewerLocation:
    """Where CloudFront believes this viewer to be: in its own metro, whoever serves it."""
    return _by_pop()[place.home.code]


@cache
def _by_pop() -> Mapping[str, ViewerLocation]:
    countries = {code: pop.country for code, pop in points_of_presence().items()}
    return MappingProxyType(
        {
            row["code"]: ViewerLocation(
                country=countries[row["code"]],
                country_name=row["country_name"],
                region=row["region"],
                region_name=row["region_name"],
                city=row["city"],
                postal_code=row["postal_code"],
                metro_code=row["metro_code"],
                latitude=float(row["latitude"]),
                longitude=float(row["longitude"]),
                time_zone=row["time_zone"],
            )
            for row in data_rows("geography.csv")
        }
    )
