"""Where things are: points of presence, Regions, viewers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Access(StrEnum):
    """How a viewer reaches the nearest point of presence."""

    FIBRE = "fibre"
    CABLE = "cable"
    FIVE_G = "5g"
    FOUR_G = "4g"
    THREE_G = "3g"
    STARLINK = "starlink"
    GEO = "geo"


@dataclass(frozen=True, slots=True)
class PointOfPresence:
    """An edge location.

    Args:
        code: The airport code that begins X-Amz-Cf-Pop, such as `NRT`.
        city: Its city.
        country: ISO 3166-1 alpha-2.
        latitude: Degrees north.
        longitude: Degrees east.
    """

    code: str
    city: str
    country: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Region:
    """An AWS Region.

    Args:
        name: Such as `us-east-1`.
        latitude: Degrees north.
        longitude: Degrees east.
    """

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class ViewerPlace:
    """Where a viewer is: the point of presence that serves it, and its access network.

    Args:
        pop: The point of presence that serves it.
        access: Its access network.
        metro: The point of presence of the viewer's own metro, when that one is down and another
            serves it; else None.
    """

    pop: PointOfPresence
    access: Access
    metro: PointOfPresence | None = None

    @property
    def home(self) -> PointOfPresence:
        """The point of presence of the viewer's own metro, whether it serves or not."""
        return self.metro or self.pop

    def __str__(self) -> str:
        return f"{self.home.code}/{self.access}"
