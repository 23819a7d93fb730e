"""How long an object is fresh, and what may be done with it afterwards."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.freshness import (
    CacheControl,
    Freshness,
    Verdict,
    age_s,
    error_freshness,
    error_ttl_s,
    freshness,
    http_date_s,
    parse_cache_control,
    quiet_until_s,
    stale_stands_in_for,
    standing,
    storable,
)
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES
from emulator.values.distribution import CachePolicy, OriginKind
from emulator.values.headers import Headers
from emulator.values.messages import Response

CACHE = {policy.name: policy for policy in MANAGED_CACHE_POLICIES.values()}
NOW_S = 1_000_000_000.0
IN_A_MINUTE = "Sun, 09 Sep 2001 01:47:40 GMT"


def policy(least_s: int = 0, usual_s: int = 100, most_s: int = 3600) -> CachePolicy:
    """A policy with these TTLs."""
    return CachePolicy("c", least_s, usual_s, most_s)


def answer(*lines: str, status: int = 200) -> Response:
    """A response with these header lines."""
    pairs = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return Response(status, headers=Headers(pairs))


def kept(*lines: str, of: CachePolicy | None = None) -> Freshness:
    """The freshness of a response under a policy."""
    return freshness(answer(*lines), of or policy(), NOW_S)


# --- Cache-Control ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        ([], CacheControl()),
        (["max-age=60"], CacheControl(max_age_s=60)),
        (["MAX-AGE = 60 , Private"], CacheControl(max_age_s=60, private=True)),
        (["max-age=60", "s-maxage=5"], CacheControl(max_age_s=60, s_maxage_s=5)),
        (['max-age="60"'], CacheControl(max_age_s=60)),
        (["max-age=60, max-age=5"], CacheControl(max_age_s=60)),
        (["max-age=-1"], CacheControl()),
        (["max-age=1.5, max-age"], CacheControl()),
        (["max-age=٣"], CacheControl()),
        (["max-age=" + "9" * 5000], CacheControl(max_age_s=3_153_600_000)),
        (["no-cache"], CacheControl(no_cache=True)),
        (['no-cache="Set-Cookie"'], CacheControl(no_cache_fields=("set-cookie",))),
        (
            ['no-cache="Set-Cookie, X-A", no-store'],
            CacheControl(no_cache_fields=("set-cookie", "x-a"), no_store=True),
        ),
        (['ext="a, no-store, \\" b", max-age=1'], CacheControl(max_age_s=1)),
        (
            ["stale-while-revalidate=30, stale-if-error=0"],
            CacheControl(stale_while_revalidate_s=30, stale_if_error_s=0),
        ),
        (["public, must-revalidate, ,,=,  "], CacheControl()),
    ],
)
def test_cache_control(lines: list[str], read: CacheControl) -> None:
    """Names without case, quotes respected, the first of a directive counts."""
    assert parse_cache_control(lines) == read


@given(st.text())
def test_any_cache_control_can_be_read(text: str) -> None:
    """Whatever an origin writes, numbers come out between 0 and 100 years."""
    control = parse_cache_control([text])

    for number in (control.max_age_s, control.s_maxage_s, control.stale_if_error_s):
        assert number is None or 0 <= number <= 3_153_600_000


@given(
    st.lists(
        st.sampled_from(["no-store", "private", "public", "s-maxage=7", 'a="x,y"', "no-transform"])
    ),
    st.integers(0, 10**9),
)
def test_a_directive_is_found_wherever_it_stands(others: list[str], seconds: int) -> None:
    """Directives around it change nothing."""
    for place in range(len(others) + 1):
        parts = [*others[:place], f"max-age={seconds}", *others[place:]]

        assert parse_cache_control([", ".join(parts)]).max_age_s == seconds


# --- The TTL table ------------------------------------------------------------------------------


@pytest.mark.conformance("CF-30")
def test_caching_optimized_without_headers_is_a_day() -> None:
    """86,400 s: the default TTL, whatever the maximum."""
    assert kept(of=CACHE["CachingOptimized"]).ttl_s == 86_400


@pytest.mark.parametrize(
    ("lines", "least_s", "ttl_s"),
    [
        pytest.param(["Cache-Control: max-age=10"], 60, 60, id="raised to the minimum"),
        pytest.param(["Cache-Control: max-age=99999999"], 0, 3600, id="cut to the maximum"),
        pytest.param(["Cache-Control: max-age=99999999"], 60, 3600, id="cut, with a minimum"),
        pytest.param(["Cache-Control: max-age=300"], 60, 300, id="between"),
        pytest.param(["Cache-Control: max-age=0"], 0, 0, id="zero is stored, and stale at once"),
        pytest.param([], 0, 100, id="nothing said"),
        pytest.param([], 500, 500, id="nothing said, minimum over default"),
        pytest.param([f"Expires: {IN_A_MINUTE}"], 0, 60, id="Expires"),
        pytest.param([f"Expires: {IN_A_MINUTE}"], 90, 90, id="Expires under the minimum"),
        pytest.param(["Expires: Sat, 09 Sep 2034 01:47:40 GMT"], 0, 3600, id="Expires far away"),
        pytest.param(["Expires: 0"], 0, 0, id="Expires that is no date has passed"),
        pytest.param(["Expires: Sun, 09 Sep 2001 01:00:00 GMT"], 0, 0, id="Expires has passed"),
    ],
)
@pytest.mark.conformance("CF-31")
def test_the_ttl_table(lines: list[str], least_s: int, ttl_s: int) -> None:
    """The lesser of the origin's and the maximum TTL, at least the minimum."""
    assert kept(*lines, of=policy(least_s)).ttl_s == ttl_s


