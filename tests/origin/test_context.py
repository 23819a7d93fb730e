"""Prompts: the right facts for the right reader, the same every time, never too many."""

from __future__ import annotations

from collections import defaultdict

import pytest

from origin.actions import ACTIONS
from origin.context import MAX_FACTS_PER_LIST, UnknownUserError, build_context, build_prompt
from origin.dataset import DataSet

BRIEFING = ACTIONS["morning-briefing"]


def test_a_prompt_says_who_what_and_how_long(data: DataSet) -> None:
    """Reader, task, moment and length are in the prompt, and the answer's tokens are bounded."""
    prompt = build_prompt(data, "user-036", BRIEFING)

    assert prompt.text.startswith(BRIEFING.instruction)
    assert "Aiko Tanaka, engineering manager in team data, time zone Asia/Tokyo" in prompt.text
    assert '<facts as-of="2026-11-20 06:00">' in prompt.text
    assert "at most 700 characters" in prompt.system
    assert "plain text" in prompt.system
    assert prompt.max_tokens == 300


def test_a_briefing_holds_the_facts(data: DataSet) -> None:
    """Open alerts come gravest first; only last night's deployments and urgent tickets are in."""
    context = build_context(data, data.users["user-036"], BRIEFING)

    assert context.splitlines()[:2] == [
        "Open alerts:",
        "- event-pipeline: memory rises without falling (high, open, since 2026-11-19 15:54): "
        "85 MB more than yesterday at the same hour",
    ]
    assert context.splitlines()[-2:] == [
        "Tickets overdue or due by tomorrow:",
        "- T-2574 P4 report-runner: Export takes more than five minutes "
        "(open, due 2026-11-17, overdue)",
    ]


def test_nothing_of_others_is_told(data: DataSet) -> None:
    """A prompt names no ticket of another user and no service of another team."""
    for user in data.users.values():
        text = "".join(build_prompt(data, user.user_id, action).text for action in ACTIONS.values())
        others = {ticket.ticket_id for ticket in data.tickets if ticket.assignee != user.user_id}
        assert not any(ticket_id in text for ticket_id in others)
        for service in set(data.tiers) - set(user.services):
            assert f"- {service}" not in text


def test_prompts_differ_and_stand_still(data: DataSet) -> None:
    """Each user and action has a prompt of its own, the same whenever it is built."""
    prompts = defaultdict(list)
    for user_id in data.users:
        for action in ACTIONS.values():
            prompts[build_prompt(data, user_id, action)].append((user_id, action.action_id))

    assert len(prompts) == 50 * 5
    assert build_prompt(data, "user-001", BRIEFING) == build_prompt(data, "user-001", BRIEFING)


def test_prompts_are_bounded(data: DataSet) -> None:
    """No list is longer than its limit, so that no prompt costs more than about 800 tokens."""
    for user in data.users.values():
        for action in ACTIONS.values():
            context = build_context(data, user, action)
            for section in context.split(":\n"):
                assert section.count("\n- ") <= MAX_FACTS_PER_LIST + 1
            assert len(context) < 3000


def test_no_facts_are_said_aloud(data: DataSet) -> None:
    """A list without entries says so, so that the model does not invent some."""
    quiet = DataSet(data.users, data.tiers, (), (), ())

    assert build_context(quiet, data.users["user-001"], ACTIONS["ticket-digest"]) == (
        "Tickets assigned to the reader:\n- none"
    )


def test_an_unknown_user_is_named(data: DataSet) -> None:
    """A user without data is an error that names the user."""
    with pytest.raises(UnknownUserError, match="user-051"):
        build_prompt(data, "user-051", BRIEFING)
