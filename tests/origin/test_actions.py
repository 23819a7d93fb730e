"""Actions: the names that everything else shares."""

from __future__ import annotations

import pytest

from origin.actions import ACTIONS, PRECOMPUTED_ACTION_IDS, Action


def test_the_shared_names() -> None:
    """The three pre-computed actions and the two fallback actions are there, by name."""
    assert PRECOMPUTED_ACTION_IDS == ("morning-briefing", "deployment-summary", "ticket-digest")
    assert set(ACTIONS) - set(PRECOMPUTED_ACTION_IDS) == {"weekly-review", "incident-timeline"}
    assert all(action_id == action.action_id for action_id, action in ACTIONS.items())


@pytest.mark.parametrize("action_id", ["a_b", "", "Weekly", "x" * 65])
def test_an_ambiguous_name_is_refused(action_id: str) -> None:
    """No action can have a name that would make `UserID_ActionID` ambiguous."""
    with pytest.raises(ValueError, match="ActionID"):
        Action(action_id, "", "", is_precomputed=False)
