"""Which hosts and web sites may speak to the endpoint."""

from __future__ import annotations

import pytest

from emulator.aws.guard import host_account, require_local
from emulator.errors import ApiError


@pytest.mark.conformance("KVS-2", "KVS-3")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "127.0.0.1:4566"},
        {"host": "localhost"},
        {"host": "LocalHost:80"},
        {"host": "[::1]:4566"},
        {"host": "123456789012.localhost:4566"},
        {"host": "123456789012.127.0.0.1:4566"},
        {"host": "sync-localhost"},
        {"host": "sync-127.0.0.1:4566"},
        {"host": "bucket.s3.localhost:4566"},
        {"host": "123456789012.kvs.emulator.invalid"},
        {"host": "123456789012.cloudfront-kvs.global.api.aws"},
        {"host": "bedrock-runtime.us-east-1.amazonaws.com"},
        {"host": "localhost", "origin": "http://localhost:8080"},
        {"host": "localhost", "origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"},
        {"host": "localhost", "sec-fetch-site": "none"},
    ],
)
def test_programs_and_local_pages_pass(headers: dict[str, str]) -> None:
    """Every local name, the proxy's made-up ones, AWS's own, and pages on this machine."""
    require_local(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.evil.example:4566"},
        {"host": "evil-amazonaws.com"},
        {"host": "evilamazonaws.com"},
        {"host": "999.127.0.0.1"},
        {"host": "0.0.0.0:4566"},
        {"host": "10.0.0.1"},
        {"host": "localhost", "origin": "https://evil.example"},
        {"host": "localhost", "origin": "http://localhost.evil.example"},
        {"host": "localhost", "origin": "null"},
        {"host": "localhost", "origin": ""},
        {"host": "localhost", "origin": "http://[::1"},
        {"host": "localhost", "origin": "file://localhost"},
        {"host": "localhost", "sec-fetch-site": "cross-site"},
    ],
)
def test_foreign_names_and_pages_are_refused(headers: dict[str, str]) -> None:
    """DNS rebinding and other sites' scripts get 403."""
    with pytest.raises(ApiError) as refusal:
        require_local(headers)

    assert (refusal.value.status, refusal.value.code) == (403, "AccessDeniedException")


@pytest.mark.parametrize(
    ("host", "account"),
    [
        ("123456789012.localhost:4566", "123456789012"),
        ("123456789012.127.0.0.1", "123456789012"),
        ("localhost", None),
        ("127.0.0.1:4566", None),
        ("1234567890123.localhost", None),
        ("", None),
    ],
)
def test_the_account_stands_before_the_hosts_name(host: str, account: str | None) -> None:
    """Twelve digits and a dot."""
    assert host_account(host) == account
