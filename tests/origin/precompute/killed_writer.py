"""The writer in a process that is killed before or after its n-th call of AWS, for each n in turn.

    python killed_writer.py SETTINGS.json EVENT.json

A parent has boto3 imported and forks a child for each call; so a kill costs milliseconds.
Prints a line for each child: how it ended, and how many calls it had made.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

# Imported before the forks, for they shall be quick.
from tests.origin.precompute.pipeline import Pipeline

SERVICES = ("cloudfront-keyvaluestore", "dynamodb", "s3", "sqs", "events")


def main(settings: str, batch: str) -> None:
    """Kill, kill, kill; until a child comes through."""
    made: dict[str, Any] = json.loads(Path(settings).read_text())
    event = json.loads(Path(batch).read_text())
    pipeline = Pipeline(**made)
    for service in SERVICES:
        # A client costs a tenth of a second, and has no connection yet.
        pipeline.client(service)
    for number in count(1):
        for moment in ("before", "after"):
            pid = os.fork()
            if pid == 0:
                _child(pipeline, event, number, moment)
            _, status = os.waitpid(pid, 0)
            killed = os.WIFSIGNALED(status)
            print(f"{'killed' if killed else os.waitstatus_to_exitcode(status)} {moment} {number}")
            if not killed:
                return


def _child(pipeline: Pipeline, event: Any, number: int, moment: str) -> None:
    calls = 0

    def reached(**_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)

    # Signed is sent in a moment; parsed has been answered.
    hook = "before-send" if moment == "before" else "after-call"
    for service in SERVICES:
        pipeline.client(service).meta.events.register(f"{hook}.{service}", reached)
    left = pipeline.writer().handle(event)
    os._exit(0 if left == {"batchItemFailures": []} else 3)


if __name__ == "__main__":
    main(*sys.argv[1:])
