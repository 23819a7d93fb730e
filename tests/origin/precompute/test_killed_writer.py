"""kill -9 in the middle of a push: before and after every single call of AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.origin.precompute.pipeline import artifact, batch, endpoint, new_pipeline, now_s, put

ROOT = Path(__file__).resolve().parents[3]
LONG = "Far too long for the store. " * 60


def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    """The same messages come again after each kill; in the end everything is there once."""
    with endpoint(tmp_path) as running:
        pipeline = new_pipeline(running)
        before = put(artifact("user-1", "long", LONG, generated_s=now_s() - 90))
        pipeline.writer().handle(batch(before))
        messages = [
            put(artifact("user-1", "long", LONG + "!"), artifact("user-1", "short")),
            put(artifact("user-2", "short", subjects=["policy:refunds", "row:tickets/17"])),
            put(*(artifact("user-3", f"action-{number}") for number in range(49))),
        ]
        settings = tmp_path / "settings.json"
        urls = {name: getattr(pipeline, name) for name in ("queue_url", "dead_url", "events_url")}
        made = {"url": pipeline.url, "arn": pipeline.arn, "name": pipeline.name, **urls}
        settings.write_text(json.dumps(made))
        event = tmp_path / "event.json"
        event.write_text(json.dumps(batch(*messages)))
        run = subprocess.run(
            [sys.executable, "-m", "tests.origin.precompute.killed_writer", settings, event],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=100,
        )
        lines = run.stdout.splitlines()
        killed = [line for line in lines if line.startswith("killed")]
        stored, objects = pipeline.stored(), pipeline.objects()
        records = pipeline.registry().look_up(stored).records
        dependants = pipeline.registry().keys_naming("policy:refunds")

    assert run.returncode == 0, run.stderr
    assert len(killed) >= 12, lines
    assert lines[-1].startswith("0 "), lines
    wanted = {"user-1_long", "user-1_short", "user-2_short"}
    assert set(stored) == wanted | {f"user-3_action-{number}" for number in range(49)}
    assert dependants == ["user-2_short"]
    assert set(records) == set(stored)
    assert all(record.is_stored for record in records.values())
    # One body for each form of the long answer, and the old one's, which edges may still name.
    body = stored["user-1_long"]["body"]
    assert {f"{body[1:]}/json/long", f"{body[1:]}/sse/long"} < set(objects)
    assert len(objects) == 4
