"""Summary, table and page, from samples whose figures are known."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from loadtests.cost import cost_of
from loadtests.prices import read_prices
from loadtests.report import write_report
from loadtests.samples import DeliveryPath, Recording, Sample
from loadtests.summary import Spread, Summary, as_document, summarize
from loadtests.table import WIDTH, table

DOCS = Path(__file__).resolve().parents[2] / "docs" / "results.md"
RUN = {
    "host": "http://127.0.0.1:8080",
    "warmup_s": 1.0,
    "max_lag_ms": 50.0,
    "places": ["LHR/fibre", "NRT/4g"],
    "seed": 1,
    "rate_per_s": 40.0,
}


def sample(at_s: float, path: DeliveryPath, total_ms: float, place: str = "LHR/fibre") -> Sample:
    """One good sample."""
    return Sample(
        intended_s=at_s,
        lag_ms=1.0,
        place=place,
        path=path,
        target="/answers/x",
        status=200,
        error=None,
        ttfb_ms=total_ms / 2,
        first_token_ms=total_ms / 2,
        total_ms=total_ms,
        bytes=10,
        simulated_ms=total_ms / 4,
        overhead_ms=0.5,
        late_ms=0.0,
        trace_id="t",
    )


def recording(**end: object) -> Recording:
    """100 hits of 1 to 100 ms, 100 fallbacks of 1,000 to 1,990 ms, warm-up before them."""
    warm_up = [sample(0.5, DeliveryPath.EDGE_FUNCTION, 9_999.0)]
    hits = [sample(2, DeliveryPath.EDGE_FUNCTION, float(n)) for n in range(1, 101)]
    fallbacks = [
        sample(2, DeliveryPath.FALLBACK_STREAMED, 1_000.0 + 10 * n, "NRT/4g") for n in range(100)
    ]
    return Recording(RUN, (*warm_up, *hits, *fallbacks), {"unfinished": 0, **end})


@pytest.fixture
def summary() -> Summary:
    """The figures of that recording."""
    return summarize(recording(stopped_early=False))


def test_the_figures_are_exact(summary: Summary) -> None:
    """Percentiles are values that were there; the warm-up is left out."""
    hits, fallbacks = summary.paths

    assert hits.whole_ms is not None
    assert (hits.whole_ms.p50, hits.whole_ms.p95, hits.whole_ms.p99) == (50, 95, 99)
    assert (hits.requests, hits.errors, hits.few) == (100, 0, False)
    assert fallbacks.whole_ms is not None
    assert fallbacks.whole_ms.p50 == 1_490
    assert summary.requests == 200


def test_the_headline(summary: Summary) -> None:
    """How many times faster, for which share."""
    headline = summary.headline

    assert headline is not None
    assert headline.times_faster == pytest.approx(1_490 / 50)
    assert headline.hit.share == 0.5
    assert headline.cliffs_delta == -1


def test_errors_and_lag_are_counted() -> None:
    """A failed request counts; a lagging generator voids the run."""
    broken = Sample(**{**_fields(sample(3, DeliveryPath.ERROR, 5.0)), "error": "HTTP 503"})
    late = Sample(**{**_fields(sample(3, DeliveryPath.EDGE_FUNCTION, 5.0)), "lag_ms": 90.0})
    summary = summarize(Recording(RUN, (broken, late), {}))

    assert (summary.errors, summary.error_share) == (1, 0.5)
    assert summary.error_kinds == {"HTTP 503": 1}
    assert summary.generator.void
    assert summary.generator.stopped_early


def _fields(one: Sample) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Sample.__dataclass_fields__}


def test_the_table_fits_120_columns_and_marks_few(summary: Summary) -> None:
    """One line for each path and place; cells under 50 answers carry a star."""
    few = summarize(Recording(RUN, (sample(2, DeliveryPath.CACHE, 3.0),), {}))

    assert max(map(len, table(summary).splitlines())) <= WIDTH
    assert "LHR/fibre " in table(summary)
    assert "LHR/fibre*" in table(few)
    assert "simulated" in table(summary)


class _Resources(HTMLParser):
    """Everything that a page would load, and everything that it says."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag would fetch."""
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action") and value not in ("data:,", None):
                self.loads.append(f"{tag} {value}")

    def handle_data(self, data: str) -> None:
        """Note what it says."""
        self.text += data


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """No script, no font, no request to anywhere; every place is on it."""
    write_report(recording(stopped_early=False), tmp_path)
    html = (tmp_path / "index.html").read_text()
    page = _Resources()
    page.feed(html)

    assert page.loads == []
    assert "<script" not in html
    assert "url(http" not in html
    assert "30× faster" in page.text
    for word in ("LHR", "NRT", "simulated"):
        assert word in page.text


