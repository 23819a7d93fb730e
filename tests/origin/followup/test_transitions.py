"""The chain of actions: known probabilities are recovered, and little evidence is not believed."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.followup.__main__ import main
from origin.followup.click_log import PROBABILITIES, START, make_lines
from origin.followup.evaluation import evaluate
from origin.followup.transitions import (
    END,
    TransitionsError,
    dump_transitions,
    learn,
    parse_transitions,
)
from origin.followup.wishes import MODEL_FILE
from origin.request_log import read_log

LOG = read_log(make_lines(3000, seed=11))
ACTIONS = sorted(set(PROBABILITIES) - {START})


def test_the_table_of_truth_is_one() -> None:
    """Every row of known probabilities sums to one."""
    for row in PROBABILITIES.values():
        assert sum(row.values()) == pytest.approx(1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_known_probabilities_are_recovered(seed: int) -> None:
    """Every step's probability lies within four standard errors of the one the log was made by."""
    model = learn(read_log(make_lines(4000, seed)).sessions(), prior_weight=1.0)

    for last in ACTIONS:
        seen = sum(model.counts[last].values())
        for following in [*ACTIONS, END]:
            truth = PROBABILITIES[last].get(following, 0.0)
            error = math.sqrt(truth * (1 - truth) / seen)
            # The prior pulls by less than its own weight among the observations.
            assert abs(model.probability(last, following) - truth) <= 4 * error + 1 / seen


def test_predictions_are_those_above_the_probability() -> None:
    """The likeliest first, never the end, never the action itself."""
    model = learn(LOG.sessions())

    assert [one.action for one in model.predict("morning-briefing", at_least=0.25)] == [
        "incident-timeline",
        "ticket-digest",
    ]
    assert model.predict("weekly-review", at_least=0.3) == []
    assert model.predict("never-seen", at_least=0.9) == []


def test_little_evidence_leans_on_the_prior() -> None:
    """One observation does not make a certainty; a thousand do."""
    once = learn([["a", "b"], ["c", "d", "c", "d"]])
    often = learn([["a", "b"]] * 1000)

    assert once.probability("a", "b") < 0.5
    assert often.probability("a", "b") > 0.99


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1), min_size=1))
def test_probabilities_sum_to_one(sessions: list[list[str]]) -> None:
    """After every action, whatever was seen, and the model survives its file."""
    model = learn(sessions)

    for last in [*model.counts, "unseen"]:
        total = sum(model.probability(last, one) for one in model.actions())
        assert total == pytest.approx(1)
    assert parse_transitions(dump_transitions(model)) == model


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"prior_weight": 0, "counts": {}}',
        '{"prior_weight": 1, "counts": {"A_B": {}}}',
        '{"prior_weight": 1, "counts": {"a": {"b": -1}}}',
        '{"prior_weight": 1, "counts": {"a": {"b": true}}}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_model_is_refused(text: str) -> None:
    """Whatever is in it."""
    with pytest.raises(TransitionsError):
        parse_transitions(text)


def test_hits_and_waste_by_pattern() -> None:
    """Used within five minutes is a hit, once; later or never is waste; none is made twice."""
    model = learn([["a", "b"]] * 100 + [["c"]] * 1)
    lines = [
        f'{{"at": {at}, "session": "{session}", "action": "{action}"}}'
        for session, steps in {
            "in time": [(0, "a"), (100, "b"), (150, "b")],
            "too late": [(0, "a"), (300, "b")],
            "not again": [(0, "a"), (50, "a"), (120, "b")],
            "never": [(0, "a")],
        }.items()
        for at, action in steps
    ]

    found = evaluate(read_log(lines), model, at_least=0.5)

    (pattern,) = found.patterns
    assert (pattern.name, pattern.made, pattern.used, pattern.wasted) == ("a > b", 4, 2, 2)
    assert pattern.hit_rate == 0.5
    # Three of the five requests that followed another one: b in time, b again, b not again.
    assert (found.steps, found.steps_hit) == (5, 3)


def test_the_hit_rate_is_what_the_known_probabilities_give() -> None:
    """A step of 0.45 is right at least so often, less what is asked only after five minutes."""
    found = evaluate(
        LOG,
        learn(LOG.sessions()),
        at_least=0.25,
        predictable={"incident-timeline", "weekly-review"},
    )

    rates = {one.name: one.hit_rate for one in found.patterns}
    in_time = 1 - math.exp(-300 / 125)
    assert rates["deployment-summary > incident-timeline"] > 0.45 * in_time - 0.03
    assert 0.25 < rates["ticket-digest > weekly-review"] < 0.45
    assert found.made == sum(one.made for one in found.patterns)


def test_a_log_is_the_same_for_the_same_seed() -> None:
    """And another one for another seed."""
    assert list(make_lines(20, 5)) == list(make_lines(20, 5))
    assert list(make_lines(20, 5)) != list(make_lines(20, 6))
    assert len(Counter(one.session for one in LOG.requests)) == 3000


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """make-log, train and evaluate; the model that ships is what the first two make."""
    log, model = tmp_path / "log.jsonl", tmp_path / "model.json"

    assert main(["make-log", "--sessions", "5000", "--seed", "1", "--out", str(log)]) == 0
    assert main(["train", "--log", str(log), "--out", str(model)]) == 0
    assert model.read_text(encoding="utf-8") == MODEL_FILE.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["evaluate", "--log", str(log), "--model", str(model)]) == 0
    printed = capsys.readouterr().out
    assert "deployment-summary > incident-timeline" in printed
    assert "answers were for nothing" in printed


def test_the_commands_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that is not there, that is empty, a model that is none: exit code 2 and the reason."""
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "log").write_text("\n".join(make_lines(5, 1)), encoding="utf-8")

    assert main(["train", "--log", str(tmp_path / "none")]) == 2
    assert main(["train", "--log", str(tmp_path / "empty")]) == 2
    both = ["--log", str(tmp_path / "log"), "--model", str(tmp_path / "empty")]
    assert main(["evaluate", *both]) == 2
    errors = capsys.readouterr().err
    assert "No such file" in errors
    assert "no request for an answer" in errors
    assert "not a model of transitions" in errors
