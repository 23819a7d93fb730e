"""Where viewers are, by header, by listener and by weight; faults from the start."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.app.running import Answer, Localpop, free_port, localpop, project


def place_of(answer: Answer) -> str:
    """What the Trace's header says."""
    found = re.search(r"place=([^;]+)", answer.headers["x-localpop-trace"])
    assert found is not None
    return found[1]


def test_a_mix_of_places_and_a_listener_of_its_own(tmp_path: Path) -> None:
    """The header wins, then the listener, then the mix; a connection keeps its place."""
    port = free_port()
    extra = f"""
[viewer]
place = {{ "LHR/fibre" = 3, "NRT/4g" = 1 }}
[[viewer.listeners]]
port = {port}
place = "SYD/5g"
[[faults]]
effect = "origin-slow"
ms = 5
place = "SYD"
"""
    folder = project(tmp_path, origin_port=free_port(), command=False, extra=extra)
    with localpop(folder, "--time-scale", "0.01") as running:
        there = Localpop(running.process, folder, viewer_url=f"http://127.0.0.1:{port}")
        mixed = Counter(place_of(running.get("/answers/x")) for _ in range(60))
        listener = there.get("/answers/x")
        header = there.get("/answers/x", X_Localpop_Viewer="GRU/4g")
        faults = running.control("GET", "/_localpop/faults")["faults"]

    assert set(mixed) == {"LHR/fibre", "NRT/4g"}
    assert mixed["LHR/fibre"] > mixed["NRT/4g"]
    assert place_of(listener) == "SYD/5g"
    assert listener.headers["x-amz-cf-pop"].startswith("SYD")
    assert place_of(header) == "GRU/4g"
    assert [fault["effect"] for fault in faults] == ["origin-slow"]


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ('[viewer]\nplace = "XXX/fibre"\n', "XXX"),
        ('[viewer]\nplace = { "LHR/fibre" = -1 }\n', "LHR/fibre"),
        ('[[faults]]\neffect = "earthquake"\n', "earthquake"),
    ],
)
def test_a_place_or_fault_that_does_not_exist_is_refused_at_start(
    tmp_path: Path, extra: str, sentence: str
) -> None:
    """By name, before anything listens."""
    folder = project(tmp_path, origin_port=free_port(), command=False, extra=extra)

    with pytest.raises(AssertionError) as refused, localpop(folder):
        pass

    assert sentence in str(refused.value)
    assert "localpop.toml" in str(refused.value)
