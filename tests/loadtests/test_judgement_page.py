"""Judging on the page and in results.json."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from loadtests.history import History
from loadtests.judge import judge_recording
from loadtests.judgement_page import judgement_document, judgement_sections, mean_parts
from loadtests.objectives import read_objectives
from loadtests.report import write_report
from loadtests.samples import DeliveryPath
from tests.loadtests.making import recording


class Tags(HTMLParser):
    """Checks that every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Open."""
        if tag not in ("meta", "link", "br", "rect", "line", "circle", "i"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close."""
        if tag not in ("rect", "line", "circle", "i"):
            assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("slower", "word"), [(1.0, "no regression"), (1.35, "SEV-2"), (1.8, "SEV-1")]
)
def test_the_page_tells_what_got_worse(tmp_path: Path, slower: float, word: str) -> None:
    """Severity in the heading, the reason in the row; health targets; where time went."""
    history = History(tmp_path / "h.sqlite")
    for number in range(3):
        history.add(recording(10 + number, age_s=600 * (number + 1)), "-", in_baseline=True)
    run = recording(3, slower=slower)
    judgement = judge_recording(run, history, read_objectives("health"))

    write_report(run, tmp_path / "r", judgement=judgement)

    page = (tmp_path / "r" / "index.html").read_text()
    assert f"Compared with before: {word}" in page
    assert ("p95 +" in page) is (word != "no regression")
    assert "Health targets" in page
    assert "What the first byte waited for" in page
    tags = Tags()
    tags.feed(page.partition("<body>")[2].partition("</body>")[0])
    assert tags.open == []
    document = json.loads((tmp_path / "r" / "results.json").read_text())
    baseline = document["judgement"]["baseline"]
    assert (baseline["runs"], baseline["severity"]) == (3, word if slower > 1 else "-")
    assert baseline["paths"][0]["p95"]["change"] == pytest.approx(slower - 1, abs=0.12)
    assert document["parts"]["edge-function"]["viewer"] == pytest.approx(5 * slower, rel=0.1)
    assert {one["status"] for one in document["judgement"]["health"]} <= {
        "met",
        "missed",
        "unknown",
    }


def test_a_first_run_begins_the_baseline(tmp_path: Path) -> None:
    """And says so."""
    judgement = judge_recording(recording(1), History(tmp_path / "h.sqlite"))

    assert "this one begins the" in judgement_sections(judgement)
    document = judgement_document(judgement)["baseline"]
    assert document["paths"] == []


def test_without_a_judgement_there_is_none() -> None:
    """No section, no figures."""
    assert judgement_sections(None) == ""
    assert judgement_document(None) == {"health": [], "slo": [], "baseline": None}


def test_the_mean_parts_add_up_to_the_mean_simulated_time() -> None:
    """Of each path."""
    samples = recording(1).samples
    mine = [one for one in samples if one.path is DeliveryPath.EDGE_LAMBDA]

    parts = mean_parts(samples)[DeliveryPath.EDGE_LAMBDA]

    mean = sum(one.simulated_ms or 0.0 for one in mine) / len(mine)
    assert sum(parts.values()) == pytest.approx(mean)
