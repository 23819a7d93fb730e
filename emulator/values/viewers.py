"""What CloudFront knows of a viewer beside its request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Handshake(StrEnum):
    """How a viewer's TLS connection came about."""

    FULL = "fullHandshake"
    SESSION_RESUMED = "sessionResumed"
    CONNECTION_REUSED = "connectionReused"


@dataclass(frozen=True, slots=True)
class TlsConnection:
    """A viewer's TLS connection.

    Args:
        version: Such as `TLSv1.3`.
        cipher: Such as `TLS_AES_128_GCM_SHA256`.
        handshake: How it came about.
    """

    version: str
    cipher: str
    handshake: Handshake = Handshake.FULL


@dataclass(frozen=True, slots=True)
class ViewerLocation:
    """Where CloudFront believes a viewer to be; an empty field is not known.

    Args:
        country: ISO 3166-1 alpha-2.
        country_name: Its name.
        region: ISO 3166-2, first level, up to three characters.
        region_name: Its name.
        city: The city's name.
        postal_code: The postal code.
        metro_code: Only in the United States.
        latitude: Degrees north.
        longitude: Degrees east.
        time_zone: IANA name, such as `Asia/Tokyo`.
        asn: The autonomous system's number.
    """

    country: str = ""
    country_name: str = ""
    region: str = ""
    region_name: str = ""
    city: str = ""
    postal_code: str = ""
    metro_code: str = ""
    latitude: float | None = None
    longitude: float | None = None
    time_zone: str = ""
    asn: int | None = None
