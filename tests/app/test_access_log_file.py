"""The access log's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.running import free_port, localpop, project


@pytest.mark.parametrize("requests", [1, 300])
def test_every_request_is_in_it_when_localpop_has_ended(tmp_path: Path, requests: int) -> None:
    """Whatever was still in memory; the header stands once, also after a second start."""
    folder = project(tmp_path, origin_port=free_port(), command=False)
    for _ in range(2):
        with localpop(folder, "--latency", "off") as running:
            for number in range(requests):
                running.get(f"/answers/number-{number}")

    lines = (folder / ".localpop" / "access.log").read_text().splitlines()
    assert [line.startswith("#") for line in lines] == [True] * 2 + [False] * (2 * requests)
    assert {len(line.split("\t")) for line in lines[2:]} == {33}
