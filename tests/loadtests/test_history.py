"""The history in SQLite: what a run is compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.errors import BadInputError
from loadtests.history import History, cells_of, counted, fingerprint
from loadtests.history_table import history_table
from tests.loadtests.making import recording

DAY_S = 86_400


def test_a_run_is_kept_exactly(tmp_path: Path) -> None:
    """Every good answer's time comes back as it was."""
    history = History(tmp_path / "sub" / "h.sqlite")
    past = recording(1, age_s=3_600)
    history.add(past, "first", in_baseline=True)

    (cells,) = history.baseline(recording(2).run)

    kept = {(cell.path, cell.place): list(cell.whole_ms) for cell in cells}
    made = {(cell.path, cell.place): cell.whole_ms for cell in cells_of(counted(past))}
    assert kept == made
    assert len(counted(past)) < len(past.samples)


def test_the_baseline_is_of_the_same_load_and_of_the_last_7_days(tmp_path: Path) -> None:
    """Other loads, older runs, later runs and regressions are not in it."""
    history = History(tmp_path / "h.sqlite")
    for age_s, facts, in_baseline in (
        (3_600, {}, True),
        (6.9 * DAY_S, {}, True),
        (7.1 * DAY_S, {}, True),
        (3_600, {"rate_per_s": 99.0}, True),
        (3_600, {}, False),
        (-60, {}, True),
    ):
        history.add(recording(1, age_s=age_s, **facts), "-", in_baseline=in_baseline)

    assert len(history.baseline(recording(2).run)) == 2


def test_a_regression_can_be_accepted(tmp_path: Path) -> None:
    """It is the new normal; and a run can be taken out."""
    history = History(tmp_path / "h.sqlite")
    number = history.add(recording(1, age_s=60), "SEV-2", in_baseline=False)

    history.accept(number)
    assert len(history.baseline(recording(2).run)) == 1
    history.accept(number, in_baseline=False)
    assert history.baseline(recording(2).run) == []
    with pytest.raises(BadInputError, match="no run 99"):
        history.accept(99)


def test_the_seed_does_not_make_another_load() -> None:
    """But the server, the rate and the mix do."""
    load = recording(1).run

    assert fingerprint(load) == fingerprint(recording(2).run)
    for name, value in (("host", "http://localhost:1"), ("rate_per_s", 1.0), ("questions", 3)):
        assert fingerprint({**load, name: value}) != fingerprint(load)


def test_what_is_no_history_is_told(tmp_path: Path) -> None:
    """A file of something else."""
    (tmp_path / "h.sqlite").write_text("this is no database, whatever its name says")

    with pytest.raises(BadInputError, match="--history"):
        History(tmp_path / "h.sqlite")


def test_the_table_fits_a_terminal(tmp_path: Path) -> None:
    """A line per run, newest first."""
    history = History(tmp_path / "h.sqlite")
    for age_s in (7_200, 3_600):
        history.add(recording(1, age_s=age_s), "SEV-3", in_baseline=age_s > 7_000)

    runs = history.runs(10)
    lines = history_table(runs).splitlines()

    assert [run.id for run in runs] == [2, 1]
    assert max(map(len, lines)) <= 110
    assert lines[1].endswith("SEV-3")
    assert lines[2].split()[0] == "1*"
    assert "68%" in lines[1]
