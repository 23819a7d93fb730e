"""What an access log says of one request."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.values.headers import Headers


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """One request as both kinds of access log tell it; empty or None where there is nothing to say.

    Args:
        finished_ms: When the response was finished, epoch ms.
        edge_location: X-Amz-Cf-Pop.
        request_id: X-Amz-Cf-Id.
        method: The viewer's method.
        protocol: `http`, `https`, `ws`, `wss` or `grpcs`.
        http_version: Such as `1.1`.
        uri: The viewer's path.
        query: The viewer's query string, raw.
        headers: The viewer's headers, as they came.
        client_ip: The viewer's address.
        client_port: The viewer's port.
        request_bytes: What the viewer sent, headers included.
        status: The status sent; 0 when the viewer left first.
        response_headers: The headers sent.
        response_bytes: What was sent, headers included.
        result_type: How the request ended, such as `Hit`.
        response_result_type: The same just before the response left.
        detailed_result_type: The same with the kind of error.
        time_taken_ms: Request received to last byte out.
        first_byte_ms: Request received to first byte out.
        distribution_id: The distribution's id.
        distribution_domain: Its domain name.
        path_pattern: The pattern of the behavior that served it.
        country: The viewer's country.
        asn: The viewer's autonomous system; None when it is not known.
        server_ip: The edge server's address.
        ssl_protocol: Such as `TLSv1.3`; empty for HTTP.
        ssl_cipher: Such as `TLS_AES_128_GCM_SHA256`; empty for HTTP.
        origin_host: The last origin tried (r-host).
        origin_first_byte_ms: Request to the origin to its first byte; None when none was asked.
        origin_last_byte_ms: Request to the origin to its last byte; None when none was asked.
        failover_reason: Such as `Failover:502`.
        logs_cookies: Whether the standard log shows the Cookie header.
    """

    finished_ms: float
    edge_location: str
    request_id: str
    method: str
    protocol: str
    http_version: str
    uri: str
    query: str
    headers: Headers
    client_ip: str
    client_port: int
    request_bytes: int
    status: int
    response_headers: Headers
    response_bytes: int
    result_type: str
    response_result_type: str
    detailed_result_type: str
    time_taken_ms: float
    first_byte_ms: float
    distribution_id: str
    distribution_domain: str
    path_pattern: str = "*"
    country: str = ""
    asn: int | None = None
    server_ip: str = ""
    ssl_protocol: str = ""
    ssl_cipher: str = ""
    origin_host: str = ""
    origin_first_byte_ms: float | None = None
    origin_last_byte_ms: float | None = None
    failover_reason: str = ""
    logs_cookies: bool = False
