"""Which cache behavior serves a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES
from emulator.rules.path_pattern import matches, normalise_path, select_behavior
from emulator.values.distribution import CacheBehavior, Distribution, Origin

POLICY = next(iter(MANAGED_CACHE_POLICIES.values()))


def distribution(*patterns: str) -> Distribution:
    """A distribution with these behaviors and a default one."""
    return Distribution(
        "E1",
        "d1.cloudfront.net",
        tuple(CacheBehavior(pattern, "O", POLICY) for pattern in (*patterns, "*")),
        {"O": Origin("O", "origin.example.com")},
    )


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        pytest.param("a*.jpg", "/abra/cadabra/magic.jpg", True, id="star crosses slashes"),
        pytest.param("*.doc?", "/x.docx", True, id="question mark is one character"),
        pytest.param("*.doc?", "/x.doc", False, id="question mark is not none"),
        pytest.param("*.jpg", "/LOGO.JPG", False, id="case matters"),
        pytest.param("/images/*", "/images/a.png", True, id="leading slash"),
        pytest.param("images/*", "/images/a.png", True, id="no leading slash"),
        pytest.param("/*product.jpg", "/bigproduct.jpg", True, id="star at the front"),
        pytest.param("*product.jpg", "/a/bigproduct.jpg", True, id="star at the front, no slash"),
        pytest.param("/a+b(c)", "/a+b(c)", True, id="other characters are themselves"),
        pytest.param("/answers/*", "/answers", False, id="the slash belongs to the pattern"),
    ],
)
@pytest.mark.conformance("CF-3", "CF-4", "CF-5", "CF-6")
def test_a_pattern_covers_what_aws_says(pattern: str, path: str, covered: bool) -> None:
    """`*` and `?` are the only wildcards."""
    assert matches(pattern, path) is covered


@pytest.mark.conformance("CF-1", "CF-2")
def test_the_first_match_wins_and_the_default_comes_last() -> None:
    """Listed order decides, not length."""
    site = distribution("/a*", "/answers/*")

    assert select_behavior(site, "/answers/x").path_pattern == "/a*"
    assert select_behavior(site, "/zebra").path_pattern == "*"


@pytest.mark.conformance("CF-8")
def test_dot_segments_are_resolved_for_the_match() -> None:
    """AWS's own example: `/a/b/..` matches `/a*`, not `/a/b*`."""
    site = distribution("/a/b*", "/a*")

    assert select_behavior(site, "/a/b/..").path_pattern == "/a*"


@given(st.text(alphabet="ab./", max_size=20))
def test_normalising_is_idempotent_and_leaves_no_dots(tail: str) -> None:
    """A normalised path is its own normal form and climbs nowhere."""
    once = normalise_path(f"/{tail}")

    assert once.startswith("/")
    assert normalise_path(once) == once
    assert not {".", ".."} & set(once.split("/"))
