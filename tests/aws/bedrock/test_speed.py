"""How fast tokens arrive."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.aws.bedrock.models import HAIKU, NOVA_MICRO, SONNET, SpeedClass
from emulator.aws.bedrock.speed import EVENTS_PER_S, Pace, draw_pace, events


@pytest.mark.parametrize("speed", [HAIKU, SONNET, NOVA_MICRO], ids=["haiku", "sonnet", "nova"])
def test_draws_have_the_published_medians(speed: SpeedClass) -> None:
    """The medians of 4,000 draws lie at those of facts/latency.md section 11."""
    chance = random.Random(1)
    paces = [draw_pace(speed, chance, 1.0) for _ in range(4_000)]

    first = statistics.median(pace.first_token_ms for pace in paces)
    rate = statistics.median(1_000 / pace.token_ms for pace in paces)
    assert first == pytest.approx(speed.first_token_ms, rel=0.05)
    assert rate == pytest.approx(speed.tokens_per_s, rel=0.05)


def test_the_same_seed_draws_the_same() -> None:
    """And the scale only stretches it."""
    one, same = (draw_pace(HAIKU, random.Random(7), 1.0) for _ in range(2))
    half = draw_pace(HAIKU, random.Random(7), 0.5)

    assert one == same
    assert half == Pace(one.first_token_ms / 2, one.token_ms / 2)
    assert draw_pace(HAIKU, random.Random(7), 0.0) == Pace(0.0, 0.0)


@given(
    st.lists(st.text(min_size=1, max_size=3), max_size=300),
    st.floats(0, 5_000),
    st.sampled_from([0.0, 0.5, 2.9, 13.3, 16.7, 100.0]),
)
def test_events_carry_every_token_in_time(
    pieces: list[str], first_token_ms: float, token_ms: float
) -> None:
    """Nothing lost, deadlines in order, the first token alone and on time, the last one, too."""
    pace = Pace(first_token_ms, token_ms)

    planned = list(events(pieces, pace))

    assert "".join(text for _, text in planned) == "".join(pieces)
    dues = [due for due, _ in planned]
    assert dues == sorted(dues)
    if pieces:
        assert planned[0] == (first_token_ms, pieces[0])
        assert dues[-1] == pace.due_ms(len(pieces) - 1)


@pytest.mark.parametrize("tokens_per_s", [10, 60, 75, 350, 575])
def test_a_stream_sends_some_25_events_a_second(tokens_per_s: int) -> None:
    """However fast the model is; a slow one sends each token by itself."""
    pace = Pace(0.0, 1_000 / tokens_per_s)

    per_second = len(list(events(["t"] * tokens_per_s * 10, pace))) / 10

    assert per_second <= EVENTS_PER_S * 1.4
    assert per_second >= min(tokens_per_s, EVENTS_PER_S * 0.7)
