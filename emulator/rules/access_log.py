"""Access logs: the line of the standard log, and the record of the real-time log.

AWS: "Standard logging reference",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html and
"Use real-time access logs", …/real-time-logs.html, both read 2026-11-20 (facts/cloudfront.md
section 19). Beware of the swap: the standard log's cs(Host) is the distribution's domain name and
x-host-header the viewer's Host; in the real-time log it is the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from emulator.errors import ConfigError
from emulator.quotas import REAL_TIME_LOG_FIELD_MAX_BYTES, REAL_TIME_LOG_FIELDS_MAX
from emulator.rules.ranges import parse_content_range
from emulator.values.access_log import AccessRecord

_Fields = dict[str, Callable[[AccessRecord], str]]

# --- Parts of both ------------------------------------------------------------------------------


def escaped(value: str) -> str:
    """A value as it stands in a log; `-` when there is none.

    Spaces, control and non-ASCII characters are percent-encoded, so that no viewer can begin a
    field or a line. What is encoded already stays as it is (UNVERIFIED beyond spaces).
    """
    if not value:
        return "-"
    if value.isascii() and value.isprintable() and " " not in value:
        return value
    return _percent_encoded(value)


# A viewer's User-Agent has spaces, and comes again and again.
@lru_cache(maxsize=256)
def _percent_encoded(value: str) -> str:
    return "".join(_escaped_char(char) for char in value)


def _escaped_char(char: str) -> str:
    if "\x20" < char < "\x7f":
        return char
    raw = char.encode("latin-1" if char <= "\xff" else "utf-8", "replace")
    return "".join(f"%{byte:02X}" for byte in raw)


def _seconds(value_ms: float | None) -> str:
    return "" if value_ms is None else f"{value_ms / 1000:.3f}"


@lru_cache(maxsize=8)
def _moment(finished_s: int) -> tuple[str, str]:
    """Date and time; many lines share a second."""
    moment = datetime.fromtimestamp(finished_s, UTC)
    return moment.strftime("%Y-%m-%d"), moment.strftime("%H:%M:%S")


def _date(record: AccessRecord) -> str:
    return _moment(int(record.finished_ms // 1000))[0]


def _time(record: AccessRecord) -> str:
    return _moment(int(record.finished_ms // 1000))[1]


def _status(record: AccessRecord) -> str:
    return f"{record.status:03d}"


def _asked(name: str) -> Callable[[AccessRecord], str]:
    return lambda record: record.headers.get(name)


def _sent(name: str) -> Callable[[AccessRecord], str]:
    return lambda record: record.response_headers.get(name)


def _range_start(record: AccessRecord) -> str:
    held = parse_content_range(record.response_headers.get("content-range"))
    return str(held.range.first) if held else ""


def _range_end(record: AccessRecord) -> str:
    held = parse_content_range(record.response_headers.get("content-range"))
    return str(held.range.last) if held else ""


def _forwarded_for(record: AccessRecord) -> str:
    return ", ".join(record.headers.get_all("x-forwarded-for"))


def _nothing(_record: AccessRecord) -> str:
    return ""


_SHARED: Final[_Fields] = {
    "x-edge-location": lambda record: record.edge_location,
    "sc-bytes": lambda record: str(record.response_bytes),
    "c-ip": lambda record: record.client_ip,
    "cs-method": lambda record: record.method,
    "sc-status": _status,
    "cs-uri-query": lambda record: record.query,
    "x-edge-result-type": lambda record: record.result_type,
    "x-edge-request-id": lambda record: record.request_id,
    "cs-protocol": lambda record: record.protocol,
    "cs-bytes": lambda record: str(record.request_bytes),
    "time-taken": lambda record: _seconds(record.time_taken_ms),
    "x-forwarded-for": _forwarded_for,
    "ssl-protocol": lambda record: record.ssl_protocol,
    "ssl-cipher": lambda record: record.ssl_cipher,
    "x-edge-response-result-type": lambda record: record.response_result_type,
    "cs-protocol-version": lambda record: f"HTTP/{record.http_version}",
    # Field-level encryption is not emulated.
    "fle-status": _nothing,
    "fle-encrypted-fields": _nothing,
    "c-port": lambda record: str(record.client_port),
    "time-to-first-byte": lambda record: _seconds(record.first_byte_ms),
    "x-edge-detailed-result-type": lambda record: record.detailed_result_type,
    "sc-content-type": _sent("content-type"),
    "sc-content-len": _sent("content-length"),
    "sc-range-start": _range_start,
    "sc-range-end": _range_end,
}
"""Fields that both logs name and mean alike."""


def _in_order(names: str, own: _Fields) -> _Fields:
    both = {**_SHARED, **own}
    return {name: both[name] for name in names.split()}


# --- Standard log -------------------------------------------------------------------------------

STANDARD_FIELDS: Final = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer)"
    " cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header"
    " cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher"
    " x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port"
    " time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start"
    " sc-range-end"
)
"""The 33 fields, in order."""

STANDARD_HEADER: Final = f"#Version: 1.0\n#Fields: {STANDARD_FIELDS}\n"
"""The first two lines of a log file."""

_STANDARD: Final = _in_order(
    STANDARD_FIELDS,
    {
        "date": _date,
        "time": _time,
        "cs(Host)": lambda record: record.distribution_domain,
        "cs-uri-stem": lambda record: record.uri,
        "cs(Referer)": _asked("referer"),
        "cs(User-Agent)": _asked("user-agent"),
        "cs(Cookie)": lambda record: _cookie(record) if record.logs_cookies else "",
        "x-host-header": _asked("host"),
    },
)

_STANDARD_VALUES: Final = tuple(_STANDARD.values())


def standard_line(record: AccessRecord) -> str:
    """The standard log's line, tab-separated, with its newline."""
    return "\t".join([escaped(value(record)) for value in _STANDARD_VALUES]) + "\n"


