"""CloudFront's own pages, byte for byte."""

from __future__ import annotations

import pytest

from emulator.errors import EdgeFunctionError, FailureKind, OriginError, OriginFailure
from emulator.rules.error_pages import (
    METHOD_NOT_ALLOWED,
    error_page,
    function_error_page,
    https_redirect,
    origin_error_page,
)

REQUEST_ID = "x" * 54 + "=="


@pytest.mark.conformance("CF-17", "CF-52")
def test_the_method_page_has_the_captured_length() -> None:
    """A capture of 2026-09-01 has Content-Length 1053; the page is 903 and the sentence."""
    page = error_page(403, METHOD_NOT_ALLOWED, REQUEST_ID)

    assert isinstance(page.body, bytes)
    assert len(page.body) == 1053 == 903 + len(METHOD_NOT_ALLOWED)


@pytest.mark.conformance("CF-15")
def test_the_redirect_has_the_captured_length() -> None:
    """167 bytes with CRLF line ends."""
    redirect = https_redirect(301, "https://d1.cloudfront.net/x?y=1")

    assert isinstance(redirect.body, bytes)
    assert len(redirect.body) == 167
    assert redirect.headers.get("location") == "https://d1.cloudfront.net/x?y=1"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FailureKind.FUNCTION_EXECUTION, 503),
        (FailureKind.FUNCTION_THROTTLED, 503),
        (FailureKind.FUNCTION_VALIDATION, 502),
        (FailureKind.LAMBDA_EXECUTION, 503),
        (FailureKind.LAMBDA_LIMIT, 503),
        (FailureKind.LAMBDA_VALIDATION, 502),
    ],
)
def test_a_function_failure_never_shows_its_cause(kind: FailureKind, status: int) -> None:
    """Execution fails with 503, validation with 502; the detail stays in the Trace."""
    page = function_error_page(EdgeFunctionError(kind, "The sentence.", "the secret"), REQUEST_ID)

    assert page.status == status
    assert isinstance(page.body, bytes)
    assert b"The sentence." in page.body
    assert b"secret" not in page.body


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (OriginFailure.DNS, 502),
        (OriginFailure.CONNECT, 502),
        (OriginFailure.READ, 502),
        (OriginFailure.TIMEOUT, 504),
    ],
)
def test_an_origin_failure_has_its_status(failure: OriginFailure, status: int) -> None:
    """Refused, unresolved and closed are 502; silence is 504."""
    assert origin_error_page(OriginError(failure, "x"), REQUEST_ID).status == status
