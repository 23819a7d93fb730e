"""Real Locust runs against a real server that answers as the contract says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.__main__ import main
from loadtests.samples import Recording, read_recording
from tests.loadtests.making import write
from tests.loadtests.running import FAST, ROOT, SHORT, call, children, load


def test_a_run_separates_the_paths_and_writes_the_report(
    target: str, sessions: Path, tmp_path: Path
) -> None:
    """Hits of both kinds, both fallbacks; table, page, figures, samples; exit code 0."""
    out = tmp_path / "report"
    words = (
        "run",
        "--host",
        target,
        "--sessions",
        str(sessions),
        "--out",
        str(out),
        "--rate",
        "60",
    )

    outcome = load(*words, *SHORT)

    assert outcome.returncode == 0, outcome.stderr
    document = json.loads((out / "results.json").read_text())
    assert {row["path"] for row in document["paths"]} == {
        "edge-function",
        "edge-lambda",
        "fallback-streamed",
        "fallback-buffered",
    }
    assert document["errors"] == 0
    assert document["headline"]["times_faster"] > 1
    assert "The edge is" in outcome.stdout
    assert "faster <small>for " in (out / "index.html").read_text()
    recording = read_recording(out / "samples.jsonl")
    assert document["generator"]["arrivals"] == len(recording.samples)
    again = call("report", str(out / "samples.jsonl"), "--out", str(tmp_path / "again"))
    assert again.returncode == 0
    assert (tmp_path / "again" / "results.json").read_text() == (out / "results.json").read_text()


def test_errors_and_lag_are_exit_codes(target: str, tmp_path: Path) -> None:
    """A wrong session is refused: 1. A lagging generator voids the run: 3; both are said."""
    wrong = tmp_path / "sessions.txt"
    wrong.write_text("user-001 forged\n")
    out = str(tmp_path / "r")
    words = ("run", "--host", target, "--sessions", str(wrong), "--out", out)

    void = load(*words, *SHORT[:-2], "--max-lag-ms", "0.0001")

    assert void.returncode == 3
    assert "THIS RUN IS VOID" in void.stderr
    assert "HTTP 401" in void.stderr
    assert "This run is void" in (tmp_path / "r" / "index.html").read_text()
    made = read_recording(tmp_path / "r" / "samples.jsonl")
    in_time = Recording({**made.run, "max_lag_ms": 10_000.0}, made.samples, made.end)
    refused = call("report", str(write(tmp_path / "s.jsonl", in_time)), "--out", out)
    assert refused.returncode == 1
    assert "HTTP 401" in refused.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--host", "https://d1.cloudfront.net"), "Lambda@Edge viewer triggers"),
        (("--host", "http://127.0.0.1:1", "--places", "nowhere"), "'nowhere' is not a place"),
        (("--host", "http://127.0.0.1:1", "--sessions", "nothing.txt"), "nothing.txt"),
        (("--host", "http://127.0.0.1:1", "--time", "1", "--warmup", "2"), "--time"),
        ((), "--host"),
        (("--host", "http://127.0.0.1:1"), "nobody answers at http://127.0.0.1:1"),
        (("--host", "http://127.0.0.1:1", "--every", "15m"), "nobody answers"),
    ],
)
def test_bad_input_is_one_message(
    words: tuple[str, ...], message: str, sessions: Path, tmp_path: Path
) -> None:
    """Exit code 2; nothing is started."""
    outcome = call("run", "--sessions", str(sessions), "--out", str(tmp_path), *words)

    assert outcome.returncode == 2
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not list(tmp_path.glob("*.json*"))


def test_less_than_nothing_is_generated_by_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """Said in words, not in the name of a function of ours."""
    with pytest.raises(SystemExit):
        main(["run", "--generated", "-3"])

    assert "'-3' is not a whole number from 0 on" in capsys.readouterr().err


@pytest.mark.parametrize(
    "target", [{"TARGET_FREEZE_AT_REQUEST": "60", "TARGET_FREEZE_S": "1.5"}], indirect=True
)
def test_open_loop_sees_a_server_that_freezes(target: str, sessions: Path, tmp_path: Path) -> None:
    """Everybody who came meanwhile waited."""
    words = ("run", "--host", target, "--sessions", str(sessions), "--out", str(tmp_path / "r"))

    outcome = load(*words, *FAST, "--rate", "60", "--fallback-share", "0")

    assert outcome.returncode == 0, outcome.stderr
    document = json.loads((tmp_path / "r" / "results.json").read_text())
    hits = document["paths"][0]
    assert hits["whole_ms"]["p95"] > 1_000
    assert hits["whole_ms"]["p50"] < 1_000


@pytest.mark.parametrize(
    "target", [{"TARGET_FREEZE_AT_REQUEST": "30", "TARGET_FREEZE_S": "1.5"}], indirect=True
)
def test_a_closed_loop_does_not_see_it(target: str, sessions: Path, tmp_path: Path) -> None:
    """Its two viewers stopped asking: two slow answers among many, and p95 knows of none."""
    words = ("run", "--host", target, "--sessions", str(sessions), "--out", str(tmp_path / "r"))

    closed = ("--closed-loop", "2", "--think", "0.01")
    one_path = ("--fallback-share", "0", "--lambda-share", "0")

    outcome = load(*words, *FAST, "--time", "4", *closed, *one_path)

    assert outcome.returncode == 0, outcome.stderr
    document = json.loads((tmp_path / "r" / "results.json").read_text())
    slow = [
        one
        for one in read_recording(tmp_path / "r" / "samples.jsonl").samples
        if one.total_ms > 1_000
    ]
    assert len(slow) == 2
    assert document["requests"] > 40
    assert document["run"]["arrivals"] == "closed loop"
    assert all(row["whole_ms"]["p95"] < 1_000 for row in document["paths"])


def test_viewers_on_connections_of_their_own(target: str, sessions: Path, tmp_path: Path) -> None:
    """A profile's `new-connection-share`, and a profile by its file."""
    profile = tmp_path / "storm.toml"
    profile.write_text("rate = 40\nnew-connection-share = 1\nquestions = 2\nquestion-gap = 0.1\n")
    words = ("run", "--host", target, "--sessions", str(sessions), "--out", str(tmp_path / "r"))

    outcome = load(*words, *SHORT, "--profile", str(profile))

    assert outcome.returncode == 0, outcome.stderr
    samples = read_recording(tmp_path / "r" / "samples.jsonl").samples
    share = sum(one.is_new_connection for one in samples) / len(samples)
    assert share == pytest.approx(0.5, abs=0.05)
    assert all(one.parts_ms for one in samples)