@pytest.mark.parametrize(
    ("lines", "ttl_s"),
    [
        (["Cache-Control: max-age=10, s-maxage=20"], 20),
        (["Cache-Control: s-maxage=20"], 20),
        ([f"Expires: {IN_A_MINUTE}", "Cache-Control: max-age=10"], 10),
        ([f"Expires: {IN_A_MINUTE}", "Cache-Control: public"], 60),
    ],
)
@pytest.mark.conformance("CF-32")
def test_s_maxage_beats_max_age_beats_expires(lines: list[str], ttl_s: int) -> None:
    """The most specific one counts."""
    assert kept(*lines).ttl_s == ttl_s


@pytest.mark.parametrize("directive", ["no-store", "no-cache", "private", "private, max-age=60"])
def test_forbidden_to_cache(directive: str) -> None:
    """Respected with minimum TTL 0; otherwise kept for the minimum TTL."""
    line = f"Cache-Control: {directive}"

    assert kept(line).must_not_store
    assert not kept(line, of=policy(5)).must_not_store
    assert kept(line, of=policy(5)).ttl_s == 5


def test_caching_disabled_stores_nothing() -> None:
    """All three TTLs zero."""
    assert kept("Cache-Control: max-age=60", of=CACHE["CachingDisabled"]).must_not_store


def test_no_cache_set_cookie_keeps_that_header_out() -> None:
    """The object is cached, Set-Cookie is not."""
    response = answer(
        'Cache-Control: no-cache="Set-Cookie", max-age=60', "Set-Cookie: a=1", "ETag: x"
    )
    fresh = freshness(response, policy(), NOW_S)

    assert fresh.ttl_s == 60
    assert "set-cookie" not in storable(response, fresh).headers
    assert storable(response, fresh).headers.get("etag") == "x"
    assert "set-cookie" in storable(response, kept("Cache-Control: max-age=60")).headers


def test_vary_star() -> None:
    """With minimum TTL 0 each request goes to the origin, without conditional headers."""
    starred = kept("Vary: Accept-Encoding, *", "Cache-Control: max-age=60")

    assert standing(starred, NOW_S, NOW_S).verdict is Verdict.REFETCH
    assert not starred.revalidates
    assert not kept("Vary: *", of=policy(1)).vary_all


# --- Errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "lines", "ttl_s"),
    [
        pytest.param(404, [], 10, id="404 by default"),
        pytest.param(404, ["Cache-Control: no-store"], 10, id="404 whatever it says"),
        pytest.param(403, [], None, id="403 unless told"),
        pytest.param(403, ["Cache-Control: max-age=60"], 60, id="403 when told"),
        pytest.param(403, ["Cache-Control: s-maxage=2"], 10, id="at least the minimum"),
        pytest.param(500, ["Cache-Control: max-age=120"], 120, id="the greater of the two"),
        pytest.param(503, ["Cache-Control: max-age=1"], 10, id="503"),
        pytest.param(416, ["Cache-Control: max-age=60"], None, id="416 never"),
        pytest.param(429, ["Cache-Control: max-age=60"], None, id="429 is in no list"),
    ],
)
@pytest.mark.conformance("CF-45", "CF-46")
def test_error_caching(status: int, lines: list[str], ttl_s: int | None) -> None:
    """The table of facts 9.1."""
    assert error_ttl_s(status, answer(*lines), policy()) == ttl_s


@pytest.mark.conformance("CF-47")
def test_caching_disabled_never_caches_errors() -> None:
    """Whatever the status and the headers."""
    assert error_ttl_s(404, answer("Cache-Control: max-age=60"), CACHE["CachingDisabled"]) is None


