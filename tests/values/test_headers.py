"""Headers: order, case and repetition kept; names compared without case."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emulator.values.headers import Headers

NAMES = st.sampled_from(["Accept", "accept", "Cookie", "X-A"])
PAIRS = st.lists(st.tuples(NAMES, st.text(max_size=4)), max_size=6)


def test_names_are_found_whatever_their_case() -> None:
    """HTTP header names have no case; the wire's case is kept all the same."""
    headers = Headers([("X-Api-KEY", "1")])

    assert headers.get("x-api-key") == "1"
    assert "X-API-Key" in headers
    assert headers.pairs == (("X-Api-KEY", "1"),)


def test_a_repeated_name_keeps_every_line() -> None:
    """Functions see two Cookie lines as two entries; nothing is folded."""
    headers = Headers([("Cookie", "a=1"), ("Host", "h"), ("cookie", "b=2")])

    assert headers.get_all("cookie") == ("a=1", "b=2")
    assert headers.get("cookie") == "a=1"


def test_setting_a_name_keeps_its_place_and_leaves_one_line() -> None:
    """Order on the wire is part of what a viewer sees."""
    headers = Headers([("A", "1"), ("B", "2"), ("a", "3")])

    assert headers.with_set("a", "9").pairs == (("A", "9"), ("B", "2"))
    assert headers.with_set("C", "9").pairs[-1] == ("C", "9")


@given(PAIRS, NAMES)
def test_without_removes_every_line_of_a_name_and_no_other(
    pairs: list[tuple[str, str]], name: str
) -> None:
    """`without` is exact."""
    left = Headers(pairs).without(name)

    assert name not in left
    assert [pair for pair in pairs if pair[0].lower() != name.lower()] == list(left)


@given(PAIRS)
def test_changes_make_new_values(pairs: list[tuple[str, str]]) -> None:
    """A Headers value never changes."""
    headers = Headers(pairs)

    headers.with_added("X-New", "1")
    headers.with_set("Accept", "x")
    headers.without("Accept")

    assert headers == Headers(pairs)
    assert hash(headers) == hash(Headers(pairs))
