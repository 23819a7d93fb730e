"""`python -m origin.precompute`, as a process: what it prints, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.origin.aws_stand_in import ANSWER, StandIn, eventually

COMMAND = [sys.executable, "-m", "origin.precompute"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


def test_fifty_users(stand_in: StandIn) -> None:
    """All answers of all users are stored; the summary says so; exit code 0."""
    done = run("--users", "50", "--ttl", "60")

    assert done.stdout.startswith(
        "stored 150 answers for 50 of 50 users · 0 refused · 0 failed · "
        "60,000 tokens in, 9,000 out · "
    )
    assert len(stand_in.entries) == 150
    assert [len(batch) for batch in stand_in.batches] == [3] * 50
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_a_refused_answer_is_said(stand_in: StandIn) -> None:
    """An answer over the quota is named on its own line, and the exit code is 1."""
    stand_in.answer = lambda prompt: "x" * 1000 if prompt.startswith("Digest") else ANSWER

    done = run("--users", "2")

    assert "user-002 ticket-digest: the answer takes 1057 bytes" in done.stderr
    assert done.stdout.startswith("stored 4 answers for 2 of 2 users · 2 refused · 0 failed · ")
    assert done.returncode == 1


def test_an_interruption_tells_what_is_stored(stand_in: StandIn) -> None:
    """Ctrl-C, while the model is waited for, ends at once and counts what is at the edge."""

    def answer_one_user(prompt: str) -> str:
        if len(stand_in.prompts) > 3:
            stand_in.hold_before = 0
        return ANSWER

    stand_in.answer = answer_one_user
    with subprocess.Popen(
        [*COMMAND, "--users", "50", "--concurrency", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        eventually(lambda: len(stand_in.prompts) == 6)
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=20)

    assert said.startswith("stored 3 answers for 1 of 50 users · ")
    assert "interrupted: 49 users were not reached" in said
    assert (process.returncode, complaints) == (130, "")


@pytest.mark.parametrize(
    ("arguments", "variable", "value", "words"),
    [
        pytest.param(["--users", "0"], "", "", "--users 0: the data set has users 1 to 50", id="0"),
        pytest.param(["--users", "51"], "", "", "--users 51: the data set has", id="too many"),
        pytest.param(["--users", "x"], "", "", "invalid int value: 'x'", id="no number"),
        pytest.param([], "", "", "--users", id="no users"),
        pytest.param(["--users", "1", "--ttl", "0"], "", "", "--ttl 0", id="no time to live"),
        pytest.param(["--users", "1", "--concurrency", "0"], "", "", "--concurrency 0", id="none"),
        pytest.param(
            ["--users", "1"], "ANSWER_STORE_ARN", "", "ANSWER_STORE_ARN is not set", id="no store"
        ),
        pytest.param(
            ["--users", "1"],
            "ANSWER_STORE_ARN",
            "arn:aws:cloudfront::123456789012:key-value-store/other",
            "There is no such store: mend ANSWER_STORE_ARN",
            id="unknown store",
        ),
        pytest.param(
            ["--users", "1"],
            "AWS_ENDPOINT_URL",
            "http://local@127.0.0.1:9",
            "cannot reach the key value store",
            id="endpoint down",
        ),
    ],
)
def test_bad_input(
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    variable: str,
    value: str,
    words: str,
) -> None:
    """Bad input is one clear message and exit code 2, before the model is asked anything."""
    if variable:
        monkeypatch.setenv(variable, value)

    done = run(*arguments)

    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout, stand_in.prompts) == (2, "", [])


def test_a_model_without_rights(stand_in: StandIn) -> None:
    """When the model refuses, its reason is said once, and nothing could be done: exit code 2."""
    stand_in.model_error = (403, "AccessDeniedException")

    done = run("--users", "50")

    assert done.stderr.count("AccessDeniedException") == 1
    assert "gave up:" in done.stdout
    assert done.returncode == 2
