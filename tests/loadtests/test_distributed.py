"""Several Locust processes: every sample arrives at the master, once."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from loadtests.arrivals import Session
from loadtests.collecting import (
    END,
    SAMPLES,
    Collector,
    Share,
    WorkerSamples,
    dump_share,
    parse_share,
)
from loadtests.samples import DeliveryPath, Sample, SampleWriter, read_recording
from tests.loadtests.running import ROOT, SHORT, load


def seen(target: str) -> int:
    """How many questions the target was asked."""
    with urllib.request.urlopen(f"{target}/seen", timeout=5) as answer:
        return int(answer.read())


def assert_whole(samples: Path, target: str, workers: int) -> None:
    """The sum of the workers is the master's file, and is what the target saw."""
    recording = read_recording(samples)
    counts = Counter(sample.worker for sample in recording.samples)
    assert recording.end["incomplete"] is False
    assert {one["worker"]: one["sent"] for one in recording.end["workers"]} == counts
    assert len(counts) == workers
    assert min(counts.values()) > 20
    assert sum(counts.values()) == seen(target)
    assert recording.run["workers"] == workers


def test_two_processes_make_one_recording(target: str, sessions: Path, tmp_path: Path) -> None:
    """`--processes 2`: the whole rate, exact samples of both."""
    words = ("run", "--host", target, "--sessions", str(sessions), "--out", str(tmp_path / "r"))

    outcome = load(*words, *SHORT, "--processes", "2", "--rate", "80")

    assert outcome.returncode == 0, outcome.stderr
    assert_whole(tmp_path / "r" / "samples.jsonl", target, workers=2)
    document = json.loads((tmp_path / "r" / "results.json").read_text())
    assert document["generator"]["arrivals"] == seen(target)


def test_a_worker_elsewhere_needs_neither_profile_nor_sessions(
    target: str, sessions: Path, tmp_path: Path, free_port: int
) -> None:
    """Master and worker as on two machines: the worker runs in an empty folder."""
    profile = tmp_path / "mine.toml"
    profile.write_text('rate = 60\nmiss-share = 0\n[places]\n"NRT/5g" = 1\n')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    port = str(free_port)
    worker = subprocess.Popen(
        [sys.executable, "-m", "loadtests", "worker", "--master-port", port],
        cwd=elsewhere,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    words = ("run", "--host", target, "--sessions", str(sessions), "--out", str(tmp_path / "r"))
    several = ("--expect-workers", "1", "--master-bind-port", port, "--profile", str(profile))

    outcome = load(*words, *SHORT, *several)

    assert outcome.returncode == 0, outcome.stderr
    assert worker.wait(30) == 0
    assert_whole(tmp_path / "r" / "samples.jsonl", target, workers=1)
    recording = read_recording(tmp_path / "r" / "samples.jsonl")
    assert {sample.place for sample in recording.samples} == {"NRT/5g"}


def sample(worker: int, number: int) -> Sample:
    """One of many."""
    return Sample(
        intended_s=float(number),
        lag_ms=float(worker),
        place="LHR/fibre",
        path=DeliveryPath.CACHE,
        target="/a",
        status=200,
        error=None,
        ttfb_ms=1.0,
        first_token_ms=1.0,
        total_ms=1.0,
        bytes=1,
        worker=worker,
    )


@pytest.mark.parametrize("lost", [False, True])
def test_a_lost_batch_is_noticed(tmp_path: Path, lost: bool) -> None:
    """Counts that do not add up make the recording incomplete."""
    collector = Collector(2, SampleWriter(tmp_path / "s.jsonl", {}))
    batches = 0

    def send(kind: str, data: dict[str, object]) -> None:
        nonlocal batches
        batches += kind == SAMPLES
        if kind == END:
            collector.on_end(data)
        elif not (lost and batches == 2):
            collector.on_samples(data)

    for number in range(2):
        worker = WorkerSamples(number, send)
        for index in range(4):
            worker.add(sample(number, index))
            if index % 2:
                worker.flush()
        worker.close({"elapsed_s": 5.0, "unfinished": 1, "stopped_early": False})
        worker.close({"elapsed_s": 9.0, "unfinished": 9, "stopped_early": False})

    collector.close()

    recording = read_recording(tmp_path / "s.jsonl")
    assert collector.is_whole is not lost
    assert recording.end["incomplete"] is lost
    assert recording.end["unfinished"] == 2
    assert len(recording.samples) == (6 if lost else 8)


def test_a_share_travels() -> None:
    """As it was."""
    share = Share(1, 2, 3, 4.5, "rate = 1", (Session("u", "t"),))

    assert parse_share(json.loads(json.dumps(dump_share(share)))) == share
    assert [share.driver_number(own) for own in range(3)] == [1, 3, 5]