@pytest.mark.parametrize(
    ("facts", "words"),
    [({}, "Open loop: "), ({"closed_loop": 4, "workers": 2}, "Closed loop: ")],
    ids=["open", "closed"],
)
def test_the_page_says_which_loop_it_was(
    tmp_path: Path, facts: dict[str, object], words: str
) -> None:
    """A closed loop hides stalls, and must not be read as an open one."""
    made = recording(stopped_early=False)
    write_report(Recording({**made.run, **facts}, made.samples, made.end), tmp_path)

    assert words in (tmp_path / "index.html").read_text()


def test_a_run_without_an_answer_says_so(tmp_path: Path) -> None:
    """It is no measurement, whatever the server was."""
    failed = replace(
        sample(2, DeliveryPath.EDGE_FUNCTION, 5.0), status=0, error="refused", simulated_ms=None
    )
    write_report(Recording(RUN, (failed,) * 60, {"unfinished": 0}), tmp_path)
    page = (tmp_path / "index.html").read_text()

    assert '<span class="badge">Nothing answered</span>' in page


def test_a_void_run_says_so_on_the_page(tmp_path: Path) -> None:
    """Loudly."""
    late = Sample(**{**_fields(sample(3, DeliveryPath.EDGE_FUNCTION, 5.0)), "lag_ms": 90.0})
    write_report(Recording(RUN, (late,), {}), tmp_path)

    assert "This run is void" in (tmp_path / "index.html").read_text()


def test_a_run_with_lost_samples_is_void_too(tmp_path: Path) -> None:
    """The page says how many are missing, and of what."""
    workers = [{"worker": 0, "sent": 120, "received": 100}]
    lost = recording(stopped_early=False, incomplete=True, workers=workers)
    write_report(lost, tmp_path)
    html = (tmp_path / "index.html").read_text()

    assert "This run is void: 20 samples of its workers are missing" in html
    assert summarize(lost).generator.missing == 20


def _keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return {str(key) for key in value} | {key for one in value.values() for key in _keys(one)}
    if isinstance(value, list | tuple):
        return {key for one in value for key in _keys(one)}
    return set()


def test_every_figure_is_documented(summary: Summary, tmp_path: Path) -> None:
    """docs/results.md names every key of a real results.json."""
    predicted = {(DeliveryPath.EDGE_FUNCTION, "LHR/fibre"): Spread(20.0, 40.0, 45.0)}
    made = recording(stopped_early=False)
    write_report(made, tmp_path, predicted, cost=cost_of(made, read_prices(), generated=9))
    document = json.loads((tmp_path / "results.json").read_text())
    named = set(re.findall(r"`([^`]+)`", DOCS.read_text()))

    assert _keys(document) - named - set(DeliveryPath) == set()
    [row] = document.pop("predictions")
    assert document.pop("parts") == {}
    assert set(document.pop("judgement")) == {"health", "slo", "baseline"}
    assert document.pop("cost")["generated"] == 9
    assert (row["measured_ms"]["p50"], row["difference_ms"]) == (25, 5)
    assert document == json.loads(json.dumps(as_document(summary)))
    assert "What the latency model expected" in (tmp_path / "index.html").read_text()
