"""What makes two requests the same object."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.cache_key import cache_key, key_plan, object_path, uses_cache
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES
from emulator.rules.origin_request import origin_request
from emulator.values.distribution import (
    ALL_METHODS,
    CacheBehavior,
    CachePolicy,
    Distribution,
    Names,
    Origin,
    Selection,
)
from emulator.values.headers import Headers
from emulator.values.messages import Request

CACHE = {policy.name: policy for policy in MANAGED_CACHE_POLICIES.values()}
SITE = Distribution("E1", "d1.cloudfront.net", (), {}, default_root_object="index.html")
ALL = Names(Selection.ALL)


def listed(*names: str) -> Names:
    """An allow list."""
    return Names(Selection.WHITELIST, frozenset(names))


def behavior(policy: CachePolicy | None = None, **parts: Names) -> CacheBehavior:
    """A behavior whose cache policy has these parts."""
    return CacheBehavior("*", "O", replace(policy or CachePolicy("c", 0, 60, 3600), **parts))  # type: ignore[arg-type]


def same(of: CacheBehavior, one: Request, other: Request) -> bool:
    """Whether two requests share a key."""
    return cache_key(SITE, of, one) == cache_key(SITE, of, other)


def get(target: str, *lines: tuple[str, str], method: str = "GET") -> Request:
    """A request."""
    uri, mark, query = target.partition("?")
    return Request(method, uri, query, Headers(lines), has_query=bool(mark))


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        pytest.param(get("/a?x=1"), get("/a?x=2"), True, id="query"),
        pytest.param(get("/a", ("Host", "a.example")), get("/a", ("Host", "b")), True, id="host"),
        pytest.param(get("/a", ("Cookie", "s=1")), get("/a", ("Cookie", "s=2")), True, id="cookie"),
        pytest.param(get("/a", ("Range", "bytes=0-1")), get("/a"), True, id="range"),
        pytest.param(get("/a"), get("/a", ("Cache-Control", "no-cache")), True, id="viewer's wish"),
        pytest.param(get("/a"), get("/a", method="HEAD"), True, id="GET and HEAD"),
        pytest.param(get("/a"), get("/a", method="OPTIONS"), False, id="OPTIONS"),
        pytest.param(get("/a"), get("/A"), False, id="path case"),
        pytest.param(get("/a%20b"), get("/a b"), False, id="escapes are not read"),
        pytest.param(get("/"), get("/index.html"), True, id="default root object"),
        pytest.param(get("/b/"), get("/b/index.html"), False, id="only of the root"),
    ],
)
@pytest.mark.conformance("CF-23")
def test_caching_optimized(one: Request, other: Request, shared: bool) -> None:
    """CachingOptimized keys by path alone: Host, query and cookies do not count."""
    assert same(behavior(CACHE["CachingOptimized"]), one, other) is shared


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        pytest.param("/a?a=1&b=2", "/a?b=2&a=1", False, id="order counts"),
        pytest.param("/a?a=X", "/a?a=x", False, id="case of values counts"),
        pytest.param("/a?A=1", "/a?a=1", False, id="case of names counts"),
        pytest.param("/a?", "/a", True, id="a bare question mark is none"),
    ],
)
@pytest.mark.conformance("CF-22")
def test_all_query_strings(one: str, other: str, shared: bool) -> None:
    """CloudFront neither sorts nor folds query strings."""
    assert same(behavior(query_strings=ALL), get(one), get(other)) is shared


@pytest.mark.parametrize(
    ("names", "query"),
    [
        pytest.param(Names(), "", id="none"),
        pytest.param(listed("b", "c"), "c=3&b=2&b=4", id="listed, in the viewer's order"),
        pytest.param(Names(Selection.ALL_EXCEPT, frozenset("b")), "c=3&a=1", id="all but"),
        pytest.param(listed("*"), "", id="a star is literal"),
        pytest.param(listed("d"), "", id="a missing one"),
    ],
)
def test_chosen_query_strings(names: Names, query: str) -> None:
    """Only the policy's parameters are in the key."""
    assert cache_key(SITE, behavior(query_strings=names), get("/a?c=3&b=2&a=1&b=4")).query == query


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        pytest.param([("X-Lang", "en")], [("x-lang", "en")], True, id="names without case"),
        pytest.param([("X-Lang", "en")], [("X-Lang", "EN")], False, id="values with case"),
        pytest.param([], [("X-Lang", "")], False, id="missing is a variant"),
        pytest.param([("X-Other", "1")], [("X-Other", "2")], True, id="unlisted"),
    ],
)
@pytest.mark.conformance("CF-25")
def test_listed_headers(
    one: list[tuple[str, str]], other: list[tuple[str, str]], shared: bool
) -> None:
    """Header names are compared without case, values with it."""
    assert same(behavior(headers=listed("x-lang")), get("/", *one), get("/", *other)) is shared


