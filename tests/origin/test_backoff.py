"""Back-off: how often, how long."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from origin.backoff import Backoff


@given(st.integers(1, 12), st.integers())
def test_waits_are_bounded_in_number_and_length(attempts: int, seed: int) -> None:
    """There is a wait between any two tries, each from zero to its doubled and capped limit."""
    waits: list[float] = []
    backoff = Backoff(attempts, base_s=0.5, cap_s=4.0, rng=random.Random(seed), sleep=waits.append)

    tries = 1
    while backoff.wait(tries):
        tries += 1

    assert tries == attempts
    assert len(waits) == attempts - 1
    assert all(0 <= wait_s <= min(4.0, 0.5 * 2**n) for n, wait_s in enumerate(waits))


def test_two_writers_wait_differently() -> None:
    """Jitter: writers that met once do not meet again because of it."""
    waits: list[float] = []
    for seed in (1, 2):
        Backoff(9, base_s=1.0, cap_s=1.0, rng=random.Random(seed), sleep=waits.append).wait(1)

    assert waits[0] != waits[1]
