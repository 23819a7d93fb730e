"""Samples of a run in several processes, on one machine or many, brought together exactly.

Locust's master and workers carry the messages; what is in them is ours:

- **share**, master to each worker before it starts: which worker it is, of how many, the profile
  and the sessions themselves (a worker on another machine has neither file).
- **samples**, worker to master: lines of the samples file, a few times a second.
- **stop**, master to workers: no more arrivals.
- **end**, worker to master: how many samples it sent in all. Only when these counts add up is the
  run's recording whole; a run that lost a sample is void, because the lost ones are never the fast
  ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests.arrivals import Session
from loadtests.samples import Sample, SampleWriter, sample_line

SHARE, SAMPLES, STOP, END = (f"localpop-{name}" for name in ("share", "samples", "stop", "end"))

Send = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Share:
    """One process's part of a run.

    Attributes:
        worker: Which process this is, from 0.
        workers: How many there are.
        drivers: How many greenlets share the schedule, over all processes.
        run_time_s: How long arrivals come; None without an end.
        profile_toml: The profile's text.
        sessions: The viewers.
    """

    worker: int = 0
    workers: int = 1
    drivers: int = 1
    run_time_s: float | None = None
    profile_toml: str | None = None
    sessions: tuple[Session, ...] = ()

    def driver_number(self, own: int) -> int:
        """The number of one of this process's drivers among all of them."""
        return self.worker + self.workers * own


def dump_share(share: Share) -> dict[str, Any]:
    """As a message."""
    sessions = [[one.user_id, one.token] for one in share.sessions]
    return {**asdict(share), "sessions": sessions}


def parse_share(data: Mapping[str, Any]) -> Share:
    """From a message."""
    return Share(**{**data, "sessions": tuple(Session(*one) for one in data["sessions"])})


class WorkerSamples:
    """A worker's samples, on their way to the master.

    Args:
        worker: Which process this is.
        send: Sends a message to the master.
    """

    def __init__(self, worker: int, send: Send) -> None:
        self._worker, self._send = worker, send
        self._lines: list[str] = []
        self._count = 0
        self._is_closed = False

    def add(self, sample: Sample) -> None:
        """Keep one sample until the next `flush`."""
        self._lines.append(sample_line(sample))
        self._count += 1

    def flush(self) -> None:
        """Send what there is."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._send(SAMPLES, {"worker": self._worker, "lines": lines})

    def close(self, end: Mapping[str, Any]) -> None:
        """Send the rest, and the count of all. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self.flush()
            self._send(END, {"worker": self._worker, "sent": self._count, "end": dict(end)})


@dataclass(slots=True)
class Collected:
    """What the master has of one worker."""

    received: int = 0
    sent: int | None = None
    end: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether everything that was sent is here."""
        return self.sent == self.received


class Collector:
    """The master's side: writes every worker's samples to one file, and counts them.

    Args:
        workers: How many workers have a share.
        writer: The samples file; None when nobody wants one.
    """

    def __init__(self, workers: int, writer: SampleWriter | None) -> None:
        self._writer = writer
        self.workers = {number: Collected() for number in range(workers)}
        self.lags: list[tuple[float, float]] = []
        """Of every sample, when it was meant to start (s) and by how much it was late (ms)."""

    def on_samples(self, data: Mapping[str, Any]) -> None:
        """Take a worker's samples."""
        for line in data["lines"]:
            record = json.loads(line)
            self.lags.append((record["intended_s"], record["lag_ms"]))
            if self._writer:
                self._writer.add_line(line)
        self.workers[data["worker"]].received += len(data["lines"])

    def on_end(self, data: Mapping[str, Any]) -> None:
        """Take a worker's count."""
        worker = self.workers[data["worker"]]
        worker.sent, worker.end = data["sent"], data["end"]

    @property
    def is_whole(self) -> bool:
        """Whether every worker's samples are all here."""
        return all(worker.is_whole for worker in self.workers.values())

    def close(self) -> None:
        """Write how the run ended."""
        if self._writer:
            self._writer.close(self.end())

    def end(self) -> dict[str, Any]:
        """How the run ended, all workers together."""
        ends = [worker.end for worker in self.workers.values() if worker.end]
        return {
            "elapsed_s": max((end["elapsed_s"] for end in ends), default=0.0),
            "unfinished": sum(end["unfinished"] for end in ends),
            "stopped_early": any(end["stopped_early"] for end in ends) or not self.is_whole,
            "incomplete": not self.is_whole,
            "workers": [
                {"worker": number, "sent": worker.sent, "received": worker.received}
                for number, worker in self.workers.items()
            ],
        }
