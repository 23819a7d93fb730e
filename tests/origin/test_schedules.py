"""Cycles: hours, limits, and the template that is held to the file."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from origin.schedules import (
    SCHEDULES_FILE,
    Cycle,
    Inference,
    ScheduleError,
    load_cycles,
    main,
    replace_block,
)
from origin.tasks import CYCLES_S

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
TEXT = """
time_zone = "Europe/Berlin"
[cycles.1h]
expression = "rate(1 hour)"
off_peak = "20:00-07:00"
at_peak_users = 5
inference = "on-demand"
max_users = 50
concurrency = 4
spend_limit_usd = 0.5
"""


def load(tmp_path: Path, text: str) -> Cycle:
    """The one cycle of a file with this text."""
    path = tmp_path / "schedules.toml"
    path.write_text(text, encoding="utf-8")
    (cycle,) = load_cycles(path).values()
    return cycle


def test_the_template_says_what_the_file_says() -> None:
    """`python -m origin.schedules cloudformation --write template.yaml` would change nothing."""
    assert main(["cloudformation", "--check", str(TEMPLATE)]) == 0
    assert set(load_cycles()) == set(CYCLES_S)


def test_a_changed_file_changes_the_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A difference is found, written, and then is none; nothing else in the template moves."""
    template = tmp_path / "template.yaml"
    shutil.copy(TEMPLATE, template)
    file = tmp_path / "schedules.toml"
    text = SCHEDULES_FILE.read_text(encoding="utf-8").replace(
        "rate(15 minutes)", "rate(10 minutes)"
    )
    file.write_text(text, encoding="utf-8")
    arguments = ["--file", str(file), "cloudformation"]

    assert main([*arguments, "--check", str(template)]) == 1
    assert "--write" in capsys.readouterr().err
    assert main([*arguments, "--write", str(template)]) == 0
    assert main([*arguments, "--check", str(template)]) == 0
    before = TEMPLATE.read_text(encoding="utf-8")
    assert template.read_text(encoding="utf-8") == before.replace(
        "rate(15 minutes)", "rate(10 minutes)"
    )


def test_a_template_without_marks_is_said() -> None:
    """Nothing is written where nobody said where."""
    with pytest.raises(ScheduleError, match="has no lines"):
        replace_block("Resources: {}\n", "")


@pytest.mark.parametrize(
    ("moment", "is_off_peak"),
    [
        # Berlin is an hour ahead of UTC in winter, two in summer.
        pytest.param("2026-01-15T18:59", False, id="before the evening"),
        pytest.param("2026-01-15T19:00", True, id="the evening begins"),
        pytest.param("2026-01-15T23:30", True, id="after midnight there"),
        pytest.param("2026-01-16T05:59", True, id="the last quiet minute"),
        pytest.param("2026-01-16T06:00", False, id="the morning begins"),
        pytest.param("2026-07-15T18:00", True, id="a summer evening"),
        pytest.param("2026-07-15T05:00", False, id="a summer morning"),
    ],
)
def test_quiet_hours(tmp_path: Path, moment: str, is_off_peak: bool) -> None:
    """A window over midnight, in the clocks of its own time zone."""
    cycle = load(tmp_path, TEXT)
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)

    assert cycle.is_off_peak(now) is is_off_peak
    assert cycle.users_at(now) == (50 if is_off_peak else 5)


def test_a_window_within_a_day() -> None:
    """From 01:00 until before 05:00."""
    cycle = Cycle("daily", "rate(1 day)", "UTC", Inference.BATCH, 9, 1, 1.0, off_peak="01:00-05:00")

    at = {hour: datetime(2026, 1, 15, hour, tzinfo=UTC) for hour in (0, 1, 4, 5)}
    assert [cycle.is_off_peak(moment) for moment in at.values()] == [False, True, True, False]


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        pytest.param("[cycles.1h]", "[cycles.2h]", "no such cycle", id="an unknown cycle"),
        pytest.param("rate(1 hour)", "hourly", "rate.* or cron", id="no expression"),
        pytest.param("rate(1 hour)", "cron(* *)", "rate.* or cron", id="a short cron"),
        pytest.param("Europe/Berlin", "Mars/Base", "Mars/Base", id="no such time zone"),
        pytest.param("20:00-07:00", "8pm-7am", "HH:MM-HH:MM", id="no window"),
        pytest.param("on-demand", "sometimes", "sometimes", id="no inference"),
        pytest.param("max_users = 50", "max_users = 0", "at least 1", id="nobody"),
        pytest.param("max_users = 50\n", "", "max_users", id="a member is missing"),
        pytest.param("spend_limit_usd = 0.5\n", "", "spend_limit_usd", id="no limit"),
        pytest.param("= 0.5", '= "0.5"', "wrong type", id="text for a number"),
        pytest.param("concurrency", "concurency", "unknown", id="a misspelt member"),
        pytest.param("spend_limit_usd = 0.5", "spend_limit_usd = nan", "0 or more", id="no number"),
        pytest.param("[cycles.1h]", "[cycles.1h", "not TOML", id="not TOML"),
    ],
)
def test_a_wrong_cycle_is_refused(tmp_path: Path, before: str, after: str, problem: str) -> None:
    """Each broken rule is said in words."""
    load(tmp_path, TEXT)

    with pytest.raises(ScheduleError, match=problem):
        load(tmp_path, TEXT.replace(before, after))


def test_the_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The command prints each cycle; a missing file is told, exit code 2."""
    assert main([]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == list(CYCLES_S)
    assert main(["--file", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: No such file" in capsys.readouterr().err
