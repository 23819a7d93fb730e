"""What is understood of a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.aws.bedrock.reading import Limits, Section, read_prompt


def test_titled_lists_are_sections() -> None:
    """The line above a list is its title; tags and orders are no facts."""
    brief = read_prompt(
        "You write for engineers.\nWrite the reader's morning briefing.\n"
        "<reader>\nMaya Lindqvist, engineer\n</reader>\n<facts>\nOpen alerts:\n"
        "- checkout-api: disk above 85 %.\n* ledger: slow\nTickets:\n1. T-1 open\n- none\n</facts>"
    )

    assert brief.name == "Maya"
    assert brief.task == "morning briefing"
    assert brief.sections == (
        Section("Open alerts", ("checkout-api: disk above 85 %", "ledger: slow")),
        Section("Tickets", ("T-1 open", "none")),
    )


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Status: all green\nLoad = 7", ("Status: all green", "Load: 7")),
        (
            '{"service": "ledger", "errors": 5, "tags": []}\n{broken',
            ("service ledger, errors 5",),
        ),
        (
            "Answer in prose. The build farm ran 42 jobs. What should Bob do?",
            ("The build farm ran 42 jobs",),
        ),
    ],
    ids=["labels", "JSON lines", "prose"],
)
def test_facts_without_a_list(text: str, facts: tuple[str, ...]) -> None:
    """Labelled lines, JSON lines, and sentences with a name or a number."""
    assert tuple(fact for section in read_prompt(text).sections for fact in section.facts) == facts


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("in at most 700 characters", Limits(chars=700)),
        ("No more than 1,000 chars, better under 800 characters", Limits(chars=800)),
        ("at most 900 bytes and fewer than 120 words", Limits(size_bytes=900, words=120)),
        ("up to 3 sentences", Limits(sentences=3)),
        ("about 5 words", Limits()),
    ],
)
def test_asked_lengths(text: str, limits: Limits) -> None:
    """The smallest number of each unit counts."""
    assert read_prompt(text).limits == limits


@pytest.mark.parametrize(
    ("line", "task"),
    [
        ("Summarise the latest deployments.", "summary"),
        ("Digest the reader's tickets", "digest"),
        ("Tell the timeline of the alert.", "timeline"),
        ("Write a status report", "status"),
        ("Say so when there is nothing to report.", ""),
    ],
)
def test_what_is_asked_for(line: str, task: str) -> None:
    """The noun of the order, or of its verb."""
    assert read_prompt(line).task == task


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    """No prompt crashes the reader."""
    read_prompt(text)


@pytest.mark.parametrize("text", ["a: " * 50_000, "<" * 100_000, "A" * 100_000, "- x\n" * 30_000])
def test_long_prompts_are_read_quickly(text: str) -> None:
    """A hundred kilobytes of anything take no noticeable time; facts are bounded in number."""
    assert sum(len(section.facts) for section in read_prompt(text).sections) <= 61
