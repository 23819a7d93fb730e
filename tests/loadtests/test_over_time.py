"""Percentiles over time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.over_time import LEAST, over_time_section, slice_width_s, slices
from tests.loadtests.making import recording

SAMPLES = recording(1).samples


def test_a_slice_has_its_own_percentiles() -> None:
    """By the moment a request was meant to start; errors have no time."""
    one = SAMPLES[0]
    early = [replace(one, intended_s=0.5, total_ms=float(ms)) for ms in range(1, 101)]
    late = [replace(one, intended_s=1.5, total_ms=float(ms)) for ms in range(101, 201)]
    failed = [replace(one, intended_s=0.5, total_ms=9_999.0, error="x")] * 50
    first, second = slices([*early, *late, *failed], 2.0, 1.0)

    assert (first.p50_ms, first.p95_ms, first.answers) == (50, 95, 100)
    assert (second.start_s, second.p50_ms, second.p95_ms) == (1.0, 150, 195)


def test_few_answers_are_no_percentile() -> None:
    """A gap in the line."""
    [alone] = slices(SAMPLES[: LEAST - 1], 1.0, 1.0)

    assert (alone.p50_ms, alone.p95_ms, alone.answers) == (None, None, LEAST - 1)


@pytest.mark.parametrize(
    ("length_s", "answers", "expected"),
    [(30, 10_000, 1), (30, 320, 5), (3_600, 100_000, 200), (3, 10_000, 0.1)],
)
def test_slices_are_round(length_s: float, answers: int, expected: float) -> None:
    """1, 2 or 5 times a power of ten, about thirty of them."""
    assert slice_width_s(length_s, answers) == pytest.approx(expected)


def test_the_section_has_lines_and_their_table() -> None:
    """Both sides, and the warm-up; nothing of too few answers."""
    html = over_time_section(SAMPLES, 1.0)

    assert html.count('class="curve') == 4
    assert "warmup" in html
    assert "<details>" in html
    assert over_time_section(SAMPLES[:5], 1.0) == ""
    assert over_time_section((), 1.0) == ""
