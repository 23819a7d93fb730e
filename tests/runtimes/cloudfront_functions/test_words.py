"""quickjs-ng's messages in njs's words."""

from __future__ import annotations

import pytest

from emulator.runtimes.cloudfront_functions.words import MemberCall, Words

CALLS = (MemberCall((2, 1), (2, 20), "outer"), MemberCall((2, 9), (2, 18), "inner"))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("cannot read property 'a' of undefined", 'cannot get property "a" of undefined'),
        ("cannot read property 'it's' of null", 'cannot get property "it\'s" of null'),
        ("cannot set property 'a' of null", "property set on primitive null type"),
        ("x is not defined", '"x" is not defined'),
        ("'kept' is read-only", "assignment to constant variable"),
        ("'other' is read-only", 'Cannot assign to read-only property "other" of object'),
        ("something of our own", "something of our own"),
    ],
)
def test_messages(message: str, words: str) -> None:
    """Known messages are translated, others stay as they are."""
    assert Words("const kept = 1;", ()).translate(message, 1, 1, native=False) == words


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((2, 10), '(intermediate value)["inner"] is not a function'),
        ((2, 2), '(intermediate value)["outer"] is not a function'),
        ((2, 19), '(intermediate value)["outer"] is not a function'),
        ((3, 1), "undefined is not a function"),
    ],
)
def test_what_was_called(place: tuple[int, int], words: str) -> None:
    """The innermost call around the place is the one that failed."""
    assert Words("", CALLS).translate("not a function", *place, native=False) == words


def test_a_callback() -> None:
    """A built-in function that was given no function says so."""
    words = Words("", CALLS).translate("not a function", 2, 2, native=True)

    assert words == "callback argument is not callable"
