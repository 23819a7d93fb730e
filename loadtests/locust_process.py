"""Locust in a process of its own, with progress, and an end that leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from loadtests.judge import INTERRUPTED
from loadtests.samples import FALLBACKS, HITS

_STOP_GRACE_S = 30.0


def run_locust(words: list[str], samples: Path, time_s: float) -> int:
    """Run Locust with progress; returns its exit code. Ctrl-C ends it, and then us."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
    progress = _Progress(samples, time_s)
    try:
        while process.poll() is None:
            progress.show()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(progress.every_s)
        progress.show(last=True)
        return process.returncode
    except KeyboardInterrupt:
        progress.end()
        print("load test: stopping, answers under way get a second", flush=True)
        _end(process)
        return INTERRUPTED
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _Progress:
    """Reads along in the samples file and says how far the run is.

    On a terminal one line that is written over; elsewhere a line every five seconds.
    """

    def __init__(self, samples: Path, time_s: float) -> None:
        self._samples, self._time_s = samples, time_s
        self._position = 0
        self._counts: Counter[str] = Counter()
        self._worst_lag_ms = 0.0
        self._started_s = time.monotonic()
        self._is_terminal = sys.stdout.isatty()
        self.every_s = 1.0 if self._is_terminal else 5.0

    def show(self, *, last: bool = False) -> None:
        """Print where the run stands."""
        self._read()
        elapsed_s = time.monotonic() - self._started_s
        shown_s = min(elapsed_s, self._time_s)
        waiting = " · waiting for the last answers" if elapsed_s > self._time_s + 2 else ""
        line = (
            f"  {shown_s:3.0f} of {self._time_s:g} s · {self._counts['all']} answers · "
            f"{self._counts['hit']} from the edge · {self._counts['fallback']} from the model · "
            f"{self._counts['error']} errors · worst lag {self._worst_lag_ms:.0f} ms{waiting}"
        )
        if self._is_terminal:
            print(f"\r\x1b[K{line}", end="\n" if last else "", flush=True)
        elif self._counts["all"]:
            print(line, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal:
            print(flush=True)

    def _read(self) -> None:
        try:
            with self._samples.open("rb") as file:
                file.seek(self._position)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._position += len(line)
                    self._count(json.loads(line))
        except OSError:
            # Not written yet: Locust takes a moment to start.
            return

    def _count(self, record: dict[str, Any]) -> None:
        if "path" not in record:
            return
        self._counts["all"] += 1
        self._worst_lag_ms = max(self._worst_lag_ms, record["lag_ms"])
        if record["error"] is not None:
            self._counts["error"] += 1
        elif record["path"] in HITS:
            self._counts["hit"] += 1
        elif record["path"] in FALLBACKS:
            self._counts["fallback"] += 1