def _cookie(record: AccessRecord) -> str:
    return "; ".join(record.headers.get_all("cookie"))


# --- Real-time log ------------------------------------------------------------------------------

_CMCD: Final = (
    "cmcd-encoded-bitrate cmcd-buffer-length cmcd-buffer-starvation cmcd-content-id"
    " cmcd-object-duration cmcd-deadline cmcd-measured-throughput cmcd-next-object-request"
    " cmcd-next-range-request cmcd-object-type cmcd-playback-rate"
    " cmcd-requested-maximum-throughput cmcd-streaming-format cmcd-session-id cmcd-stream-type"
    " cmcd-startup cmcd-top-bitrate cmcd-version"
)
"""Common Media Client Data: listed, always empty here."""

_UNKNOWN: Final = (
    *_CMCD.split(),
    "x-edge-mqcs",
    "distribution-tenant-id",
    "connection-id",
)


def _cut(value: str) -> str:
    """The first 800 bytes; what is cut off is not marked."""
    return value[:REAL_TIME_LOG_FIELD_MAX_BYTES]


def _header_lines(record: AccessRecord) -> str:
    return _cut("".join(f"{name}:{value}\n" for name, value in record.headers))


def _header_names(record: AccessRecord) -> str:
    return _cut("".join(f"{name}\n" for name, _ in record.headers))


def _whole_url(record: AccessRecord) -> str:
    return f"{record.uri}?{record.query}" if record.query else record.uri


_REAL_TIME: Final = _in_order(
    "timestamp c-ip s-ip time-to-first-byte sc-status sc-bytes cs-method cs-protocol cs-host"
    " cs-uri-stem cs-bytes x-edge-location x-edge-request-id x-host-header time-taken"
    " cs-protocol-version c-ip-version cs-user-agent cs-referer cs-cookie cs-uri-query"
    " x-edge-response-result-type x-forwarded-for ssl-protocol ssl-cipher x-edge-result-type"
    " fle-encrypted-fields fle-status sc-content-type sc-content-len sc-range-start sc-range-end"
    " c-port x-edge-detailed-result-type c-country cs-accept-encoding cs-accept"
    " cache-behavior-path-pattern cs-headers cs-header-names cs-headers-count"
    " primary-distribution-id primary-distribution-dns-name origin-fbl origin-lbl asn "
    f"{_CMCD} r-host sr-reason x-edge-mqcs distribution-tenant-id connection-id",
    {
        "timestamp": lambda record: _seconds(record.finished_ms),
        "s-ip": lambda record: record.server_ip,
        "cs-host": _asked("host"),
        "cs-uri-stem": _whole_url,
        "x-host-header": lambda record: record.distribution_domain,
        "c-ip-version": lambda record: "IPv6" if ":" in record.client_ip else "IPv4",
        "cs-user-agent": _asked("user-agent"),
        "cs-referer": _asked("referer"),
        "cs-cookie": lambda record: _cut(_cookie(record)),
        "c-country": lambda record: record.country,
        "cs-accept-encoding": _asked("accept-encoding"),
        "cs-accept": _asked("accept"),
        "cache-behavior-path-pattern": lambda record: record.path_pattern,
        "cs-headers": _header_lines,
        "cs-header-names": _header_names,
        "cs-headers-count": lambda record: str(len(record.headers)),
        "primary-distribution-id": lambda record: record.distribution_id,
        "primary-distribution-dns-name": lambda record: record.distribution_domain,
        "origin-fbl": lambda record: _seconds(record.origin_first_byte_ms),
        "origin-lbl": lambda record: _seconds(record.origin_last_byte_ms),
        "asn": lambda record: "" if record.asn is None else str(record.asn),
        "r-host": lambda record: record.origin_host,
        "sr-reason": lambda record: record.failover_reason,
        **dict.fromkeys(_UNKNOWN, _nothing),
    },
)

REAL_TIME_FIELDS: Final = tuple(_REAL_TIME)
"""Every field of the real-time log, in the order in which chosen ones appear."""


def chosen_fields(names: Iterable[str]) -> tuple[str, ...]:
    """A real-time log configuration's fields in the log's order.

    Raises:
        ConfigError: A name is not known, or there are none or more than 40.
    """
    wanted = set(names)
    unknown = sorted(wanted - _REAL_TIME.keys())
    if unknown:
        raise ConfigError(
            f"no real-time log field is named {unknown[0]!r}",
            mend=f"Take some of: {', '.join(REAL_TIME_FIELDS)}.",
        )
    if not 1 <= len(wanted) <= REAL_TIME_LOG_FIELDS_MAX:
        raise ConfigError(
            f"{len(wanted)} real-time log fields are chosen",
            mend=f"Choose 1 to {REAL_TIME_LOG_FIELDS_MAX}.",
        )
    return tuple(name for name in REAL_TIME_FIELDS if name in wanted)


def real_time_line(record: AccessRecord, fields: tuple[str, ...]) -> str:
    """The real-time log's record, tab-separated, with its newline.

    Args:
        record: The request.
        fields: From `chosen_fields`.
    """
    return "\t".join(escaped(_REAL_TIME[name](record)) for name in fields) + "\n"
