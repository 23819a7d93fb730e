"""Which errors get another page."""

from __future__ import annotations

import pytest

from emulator.rules.custom_errors import (
    ErrorSource,
    error_caching_min_ttl_s,
    error_page_for,
    error_page_ttl_s,
    replaced,
)
from emulator.values.distribution import CustomErrorResponse, Distribution
from emulator.values.headers import Headers
from emulator.values.messages import Response

STATUSES = range(400, 600)
SITE = Distribution(
    "E1",
    "d1.cloudfront.net",
    (),
    {},
    custom_errors={status: CustomErrorResponse(status, "/e.html", 200, 60) for status in STATUSES}
    | {503: CustomErrorResponse(503, "/sorry.html"), 404: CustomErrorResponse(404, "", 0, 5)},
)


@pytest.mark.conformance("CF-51")
def test_which_statuses_can_have_a_page() -> None:
    """Ten of them here (404 has none set); 412 and 415 never."""
    paged = {status for status in STATUSES if error_page_for(SITE, status, ErrorSource.ORIGIN)}

    assert paged == {400, 403, 405, 414, 416, 500, 501, 502, 503, 504}


@pytest.mark.parametrize("source", list(ErrorSource))
def test_whose_errors_get_a_page(source: ErrorSource) -> None:
    """The origin's and CloudFront's own, but for functions, capacity and unsafe requests."""
    page = error_page_for(SITE, 500, source)

    assert (page is not None) is (source in (ErrorSource.ORIGIN, ErrorSource.CLOUDFRONT))


@pytest.mark.parametrize(
    ("status", "shown", "connection"),
    [(500, 200, "close"), (400, 200, "close"), (403, 200, "keep-alive"), (503, 503, "keep-alive")],
)
def test_status_and_connection_of_a_page(status: int, shown: int, connection: str) -> None:
    """The setting's status, else the error's own."""
    page = error_page_for(SITE, status, ErrorSource.ORIGIN)

    assert page is not None
    assert (page.status, page.connection) == (shown, connection)


def test_a_page_that_fails_shows_its_own_status() -> None:
    """Not the error that it was for."""
    page = error_page_for(SITE, 500, ErrorSource.ORIGIN)

    assert page is not None
    assert replaced(Response(404), page).status == 404
    assert replaced(Response(200, body=b"sorry"), page) == Response(200, body=b"sorry")


def test_ttls() -> None:
    """10 s unless set; the error's own max-age when that is more."""
    error = Response(500, headers=Headers({"Cache-Control": "max-age=90"}))

    assert error_caching_min_ttl_s(Distribution("E", "d", (), {}), 404) == 10
    assert error_caching_min_ttl_s(SITE, 404) == 5
    assert error_page_ttl_s(SITE, Response(500)) == 60
    assert error_page_ttl_s(SITE, error) == 90