def test_s3s_501_with_no_store_is_not_cached() -> None:
    """AWS says so of S3 alone."""
    response = answer("Cache-Control: no-store", status=501)

    assert error_ttl_s(501, response, policy(), 10, OriginKind.S3) is None
    assert error_ttl_s(501, response, policy()) == 10


def test_an_expired_error_is_simply_fetched_again() -> None:
    """It is neither revalidated nor served stale."""
    error = error_freshness(answer(status=404), policy(), 30)

    assert standing(error, NOW_S, NOW_S + 29.9).verdict is Verdict.FRESH
    assert standing(error, NOW_S, NOW_S + 30).verdict is Verdict.REFETCH
    assert not standing(error, NOW_S, NOW_S + 30).serves_on_error(NOW_S + 30)
    assert error_freshness(answer(status=403), policy()).must_not_store


# --- What now -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directives", "age", "verdict"),
    [
        ("max-age=60", 59.9, Verdict.FRESH),
        ("max-age=60", 60, Verdict.REVALIDATE),
        ("max-age=60, stale-while-revalidate=30", 89, Verdict.STALE_SERVE_AND_REFRESH),
        ("max-age=60, stale-while-revalidate=30", 90, Verdict.REVALIDATE),
        ("max-age=60, stale-while-revalidate=9999", 3599, Verdict.STALE_SERVE_AND_REFRESH),
        ("max-age=60, stale-while-revalidate=9999", 3600, Verdict.REVALIDATE),
        ("max-age=3600, stale-while-revalidate=60", 3600, Verdict.REVALIDATE),
        ("max-age=0", 0, Verdict.REVALIDATE),
    ],
)
def test_the_verdict_on_a_stored_object(directives: str, age: float, verdict: Verdict) -> None:
    """Fresh, then stale while revalidating up to the maximum TTL of age, then revalidated."""
    fresh = kept(f"Cache-Control: {directives}")

    assert standing(fresh, NOW_S, NOW_S + age).verdict is verdict


@pytest.mark.parametrize(
    ("directives", "lasts_s"),
    [
        pytest.param("max-age=60", math.inf, id="no end without directives"),
        pytest.param("max-age=60, stale-if-error=30", 90, id="as long as it says"),
        pytest.param("max-age=60, stale-if-error=99999", 3600, id="not past the maximum TTL"),
        pytest.param("max-age=60, stale-if-error=0", -math.inf, id="switched off"),
    ],
)
def test_how_long_a_stale_object_stands_in_for_an_error(directives: str, lasts_s: float) -> None:
    """stale-if-error, or CloudFront's own habit."""
    now = standing(kept(f"Cache-Control: {directives}"), NOW_S, NOW_S + 61)

    assert now.stale_on_error_until_s == NOW_S + lasts_s
    assert now.serves_on_error(NOW_S + 61) is (lasts_s > 61)


def test_the_quiet_period() -> None:
    """After a failure the stale object is served for 10 s without asking the origin."""
    fresh = kept("Cache-Control: max-age=60")
    quiet_s = quiet_until_s(NOW_S + 60)

    assert standing(fresh, NOW_S, NOW_S + 69.9, quiet_s).verdict is Verdict.STALE_SERVE
    assert standing(fresh, NOW_S, NOW_S + 70, quiet_s).verdict is Verdict.REVALIDATE
    off = replace(fresh, stale_if_error_s=0)
    assert standing(off, NOW_S, NOW_S + 61, quiet_s).verdict is Verdict.REVALIDATE


@given(
    st.builds(
        Freshness,
        ttl_s=st.integers(0, 1000),
        max_ttl_s=st.integers(0, 1000),
        stale_while_revalidate_s=st.integers(0, 1000),
        stale_if_error_s=st.none() | st.integers(0, 1000),
    ),
    st.integers(0, 4000),
)
def test_what_was_not_fresh_never_becomes_fresh(fresh: Freshness, age: int) -> None:
    """Freshness only ends with time."""
    if standing(fresh, 0, age).verdict is not Verdict.FRESH:
        assert standing(fresh, 0, age + 1).verdict is not Verdict.FRESH


def test_only_5xx_is_covered_by_a_stale_object() -> None:
    """A 404 goes to the viewer."""
    assert [status for status in (404, 499, 500, 504, 599) if stale_stands_in_for(status)] == [
        500,
        504,
        599,
    ]


def test_age_is_whole_seconds_since_the_fetch() -> None:
    """The capture of facts 14.2: fetched 17:09:27, served 17:11:35, Age 128."""
    assert age_s(NOW_S, NOW_S + 128.9) == 128
    assert age_s(NOW_S, NOW_S - 1) == 0


@given(st.text())
def test_any_date_can_be_read(text: str) -> None:
    """A date is a number of seconds or nothing."""
    assert isinstance(http_date_s(text), float | None)
