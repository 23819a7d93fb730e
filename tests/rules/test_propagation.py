"""When a version reaches a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.propagation import Propagation, delay_ms, longest_delay_ms, shown

ARN = "arn:aws:cloudfront::123456789012:key-value-store/a"


@pytest.mark.parametrize(
    ("propagation", "least_ms", "most_ms"),
    [
        (Propagation.INSTANT, 0, 0),
        (Propagation.DOCS, 1_000, 5_000),
        (Propagation.OBSERVED, 20_000, 50_000),
    ],
)
def test_delays_stay_in_their_profile(
    propagation: Propagation, least_ms: float, most_ms: float
) -> None:
    """facts/kvs.md 5.4."""
    delays = [
        delay_ms(propagation, 1, ARN, version, pop, server)
        for version in range(50)
        for pop in ("NRT", "LHR")
        for server in range(4)
    ]

    assert least_ms <= min(delays) <= max(delays) <= most_ms
    assert longest_delay_ms(propagation) == most_ms
    if propagation is not Propagation.INSTANT:
        assert len(set(delays)) == len(delays)


def test_servers_of_one_point_of_presence_differ_by_7_s_at_most() -> None:
    """Observed: 40 s to the first new answer, 47 s to the last old one."""
    for version in range(50):
        delays = [
            delay_ms(Propagation.OBSERVED, 1, ARN, version, "NRT", server) for server in range(4)
        ]
        assert max(delays) - min(delays) <= 7_000


def test_a_seed_decides_everything() -> None:
    """The same arguments give the same delay, another seed another."""
    first = delay_ms(Propagation.DOCS, 1, ARN, 2, "NRT", 0)

    assert first == delay_ms(Propagation.DOCS, 1, ARN, 2, "NRT", 0)
    assert first != delay_ms(Propagation.DOCS, 2, ARN, 2, "NRT", 0)


@given(st.lists(st.floats(0, 1_000), max_size=20), st.lists(st.floats(0, 2_000), min_size=2))
def test_a_server_never_goes_back(arrivals_ms: list[float], moments_ms: list[float]) -> None:
    """Whatever the order of arrival, later looks never show an older version."""
    whole = [float("-inf"), *arrivals_ms]
    seen = [shown(whole, moment_ms)[0] for moment_ms in sorted(moments_ms)]

    assert seen == sorted(seen)


@given(st.lists(st.floats(0, 1_000), max_size=20), st.floats(0, 1_000))
def test_nothing_changes_before_the_moment_that_is_told(
    arrivals_ms: list[float], now_ms: float
) -> None:
    """So a look need not be repeated until then."""
    whole = [float("-inf"), *arrivals_ms]
    number, until_ms = shown(whole, now_ms)
    newest_then = len(whole) - 1 if until_ms == float("inf") else number

    assert until_ms > now_ms
    if until_ms == float("inf"):
        assert number == newest_then
    else:
        assert shown(whole, until_ms)[0] > number
