"""`python -m loadtests` as a process, for tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
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


def children(pid: int) -> list[int]:
    """All processes below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found
