"""`python -m loadtests` as a process, for tests."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
from pathlib import Path

from loadtests.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("--time", "2", "--warmup", "0.5", "--drain", "5", "--max-lag-ms", "10000")
FAST = ("--time", "3", "--warmup", "0.5", "--drain", "5", "--max-lag-ms", "10000")


def load(*words: str) -> subprocess.CompletedProcess[str]:
    """`python -m loadtests` with these words."""
    return subprocess.run(
        [sys.executable, "-m", "loadtests", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def call(*words: str) -> subprocess.CompletedProcess[str]:
    """The same within this process, for what starts no Locust: a second less."""
    out, err = io.StringIO(), io.StringIO()
    # Argparse leaves, and main() takes SIGTERM for Ctrl-C.
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def children(pid: int) -> list[int]:
    """All processes below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found
