"""A target in a process of its own, and viewers that it knows."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TARGET = Path(__file__).with_name("target_app.py")


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Iterator[str]:
    """The target in a process of its own; its URL. Parameters go into its environment."""
    environment = {**os.environ, **getattr(request, "param", {})}
    process = subprocess.Popen(
        [sys.executable, str(TARGET)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """Two viewers that the target knows."""
    path = tmp_path / "sessions.txt"
    path.write_text("user-001 token-1\nuser-002 token-2\n")
    return path


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
