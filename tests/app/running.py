"""A whole localpop in a subprocess, for tests that drive it as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCALPOP = str(Path(sys.executable).parent / "localpop")
READY_S = 60


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What a viewer got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def trace_id(self) -> str:
        """What `localpop trace` and the dashboard know it by."""
        return self.headers.get("x-localpop-trace", "").partition(";")[0]

    @property
    def x_cache(self) -> str:
        """X-Cache without ` from cloudfront`."""
        return self.headers.get("x-cache", "").removesuffix(" from cloudfront")


@dataclass
class Localpop:
    """A running `localpop up`."""

    process: subprocess.Popen[str]
    folder: Path
    lines: list[str] = field(default_factory=list)
    viewer_url: str = ""
    aws_url: str = ""
    dashboard_url: str = ""

    def read_output(self) -> None:
        """Keep every line it prints; runs in a thread."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for_line(self, pattern: str, *, timeout_s: float = READY_S) -> str:
        """The first line that matches, once it is printed."""
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            for line in self.lines:
                if re.search(pattern, line):
                    return line
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no line {pattern!r} in:\n" + "\n".join(self.lines))

    def get(self, path: str, **headers: str) -> Answer:
        """Ask as a viewer."""
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.viewer_url + path, headers=lines)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return _answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask the AWS endpoint's own controls under /_localpop/."""
        url = self.aws_url.replace("local@", "") + path
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            url, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
            return json.loads(text) if text else None

    def ask_dashboard(self, path: str) -> str:
        """The text behind a path of the dashboard, whatever its status."""
        try:
            with urllib.request.urlopen(self.dashboard_url + path, timeout=10) as response:
                text: str = response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
        return text

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it as Ctrl-C does; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


def _answer(response: Any) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, response.read())


def project(folder: Path, *, origin_port: int, command: bool = True, extra: str = "") -> Path:
    """A project folder that uses this repository's template, functions and origin."""
    words = json.dumps(["python", "-m", "origin", "--port", str(origin_port)])
    started = f"command = {words}" if command else ""
    (folder / "localpop.toml").write_text(
        f"""
template = "{ROOT / "template.yaml"}"
setup = [["python", "-m", "origin.session", "publish-key"]]
{extra}
[parameters]
ViewerProtocolPolicy = "allow-all"
# Nothing happens in a test because it is five past.
Cycles = "DISABLED"
[origins.Api]
url = "http://127.0.0.1:{origin_port}"
front = "rest-api"
{started}
[environment]
ANSWER_STORE_ARN = "${{AnswerStore.Arn}}"
SESSION_KEY = "${{localpop.secret}}"
PYTHONPATH = "{ROOT}"
"""
    )
    return folder


@contextlib.contextmanager
def localpop(folder: Path, *words: str) -> Iterator[Localpop]:
    """`localpop up` on free ports; ready when the block begins, gone when it ends."""
    ports = ["--viewer-port", "0", "--aws-port", "0", "--dashboard-port", "0"]
    process = subprocess.Popen(
        [LOCALPOP, "up", *ports, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    running = Localpop(process, folder)
    reader = threading.Thread(target=running.read_output)
    reader.start()
    try:
        running.viewer_url = running.wait_for_line(r"^  viewers ").split()[-1]
        running.aws_url = running.wait_for_line(r"^  AWS endpoint ").split()[-1]
        running.dashboard_url = running.wait_for_line(r"^  dashboard ").split()[-1]
        yield running
    finally:
        running.stop()
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()
