"""Server-Timing, as AWS's two examples write it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.rules.server_timing import (
    CacheOutcome,
    Layer,
    TimingMetrics,
    server_timing,
    wants_server_timing,
    with_server_timing,
)
from emulator.values.distribution import ResponseHeadersPolicy
from emulator.values.headers import Headers
from emulator.values.messages import Request

MISS = TimingMetrics(
    CacheOutcome.MISS,
    Layer.EDGE,
    "PHX50-C2",
    "yNPsyYn7skvTzwWkq3Wcc8Nj_foxUjQUe9H1ifslzWhb0w7aLbFvGg==",
    downstream_fbl_ms=436.2,
    upstream_connect_ms=114,
    upstream_fbl_ms=177,
)
MISS_VALUE = (
    'cdn-upstream-layer;desc="EDGE",cdn-upstream-dns;dur=0,cdn-upstream-connect;dur=114,'
    'cdn-upstream-fbl;dur=177,cdn-cache-miss,cdn-pop;desc="PHX50-C2",'
    'cdn-rid;desc="yNPsyYn7skvTzwWkq3Wcc8Nj_foxUjQUe9H1ifslzWhb0w7aLbFvGg==",'
    "cdn-downstream-fbl;dur=436"
)


def test_the_example_of_a_miss() -> None:
    """Byte for byte, the origin's own metrics at the end."""
    assert server_timing(MISS) == MISS_VALUE
    assert server_timing(MISS, "db;dur=5") == f"{MISS_VALUE},db;dur=5"


def test_the_example_of_a_hit() -> None:
    """Byte for byte, without what the origin once said."""
    hit = TimingMetrics(CacheOutcome.HIT, Layer.REC, "SEA19-C1", "id==", downstream_fbl_ms=137)

    assert server_timing(hit, "db;dur=5") == (
        'cdn-cache-hit,cdn-pop;desc="SEA19-C1",cdn-rid;desc="id==",'
        'cdn-hit-layer;desc="REC",cdn-downstream-fbl;dur=137'
    )


def test_a_refresh_names_no_layer() -> None:
    """The full object was not requested, and it was no hit without a request."""
    value = server_timing(replace(MISS, outcome=CacheOutcome.REFRESH))

    assert "cdn-cache-refresh" in value
    assert "layer" not in value


def test_viewers_see_one_header() -> None:
    """The origin's lines are merged on a miss."""
    headers = Headers([("Server-Timing", "a"), ("X", "1"), ("server-timing", "b")])

    assert with_server_timing(headers, MISS).get_all("server-timing") == (f"{MISS_VALUE},a,b",)


@pytest.mark.parametrize(
    ("rate", "pragma", "drawn", "wanted"),
    [
        (None, "server-timing", 0.0, False),
        (100.0, "", 99.99, True),
        (0.0, "", 0.0, False),
        (0.0, "server-timing", 50.0, True),
        (0.0, "no-cache, Server-Timing", 50.0, True),
        (0.0, "server-timings", 50.0, False),
        (0.0001, "", 0.00005, True),
        (50.0, "", 50.0, False),
    ],
)
def test_sampling(rate: float | None, pragma: str, drawn: float, wanted: bool) -> None:
    """The rate decides, but for a request that asks by Pragma."""
    request = Request("GET", "/", headers=Headers({"Pragma": pragma}))
    policy = ResponseHeadersPolicy("mine", server_timing_rate=rate)

    assert wants_server_timing(policy, request, drawn) is wanted
    assert wants_server_timing(None, request, drawn) is False