@pytest.mark.parametrize("several", [(), ("--processes", "2")], ids=["one", "two processes"])
def test_ctrl_c_ends_cleanly_and_leaves_no_process(
    target: str, sessions: Path, tmp_path: Path, several: tuple[str, ...]
) -> None:
    """Locust ends with it, and what there was by then is whole."""
    words = ["run", "--host", target, "--sessions", str(sessions), "--out", str(tmp_path / "r")]
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests", *words, *several, "--time", "60"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "answers" in line:
            break
    started = children(process.pid)
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.stdout.close()

    assert process.wait(40) == 130
    assert "stopping" in rest
    assert started
    assert not [child for child in started if Path(f"/proc/{child}").exists()]
    end = read_recording(tmp_path / "r" / "samples.jsonl").end
    assert end["stopped_early"] is True
    assert not end.get("incomplete")


def test_plain_locust_runs_the_same_file(target: str, sessions: Path, tmp_path: Path) -> None:
    """`locust -f loadtests/locustfile.py`, without anything of ours around it."""
    samples = tmp_path / "samples.jsonl"
    words = ["-f", "loadtests/locustfile.py", "--host", target, "--headless", "-u", "1"]
    words += ["-t", "2s", "--warmup", "0.5", "--sessions", str(sessions), "--samples", str(samples)]

    outcome = subprocess.run(
        [sys.executable, "-m", "locust", *words, "--max-lag-ms", "10000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert outcome.returncode == 0, outcome.stderr
    assert "edge-function @ " in outcome.stdout + outcome.stderr
    assert len(read_recording(samples).samples) > 50