@pytest.mark.parametrize(
    ("names", "cookies"),
    [
        pytest.param(Names(), (), id="none"),
        pytest.param(listed("b"), (("b", "2"),), id="listed"),
        pytest.param(ALL, (("a", "1"), ("b", "2"), ("c", "x=y")), id="all, sorted by name"),
        pytest.param(Names(Selection.ALL_EXCEPT, frozenset("b")), (("a", "1"), ("c", "x=y"))),
        pytest.param(listed("*"), (), id="a star is literal"),
        pytest.param(
            Names(Selection.WHITELIST, frozenset(), ("?",)),
            (("a", "1"), ("b", "2"), ("c", "x=y")),
            id="legacy wildcards",
        ),
    ],
)
def test_chosen_cookies(names: Names, cookies: tuple[tuple[str, str], ...]) -> None:
    """Sorted by name; `$names` and what is not name=value are dropped."""
    request = get("/", ("Cookie", "c=x=y; $v=1; junk"), ("Cookie", "b=2; a=1; =7"))

    assert cache_key(SITE, behavior(cookies=names), request).cookies == cookies


@pytest.mark.parametrize(
    ("gzip", "brotli", "offered", "encodings"),
    [
        (True, True, "gzip, deflate, br", "br,gzip"),
        (True, True, "gzip", "gzip"),
        (True, True, "deflate", ""),
        (True, False, "gzip, br", "gzip"),
        (True, False, "br", ""),
        (True, True, None, ""),
        (False, False, "gzip, br", ""),
    ],
)
def test_accept_encoding(gzip: bool, brotli: bool, offered: str | None, encodings: str) -> None:
    """The table of facts 4.2: the key holds the normalised form, nothing for `identity`."""
    policy = CachePolicy("c", 0, 60, 3600, gzip=gzip, brotli=brotli)
    lines = [] if offered is None else [("Accept-Encoding", offered)]

    assert cache_key(SITE, behavior(policy), get("/", *lines)).accept_encoding == encodings


def test_accept_encoding_listed_as_a_header() -> None:
    """With both formats off it is a header like any other."""
    key = cache_key(
        SITE, behavior(headers=listed("accept-encoding")), get("/", ("Accept-Encoding", "gzip, x"))
    )

    assert key.headers == (("accept-encoding", "gzip, x"),)


@pytest.mark.parametrize(
    ("method", "cached", "used"),
    [
        ("GET", {"GET", "HEAD"}, True),
        ("HEAD", {"GET", "HEAD"}, True),
        ("OPTIONS", {"GET", "HEAD"}, False),
        ("OPTIONS", {"GET", "HEAD", "OPTIONS"}, True),
        ("POST", ALL_METHODS, False),
        ("DELETE", ALL_METHODS, False),
    ],
)
def test_methods_that_use_the_cache(method: str, cached: set[str], used: bool) -> None:
    """GET and HEAD always, OPTIONS when CachedMethods has it, others never."""
    assert uses_cache(replace(behavior(), cached_methods=frozenset(cached)), method) is used


def test_policies_that_never_cache() -> None:
    """CachingDisabled, and legacy settings that forward all headers."""
    assert not uses_cache(behavior(CACHE["CachingDisabled"]), "GET")
    assert not uses_cache(behavior(headers=ALL), "GET")


def test_the_default_root_object_is_only_the_roots() -> None:
    """`/` alone, no folder."""
    assert object_path(SITE, "/") == "/index.html"
    assert object_path(SITE, "/a/") == "/a/"
    assert object_path(replace(SITE, default_root_object=""), "/") == "/"


NAMES = st.sampled_from(["a", "b", "X-A", "x-b", "cookie", "host", "accept-encoding"])
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters=";"))
CHOICES = st.builds(
    Names,
    st.sampled_from([Selection.NONE, Selection.WHITELIST, Selection.ALL_EXCEPT, Selection.ALL]),
    st.frozensets(st.sampled_from(["a", "b", "x-a"])),
)


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=6),
    st.text("ab=&%", max_size=12),
    CHOICES,
    CHOICES,
    st.booleans(),
)
def test_everything_in_the_key_is_sent_to_the_origin(
    lines: list[tuple[str, str]], query: str, cookies: Names, queries: Names, gzip: bool
) -> None:
    """What tells two objects apart must be known to the one who makes them."""
    policy = CachePolicy("c", 0, 60, 3600, listed("x-a"), cookies, queries, gzip=gzip)
    of = CacheBehavior("*", "O", policy)
    request = Request("GET", "/p", query, Headers(lines))
    key = key_plan(SITE, of).key(request)
    sent = origin_request(request, of, Origin("O", "o.example"), "id", "via")

    assert sent.querystring == key.query
    for name, value in key.headers:
        assert ", ".join(sent.headers.get_all(name)) == value
    assert sent.headers.get("cookie") == "; ".join(f"{name}={value}" for name, value in key.cookies)
    assert sent.headers.get("accept-encoding").replace("identity", "") == key.accept_encoding
    assert hash(key) == hash(cache_key(SITE, of, request))
