"""Which cached objects an invalidation removes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ApiError
from emulator.rules.cache_key import CacheKey, cache_key
from emulator.rules.invalidation import check_paths, invalidation_paths, path_problem
from emulator.values.distribution import CacheBehavior, CachePolicy, Distribution, Names, Selection
from emulator.values.headers import Headers
from emulator.values.messages import Request

SITE = Distribution("E1", "d1.cloudfront.net", (), {}, default_root_object="index.html")


def stored(target: str, *lines: tuple[str, str], queries: bool = True) -> CacheKey:
    """The key of a cached object."""
    uri, _, query = target.partition("?")
    every = Names(Selection.ALL)
    policy = CachePolicy(
        "c",
        0,
        60,
        3600,
        Names(Selection.WHITELIST, frozenset({"x-lang"})),
        every,
        every if queries else Names(),
        gzip=True,
    )
    request = Request("GET", uri, query, Headers(lines))
    return cache_key(SITE, CacheBehavior("*", "O", policy), request)


@pytest.mark.parametrize(
    ("path", "target", "covered"),
    [
        ("/a", "/a", True),
        ("/a", "/A", False),
        ("/a", "/ab", False),
        ("/a", "/a?x=1", False),
        ("/a?x=1", "/a?x=1", True),
        ("/a?x=1", "/a?x=2", False),
        ("/a*", "/a?x=1", True),
        ("/a*", "/ab/c", True),
        ("/a/*", "/a", False),
        ("/*", "/anything?at=all", True),
        ("/a*b", "/axb", False),
        ("/a*b", "/a*b", True),
        ("/a*b*", "/a*bc", True),
        ("/a?", "/ab", False),
        ("/index.html", "/", True),
        ("/", "/", False),
        ("/~me/*", "/~me/x", False),
    ],
)
def test_which_objects_a_path_covers(path: str, target: str, covered: bool) -> None:
    """Path and query as they are in the key; a wildcard at the end only."""
    assert invalidation_paths([path]).cover(stored(target)) is covered


def test_a_query_that_is_not_in_the_key_need_not_be_named() -> None:
    """The path alone removes the object."""
    assert invalidation_paths(["/a"]).cover(stored("/a?x=1", queries=False))


def test_every_variant_goes() -> None:
    """By header, cookie and encoding: they cannot be told apart."""
    variants = [
        stored("/a"),
        stored("/a", ("X-Lang", "en")),
        stored("/a", ("Cookie", "s=1")),
        stored("/a", ("Accept-Encoding", "gzip")),
    ]

    assert len(set(variants)) == 4
    assert all(invalidation_paths(["/a"]).cover(key) for key in variants)


def test_a_rewritten_object_is_known_by_its_rewritten_path() -> None:
    """AWS's example: to be sure, name both forms."""
    key = stored("/en/index.html")

    assert not invalidation_paths(["/index.html"]).cover(key)
    assert invalidation_paths(["/index.html", "/en/index.html"]).cover(key)


@pytest.mark.parametrize(
    ("path", "valid"),
    [
        ("/a", True),
        ("/*", True),
        ("/a?x=1&y=*", True),
        ("/%C3%A9", True),
        ("a", False),
        ("", False),
        ("*", False),
        ("/é", False),
        ("/a b", False),
        ("/a\n", False),
        ("/" + "a" * 3999, True),
        ("/" + "a" * 4000, False),
    ],
)
def test_valid_paths(path: str, valid: bool) -> None:
    """They begin with `/`, are encoded, and have at most 4,000 characters."""
    assert (path_problem(path) == "") is valid
    if not valid:
        with pytest.raises(ApiError, match="InvalidArgument"):
            check_paths(("/fine", path))


def test_quotas() -> None:
    """3,000 paths and 15 wildcard paths in progress."""
    check_paths(("/a",) * 2999, in_progress=1)
    check_paths(("/a*",), wildcards=14)
    with pytest.raises(ApiError, match="TooManyInvalidationsInProgress"):
        check_paths(("/a",) * 3000, in_progress=1)
    with pytest.raises(ApiError, match="TooManyInvalidationsInProgress"):
        check_paths(("/a*",), wildcards=15)


@given(st.text("/ab*?=", max_size=10), st.text("/ab*?=", max_size=10))
def test_a_wildcard_covers_whatever_begins_so(path: str, rest: str) -> None:
    """And the exact path covers itself."""
    key = CacheKey("d", "/" + path + rest, "", (), (), "", options=False)

    assert invalidation_paths(["/" + path + "*"]).cover(key)
    if not rest.endswith("*") and not (rest == "" and path.endswith("*")):
        assert invalidation_paths([key.path]).cover(key)
