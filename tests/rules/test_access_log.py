"""The lines of both access logs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ConfigError
from emulator.rules.access_log import (
    REAL_TIME_FIELDS,
    STANDARD_FIELDS,
    STANDARD_HEADER,
    chosen_fields,
    escaped,
    real_time_line,
    standard_line,
)
from emulator.values.access_log import AccessRecord
from emulator.values.headers import Headers

RECORD = AccessRecord(
    finished_ms=1_795_258_800_123.4,
    edge_location="NRT57-P1",
    request_id="id==",
    method="GET",
    protocol="https",
    http_version="1.1",
    uri="/images/cat.jpg",
    query="mobile=true",
    headers=Headers(
        [
            ("Host", "www.example.com"),
            ("User-Agent", "Mozilla/5.0 (X11; Linux) é"),
            ("Cookie", "a=1; b=2"),
        ]
    ),
    client_ip="198.51.100.7",
    client_port=46532,
    request_bytes=321,
    status=206,
    response_headers=Headers(
        [
            ("Content-Type", "image/jpeg"),
            ("Content-Length", "100"),
            ("Content-Range", "bytes 200-299/1000"),
        ]
    ),
    response_bytes=654,
    result_type="Hit",
    response_result_type="Hit",
    detailed_result_type="Hit",
    time_taken_ms=82.4,
    first_byte_ms=81.6,
    distribution_id="E1",
    distribution_domain="d111111abcdef8.cloudfront.net",
    ssl_protocol="TLSv1.3",
    ssl_cipher="TLS_AES_128_GCM_SHA256",
)


def standard(record: AccessRecord) -> dict[str, str]:
    """The standard log's fields by name."""
    values = standard_line(record).removesuffix("\n").split("\t")
    return dict(zip(STANDARD_FIELDS.split(), values, strict=True))


def real_time(record: AccessRecord) -> dict[str, str]:
    """Every field of the real-time log by name."""
    values = real_time_line(record, REAL_TIME_FIELDS).removesuffix("\n").split("\t")
    return dict(zip(REAL_TIME_FIELDS, values, strict=True))


@pytest.mark.conformance("CF-110")
def test_the_standard_line() -> None:
    """33 fields in order, tab-separated, `-` for empty."""
    assert standard_line(RECORD) == (
        "2026-11-21\t11:00:00\tNRT57-P1\t654\t198.51.100.7\tGET\td111111abcdef8.cloudfront.net\t"
        "/images/cat.jpg\t206\t-\tMozilla/5.0%20(X11;%20Linux)%20%E9\tmobile=true\t-\tHit\tid==\t"
        "www.example.com\thttps\t321\t0.082\t-\tTLSv1.3\tTLS_AES_128_GCM_SHA256\tHit\tHTTP/1.1\t"
        "-\t-\t46532\t0.082\tHit\timage/jpeg\t100\t200\t299\n"
    )
    assert len(standard(RECORD)) == 33


def test_a_log_file_begins_with_two_lines() -> None:
    """Version and fields."""
    assert STANDARD_HEADER.startswith("#Version: 1.0\n#Fields: date time x-edge-location sc-bytes")
    assert STANDARD_HEADER.endswith("sc-range-start sc-range-end\n")


def test_cookies_are_logged_when_the_distribution_says_so() -> None:
    """Otherwise `-`, even when there are some; the real-time log has them always."""
    assert standard(replace(RECORD, logs_cookies=True))["cs(Cookie)"] == "a=1;%20b=2"
    assert real_time(RECORD)["cs-cookie"] == "a=1;%20b=2"


def test_a_viewer_that_left_first_has_status_000() -> None:
    """Three digits always."""
    assert standard(replace(RECORD, status=0))["sc-status"] == "000"


@pytest.mark.conformance("CF-111")
def test_the_real_time_url_includes_the_query() -> None:
    """And the two hosts are swapped."""
    fields = real_time(RECORD)

    assert fields["cs-uri-stem"] == "/images/cat.jpg?mobile=true"
    assert fields["cs-host"] == standard(RECORD)["x-host-header"] == "www.example.com"
    assert fields["x-host-header"] == standard(RECORD)["cs(Host)"]


def test_the_real_time_record() -> None:
    """What only that log tells."""
    record = replace(
        RECORD,
        client_ip="2001:db8::1",
        country="JP",
        asn=2516,
        origin_host="api.example.com",
        origin_first_byte_ms=5,
        failover_reason="Failover:502",
        path_pattern="/images/*",
    )
    fields = real_time(record)

    assert fields["timestamp"] == "1795258800.123"
    assert fields["c-ip-version"] == "IPv6"
    assert (fields["c-country"], fields["asn"]) == ("JP", "2516")
    assert (fields["origin-fbl"], fields["origin-lbl"]) == ("0.005", "-")
    assert (fields["r-host"], fields["sr-reason"]) == ("api.example.com", "Failover:502")
    assert fields["cs-headers-count"] == "3"
    assert fields["cs-header-names"] == "Host%0AUser-Agent%0ACookie%0A"
    assert fields["cache-behavior-path-pattern"] == "/images/*"
    assert fields["cmcd-version"] == fields["connection-id"] == "-"


def test_long_fields_are_cut() -> None:
    """At 800 bytes."""
    record = replace(RECORD, headers=Headers({"Cookie": "c" * 5000}))

    assert len(real_time(record)["cs-cookie"]) == len(real_time(record)["cs-headers"]) == 800


def test_there_are_69_real_time_fields() -> None:
    """18 of them cmcd-…, in the page's order."""
    assert len(REAL_TIME_FIELDS) == 69
    assert sum(name.startswith("cmcd-") for name in REAL_TIME_FIELDS) == 18
    assert REAL_TIME_FIELDS[0] == "timestamp"
    assert REAL_TIME_FIELDS[-1] == "connection-id"


def test_chosen_fields_come_in_the_logs_order() -> None:
    """However they were written down."""
    fields = chosen_fields(["sc-status", "c-ip", "timestamp"])

    assert fields == ("timestamp", "c-ip", "sc-status")
    assert real_time_line(RECORD, fields) == "1795258800.123\t198.51.100.7\t206\n"


@pytest.mark.parametrize("names", [["sc-statu"], [], REAL_TIME_FIELDS])
def test_fields_that_cannot_be_chosen(names: list[str]) -> None:
    """Unknown ones, none, and more than 40."""
    with pytest.raises(ConfigError):
        chosen_fields(names)


@given(st.text())
def test_no_value_can_begin_a_field_or_a_line(value: str) -> None:
    """What is logged is printable ASCII without spaces."""
    logged = escaped(value)

    assert logged
    assert all("\x20" < char < "\x7f" for char in logged)
    assert len(standard_line(replace(RECORD, uri=value, query=value)).split("\t")) == 33
