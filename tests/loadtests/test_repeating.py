"""When each of several runs begins."""

from __future__ import annotations

import itertools

import pytest

from loadtests.__main__ import worst_code
from loadtests.errors import BadInputError
from loadtests.repeating import parse_duration, slots


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3_600), ("1h30m", 5_400)]
)
def test_durations(text: str, seconds: float) -> None:
    """As people write them."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "0m", "m", "1d", "-5m"])
def test_what_is_no_duration(text: str) -> None:
    """Named, with examples."""
    with pytest.raises(BadInputError, match="15m"):
        parse_duration(text)


def test_a_slot_that_a_run_was_still_using_is_left_out() -> None:
    """Runs begin on the grid, never one right after a late one."""
    clock = iter([0.0, 5.0, 25.0, 31.0])

    assert list(itertools.islice(slots(10, lambda: next(clock)), 4)) == [0, 10, 30, 40]


def test_the_worst_code_of_several_runs() -> None:
    """Void, errors, SEV-1 to SEV-3, objectives; what nobody knows is worst."""
    assert worst_code([0, 4, 13]) == 13
    assert worst_code([12, 11, 13]) == 11
    assert worst_code([0, 3, 11]) == 3
    assert worst_code([0, 0]) == 0
    assert worst_code([11, -9]) == -9
