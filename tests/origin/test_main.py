"""`python -m origin`, as a process: starts, answers, says what is wrong, ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from origin.session import issue
from tests.origin.aws_stand_in import ANSWER, StandIn, eventually
from tests.origin.conftest import SESSION_KEY

# Far in the future: the process goes by the real time.
TOKEN = issue("user-001", SESSION_KEY, now_s=0, ttl_s=2**40)


@contextmanager
def origin(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The origin as a process of its own, killed at the end whatever happens."""
    with subprocess.Popen(
        [sys.executable, "-m", "origin", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    """The URL that the process says it listens on."""
    assert process.stdout
    words = process.stdout.readline().split()
    assert words[:4] == ["origin:", "listening", "on", words[3]], words
    return words[3]


def test_it_serves_and_ends(stand_in: StandIn) -> None:
    """The printed URL answers; Ctrl-C ends the process with exit code 0 and no complaint."""
    with origin("--port", "0") as process:
        url = url_of(process)
        response = httpx2.get(f"{url}/answers/weekly-review", cookies={"session": TOKEN})
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)

    assert response.json() == {"action": "weekly-review", "answer": ANSWER}
    assert (process.returncode, complaints) == (0, "")


def test_a_waiting_model_does_not_hold_it(stand_in: StandIn) -> None:
    """Ctrl-C ends the process though the model never answers."""
    stand_in.hold_before = 0
    with origin("--port", "0") as process:
        host, _, port = url_of(process).removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as viewer:
            viewer.sendall(
                b"GET /answers/weekly-review HTTP/1.1\r\nHost: origin\r\n"
                b"Cookie: session=" + TOKEN.encode() + b"\r\n\r\n"
            )
            eventually(lambda: len(stand_in.prompts) == 1)
            process.send_signal(signal.SIGINT)
            # Less than the 25 s for which a thread would wait for the model.
            process.wait(timeout=20)

    assert process.returncode == 0


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("SESSION_KEY", "SESSION_KEY is not set"),
        ("AWS_DEFAULT_REGION", "You must specify a region"),
    ],
)
def test_a_missing_variable_is_named(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, variable: str, words: str
) -> None:
    """Without what it needs it does not start: one line, exit code 2."""
    monkeypatch.delenv(variable)
    with origin("--port", "0") as process:
        said, complaints = process.communicate(timeout=30)

    assert words in complaints
    assert len(complaints.splitlines()) == 1
    assert (process.returncode, said) == (2, "")


def test_a_taken_port_is_named(stand_in: StandIn) -> None:
    """A port in use is one line with the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with origin("--port", str(port)) as process:
            said, complaints = process.communicate(timeout=30)

    assert f"cannot listen on 127.0.0.1 port {port}" in complaints
    assert "--port" in complaints
    assert len(complaints.splitlines()) == 1
    assert (process.returncode, said) == (2, "")


def test_it_knows_nothing_of_the_emulator() -> None:
    """Everything of the origin is imported without one module of the emulator."""
    modules = "origin.__main__, origin.precompute.__main__, origin.session, origin.data.make_data"
    check = f"import sys, {modules}; print([m for m in sys.modules if m.startswith('emulator')])"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, env=os.environ
    )

    assert done.stdout == "[]\n"
