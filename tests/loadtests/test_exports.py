"""CSV files and Markdown of a run."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from loadtests.cost import cost_of
from loadtests.exports import markdown, results_csv, samples_csv
from loadtests.prices import read_prices
from loadtests.samples import Recording
from loadtests.summary import summarize
from tests.loadtests.making import recording


@pytest.fixture(scope="module")
def run() -> Recording:
    """A synthetic run."""
    return recording(1)


def rows(text: str) -> list[dict[str, str]]:
    """A CSV file as its reader sees it."""
    return list(csv.DictReader(io.StringIO(text)))


def test_every_sample_is_a_line(run: Recording) -> None:
    """Exact, with its parts, and the warm-up marked."""
    lines = rows(samples_csv(run))
    first, last = lines[0], lines[-1]

    assert len(lines) == len(run.samples)
    assert (first["is_warmup"], last["is_warmup"]) == ("True", "False")
    assert float(last["total_ms"]) == run.samples[-1].total_ms
    assert float(last["part_viewer_ms"]) == (run.samples[-1].parts_ms or {})["viewer"]


def test_what_no_sample_has_is_empty(run: Recording) -> None:
    """Real CloudFront sends no parts."""
    bare = replace(run.samples[0], parts_ms=None, error='a, "b"\nc')
    [line] = rows(samples_csv(Recording(run.run, (bare,), {})))

    assert line["part_viewer_ms"] == ""
    assert line["error"] == 'a, "b"\nc'


def test_every_row_is_a_line(run: Recording) -> None:
    """Paths first, without a place; then each path at each place."""
    summary = summarize(run)
    lines = rows(results_csv(summary))

    assert len(lines) == len(summary.paths) + len(summary.cells)
    assert (lines[0]["place"], lines[-1]["place"]) == ("", "NRT/5g")
    assert summary.paths[0].whole_ms is not None
    assert float(lines[0]["whole_p95_ms"]) == summary.paths[0].whole_ms.p95


def test_markdown_for_a_pull_request(run: Recording) -> None:
    """Headline, a line for each path, the bill; all of it short."""
    text = markdown(summarize(run), cost=cost_of(run, read_prices(), generated=500))

    assert text.startswith("### The edge is ")
    assert "| Fallback, streamed | " in text
    assert "Cost of a million answers" in text
    assert len(text.splitlines()) < 25


def test_a_void_run_is_void_in_markdown(run: Recording) -> None:
    """Before any figure."""
    text = markdown(summarize(Recording({**run.run, "max_lag_ms": 0.1}, run.samples, {})))

    assert text.index("This run is void") < text.index("| path |")
