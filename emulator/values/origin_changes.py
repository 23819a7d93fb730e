"""What a CloudFront Function may decide about the origin, at viewer-request.

AWS: "Helper methods for origin modification",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/helper-functions-origin-modification.html,
read 2026-11-20 (facts/cloudfront-functions.md 6.2-6.4).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OriginProperties:
    """`cf.updateRequestOrigin`: what is None is taken over from the behavior's own origin.

    Args:
        domain_name: The domain to ask.
        host_header: The Host header to send.
        path: Put before the request's path.
        custom_headers: Replace the origin's own, (name, value); empty clears them.
        connection_attempts: 1 to 3.
        shield_region: Origin Shield's Region; empty turns it off.
        access_control: Origin access control as returned, checked; `enabled` False turns it off.
        read_timeout_s: 1 to 120.
        response_completion_timeout_s: Not less than the read timeout.
        keepalive_timeout_s: 1 to 120.
        connection_timeout_s: 1 to 10.
        port: The port of a custom origin.
        https: Whether a custom origin is asked over HTTPS.
        ssl_protocols: Such as `TLSv1.2`.
        ip_address_type: `ipv4`, `ipv6` or `dualstack`.
        sni: The name for the TLS handshake.
        allowed_certificate_names: Names that the certificate may have.
        mutual_tls_off: Whether mutual TLS is dropped.
    """

    domain_name: str | None = None
    host_header: str | None = None
    path: str | None = None
    custom_headers: tuple[tuple[str, str], ...] | None = None
    connection_attempts: int | None = None
    shield_region: str | None = None
    access_control: tuple[tuple[str, str], ...] | None = None
    read_timeout_s: float | None = None
    response_completion_timeout_s: float | None = None
    keepalive_timeout_s: float | None = None
    connection_timeout_s: float | None = None
    port: int | None = None
    https: bool | None = None
    ssl_protocols: tuple[str, ...] | None = None
    ip_address_type: str | None = None
    sni: str | None = None
    allowed_certificate_names: tuple[str, ...] | None = None
    mutual_tls_off: bool = False


@dataclass(frozen=True, slots=True)
class SelectedOrigin:
    """`cf.selectRequestOriginById`: an origin of the same distribution, with its settings.

    Args:
        origin_id: Its id.
        overrides: Host header, SNI and certificate names, where they differ.
    """

    origin_id: str
    overrides: OriginProperties = OriginProperties()


@dataclass(frozen=True, slots=True)
class CreatedOriginGroup:
    """`cf.createRequestOriginGroup`: two origins of the same distribution, the first one first.

    Args:
        primary: The first origin.
        secondary: Asked when the first one fails.
        status_codes: The statuses that count as a failure.
        selection_criteria: `default` or `media-quality-score`.
    """

    primary: SelectedOrigin
    secondary: SelectedOrigin
    status_codes: tuple[int, ...]
    selection_criteria: str = "default"


OriginChange = OriginProperties | SelectedOrigin | CreatedOriginGroup
"""The last helper that the function called; it counts alone."""
