from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import EdgeFunctionError, FailureKind
from emulator.rules import lambda_edge_result as rules
from emulator.rules.custom_headers import REFUSED_CUSTOM_HEADERS
from emulator.rules.header_permissions import READ_ONLY_FOR_LAMBDA
from emulator.values.functions import EventType
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaCustomOrigin, LambdaS3Origin

ALL_READ_ONLY = [
    (event_type, name)
    for event_type, names in READ_ONLY_FOR_LAMBDA.items()
    for name in sorted(names)
]


def refused(check: Callable[..., object], *arguments: Any, **more: Any) -> EdgeFunctionError:
    """The refusal of these arguments."""
    with pytest.raises(EdgeFunctionError) as caught:
        check(*arguments, **more)

    assert caught.value.kind is FailureKind.LAMBDA_VALIDATION
    assert caught.value.sentence.startswith("The Lambda function re")
    return caught.value


@pytest.mark.conformance("LAE-41", "LAE-42", "LAE-43", "LAE-44")
@pytest.mark.parametrize(("event_type", "name"), ALL_READ_ONLY, ids=str)
def test_every_read_only_header_may_be_kept_but_not_touched(
    event_type: EventType, name: str
) -> None:
    """Added, changed, deleted or doubled: refused at the events whose table names it."""
    shown = Headers([(name, "a")])
    rules.check_read_only(shown, Headers([(name.upper(), "a")]), event_type)

    for before, after in (
        (Headers(), shown),
        (shown, Headers()),
        (shown, Headers([(name, "b")])),
        (shown, Headers([(name, "a"), (name, "a")])),
    ):
        assert refused(rules.check_read_only, before, after, event_type).sentence == (
            rules.READ_ONLY_HEADER
        )


@pytest.mark.parametrize(
    ("event_type", "name"),
    [
        (EventType.ORIGIN_REQUEST, "host"),
        (EventType.ORIGIN_REQUEST, "x-forwarded-for"),
        (EventType.ORIGIN_REQUEST, "user-agent"),
        (EventType.ORIGIN_REQUEST, "authorization"),
        (EventType.ORIGIN_REQUEST, "cookie"),
        (EventType.ORIGIN_REQUEST, "if-match"),
        (EventType.ORIGIN_REQUEST, "range"),
        (EventType.ORIGIN_RESPONSE, "content-length"),
        (EventType.VIEWER_REQUEST, "accept-encoding"),
    ],
    ids=str,
)
def test_headers_that_no_table_names_are_editable(event_type: EventType, name: str) -> None:
    """The consequences that the facts list."""
    rules.check_read_only(Headers(), Headers([(name, "x")]), event_type)
    rules.check_disallowed([name])


@pytest.mark.conformance("LAE-40")
@pytest.mark.parametrize("name", ["Connection", "X-Cache", "X-Amz-Cf-Pop", "x-edge-location"])
def test_disallowed_headers_are_refused(name: str) -> None:
    """Whatever their case."""
    assert refused(rules.check_disallowed, [name]).detail.endswith(f"headerName : {name}.")


@given(status=st.integers())
@pytest.mark.conformance("LAE-55")
def test_a_status_is_200_to_599_as_number_and_as_text(status: int) -> None:
    """Both forms mean the same."""
    for form in (status, str(status)):
        if 200 <= status <= 599:
            assert rules.check_status(form) == status
        else:
            refused(rules.check_status, form)


@pytest.mark.conformance("LAE-67")
@pytest.mark.parametrize(
    ("event_type", "text", "base64"),
    [
        (EventType.VIEWER_REQUEST, 40 * 1024, 54_476),
        (EventType.ORIGIN_REQUEST, 1024 * 1024, 1_394_606),
    ],
)
def test_a_replaced_body_has_its_limit_by_event_and_encoding(
    event_type: EventType, text: int, base64: int
) -> None:
    """40 KB and 53.2 KB; 1 MB and 1.33 MB."""
    assert rules.replaced_body_limit(event_type, "text") == text
    assert rules.replaced_body_limit(event_type, "base64") == base64
    assert len(rules.check_replaced_body("x" * text, "text", event_type)) == text
    assert rules.check_replaced_body("A" * (base64 // 4 * 4), "base64", event_type)
    refused(rules.check_replaced_body, "x" * (text + 1), "text", event_type)
    refused(rules.check_replaced_body, "A" * (base64 // 4 * 4 + 4), "base64", event_type)
    # Bytes count, not characters.
    refused(rules.check_replaced_body, "é" * (text // 2 + 1), "text", event_type)


@pytest.mark.conformance("LAE-49")
@pytest.mark.parametrize(
    ("domain", "valid"),
    [
        ("example.org", True),
        ("a-b.example.org.", True),
        ("under_score.example.org", True),
        ("localhost", True),
        ("999.999.999.999x", True),
        ("", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("[::1]", False),
        ("example.org:443", False),
        ("https://example.org", False),
        ("example.org/path", False),
        ("a..b", False),
        ("-a.example", False),
        ("exa mple.org", False),
        ("example.org\n", False),
    ],
)
def test_an_origins_domain_is_a_dns_name(domain: str, valid: bool) -> None:
    """No port, no address, nothing else."""
    if valid:
        rules.check_origin_domain(domain)
    else:
        refused(rules.check_origin_domain, domain)


@pytest.mark.conformance("LAE-48")
@pytest.mark.parametrize(
    "name", [*sorted(REFUSED_CUSTOM_HEADERS), "x-amz-meta-a", "X-Edge-B", "X-Cache"]
)
def test_every_refused_custom_header_is_refused(name: str) -> None:
    """The list of "Add custom headers to origin requests", and disallowed headers."""
    custom = Headers([(name, "x")])

    assert refused(rules.check_origin_custom_headers, custom, Headers()).sentence == (
        rules.DISALLOWED_HEADER
    )


@pytest.mark.parametrize(
    "origin",
    [
        LambdaCustomOrigin("example.org"),
        LambdaCustomOrigin("example.org", path="/a%20b", port=65535, protocol="http"),
        LambdaS3Origin("bucket.s3.amazonaws.com", auth_method="origin-access-identity"),
        LambdaS3Origin("bucket.s3.amazonaws.com", path="/a", read_timeout_s=120),
    ],
    ids=str,
)
def test_valid_origins_pass_every_rule(origin: Any) -> None:
    """Custom and S3."""
    rules.check_origin(origin, Headers())


@pytest.mark.parametrize(
    "origin",
    [
        LambdaS3Origin("b" * 129),
        LambdaS3Origin("bucket", auth_method="origin-access-control"),
        LambdaS3Origin("bucket", read_timeout_s=121),
        LambdaS3Origin("bucket", response_completion_timeout_s=0),
        LambdaCustomOrigin("example.org", path="/ü"),
    ],
    ids=str,
)
def test_invalid_origins_are_refused(origin: Any) -> None:
    """S3's own bounds, and a path that is not encoded."""
    refused(rules.check_origin, origin, Headers())
