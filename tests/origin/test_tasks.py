"""Tasks: one declaration each, held to its rules where the backend starts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from origin.actions import ACTIONS, PRECOMPUTED_ACTION_IDS, TASKS
from origin.tasks import (
    LIVE_ONLY,
    TASKS_FILE,
    MadeBy,
    Task,
    TaskClass,
    TaskError,
    Trigger,
    load_tasks,
    main,
    tasks_for,
)

BRIEFING = """
[tasks.briefing]
kind = "briefing"
class = "batch"
made_by = "model"
triggers = ["login", "cycle"]
refresh_cycle = "6h"
freshness_sla_s = 28800
invalidated_by = ["policy:briefings"]
owner = "team"
reason = "changes rarely"
"""
_ORIGIN = TASKS_FILE.parent


def load(tmp_path: Path, text: str) -> object:
    """Load a file with this text."""
    path = tmp_path / "tasks.toml"
    path.write_text(text, encoding="utf-8")
    return load_tasks(path)


def test_actions_follow_from_tasks() -> None:
    """What is answered at login is what says so, and every prompt has a declared task."""
    assert tasks_for(TASKS, Trigger.LOGIN) == PRECOMPUTED_ACTION_IDS
    assert {one.task_id for one in TASKS.values() if one.made_by is MadeBy.MODEL} == set(ACTIONS)


def test_live_only_kinds_are_declared_and_real_time() -> None:
    """Prices, cart, intent and guardrails are in the shipped file, as what they have to be."""
    live_only = {task.kind: task for task in TASKS.values() if task.kind in LIVE_ONLY}

    assert set(live_only) == {"prices", "cart", "intent", "guardrails"}
    assert {task.task_class for task in live_only.values()} == {TaskClass.REAL_TIME}


@pytest.mark.parametrize("kind", LIVE_ONLY)
@pytest.mark.parametrize("task_class", ["batch", "near-real-time"])
def test_live_only_kinds_made_ahead_are_refused(tmp_path: Path, kind: str, task_class: str) -> None:
    """The refusal names the line, the kind, and the reason."""
    text = BRIEFING.replace('kind = "briefing"', f'kind = "{kind}"')

    with pytest.raises(TaskError) as refused:
        load(tmp_path, text.replace('class = "batch"', f'class = "{task_class}"'))

    assert "tasks.toml line 4: [tasks.briefing]: class" in str(refused.value)
    assert f"refused for kind '{kind}': {LIVE_ONLY[kind]}" in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        pytest.param('owner = "team"\n', "", "line 2: .*owner is missing", id="no owner"),
        pytest.param(
            'owner = "team"', 'owner = " "', "line 10: .*owner is empty", id="blank owner"
        ),
        pytest.param('"changes rarely"', '""', "line 11: .*reason is empty", id="no reason"),
        pytest.param('"batch"', '"hourly"', "line 4: .*'hourly' is unknown", id="no such class"),
        pytest.param('"6h"', '"2h"', "line 7: .*'2h' is unknown", id="no such cycle"),
        pytest.param('"6h"', '"none"', "line 6: .*belong together", id="cycle without a cycle"),
        pytest.param('"login"', '"logon"', "line 6: .*'logon' is unknown", id="no such trigger"),
        pytest.param("28800", "3600", "line 8: .*shorter than its refresh", id="stale by plan"),
        pytest.param("28800", '"1h"', "line 8: .*wrong type", id="text for a number"),
        pytest.param("28800", "true", "line 8: .*wrong type", id="truth for a number"),
        pytest.param('["policy:briefings"]', "[]", "line 9: .*is empty", id="nothing ends it"),
        pytest.param("policy:briefings", "{user}", "line 9: .*no subject", id="no subject"),
        pytest.param('"model"', '"nobody"', "line 5: .*needs a maker", id="nobody makes it"),
        pytest.param("owner", "onwer", "line 10: .*onwer is unknown", id="a misspelt member"),
        pytest.param('"batch"', '"real-time"', "line 6: .*never made ahead", id="real-time, made"),
        pytest.param("[tasks.briefing]", "[tasks.a_b]", "line 2: .*a-z, 0-9", id="a bad name"),
        pytest.param("[tasks.briefing]", "[task.briefing]", "tables named", id="another table"),
        pytest.param("[tasks.briefing]", "[tasks.briefing", "not TOML", id="not TOML"),
    ],
)
def test_a_wrong_declaration_is_refused(
    tmp_path: Path, before: str, after: str, problem: str
) -> None:
    """Each broken rule is said in words, with its line."""
    load(tmp_path, BRIEFING)

    with pytest.raises(TaskError, match=problem):
        load(tmp_path, BRIEFING.replace(before, after))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """No declarations, no backend."""
    with pytest.raises(TaskError, match="No such file"):
        load_tasks(tmp_path / "tasks.toml")


def test_a_follow_up_lives_for_five_minutes() -> None:
    """Whatever its own freshness, an answer that only a prediction wanted is short-lived."""
    assert TASKS["morning-briefing"].ttl_s(Trigger.LOGIN) == 28_800
    assert TASKS["morning-briefing"].ttl_s(Trigger.FOLLOW_UP) == 300


def test_values_keep_the_rules_by_themselves() -> None:
    """A task cannot be made in code that the file would refuse."""
    with pytest.raises(ValueError, match="refused for kind 'cart'"):
        Task("cart", "cart", TaskClass.BATCH, MadeBy.MODEL, "team", "faster")


@pytest.mark.parametrize("module", ["origin", "origin.precompute"])
def test_programs_stop_at_a_wrong_declaration(tmp_path: Path, module: str) -> None:
    """Backend and precomputing end with the reason and the line, and without a traceback."""
    shutil.copytree(_ORIGIN, tmp_path / "origin", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "origin" / "tasks.toml"
    text = path.read_text(encoding="utf-8")
    wrong = text.replace('kind = "digest"', 'kind = "prices"')
    path.write_text(wrong, encoding="utf-8")

    ended = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    # The class stands in the line after the kind.
    line = 2 + wrong[: wrong.index('kind = "prices"\nclass = "near')].count("\n")
    assert ended.returncode == 2
    assert f"tasks.toml line {line}: [tasks.ticket-digest]: class" in ended.stderr
    assert LIVE_ONLY["prices"] in ended.stderr
    assert "Traceback" not in ended.stderr


def test_functions_stop_at_a_wrong_declaration(tmp_path: Path) -> None:
    """The generator's import, which is its start on Lambda, ends with the reason and the line."""
    shutil.copytree(_ORIGIN, tmp_path / "origin", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "origin" / "tasks.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('kind = "digest"', 'kind = "cart"'), encoding="utf-8")
    handler = tmp_path / "origin" / "functions" / "answer-generator" / "handler.py"

    ended = subprocess.run(
        [sys.executable, str(handler)],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert "TaskError" in last
    assert "[tasks.ticket-digest]: class 'near-real-time' is refused for kind 'cart'" in last


def test_the_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The command prints a line for each task; a wrong file is told, exit code 2."""
    assert main(["--reasons"]) == 0
    printed = capsys.readouterr().out
    assert len(printed.split("\n\n")[0].splitlines()) == 1 + len(TASKS)
    assert "ticket-digest              near-real-time  digest" in printed

    (tmp_path / "wrong.toml").write_text("[tasks.x]\n", encoding="utf-8")
    assert main(["--file", str(tmp_path / "wrong.toml")]) == 2
    assert "kind is missing" in capsys.readouterr().err
