"""Judging from the command line: exit codes, the history, runs again and again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.history import History
from loadtests.judge import judge_recording, verdict
from loadtests.samples import Recording
from loadtests.summary import summarize
from tests.loadtests.making import recording, write
from tests.loadtests.running import FAST, ROOT, call, children, load


def history_of(folder: Path, runs: int = 4) -> Path:
    """A week of ordinary runs."""
    file = folder / "history.sqlite"
    history = History(file)
    for number in range(runs):
        history.add(recording(100 + number, age_s=3_600 * (number + 1)), "-", in_baseline=True)
    return file


@pytest.mark.parametrize(
    ("slower", "code", "words"),
    [(1.0, 0, "no regression"), (1.17, 13, "SEV-3"), (1.35, 12, "SEV-2"), (1.8, 11, "SEV-1")],
)
def test_a_regression_is_an_exit_code(tmp_path: Path, slower: float, code: int, words: str) -> None:
    """Against four runs of the same load; said on the terminal, with path and figure."""
    samples = write(tmp_path / "s.jsonl", recording(3, slower=slower))
    words_ = ("--history", str(history_of(tmp_path)), "--out", str(tmp_path / "r"))

    outcome = call("report", str(samples), *words_)

    assert outcome.returncode == code, outcome.stdout
    assert f"baseline of 4 runs in 7 days: {words}" in outcome.stdout
    if code:
        assert f"{words}: worse than the baseline of 4 runs" in outcome.stderr
        assert "p95 +" in outcome.stderr
    assert "health targets: " in outcome.stdout


def test_a_missed_objective_is_an_exit_code_only_when_asked_for(tmp_path: Path) -> None:
    """Code 4 with `--slo`."""
    samples = str(write(tmp_path / "s.jsonl", recording(3)))
    slo = tmp_path / "slo.toml"
    slo.write_text('[[objective]]\nname = "quick"\nmeasure = "whole_ms"\nbelow = 1\n')
    out = ("--out", str(tmp_path / "r"))

    assert call("report", samples, *out).returncode == 0
    missed = call("report", samples, *out, "--slo", str(slo))
    assert missed.returncode == 4
    assert "missed: quick: " in missed.stderr
    assert call("report", samples, *out, "--slo", "nothing.toml").returncode == 2


def test_lost_samples_void_a_run(tmp_path: Path) -> None:
    """Whatever its figures say."""
    made = recording(1)
    worker = {"worker": 0, "sent": 9, "received": 8}
    broken = Recording(made.run, made.samples, {"incomplete": True, "workers": [worker]})

    found = verdict(summarize(broken), broken, judge_recording(broken), 0.01)

    assert found.code == 3
    assert "worker 0 sent 9, 8 came" in found.reasons[0]


def test_runs_again_and_again_are_compared(target: str, sessions: Path, tmp_path: Path) -> None:
    """`--every`: the second run knows the first one; `history` prints both."""
    history = str(tmp_path / "h.sqlite")
    words = ("run", "--host", target, "--sessions", str(sessions), "--out", str(tmp_path / "r"))

    outcome = load(
        *words, *FAST, "--time", "2", "--every", "1s", "--runs", "2", "--history", history
    )

    assert outcome.returncode in (0, 11, 12, 13), outcome.stderr
    assert "baseline: none yet" in outcome.stdout
    assert "baseline of one run in 7 days" in outcome.stdout
    shown = call("history", "--history", history)
    assert shown.returncode == 0
    assert [line.split()[0].rstrip("*") for line in shown.stdout.splitlines()[1:3]] == ["2", "1"]
    kept = json.loads(call("history", "--history", history, "--json").stdout)
    assert [run["severity"] for run in kept][-1] == "first"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_runs_ends_cleanly(
    target: str, sessions: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Exit code 130, no process left."""
    words = ["run", "--host", target, "--sessions", str(sessions), "--out", str(tmp_path / "r")]
    several = ["--every", "1h", "--history", str(tmp_path / "h.sqlite")]
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests", *words, *FAST, "--time", "2", *several],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Ctrl-C ends" in line:
            break
    left = children(process.pid)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not [child for child in left if Path(f"/proc/{child}").exists()]


def test_no_history_yet_is_told(tmp_path: Path) -> None:
    """With the way to make one."""
    outcome = call("history", "--history", str(tmp_path / "h.sqlite"))

    assert outcome.returncode == 2
    assert "--history" in outcome.stderr
